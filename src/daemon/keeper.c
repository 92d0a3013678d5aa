#include "config.h"

#include "keeper.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/crypto.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/process.h>
#include <nonos/token.h>

#include "http_server.h"
#include "key_agent.h"

enum {
	EXPIRY_WARN_S = 7 * 86400,
	EXPIRY_URGENT_S = 2 * 86400,
	BANDWIDTH_SAVE_MS = 3600 * 1000,
	STATUS_INTERVAL_MS = 30 * 1000,
	CLOCK_STEP_S = 600,
};

static const int signal_numbers[KEEPER_SIGNALS] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD };

const char *keeper_state_str(enum keeper_state state)
{
	switch (state) {
	case KEEPER_STARTING:
		return "starting";
	case KEEPER_RUNNING:
		return "running";
	case KEEPER_DRAINING:
		return "draining";
	case KEEPER_STOPPING:
		return "stopping";
	}
	return "?";
}

void keeper_notify_status(struct keeper *k)
{
	struct relay_counters c;

	k->status_told_ms = clock_now_ms();
	team_counters(k->team, &c);
	notify_send("STATUS=%s: %llu links, %llu circuits", keeper_state_str(k->state),
		    (unsigned long long)c.links, (unsigned long long)c.circuits);
}

/* -- stopping ------------------------------------------------------------------ */

void keeper_stop_now(struct keeper *k)
{
	k->state = KEEPER_STOPPING;
	event_state(k);
	event_base_loopbreak(k->base);
}

static void stop_timer_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	log_notice("Circuits are still open; stopping all the same.");
	keeper_stop_now(arg);
}

void keeper_stop(struct keeper *k, const char *why)
{
	struct timeval wait = { .tv_sec = k->config->shutdown_wait };

	if (k->state >= KEEPER_DRAINING) {
		log_notice("Asked a second time; stopping at once. reason=\"%s\"", why);
		keeper_stop_now(k);
		return;
	}
	log_notice("Stopping: no new circuits; the open ones have %u seconds. reason=\"%s\"",
		   k->config->shutdown_wait, why);
	k->state = KEEPER_DRAINING;
	event_state(k);
	hand_over_refuse(k->hand_over, "the running nonosd was told to stop");
	notify_send("STOPPING=1");
	keeper_notify_status(k);
	/* The sockets are open here, too: without this new links would wait unheard. */
	listeners_close(&k->listeners);
	team_drain(k->team, RELAY_DRAIN_STOP);
	event_add(k->stop_timer, &wait);
}

static void on_drained(void *arg)
{
	struct keeper *k = arg;

	if (k->state != KEEPER_DRAINING)
		return;
	k->drained = true;
	/* It tells us, as long as it lives, what it has counted, and we tell the next. */
	if (k->moved && take_over_other_lives(k->take))
		return;
	log_notice("All circuits are closed.");
	keeper_stop_now(k);
}

void keeper_predecessor_ended(struct keeper *k)
{
	if (k->drained)
		on_drained(k);
}

/* -- signals ------------------------------------------------------------------- */

