/*
 * Circuits: made by a CREATE cell, fed by two links, ended by DESTROY, by a
 * violation or by the loss of a link. Cells for others are re-addressed and
 * passed on here; messages for us go to the edge or to circuit_extend().
 */
#include "config.h"

#include "circuit.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

#include "circuit_extend.h"
#include "edge.h"
#include "handshake.h"
#include "handshake_queue.h"
#include "link.h"
#include "pad.h"
#include "relay_msg.h"
#include "relay_priv.h"
#include "sched.h"

static const char *const state_names[CIRCUIT_STATES] = {
	[CIRCUIT_NEW] = "new", [CIRCUIT_OPEN] = "open", [CIRCUIT_EXTENDING] = "extending",
	[CIRCUIT_JOINED] = "joined", [CIRCUIT_CLOSED] = "closed",
};

/* -- life ---------------------------------------------------------------- */

static struct circuit *circuit_new(struct link *l, uint32_t circ_id)
{
	struct relay *r = l->relay;
	struct circuit *c = mem_new(sizeof(*c));

	c->relay = r;
	c->id = ++r->next_circuit_id;
	c->early_left = CIRCUIT_EARLY_MAX;
	c->from_client = !l->authenticated;
	c->created_ms = clock_now_ms();
	for (int side = SIDE_PREV; side <= SIDE_NEXT; side++) {
		c->end[side].circuit = c;
		c->end[side].side = (uint8_t)side;
	}
	c->end[SIDE_PREV].link_id = l->id;
	c->end[SIDE_PREV].circ_id = circ_id;
	circ_table_add(&l->circs, circ_id, &c->end[SIDE_PREV]);
	c->all_next = r->circuits;
	if (r->circuits)
		r->circuits->all_prev = c;
	r->circuits = c;
	r->counters.circuits++;
	return c;
}

/* Leave the link: nothing more is queued or found there. */
static void end_clear(struct circuit_end *end)
{
	struct link *l = link_by_id(end->circuit->relay, end->link_id);

	sched_forget(end);
	if (l)
		circ_table_remove(&l->circs, end->circ_id);
	end->link_id = 0;
}

static void end_destroy(struct circuit_end *end, uint8_t reason)
{
	struct link *l = end->link_id ? link_by_id(end->circuit->relay, end->link_id) : NULL;

	if (!l)
		return;
	end_clear(end);
	link_send_destroy(l, end->circ_id, reason);
}

static void unlist(struct circuit *c)
{
	struct relay *r = c->relay;

	if (c->all_prev)
		c->all_prev->all_next = c->all_next;
	else
		r->circuits = c->all_next;
	if (c->all_next)
		c->all_next->all_prev = c->all_prev;
}

static void close_with(struct circuit *c, uint8_t to_prev, uint8_t to_next)
{
	struct relay *r = c->relay;

	if (c->state == CIRCUIT_CLOSED)
		return;
	log_debug("A circuit is closed. state=%s reason=%s", state_names[c->state],
		  destroy_reason_str(to_prev));
	circuit_extend_end(c);
	end_destroy(&c->end[SIDE_PREV], to_prev);
	end_destroy(&c->end[SIDE_NEXT], to_next);
	c->state = CIRCUIT_CLOSED;
	c->close_reason = to_prev;
	unlist(c);
	r->counters.circuits--;
	r->counters.circuits_ended[count_destroy(to_prev)]++;
	c->dead_next = r->dead_circuits;
	r->dead_circuits = c;
	sched_round_later(r);
}

void circuit_close(struct circuit *c, enum destroy_reason reason)
{
	if (reason == DESTROY_PROTOCOL && c->state != CIRCUIT_CLOSED)
		c->relay->counters.circuits_killed_protocol++;
	/* The next hop learns nothing of what went on before it. */
	close_with(c, (uint8_t)reason, DESTROY_DESTROYED);
}

void circuit_destroyed(struct circuit_end *end, uint8_t reason)
{
	struct circuit *c = end->circuit;

	(void)reason;	/* never passed on (tor-spec 5.4) */
	/* The end that said DESTROY gets none back. */
	end_clear(end);
	close_with(c, DESTROY_DESTROYED, DESTROY_DESTROYED);
}

