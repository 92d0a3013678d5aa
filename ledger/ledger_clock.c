/* The writer's clock, and whether it is believed. */
#include "config.h"

#include "ledger_state.h"

#include <inttypes.h>

#include <nonos/clock.h>

enum { MILLISECONDS = 1000 };

static uint64_t wall(void)
{
	return clock_wall() < 0 ? 0 : (uint64_t)clock_wall();
}

/* What the clock should show: no less than the last entry, and what went by since it was last known. */
static uint64_t due(const struct ledger *l)
{
	uint64_t now = l->clock.wall_s + clock_now_ms() / MILLISECONDS - l->clock.mono_s;

	return now > l->end.time ? now : l->end.time;
}

static void set_to(struct ledger *l, uint64_t wall_s)
{
	l->clock.wall_s = wall_s;
	l->clock.mono_s = clock_now_ms() / MILLISECONDS;
}

void ledger_watch_clock(struct ledger *l, uint32_t ahead_s, uint32_t stop_s)
{
	uint64_t now = wall(), last = l->end.time;

	/* Before the first entry there is nothing to lose, and nothing to go by. */
	if (!l->clock.on)
		set_to(l, l->end.tree.size && now > last && now - last > stop_s ? last : now);
	l->clock.on = true;
	l->clock.ahead_s = ahead_s;
}

uint64_t ledger_clock_ahead(const struct ledger *l, uint64_t *ret_due)
{
	uint64_t now = wall();

	*ret_due = l->clock.on ? due(l) : now;
	return now > *ret_due && now - *ret_due > l->clock.ahead_s ? now - *ret_due : 0;
}

void ledger_trust_clock(struct ledger *l)
{
	set_to(l, wall());
}

int clock_entry_time(struct ledger *l, uint64_t *ret, struct ledger_refusal *refusal)
{
	uint64_t now = wall(), should, ahead = ledger_clock_ahead(l, &should);

	if (ahead)
		return refuse(refusal, REFUSED_CLOCK, "the writer's clock shows %" PRIu64 ", %" PRIu64 " seconds more than is believed; its "
			      "operator has to look", now, ahead);
	*ret = ledger_now(l);
	return 0;
}
