#include "config.h"

#include "worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/process.h>
#include <nonos/relay.h>
#include <nonos/secret.h>

#include "pipe.h"
#include "sandbox.h"

enum { SEEN_INTERVAL_MS = 1000, SKEW_INTERVAL_MS = 60000 };

struct worker {
	struct pipe *pipe;
	struct relay *relay;
	struct event *tick;
	struct worker_hooks hooks;
	int files_fd;		/* open from the start: a confined worker opens no files */
	bool own_log;
	bool reached_told, drained_told;
	uint64_t seen_next_ms, skew_next_ms;
};

/* -- from the relay to the keeper ------------------------------------------- */

static void send_up(struct worker *w, enum message_type type, const struct wr *body)
{
	(void)pipe_send(w->pipe, type, body ? body->start : NULL, body ? wr_len(body) : 0, -1);
}

/* Peers can trigger this, so it is thinned out before it costs the keeper anything. */
static void on_address_seen(void *arg, const struct addr *ours, const uint8_t peer_rsa_id[20])
{
	struct message_seen m = { .ours = *ours };
	struct worker *w = arg;
	uint8_t buf[64];
	struct wr body = wr_init(buf, sizeof(buf));

	if (ours->family == ADDR_NONE || clock_now_ms() < w->seen_next_ms)
		return;
	w->seen_next_ms = clock_now_ms() + SEEN_INTERVAL_MS;
	memcpy(m.peer_rsa_id, peer_rsa_id, sizeof(m.peer_rsa_id));
	message_seen_write(&body, &m);
	send_up(w, MSG_ADDRESS_SEEN, &body);
}

static void on_clock_skew(void *arg, int64_t skew_s, const uint8_t peer_rsa_id[20])
{
	struct message_skew m = { .skew_s = skew_s };
	struct worker *w = arg;
	uint8_t buf[64];
	struct wr body = wr_init(buf, sizeof(buf));

	if (clock_now_ms() < w->skew_next_ms)
		return;
	w->skew_next_ms = clock_now_ms() + SKEW_INTERVAL_MS;
	memcpy(m.peer_rsa_id, peer_rsa_id, sizeof(m.peer_rsa_id));
	message_skew_write(&body, &m);
	send_up(w, MSG_CLOCK_SKEW, &body);
}

static void on_reached(void *arg)
{
	struct worker *w = arg;

	if (w->reached_told)
		return;
	w->reached_told = true;
	send_up(w, MSG_REACHED, NULL);
}

static void send_counters(struct worker *w)
{
	uint8_t buf[sizeof(struct relay_counters)];
	struct wr body = wr_init(buf, sizeof(buf));
	struct relay_counters c;

	relay_counters(w->relay, &c);
	c.cpu_us = process_cpu_us();
	c.open_files = process_open_files(w->files_fd);
	message_counters_write(&body, &c);
	send_up(w, MSG_COUNTERS, &body);
}

static void on_drained(void *arg)
{
	struct worker *w = arg;

	if (w->drained_told)
		return;
	w->drained_told = true;
	send_counters(w);	/* the last word on what was carried */
	send_up(w, MSG_DRAINED, NULL);
}

static void tick_cb(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	clock_update();
	/* A keeper that is slow to read gets fewer of them, not a queue of old ones. */
	if (pipe_queued(w->pipe) == 0)
		send_counters(w);
}

/* -- from the keeper to the relay ------------------------------------------- */

static int take_log(struct worker *w, struct rd *r)
{
	struct message_log m;

	if (message_log_read(&m, r) < 0)
		return ERR_MALFORMED;
	if (!w->own_log)
		return 0;
	log_set_level(m.level);
	log_set_redact(m.redact);
	log_set_target(m.target);
	return 0;
}

static int take_config(struct worker *w, struct rd *r)
{
	struct message_config_text *text = mem_new(sizeof(*text));
	struct relay_config c;
	int err = message_config_read(&c, text, r);

	if (err == 0)
		err = relay_set_config(w->relay, &c);
	free(text);
	return err;
}

static int take_link_keys(struct worker *w, struct rd *r)
{
	struct secret *room = secret_new(NULL, sizeof(struct link_keys));
	struct link_keys *k = (struct link_keys *)secret_data_mut(room);
	int err = message_link_keys_read(k, r);

	if (err == 0)
		err = relay_set_link_keys(w->relay, k);
	secret_free(room);
	return err;
}

