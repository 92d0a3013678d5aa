/*
 * The policy nonos-1. Each step of rewards.h is a function here, in its
 * order; nothing is rounded but where that says so.
 */
#include "config.h"

#include <nonos/rewards.h>

#include <stdlib.h>
#include <string.h>

#include <nonos/doc_read.h>
#include <nonos/err.h>
#include <nonos/mem.h>

enum { MILLION = 1000000, WEIGHT_TIMES_MAX = 1 << 30, EPOCH_S_MAX = 31 * 86400, DAYS_MAX = 36500 };

static const struct amount token = { .lo = UINT64_C(1000000000000000000) };

/* -- parameters -------------------------------------------------------------------- */

static struct amount tokens(uint64_t n)
{
	struct amount a = { 0 };

	(void)amount_mul(&a, token, amount_u64(n));
	return a;
}

struct reward_params reward_params_default(void)
{
	return (struct reward_params){
		.epoch_s = 3600,
		.reserve_rate_bp = 1400,
		.lambda_weight = 10,
		.lambda_stake = token,
		.dilution_bp = 500,
		.guard_bp = 11000,
		.exit_bp = 12500,
		.tiers = {
			{ "Bronze", tokens(1000), 0, 10000 },
			{ "Silver", tokens(10000), 30, 12000 },
			{ "Gold", tokens(50000), 90, 15000 },
			{ "Platinum", tokens(200000), 180, 20000 },
			{ "Diamond", tokens(1000000), 365, 30000 },
		},
		.n_tiers = 5,
	};
}

static int check_tiers(const struct reward_params *p, char *why)
{
	if (p->n_tiers == 0 || p->n_tiers > REWARD_TIERS_MAX)
		return doc_fail(why, "there must be 1 to %d tiers", REWARD_TIERS_MAX);
	for (size_t i = 0; i < p->n_tiers; i++) {
		const struct reward_tier *t = &p->tiers[i], *below = i ? t - 1 : NULL;

		if (amount_is_zero(t->stake) || t->factor_bp > REWARD_FACTOR_MAX || t->days > DAYS_MAX)
			return doc_fail(why, "tier %zu: its stake is 0, its factor above %d or its days above %d", i + 1,
					REWARD_FACTOR_MAX, DAYS_MAX);
		if (below && (amount_cmp(below->stake, t->stake) >= 0 || below->days > t->days ||
			      below->factor_bp > t->factor_bp))
			return doc_fail(why, "tier %zu is not above the one before it", i + 1);
	}
	return 0;
}

static bool is_role_factor(uint32_t bp)
{
	return bp >= REWARD_BP && bp <= REWARD_FACTOR_MAX;
}

int reward_params_check(const struct reward_params *p, char why[REWARD_WHY_CAP])
{
	if (p->epoch_s == 0 || p->epoch_s > EPOCH_S_MAX)
		doc_fail(why, "an epoch has 1 to %d seconds", EPOCH_S_MAX);
	else if (p->reserve_rate_bp > REWARD_BP || p->dilution_bp == 0 || p->dilution_bp > REWARD_BP)
		doc_fail(why, "the yearly part of the reserve or the limit of a group is above the whole, or that limit is 0");
	else if (!is_role_factor(p->guard_bp) || !is_role_factor(p->exit_bp))
		doc_fail(why, "the factor of a role is not from %d to %d", REWARD_BP, REWARD_FACTOR_MAX);
	else if (p->lambda_weight == 0 || p->lambda_weight > WEIGHT_TIMES_MAX || amount_is_zero(p->lambda_stake))
		doc_fail(why, "lambda is 0, or its weight above %d", WEIGHT_TIMES_MAX);
	else if (check_tiers(p, why) == 0)
		return 0;
	return ERR_RANGE;
}

int reward_relay_lock(struct reward_relay *r, const struct reward_params *p, struct amount amount, uint32_t days)
{
	struct amount sum;

	/* Each sum of locks is part of the stake: none overflows when that does not. */
	if (amount_add(&sum, r->stake, amount) < 0)
		return ERR_RANGE;
	r->stake = sum;
	for (size_t i = 0; i < p->n_tiers && days >= p->tiers[i].days; i++)
		(void)amount_add(&r->locked[i], r->locked[i], amount);
	return 0;
}

