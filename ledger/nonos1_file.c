/* Parameters, epochs and results of the policy nonos-1 as JSON. */
#include "config.h"

#include <nonos/rewards.h>

#include <stdlib.h>
#include <string.h>

#include <nonos/doc_read.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/json_set.h>
#include <nonos/mem.h>

/* -- parameters -------------------------------------------------------------------- */

static int read_tier(struct reward_tier *t, char *why, const json_t *row)
{
	static const char where[] = "a row of tiers";

	if (doc_only(why, where, row, DOC_MEMBERS("factorBp", "lockDays", "name", "stake")) < 0 ||
	    doc_text(t->name, sizeof(t->name), why, where, row, "name") < 0 ||
	    doc_amount(&t->stake, why, where, row, "stake") < 0 ||
	    doc_u32(&t->days, why, where, row, "lockDays", UINT32_MAX) < 0)
		return ERR_MALFORMED;
	return doc_u32(&t->factor_bp, why, where, row, "factorBp", UINT32_MAX);
}

static int read_tiers(struct reward_params *p, char *why, const json_t *tiers)
{
	if (!json_is_array(tiers) || json_array_size(tiers) > REWARD_TIERS_MAX)
		return doc_fail(why, "tiers is missing, or not a list of at most %d", REWARD_TIERS_MAX);
	for (; p->n_tiers < json_array_size(tiers); p->n_tiers++)
		if (read_tier(&p->tiers[p->n_tiers], why, json_array_get(tiers, p->n_tiers)) < 0)
			return ERR_MALFORMED;
	return 0;
}

int reward_params_read(struct reward_params *ret, char why[REWARD_WHY_CAP], const json_t *doc)
{
	static const char where[] = "the parameters of rewards";
	struct reward_params p = { 0 };

	if (doc_only(why, where, doc, DOC_MEMBERS("dilutionBp", "epochSeconds", "exitBp", "guardBp", "lambdaStake",
						  "lambdaWeight", "reserveRateBp", "tiers")) < 0 ||
	    doc_u32(&p.dilution_bp, why, where, doc, "dilutionBp", UINT32_MAX) < 0 ||
	    doc_u32(&p.epoch_s, why, where, doc, "epochSeconds", UINT32_MAX) < 0 ||
	    doc_u32(&p.exit_bp, why, where, doc, "exitBp", UINT32_MAX) < 0 ||
	    doc_u32(&p.guard_bp, why, where, doc, "guardBp", UINT32_MAX) < 0 ||
	    doc_amount(&p.lambda_stake, why, where, doc, "lambdaStake") < 0 ||
	    doc_u53(&p.lambda_weight, why, where, doc, "lambdaWeight", DOC_U53_MAX) < 0 ||
	    doc_u32(&p.reserve_rate_bp, why, where, doc, "reserveRateBp", UINT32_MAX) < 0 ||
	    read_tiers(&p, why, json_object_get(doc, "tiers")) < 0)
		return ERR_MALFORMED;
	if (reward_params_check(&p, why) < 0)
		return ERR_RANGE;
	*ret = p;
	return 0;
}

json_t *reward_params_json(const struct reward_params *p)
{
	json_t *o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "dilutionBp", (json_int_t)p->dilution_bp, "epochSeconds",
			      (json_int_t)p->epoch_s, "exitBp", (json_int_t)p->exit_bp, "guardBp", (json_int_t)p->guard_bp,
			      "lambdaWeight", (json_int_t)p->lambda_weight, "reserveRateBp", (json_int_t)p->reserve_rate_bp);
	json_t *tiers = json_array();

	json_set_amount(o, "lambdaStake", p->lambda_stake);
	for (size_t i = 0; i < p->n_tiers; i++) {
		const struct reward_tier *t = &p->tiers[i];
		json_t *row = json_pack("{s:s, s:I, s:I}", "name", t->name, "lockDays", (json_int_t)t->days, "factorBp",
					(json_int_t)t->factor_bp);

		json_set_amount(row, "stake", t->stake);
		json_array_append_new(tiers, row);
	}
	json_object_set_new(o, "tiers", tiers);
	return o;
}

/* -- an epoch ------------------------------------------------------------------------ */

