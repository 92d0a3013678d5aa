#include "config.h"

#include "share.h"

#include <string.h>

enum { HUNGRY_PERCENT = 97, HEADROOM_PERCENT = 105, FLOOR_PART = 50 };

void share_used(struct share *s, uint64_t counted)
{
	memmove(s->used + 1, s->used, (SHARE_MEMORY - 1) * sizeof(s->used[0]));
	/* A worker that was started again counts from 0. */
	s->used[0] = counted > s->counted ? counted - s->counted : 0;
	s->counted = counted;
}

/* The most of late: a report that comes late makes one second empty and the next one double. */
static uint64_t recent(const struct share *s)
{
	uint64_t most = 0;

	for (size_t i = 0; i < SHARE_MEMORY; i++)
		most = s->used[i] > most ? s->used[i] : most;
	return most > s->rate ? s->rate : most;
}

/*
 * What a worker would take. Of one that takes all it may nobody knows how much more it wants: it is
 * offered more each second, so that a short burst does not cost another worker its half.
 */
static uint64_t demand(const struct share *s, uint64_t least, uint64_t total)
{
	uint64_t used = recent(s);

	if (used / HUNGRY_PERCENT >= s->rate / 100)
		return 2 * used + total / 8 + least;
	return used / 100 * HEADROOM_PERCENT + least;
}

/* As much for each as it wants, up to a level at which all is given. */
static uint64_t fill(uint64_t *ret, const uint64_t *wants, size_t n, uint64_t total)
{
	uint64_t left = total;
	size_t open = n;

	memset(ret, 0, n * sizeof(*ret));
	/* Each turn satisfies somebody, or gives all that is left. */
	while (open > 0) {
		uint64_t level = left / open;
		size_t before = open;

		for (size_t i = 0; i < n; i++) {
			if (ret[i] || wants[i] > level)
				continue;
			ret[i] = wants[i];
			left -= wants[i];
			open--;
		}
		if (open == before)
			break;
	}
	for (size_t i = 0; i < n; i++) {
		if (ret[i])
			continue;
		ret[i] = left / open--;
		left -= ret[i];
	}
	return left;
}

void shares_divide(struct share *shares, size_t n, uint64_t total)
{
	uint64_t wants[SHARE_WORKERS_MAX], rates[SHARE_WORKERS_MAX], least = total / n / FLOOR_PART + 1;
	uint64_t left, sum = 0;

	for (size_t i = 0; i < n; i++) {
		if (shares[i].rate == 0)
			shares[i].rate = total / n + 1;
		wants[i] = demand(&shares[i], least, total);
	}
	left = fill(rates, wants, n, total);
	for (size_t i = 0; i < n; i++)
		sum += rates[i];
	/* What nobody wants stands ready where most is used: that is who may soon want more. */
	for (size_t i = 0; i < n && left; i++) {
		uint64_t extra = sum ? (uint64_t)((unsigned __int128)left * rates[i] / sum) : left;

		sum -= rates[i];
		left -= extra;
		rates[i] += extra;
	}
	for (size_t i = 0; i < n; i++)
		shares[i].rate = rates[i] ? rates[i] : 1;
}
