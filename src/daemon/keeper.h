/*
 * The keeper: configuration, keys, directory, control socket and the team of
 * workers. It is the process that nonosd starts as; keeper_main() is its
 * whole life. What the files of the keeper share is below; each part has its
 * own file: keeper.c (life, signals), keeper_feed.c (what workers are sent),
 * keeper_dir.c (directory, descriptor, address), keeper_reload.c, keeper_hand_over.c
 * (one keeper in the place of another).
 */
#ifndef DAEMON_KEEPER_H
#define DAEMON_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <nonos/clock.h>
#include <nonos/conf.h>
#include <nonos/control.h>
#include <nonos/directory.h>
#include <nonos/family.h>
#include <nonos/keys.h>
#include <nonos/relay.h>
#include <nonos/secret.h>

#include "ask.h"
#include "bandwidth.h"
#include "hand_over.h"
#include "listen.h"
#include "own_addr.h"
#include "sandbox.h"
#include "settle.h"
#include "share.h"
#include "take_over.h"
#include "team.h"
#include "totals.h"

struct evbuffer;
struct event;
struct key_agent;
struct event_base;
struct http_server;

enum keeper_state {
	KEEPER_STARTING,	/* the workers do not all listen yet */
	KEEPER_RUNNING,
	KEEPER_DRAINING,	/* circuits may end by themselves */
	KEEPER_STOPPING,
};

enum { KEEPER_SIGNALS = 5 };

struct keeper {
	struct event_base *base;
	struct config *config;
	const char *config_path;	/* borrowed from the command line */
	bool one_process;
	enum keeper_state state;
	uint64_t started_ms;
	int lock_fd;
	struct event *signals[KEEPER_SIGNALS];
	struct event *second, *hour, *watchdog, *stop_timer;
	struct listeners listeners;
	struct hand_over *hand_over;
	struct take_over *take;		/* NULL unless we took, or take, the place of another */
	uint64_t program_dev, program_ino;	/* the file that runs */
	bool giving;			/* another one prepares to take our place */
	bool moved;			/* it has */
	bool taking;			/* we are not the relay yet: the other one is */
	bool ready_to_take;
	bool past_told;			/* the other one has told what it counted */
	bool overlap;			/* circuits of the one before us, or after us, go on */
	bool drained;			/* we have nothing left to end */
	bool failed;			/* exit status 1 */
	int ready_fd;			/* told when the relay runs; -1: nobody waits */
	struct team *team;
	struct asks *asks;		/* questions to the workers */
	struct ctl_server *control;
	struct http_server *metrics;	/* NULL: none */
	struct ctl_commands commands;
	struct token_store *tokens;
	gid_t control_group;		/* of the socket; -1: the daemon's own */

	struct relay_keys *keys;
	struct secret *link;		/* struct link_keys in force */
	uint64_t link_renew_ms;
	int64_t expiry_warned;		/* wall seconds */
	struct key_agent *key_agent;	/* operator keys held unlocked */
	struct families *families;	/* that we are in; or NULL */

	struct settle *settle;
	struct directory *directory;
	struct net_params params;
	bool have_params;
	int documents[DIR_DOC_KINDS];	/* memfds by kind, -1: none; for workers that start later */

	struct own_addr own_addr;
	struct addr v4, v6;		/* advertised, with port; ADDR_NONE: not known */
	const char *addr_source;	/* "configured", "listener", "found out", "none" */
	struct sandbox_state sandbox;	/* the keeper's own */
	bool reached;			/* an authenticated peer has connected */
	struct clock_watch clock;
	struct bandwidth bandwidth;
	struct totals totals;
	struct totals_file *totals_file;	/* NULL: cannot be written */
	uint64_t totals_flushed_ms;
	uint64_t rate, burst;		/* in force, for all workers together; 0: no limit */
	struct share shares[SHARE_WORKERS_MAX];	/* of `rate`, by worker */
	bool drain_asked;
	enum relay_drain withdrawn;	/* what the workers were told last */
	uint64_t bandwidth_saved_ms, status_told_ms;
	struct relay_counters counted;	/* a second ago, for events */
	uint64_t published_observed;	/* in the last descriptor; 0: none made yet */
	uint64_t bandwidth_told_ms;	/* when it was published for the bandwidth's sake */
};

struct keeper_options {
	const char *config_path;
	bool one_process;
	bool take_over;			/* from the keeper that runs, if one does */
	int ready_fd;			/* gets a byte when the relay runs; -1: none */
};

/* Run until stopped; returns the exit status. */
int keeper_main(const struct keeper_options *o);

const char *keeper_state_str(enum keeper_state state);

/* Begin to stop: drain, then exit. Called again, exit at once. */
void keeper_stop(struct keeper *k, const char *why);

/* Leave the loop. */
void keeper_stop_now(struct keeper *k);

/* The parts of a start that wait until we are the relay. `given_fd`: a control socket that is there, or -1. */
int keeper_open_control(struct keeper *k, int given_fd);
int keeper_open_ours(struct keeper *k, char *err, size_t err_cap);
void keeper_settle_keys(struct keeper *k);
void keeper_running(struct keeper *k);

/* Write what outlives the process. */
void keeper_save_state(struct keeper *k);

/* Tell systemd in a line how things are. */
void keeper_notify_status(struct keeper *k);

/* Pass on a set of enum keys_change: to workers, to the network, as an event. */
void keeper_keys_changed(struct keeper *k, int changed);

/* -- keeper_feed.c: what workers are sent ----------------------------------- */

/* Send one new worker all it needs; nothing before there are keys. */
void keeper_greet(void *arg, unsigned index);

