/*
 * The root object of a worker: holds configuration, credentials and limits,
 * owns links and circuits, and keeps the second's tick. See relay.h.
 */
#include "config.h"

#include <nonos/relay.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/limit.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/policy.h>
#include <nonos/secret.h>
#include <nonos/tls.h>

#include "circuit.h"
#include "circuit_extend.h"
#include "dir/dirserv.h"
#include "handshake_queue.h"
#include "link.h"
#include "link_io.h"
#include "memory.h"
#include "pad.h"
#include "relay_priv.h"
#include "resolve.h"
#include "sched.h"

enum { TRIM_EVERY_S = 10 };

static_assert(sizeof(struct cc_params) == sizeof(((struct net_params *)0)->cc),
	      "net_params carries struct cc_params as it is");

/* -- the clock's work ---------------------------------------------------- */

/* A cell either way begins the wait anew, with another length (padding-spec 2.2). */
static void pad_link(struct link *l, uint64_t now)
{
	if (l->pad_from_ms != l->active_ms) {
		l->pad_from_ms = l->active_ms;
		l->pad_due_ms = l->active_ms + pad_next_ms(l->pad_low_ms, l->pad_high_ms);
	}
	if (now >= l->pad_due_ms && l->n_queued == 0)
		link_send_control(l, 0, CELL_PADDING, NULL, 0);
}

static void picture_link(struct link *l)
{
	uint64_t in = l->read_bytes >> 20, out = l->written_bytes >> 20;

	l->shown.read_mib = in < UINT32_MAX ? (uint32_t)in : UINT32_MAX;
	l->shown.written_mib = out < UINT32_MAX ? (uint32_t)out : UINT32_MAX;
}

static void tick_link(struct link *l, uint64_t now)
{
	if (l->state != LINK_OPEN) {
		if (now - l->created_ms > (l->initiator ? LINK_DIAL_MS : LINK_HANDSHAKE_MS))
			link_close(l, "the handshake took too long");
		return;
	}
	if (l->circs.used || l->waiting)
		l->used_ms = now;
	if (now - l->used_ms > (l->relay->draining == RELAY_DRAIN_MOVED ? LINK_MOVED_MS : LINK_IDLE_MS))
		link_close(l, "idle");
	else if (l->padding_wanted)
		pad_link(l, now);
}

static bool is_drained(const struct relay *r)
{
	switch (r->draining) {
	case RELAY_DRAIN_NONE:
	case RELAY_DRAIN_PAUSE:
	case RELAY_DRAIN_SLEEP:
		return false;
	case RELAY_DRAIN_STOP:
		return !r->circuits;
	case RELAY_DRAIN_MOVED:
		return !r->circuits && link_count(r) == 0;
	}
	return false;
}

void relay_tick(struct relay *r)
{
	uint64_t now = clock_now_ms();
	bool minute = now / 60000 != r->shown_min;

	r->shown_min = now / 60000;
	for (struct link *l = NULL; (l = link_next(r, l));) {
		if (minute)
			picture_link(l);
		if (l->state != LINK_CLOSED)
			tick_link(l, now);
	}
	for (struct circuit *c = r->circuits, *next; c; c = next) {
		next = c->all_next;
		circuit_extend_expire(c, now);
	}
	link_io_wake_listeners(r);
	limiter_expire(r->limiter, clock_now_us());
	memory_tick(r);
	if (now / 1000 % TRIM_EVERY_S == 0)
		pool_trim(r->pool);
	if (!r->drained && is_drained(r)) {
		r->drained = true;
		if (r->hooks.drained)
			r->hooks.drained(r->hooks.arg);
	}
}

static void tick_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	clock_update();
	relay_tick(arg);
}

static void round_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	clock_update();
	sched_round(arg);
}

static void throttle_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	clock_update();
	link_io_unthrottle(arg);
}

/* -- life ---------------------------------------------------------------- */

static void default_limits(struct relay_limits *l)
{
	*l = (struct relay_limits){
		.max_memory = UINT64_C(1) << 30,
		.links_per_addr = 1000,
		.links_total = 50000,
		.circuits_per_link = 100000,
		.handshake_queue = 4096,
		.cells_per_circuit = 5000,
		.streams_per_circuit = 1000,
	};
}

static void start_events(struct relay *r)
{
	static const struct timeval second = { 1, 0 };

	r->tick = event_new(r->base, -1, EV_PERSIST, tick_cb, r);
	r->round = evtimer_new(r->base, round_cb, r);
	r->throttle = evtimer_new(r->base, throttle_cb, r);
	if (!r->tick || !r->round || !r->throttle)
		mem_fail();
	event_add(r->tick, &second);
}

struct relay *relay_new(struct event_base *base, const struct relay_hooks *hooks)
{
	struct relay *r = mem_new(sizeof(*r));

	r->base = base;
	if (hooks)
		r->hooks = *hooks;
	default_limits(&r->config.limits);
	cc_params_default(&r->cc_params);
	r->params.cc_enabled = true;
	r->params.nf_ito_low = PAD_LOW_MS;
	r->params.nf_ito_high = PAD_HIGH_MS;
	r->pool = pool_new();
	r->links = link_table_new();
	r->handshakes = handshake_queue_new();
	r->limiter = limiter_new(&r->config.limits);
	r->dirserv = dirserv_new();
	r->scratch = link_scratch_new();
	r->memory = memory_new();
	r->dial = link_io_connect;
	r->flush = link_io_flush;
	bucket_init(&r->read_bucket, 0, 0, clock_now_us());
	bucket_init(&r->write_bucket, 0, 0, clock_now_us());
	if (base)
		start_events(r);
	return r;
}

