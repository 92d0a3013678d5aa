/* See edge_fakes.h. */
#include "config.h"

#include "edge_fakes.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/mem.h>

#include "../../relay/dir/dirserv.h"
#include "../../relay/resolve.h"

struct fakes fakes;

void fakes_start(const char *policy, uint8_t sendme_inc)
{
	struct event_base *base = fakes.relay.base;

	memset(&fakes, 0, sizeof(fakes));
	fakes.keep = true;
	fakes.relay.base = base ? base : event_base_new();
	fakes.relay.config.allow_private = true;
	fakes.relay.config.dir_cache = true;
	fakes.relay.config.limits.streams_per_circuit = 100;
	fakes.relay.dirserv = (struct dirserv *)&fakes;
	fakes.relay.resolver = (struct resolver *)&fakes;
	cc_params_default(&fakes.relay.cc_params);
	if (!fakes.relay.base || policy_parse(&fakes.relay.policy, policy, NULL, 0) < 0)
		abort();
	fakes.circuit.relay = &fakes.relay;
	fakes.circuit.state = CIRCUIT_OPEN;
	fakes.dir_len = 20000;
	fakes.dir_piece = 700;
	fakes.edge = edge_new(&fakes.relay, &fakes.circuit, sendme_inc);
	fakes.circuit.edge = fakes.edge;
}

void fakes_forget(void)
{
	free(fakes.sent);
	fakes.sent = NULL;
	fakes.n_sent = fakes.cap_sent = 0;
}

void fakes_stop(void)
{
	edge_free(fakes.edge);
	policy_free(fakes.relay.policy);
	fakes_forget();
	if (fakes.dir_live || fakes.relay.counters.streams)
		abort();
}

/* -- circuit.h */

static void record(uint8_t cmd, uint16_t stream_id, const uint8_t *data, size_t len, const uint8_t *digest)
{
	struct sent *s;

	if (fakes.n_sent == fakes.cap_sent) {
		fakes.cap_sent = fakes.cap_sent ? 2 * fakes.cap_sent : 64;
		fakes.sent = mem_resize(fakes.sent, fakes.cap_sent, sizeof(*fakes.sent));
	}
	s = &fakes.sent[fakes.n_sent++];
	*s = (struct sent){ .cmd = cmd, .stream_id = stream_id, .len = (uint16_t)len };
	if (len)
		memcpy(s->data, data, len);
	memcpy(s->digest, digest, 20);
}

int circuit_send(struct circuit *c, uint8_t cmd, uint16_t stream_id, const uint8_t *data, size_t len,
		 uint8_t ret_digest[20])
{
	uint8_t digest[20] = { 0 };

	if (len > RELAY_DATA_MAX || c != &fakes.circuit)
		abort();
	if (c->state == CIRCUIT_CLOSED)
		return ERR_CLOSED;
	if (fakes.fail_after && --fakes.fail_after == 0) {
		circuit_close(c, DESTROY_RESOURCELIMIT);
		return ERR_LIMIT;
	}
	fakes.digests++;
	memcpy(digest, &fakes.digests, sizeof(fakes.digests));
	if (ret_digest)
		memcpy(ret_digest, digest, 20);
	if (fakes.keep)
		record(cmd, stream_id, data, len, digest);
	return 0;
}

void circuit_close(struct circuit *c, enum destroy_reason reason)
{
	c->state = CIRCUIT_CLOSED;
	c->close_reason = (uint8_t)reason;
}

struct addr circuit_prev_addr(const struct circuit *c)
{
	(void)c;
	return (struct addr){ .family = ADDR_V4, .ip = { 192, 0, 2, 77 } };
}

int fake_message(uint8_t cmd, uint16_t stream_id, const void *data, size_t len)
{
	static uint64_t count;
	uint8_t digest[20] = { 0xd1 };
	struct relay_msg m = { .cmd = cmd, .stream_id = stream_id, .len = (uint16_t)len, .data = data,
			       .digest = digest };

	count++;
	memcpy(digest + 1, &count, sizeof(count));
	return edge_handle(fakes.edge, &m);
}

/* -- resolve.h */

struct resolve_query {
	struct resolve_query *next;
	resolve_cb *cb;
	void *arg;
	char name[256];
	struct addr addr;
};

static struct resolve_query *held;