void circuit_link_lost(struct circuit_end *end)
{
	struct circuit *c = end->circuit;

	end_clear(end);
	close_with(c, DESTROY_CHANNEL_CLOSED, DESTROY_CHANNEL_CLOSED);
}

void circuit_free(struct circuit *c)
{
	edge_free(c->edge);
	onion_clear(&c->onion);
	free(c);
}

/* -- CREATE -------------------------------------------------------------- */

/* Why a CREATE must be refused, or DESTROY_NONE. */
static enum destroy_reason refuse_create(struct link *l, const struct cell *cell)
{
	struct relay *r = l->relay;
	bool top_bit = cell->circ_id & 0x80000000;

	/* The side that opened the link numbers its circuits with the top bit (tor-spec 5.1.1); TAP is gone (5.1.3). */
	if (top_bit == l->initiator || cell->cmd == CELL_CREATE)
		return DESTROY_PROTOCOL;
	if (r->draining != RELAY_DRAIN_NONE && r->draining != RELAY_DRAIN_MOVED)
		return DESTROY_HIBERNATING;
	if (l->circs.used >= r->config.limits.circuits_per_link) {
		r->counters.refusals[REFUSED_CIRCUITS_PER_LINK]++;
		return DESTROY_RESOURCELIMIT;
	}
	if (!link_is_relay(l) && !limiter_circuit(r->limiter, &l->peer, clock_now_us())) {
		r->counters.refusals[REFUSED_CREATE_RATE]++;
		return DESTROY_RESOURCELIMIT;
	}
	return DESTROY_NONE;
}

void circuit_create(struct link *l, const struct cell *cell)
{
	struct circuit_end *old = circ_table_find(&l->circs, cell->circ_id);
	enum destroy_reason reason;
	struct circuit *c;

	if (old) {
		circuit_close(old->circuit, DESTROY_PROTOCOL);
		return;
	}
	if (cell->circ_id == 0)
		return;		/* the link itself, which is there already: nothing to answer to */
	/* Every CREATE may end in a DESTROY: a peer that does not take them must not make us hold ever more. */
	if (l->control.count >= LINK_CONTROL_MAX) {
		l->relay->counters.handshakes_lost[count_handshake(cell->cmd, cell->body)]++;
		return;
	}
	reason = refuse_create(l, cell);
	if (reason != DESTROY_NONE) {
		if (reason != DESTROY_PROTOCOL)
			l->relay->counters.handshakes_lost[count_handshake(cell->cmd, cell->body)]++;
		link_send_destroy(l, cell->circ_id, (uint8_t)reason);
		return;
	}
	c = circuit_new(l, cell->circ_id);
	if (cell->cmd == CELL_CREATE_FAST)
		circuit_answer(c, cell->cmd, cell->body);	/* a few hashes: not worth a queue */
	else
		handshake_queue_add(l->relay, c, l, cell);
	sched_round_later(l->relay);
}

/* Do the server side of the handshake; fills the reply cell's body. */
static int answer_create2(struct circuit *c, uint8_t *reply, struct circuit_keys *ret_keys,
			  const uint8_t *body)
{
	struct relay *r = c->relay;
	struct circuit_params params = {
		.congestion_control = r->params.cc_enabled,
		.sendme_inc = (uint8_t)r->cc_params.sendme_inc,
	};
	const uint8_t *data;
	uint16_t type, len;
	size_t reply_len;
	int e;

	e = create2_parse(&type, &data, &len, body, CELL_BODY_LEN);
	if (e < 0)
		return e;
	switch (type) {
	case HANDSHAKE_NTOR:
		e = ntor_server(reply + 2, &reply_len, ret_keys, &r->hs_keys, data, len);
		break;
	case HANDSHAKE_NTOR3:
		e = ntor3_server(reply + 2, &reply_len, ret_keys, &params, &r->hs_keys, data, len);
		if (e == 0 && params.congestion_control)
			c->sendme_inc = params.sendme_inc;
		break;
	default:
		e = ERR_UNSUPPORTED;
	}
	if (e < 0)
		return e;
	reply[0] = (uint8_t)(reply_len >> 8);
	reply[1] = (uint8_t)reply_len;
	return 0;
}