static void reload_by_signal(struct keeper *k)
{
	char err[1024];
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	if (k->state == KEEPER_RUNNING)
		notify_send("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
	if (keeper_reload(k, false, NULL, err, sizeof(err)) == 0)
		log_notice("The configuration was read again.");
	if (k->state == KEEPER_RUNNING)
		notify_send("READY=1");
}

static void signal_cb(evutil_socket_t number, short what, void *arg)
{
	struct keeper *k = arg;

	(void)what;
	clock_update();
	switch (number) {
	case SIGTERM:
	case SIGINT:
		keeper_stop(k, strsignal(number));
		break;
	case SIGHUP:
		reload_by_signal(k);
		break;
	case SIGUSR1:
		status_log_counters(k);
		break;
	case SIGCHLD:
		team_reap(k->team);
		break;
	}
}

/* -- what is due --------------------------------------------------------------- */

void keeper_save_state(struct keeper *k)
{
	int r = bandwidth_save(&k->bandwidth, k->config->data_dir);

	keeper_totals_save(k);

	k->bandwidth_saved_ms = clock_now_ms();
	if (r < 0)
		log_warn("The bandwidth history cannot be saved in %s. error=\"%s\"", k->config->data_dir,
			 err_str(r));
}

/*
 * Only an operator can renew the signing key when the master key is elsewhere;
 * else it was renewed two days before its end, unless that failed.
 */
static void warn_of_expiry(struct keeper *k)
{
	int64_t now = clock_wall(), left = keys_signing_expires(k->keys) - now;
	bool offline = keys_master_is_offline(k->keys);
	const char *what = offline ? "Where the master key is run \"nonosctl key master renew\", copy the two files into the keys "
				     "directory, and reload."
				   : "It could not be renewed, see above.";

	if (left >= (offline ? EXPIRY_WARN_S : EXPIRY_URGENT_S / 2) ||
	    (k->expiry_warned && now - k->expiry_warned < 86400))
		return;
	k->expiry_warned = now;
	if (left <= 0)
		log_error("The signing key has expired, so other relays refuse us. %s", what);
	else if (left < EXPIRY_URGENT_S)
		log_error("The signing key expires in %lld hours. %s", (long long)left / 3600, what);
	else
		log_warn("The signing key expires in %lld days. %s", (long long)left / 86400, what);
}

void keeper_keys_changed(struct keeper *k, int changed)
{
	if (changed & KEYS_CHANGED_SIGNING)
		keeper_renew_link(k);
	if (changed & (KEYS_CHANGED_ONION | KEYS_CHANGED_OLD_ONION))
		keeper_feed_onion_keys(k);
	if (changed & (KEYS_CHANGED_SIGNING | KEYS_CHANGED_ONION))
		keeper_publish(k, "keys changed");
	event_keys(k, changed);
}

static void maintain_keys(struct keeper *k)
{
	int changed = 0, r;

	r = keys_maintain(k->keys, clock_wall(), &changed);
	if (r < 0)
		log_error("The keys in %s/keys cannot be kept up. error=\"%s\"", k->config->data_dir, err_str(r));
	keeper_keys_changed(k, changed);
	warn_of_expiry(k);
}

static void hour_cb(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;

	(void)fd;
	(void)what;
	clock_update();
	if (keeper_may_write(k))
		maintain_keys(k);
}

/*
 * A machine without a battery clock starts in the past until somebody tells it
 * the time. What was dated by then, nobody takes: link certificates would be
 * wrong for half a day and the descriptor for most of one.
 */
static void check_clock(struct keeper *k)
{
	int64_t step = k->state == KEEPER_RUNNING && keeper_may_write(k) ? clock_step(&k->clock) : 0;

	if (step > -CLOCK_STEP_S && step < CLOCK_STEP_S)
		return;
	log_notice("The clock was set; certificates and descriptor are made anew. by_s=%lld", (long long)step);
	bandwidth_clock_set(&k->bandwidth, step);
	maintain_keys(k);
	k->link_renew_ms = clock_now_ms();
	keeper_publish(k, "the clock was set");
}

static void key_expired(const struct eth_addr *a)
{
	char text[ETH_ADDR_TEXT_CAP];

	eth_addr_text(text, a);
	log_notice("The time of an operator key is over; it is locked. address=%s", text);
}

static void second_cb(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;
	struct relay_counters c;

	(void)fd;
	(void)what;
	clock_update();
	check_clock(k);
	key_agent_expire(k->key_agent, clock_now_ms(), key_expired);
	team_tick(k->team);
	team_counters(k->team, &c);
	bandwidth_update(&k->bandwidth, clock_wall(), c.read_bytes, c.written_bytes);
	event_second(k, &c);
	keeper_count(k, &c);
	if (k->link)
		keeper_share_rate(k);
	if (clock_now_ms() - k->bandwidth_saved_ms >= BANDWIDTH_SAVE_MS && keeper_may_write(k))
		keeper_save_state(k);
	if (k->moved)
		keeper_tell_counters(k);
	/* One authority's word counts after a while, so this is also a matter of time. */
	if (k->v4.family == ADDR_NONE)
		keeper_update_address(k);
	if (clock_now_ms() >= k->link_renew_ms && k->state == KEEPER_RUNNING)
		if (keeper_renew_link(k) < 0)
			k->link_renew_ms = clock_now_ms() + 3600 * 1000;
	keeper_check_bandwidth(k);
	if (clock_now_ms() - k->status_told_ms >= STATUS_INTERVAL_MS)
		keeper_notify_status(k);
}

static void watchdog_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	notify_send("WATCHDOG=1");
}