static void free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

static void free_onion_keys(struct relay *r)
{
	for (size_t i = 0; i < 2; i++) {
		x25519_key_free((struct x25519_key *)r->hs_keys.onion[i]);
		r->hs_keys.onion[i] = NULL;
	}
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	link_io_close_listeners(r);
	for (struct link *l = NULL; (l = link_next(r, l));)
		link_close(l, "shutting down");
	while (r->dead_circuits || r->dead_links || r->flush_first || r->writable)
		sched_round(r);
	resolver_free(r->resolver);
	free_event(r->tick);
	free_event(r->round);
	free_event(r->throttle);
	dirserv_free(r->dirserv);
	limiter_free(r->limiter);
	handshake_queue_free(r->handshakes);
	link_table_free(r->links);
	pool_free(r->pool);
	link_scratch_free(r->scratch);
	memory_free(r->memory);
	link_creds_unref(r->creds);
	free_onion_keys(r);
	policy_free(r->policy);
	free((char *)r->config.exit_policy);
	free((char *)r->config.resolv_conf);
	free(r);
}

/* -- what the owner sets ------------------------------------------------- */

static int make_policy(struct policy **ret, const struct relay_config *c)
{
	struct policy *p;
	int e = policy_parse(&p, c->exit_policy ? c->exit_policy : "", NULL, 0);

	if (e < 0)
		return e;
	/* Own addresses stand in front: an exit must not be a way into its own host. */
	if (!c->allow_private) {
		policy_reject_private(p);
		if (c->advertised_v4.family)
			policy_reject_addr(p, &c->advertised_v4);
		if (c->advertised_v6.family)
			policy_reject_addr(p, &c->advertised_v6);
	}
	*ret = p;
	return 0;
}

int relay_set_config(struct relay *r, const struct relay_config *config)
{
	struct relay_config next = *config;
	struct policy *policy;
	int e = make_policy(&policy, config);

	if (e < 0)
		return e;
	next.exit_policy = mem_strdup(config->exit_policy ? config->exit_policy : "");
	next.resolv_conf = config->resolv_conf ? mem_strdup(config->resolv_conf) : NULL;
	if (!r->resolver && r->base) {
		e = resolver_new(&r->resolver, r->base, next.resolv_conf);
		if (e < 0)
			log_warn("Names cannot be resolved; the exit refuses them. error=\"%s\"", err_str(e));
	}
	policy_free(r->policy);
	free((char *)r->config.exit_policy);
	free((char *)r->config.resolv_conf);
	r->policy = policy;
	r->config = next;
	limiter_set_limits(r->limiter, &r->config.limits);
	bucket_set(&r->read_bucket, next.limits.bandwidth_rate, next.limits.bandwidth_burst);
	bucket_set(&r->write_bucket, next.limits.bandwidth_rate, next.limits.bandwidth_burst);
	return 0;
}

void link_creds_unref(struct link_creds *c)
{
	if (!c || --c->refs)
		return;
	tls_ctx_free(c->tls);
	secret_wipe(c, sizeof(*c));
	free(c);
}

int relay_set_link_keys(struct relay *r, const struct link_keys *keys)
{
	struct link_creds *c = mem_new(sizeof(*c));
	int e = tls_ctx_new(&c->tls, keys->tls_key, keys->tls_key_len, keys->tls_cert, keys->tls_cert_len);

	if (e < 0) {
		free(c);
		return e;
	}
	c->refs = 1;
	c->keys = *keys;
	link_creds_unref(r->creds);
	r->creds = c;
	memcpy(r->hs_keys.rsa_id, keys->rsa_id, sizeof(keys->rsa_id));
	memcpy(r->hs_keys.ed_id, keys->ed_id, sizeof(keys->ed_id));
	return 0;
}

int relay_set_onion_keys(struct relay *r, const struct onion_keys *keys)
{
	if (keys->count < 1 || keys->count > 2)
		return ERR_RANGE;
	free_onion_keys(r);
	for (size_t i = 0; i < keys->count; i++)
		r->hs_keys.onion[i] = x25519_key_new(keys->secret[i]);
	return 0;
}

void relay_set_rate(struct relay *r, uint64_t rate, uint64_t burst)
{
	r->config.limits.bandwidth_rate = rate;
	r->config.limits.bandwidth_burst = burst;
	bucket_set(&r->read_bucket, rate, burst);
	bucket_set(&r->write_bucket, rate, burst);
}

void relay_set_params(struct relay *r, const struct net_params *params)
{
	r->params = *params;
	memcpy(&r->cc_params, params->cc, sizeof(r->cc_params));
}

int relay_set_document(struct relay *r, uint8_t kind, int fd)
{
	return dirserv_set_document(r->dirserv, kind, fd);
}

int relay_listen(struct relay *r, int fd)
{
	return link_io_listen(r, fd);
}

void relay_drain(struct relay *r, enum relay_drain how)
{
	r->draining = how;
	r->drained = false;
	if (how == RELAY_DRAIN_STOP || how == RELAY_DRAIN_MOVED)
		link_io_close_listeners(r);
	if (how == RELAY_DRAIN_SLEEP)
		for (struct link *l = NULL; (l = link_next(r, l));)
			link_close(l, "asleep");
}
