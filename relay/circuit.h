/*
 * A circuit through this relay: two ends, each a link and a circuit id on it,
 * with a queue of cells per direction; one onion layer; and an edge for
 * messages that are for us. Created by CREATE_FAST or CREATE2 on a link, owned
 * by the relay (struct relay), names its links by id. (tor-spec 5)
 */
#ifndef RELAY_CIRCUIT_H
#define RELAY_CIRCUIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/addr.h>

#include "cell.h"
#include "onion.h"
#include "pool.h"

struct relay;
struct link;
struct edge;

enum circuit_state {
	CIRCUIT_NEW,		/* CREATE received, waits in the handshake queue */
	CIRCUIT_OPEN,		/* keys known; we are the last hop */
	CIRCUIT_EXTENDING,	/* EXTEND2 received: the next link opens, or CREATED2 is awaited */
	CIRCUIT_JOINED,		/* has a next hop */
	CIRCUIT_CLOSED,		/* destroyed; freed by the loop */
	CIRCUIT_STATES
};

enum {
	CIRCUIT_QUEUE_HIGH = 256,	/* cells towards the client: streams stop reading */
	CIRCUIT_QUEUE_LOW = 64,		/* and go on */
	CIRCUIT_EARLY_MAX = 8,		/* RELAY_EARLY cells per circuit (tor-spec 5.6) */
};

enum circuit_side { SIDE_PREV, SIDE_NEXT };

/* One end of a circuit. `queue` holds what is to be sent on that link. */
struct circuit_end {
	struct circuit *circuit;
	uint64_t link_id;		/* 0: no such end */
	uint32_t circ_id;
	uint8_t side;			/* enum circuit_side */
	struct cell_queue queue;
	struct circuit_end *ring_next, *ring_prev;	/* the link's circle of ends with cells; NULL: not in it */
};

struct circuit {
	struct relay *relay;
	uint64_t id;			/* never used again in this process */
	enum circuit_state state;
	struct circuit_end end[2];	/* by enum circuit_side */
	struct onion onion;
	struct edge *edge;		/* made by the first message for it */
	uint8_t sendme_inc;		/* agreed congestion control; 0: fixed windows */
	uint8_t early_left;		/* RELAY_EARLY cells still allowed outward */
	bool streams_blocked;		/* queue towards the client passed CIRCUIT_QUEUE_HIGH */
	bool writable_due;		/* in the relay's list of edges to wake */
	bool from_client;		/* the previous hop did not authenticate */
	uint8_t close_reason;
	uint64_t created_ms;
	struct circuit_extend *extend;	/* while CIRCUIT_EXTENDING */
	struct circuit *all_next, *all_prev;	/* relay's list */
	struct circuit *dead_next;
	struct circuit *writable_next;	/* relay's list of edges to wake */
};

/* A CREATE, CREATE_FAST or CREATE2 came in on `l`. */
void circuit_create(struct link *l, const struct cell *cell);

/* CREATED2 came in: answer the client's EXTEND2. */
void circuit_created(struct circuit_end *end, const struct cell *cell);

/* RELAY or RELAY_EARLY came in at this end. */
void circuit_relay(struct circuit_end *end, const struct cell *cell);

/* DESTROY came in at this end: the other side gets DESTROY_DESTROYED. */
void circuit_destroyed(struct circuit_end *end, uint8_t reason);

/* The link of this end is gone: the end is cleared, nothing is sent there. */
void circuit_link_lost(struct circuit_end *end);

/*
 * Do the handshake that waits in `onion` (a CREATE2 or CREATE_FAST cell's
 * body) and answer: called by the handshake queue.
 */
void circuit_answer(struct circuit *c, uint8_t cmd, const uint8_t *body);

/* Free what circuit_close() marked. */
void circuit_free(struct circuit *c);

/*
 * Send a message of ours towards the client. `ret_digest` (20 bytes, or NULL)
 * gets the running digest of this cell. ERR_CLOSED when the circuit is closed;
 * ERR_LIMIT when its queue was full, and then the circuit is closed.
 */
int circuit_send(struct circuit *c, uint8_t cmd, uint16_t stream_id, const uint8_t *data,
		 size_t len, uint8_t ret_digest[20]);

/* Cells waiting in the queue towards the client. */
static inline size_t circuit_queued(const struct circuit *c)
{
	return c->end[SIDE_PREV].queue.count;
}

/* Address of the previous hop's link, for X-Your-Address-Is; family ADDR_NONE when gone. */
struct addr circuit_prev_addr(const struct circuit *c);

/*
 * Close: DESTROY goes to both ends, streams are freed. The struct itself lives
 * until the loop comes round, so this is safe anywhere under a callback.
 */
void circuit_close(struct circuit *c, enum destroy_reason reason);

#endif