/* -- hooks of the team ----------------------------------------------------------- */

static void on_ready(void *arg)
{
	struct keeper *k = arg;

	if (k->taking)
		keeper_ready_to_take(k);
	else if (k->state == KEEPER_STARTING)
		keeper_running(k);
}

void keeper_running(struct keeper *k)
{
	k->state = KEEPER_RUNNING;
	event_state(k);
	log_notice("The relay accepts links. workers=%u", team_size(k->team));
	notify_send("READY=1");
	keeper_notify_status(k);
	if (k->ready_fd >= 0) {
		(void)!write(k->ready_fd, "", 1);
		close(k->ready_fd);
		k->ready_fd = -1;
	}
	keeper_publish(k, "start");
}

static void on_clock_skew(struct keeper *k, const struct message_skew *m)
{
	if (keeper_knows_authority(k, m->peer_rsa_id))
		log_limited(LOG_LEVEL_WARN, "An authority's clock differs from ours by %lld seconds; check this machine's.",
			    (long long)m->skew_s);
	else
		log_limited(LOG_LEVEL_INFO, "A peer's clock differs from ours by %lld seconds.", (long long)m->skew_s);
}

static void on_reached(struct keeper *k)
{
	if (k->reached)
		return;
	k->reached = true;
	log_notice("Another relay has connected: the OR port is reachable.");
}

/* What a worker passes on came from peers; a worker is not believed more than they are. */
static int on_message(void *arg, unsigned index, struct frame *f)
{
	struct keeper *k = arg;
	struct message_seen seen;
	struct message_skew skew;
	int r = 0;

	switch (f->row->type) {
	case MSG_ADDRESS_SEEN:
		r = message_seen_read(&seen, &f->payload);
		if (r == 0 && keeper_knows_authority(k, seen.peer_rsa_id))
			keeper_address_seen(k, &seen.ours, seen.peer_rsa_id);
		break;
	case MSG_CLOCK_SKEW:
		r = message_skew_read(&skew, &f->payload);
		if (r == 0)
			on_clock_skew(k, &skew);
		break;
	case MSG_REACHED:
		on_reached(k);
		break;
	case MSG_LINKS: case MSG_CIRCUITS: case MSG_DNS:
		r = asks_message(k->asks, index, f);
		break;
	}
	return r;
}

static void send_ask(void *arg, unsigned index, const struct message_ask *m)
{
	struct keeper *k = arg;
	uint8_t buf[16];
	struct wr body = wr_init(buf, sizeof(buf));

	message_ask_write(&body, m);
	team_send(k->team, index, MSG_ASK, buf, wr_len(&body), -1);
}

static bool worker_is_ready(void *arg, unsigned index)
{
	const struct keeper *k = arg;
	struct member_status m;

	team_status(k->team, index, &m);
	return m.state == MEMBER_READY;
}

/* -- starting ------------------------------------------------------------------- */

static int fail(const char *err)
{
	log_error("%s", err);
	return ERR_STATE;
}

