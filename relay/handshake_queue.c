/* Waiting CREATE2 cells; see handshake_queue.h. Owned by the relay. */
#include "config.h"

#include "handshake_queue.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/mem.h>
#include <nonos/rand.h>

#include "circuit.h"
#include "link.h"
#include "relay_priv.h"

enum { QUEUES = 256 };

struct entry {
	struct entry *next, *prev;	/* towards the tail and the head of its queue */
	uint64_t link_id, circuit_id;
	uint64_t queued_ms;
	uint32_t circ_id;
	uint8_t cmd;
	uint8_t body[CELL_BODY_LEN];
};

struct queue {
	struct entry *head, *tail;
	size_t len;
};

struct handshake_queue {
	struct queue queues[QUEUES];
	size_t len;
	size_t turn;
	uint64_t hash_key;
};

struct handshake_queue *handshake_queue_new(void)
{
	struct handshake_queue *q = mem_new(sizeof(*q));

	rand_bytes(&q->hash_key, sizeof(q->hash_key));
	q->hash_key |= 1;
	return q;
}

static struct entry *queue_pop(struct handshake_queue *hq, struct queue *q)
{
	struct entry *e = q->head;

	if (!e)
		return NULL;
	q->head = e->next;
	if (q->head)
		q->head->prev = NULL;
	else
		q->tail = NULL;
	q->len--;
	hq->len--;
	return e;
}

void handshake_queue_free(struct handshake_queue *q)
{
	struct entry *e;

	if (!q)
		return;
	for (size_t i = 0; i < QUEUES; i++)
		while ((e = queue_pop(q, &q->queues[i])))
			free(e);
	free(q);
}

size_t handshake_queue_len(const struct handshake_queue *q)
{
	return q->len;
}

/* IPv6 sources have at least a /64 to themselves. */
static struct queue *queue_of(struct handshake_queue *hq, const struct addr *source)
{
	uint64_t v;

	memcpy(&v, source->ip, sizeof(v));
	v = (v ^ hq->hash_key) * (hq->hash_key | 1);
	v ^= v >> 32;
	v *= hq->hash_key;
	return &hq->queues[v >> 56];
}

/* The circuit an entry stands for, or NULL when it has gone. */
static struct circuit *entry_circuit(const struct relay *r, const struct entry *e)
{
	struct link *l = link_by_id(r, e->link_id);
	struct circuit_end *end = l ? circ_table_find(&l->circs, e->circ_id) : NULL;

	if (!end || end->circuit->id != e->circuit_id || end->circuit->state != CIRCUIT_NEW)
		return NULL;
	return end->circuit;
}

static void refuse(struct relay *r, const struct entry *e)
{
	struct circuit *c = entry_circuit(r, e);

	if (!c)
		return;
	r->counters.handshakes_lost[count_handshake(e->cmd, e->body)]++;
	r->counters.refusals[REFUSED_HANDSHAKE_QUEUE]++;
	circuit_close(c, DESTROY_RESOURCELIMIT);
}

/* Take the newest entry off the longest queue. */
static void drop_one(struct relay *r)
{
	struct handshake_queue *hq = r->handshakes;
	struct queue *longest = &hq->queues[0];
	struct entry *e;

	for (size_t i = 1; i < QUEUES; i++)
		if (hq->queues[i].len > longest->len)
			longest = &hq->queues[i];
	e = longest->tail;
	longest->tail = e->prev;
	*(e->prev ? &e->prev->next : &longest->head) = NULL;
	longest->len--;
	hq->len--;
	refuse(r, e);
	free(e);
}

void handshake_queue_add(struct relay *r, const struct circuit *c, const struct link *l,
			 const struct cell *cell)
{
	struct handshake_queue *hq = r->handshakes;
	struct queue *q = queue_of(hq, &l->peer);
	struct entry *e = mem_new(sizeof(*e));

	e->link_id = l->id;
	e->circuit_id = c->id;
	e->circ_id = cell->circ_id;
	e->queued_ms = clock_now_ms();
	e->cmd = cell->cmd;
	memcpy(e->body, cell->body, CELL_BODY_LEN);
	e->prev = q->tail;
	if (q->tail)
		q->tail->next = e;
	else
		q->head = e;
	q->tail = e;
	q->len++;
	hq->len++;
	if (hq->len > r->config.limits.handshake_queue)
		drop_one(r);
}

static struct entry *next_entry(struct handshake_queue *hq)
{
	for (size_t i = 0; i < QUEUES; i++) {
		struct entry *e = queue_pop(hq, &hq->queues[(hq->turn + i) % QUEUES]);

		if (e) {
			hq->turn = (hq->turn + i + 1) % QUEUES;
			return e;
		}
	}
	return NULL;
}

bool handshake_queue_run(struct relay *r)
{
	uint64_t start = clock_precise_us();
	struct entry *e;

	while (r->handshakes->len && (e = next_entry(r->handshakes))) {
		struct circuit *c = entry_circuit(r, e);
		uint64_t waited_ms = clock_now_ms() - e->queued_ms;

		if (c)
			count_handshake_wait(&r->counters, waited_ms);
		if (c && waited_ms > HANDSHAKE_WAIT_MAX_MS)
			refuse(r, e);
		else if (c)
			circuit_answer(c, e->cmd, e->body);
		free(e);
		if (clock_precise_us() - start > HANDSHAKE_ROUND_US)
			break;
	}
	return r->handshakes->len > 0;
}
