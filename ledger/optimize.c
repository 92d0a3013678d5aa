/*
 * What a stake would earn: the policy computed on an epoch of the network with
 * relays added that have that stake, for each tier and split.
 */
#include "config.h"

#include <nonos/rewards.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/doc_read.h>
#include <nonos/err.h>
#include <nonos/json_set.h>
#include <nonos/mem.h>

enum { SPLIT_MAX = 20, MILLION = 1000000 };

static const char *const role_names[] = { "middle", "guard", "exit" };

/* One row of the answer. */
struct option {
	const struct reward_tier *tier;
	unsigned relays;
	struct amount each, carries, due, yearly;
	uint64_t yield_bp;
};

struct optimize {
	const struct reward_epoch *network;
	struct amount amount;
	uint64_t weight;
	enum reward_role role;
	struct option options[REWARD_TIERS_MAX * SPLIT_MAX];
	size_t n;
};

/* The mean weight of the relays that earn; 0 when none does. */
static uint64_t mean_weight(const struct reward_epoch *e)
{
	struct amount sum = { 0 }, mean = { 0 };
	uint64_t n = 0;

	for (size_t i = 0; i < e->n_relays; i++) {
		if (e->relays[i].excluded)
			continue;
		(void)amount_add(&sum, sum, e->relays[i].weight);
		n++;
	}
	if (n)
		(void)amount_muldiv(&mean, NULL, sum, amount_u64(1), amount_u64(n * MILLION));
	return mean.lo;
}

/* A relay of ours: always running, in a network of its own, its id past those that are there. */
static int add_relay(struct reward_epoch *e, const struct optimize *o, unsigned k, const struct option *option)
{
	struct reward_relay *r = &e->relays[e->n_relays++];

	memset(r, 0, sizeof(*r));
	memset(r->id, 0xff, sizeof(r->id));
	r->id[REWARD_ID_LEN - 1] = (uint8_t)k;
	memset(r->operator.b, 0xff, sizeof(r->operator.b));
	r->payout = r->operator;
	snprintf(r->network, sizeof(r->network), "ours:%u", k);
	r->running = e->seen;
	r->weight_sum = o->weight * e->seen;
	r->guard = o->role == REWARD_GUARD ? e->seen : 0;
	r->exit = o->role == REWARD_EXIT ? e->seen : 0;
	return reward_relay_lock(r, &e->params, option->each, option->tier->days);
}

static int due_with(struct option *option, char *why, const struct optimize *o)
{
	struct reward_epoch e = *o->network;
	int r = 0;

	e.relays = mem_new_array(e.n_relays + option->relays, sizeof(*e.relays));
	memcpy(e.relays, o->network->relays, e.n_relays * sizeof(*e.relays));
	for (unsigned k = 0; k < option->relays && r == 0; k++)
		r = add_relay(&e, o, k, option);
	if (r == 0)
		r = reward_compute(&e, why);
	option->due = option->carries = amount_u64(0);
	for (size_t i = e.n_relays - option->relays; i < e.n_relays && r == 0; i++) {
		r = amount_add(&option->due, option->due, e.relays[i].due);
		option->carries = e.relays[i].cap;
	}
	free(e.relays);
	return r;
}

/* Yearly and as a part of the stake, floored. */
static int rate(struct option *option, const struct optimize *o)
{
	uint32_t epoch_s = o->network->params.epoch_s;
	struct amount bp;
	int r = amount_muldiv(&option->yearly, NULL, option->due, amount_u64(REWARD_YEAR_S), amount_u64(epoch_s));

	if (r == 0)
		r = amount_muldiv(&bp, NULL, option->yearly, amount_u64(REWARD_BP), o->amount);
	if (r == 0)
		option->yield_bp = bp.hi ? UINT64_MAX : bp.lo;
	return r;
}

static int try_splits(struct optimize *o, char *why, const struct reward_tier *tier)
{
	int r = 0;

	for (unsigned relays = 1; relays <= SPLIT_MAX && r == 0; relays++) {
		struct option *option = &o->options[o->n];

		*option = (struct option){ .tier = tier, .relays = relays };
		(void)amount_muldiv(&option->each, NULL, o->amount, amount_u64(1), amount_u64(relays));
		if (amount_cmp(option->each, tier->stake) < 0)
			break;
		r = due_with(option, why, o);
		if (r == 0)
			r = rate(option, o);
		if (r == 0)
			o->n++;
	}
	return r;
}

