/*
 * Links of a relay: the table that owns them, their states, and the way of a
 * cell from a link to its circuit. Bytes reach link_open_cells() from link_io.c (or
 * a simulation); cells leave through sched_fill().
 */
#include "config.h"

#include "link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/rand.h>
#include <nonos/secret.h>

#include "circuit.h"
#include "circuit_extend.h"
#include "dir/dirserv.h"
#include "link_handshake.h"
#include "link_io.h"
#include "pad.h"
#include "relay_priv.h"
#include "sched.h"

enum { ID_BUCKETS = 4096, NEW_ID_TRIES = 64 };

/* A link id is its slot + 1 in the low half and a generation in the high one. */
struct link_table {
	struct link **slots;
	uint32_t *generations;
	uint32_t *free;			/* stack of free slots */
	uint32_t cap, n_free, used;
	struct link *by_identity[ID_BUCKETS];
	uint64_t hash_key;
};

struct link_table *link_table_new(void)
{
	struct link_table *t = mem_new(sizeof(*t));

	rand_fast(&t->hash_key, sizeof(t->hash_key));
	t->hash_key |= 1;
	return t;
}

void link_table_free(struct link_table *t)
{
	if (!t)
		return;
	free(t->slots);
	free(t->generations);
	free(t->free);
	free(t);
}

static void table_grow(struct link_table *t)
{
	uint32_t old = t->cap;

	t->cap = old ? old * 2 : 64;
	t->slots = mem_resize(t->slots, t->cap, sizeof(*t->slots));
	t->generations = mem_resize(t->generations, t->cap, sizeof(*t->generations));
	t->free = mem_resize(t->free, t->cap, sizeof(*t->free));
	for (uint32_t i = t->cap; i-- > old;) {
		t->slots[i] = NULL;
		t->generations[i] = 1;
		t->free[t->n_free++] = i;
	}
}

static void table_add(struct link_table *t, struct link *l)
{
	uint32_t slot;

	if (!t->n_free)
		table_grow(t);
	slot = t->free[--t->n_free];
	t->slots[slot] = l;
	t->used++;
	l->id = (uint64_t)t->generations[slot] << 32 | (slot + 1);
}

static void table_remove(struct link_table *t, const struct link *l)
{
	uint32_t slot = (uint32_t)l->id - 1;

	t->slots[slot] = NULL;
	t->generations[slot]++;
	t->free[t->n_free++] = slot;
	t->used--;
}

struct link *link_by_id(const struct relay *r, uint64_t id)
{
	uint32_t slot = (uint32_t)id - 1;
	struct link *l = slot < r->links->cap ? r->links->slots[slot] : NULL;

	return l && l->id == id ? l : NULL;
}

struct link *link_from(const struct relay *r, uint32_t slot)
{
	for (uint32_t i = slot; i < r->links->cap; i++)
		if (r->links->slots[i])
			return r->links->slots[i];
	return NULL;
}

struct link *link_next(const struct relay *r, const struct link *after)
{
	return link_from(r, after ? (uint32_t)after->id : 0);
}

size_t link_count(const struct relay *r)
{
	return r->links->used;
}

struct link *link_new(struct relay *r, bool initiator, const struct addr *peer)
{
	struct link *l = mem_new(sizeof(*l));

	l->relay = r;
	l->initiator = initiator;
	l->state = initiator ? LINK_CONNECTING : LINK_TLS;
	r->links_dialled += initiator;
	l->peer = *peer;
	l->creds = r->creds;
	if (l->creds)
		l->creds->refs++;
	l->created_ms = l->active_ms = l->used_ms = clock_now_ms();
	circ_table_init(&l->circs);
	table_add(r->links, l);
	return l;
}

/* -- states -------------------------------------------------------------- */

static const char *const state_names[LINK_STATES] = {
	[LINK_CONNECTING] = "connecting", [LINK_TLS] = "tls", [LINK_VERSIONS] = "versions",
	[LINK_AUTH] = "auth", [LINK_OPEN] = "open", [LINK_CLOSED] = "closed",
};

#define TO(s) (1u << (s))
static const unsigned legal_moves[LINK_STATES] = {
	[LINK_CONNECTING] = TO(LINK_TLS) | TO(LINK_CLOSED),
	[LINK_TLS] = TO(LINK_VERSIONS) | TO(LINK_CLOSED),
	[LINK_VERSIONS] = TO(LINK_AUTH) | TO(LINK_CLOSED),
	[LINK_AUTH] = TO(LINK_OPEN) | TO(LINK_CLOSED),
	[LINK_OPEN] = TO(LINK_CLOSED),
	[LINK_CLOSED] = 0,
};
#undef TO