/* -- the credit of a relay ----------------------------------------------------------- */

static int find_tier(const struct reward_params *p, const struct reward_relay *r)
{
	int tier = -1;

	for (size_t i = 0; i < p->n_tiers; i++)
		if (amount_cmp(r->locked[i], p->tiers[i].stake) >= 0)
			tier = (int)i;
	return tier;
}

static enum reward_excluded exclusion(const struct reward_relay *r)
{
	if (r->running == 0)
		return REWARD_NOT_RUNNING;
	if (amount_is_zero(r->stake))
		return REWARD_NO_STAKE;
	if (r->tier < 0)
		return REWARD_NO_TIER;
	return amount_is_zero(r->credit) ? REWARD_NO_WEIGHT : REWARD_COUNTED;
}

static uint32_t role_of(const struct reward_params *p, const struct reward_relay *r)
{
	uint64_t more = (uint64_t)(p->exit_bp - REWARD_BP) * r->exit + (uint64_t)(p->guard_bp - REWARD_BP) * r->guard;

	return REWARD_BP + (uint32_t)(more / r->running);
}

static int rate_relay(const struct reward_epoch *e, struct reward_relay *r)
{
	const struct reward_params *p = &e->params;
	uint64_t times;
	int err = 0;

	r->tier = find_tier(p, r);
	r->weight = r->cap = r->base = r->credit = amount_u64(0);
	r->role_bp = 0;
	if (amount_muldiv(&r->cap, NULL, r->stake, amount_u64(p->lambda_weight * MILLION), p->lambda_stake) < 0)
		r->cap = (struct amount){ UINT64_MAX, UINT64_MAX };
	if (r->running) {
		err = amount_muldiv(&r->weight, NULL, amount_u64(r->weight_sum), amount_u64(MILLION), amount_u64(r->running));
		if (err < 0)
			return err;
		r->role_bp = role_of(p, r);
		r->base = amount_cmp(r->weight, r->cap) < 0 ? r->weight : r->cap;
	}
	if (r->running && r->tier >= 0) {
		/* 24 bits of running, 17 of each factor: far from 64. */
		times = (uint64_t)r->running * r->running * p->tiers[r->tier].factor_bp * r->role_bp;
		err = amount_muldiv(&r->credit, NULL, r->base, amount_u64(times), amount_u64((uint64_t)e->seen * e->seen));
	}
	r->excluded = exclusion(r);
	return err;
}

/* -- dilution ------------------------------------------------------------------------ */

/* A relay's place among its fellows of one group. */
struct member {
	const void *key;
	struct reward_relay *relay;
};

static int operator_cmp(const void *a, const void *b)
{
	return memcmp(((const struct member *)a)->key, ((const struct member *)b)->key, ETH_ADDR_LEN);
}

static int text_cmp(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

/* How many members from `m` on are of one group. */
static size_t group_len(const struct member *m, size_t n, int (*cmp)(const void *, const void *))
{
	size_t len = 1;

	while (len < n && cmp(&m[0], &m[len]) == 0)
		len++;
	return len;
}

/* Sort the relays that have a text of that kind by it. */
static size_t sort_by_text(struct member *m, const struct reward_epoch *e, size_t offset)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_relays; i++) {
		const char *text = (const char *)&e->relays[i] + offset;

		if (text[0])
			m[n++] = (struct member){ text, &e->relays[i] };
	}
	qsort(m, n, sizeof(*m), text_cmp);
	return n;
}

/* floor(part * limit / whole) when the whole is above the limit. */
static int dilute(struct amount *ret, struct amount part, struct amount whole, struct amount limit)
{
	*ret = part;
	return amount_cmp(whole, limit) > 0 ? amount_muldiv(ret, NULL, part, limit, whole) : 0;
}

static int dilute_network(const struct reward_epoch *e, struct member *m, size_t n)
{
	struct amount sum = { 0 };
	int err = 0;

	for (size_t i = 0; i < n && err == 0; i++)
		err = amount_add(&sum, sum, m[i].relay->credit);
	for (size_t i = 0; i < n && err == 0; i++) {
		m[i].relay->network_credit = sum;
		err = dilute(&m[i].relay->spread, m[i].relay->credit, sum, e->limit);
	}
	return err;
}