static void add_addr(struct resolve_answer *a, const char *text)
{
	if (addr_parse_ip(&a->addr[a->n_addr++], text, strlen(text)) < 0)
		abort();
}

static void make_answer(struct resolve_answer *a, const char *name, const struct addr *addr)
{
	*a = (struct resolve_answer){ .result = RESOLVE_OK, .ttl_s = RESOLVE_TTL_S };
	if (addr->family != ADDR_NONE)
		strcpy(a->name, addr->ip[0] == 10 ? "" : "back.example");
	if (!strcmp(name, "four") || !strcmp(name, "both"))
		add_addr(a, "127.0.0.1");
	if (!strcmp(name, "six") || !strcmp(name, "both"))
		add_addr(a, "::1");
	if (!strcmp(name, "mixed"))
		add_addr(a, "10.0.0.1");
	if (!strcmp(name, "mixed") || !strcmp(name, "public"))
		add_addr(a, "9.9.9.9");
	if (a->n_addr == 0 && !a->name[0])
		a->result = !strcmp(name, "broken") ? RESOLVE_TRANSIENT : RESOLVE_PERMANENT;
}

static int query(struct resolve_query **ret, const char *name, const struct addr *addr, resolve_cb *cb, void *arg)
{
	struct resolve_query *q;
	struct resolve_answer a;

	fakes.n_queries++;
	*ret = NULL;
	if (!strcmp(name, "busy"))
		return ERR_LIMIT;
	if (!fakes.hold) {
		make_answer(&a, name, addr);
		cb(arg, &a);
		return 0;
	}
	q = mem_new(sizeof(*q));
	*q = (struct resolve_query){ .next = held, .cb = cb, .arg = arg, .addr = *addr };
	strncpy(q->name, name, sizeof(q->name) - 1);
	*ret = held = q;
	return 0;
}

int resolve_name(struct resolver *r, struct resolve_query **ret, const char *name, resolve_cb *cb, void *arg)
{
	(void)r;
	return query(ret, name, &(struct addr){ 0 }, cb, arg);
}

int resolve_ptr(struct resolver *r, struct resolve_query **ret, const struct addr *a, resolve_cb *cb, void *arg)
{
	(void)r;
	return query(ret, "", a, cb, arg);
}

void resolve_cancel(struct resolve_query *q)
{
	struct resolve_query **at = &held;

	if (!q)
		return;
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	free(q);
	fakes.n_cancelled++;
}

void fake_answer(void)
{
	struct resolve_query *q;
	struct resolve_answer a;

	while ((q = held)) {
		held = q->next;
		make_answer(&a, q->name, &q->addr);
		q->cb(q->arg, &a);
		free(q);
	}
}

void fakes_drop_held(void)
{
	if (held)
		abort();
}

/* -- dirserv.h */

struct dir_reply {
	size_t at;
};

uint8_t fake_dir_byte(size_t offset)
{
	return (uint8_t)(offset * 7 + offset / 251);
}

/* A request ends with a blank line; one that begins with 'X' is not HTTP. */
int dirserv_request(struct dirserv *s, struct dir_reply **ret, const char *request, size_t len,
		    const struct addr *peer)
{
	(void)s;
	if (peer->family != ADDR_V4 || peer->ip[3] != 77)
		abort();
	if (len && request[0] == 'X')
		return ERR_MALFORMED;
	if (!memmem(request, len, "\r\n\r\n", 4))
		return ERR_AGAIN;
	*ret = mem_new(sizeof(**ret));
	fakes.dir_live++;
	return 0;
}

size_t dir_reply_read(struct dir_reply *r, uint8_t *out, size_t cap)
{
	size_t n = fakes.dir_len - r->at;

	n = n > cap ? cap : n;
	n = n > fakes.dir_piece ? fakes.dir_piece : n;
	for (size_t i = 0; i < n; i++)
		out[i] = fake_dir_byte(r->at + i);
	r->at += n;
	return n;
}

void dir_reply_free(struct dir_reply *r)
{
	if (!r)
		return;
	free(r);
	fakes.dir_live--;
}

int dir_reply_status(const struct dir_reply *r)
{
	(void)r;
	return 200;
}

size_t dir_reply_bytes(const struct dir_reply *r)
{
	return sizeof(*r);
}
