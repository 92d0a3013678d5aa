/*
 * The reward policy "anyone-1": what the Anyone network's reward process pays
 * in one round, unit for unit. Four pools (network, hardware, uptime, exit) are
 * cut from the round's tokens by fixed shares, and each is divided in
 * proportion to what a relay was rated. Ratings pass through IEEE doubles, because the
 * formula is defined so: struct float64, the same bits on every machine. Powers are
 * correctly rounded. Everything that is a token is an exact integer.
 */
#ifndef NONOS_ANYONE_REWARDS_H
#define NONOS_ANYONE_REWARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <nonos/amount.h>
#include <nonos/eth_sig.h>
#include <nonos/float64.h>

enum {
	ANYONE_ID_LEN = 40,		/* hexadecimal digits of a fingerprint */
	ANYONE_TIERS_MAX = 32,
	ANYONE_RELAYS_MAX = 200000,
	ANYONE_WHY_CAP = 256,
};

/* Uptime from this many days on weighs that much; the highest weight reached counts. */
struct anyone_tier {
	uint64_t days;
	struct float64 weight;
};

/* An operator's relays pay this share, in thousandths, to the delegate. */
struct anyone_delegate {
	struct eth_addr operator, delegate;
	unsigned share;
};

/* Shares are thousandths: the formula cuts them to that before it multiplies. */
struct anyone_config {
	struct amount tokens_per_second;
	unsigned network_share, hardware_share, uptime_share, exit_share;	/* 0 when disabled */
	unsigned uptime_influence;	/* part of the hardware pool that follows uptime */
	bool hardware, uptime, exit;	/* which pools there are */
	bool family, location;		/* which multipliers there are */
	struct float64 family_offset, family_power;
	struct float64 location_offset, location_power, location_divider;
	struct anyone_tier tiers[ANYONE_TIERS_MAX];
	size_t n_tiers;
	struct anyone_delegate *delegates;	/* by operator */
	size_t n_delegates;
};

/* One relay: what was measured, and what anyone_compute() says of it. */
struct anyone_relay {
	char id[ANYONE_ID_LEN + 1];
	struct eth_addr address;
	uint64_t network, uptime_streak, family_size, location_size;
	bool hardware, exit;

	uint64_t rating;
	struct float64 uptime_weight;
	struct amount network_due, hardware_due, uptime_due, exit_due;
	struct amount total, operator_total, delegate_total;
};

/* A round. Its arrays belong to it; relays are in the order of their ids. */
struct anyone_round {
	struct anyone_config config;
	uint64_t elapsed_ms;
	struct anyone_relay *relays;
	size_t n_relays;

	uint64_t seconds;
	struct amount total;
};

/*
 * Read a round from JSON: {"config", "elapsedMs", "scores"}, as in
 * tests/vectors/anyone-rewards.json ("about", "expect" and "policy" may stand
 * beside them). ERR_MALFORMED or ERR_RANGE, with the reason in `why`.
 */
int anyone_round_read(struct anyone_round **ret, char why[ANYONE_WHY_CAP], const json_t *doc);
void anyone_round_free(struct anyone_round *r);

/* Fill in what each relay is due. ERR_RANGE when a number leaves its range. */
int anyone_compute(struct anyone_round *r);

/* The result as JSON: {"seconds", "total", "relays": {id: {...}}}. */
json_t *anyone_round_json(const struct anyone_round *r);
json_t *anyone_relay_json(const struct anyone_relay *relay);		/* of one */

#endif
