/* Questions about epochs that are closed, and the guess at the one that is open. */
#include "config.h"

#include "claim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/doc_read.h>
#include <nonos/err.h>
#include <nonos/json_set.h>
#include <nonos/mem.h>

/* -- computing a closed epoch again ---------------------------------------------------- */

/* The evidence that the root of `epoch` came with. */
static int load_evidence(struct ledger *l, struct evidence **ret, const struct epoch_row *e)
{
	char why[REWARD_WHY_CAP], *entry, *text;
	size_t entry_len, len;
	int r = ledger_entry(l, &entry, &entry_len, &text, &len, e->height - 1);

	if (r < 0)
		return r;
	if (!text || evidence_read(ret, why, text, len) < 0)
		r = store_damaged(l->store, "the evidence of epoch %" PRIu64 " is missing or unreadable", e->epoch);
	free(entry);
	free(text);
	return r;
}

static int load_normal(struct ledger *l, struct evidence **ret, const struct epoch_row *e)
{
	struct epoch_row normal;
	int r;

	*ret = NULL;
	if (e->measured == e->epoch)
		return 0;
	r = epoch_row(l, &normal, e->measured);
	return r < 0 ? r : load_evidence(l, ret, &normal);
}

static int recompute(struct ledger *l, struct epoch_terms **ret, const struct epoch_row *e)
{
	struct evidence *own = NULL, *normal = NULL;
	char why[REWARD_WHY_CAP] = "";
	int r = load_evidence(l, &own, e);

	if (r == 0)
		r = load_normal(l, &normal, e);
	if (r == 0) {
		r = epoch_compute(l, ret, why, own, normal, e->reserve);
		if (r == ERR_MALFORMED || r == ERR_RANGE || r == ERR_EXISTS)
			r = store_damaged(l->store, "epoch %" PRIu64 " cannot be computed again: %s", e->epoch, why);
	}
	evidence_free(own);
	evidence_free(normal);
	return r;
}

/* -- an epoch -------------------------------------------------------------------------- */

static void set_u64(json_t *o, const char *name, uint64_t v)
{
	json_object_set_new(o, name, json_integer((json_int_t)v));
}

/* What holds for all relays of an epoch. */
static json_t *terms_json(const struct epoch_terms *t)
{
	const struct reward_epoch *e = t->rewards;
	json_t *o = json_object();

	set_u64(o, "epoch", t->epoch);
	set_u64(o, "from", t->from);
	set_u64(o, "to", t->to);
	json_object_set_new(o, "state", json_string(evidence_state_name(t->state)));
	set_u64(o, "measured_epoch", t->measured);
	json_object_set_new(o, "policy", json_string(t->round ? "anyone-1" : "nonos-1"));
	set_u64(o, "consensuses", e->seen);
	set_u64(o, "relays", e->n_relays);
	json_set_amount(o, "reserve", e->reserve);
	json_set_amount(o, "budget", e->budget);
	json_set_amount(o, "total", e->paid);
	if (!t->round) {
		json_set_amount(o, "credit", e->credit);
		json_set_amount(o, "limit", e->limit);
		json_set_amount(o, "counted", e->counted);
	}
	return o;
}

/* {id: what the relay is due}, those with nothing left out. */
static json_t *dues_json(const struct reward_epoch *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < e->n_relays; i++) {
		const struct reward_relay *r = &e->relays[i];
		json_t *o = json_object();

		json_set_hex(o, "relay", r->id, sizeof(r->id));
		json_set_address(o, "payout", &r->payout);
		json_set_amount(o, "due", r->due);
		json_object_set_new(o, "excluded", r->excluded ? json_string(reward_excluded_text(r->excluded)) : json_null());
		json_array_append_new(list, o);
	}
	return list;
}

static void set_row(json_t *o, const struct epoch_row *e)
{
	json_set_hex(o, "root", e->root, sizeof(e->root));
	json_set_hex(o, "evidence_hash", e->evidence, sizeof(e->evidence));
	set_u64(o, "entry", e->height - 1);
}

int rewards_epoch(struct ledger *l, json_t **ret, uint64_t epoch)
{
	struct epoch_terms *t;
	struct epoch_row e;
	int r = epoch_row(l, &e, epoch);

	if (r == 0)
		r = recompute(l, &t, &e);
	if (r < 0)
		return r;
	*ret = terms_json(t);
	set_row(*ret, &e);
	json_object_set_new(*ret, "due", dues_json(t->rewards));
	epoch_terms_free(t);
	return 0;
}

