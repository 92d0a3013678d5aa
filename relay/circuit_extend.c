/* A circuit on its way to its next hop; see circuit_extend.h. */
#include "config.h"

#include "circuit_extend.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/bytes.h>
#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

#include "circuit.h"
#include "link.h"
#include "link_io.h"
#include "linkspec.h"
#include "relay_priv.h"
#include "sched.h"

enum { DIALLED_SHARE = 8 };	/* of links_total: links that we dial at one time */

/* -- waiting for a link -------------------------------------------------- */

static void wait_for(struct circuit *c, struct link *l)
{
	struct circuit_extend *x = c->extend;

	x->waits_for = l->id;
	x->wait_prev = NULL;
	x->wait_next = l->waiting;
	if (l->waiting)
		l->waiting->extend->wait_prev = c;
	l->waiting = c;
}

static void wait_end(struct circuit *c)
{
	struct circuit_extend *x = c->extend;
	struct link *l = x->waits_for ? link_by_id(c->relay, x->waits_for) : NULL;

	if (!l)
		return;
	if (x->wait_prev)
		x->wait_prev->extend->wait_next = x->wait_next;
	else
		l->waiting = x->wait_next;
	if (x->wait_next)
		x->wait_next->extend->wait_prev = x->wait_prev;
	x->waits_for = 0;
}

void circuit_extend_end(struct circuit *c)
{
	if (!c->extend)
		return;
	wait_end(c);
	free(c->extend);
	c->extend = NULL;
}

/* -- the next hop's link is open ----------------------------------------- */

static int send_create2(struct circuit *c, struct link *l)
{
	struct circuit_end *end = &c->end[SIDE_NEXT];
	struct pool_cell *cell;
	uint32_t circ_id = link_new_circ_id(l);

	if (!circ_id)
		return ERR_LIMIT;
	end->link_id = l->id;
	end->circ_id = circ_id;
	circ_table_add(&l->circs, circ_id, end);
	cell = pool_get(c->relay->pool);
	cell_put_head(cell->bytes, circ_id, CELL_CREATE2);
	memset(cell->bytes + CELL_HEAD_LEN, 0, CELL_BODY_LEN);
	memcpy(cell->bytes + CELL_HEAD_LEN, c->extend->create2, c->extend->create2_len);
	return sched_push(end, cell);
}

void circuit_extend_link_open(struct link *l)
{
	while (l->waiting) {
		struct circuit *c = l->waiting;

		wait_end(c);
		if (send_create2(c, l) < 0)
			circuit_close(c, DESTROY_RESOURCELIMIT);
	}
}

void circuit_extend_link_failed(struct link *l)
{
	while (l->waiting) {
		struct circuit *c = l->waiting;

		wait_end(c);
		circuit_close(c, DESTROY_CONNECTFAILED);
	}
}

/* -- EXTEND2 ------------------------------------------------------------- */

static bool may_dial(const struct relay *r, const struct addr *a)
{
	return a->family && (r->config.allow_private || !addr_is_private(a));
}

/* Refusals of tor-spec 5.3: what must not be extended to, whatever its address. */
static int check_target(const struct circuit *c, const struct extend_target *t)
{
	const struct relay *r = c->relay;
	const struct link *prev = link_by_id(r, c->end[SIDE_PREV].link_id);
	const struct link_keys *own = &r->creds->keys;

	if (t->htype == HANDSHAKE_TAP || t->htype == HANDSHAKE_FAST)
		return ERR_UNSUPPORTED;
	if (secret_is_zero(t->rsa_id, sizeof(t->rsa_id)) ||
	    (t->has_ed_id && secret_is_zero(t->ed_id, sizeof(t->ed_id))))
		return ERR_REFUSED;
	if (memcmp(t->rsa_id, own->rsa_id, sizeof(t->rsa_id)) == 0 ||
	    (t->has_ed_id && memcmp(t->ed_id, own->ed_id, sizeof(t->ed_id)) == 0))
		return ERR_REFUSED;
	if (!prev)
		return ERR_CLOSED;
	if (prev->authenticated &&
	    (memcmp(t->rsa_id, prev->peer_id.rsa_id, sizeof(t->rsa_id)) == 0 ||
	     (t->has_ed_id && memcmp(t->ed_id, prev->peer_id.ed_id, sizeof(t->ed_id)) == 0)))
		return ERR_REFUSED;
	return 0;
}

/* IPv4 first: relays must have it. IPv6 alone when we are told of nothing else we may dial. */
static const struct addr *choose_addr(const struct relay *r, const struct extend_target *t)
{
	if (may_dial(r, &t->v4))
		return &t->v4;
	if (may_dial(r, &t->v6))
		return &t->v6;
	return NULL;
}

static struct link *dial(struct relay *r, const struct extend_target *t, const struct addr *a)
{
	struct link *l;

	/* Addresses that somebody made up may fill their share, not the table. */
	if (link_count(r) >= r->config.limits.links_total ||
	    r->links_dialled >= r->config.limits.links_total / DIALLED_SHARE + 1)
		return NULL;
	l = link_new(r, true, a);
	memcpy(l->peer_id.rsa_id, t->rsa_id, sizeof(t->rsa_id));
	memcpy(l->peer_id.ed_id, t->ed_id, sizeof(t->ed_id));
	link_index_outgoing(l);
	if (r->dial(l) < 0) {
		link_close(l, "cannot connect");
		return NULL;
	}
	return l;
}

static struct circuit_extend *extend_new(const struct extend_target *t)
{
	struct circuit_extend *x = mem_new(sizeof(*x));
	struct wr w = wr_init(x->create2, sizeof(x->create2));

	wr_u16(&w, t->htype);
	wr_u16(&w, t->hlen);
	wr_bytes(&w, t->hdata, t->hlen);
	if (wr_done(&w) < 0) {
		free(x);
		return NULL;
	}
	x->create2_len = (uint16_t)wr_len(&w);
	x->deadline_ms = clock_now_ms() + CIRCUIT_EXTEND_MS;
	return x;
}

int circuit_extend(struct circuit *c, const struct relay_msg *m, uint8_t *ret_reason)
{
	struct relay *r = c->relay;
	struct extend_target t;
	const struct addr *a;
	struct link *l;
	int e;

	*ret_reason = DESTROY_PROTOCOL;
	if (c->state != CIRCUIT_OPEN)
		return ERR_STATE;	/* one next hop, asked for once */
	e = extend2_parse(&t, m->data, m->len);
	if (e < 0)
		return e;
	e = check_target(c, &t);
	if (e < 0)
		return e;
	l = link_find(r, t.rsa_id, t.ed_id);
	a = choose_addr(r, &t);
	*ret_reason = DESTROY_CONNECTFAILED;
	if (!l && !a)
		return ERR_REFUSED;
	c->extend = extend_new(&t);
	if (!c->extend)
		return ERR_TOO_LONG;
	c->state = CIRCUIT_EXTENDING;
	if (!l)
		l = link_find_dialled(r, t.rsa_id, t.ed_id, a);
	if (!l)
		l = dial(r, &t, a);
	if (!l)
		return ERR_NETWORK;
	if (l->state == LINK_OPEN) {
		*ret_reason = DESTROY_RESOURCELIMIT;
		return send_create2(c, l);
	}
	wait_for(c, l);
	return 0;
}

void circuit_extend_expire(struct circuit *c, uint64_t now_ms)
{
	if (c->state == CIRCUIT_EXTENDING && c->extend && now_ms >= c->extend->deadline_ms)
		circuit_close(c, DESTROY_TIMEOUT);
}
