#include "config.h"

#include <nonos/anyone_rewards.h>

#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>

enum { THOUSAND = 1000, UPTIME_PRECISION = 100000 };

/* -- ratings ------------------------------------------------------------------- */

/* floor(score * multiplier), a negative multiplier counting as zero. */
static int scale(uint64_t *score, struct float64 multiplier)
{
	const struct float64 zero = { 0 };

	if (float64_less(multiplier, zero))
		multiplier = zero;
	return float64_floor(score, float64_mul(float64_of_u64(*score), multiplier));
}

/* 1 + offset * size ^ power */
static struct float64 family_multiplier(const struct anyone_config *c, uint64_t size)
{
	struct float64 power = float64_pow(float64_of_u64(size), c->family_power);

	return float64_add(FLOAT64_ONE, float64_mul(c->family_offset, power));
}

/* 1 - offset * (size / divider) ^ power */
static struct float64 location_multiplier(const struct anyone_config *c, uint64_t size)
{
	struct float64 power = float64_pow(float64_div(float64_of_u64(size), c->location_divider), c->location_power);

	return float64_sub(FLOAT64_ONE, float64_mul(c->location_offset, power));
}

/* The weight of the highest tier that was reached. */
static struct float64 uptime_weight(const struct anyone_config *c, uint64_t days)
{
	struct float64 weight = { 0 };

	for (size_t i = 0; c->uptime && i < c->n_tiers; i++)
		if (c->tiers[i].days <= days && float64_less(weight, c->tiers[i].weight))
			weight = c->tiers[i].weight;
	return weight;
}

static int rate(struct anyone_relay *relay, const struct anyone_config *c)
{
	uint64_t score = relay->network;
	int r = 0;

	if (c->family)
		r = scale(&score, family_multiplier(c, relay->family_size));
	if (r == 0 && c->location)
		r = scale(&score, location_multiplier(c, relay->location_size));
	if (r < 0)
		return r;
	relay->rating = score;
	relay->uptime_weight = uptime_weight(c, relay->uptime_streak);
	return 0;
}

/* What the relays have together. */
struct sums {
	struct amount rating, exit_rating;
	struct float64 uptime_weight;		/* added up in the order of ids */
	struct amount hardware_network, hardware_uptime;	/* what hardware relays are due of those pools */
};

static int rate_all(struct anyone_round *r, struct sums *s)
{
	for (size_t i = 0; i < r->n_relays; i++) {
		struct anyone_relay *relay = &r->relays[i];
		int err = rate(relay, &r->config);

		if (err < 0)
			return err;
		if (amount_add(&s->rating, s->rating, amount_u64(relay->rating)) < 0)
			return ERR_RANGE;
		if (relay->exit && amount_add(&s->exit_rating, s->exit_rating, amount_u64(relay->rating)) < 0)
			return ERR_RANGE;
		s->uptime_weight = float64_add(s->uptime_weight, relay->uptime_weight);
	}
	return float64_is_finite(s->uptime_weight) ? 0 : ERR_RANGE;
}

/* -- pools --------------------------------------------------------------------- */

struct pools {
	struct amount network, uptime, exit, hardware_network, hardware_uptime;
};

/* A pool is its share of one second's tokens, cut to a whole unit, times the seconds. */
static int make_pool(struct amount *ret, const struct anyone_round *r, unsigned share)
{
	struct amount second;
	int err = amount_muldiv(&second, NULL, r->config.tokens_per_second, amount_u64(share), amount_u64(THOUSAND));

	return err < 0 ? err : amount_mul(ret, second, amount_u64(r->seconds));
}

static int make_pools(struct pools *p, const struct anyone_round *r)
{
	const struct anyone_config *c = &r->config;
	unsigned influence = c->uptime ? c->uptime_influence : 0;
	struct amount hardware = { 0 };
	int err = make_pool(&p->network, r, c->network_share);

	if (err == 0 && c->hardware)
		err = make_pool(&hardware, r, c->hardware_share);
	if (err == 0 && c->uptime)
		err = make_pool(&p->uptime, r, c->uptime_share);
	if (err == 0 && c->exit)
		err = make_pool(&p->exit, r, c->exit_share);
	if (err == 0)
		err = amount_muldiv(&p->hardware_uptime, NULL, hardware, amount_u64(influence), amount_u64(THOUSAND));
	if (err == 0)
		err = amount_sub(&p->hardware_network, hardware, p->hardware_uptime);
	return err;
}