void circuit_answer(struct circuit *c, uint8_t cmd, const uint8_t *body)
{
	struct relay *r = c->relay;
	struct pool_cell *cell = pool_get(r->pool);
	uint8_t *reply = cell->bytes + CELL_HEAD_LEN;
	unsigned type = count_handshake(cmd, body);
	struct circuit_keys keys;
	int e = 0;

	memset(reply, 0, CELL_BODY_LEN);
	if (cmd == CELL_CREATE_FAST)
		fast_server(reply, &keys, body);
	else
		e = answer_create2(c, reply, &keys, body);
	if (e < 0) {
		r->counters.handshakes_bad[type]++;
		pool_put(r->pool, cell);
		circuit_close(c, DESTROY_PROTOCOL);
		return;
	}
	onion_init(&c->onion, &keys);
	secret_wipe(&keys, sizeof(keys));
	c->state = CIRCUIT_OPEN;
	r->counters.handshakes_ok[type]++;
	r->counters.circuits_made++;
	cell_put_head(cell->bytes, c->end[SIDE_PREV].circ_id,
		      cmd == CELL_CREATE_FAST ? CELL_CREATED_FAST : CELL_CREATED2);
	if (sched_push(&c->end[SIDE_PREV], cell) < 0)
		circuit_close(c, DESTROY_RESOURCELIMIT);
}

void circuit_created(struct circuit_end *end, const struct cell *cell)
{
	struct circuit *c = end->circuit;
	const uint8_t *data;
	uint16_t len;

	if (end->side != SIDE_NEXT || c->state != CIRCUIT_EXTENDING || !c->extend || c->extend->waits_for ||
	    created2_parse(&data, &len, cell->body, cell->body_len) < 0 || len > RELAY_DATA_MAX - 2) {
		circuit_close(c, DESTROY_PROTOCOL);
		return;
	}
	circuit_extend_end(c);
	c->state = CIRCUIT_JOINED;
	/* EXTENDED2 carries the body of CREATED2: length, then data. */
	circuit_send(c, RELAY_EXTENDED2, 0, cell->body, 2u + len, NULL);
}

/* -- messages for us ----------------------------------------------------- */

static int circuit_truncate(struct circuit *c)
{
	uint8_t reason = DESTROY_NONE;

	circuit_extend_end(c);
	end_destroy(&c->end[SIDE_NEXT], DESTROY_REQUESTED);
	if (c->state != CIRCUIT_CLOSED)
		c->state = CIRCUIT_OPEN;
	return circuit_send(c, RELAY_TRUNCATED, 0, &reason, 1, NULL);
}

static int circuit_padding(struct circuit *c, const struct relay_msg *m)
{
	uint8_t answer[PAD_ANSWER_LEN];

	/* No machines are offered, so every request is answered with an error (padding-spec 3). */
	if (pad_circuit_answer(answer, m->data, m->len) < 0)
		return 0;
	return circuit_send(c, RELAY_PADDING_NEGOTIATED, 0, answer, sizeof(answer), NULL);
}

static int to_edge(struct circuit *c, const struct relay_msg *m)
{
	if (!c->edge)
		c->edge = edge_new(c->relay, c, c->sendme_inc);
	return edge_handle(c->edge, m);
}

/* Act on a message; the reason to close with when the result is negative. */
static int circuit_message(struct circuit *c, const struct relay_msg *m, bool early, uint8_t *ret_reason)
{
	*ret_reason = DESTROY_PROTOCOL;
	switch (m->cmd) {
	case RELAY_EXTEND2:
		/* Only eight cells of a circuit can be RELAY_EARLY, so its length is bounded (tor-spec 5.6). */
		return early ? circuit_extend(c, m, ret_reason) : ERR_PROTOCOL;
	case RELAY_EXTEND:
		return ERR_UNSUPPORTED;
	case RELAY_TRUNCATE:
		return circuit_truncate(c);
	case RELAY_PADDING_NEGOTIATE:
		return circuit_padding(c, m);
	case RELAY_DROP:
		return 0;
	default:
		return to_edge(c, m);
	}
}