static int take_onion_keys(struct worker *w, struct rd *r)
{
	struct onion_keys k;
	int err = message_onion_keys_read(&k, r);

	if (err == 0)
		err = relay_set_onion_keys(w->relay, &k);
	secret_wipe(&k, sizeof(k));
	return err;
}

static int take_params(struct worker *w, struct rd *r)
{
	struct net_params p;
	int err = message_params_read(&p, r);

	if (err == 0)
		relay_set_params(w->relay, &p);
	return err;
}

/* A document the relay does not like is not the pipe's fault: the old one stays. */
static int take_document(struct worker *w, struct rd *r, int fd)
{
	uint8_t kind = rd_u8(r);
	int err = relay_set_document(w->relay, kind, fd);

	if (err < 0)
		log_warn("A directory document from the keeper was refused. kind=%u error=\"%s\"", kind,
			 err_str(err));
	return 0;
}

static int take_listen(struct worker *w, struct rd *r, int fd)
{
	uint8_t more = rd_u8(r);
	int err = relay_listen(w->relay, fd);

	if (err == 0 && more == 0)
		send_up(w, MSG_READY, NULL);
	return err;
}

/*
 * Comes after the configuration, with which the resolver read its files, and
 * before any key or listener: no stranger has spoken yet.
 */
static int take_confine(struct worker *w)
{
	struct sandbox_state s;
	char lacks[64], err[256];
	uint8_t buf[8];
	struct wr body = wr_init(buf, sizeof(buf));
	int r;

	log_open_syslog();	/* the target may change later */
	tzset();
	r = sandbox_enter(&s, SANDBOX_WORKER, NULL, 0, lacks, sizeof(lacks), err, sizeof(err));
	if (r < 0) {
		log_error("The worker cannot confine itself. %s", err);
		return r;
	}
	message_confined_write(&body, &s);
	send_up(w, MSG_CONFINED, &body);
	return 0;
}

static void answer_links(struct worker *w, const struct message_ask *m, struct wr *body)
{
	struct link_page *page = mem_new(sizeof(*page));

	relay_link_page(w->relay, m->from, page);
	message_links_write(body, m->id, page);
	send_up(w, MSG_LINKS, body);
	free(page);
}

static int take_ask(struct worker *w, struct rd *r)
{
	uint8_t *buf = mem_new(FRAME_PAYLOAD_MAX);
	struct wr body = wr_init(buf, FRAME_PAYLOAD_MAX);
	struct circuits_view circuits;
	struct dns_view dns;
	struct message_ask m;
	int err = message_ask_read(&m, r);

	if (err < 0)
		goto out;
	switch ((enum message_ask_kind)m.kind) {
	case ASK_LINKS:
		answer_links(w, &m, &body);
		break;
	case ASK_CIRCUITS:
		relay_circuits_view(w->relay, &circuits);
		message_circuits_write(&body, m.id, &circuits);
		send_up(w, MSG_CIRCUITS, &body);
		break;
	case ASK_DNS:
		relay_dns_view(w->relay, &dns);
		message_dns_write(&body, m.id, &dns);
		send_up(w, MSG_DNS, &body);
		break;
	}
out:
	free(buf);
	return err;
}

static int take_drain(struct worker *w, struct rd *r)
{
	enum relay_drain how;
	int err = message_drain_read(&how, r);

	if (err < 0)
		return err;
	w->drained_told = false;
	relay_drain(w->relay, how);
	return 0;
}

static int take_rate(struct worker *w, struct rd *r)
{
	uint64_t rate = rd_u64(r), burst = rd_u64(r);

	if (rd_done(r) < 0)
		return ERR_MALFORMED;
	relay_set_rate(w->relay, rate, burst);
	return 0;
}