int rewards_inputs(struct ledger *l, json_t **ret, uint64_t epoch)
{
	struct epoch_terms *t;
	struct epoch_row e;
	int r = epoch_row(l, &e, epoch);

	if (r == 0)
		r = recompute(l, &t, &e);
	if (r < 0)
		return r;
	*ret = t->round_doc ? json_incref(t->round_doc) : reward_epoch_inputs(t->rewards);
	epoch_terms_free(t);
	return 0;
}

/* -- explaining a relay ------------------------------------------------------------------ */

/* Millionths as a decimal. */
static void millionths(char out[64], struct amount a)
{
	char digits[AMOUNT_TEXT_CAP];
	struct amount whole, rest;

	amount_muldiv(&whole, &rest, a, amount_u64(1), amount_u64(1000000));
	amount_text(digits, whole);
	snprintf(out, 64, "%s.%06" PRIu64, digits, rest.lo);
}

static void __attribute__((format(printf, 2, 3))) say(json_t *steps, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(steps, json_string(text));
}

static void say_measured(json_t *steps, const struct reward_epoch *e, const struct reward_relay *r)
{
	char mean[64], cap[64], stake[AMOUNT_TEXT_CAP];

	amount_token_text(stake, r->stake);
	millionths(cap, r->cap);
	if (r->running == 0) {
		say(steps, "weight, uptime and role: not measured, for none of the %u consensuses lists it as running", e->seen);
	} else {
		millionths(mean, r->weight);
		say(steps, "weight: %s, the mean over the %u consensuses that list it as running", mean, r->running);
		say(steps, "uptime: %u of %u consensuses, squared", r->running, e->seen);
		say(steps, "role: x%u.%04u, with Exit in %u and Guard without Exit in %u of its consensuses", r->role_bp / REWARD_BP,
		    r->role_bp % REWARD_BP, r->exit, r->guard);
	}
	say(steps, "stake: %s tokens, which carry a weight of %s", stake, cap);
	if (r->tier >= 0)
		say(steps, "tier: %s, x%u.%04u", e->params.tiers[r->tier].name, e->params.tiers[r->tier].factor_bp / REWARD_BP,
		    e->params.tiers[r->tier].factor_bp % REWARD_BP);
	else
		say(steps, "tier: none; the lowest, %s, is not reached", e->params.tiers[0].name);
	if (r->running && amount_cmp(r->cap, r->weight) < 0)
		say(steps, "the stake is the limit: more of it would let more of the weight count");
}

static void say_diluted(json_t *steps, const struct reward_epoch *e, const struct reward_relay *r)
{
	char credit[AMOUNT_TEXT_CAP], limit[AMOUNT_TEXT_CAP], whole[AMOUNT_TEXT_CAP], part[AMOUNT_TEXT_CAP];

	amount_text(credit, r->credit);
	amount_text(limit, e->limit);
	say(steps, "credit: %s = smaller of weight and what the stake carries, x uptime^2 x tier x role", credit);
	amount_text(whole, r->network_credit);
	amount_text(part, r->spread);
	if (amount_cmp(r->network_credit, e->limit) > 0)
		say(steps, "network %s has %s, above the limit of %s: %s of the credit counts", r->network, whole, limit, part);
	else
		say(steps, "network %s has %s, within the limit of %s", r->network[0] ? r->network : "unknown", whole, limit);
	amount_text(whole, r->party_credit);
	amount_text(part, r->counted);
	if (amount_cmp(r->party_credit, e->limit) > 0)
		say(steps, "its operator and family have %s together, above the limit: %s counts", whole, part);
	else
		say(steps, "its operator and family have %s together, within the limit", whole);
}

static void say_due(json_t *steps, const struct reward_epoch *e, const struct reward_relay *r)
{
	char counted[AMOUNT_TEXT_CAP], all[AMOUNT_TEXT_CAP], budget[AMOUNT_TEXT_CAP], due[AMOUNT_TEXT_CAP];

	amount_text(counted, r->counted);
	amount_text(all, e->counted);
	amount_token_text(budget, e->budget);
	amount_token_text(due, r->due);
	say(steps, "due: %s of %s counted, of a budget of %s tokens: %s tokens", counted, all, budget, due);
	if (r->excluded)
		say(steps, "it earns nothing: %s", reward_excluded_text(r->excluded));
}

