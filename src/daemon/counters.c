#include "config.h"

#include "counters.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <nonos/bytes.h>
#include <nonos/err.h>

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

void counters_copy_totals(struct relay_counters *a, const struct relay_counters *b)
{
#define FIELD(field, n, is_total) \
	if (is_total) \
		memcpy(&a->field, &b->field, sizeof(a->field));
#include <nonos/metrics.def>
}

static void put_values(struct wr *w, const char *name, const void *from, size_t n)
{
	const uint64_t *v = from;

	wr_printf(w, "%s", name);
	for (size_t i = 0; i < n; i++)
		wr_printf(w, " %" PRIu64, v[i]);
	wr_printf(w, "\n");
}

void counters_format(char out[COUNTERS_TEXT_CAP], const struct relay_counters *c)
{
	struct wr w = wr_init(out, COUNTERS_TEXT_CAP - 1);

#define FIELD(field, n, is_total) \
	if (is_total) \
		put_values(&w, #field, &c->field, n);
#include <nonos/metrics.def>
	out[wr_len(&w)] = '\0';
}

/* The digits at *text, which moves past them. Sums of a few stay far from overflow. */
static bool take_number(uint64_t *ret, const char **text)
{
	const char *p = *text;
	uint64_t v = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (v >= (uint64_t)1 << 58)
			return false;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	*ret = v;
	*text = p;
	return true;
}

struct place {
	uint64_t *v;
	size_t n;
};

/* Where the values of that name go; nowhere when another version counts what we do not. */
static struct place find(struct relay_counters *c, const char *name, size_t len)
{
#define FIELD(field, n, is_total) \
	if (is_total && strlen(#field) == len && memcmp(#field, name, len) == 0) \
		return (struct place){ (uint64_t *)(void *)&c->field, n };
#include <nonos/metrics.def>
	return (struct place){ NULL, 0 };
}

/* " 1 2 3\n", of which `p` may take fewer. */
static int take_values(struct place p, const char **text)
{
	size_t n = 0;

	while (**text == ' ') {
		uint64_t value;

		++*text;
		if (!take_number(&value, text))
			return ERR_MALFORMED;
		if (n < p.n)
			p.v[n] = value;
		n++;
	}
	return n > 0 && *(*text)++ == '\n' ? 0 : ERR_MALFORMED;
}

int counters_parse(struct relay_counters *ret, const char *text)
{
	struct relay_counters c = { 0 };

	while (*text) {
		size_t len = strcspn(text, " \n");
		struct place p = find(&c, text, len);

		text += len;
		if (take_values(p, &text) < 0)
			return ERR_MALFORMED;
	}
	*ret = c;
	return 0;
}