static void make_events(struct keeper *k)
{
	static const struct timeval second = { .tv_sec = 1 }, hour = { .tv_sec = 3600 };
	unsigned ms = notify_watchdog_ms();
	struct timeval watchdog = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	for (size_t i = 0; i < KEEPER_SIGNALS; i++) {
		k->signals[i] = evsignal_new(k->base, signal_numbers[i], signal_cb, k);
		if (!k->signals[i] || event_add(k->signals[i], NULL) < 0)
			mem_fail();
	}
	k->second = event_new(k->base, -1, EV_PERSIST, second_cb, k);
	k->hour = event_new(k->base, -1, EV_PERSIST, hour_cb, k);
	k->watchdog = event_new(k->base, -1, EV_PERSIST, watchdog_cb, k);
	k->stop_timer = event_new(k->base, -1, 0, stop_timer_cb, k);
	if (!k->second || !k->hour || !k->watchdog || !k->stop_timer)
		mem_fail();
	event_add(k->second, &second);
	event_add(k->hour, &hour);
	if (ms)
		event_add(k->watchdog, &watchdog);
}

static int open_lock(struct keeper *k, uid_t uid, gid_t gid, char *err, size_t err_cap)
{
	if (!k->taking)
		return process_lock(&k->lock_fd, k->config->data_dir, uid, gid, err, err_cap);
	k->lock_fd = take_over_socket(k->take, HAND_LOCK);
	return process_check_lock(k->lock_fd, k->config->data_dir, err, err_cap);
}

static int open_sockets(struct keeper *k, char *err, size_t err_cap)
{
	const struct config *c = k->config;
	struct given_listener *given = NULL;
	size_t n_given = 0;

	if (k->taking)
		given = take_over_listeners(k->take, &n_given);
	return listeners_open(&k->listeners, c->or_listen.v, c->or_listen.n, k->one_process ? 1 : config_workers(c),
			      given, n_given, err, err_cap);
}

/* What only root may do: ports below 1024, directories elsewhere; then root is given up. */
static int open_ground(struct keeper *k, bool take_over)
{
	const struct config *c = k->config;
	char err[PROCESS_ERR_CAP];
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	if (c->user && geteuid() == 0 && process_find_user(&uid, &gid, c->user, err, sizeof(err)) < 0)
		return fail(err);
	if (c->control_socket_group && process_find_group(&k->control_group, c->control_socket_group, err, sizeof(err)) < 0)
		return fail(err);
	process_raise_files();
	/* The lock comes first: it names the other daemon, a port that is taken does not. */
	if (process_make_dir(c->data_dir, uid, gid, err, sizeof(err)) < 0 ||
	    (take_over && keeper_take_over(k, uid, err, sizeof(err)) < 0) ||
	    open_lock(k, uid, gid, err, sizeof(err)) < 0 || open_sockets(k, err, sizeof(err)) < 0 ||
	    process_make_parent(c->control_socket, uid, gid, err, sizeof(err)) < 0)
		return fail(err);
	if (c->metrics_socket && process_make_parent(c->metrics_socket, uid, gid, err, sizeof(err)) < 0)
		return fail(err);
	if (c->pid_file && !k->taking && process_write_pid(c->pid_file, uid, gid, err, sizeof(err)) < 0)
		return fail(err);
	if (c->user && geteuid() == 0 && process_become_user(c->user, err, sizeof(err)) < 0)
		return fail(err);
	process_protect_memory();
	return 0;
}

void keeper_settle_keys(struct keeper *k)
{
	if (keys_write_fingerprints(k->keys, k->config->nickname) < 0)
		log_warn("The fingerprint files in %s cannot be written.", k->config->data_dir);
	maintain_keys(k);
}