static int read_locks(struct reward_relay *r, char *why, const char *id, const struct reward_params *p, const json_t *locks)
{
	const json_t *row;
	size_t i;

	if (!json_is_array(locks) || json_array_size(locks) > REWARD_LOCKS_MAX)
		return doc_fail(why, "%s.locks is missing, or not a list of at most %d", id, REWARD_LOCKS_MAX);
	json_array_foreach(locks, i, row) {
		struct amount amount;
		uint32_t days;

		if (doc_only(why, "a lock", row, DOC_MEMBERS("amount", "days")) < 0 ||
		    doc_amount(&amount, why, "a lock", row, "amount") < 0 ||
		    doc_u32(&days, why, "a lock", row, "days", UINT32_MAX) < 0)
			return ERR_MALFORMED;
		if (reward_relay_lock(r, p, amount, days) < 0)
			return doc_fail(why, "%s: the sum of its locks leaves its range", id);
	}
	return 0;
}

/* Absent: none. */
static int read_group(char ret[REWARD_GROUP_CAP], char *why, const char *id, const json_t *relay, const char *name)
{
	return json_object_get(relay, name) ? doc_text(ret, REWARD_GROUP_CAP, why, id, relay, name) : 0;
}

static int read_relay(struct reward_relay *r, char *why, const char *id, const struct reward_params *p, const json_t *relay)
{
	if (strlen(id) != 2 * REWARD_ID_LEN || strspn(id, "0123456789abcdef") != 2 * REWARD_ID_LEN ||
	    hex_decode(r->id, REWARD_ID_LEN, id, 2 * REWARD_ID_LEN) < 0)
		return doc_fail(why, "relays: \"%.70s\" is not a relay id, 64 digits 0-9 and a-f", id);
	if (doc_only(why, id, relay, DOC_MEMBERS("operator", "payout", "family", "network", "running", "exit", "guard",
						 "weight", "locks")) < 0 ||
	    doc_address(&r->operator, why, id, relay, "operator") < 0 ||
	    doc_address(&r->payout, why, id, relay, "payout") < 0 ||
	    read_group(r->family, why, id, relay, "family") < 0 ||
	    read_group(r->network, why, id, relay, "network") < 0 ||
	    doc_u32(&r->running, why, id, relay, "running", EVIDENCE_CONSENSUSES_MAX) < 0 ||
	    doc_u32(&r->exit, why, id, relay, "exit", EVIDENCE_CONSENSUSES_MAX) < 0 ||
	    doc_u32(&r->guard, why, id, relay, "guard", EVIDENCE_CONSENSUSES_MAX) < 0 ||
	    doc_u53(&r->weight_sum, why, id, relay, "weight", EVIDENCE_WEIGHT_MAX) < 0)
		return ERR_MALFORMED;
	return read_locks(r, why, id, p, json_object_get(relay, "locks"));
}

static int read_relays(struct reward_epoch *e, char *why, const json_t *relays)
{
	const char *id;
	json_t *row;

	if (!json_is_object(relays) || json_object_size(relays) > REWARD_RELAYS_MAX)
		return doc_fail(why, "relays is missing, or has more than %d relays", REWARD_RELAYS_MAX);
	e->relays = mem_new_array(json_object_size(relays) + 1, sizeof(*e->relays));
	json_object_foreach((json_t *)relays, id, row)
		if (read_relay(&e->relays[e->n_relays++], why, id, &e->params, row) < 0)
			return ERR_MALFORMED;
	return 0;
}

int reward_epoch_read(struct reward_epoch **ret, char why[REWARD_WHY_CAP], const json_t *doc)
{
	static const char where[] = "the file";
	const char *policy = json_string_value(json_object_get(doc, "policy"));
	struct reward_epoch *e = mem_new(sizeof(*e));
	int r = ERR_MALFORMED;

	if (!policy || strcmp(policy, "nonos-1") != 0) {
		doc_fail(why, "not an epoch of nonos-1: policy is missing, or not \"nonos-1\"");
		goto out;
	}
	if (doc_only(why, where, doc, DOC_MEMBERS("about", "policy", "params", "reserve", "consensuses", "relays", "expect")) < 0)
		goto out;
	r = reward_params_read(&e->params, why, json_object_get(doc, "params"));
	if (r == 0)
		r = doc_amount(&e->reserve, why, where, doc, "reserve");
	if (r == 0)
		r = doc_u32(&e->seen, why, where, doc, "consensuses", EVIDENCE_CONSENSUSES_MAX);
	if (r == 0)
		r = read_relays(e, why, json_object_get(doc, "relays"));
out:
	if (r == 0)
		*ret = e;
	else
		reward_epoch_free(e);
	return r;
}

void reward_epoch_free(struct reward_epoch *e)
{
	if (!e)
		return;
	free(e->relays);
	free(e);
}

/* -- the other way ------------------------------------------------------------------- */

static void add_lock(json_t *locks, struct amount amount, uint32_t days)
{
	json_t *o = json_pack("{s:I}", "days", (json_int_t)days);

	json_set_amount(o, "amount", amount);
	json_array_append_new(locks, o);
}