static void say_anyone(json_t *steps, const struct epoch_terms *t, const struct reward_relay *r)
{
	const struct anyone_relay *a = anyone_find(t, r->id);
	char due[AMOUNT_TEXT_CAP];

	if (!a) {
		say(steps, "it earns nothing: %s", reward_excluded_text(REWARD_NOT_RUNNING));
		return;
	}
	amount_token_text(due, r->due);
	say(steps, "network: a mean weight of %" PRIu64 ", rated %" PRIu64 " with %" PRIu64 " others in its family and %" PRIu64
	    " in its network", a->network, a->rating, a->family_size, a->location_size);
	say(steps, "uptime: %" PRIu64 " whole days, which weigh %g", a->uptime_streak, float64_double(a->uptime_weight));
	say(steps, "exit: %s", a->exit ? "yes" : "no");
	say(steps, "due: %s tokens of the pools network, uptime and exit", due);
}

static json_t *terms_of(const struct epoch_terms *t, const struct reward_relay *r)
{
	const struct anyone_relay *a;

	if (!t->round)
		return reward_relay_json(t->rewards, r);
	a = anyone_find(t, r->id);
	return a ? anyone_relay_json(a) : json_null();
}

static json_t *steps_json(const struct epoch_terms *t, const struct reward_relay *r)
{
	json_t *steps = json_array();

	if (t->state != EVIDENCE_NORMAL && t->measured != t->epoch)
		say(steps, "the epoch is abnormal (%s): it pays by the measurements of epoch %" PRIu64,
		    evidence_state_name(t->state), t->measured);
	if (t->round) {
		say_anyone(steps, t, r);
		return steps;
	}
	say_measured(steps, t->rewards, r);
	say_diluted(steps, t->rewards, r);
	say_due(steps, t->rewards, r);
	return steps;
}

static int explain(json_t **ret, const struct epoch_terms *t, const uint8_t relay_id[RELAY_ID_LEN])
{
	for (size_t i = 0; i < t->rewards->n_relays; i++) {
		const struct reward_relay *r = &t->rewards->relays[i];

		if (memcmp(r->id, relay_id, sizeof(r->id)) != 0)
			continue;
		*ret = terms_json(t);
		json_set_hex(*ret, "relay", r->id, sizeof(r->id));
		json_set_address(*ret, "operator", &r->operator);
		json_set_address(*ret, "payout", &r->payout);
		json_object_set_new(*ret, "family", r->family[0] ? json_string(r->family) : json_null());
		json_object_set_new(*ret, "network", r->network[0] ? json_string(r->network) : json_null());
		json_object_set_new(*ret, "terms", terms_of(t, r));
		json_object_set_new(*ret, "steps", steps_json(t, r));
		return 0;
	}
	return ERR_NOT_FOUND;
}

int rewards_explain(struct ledger *l, json_t **ret, uint64_t epoch, const uint8_t relay_id[RELAY_ID_LEN])
{
	struct epoch_terms *t;
	struct epoch_row e;
	int r = epoch_row(l, &e, epoch);

	if (r == 0)
		r = recompute(l, &t, &e);
	if (r < 0)
		return r;
	r = explain(ret, t, relay_id);
	if (r == 0)
		set_row(*ret, &e);
	epoch_terms_free(t);
	return r;
}

/* -- a relay, an account ------------------------------------------------------------------ */

/* Columns: epoch, amount, payout, relay. */
static int add_due(struct ledger *l, json_t *list, struct amount *sum, sqlite3_stmt *row)
{
	uint8_t relay[RELAY_ID_LEN];
	struct eth_addr payout;
	json_t *o = json_object();
	int r = store_blob(l->store, row, 2, payout.b, sizeof(payout.b));

	if (r == 0)
		r = store_blob(l->store, row, 3, relay, sizeof(relay));
	set_u64(o, "epoch", store_u64(row, 0));
	set_u64(o, "ended", genesis_epoch_start(l->genesis, store_u64(row, 0) + 1));
	json_set_amount(o, "due", store_amount(row, 1));
	json_set_hex(o, "relay", relay, sizeof(relay));
	json_set_address(o, "payout", &payout);
	json_array_append_new(list, o);
	(void)amount_add(sum, *sum, store_amount(row, 1));
	return r;
}