static int open_keys(struct keeper *k)
{
	char err[PROCESS_ERR_CAP], rsa[41], ed[BASE64_CAP(32)], id[FAMILY_ID_CAP];

	if (keys_open(&k->keys, k->config->data_dir, clock_wall(), err, sizeof(err)) < 0)
		return fail(err);
	hex_encode_upper(rsa, keys_rsa_id(k->keys), 20);
	base64_encode(ed, keys_ed_id(k->keys), 32, false);
	log_notice("This relay's identity. nickname=%s fingerprint=%s ed25519=%s", k->config->nickname, rsa, ed);
	if (keeper_open_families(&k->families, k, k->config, err, sizeof(err)) < 0)
		return fail(err);
	for (size_t i = 0; i < families_count(k->families); i++)
		log_notice("This relay is in a family. id=%s", family_id_format(id, families_id(k->families, i)));
	if (!k->taking)
		keeper_settle_keys(k);
	if (keeper_renew_link(k) < 0)
		return fail("Link certificates cannot be made: is the signing key still valid?");
	return 0;
}

int keeper_open_control(struct keeper *k, int given_fd)
{
	static const ctl_run_fn handlers[COMMAND_COUNT] = {
#define HANDLER_DAEMON(name) [COMMAND_ID_##name] = cmd_##name,
#define HANDLER_LOCAL(name)
#define COMMAND(name, words, where, flags, sentence) HANDLER_##where(name)
#define ARG(name, arg, kind, min, max, flags, placeholder, sentence)
#include <nonos/commands.def>
#undef COMMAND
#undef ARG
	};
	const struct config *c = k->config;
	char err[PROCESS_ERR_CAP];

	if (!k->tokens)
		k->tokens = token_store_new(c->data_dir);
	k->commands = (struct ctl_commands){ commands_all(), handlers, COMMAND_COUNT, k };
	if (given_fd >= 0)
		ctl_server_adopt(&k->control, k->base, given_fd, c->control_socket, (mode_t)c->control_socket_mode,
				 k->control_group, &k->commands);
	else if (ctl_server_new(&k->control, k->base, c->control_socket, (mode_t)c->control_socket_mode,
				k->control_group, &k->commands, err, sizeof(err)) < 0)
		return fail(err);
	return 0;
}

static void load_state(struct keeper *k)
{
	struct relay_counters c;
	int r;

	bandwidth_init(&k->bandwidth, clock_wall());
	k->bandwidth_saved_ms = clock_now_ms();
	r = bandwidth_load(&k->bandwidth, k->config->data_dir, clock_wall());
	if (r < 0 && r != ERR_NOT_FOUND)
		log_warn("The bandwidth history in %s is not used and begins anew. error=\"%s\"",
			 k->config->data_dir, err_str(r));
	keeper_totals_open(k);
	/* What was counted by now is in the file. */
	team_counters(k->team, &c);
	k->bandwidth.read_total = c.read_bytes;
	k->bandwidth.write_total = c.written_bytes;
}

int keeper_open_ours(struct keeper *k, char *err, size_t err_cap)
{
	int r = keeper_metrics_start(k, err, err_cap);

	if (r == 0)
		r = keeper_offer(k, err, err_cap);
	load_state(k);
	k->settle = settle_new(k->base, k->config);
	settle_use_commands(k->settle, &k->commands);
	settle_watch(k->settle, event_tell, k);
	return r;
}

/* The workers are started before any key is read, so that none is ever in their image. */
static int keeper_start(struct keeper *k, bool take_over)
{
	struct team_hooks hooks = {
		.greet = keeper_greet, .ready = on_ready, .message = on_message, .drained = on_drained,
		.changed = event_worker, .arg = k,
	};
	struct asks_hooks ask_hooks = { .send = send_ask, .is_ready = worker_is_ready, .arg = k };
	char err[PROCESS_ERR_CAP];

	keeper_note_program(k);
	k->base = event_base_new();
	if (!k->base)
		return fail("libevent cannot start.");
	if (open_ground(k, take_over) < 0)
		return ERR_STATE;
	k->team = team_new(k->base, config_workers(k->config), k->one_process, &hooks);
	ask_hooks.n_workers = team_size(k->team);
	k->asks = asks_new(k->base, &ask_hooks);
	make_events(k);
	if (team_start(k->team) < 0)
		return ERR_SYSTEM;
	if (crypto_init() < 0)
		return fail("libcrypto or libsodium cannot start.");
	if (keeper_confine(k, err, sizeof(err)) < 0)
		return fail(err);
	/* Before the keys, so that a socket that cannot be had leaves no new identity behind. */
	if (!keeper_is_given_control(k) && keeper_open_control(k, -1) < 0)
		return ERR_STATE;
	if (!k->taking && keeper_open_ours(k, err, sizeof(err)) < 0)
		return fail(err);
	keeper_update_address(k);
	if (open_keys(k) < 0)
		return ERR_STATE;
	if (!k->taking && keeper_directory_start(k, err, sizeof(err)) < 0)
		return fail(err);
	team_greet(k->team);
	return 0;
}

