/*
 * Sums of struct relay_counters (metrics.def): totals only grow, gauges are
 * values of the moment.
 */
#ifndef DAEMON_COUNTERS_H
#define DAEMON_COUNTERS_H

#include <nonos/relay.h>

/* Add all of `b` to `a`; or the totals alone, for a worker that is gone. */
void counters_add(struct relay_counters *a, const struct relay_counters *b);
void counters_add_totals(struct relay_counters *a, const struct relay_counters *b);

#endif
