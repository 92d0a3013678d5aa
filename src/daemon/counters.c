#include "config.h"

#include "counters.h"

#define ADD(name) a->name += b->name;

void counters_add_totals(struct relay_counters *a, const struct relay_counters *b)
{
	COUNTER_TOTALS(ADD)
}

void counters_add(struct relay_counters *a, const struct relay_counters *b)
{
	COUNTER_TOTALS(ADD)
	COUNTER_GAUGES(ADD)
}