void link_set_state(struct link *l, enum link_state from, enum link_state to, const char *why)
{
	assert(l->state == from && (legal_moves[from] & 1u << to));
	l->state = to;
	log_debug("Link changed its state. link=%llu peer=%s from=%s to=%s why=\"%s\"",
		  (unsigned long long)l->id, log_addr(&l->peer), state_names[from], state_names[to], why);
}

/* -- index by identity --------------------------------------------------- */

static struct link **identity_bucket(const struct relay *r, const uint8_t rsa_id[20])
{
	uint64_t v;

	memcpy(&v, rsa_id, sizeof(v));
	return &r->links->by_identity[(v * r->links->hash_key) >> (64 - 12)];
}

static void index_add(struct link *l)
{
	struct link **head = identity_bucket(l->relay, l->peer_id.rsa_id);

	l->hash_next = *head;
	*head = l;
}

static void index_remove(struct link *l)
{
	struct link **p = identity_bucket(l->relay, l->peer_id.rsa_id);

	while (*p && *p != l)
		p = &(*p)->hash_next;
	if (*p)
		*p = l->hash_next;
	l->hash_next = NULL;
}

/* Outgoing links are indexed by the identity they look for, incoming ones once it is proved. */
static bool is_indexed(const struct link *l)
{
	return l->initiator || l->authenticated;
}

static bool has_identity(const struct link *l, const uint8_t rsa_id[20], const uint8_t ed_id[32])
{
	return memcmp(l->peer_id.rsa_id, rsa_id, 20) == 0 &&
	       (secret_is_zero(ed_id, 32) || memcmp(l->peer_id.ed_id, ed_id, 32) == 0);
}

struct link *link_find(const struct relay *r, const uint8_t rsa_id[20], const uint8_t ed_id[32])
{
	/* A link that lives elsewhere than it says may have somebody in its middle. */
	for (struct link *l = *identity_bucket(r, rsa_id); l; l = l->hash_next)
		if (l->state == LINK_OPEN && l->authenticated && l->canonical && has_identity(l, rsa_id, ed_id))
			return l;
	return NULL;
}

struct link *link_find_dialled(const struct relay *r, const uint8_t rsa_id[20],
			       const uint8_t ed_id[32], const struct addr *a)
{
	for (struct link *l = *identity_bucket(r, rsa_id); l; l = l->hash_next)
		if (l->initiator && addr_eq(&l->peer, a) && has_identity(l, rsa_id, ed_id))
			return l;
	return NULL;
}

bool link_is_relay(const struct link *l)
{
	return l->authenticated && dirserv_lists(l->relay->dirserv, l->peer_id.rsa_id);
}

void link_index_outgoing(struct link *l)
{
	index_add(l);
}

/* -- opening and closing ------------------------------------------------- */

void link_opened(struct link *l)
{
	struct relay *r = l->relay;

	link_set_state(l, LINK_AUTH, LINK_OPEN, "handshake complete");
	link_hs_free(l->hs);
	l->hs = NULL;
	if (!l->initiator) {
		r->counters.links_accepted++;
		if (l->authenticated) {
			index_add(l);
			if (r->hooks.reached)
				r->hooks.reached(r->hooks.arg);
		}
	} else {
		r->counters.links_opened++;
		r->links_dialled--;
	}
	circuit_extend_link_open(l);
}

void link_close(struct link *l, const char *why)
{
	struct relay *r = l->relay;
	struct circuit_end *end;

	if (l->state == LINK_CLOSED)
		return;
	if (l->state != LINK_OPEN) {
		r->counters.links_failed++;
		r->links_dialled -= l->initiator;
	}
	if (is_indexed(l))
		index_remove(l);
	link_set_state(l, l->state, LINK_CLOSED, why);
	if (l->counted)
		limiter_link_closed(r->limiter, &l->peer);
	l->counted = false;
	circuit_extend_link_failed(l);
	while ((end = circ_table_any(&l->circs)))
		circuit_link_lost(end);
	cell_queue_clear(&l->control, r->pool);
	link_io_close(l);
	l->dead_next = r->dead_links;
	r->dead_links = l;
	sched_round_later(r);
}

