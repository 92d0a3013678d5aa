/*
 * The token over years: what the reserve pays, what is burnt, what circulates
 * and how long the treasury lasts, by the rules of a genesis and under plain
 * assumptions. The steps are the ledger's own functions, so a simulation and a
 * journal with the same events end at the same unit.
 */
#ifndef NONOS_SIMULATE_H
#define NONOS_SIMULATE_H

#include <stddef.h>
#include <stdint.h>

#include <nonos/amount.h>
#include <nonos/genesis.h>

enum { SIMULATE_YEARS_MAX = 100 };

/* What the rules do not say. */
struct simulate_world {
	unsigned years;			/* 1 to SIMULATE_YEARS_MAX */
	unsigned staked_bp;		/* of what circulates */
	struct amount revenue, spend;	/* tokens a year: fees for modules; what the treasury pays out */
};

/* The end of a year; the first row is the start, with flows of zero. */
struct simulate_year {
	unsigned year;
	struct amount emission, burnt, revenue, spent;		/* in the year */
	struct amount supply, circulating, reserve, treasury;	/* at its end; supply: all but what is burnt */
	uint32_t burn_ppm;
	uint64_t runway_days;		/* at the year's spending; UINT64_MAX: for ever */
};

/*
 * Fill `ret`, years + 1 rows. Each epoch is a step (of an hour at least; shorter ones are put together). ERR_RANGE.
 */
int simulate(struct simulate_year *ret, const struct genesis *g, const struct simulate_world *w);

/* A genesis with the usual numbers, for those who have none: only good for this. */
int simulate_usual(struct genesis **ret, char why[GENESIS_WHY_CAP]);

#endif
