/*
 * Which cell goes out next. Every link has a ring of circuits with waiting
 * cells, served one cell a turn. Links with something to send are flushed once
 * at the end of each round of the loop, so that cells that came in together
 * go out together, up to 31 to a TLS record.
 */
#ifndef RELAY_SCHED_H
#define RELAY_SCHED_H

#include <stddef.h>
#include <stdint.h>

#include "circuit.h"
#include "pool.h"

struct relay;
struct link;

/* Queue a cell, head included, at a circuit's end. Takes it over. ERR_LIMIT when the queue is full. */
int sched_push(struct circuit_end *end, struct pool_cell *cell);

/* Take up to `max` cells for the wire, CELL_LEN bytes each, into `out`. Returns how many. */
size_t sched_fill(struct link *l, uint8_t *out, size_t max);

/* Have the link flushed at the end of this round. */
void sched_flush_later(struct link *l);

/* Have sched_round() run at the end of this round. */
void sched_round_later(struct relay *r);

/* Drop what waits at this end and leave the ring. */
void sched_forget(struct circuit_end *end);

/*
 * End of the round: flush links, wake edges whose queue has drained, do
 * handshakes for a while, free what was closed. Called by the event loop, or
 * by hand in simulations.
 */
void sched_round(struct relay *r);

#endif
