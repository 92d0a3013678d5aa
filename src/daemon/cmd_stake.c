/* Methods over stakes: stake.status, stake.tiers. */
#include "config.h"

#include "keeper.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/genesis.h>
#include <nonos/json_set.h>
#include <nonos/ledger.h>
#include <nonos/mem.h>

static json_t *time_or_null(uint64_t t)
{
	return t ? json_integer((json_int_t)t) : json_null();
}

/* The stakes of an account, and on which relays they are. */
struct stakes {
	json_t *list;
	uint8_t (*relays)[RELAY_ID_LEN];
	size_t n;
};

static int add_stake(void *ctx, const struct ledger_stake *s)
{
	struct stakes *all = ctx;
	uint64_t now = (uint64_t)clock_wall();
	json_t *o = json_pack("{s:I, s:I, s:I, s:b, s:o}", "lock_days", (json_int_t)s->lock_days,
			      "locked_at", (json_int_t)s->locked_at, "lock_ends", (json_int_t)s->lock_ends,
			      "locked", s->lock_ends > now, "unbonds_at", time_or_null(s->unbonds_at));

	json_set_hex(o, "stake", s->stake_id, sizeof(s->stake_id));
	json_set_hex(o, "relay", s->relay_id, sizeof(s->relay_id));
	json_set_amount(o, "amount", s->amount);
	json_set_amount(o, "active", s->active);
	json_set_amount(o, "unbonding", s->unbonding);
	json_array_append_new(all->list, o);
	all->relays = mem_resize(all->relays, all->n + 1, sizeof(*all->relays));
	memcpy(all->relays[all->n++], s->relay_id, sizeof(s->relay_id));
	return 0;
}

static json_t *relay_json(const struct genesis *g, const struct ledger_relay *relay)
{
	json_t *o = json_object();

	json_set_hex(o, "relay", relay->relay_id, sizeof(relay->relay_id));
	json_set_amount(o, "stake", relay->stake);
	json_object_set_new(o, "tier", relay->tier < 0 ? json_null() : json_string(g->rewards.tiers[relay->tier].name));
	json_set_address(o, "operator", &relay->operator);
	json_set_address(o, "payout", &relay->payout);
	return o;
}

static int compare_relays(const void *a, const void *b)
{
	return memcmp(a, b, RELAY_ID_LEN);
}

/* What each relay that the account stakes on reaches, with the stakes of all. */
static int relays_json(struct ledger *l, json_t **ret, struct stakes *stakes)
{
	struct ledger_snapshot now = settle_now(l);
	struct ledger_register *reg;
	int r = ledger_register_at(l, &reg, &now);

	if (r < 0)
		return r;
	*ret = json_array();
	if (stakes->n)
		qsort(stakes->relays, stakes->n, RELAY_ID_LEN, compare_relays);
	for (size_t i = 0; i < reg->n && stakes->n; i++)
		if (bsearch(reg->relays[i].relay_id, stakes->relays, stakes->n, RELAY_ID_LEN, compare_relays))
			json_array_append_new(*ret, relay_json(ledger_genesis(l), &reg->relays[i]));
	ledger_register_free(reg);
	return 0;
}

int cmd_stake_status(struct ctl_call *call)
{
	struct ledger *l = settle_ledger(settle_of(call), call);
	struct stakes stakes = { 0 };
	json_t *relays = NULL;
	struct account a;
	int r;

	if (!l)
		return ERR_STATE;
	r = settle_account(settle_of(call), call, &a, "account");
	if (r < 0)
		return r;
	if (a.kind != ACCOUNT_ADDRESS && a.kind != ACCOUNT_STAKE)
		return ctl_fail(call, ERR_RANGE, CTL_INVALID_PARAMS, "only the account of an address has stakes");
	stakes.list = json_array();
	r = ledger_stakes(l, &a.addr, add_stake, &stakes);
	if (r == 0)
		r = relays_json(l, &relays, &stakes);
	free(stakes.relays);
	if (r < 0) {
		json_decref(stakes.list);
		return settle_fail(call, l, r);
	}
	call->result = json_pack("{s:o, s:o, s:I}", "stakes", stakes.list, "relays", relays,
				 "unbonding_s", (json_int_t)ledger_genesis(l)->unbonding_s);
	json_set_address(call->result, "account", &a.addr);
	return 0;
}

int cmd_stake_tiers(struct ctl_call *call)
{
	struct ledger *l = settle_ledger(settle_of(call), call);
	const struct reward_params *p;

	if (!l)
		return ERR_STATE;
	p = &ledger_genesis(l)->rewards;
	call->result = json_array();
	for (size_t i = 0; i < p->n_tiers; i++) {
		const struct reward_tier *t = &p->tiers[i];
		json_t *o = json_pack("{s:s, s:I, s:I, s:o}", "tier", t->name, "days", (json_int_t)t->days,
				      "factor_bp", (json_int_t)t->factor_bp,
				      "factor", json_sprintf("x%u.%04u", t->factor_bp / 10000, t->factor_bp % 10000));

		json_set_amount(o, "stake", t->stake);
		json_array_append_new(call->result, o);
	}
	return 0;
}
