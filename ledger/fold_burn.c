/*
 * The burn controller in the fold: it counts what was issued, burnt and spent,
 * and moves the rate with the first entry of an epoch. The rule itself is
 * burn_next().
 */
#include "config.h"

#include "ledger_state.h"

#include <nonos/err.h>

struct burn_state {
	uint32_t rate_ppm;
	uint64_t epoch, stepped_at;
	struct amount flows[3];		/* by enum burn_flow, since the last step */
};

static int load(struct ledger *l, struct burn_state *ret)
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT rate_ppm, epoch, stepped_at, issued, burnt, spent FROM burn", "");

	if (r < 0)
		return r == ERR_NOT_FOUND ? store_damaged(l->store, "the burn controller's state is missing") : r;
	ret->rate_ppm = (uint32_t)store_u64(row, 0);
	ret->epoch = store_u64(row, 1);
	ret->stepped_at = store_u64(row, 2);
	for (int i = 0; i < 3; i++)
		ret->flows[i] = store_amount(row, 3 + i);
	store_end(row);
	return 0;
}

static int save(struct ledger *l, const struct burn_state *b)
{
	return store_run(l->store, "INSERT OR REPLACE INTO burn VALUES(0, ?, ?, ?, ?, ?, ?)", "uuuaaa", (uint64_t)b->rate_ppm,
			 b->epoch, b->stepped_at, b->flows[BURN_ISSUED], b->flows[BURN_BURNT], b->flows[BURN_SPENT]);
}

int burn_genesis(struct ledger *l)
{
	struct burn_state b = { .rate_ppm = l->genesis->burn.start_ppm, .stepped_at = l->genesis->time };

	return save(l, &b);
}

int burn_note(struct ledger *l, enum burn_flow flow, struct amount amount)
{
	struct burn_state b;
	int r = load(l, &b);

	if (r == 0 && amount_add(&b.flows[flow], b.flows[flow], amount) < 0)
		r = store_damaged(l->store, "the burn controller counted more than there is");
	return r < 0 ? r : save(l, &b);
}

int burn_rate(struct ledger *l, uint32_t *ret_ppm)
{
	struct burn_state b;
	int r = load(l, &b);

	if (r == 0)
		*ret_ppm = b.rate_ppm;
	return r;
}

static int inputs(struct ledger *l, struct burn_inputs *ret, const struct burn_state *b)
{
	uint64_t elapsed = l->fold.time - b->stepped_at;
	struct ledger_supply s;
	int r = ledger_supply(l, &s);

	if (r < 0)
		return r;
	ret->circulating = s.circulating;
	ret->staked = s.staked;
	ret->treasury = s.treasury;
	ret->elapsed_s = elapsed > UINT32_MAX ? UINT32_MAX : (uint32_t)elapsed;
	ret->issued = b->flows[BURN_ISSUED];
	ret->burnt = b->flows[BURN_BURNT];
	ret->spent = b->flows[BURN_SPENT];
	return 0;
}

int burn_due(struct ledger *l)
{
	uint64_t epoch = genesis_epoch(l->genesis, l->fold.time);
	struct burn_inputs in;
	struct burn_state b;
	int r;

	if (epoch == genesis_epoch(l->genesis, l->end.time))
		return 0;
	r = load(l, &b);
	if (r < 0 || b.epoch == epoch)
		return r;
	r = inputs(l, &in, &b);
	if (r < 0)
		return r;
	b = (struct burn_state){ .rate_ppm = burn_next(&l->genesis->burn, b.rate_ppm, &in, NULL), .epoch = epoch,
				 .stepped_at = l->fold.time };
	return save(l, &b);
}