/* floor(pool * part / whole); nobody is due anything of a whole of zero. */
static int part_of(struct amount *ret, struct amount pool, struct amount part, struct amount whole)
{
	*ret = amount_u64(0);
	return amount_is_zero(whole) ? 0 : amount_muldiv(ret, NULL, pool, part, whole);
}

/* The part of the uptime pool is cut to five digits before it multiplies. */
static int uptime_part(struct amount *ret, struct amount pool, struct float64 weight, struct float64 whole)
{
	uint64_t digits;

	*ret = amount_u64(0);
	if (!float64_less((struct float64){ 0 }, whole))
		return 0;
	if (float64_floor(&digits, float64_mul(float64_div(weight, whole), float64_of_u64(UPTIME_PRECISION))) < 0)
		return ERR_RANGE;
	return amount_muldiv(ret, NULL, pool, amount_u64(digits), amount_u64(UPTIME_PRECISION));
}

/* First pass: network and uptime; the hardware pools follow from these. */
static int pay_common(struct anyone_round *r, struct sums *s, const struct pools *p)
{
	for (size_t i = 0; i < r->n_relays; i++) {
		struct anyone_relay *relay = &r->relays[i];

		if (part_of(&relay->network_due, p->network, amount_u64(relay->rating), s->rating) < 0 ||
		    uptime_part(&relay->uptime_due, p->uptime, relay->uptime_weight, s->uptime_weight) < 0)
			return ERR_RANGE;
		if (!relay->hardware || !r->config.hardware)
			continue;
		if (amount_add(&s->hardware_network, s->hardware_network, relay->network_due) < 0 ||
		    amount_add(&s->hardware_uptime, s->hardware_uptime, relay->uptime_due) < 0)
			return ERR_RANGE;
	}
	return 0;
}

static int pay_hardware(struct anyone_relay *relay, const struct sums *s, const struct pools *p)
{
	struct amount by_uptime;

	if (part_of(&relay->hardware_due, p->hardware_network, relay->network_due, s->hardware_network) < 0 ||
	    part_of(&by_uptime, p->hardware_uptime, relay->uptime_due, s->hardware_uptime) < 0)
		return ERR_RANGE;
	return amount_add(&relay->hardware_due, relay->hardware_due, by_uptime);
}

/* -- totals -------------------------------------------------------------------- */

static int delegate_cmp(const void *key, const void *row)
{
	return memcmp(((const struct eth_addr *)key)->b, ((const struct anyone_delegate *)row)->operator.b, ETH_ADDR_LEN);
}

static int divide_total(struct anyone_relay *relay, const struct anyone_config *c)
{
	const struct anyone_delegate *d = NULL;
	int err;

	if (c->n_delegates)
		d = bsearch(&relay->address, c->delegates, c->n_delegates, sizeof(*d), delegate_cmp);
	err = amount_muldiv(&relay->delegate_total, NULL, relay->total, amount_u64(d ? d->share : 0), amount_u64(THOUSAND));
	return err < 0 ? err : amount_sub(&relay->operator_total, relay->total, relay->delegate_total);
}

static int add_up(struct anyone_relay *relay)
{
	if (amount_add(&relay->total, relay->network_due, relay->hardware_due) < 0 ||
	    amount_add(&relay->total, relay->total, relay->uptime_due) < 0 ||
	    amount_add(&relay->total, relay->total, relay->exit_due) < 0)
		return ERR_RANGE;
	return 0;
}

/* Second pass: hardware and exit, then what the relay is due altogether. */
static int pay_rest(struct anyone_round *r, const struct sums *s, const struct pools *p)
{
	for (size_t i = 0; i < r->n_relays; i++) {
		struct anyone_relay *relay = &r->relays[i];
		uint64_t exit_rating = relay->exit ? relay->rating : 0;

		relay->hardware_due = amount_u64(0);
		if (relay->hardware && r->config.hardware && pay_hardware(relay, s, p) < 0)
			return ERR_RANGE;
		if (part_of(&relay->exit_due, p->exit, amount_u64(exit_rating), s->exit_rating) < 0 ||
		    add_up(relay) < 0 || divide_total(relay, &r->config) < 0 ||
		    amount_add(&r->total, r->total, relay->total) < 0)
			return ERR_RANGE;
	}
	return 0;
}

int anyone_compute(struct anyone_round *r)
{
	struct sums s = { .rating = { 0 } };
	struct pools p = { .network = { 0 } };
	int err;

	r->seconds = r->elapsed_ms / 1000;
	r->total = amount_u64(0);
	err = rate_all(r, &s);
	if (err == 0)
		err = make_pools(&p, r);
	if (err == 0)
		err = pay_common(r, &s, &p);
	return err < 0 ? err : pay_rest(r, &s, &p);
}
