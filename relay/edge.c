/*
 * The end of a circuit; see edge.h. It finds the stream a message is for,
 * keeps the circuit's windows, and shares the room in them among the streams
 * in turn. Socket callbacks enter at the streams.
 */
#include "config.h"

#include "edge.h"

#include <stdlib.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/mem.h>

#include "circuit.h"
#include "flow.h"
#include "relay_priv.h"
#include "stream.h"
#include "stream_table.h"

struct edge *edge_new(struct relay *r, struct circuit *c, uint8_t sendme_inc)
{
	struct edge *e = mem_new(sizeof(*e));

	e->relay = r;
	e->circuit = c;
	flow_init(&e->flow, &r->cc_params, sendme_inc);
	return e;
}

void edge_free(struct edge *e)
{
	if (!e)
		return;
	while (e->streams)
		stream_free(e->streams);
	stream_table_clear(&e->table);
	flow_clear(&e->flow);
	free(e);
}

bool edge_can_send(const struct edge *e)
{
	return e->circuit->state != CIRCUIT_CLOSED && !e->circuit->streams_blocked &&
	       flow_room(&e->flow) > 0;
}

bool edge_is_full(struct edge *e)
{
	uint32_t limit = e->relay->config.limits.streams_per_circuit;

	if (limit == 0 || e->n_streams < limit)
		return false;
	e->relay->counters.refusals[REFUSED_STREAMS_PER_CIRCUIT]++;
	return true;
}

int edge_refuse(struct edge *e, uint16_t id, enum end_reason reason)
{
	uint8_t body = (uint8_t)reason;

	e->relay->counters.streams_failed++;
	e->relay->counters.ends_sent[count_end(body)]++;
	(void)circuit_send(e->circuit, RELAY_END, id, &body, 1, NULL);
	return 0;
}

/*
 * Let the streams that wait send, each one burst in its turn. Those with more go to the end of
 * the line, so no stream starves while the circuit's window is small.
 */
static void edge_pump(struct edge *e)
{
	while (e->wait_first && edge_can_send(e))
		stream_pull(e->wait_first);
}

void edge_writable(struct edge *e)
{
	edge_pump(e);
}

size_t edge_bytes(const struct edge *e)
{
	return sizeof(*e) + e->bytes + stream_table_bytes(&e->table) + flow_bytes(&e->flow);
}

size_t edge_streams(const struct edge *e)
{
	return e->n_streams;
}

static int circuit_sendme(struct edge *e, const struct relay_msg *m)
{
	/* Ancient clients fetch directories without digests (prop 289, 4.4); nobody may download so. */
	bool allow_v0 = !e->had_exit && !e->flow.cc;

	return flow_sendme(&e->flow, m->data, m->len, allow_v0, e->circuit->streams_blocked,
			   clock_precise_us());
}

/* Count a DATA cell, and acknowledge the increment it completes with its digest. */
static int data_received(struct edge *e, const struct relay_msg *m)
{
	uint8_t body[SENDME_V1_LEN];

	if (!flow_received(&e->flow))
		return 0;
	flow_sendme_build(body, m->digest);
	return circuit_send(e->circuit, RELAY_SENDME, 0, body, sizeof(body), NULL);
}

/* A cell for a stream that we have ended: fine as long as it can have been under way (6.3). */
static int half_handle(struct edge *e, struct stream_slot *slot, const struct relay_msg *m)
{
	struct half_stream *half = &slot->half;

	switch (m->cmd) {
	case RELAY_END:
		stream_table_remove(&e->table, m->stream_id);
		return 0;
	case RELAY_DATA:
		/* With congestion control the window is the client's: time is what bounds it (prop 324 4.1.4). */
		if (half->data == HALF_ANY) {
			if (clock_now_ms() > half->until_ms)
				stream_table_remove(&e->table, m->stream_id);
			return 0;
		}
		if (half->data == 0)
			return ERR_PROTOCOL;
		half->data--;
		return 0;
	case RELAY_SENDME:
		if (half->sendmes == 0)
			return ERR_PROTOCOL;
		half->sendmes--;
		return 0;
	default:
		return 0;
	}
}

static int stream_handle(struct stream *s, const struct relay_msg *m)
{
	switch (m->cmd) {
	case RELAY_DATA:
		return stream_data(s, m);
	case RELAY_SENDME:
		return stream_sendme(s);
	case RELAY_XOFF:
		return stream_xoff(s, m);
	case RELAY_XON:
		return stream_xon(s, m);
	case RELAY_END:
		s->edge->relay->counters.ends_received[count_end(m->len ? m->data[0] : END_MISC)]++;
		stream_ended(s);
		return 0;
	default:
		return ERR_PROTOCOL;
	}
}

static int edge_begin(struct edge *e, const struct relay_msg *m)
{
	struct stream_slot *slot = stream_table_find(&e->table, m->stream_id);

	if (m->stream_id == 0 || (slot && slot->kind == SLOT_STREAM))
		return ERR_PROTOCOL;
	/* The client saw our END and uses the id again. */
	if (slot)
		stream_table_remove(&e->table, m->stream_id);
	switch (m->cmd) {
	case RELAY_BEGIN:
		return exit_begin(e, m);
	case RELAY_BEGIN_DIR:
		return dir_begin(e, m);
	default:
		return resolve_begin(e, m);
	}
}

static int message_handle(struct edge *e, const struct relay_msg *m)
{
	struct stream_slot *slot;

	switch (m->cmd) {
	case RELAY_BEGIN:
	case RELAY_BEGIN_DIR:
	case RELAY_RESOLVE:
		return edge_begin(e, m);
	case RELAY_DATA:
	case RELAY_SENDME:
	case RELAY_END:
	case RELAY_XOFF:
	case RELAY_XON:
		break;
	case RELAY_CONNECTED:
	case RELAY_RESOLVED:
		return ERR_PROTOCOL;	/* we open no streams towards clients */
	default:
		return 0;		/* unknown commands are dropped (tor-spec 6.1) */
	}
	if (m->stream_id == 0)
		return m->cmd == RELAY_SENDME ? circuit_sendme(e, m) : ERR_PROTOCOL;
	/* A failure to send has closed the circuit already; it is no violation. */
	if (m->cmd == RELAY_DATA && data_received(e, m) < 0)
		return 0;
	slot = stream_table_find(&e->table, m->stream_id);
	if (!slot)
		return 0;
	return slot->kind == SLOT_HALF ? half_handle(e, slot, m) : stream_handle(slot->stream, m);
}

int edge_handle(struct edge *e, const struct relay_msg *m)
{
	int r = message_handle(e, m);

	/* A SENDME makes room, a directory request needs it. */
	if (r == 0)
		edge_pump(e);
	return r;
}