void link_free(struct link *l)
{
	struct relay *r = l->relay;

	link_io_free(l->io);
	link_hs_free(l->hs);
	circ_table_clear(&l->circs);
	link_creds_unref(l->creds);
	table_remove(r->links, l);
	free(l);
}

/* -- cells in ------------------------------------------------------------ */

static void padding_negotiate(struct link *l, const struct cell *cell)
{
	const struct net_params *net = &l->relay->params;
	struct pad_negotiate p;

	/* Only clients ask (padding-spec 2); what a relay asks for is of no use to it. */
	if (l->authenticated ||
	    pad_negotiate_parse(&p, cell->body, cell->body_len, net->nf_ito_low, net->nf_ito_high) < 0)
		return;
	l->padding_wanted = p.start;
	l->pad_low_ms = p.low_ms;
	l->pad_high_ms = p.high_ms;
	l->pad_from_ms = 0;
}

static int circuit_cell(struct link *l, struct cell *cell)
{
	struct circuit_end *end = circ_table_find(&l->circs, cell->circ_id);

	/* Cells cross a DESTROY on the wire: an unknown id is nothing wrong. */
	if (!end)
		return 0;
	switch (cell->cmd) {
	case CELL_RELAY:
	case CELL_RELAY_EARLY:
		circuit_relay(end, cell);
		break;
	case CELL_CREATED2:
		circuit_created(end, cell);
		break;
	case CELL_DESTROY:
		circuit_destroyed(end, cell->body[0]);
		break;
	}
	return 0;
}

int cell_dispatch(struct link *l, struct cell *cell)
{
	l->relay->counters.commands_in[count_command(cell->cmd)]++;
	if (l->state != LINK_OPEN)
		return link_hs_cell(l, cell);
	switch (cell->cmd) {
	case CELL_RELAY:
	case CELL_RELAY_EARLY:
	case CELL_CREATED2:
	case CELL_DESTROY:
		return circuit_cell(l, cell);
	case CELL_CREATE:
	case CELL_CREATE_FAST:
	case CELL_CREATE2:
		circuit_create(l, cell);
		return 0;
	case CELL_PADDING_NEGOTIATE:
		padding_negotiate(l, cell);
		return 0;
	case CELL_VERSIONS:
	case CELL_CERTS:
	case CELL_AUTH_CHALLENGE:
	case CELL_AUTHENTICATE:
	case CELL_NETINFO:
		return ERR_PROTOCOL;	/* the handshake is over */
	default:
		return 0;		/* PADDING, VPADDING, and what later versions add */
	}
}

size_t link_open_cells(struct link *l, uint8_t *buf, size_t len)
{
	size_t used = 0;

	l->active_ms = clock_now_ms();
	while (l->state != LINK_CLOSED) {
		struct cell cell;
		size_t n = l->version ? cell_open(&cell, buf + used, len - used)
				      : link_hs_open_versions(&cell, buf + used, len - used);

		if (n == 0)
			break;
		if (l->hs)
			link_hs_record_in(l, &cell, buf + used, n);
		used += n;
		if (cell_dispatch(l, &cell) < 0)
			link_close(l, "protocol violation");
	}
	return used;
}

/* -- cells out ----------------------------------------------------------- */

void link_send_control(struct link *l, uint32_t circ_id, uint8_t cmd, const uint8_t *body, size_t len)
{
	struct pool_cell *c;

	if (l->state != LINK_OPEN)
		return;
	c = pool_get(l->relay->pool);
	cell_put_head(c->bytes, circ_id, cmd);
	memset(c->bytes + CELL_HEAD_LEN, 0, CELL_BODY_LEN);
	if (len)
		memcpy(c->bytes + CELL_HEAD_LEN, body, len);
	c->queued_ms = (uint32_t)clock_now_ms();
	cell_queue_push(&l->control, c);
	l->n_queued++;
	sched_flush_later(l);
}

void link_send_destroy(struct link *l, uint32_t circ_id, uint8_t reason)
{
	link_send_control(l, circ_id, CELL_DESTROY, &reason, 1);
}

uint32_t link_new_circ_id(struct link *l)
{
	for (int i = 0; i < NEW_ID_TRIES; i++) {
		uint32_t id;

		rand_fast(&id, sizeof(id));
		id = l->initiator ? id | 0x80000000 : id & 0x7fffffff;
		if (id && !circ_table_find(&l->circs, id))
			return id;
	}
	return 0;
}
