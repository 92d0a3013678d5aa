/*
 * CREATE cells that wait for their turn at the CPU. Sources share it fairly:
 * a waiting cell joins one of 256 queues by a keyed hash of its source's
 * address, and the queues are served in turn (stochastic fair queueing). When
 * the whole is full, the longest queue loses its newest.
 */
#ifndef RELAY_HANDSHAKE_QUEUE_H
#define RELAY_HANDSHAKE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cell.h"

struct relay;
struct circuit;
struct link;
struct handshake_queue;

enum {
	HANDSHAKE_WAIT_MAX_MS = 1750,	/* older ones are dropped: the client has given up */
	HANDSHAKE_ROUND_US = 2000,	/* time for handshakes in one round of the loop */
};

struct handshake_queue *handshake_queue_new(void);
void handshake_queue_free(struct handshake_queue *q);

/*
 * Add a circuit in CIRCUIT_NEW and the CREATE2 that made it (copied). It is
 * found again by link and circuit id, so a circuit may close while it waits.
 */
void handshake_queue_add(struct relay *r, const struct circuit *c, const struct link *l,
			 const struct cell *cell);

/* Answer for at most HANDSHAKE_ROUND_US. True when some are left. */
bool handshake_queue_run(struct relay *r);

size_t handshake_queue_len(const struct handshake_queue *q);

#endif
