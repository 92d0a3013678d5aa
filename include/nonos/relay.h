/*
 * The relay of one worker: links, circuits, exit streams and cached directory
 * documents, all in one event loop. What it needs comes in as values; it reads
 * no files and knows no long-term secret. The worker (src/daemon/worker.c)
 * owns it and feeds it from the pipe to the keeper.
 */
#ifndef NONOS_RELAY_H
#define NONOS_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/addr.h>

struct event_base;
struct relay;

/* Limits, all per worker: the keeper divides what is per process. */
struct relay_limits {
	uint64_t bandwidth_rate;	/* bytes/s, each direction; 0: none */
	uint64_t bandwidth_burst;	/* bytes */
	uint64_t max_memory;		/* bytes of process memory */
	uint32_t links_per_addr;
	uint32_t link_rate;		/* links/s accepted from one address; 0: no limit */
	uint32_t link_burst;
	uint32_t links_total;
	uint32_t circuits_per_link;
	uint32_t create_rate;		/* circuits/s from one address that is no listed relay's; 0: no limit */
	uint32_t create_burst;
	uint32_t handshake_queue;	/* CREATE cells waiting, all sources */
	uint32_t cells_per_circuit;	/* cells queued in one direction; beyond: the circuit dies */
	uint32_t streams_per_circuit;
};

struct relay_config {
	struct addr advertised_v4;	/* with OR port; ADDR_NONE when there is none */
	struct addr advertised_v6;
	bool allow_private;		/* extend and exit to private addresses */
	bool dir_cache;			/* answer BEGIN_DIR */
	const char *exit_policy;	/* policy_parse(); copied */
	const char *resolv_conf;	/* NULL: the system's */
	struct relay_limits limits;
};

enum { LINK_CERTS_CAP = 4096 };

/* What a worker needs to speak for the relay on links: no identity secret. */
struct link_keys {
	uint8_t rsa_id[20];		/* SHA-1 of the RSA identity key's DER */
	uint8_t rsa_id_sha256[32];	/* SHA-256 of the same, for AUTHENTICATE */
	uint8_t ed_id[32];
	uint8_t auth_public[32];	/* link authentication key (certificate type 6) */
	uint8_t auth_secret[64];	/* its expanded secret */
	uint8_t tls_key[2048];		/* DER */
	uint16_t tls_key_len;
	uint8_t tls_cert[2048];		/* DER */
	uint16_t tls_cert_len;
	uint8_t responder_certs[LINK_CERTS_CAP];	/* body of our CERTS cell: types 2, 4, 5, 7 */
	uint16_t responder_certs_len;
	uint8_t initiator_certs[LINK_CERTS_CAP];	/* types 2, 4, 6, 7 */
	uint16_t initiator_certs_len;
};

/* ntor onion keys: the second is the one before the last rotation. */
struct onion_keys {
	uint8_t secret[2][32];
	uint8_t count;			/* 1 or 2 */
};

/* Consensus parameters that the relay acts on; clipped when parsed. */
struct net_params {
	uint32_t circ_max_cell_queue_size;	/* cells; 0: no consensus yet */
	uint16_t nf_ito_low, nf_ito_high;	/* ms between link paddings; both 0: none */
	bool cc_enabled;			/* cc_alg = 2 */
	uint32_t cc[26];			/* struct cc_params, in its order */
};

/* How many counters stand in a row of metrics.def that has a list of words. */
enum {
	COUNT_COMMANDS = 18,		/* of cells; the last for those that do not exist */
	COUNT_HANDSHAKES = 4,
	COUNT_DESTROYS = 14,
	COUNT_ENDS = 16,
	COUNT_REFUSALS = 9,
	COUNT_STATES = 5,		/* of links that are not closed */
	COUNT_VERSIONS = 2,
	COUNT_WAITS = 16,
	COUNT_DIR_REPLIES = 6,
};

enum count_list {
	LIST_COMMANDS, LIST_HANDSHAKES, LIST_DESTROYS, LIST_ENDS, LIST_REFUSALS, LIST_STATES, LIST_VERSIONS,
	LIST_WAITS, LIST_DIR_REPLIES, COUNT_LISTS
};

/* The word for counter `i` of a list: a label's value, "relay_early" or "no_route". */
const char *relay_count_name(enum count_list list, size_t i);

/* All uint64_t, in the order of metrics.def. */
struct relay_counters {
#define TOTAL(field, labels) uint64_t field;
#define TOTALS(field, list, labels, key) uint64_t field[COUNT_##list];
#define GAUGE(field, labels) uint64_t field;
#define GAUGES(field, list, labels, key) uint64_t field[COUNT_##list];
#define HISTOGRAM(field, sum_ms) uint64_t field[COUNT_WAITS], sum_ms;
#define TOTAL_SUM(field) uint64_t field;
#define GAUGE_SUM(field) uint64_t field;
#include <nonos/metrics.def>
};

/* What the relay tells its owner; all optional. */
struct relay_hooks {
	/* An authenticated peer saw us at this address (NETINFO). */
	void (*address_seen)(void *arg, const struct addr *ours, const uint8_t peer_rsa_id[20]);
	/* A peer's clock differs by `skew_s` seconds, an hour or more. */
	void (*clock_skew)(void *arg, int64_t skew_s, const uint8_t peer_rsa_id[20]);
	/* After relay_drain() to an end: nothing is left that a peer would miss. */
	void (*drained)(void *arg);
	/* Somebody authenticated reached one of our listeners, so the OR port is reachable. */
	void (*reached)(void *arg);
	void *arg;
};

struct relay *relay_new(struct event_base *base, const struct relay_hooks *hooks);
void relay_free(struct relay *r);

/* Each may be called again at any time; what exists goes on with what it has. */
int relay_set_config(struct relay *r, const struct relay_config *config);
int relay_set_link_keys(struct relay *r, const struct link_keys *keys);
int relay_set_onion_keys(struct relay *r, const struct onion_keys *keys);
/* Another part of the bandwidth than the configuration's. */
void relay_set_rate(struct relay *r, uint64_t rate, uint64_t burst);

void relay_set_params(struct relay *r, const struct net_params *params);

/* Hand over a sealed memfd with a cached document (dirserv.h); the relay closes it. */
int relay_set_document(struct relay *r, uint8_t kind, int fd);

/* Accept links on a listening, non-blocking socket; the relay owns it. */
int relay_listen(struct relay *r, int fd);

/* How far a relay withdraws. What exists lives on in each. */
enum relay_drain {
	RELAY_DRAIN_NONE,	/* not at all */
	RELAY_DRAIN_PAUSE,	/* new circuits are refused; links are accepted, so that it may end again */
	RELAY_DRAIN_SLEEP,	/* links are closed, too, open ones and new ones; the listeners stay for when it ends */
	RELAY_DRAIN_STOP,	/* the listeners are closed, too; drained when the last circuit is */
	/*
	 * Another process has the listeners. Peers go on using a link that they have until
	 * it is closed, so its circuits are still made; links without circuits are
	 * closed early, and the peer's next one leads to the other process. Drained when
	 * the last link is closed.
	 */
	RELAY_DRAIN_MOVED,
};

/* Listeners that a drain closed do not come back by RELAY_DRAIN_NONE: relay_listen() again. */
void relay_drain(struct relay *r, enum relay_drain how);

/* All but what only the process knows (open_files, cpu_us). */
void relay_counters(const struct relay *r, struct relay_counters *ret);

#endif