static int dilute_networks(struct reward_epoch *e, struct member *m)
{
	size_t n = sort_by_text(m, e, offsetof(struct reward_relay, network)), len;
	int err = 0;

	for (size_t i = 0; i < e->n_relays; i++) {
		e->relays[i].network_credit = amount_u64(0);
		e->relays[i].spread = e->relays[i].credit;
	}
	for (size_t i = 0; i < n && err == 0; i += len) {
		len = group_len(m + i, n - i, text_cmp);
		err = dilute_network(e, m + i, len);
	}
	return err;
}

/* The first relay of a party stands for it; the way there is halved each time it is gone. */
static size_t party_of(struct reward_relay *relays, size_t i)
{
	while (relays[i].party != i) {
		relays[i].party = relays[relays[i].party].party;
		i = relays[i].party;
	}
	return i;
}

static void join(struct reward_relay *relays, const struct member *m, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		size_t a = party_of(relays, (size_t)(m[0].relay - relays)), b = party_of(relays, (size_t)(m[i].relay - relays));

		if (a < b)
			relays[b].party = a;
		else
			relays[a].party = b;
	}
}

static void find_parties(struct reward_epoch *e, struct member *m)
{
	size_t n = e->n_relays, len;

	for (size_t i = 0; i < n; i++) {
		e->relays[i].party = i;
		m[i] = (struct member){ e->relays[i].operator.b, &e->relays[i] };
	}
	qsort(m, n, sizeof(*m), operator_cmp);
	for (size_t i = 0; i < n; i += len) {
		len = group_len(m + i, n - i, operator_cmp);
		join(e->relays, m + i, len);
	}
	n = sort_by_text(m, e, offsetof(struct reward_relay, family));
	for (size_t i = 0; i < n; i += len) {
		len = group_len(m + i, n - i, text_cmp);
		join(e->relays, m + i, len);
	}
	for (size_t i = 0; i < e->n_relays; i++)
		e->relays[i].party = party_of(e->relays, i);
}

static int dilute_parties(struct reward_epoch *e, struct member *m)
{
	int err = 0;

	find_parties(e, m);
	for (size_t i = 0; i < e->n_relays; i++)
		e->relays[i].party_credit = amount_u64(0);
	for (size_t i = 0; i < e->n_relays && err == 0; i++) {
		struct amount *sum = &e->relays[e->relays[i].party].party_credit;

		err = amount_add(sum, *sum, e->relays[i].spread);
	}
	for (size_t i = 0; i < e->n_relays && err == 0; i++) {
		struct reward_relay *r = &e->relays[i];

		r->party_credit = e->relays[r->party].party_credit;
		err = dilute(&r->counted, r->spread, r->party_credit, e->limit);
		if (err == 0)
			err = amount_add(&e->counted, e->counted, r->counted);
	}
	return err;
}

static int dilute_all(struct reward_epoch *e)
{
	struct member *m = mem_new_array(e->n_relays + 1, sizeof(*m));
	int err = dilute_networks(e, m);

	if (err == 0)
		err = dilute_parties(e, m);
	free(m);
	return err;
}

/* -- shares -------------------------------------------------------------------------- */

struct remainder {
	struct amount rest;
	struct reward_relay *relay;
};

/* Largest first; of equal ones the lower id, which is the lower address in the sorted array. */
static int remainder_cmp(const void *a, const void *b)
{
	const struct remainder *x = a, *y = b;
	int r = amount_cmp(y->rest, x->rest);

	return r ? r : x->relay < y->relay ? -1 : x->relay > y->relay;
}

