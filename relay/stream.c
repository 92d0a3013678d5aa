/*
 * What all kinds of streams share: see stream.h. The windows are those of
 * tor-spec 7.4, or XON and XOFF of proposal 324.
 */
#include "config.h"

#include "stream.h"

#include <stdlib.h>

#include <event2/buffer.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/mem.h>

#include "cc.h"
#include "circuit.h"
#include "dir/dirserv.h"
#include "relay_priv.h"
#include "resolve.h"

enum {
	SENDME_BUFFERED_CELLS = 10,	/* a stream SENDME waits until fewer are left (tor-spec 7.4) */
	HALF_MIN_MS = 60000,
};

uint8_t stream_scratch[STREAM_SCRATCH];

struct stream *stream_new(struct edge *e, enum stream_kind kind, uint16_t id)
{
	struct stream *s = mem_new(sizeof(*s));

	s->edge = e;
	s->id = id;
	s->kind = (uint8_t)kind;
	s->fd = -1;
	s->package_window = s->deliver_window = STREAM_WINDOW;
	s->next = e->streams;
	if (s->next)
		s->next->prev = s;
	e->streams = s;
	e->n_streams++;
	e->relay->counters.streams++;
	stream_table_add(&e->table, id, s);
	stream_account(s);
	return s;
}

size_t stream_buffered(const struct stream *s)
{
	return s->out ? evbuffer_get_length(s->out) : 0;
}

void stream_account(struct stream *s)
{
	size_t held = sizeof(*s) + stream_buffered(s) + s->request_len;

	if (s->reply)
		held += dir_reply_bytes(s->reply);
	s->edge->bytes += held - s->held;
	s->held = held;
}

/* -- waiting for room in the circuit */

static void wait_leave(struct stream *s)
{
	struct edge *e = s->edge;

	if (!s->waiting)
		return;
	*(s->wait_prev ? &s->wait_prev->wait_next : &e->wait_first) = s->wait_next;
	*(s->wait_next ? &s->wait_next->wait_prev : &e->wait_last) = s->wait_prev;
	s->wait_next = s->wait_prev = NULL;
	s->waiting = false;
}

static void wait_join(struct stream *s)
{
	struct edge *e = s->edge;

	if (s->waiting)
		return;
	s->wait_prev = e->wait_last;
	*(e->wait_last ? &e->wait_last->wait_next : &e->wait_first) = s;
	e->wait_last = s;
	s->waiting = true;
}

static void set_reading(struct stream *s, bool on)
{
	if (s->kind != STREAM_EXIT || s->read_on == on)
		return;
	s->read_on = on;
	if (on)
		event_add(&s->read_event, NULL);
	else
		event_del(&s->read_event);
}

static bool wants_to_send(const struct stream *s)
{
	if (s->state != STREAM_OPEN || s->xoff || (!s->edge->flow.cc && s->package_window == 0))
		return false;
	return s->kind == STREAM_EXIT || s->reply;
}

/* With room in the circuit a socket is polled; a directory answer needs no polling, only its turn. */
void stream_update(struct stream *s)
{
	bool wants = wants_to_send(s), can = edge_can_send(s->edge);

	if (wants && (!can || s->kind == STREAM_DIR))
		wait_join(s);
	else
		wait_leave(s);
	set_reading(s, wants && can);
}

void stream_pull(struct stream *s)
{
	wait_leave(s);
	if (!wants_to_send(s) || !edge_can_send(s->edge))
		stream_update(s);
	else if (s->kind == STREAM_EXIT)
		exit_pull(s);
	else
		dir_pull(s);
}

int stream_package(struct stream *s, const uint8_t *data, size_t len)
{
	struct edge *e = s->edge;
	uint8_t digest[SENDME_DIGEST_LEN];

	while (len) {
		size_t n = flow_cell_max(&e->flow);
		int r;

		if (n > len)
			n = len;
		r = circuit_send(e->circuit, RELAY_DATA, s->id, data, n, digest);
		if (r < 0)
			return r;
		flow_sent(&e->flow, digest, clock_precise_us());
		if (!e->flow.cc)
			s->package_window--;
		data += n;
		len -= n;
	}
	return 0;
}

/* -- the end of a stream */

/* Take it out of the table and forget what belongs to the client's side. */
static void detach(struct stream *s)
{
	struct stream_slot *slot = stream_table_find(&s->edge->table, s->id);

	wait_leave(s);
	set_reading(s, false);
	if (slot && slot->kind == SLOT_STREAM && slot->stream == s)
		stream_table_remove(&s->edge->table, s->id);
}

void stream_free(struct stream *s)
{
	struct edge *e = s->edge;

	detach(s);
	resolve_cancel(s->query);
	exit_clear(s);
	dir_clear(s);
	*(s->prev ? &s->prev->next : &e->streams) = s->next;
	if (s->next)
		s->next->prev = s->prev;
	e->bytes -= s->held;
	e->n_streams--;
	e->relay->counters.streams--;
	free(s);
}

