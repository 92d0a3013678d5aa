/*
 * The counters of struct relay_counters as a table: totals only grow, gauges
 * are values of the moment. Message, sums, status and log expand it.
 */
#ifndef DAEMON_COUNTERS_H
#define DAEMON_COUNTERS_H

#include <nonos/relay.h>

#define COUNTER_TOTALS(X) \
	X(read_bytes) X(written_bytes) X(exit_read_bytes) X(exit_written_bytes) \
	X(cells_in) X(cells_out) X(cells_relayed) \
	X(handshakes_fast) X(handshakes_ntor) X(handshakes_ntor3) X(handshakes_failed) X(handshakes_dropped) \
	X(links_opened) X(links_accepted) X(links_refused) X(links_failed) \
	X(circuits_made) X(circuits_destroyed) X(circuits_killed_memory) X(circuits_killed_protocol) \
	X(streams_opened) X(streams_failed) X(resolves) X(dir_requests) X(dir_bytes)

#define COUNTER_GAUGES(X) \
	X(links) X(circuits) X(streams) X(queued_bytes) X(memory_bytes)

#define COUNTER_ONE(name) +1
enum { COUNTER_COUNT = 0 COUNTER_TOTALS(COUNTER_ONE) COUNTER_GAUGES(COUNTER_ONE) };
#undef COUNTER_ONE

_Static_assert(sizeof(struct relay_counters) == COUNTER_COUNT * sizeof(uint64_t),
	       "a counter of relay.h is missing here");

/* Add all of `b` to `a`; or the totals alone, for a worker that is gone. */
void counters_add(struct relay_counters *a, const struct relay_counters *b);
void counters_add_totals(struct relay_counters *a, const struct relay_counters *b);

#endif
