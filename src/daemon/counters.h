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

/* Put the totals of `b` in the place of those of `a`. */
void counters_copy_totals(struct relay_counters *a, const struct relay_counters *b);

enum { COUNTERS_TEXT_CAP = 16000 };

/* The totals as lines "name value ...", which another version of the daemon can read; and back. */
void counters_format(char out[COUNTERS_TEXT_CAP], const struct relay_counters *c);
int counters_parse(struct relay_counters *ret, const char *text);

#endif