/* Send all workers their part of a change. */
void keeper_feed_log(struct keeper *k);
void keeper_feed_config(struct keeper *k);
void keeper_feed_onion_keys(struct keeper *k);
void keeper_feed_params(struct keeper *k);
void keeper_feed_document(struct keeper *k, enum dir_doc kind);

/* Let the workers, who waited, accept. */
void keeper_open_listeners(struct keeper *k);

/* Make new link credentials and send them. */
int keeper_renew_link(struct keeper *k);

/* Each second: divide the bandwidth by what each worker uses of it. */
void keeper_share_rate(struct keeper *k);

/* -- keeper_dir.c: what the network is told, and tells ------------------------ */

int keeper_directory_start(struct keeper *k, char *err, size_t err_cap);

/* Load the keys of the families that `c` names, from where the configuration in force has them. */
int keeper_open_families(struct families **ret, const struct keeper *k, const struct config *c, char *err,
			 size_t err_cap);

/* Upload the descriptor soon, if there is all it needs. */
void keeper_publish(struct keeper *k, const char *reason);

/* Publish when the observed bandwidth has doubled or halved since the last descriptor. */
void keeper_check_bandwidth(struct keeper *k);

/* What a descriptor still lacks, for status; NULL: nothing. */
const char *keeper_waits_for(const struct keeper *k);

/* Look again at which addresses to advertise; on a change workers and network are told. */
void keeper_update_address(struct keeper *k);
void keeper_address_seen(struct keeper *k, const struct addr *ours, const uint8_t source[20]);

/* True when the fingerprint is a configured authority's. */
bool keeper_knows_authority(const struct keeper *k, const uint8_t rsa_id[20]);

/* -- keeper_hand_over.c: see hand_over.h ----------------------------------------- */

/* Whether the files in data_dir are ours to change: not while, or after, another takes our place. */
bool keeper_may_write(const struct keeper *k);

/* Let another take our place when it asks. */
int keeper_offer(struct keeper *k, char *err, size_t err_cap);

/* Send our totals to the one that took our place. */
void keeper_tell_counters(struct keeper *k);

void keeper_note_program(struct keeper *k);

/* Ask the keeper that runs, if one does, for all it has. */
int keeper_take_over(struct keeper *k, uid_t uid, char *err, size_t err_cap);

/* Whether the other one's control socket will be ours. */
bool keeper_is_given_control(const struct keeper *k);

/* All our workers wait. */
void keeper_ready_to_take(struct keeper *k);

/* The one before us is gone; when we are only waiting for that, stop. */
void keeper_predecessor_ended(struct keeper *k);

/* -- keeper_totals.c: what was carried, and what follows ---------------------------- */

void keeper_totals_open(struct keeper *k);
void keeper_totals_save(struct keeper *k);

/* Each second: take in the sums, write them down, act on them. */
void keeper_count(struct keeper *k, const struct relay_counters *c);

/* What may be shown: totals that are written down, and gauges of now. */
void keeper_counters(const struct keeper *k, struct relay_counters *ret);

enum accounting_state keeper_accounting(const struct keeper *k);

/* Tell workers and network when new circuits end or begin. */
void keeper_follow(struct keeper *k);

/* "open", "drained" (asked for) or "hibernating" (accounting). */
const char *keeper_service_str(const struct keeper *k);

/* -- keeper_confine.c --------------------------------------------------------- */

/* Give up what the keeper does not need, as the configuration wants it; says in the log what it could not. */
int keeper_confine(struct keeper *k, char *err, size_t err_cap);

/* -- keeper_metrics.c -------------------------------------------------------- */

/* Append what Prometheus reads. */
void keeper_metrics_text(struct keeper *k, struct evbuffer *out);

/* Serve metrics, unless the configuration says not to. */
int keeper_metrics_start(struct keeper *k, char *err, size_t err_cap);

/* -- keeper_reload.c --------------------------------------------------------- */

/*
 * Read the configuration again and apply what can be. *ret_report (if not
 * NULL) tells each option that differs and whether it was applied. With
 * `dry_run` nothing changes. ERR_CONFIG leaves all as it was.
 */
int keeper_reload(struct keeper *k, bool dry_run, json_t **ret_report, char *err, size_t err_cap);

/* -- keeper_events.c: what subscribers of the control socket are told ---------- */

void event_state(struct keeper *k);
void event_service(struct keeper *k);
void event_second(struct keeper *k, const struct relay_counters *now);
void event_worker(void *arg, const struct member_change *c);
void event_consensus(struct keeper *k, const struct consensus_facts *c);
void event_upload(void *arg, size_t index);
void event_keys(struct keeper *k, int changed);
void event_reload(struct keeper *k, json_t *changes);
void event_tell(void *arg, const char *topic, json_t *data);

/* -- status.c, cmd_*.c -------------------------------------------------------- */

json_t *status_make(struct keeper *k);
json_t *status_counters(struct keeper *k);

/* Which keeper a call is for, and its settle. */
static inline struct settle *settle_of(const struct ctl_call *call)
{
	return ((const struct keeper *)call->arg)->settle;
}

/* Flags as a list of their names. */
json_t *status_flags(uint32_t flags);

/* Write the counters to the log. */
void status_log_counters(struct keeper *k);

#define HANDLER_DAEMON(name) int cmd_##name(struct ctl_call *call);
#define HANDLER_LOCAL(name)
#define COMMAND(name, words, where, flags, sentence) HANDLER_##where(name)
#define ARG(name, arg, kind, min, max, flags, placeholder, sentence)
#include <nonos/commands.def>
#undef COMMAND
#undef ARG
#undef HANDLER_DAEMON
#undef HANDLER_LOCAL

#endif
