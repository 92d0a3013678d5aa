/*
 * Cells in memory: fixed blocks from slabs that one relay owns, so that nothing is
 * allocated per cell in the steady state. Slabs whose blocks are all free are
 * given back by pool_trim().
 */
#ifndef RELAY_POOL_H
#define RELAY_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "cell.h"

struct pool_cell {
	struct pool_cell *next;
	uint32_t queued_ms;		/* low 32 bits of the monotonic clock */
	uint8_t bytes[CELL_LEN + 2];	/* head and body, ready for the wire */
};

struct cell_queue {
	struct pool_cell *head, *tail;
	uint32_t count;
};

struct pool;

struct pool *pool_new(void);
void pool_free(struct pool *p);

/* Take a cell; contents undefined. Never NULL. */
struct pool_cell *pool_get(struct pool *p);
void pool_put(struct pool *p, struct pool_cell *c);

/* Give whole free slabs back to the system, keeping one. */
void pool_trim(struct pool *p);

/* Bytes in use by cells handed out, and bytes held in slabs. */
size_t pool_used_bytes(const struct pool *p);
size_t pool_held_bytes(const struct pool *p);

static inline void cell_queue_push(struct cell_queue *q, struct pool_cell *c)
{
	c->next = NULL;
	if (q->tail)
		q->tail->next = c;
	else
		q->head = c;
	q->tail = c;
	q->count++;
}

static inline struct pool_cell *cell_queue_pop(struct cell_queue *q)
{
	struct pool_cell *c = q->head;

	if (!c)
		return NULL;
	q->head = c->next;
	if (!q->head)
		q->tail = NULL;
	q->count--;
	return c;
}

void cell_queue_clear(struct cell_queue *q, struct pool *p);

#endif