static void circuit_recognized(struct circuit *c, uint8_t *body, const uint8_t *digest, bool early)
{
	struct relay_msg m;
	uint8_t reason;
	int e = relay_msg_parse(&m, body);

	if (e < 0) {
		circuit_close(c, DESTROY_PROTOCOL);
		return;
	}
	m.digest = digest;
	e = circuit_message(c, &m, early, &reason);
	if (e < 0 && c->state != CIRCUIT_CLOSED) {
		log_debug("A relay message ends its circuit. command=%s error=\"%s\"", relay_cmd_str(m.cmd), err_str(e));
		circuit_close(c, reason);
	}
}

/* -- cells for others ---------------------------------------------------- */

static void pass_on(struct circuit_end *to, struct pool_cell *cell, uint8_t cmd)
{
	struct relay *r = to->circuit->relay;

	/* Circuit ids are per link, so the id changes here (tor-spec 5.5). */
	cell_put_head(cell->bytes, to->circ_id, cmd);
	r->counters.cells_relayed++;
	if (sched_push(to, cell) < 0)
		circuit_close(to->circuit, DESTROY_RESOURCELIMIT);
}

static void relay_outward(struct circuit *c, const struct cell *in)
{
	struct pool *pool = c->relay->pool;
	struct pool_cell *cell;
	bool early = in->cmd == CELL_RELAY_EARLY;
	uint8_t digest[SHA1_LEN];

	if (c->state == CIRCUIT_NEW || (early && c->early_left-- == 0)) {
		circuit_close(c, DESTROY_PROTOCOL);
		return;
	}
	cell = pool_get(pool);
	if (onion_peel(&c->onion, cell->bytes + CELL_HEAD_LEN, in->body, digest)) {
		circuit_recognized(c, cell->bytes + CELL_HEAD_LEN, digest, early);
		pool_put(pool, cell);
	} else if (c->state == CIRCUIT_JOINED) {
		pass_on(&c->end[SIDE_NEXT], cell, in->cmd);
	} else {
		/* For nobody: the client has the wrong keys, or somebody meddled. */
		pool_put(pool, cell);
		circuit_close(c, DESTROY_PROTOCOL);
	}
}

static void relay_inward(struct circuit *c, const struct cell *in)
{
	struct pool_cell *cell;

	if (c->state != CIRCUIT_JOINED || in->cmd == CELL_RELAY_EARLY) {
		circuit_close(c, DESTROY_PROTOCOL);
		return;
	}
	cell = pool_get(c->relay->pool);
	onion_wrap(&c->onion, cell->bytes + CELL_HEAD_LEN, in->body);
	pass_on(&c->end[SIDE_PREV], cell, CELL_RELAY);
}

void circuit_relay(struct circuit_end *end, const struct cell *cell)
{
	if (end->side == SIDE_PREV)
		relay_outward(end->circuit, cell);
	else
		relay_inward(end->circuit, cell);
}

/* -- messages of our own ------------------------------------------------- */

int circuit_send(struct circuit *c, uint8_t cmd, uint16_t stream_id, const uint8_t *data,
		 size_t len, uint8_t ret_digest[20])
{
	struct circuit_end *prev = &c->end[SIDE_PREV];
	struct pool_cell *cell;
	int e;

	if (c->state == CIRCUIT_CLOSED || c->state == CIRCUIT_NEW)
		return ERR_CLOSED;
	cell = pool_get(c->relay->pool);
	cell_put_head(cell->bytes, prev->circ_id, CELL_RELAY);
	relay_msg_build(cell->bytes + CELL_HEAD_LEN, cmd, stream_id, data, len);
	onion_originate(&c->onion, cell->bytes + CELL_HEAD_LEN, ret_digest);
	e = sched_push(prev, cell);
	if (e < 0) {
		circuit_close(c, DESTROY_RESOURCELIMIT);
		return e;
	}
	if (circuit_queued(c) > CIRCUIT_QUEUE_HIGH)
		c->streams_blocked = true;
	return 0;
}

struct addr circuit_prev_addr(const struct circuit *c)
{
	const struct link *l = link_by_id(c->relay, c->end[SIDE_PREV].link_id);

	return l ? l->peer : (struct addr){ 0 };
}