static int take_frame(struct worker *w, struct frame *f, int fd)
{
	switch ((enum message_type)f->row->type) {
	case MSG_LOG:
		return take_log(w, &f->payload);
	case MSG_CONFIG:
		return take_config(w, &f->payload);
	case MSG_LINK_KEYS:
		return take_link_keys(w, &f->payload);
	case MSG_ONION_KEYS:
		return take_onion_keys(w, &f->payload);
	case MSG_PARAMS:
		return take_params(w, &f->payload);
	case MSG_DOCUMENT:
		return take_document(w, &f->payload, fd);
	case MSG_LISTEN:
		return take_listen(w, &f->payload, fd);
	case MSG_CONFINE:
		return take_confine(w);
	case MSG_DRAIN:
		return take_drain(w, &f->payload);
	case MSG_RATE:
		return take_rate(w, &f->payload);
	case MSG_WAIT:
		send_up(w, MSG_READY, NULL);
		return 0;
	case MSG_ASK:
		return take_ask(w, &f->payload);
	case MSG_READY: case MSG_COUNTERS: case MSG_ADDRESS_SEEN: case MSG_CLOCK_SKEW:
	case MSG_REACHED: case MSG_DRAINED: case MSG_CONFINED:
	case MSG_LINKS: case MSG_CIRCUITS: case MSG_DNS:
	case MSG_TAKE_ASK: case MSG_TAKE_READY: case MSG_GIVE_STATE: case MSG_GIVE_SOCKET: case MSG_GIVE_ALL:
	case MSG_GIVE_DONE: case MSG_GIVE_REFUSED: case MSG_GIVE_COUNTERS:
		break;
	}
	return ERR_MALFORMED;	/* frame_parse() lets none of these through */
}

static int on_message(void *arg, struct frame *f, int fd)
{
	struct worker *w = arg;
	int err = take_frame(w, f, fd);

	if (err < 0)
		log_error("A message from the keeper was not accepted. message=%s error=\"%s\"",
			  f->row->name, err_str(err));
	return err;
}

static void on_ended(void *arg, int why)
{
	struct worker *w = arg;

	event_del(w->tick);
	w->hooks.ended(w->hooks.arg, why);
}

/* -- life -------------------------------------------------------------------- */

struct worker *worker_new(struct event_base *base, int fd, bool own_log, const struct worker_hooks *hooks)
{
	static const struct timeval second = { .tv_sec = 1 };
	struct worker *w = mem_new(sizeof(*w));
	struct pipe_hooks pipe_hooks = { .message = on_message, .ended = on_ended, .arg = w };
	struct relay_hooks relay_hooks = {
		.address_seen = on_address_seen, .clock_skew = on_clock_skew,
		.drained = on_drained, .reached = on_reached, .arg = w,
	};

	w->hooks = *hooks;
	w->own_log = own_log;
	w->files_fd = process_files_open();
	w->pipe = pipe_new(base, fd, MSG_DOWN, &pipe_hooks);
	w->relay = relay_new(base, &relay_hooks);
	w->tick = event_new(base, -1, EV_PERSIST, tick_cb, w);
	if (!w->tick)
		mem_fail();
	event_add(w->tick, &second);
	return w;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	event_free(w->tick);
	relay_free(w->relay);
	pipe_free(w->pipe);
	if (w->files_fd >= 0)
		close(w->files_fd);
	free(w);
}

struct process_end {
	struct event_base *base;
	int why;
};

static void process_ended(void *arg, int why)
{
	struct process_end *end = arg;

	end->why = why;
	event_base_loopbreak(end->base);
}

/*
 * A terminal's ^C and systemd's SIGTERM reach every process of the group; what
 * they mean is the keeper's to say, over the pipe.
 */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
}

/* Somebody may type --worker at a prompt. */
static bool has_pipe(void)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(WORKER_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

int worker_main(unsigned index)
{
	struct process_end end = { .base = NULL };
	struct worker_hooks hooks = { .ended = process_ended, .arg = &end };
	struct worker *w;
	char ident[40];

	if (!has_pipe()) {
		fputs("nonosd: --worker is how a running nonosd starts its workers\n", stderr);
		return 2;
	}
	ignore_signals();
	/* Should the pipe's end ever be missed, the kernel still takes the worker along. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Whatever the keeper's parent had left open is no business of a worker's. */
	(void)!close_range(WORKER_FD + 1, ~0u, 0);
	process_protect_memory();
	snprintf(ident, sizeof(ident), "nonosd[worker %u]", index);
	log_set_ident(ident);
	if (crypto_init() < 0 || !(end.base = event_base_new())) {
		log_error("The worker cannot start: libcrypto or libevent failed.");
		return 1;
	}
	w = worker_new(end.base, WORKER_FD, true, &hooks);
	event_base_dispatch(end.base);
	worker_free(w);
	event_base_free(end.base);
	if (end.why != ERR_CLOSED)
		log_error("The worker stops: its pipe to the keeper failed. error=\"%s\"", err_str(end.why));
	return end.why == ERR_CLOSED ? 0 : 1;
}