/* The highest yield first, as far as it is shown; of equal ones the shorter lock, then fewer relays. */
static int option_cmp(const void *a, const void *b)
{
	const struct option *x = a, *y = b;
	int r = x->yield_bp > y->yield_bp ? -1 : x->yield_bp < y->yield_bp;

	if (r == 0)
		r = x->tier->days < y->tier->days ? -1 : x->tier->days > y->tier->days;
	return r ? r : x->relays < y->relays ? -1 : x->relays > y->relays;
}

/* -- the answer ------------------------------------------------------------------------ */

static json_t *assumptions(const struct optimize *o)
{
	json_t *list = json_array();

	json_array_append_new(list, json_sprintf("each relay runs always, has the role %s and a consensus weight of %llu; its stake counts up to that",
						 role_names[o->role], (unsigned long long)o->weight));
	json_array_append_new(list, json_string("the relays are of one operator, in networks of their own and without a family"));
	json_array_append_new(list, json_sprintf("the other %zu relays and their stakes stay as they are in the epoch that was taken",
						 o->network->n_relays));
	json_array_append_new(list, json_string("the reserve stays as it is: it shrinks by what is paid, and yields shrink with it"));
	json_array_append_new(list, json_string("nothing is compounded, and what the relays cost to run is not counted"));
	json_array_append_new(list, json_string("a split takes as many relays, each with that weight: more relays are more weight, not the same divided"));
	return list;
}

static json_t *option_json(const struct option *option)
{
	json_t *o = json_pack("{s:s, s:I, s:I, s:I}", "tier", option->tier->name, "lock_days", (json_int_t)option->tier->days,
			      "relays", (json_int_t)option->relays, "yield_bp",
			      (json_int_t)(option->yield_bp > INT64_MAX ? INT64_MAX : option->yield_bp));
	struct amount carries = { 0 };

	(void)amount_muldiv(&carries, NULL, option->carries, amount_u64(1), amount_u64(MILLION));
	json_object_set_new(o, "yield_percent", json_sprintf("%llu.%02llu", (unsigned long long)(option->yield_bp / 100),
							      (unsigned long long)(option->yield_bp % 100)));
	json_set_amount(o, "stake_each", option->each);
	json_set_amount(o, "carries", carries);
	json_set_amount(o, "epoch_due", option->due);
	json_set_amount(o, "yearly", option->yearly);
	return o;
}

static json_t *answer(const struct optimize *o)
{
	json_t *doc = json_pack("{s:I, s:s, s:I, s:I, s:o}", "weight", (json_int_t)o->weight, "role", role_names[o->role],
				"epoch_s", (json_int_t)o->network->params.epoch_s, "relays", (json_int_t)o->network->n_relays,
				"assumptions", assumptions(o));
	json_t *options = json_array();

	for (size_t i = 0; i < o->n; i++)
		json_array_append_new(options, option_json(&o->options[i]));
	json_set_amount(doc, "amount", o->amount);
	json_object_set_new(doc, "options", options);
	return doc;
}

static int check(struct optimize *o, char *why)
{
	const struct reward_epoch *e = o->network;

	if (e->seen == 0)
		return doc_fail(why, "the epoch that was taken has no consensus");
	if (o->weight == 0)
		o->weight = mean_weight(e);
	if (o->weight == 0)
		return doc_fail(why, "nobody earns in the epoch that was taken, so a weight must be given");
	if (amount_is_zero(o->amount))
		return doc_fail(why, "the amount is zero");
	if (o->weight > EVIDENCE_WEIGHT_MAX / e->seen)
		return doc_fail(why, "the weight is too large");
	return 0;
}

int stake_optimize(json_t **ret, char why[REWARD_WHY_CAP], const struct reward_epoch *e, struct amount amount,
		   uint64_t weight, enum reward_role role)
{
	struct optimize *o = mem_new(sizeof(*o));
	int r;

	o->network = e;
	o->amount = amount;
	o->weight = weight;
	o->role = role;
	r = check(o, why) < 0 ? ERR_RANGE : 0;
	for (size_t i = 0; i < e->params.n_tiers && r == 0; i++)
		r = try_splits(o, why, &e->params.tiers[i]);
	if (r == 0 && o->n == 0) {
		char least[AMOUNT_TEXT_CAP];

		amount_token_text(least, e->params.tiers[0].stake);
		doc_fail(why, "the lowest tier, %s, takes a stake of %s tokens", e->params.tiers[0].name, least);
		r = ERR_NOT_FOUND;
	}
	if (r == 0) {
		qsort(o->options, o->n, sizeof(o->options[0]), option_cmp);
		*ret = answer(o);
	}
	free(o);
	return r;
}