static void keeper_end(struct keeper *k)
{
	struct event *const events[] = { k->second, k->hour, k->watchdog, k->stop_timer };

	hand_over_refuse(k->hand_over, "the running nonosd stops");
	http_server_free(k->metrics);
	ctl_server_free(k->control);
	k->control = NULL;
	token_store_free(k->tokens);
	directory_free(k->directory);
	settle_free(k->settle);
	asks_free(k->asks);
	if (k->keys && keeper_may_write(k))
		keeper_save_state(k);
	team_free(k->team);
	totals_close(k->totals_file);
	keys_free(k->keys);
	key_agent_free(k->key_agent);
	hand_over_free(k->hand_over);
	take_over_free(k->take);
	families_free(k->families);
	secret_free(k->link);
	for (size_t i = 0; i < KEEPER_SIGNALS; i++)
		if (k->signals[i])
			event_free(k->signals[i]);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i])
			event_free(events[i]);
	if (k->base)
		event_base_free(k->base);
	listeners_close(&k->listeners);
	for (size_t i = 0; i < DIR_DOC_KINDS; i++)
		if (k->documents[i] >= 0)
			close(k->documents[i]);
	if (k->config->pid_file)
		process_remove_pid(k->config->pid_file);
	if (k->lock_fd >= 0)
		close(k->lock_fd);
	config_free(k->config);
}

static int load_config(struct keeper *k)
{
	struct config_report rep = { 0 };

	if (config_load(&k->config, &rep, k->config_path) == 0)
		return 0;
	fputs(rep.text, stderr);
	log_error("The configuration is not good; nothing was started. mistakes=%u", rep.count);
	config_report_free(&rep);
	return ERR_CONFIG;
}

/* What passes through JSON and the sockets' buffers may hold a key: nothing of it stays in freed memory. */
static void wipe_on_free(void)
{
	json_set_alloc_funcs(malloc, mem_free_wiped);
	event_set_mem_functions(malloc, realloc, mem_free_wiped);
}

int keeper_main(const struct keeper_options *o)
{
	struct keeper k = { .config_path = o->config_path, .one_process = o->one_process, .lock_fd = -1,
			    .control_group = (gid_t)-1, .addr_source = "none", .ready_fd = o->ready_fd };
	int r;

	wipe_on_free();
	log_set_ident("nonosd");
	k.key_agent = key_agent_new();
	memset(k.documents, 0xff, sizeof(k.documents));
	umask(0077);
	signal(SIGPIPE, SIG_IGN);
	notify_init();
	if (load_config(&k) < 0)
		return 1;
	log_set_level(k.config->log_level);
	log_set_redact(k.config->log_redact);
	log_set_target(k.config->log_target);
	clock_update();
	k.started_ms = clock_now_ms();
	clock_step(&k.clock);
	log_notice("nonosd %s starts.", PACKAGE_VERSION);
	r = keeper_start(&k, o->take_over);
	if (r == 0) {
		event_base_dispatch(k.base);
		log_notice("nonosd stops.");
	}
	keeper_end(&k);
	return r == 0 && !k.failed ? 0 : 1;
}