static int share(struct reward_epoch *e)
{
	struct remainder *rest = mem_new_array(e->n_relays + 1, sizeof(*rest));
	struct amount left = e->budget;
	int err = 0;

	for (size_t i = 0; i < e->n_relays && err == 0; i++) {
		struct reward_relay *r = &e->relays[i];

		rest[i].relay = r;
		err = amount_muldiv(&r->due, &rest[i].rest, e->budget, r->counted, e->counted);
		if (err == 0)
			err = amount_sub(&left, left, r->due);
	}
	if (err == 0) {
		qsort(rest, e->n_relays, sizeof(*rest), remainder_cmp);
		/* What is left is less than the number of relays with a remainder. */
		for (size_t i = 0; i < left.lo && i < e->n_relays; i++)
			(void)amount_add(&rest[i].relay->due, rest[i].relay->due, amount_u64(1));
		e->paid = e->budget;
	}
	free(rest);
	return err;
}

/* -- an epoch ------------------------------------------------------------------------ */

static int relay_cmp(const void *a, const void *b)
{
	return memcmp(((const struct reward_relay *)a)->id, ((const struct reward_relay *)b)->id, REWARD_ID_LEN);
}

static int check_relay(const struct reward_epoch *e, char *why, const struct reward_relay *r)
{
	if (r->running > e->seen || (uint64_t)r->exit + r->guard > r->running)
		return doc_fail(why, "a relay runs in more consensuses than there are, or has flags in more than it runs in");
	if (r->weight_sum > EVIDENCE_WEIGHT_MAX || (r->running == 0 && r->weight_sum))
		return doc_fail(why, "a relay's weight is above 2^53 - 1, or it has one although it runs in no consensus");
	return 0;
}

static int check_epoch(struct reward_epoch *e, char *why)
{
	int err = reward_params_check(&e->params, why);

	if (err < 0)
		return err;
	if (e->seen > EVIDENCE_CONSENSUSES_MAX || e->n_relays > REWARD_RELAYS_MAX) {
		doc_fail(why, "more than %d consensuses or %d relays", EVIDENCE_CONSENSUSES_MAX, REWARD_RELAYS_MAX);
		return ERR_RANGE;
	}
	qsort(e->relays, e->n_relays, sizeof(*e->relays), relay_cmp);
	for (size_t i = 0; i < e->n_relays; i++) {
		if (check_relay(e, why, &e->relays[i]) < 0)
			return ERR_MALFORMED;
		if (i && relay_cmp(&e->relays[i - 1], &e->relays[i]) == 0) {
			doc_fail(why, "a relay is there twice");
			return ERR_EXISTS;
		}
	}
	return 0;
}

static int budget_of(struct amount *ret, const struct reward_epoch *e)
{
	uint64_t part = (uint64_t)e->params.reserve_rate_bp * e->params.epoch_s;

	return amount_muldiv(ret, NULL, e->reserve, amount_u64(part), amount_u64((uint64_t)REWARD_BP * REWARD_YEAR_S));
}

static int compute(struct reward_epoch *e)
{
	int err = budget_of(&e->budget, e);

	e->paid = e->credit = e->counted = amount_u64(0);
	for (size_t i = 0; i < e->n_relays && err == 0; i++) {
		err = rate_relay(e, &e->relays[i]);
		e->relays[i].due = amount_u64(0);
		if (err == 0)
			err = amount_add(&e->credit, e->credit, e->relays[i].credit);
	}
	if (err == 0)
		err = amount_muldiv(&e->limit, NULL, e->credit, amount_u64(e->params.dilution_bp), amount_u64(REWARD_BP));
	if (err == 0)
		err = dilute_all(e);
	if (err == 0 && !amount_is_zero(e->counted))
		err = share(e);
	return err;
}

int reward_compute(struct reward_epoch *e, char why[REWARD_WHY_CAP])
{
	int err = check_epoch(e, why);

	if (err == 0) {
		err = compute(e);
		if (err < 0)
			doc_fail(why, "an amount or a sum of credits leaves its range");
	}
	return err;
}

/* -- names --------------------------------------------------------------------------- */

const char *reward_excluded_text(enum reward_excluded e)
{
	switch (e) {
	case REWARD_COUNTED:
		return "it earns";
	case REWARD_NOT_RUNNING:
		return "no consensus of the epoch lists it as running";
	case REWARD_NO_STAKE:
		return "no stake was locked for it at the epoch's end";
	case REWARD_NO_TIER:
		return "its stake is below that of the lowest tier";
	case REWARD_NO_WEIGHT:
		return "the authorities gave it no weight, or its stake carries none";
	}
	return "";
}
