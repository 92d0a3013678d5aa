/*
 * Queues to wire. A cell is queued at a circuit's end; the end joins the
 * circle of its link; the link joins the relay's list of links to flush.
 */
#include "config.h"

#include "sched.h"

#include <string.h>

#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/err.h>

#include "edge.h"
#include "handshake_queue.h"
#include "link.h"
#include "relay_priv.h"

/* -- the circle of ends with cells --------------------------------------- */

static void ring_join(struct link *l, struct circuit_end *end)
{
	if (!l->ring) {
		end->ring_next = end->ring_prev = end;
		l->ring = end;
		return;
	}
	/* Behind the one whose turn it is: last in this circle. */
	end->ring_next = l->ring;
	end->ring_prev = l->ring->ring_prev;
	end->ring_prev->ring_next = end;
	end->ring_next->ring_prev = end;
}

static void ring_leave(struct link *l, struct circuit_end *end)
{
	if (end->ring_next == end) {
		l->ring = NULL;
	} else {
		end->ring_prev->ring_next = end->ring_next;
		end->ring_next->ring_prev = end->ring_prev;
		if (l->ring == end)
			l->ring = end->ring_next;
	}
	end->ring_next = end->ring_prev = NULL;
}

/* -- in ------------------------------------------------------------------ */

static uint32_t queue_limit(const struct relay *r)
{
	uint32_t own = r->config.limits.cells_per_circuit, network = r->params.circ_max_cell_queue_size;

	return network && network < own ? network : own;
}

int sched_push(struct circuit_end *end, struct pool_cell *cell)
{
	struct relay *r = end->circuit->relay;
	struct link *l = link_by_id(r, end->link_id);

	if (!l) {
		pool_put(r->pool, cell);
		return ERR_CLOSED;
	}
	if (end->queue.count >= queue_limit(r)) {
		r->counters.refusals[REFUSED_CELLS_PER_CIRCUIT]++;
		pool_put(r->pool, cell);
		return ERR_LIMIT;
	}
	cell->queued_ms = (uint32_t)clock_now_ms();
	cell_queue_push(&end->queue, cell);
	l->n_queued++;
	if (!end->ring_next)
		ring_join(l, end);
	sched_flush_later(l);
	return 0;
}

void sched_forget(struct circuit_end *end)
{
	struct relay *r = end->circuit->relay;
	struct link *l = link_by_id(r, end->link_id);

	if (l) {
		l->n_queued -= end->queue.count;
		if (end->ring_next)
			ring_leave(l, end);
	}
	cell_queue_clear(&end->queue, r->pool);
}

/* -- out ----------------------------------------------------------------- */

/* The queue towards the client has drained: its streams may go on, at the end of the round. */
static void note_drained(struct circuit *c)
{
	struct relay *r = c->relay;

	if (!c->streams_blocked || circuit_queued(c) > CIRCUIT_QUEUE_LOW)
		return;
	c->streams_blocked = false;
	if (c->writable_due)
		return;
	c->writable_due = true;
	c->writable_next = r->writable;
	r->writable = c;
	sched_round_later(r);
}

static struct pool_cell *next_cell(struct link *l)
{
	struct pool_cell *cell = cell_queue_pop(&l->control);
	struct circuit_end *end = l->ring;

	if (cell || !end)
		return cell;
	cell = cell_queue_pop(&end->queue);
	if (end->queue.count)
		l->ring = end->ring_next;
	else
		ring_leave(l, end);
	if (end->side == SIDE_PREV)
		note_drained(end->circuit);
	return cell;
}

size_t sched_fill(struct link *l, uint8_t *out, size_t max)
{
	struct relay *r = l->relay;
	uint32_t now_ms = (uint32_t)clock_now_ms();
	struct pool_cell *cell;
	size_t n = 0;

	while (n < max && (cell = next_cell(l))) {
		memcpy(out + n * CELL_LEN, cell->bytes, CELL_LEN);
		count_cell_out(&r->counters, cell, now_ms);
		pool_put(r->pool, cell);
		n++;
	}
	l->n_queued -= (uint32_t)n;
	return n;
}

/* -- the end of a round -------------------------------------------------- */

void sched_round_later(struct relay *r)
{
	static const struct timeval at_once = { 0, 0 };

	/* A timer of zero runs after one more look at the sockets, so that none starves. */
	if (r->round && !event_pending(r->round, EV_TIMEOUT, NULL))
		event_add(r->round, &at_once);
}

void sched_flush_later(struct link *l)
{
	struct relay *r = l->relay;

	if (l->flush_due)
		return;
	l->flush_due = true;
	l->flush_next = NULL;
	if (r->flush_last)
		r->flush_last->flush_next = l;
	else
		r->flush_first = l;
	r->flush_last = l;
	sched_round_later(r);
}

static void flush_links(struct relay *r)
{
	struct link *l = r->flush_first;

	r->flush_first = r->flush_last = NULL;
	while (l) {
		struct link *next = l->flush_next;

		l->flush_due = false;
		if (l->state != LINK_CLOSED)
			r->flush(l);
		l = next;
	}
}

static void wake_edges(struct relay *r)
{
	struct circuit *c = r->writable;

	r->writable = NULL;
	while (c) {
		struct circuit *next = c->writable_next;

		c->writable_due = false;
		if (c->state != CIRCUIT_CLOSED && c->edge)
			edge_writable(c->edge);
		c = next;
	}
}

/* Free what was closed, but for what still stands in a list of the next round. */
static void free_dead(struct relay *r)
{
	struct circuit *circuits = r->dead_circuits;
	struct link *links = r->dead_links;

	r->dead_circuits = NULL;
	r->dead_links = NULL;
	while (circuits) {
		struct circuit *c = circuits;

		circuits = c->dead_next;
		if (c->writable_due) {
			c->dead_next = r->dead_circuits;
			r->dead_circuits = c;
		} else {
			circuit_free(c);
		}
	}
	while (links) {
		struct link *l = links;

		links = l->dead_next;
		if (l->flush_due) {
			l->dead_next = r->dead_links;
			r->dead_links = l;
		} else {
			link_free(l);
		}
	}
	if (r->dead_circuits || r->dead_links)
		sched_round_later(r);
}

void sched_round(struct relay *r)
{
	bool more = handshake_queue_run(r);

	flush_links(r);
	wake_edges(r);
	relay_relieve_memory(r);
	free_dead(r);
	if (more)
		sched_round_later(r);
}