static int read_dues(struct ledger *l, json_t *list, struct amount *sum, sqlite3_stmt *row, int r)
{
	for (r = r < 0 ? r : 1; r == 1; r = store_next(l->store, row)) {
		r = add_due(l, list, sum, row);
		if (r < 0) {
			store_end(row);
			return r;
		}
	}
	return r == ERR_NOT_FOUND ? 0 : r;
}

int rewards_relay(struct ledger *l, json_t **ret, const uint8_t relay_id[RELAY_ID_LEN], size_t limit)
{
	struct amount sum = { 0 };
	json_t *list = json_array();
	sqlite3_stmt *row;
	uint64_t next = 0;
	int r = store_row(l->store, &row, "SELECT epoch, amount, payout, relay FROM due WHERE relay = ? ORDER BY epoch DESC LIMIT ?",
			  "bu", relay_id, (size_t)RELAY_ID_LEN, (uint64_t)limit);

	r = read_dues(l, list, &sum, row, r);
	if (r == 0)
		r = epoch_next(l, &next);
	if (r < 0) {
		json_decref(list);
		return r;
	}
	*ret = json_object();
	json_set_hex(*ret, "relay", relay_id, RELAY_ID_LEN);
	set_u64(*ret, "epochs_closed", next);
	json_set_amount(*ret, "sum", sum);
	json_object_set_new(*ret, "epochs", list);
	return 0;
}

/* How far each row's money is: claims take the oldest first, up to a sum. Rows are the newest. */
static void set_states(json_t *rows, const struct claim_state *s)
{
	struct amount through = s->earned, final = { 0 }, due;
	const char *text;
	json_t *row;
	size_t i;

	(void)amount_sub(&final, s->claimed, s->submitted);
	json_array_foreach(rows, i, row) {
		text = json_string_value(json_object_get(row, "due"));
		json_object_set_new(row, "state", json_string(amount_cmp(through, final) <= 0 ? "final" :
							      amount_cmp(through, s->claimed) <= 0 ? "submitted" : "attested"));
		if (text && amount_parse(&due, text, strlen(text)) == 0)
			(void)amount_sub(&through, through, due);
	}
}

int rewards_history(struct ledger *l, json_t **ret, const struct eth_addr *account, size_t limit)
{
	json_t *list = json_array(), *claims = NULL;
	struct amount sum = { 0 };
	struct claim_state s;
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT epoch, amount, payout, relay FROM due WHERE payout = ? ORDER BY epoch DESC LIMIT ?",
			  "bu", account->b, sizeof(account->b), (uint64_t)limit);

	r = read_dues(l, list, &sum, row, r);
	if (r == 0)
		r = claim_state(l, &s, account);
	if (r == 0)
		r = claim_list(l, &claims, account, limit);
	if (r < 0) {
		json_decref(list);
		return r;
	}
	set_states(list, &s);
	*ret = json_object();
	json_set_address(*ret, "account", account);
	json_set_amount(*ret, "earned", s.earned);
	json_set_amount(*ret, "claimed", s.claimed);
	json_set_amount(*ret, "submitted", s.submitted);
	json_set_amount(*ret, "claimable", s.claimable);
	json_object_set_new(*ret, "epochs", list);
	json_object_set_new(*ret, "claims", claims);
	return 0;
}

/* -- the open epoch ------------------------------------------------------------------------ */

/* The register of now: the epoch's end has not come. */
static int guess(struct ledger *l, struct epoch_terms **ret, char *why, const struct evidence *e, const struct evidence *normal)
{
	struct account reserve = account_of(ACCOUNT_RESERVE, NULL);
	struct amount balance;
	int r = ledger_balance(l, &balance, &reserve);

	return r < 0 ? r : epoch_compute(l, ret, why, e, normal, balance);
}

int rewards_pending(struct ledger *l, json_t **ret, char why[REWARD_WHY_CAP], struct evidence *e)
{
	struct evidence *normal = NULL;
	struct epoch_terms *t;
	int r;

	doc_fail(why, "the ledger cannot be read");
	r = epoch_check_times(l->genesis, e, why);
	if (r == 0)
		r = evidence_check(e, why);
	if (r == 0)
		r = epoch_last_normal(l, &normal);
	if (r == 0)
		r = guess(l, &t, why, e, normal);
	evidence_free(normal);
	if (r < 0)
		return r;
	*ret = terms_json(t);
	json_object_set_new(*ret, "estimate", json_true());
	json_object_set_new(*ret, "due", dues_json(t->rewards));
	epoch_terms_free(t);
	return 0;
}