/* What may still be under way to us when our END leaves. */
static void remember_half(struct stream *s)
{
	const struct flow *f = &s->edge->flow;
	struct half_stream half = {
		.data = s->deliver_window,
		.sendmes = (uint16_t)((STREAM_WINDOW - s->package_window) / STREAM_WINDOW_INC),
	};

	if (s->kind == STREAM_RESOLVE)
		return;
	if (f->cc) {
		uint64_t rtt_ms = cc_rtt_max_us(f->cc) / 1000;

		half.data = HALF_ANY;
		half.until_ms = clock_now_ms() + (rtt_ms > HALF_MIN_MS ? rtt_ms : HALF_MIN_MS);
	}
	stream_table_half(&s->edge->table, s->id, &half);
}

static void finish(struct stream *s)
{
	if (s->kind == STREAM_EXIT && s->state == STREAM_OPEN && stream_buffered(s)) {
		detach(s);
		exit_linger(s);
		return;
	}
	stream_free(s);
}

void stream_end_body(struct stream *s, const uint8_t *body, size_t len)
{
	struct edge *e = s->edge;

	if (s->state == STREAM_LINGERING) {
		stream_free(s);
		return;
	}
	if (s->kind == STREAM_EXIT && s->state != STREAM_OPEN)
		e->relay->counters.streams_failed++;
	e->relay->counters.ends_sent[count_end(len ? body[0] : END_MISC)]++;
	remember_half(s);
	if (circuit_send(e->circuit, RELAY_END, s->id, body, len, NULL) < 0)
		stream_free(s);
	else
		finish(s);
}

void stream_end(struct stream *s, enum end_reason reason)
{
	uint8_t body = (uint8_t)reason;

	stream_end_body(s, &body, 1);
}

void stream_ended(struct stream *s)
{
	finish(s);
}

/* -- messages for a stream */

int stream_data(struct stream *s, const struct relay_msg *m)
{
	if (!s->edge->flow.cc) {
		if (s->deliver_window == 0)
			return ERR_PROTOCOL;
		s->deliver_window--;
	}
	switch ((enum stream_kind)s->kind) {
	case STREAM_EXIT:
		return exit_data(s, m);
	case STREAM_DIR:
		return dir_data(s, m);
	case STREAM_RESOLVE:
		break;
	}
	return ERR_PROTOCOL;
}

int stream_sendme(struct stream *s)
{
	if (s->edge->flow.cc || s->kind == STREAM_RESOLVE ||
	    s->package_window + STREAM_WINDOW_INC > STREAM_WINDOW)
		return ERR_PROTOCOL;
	s->package_window += STREAM_WINDOW_INC;
	/* Read at once what the socket has, rather than after another round of polling. */
	if (!s->read_on)
		stream_pull(s);
	return 0;
}

int stream_xoff(struct stream *s, const struct relay_msg *m)
{
	if (!s->edge->flow.cc || xoff_parse(m->data, m->len) < 0)
		return ERR_PROTOCOL;
	s->xoff = true;
	stream_update(s);
	return 0;
}

int stream_xon(struct stream *s, const struct relay_msg *m)
{
	uint32_t kbps;

	/* The rate is advice (prop 324, 4.1); XOFF alone already bounds what the client must hold. */
	if (!s->edge->flow.cc || xon_parse(&kbps, m->data, m->len) < 0)
		return ERR_PROTOCOL;
	s->xoff = false;
	stream_update(s);
	return 0;
}

/* -- towards the socket */

static int send_stream_sendmes(struct stream *s)
{
	while (s->deliver_window <= STREAM_WINDOW - STREAM_WINDOW_INC &&
	       stream_buffered(s) < SENDME_BUFFERED_CELLS * RELAY_DATA_MAX) {
		int r = circuit_send(s->edge->circuit, RELAY_SENDME, s->id, NULL, 0, NULL);

		if (r < 0)
			return r;
		s->deliver_window += STREAM_WINDOW_INC;
	}
	return 0;
}

static int send_drain(struct stream *s, enum drain_action action)
{
	struct circuit *c = s->edge->circuit;
	uint8_t body[XON_LEN];

	switch (action) {
	case DRAIN_SEND_XOFF:
		xoff_build(body);
		return circuit_send(c, RELAY_XOFF, s->id, body, XOFF_LEN, NULL);
	case DRAIN_SEND_XON:
		xon_build(body, s->drain.told_kbps);
		return circuit_send(c, RELAY_XON, s->id, body, XON_LEN, NULL);
	case DRAIN_NOTHING:
		break;
	}
	return 0;
}

int stream_received(struct stream *s)
{
	struct edge *e = s->edge;

	stream_account(s);
	if (!e->flow.cc)
		return 0;
	if (stream_buffered(s) > (size_t)STREAM_BUFFER_CELLS * RELAY_DATA_MAX)
		return ERR_PROTOCOL;
	(void)send_drain(s, drain_queued(&s->drain, &e->relay->cc_params, stream_buffered(s),
					 clock_precise_us()));
	return 0;
}

int stream_flushed(struct stream *s, size_t len)
{
	struct edge *e = s->edge;

	stream_account(s);
	if (s->state != STREAM_OPEN)
		return 0;
	if (!e->flow.cc)
		return send_stream_sendmes(s);
	return send_drain(s, drain_written(&s->drain, &e->relay->cc_params, len, stream_buffered(s),
					   clock_precise_us()));
}
