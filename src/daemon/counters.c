#include "config.h"

#include "counters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static void add(void *to, const void *from, size_t n)
{
	const uint64_t *b = from;
	uint64_t *a = to;

	for (size_t i = 0; i < n; i++)
		a[i] += b[i];
}

void counters_add_totals(struct relay_counters *a, const struct relay_counters *b)
{
#define FIELD(field, n, is_total) \
	if (is_total) \
		add(&a->field, &b->field, n);
#include <nonos/metrics.def>
}

void counters_add(struct relay_counters *a, const struct relay_counters *b)
{
#define FIELD(field, n, is_total) add(&a->field, &b->field, n);
#include <nonos/metrics.def>
}