/* Tier by tier from the longest lock: what is locked for its days and not for more. */
static json_t *locks_json(const struct reward_params *p, const struct reward_relay *r)
{
	struct amount seen = { 0 }, part;
	json_t *locks = json_array();

	for (size_t i = p->n_tiers; i-- > 0; ) {
		if (amount_sub(&part, r->locked[i], seen) < 0 || amount_is_zero(part))
			continue;
		add_lock(locks, part, p->tiers[i].days);
		seen = r->locked[i];
	}
	if (amount_sub(&part, r->stake, seen) == 0 && !amount_is_zero(part))
		add_lock(locks, part, 0);
	return locks;
}

static json_t *inputs_of(const struct reward_params *p, const struct reward_relay *r)
{
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:o}", "family", r->family, "network", r->network, "running",
			      (json_int_t)r->running, "exit", (json_int_t)r->exit, "guard", (json_int_t)r->guard, "weight",
			      (json_int_t)r->weight_sum, "locks", locks_json(p, r));

	json_set_address(o, "operator", &r->operator);
	json_set_address(o, "payout", &r->payout);
	return o;
}

json_t *reward_epoch_inputs(const struct reward_epoch *e)
{
	json_t *o = json_pack("{s:s, s:o, s:I}", "policy", "nonos-1", "params", reward_params_json(&e->params), "consensuses",
			      (json_int_t)e->seen);
	json_t *relays = json_object();
	char id[2 * REWARD_ID_LEN + 1];

	for (size_t i = 0; i < e->n_relays; i++) {
		hex_encode(id, e->relays[i].id, REWARD_ID_LEN);
		json_object_set_new(relays, id, inputs_of(&e->params, &e->relays[i]));
	}
	json_set_amount(o, "reserve", e->reserve);
	json_object_set_new(o, "relays", relays);
	return o;
}

/* -- the result ---------------------------------------------------------------------- */

/* What a relay was not measured at is null, not 0. */
static void set_measured(json_t *o, const struct reward_relay *r, bool running)
{
	json_object_set_new(o, "exit", json_integer((json_int_t)r->exit));
	json_object_set_new(o, "guard", json_integer((json_int_t)r->guard));
	json_object_set_new(o, "running", json_integer((json_int_t)r->running));
	if (running) {
		json_set_amount(o, "weight", r->weight);
		json_set_amount(o, "base", r->base);
		json_object_set_new(o, "roleBp", json_integer((json_int_t)r->role_bp));
	} else {
		json_object_set_new(o, "weight", json_null());
		json_object_set_new(o, "base", json_null());
		json_object_set_new(o, "roleBp", json_null());
	}
}

json_t *reward_relay_json(const struct reward_epoch *e, const struct reward_relay *r)
{
	const struct reward_tier *t = r->tier < 0 ? NULL : &e->params.tiers[r->tier];
	json_t *o = json_object();
	char party[2 * REWARD_ID_LEN + 1];

	set_measured(o, r, r->running > 0);
	json_set_amount(o, "stake", r->stake);
	json_object_set_new(o, "tier", t ? json_string(t->name) : json_null());
	json_object_set_new(o, "factorBp", t ? json_integer((json_int_t)t->factor_bp) : json_null());
	json_set_amount(o, "cap", r->cap);
	json_set_amount(o, "credit", r->credit);
	json_set_amount(o, "networkCredit", r->network_credit);
	json_set_amount(o, "spread", r->spread);
	hex_encode(party, e->relays[r->party].id, REWARD_ID_LEN);
	json_object_set_new(o, "party", json_string(party));
	json_set_amount(o, "partyCredit", r->party_credit);
	json_set_amount(o, "counted", r->counted);
	json_set_amount(o, "due", r->due);
	json_object_set_new(o, "excluded", r->excluded ? json_string(reward_excluded_text(r->excluded)) : json_null());
	return o;
}

json_t *reward_epoch_json(const struct reward_epoch *e)
{
	json_t *o = json_object(), *relays = json_object();
	char id[2 * REWARD_ID_LEN + 1];

	for (size_t i = 0; i < e->n_relays; i++) {
		hex_encode(id, e->relays[i].id, REWARD_ID_LEN);
		json_object_set_new(relays, id, reward_relay_json(e, &e->relays[i]));
	}
	json_set_amount(o, "budget", e->budget);
	json_set_amount(o, "credit", e->credit);
	json_set_amount(o, "limit", e->limit);
	json_set_amount(o, "counted", e->counted);
	json_set_amount(o, "total", e->paid);
	json_object_set_new(o, "relays", relays);
	return o;
}
