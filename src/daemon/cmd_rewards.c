/* Methods over what relays earn: rewards.*, and ledger.attest with its counterpart. */
#include "config.h"

#include "keeper.h"

#include <inttypes.h>
#include <string.h>

#include <nonos/encode.h>
#include <nonos/epochs.h>
#include <nonos/err.h>
#include <nonos/json_set.h>

enum { LIMIT = 24, CLAIM_VALID_S = 86400 };

static const char earned_nothing[] = "this account has earned nothing yet";

/* Answer with what the ledger made, or say what it could not. */
static int answer(struct ctl_call *call, struct ledger *l, int r, json_t *made, const char *missing)
{
	if (r == 0) {
		call->result = made;
		return 0;
	}
	if (r == ERR_NOT_FOUND)
		return ctl_fail(call, r, CTL_FAILED, "%s", missing);
	return settle_fail(call, l, r);
}

static int find_ledger(struct ctl_call *call, struct ledger **ret)
{
	*ret = settle_ledger(settle_of(call), call);
	return *ret ? 0 : ERR_STATE;
}

/* The epoch that `call` names, or the last one that is closed. */
static int which_epoch(struct ctl_call *call, struct ledger **ret_l, uint64_t *ret)
{
	int64_t named = param_integer(call->params, "epoch", -1);
	uint64_t next = 0;
	int r = find_ledger(call, ret_l);

	if (r < 0)
		return r;
	if (named >= 0) {
		*ret = (uint64_t)named;
		return 0;
	}
	r = epoch_next(*ret_l, &next);
	if (r == 0 && next == 0)
		r = ERR_NOT_FOUND;
	if (r < 0)
		return answer(call, *ret_l, r, NULL, "no epoch is closed yet; nonosctl rewards pending shows the one that runs");
	*ret = next - 1;
	return 0;
}

/* A relay by its fingerprint, among those registered now. */
static int by_fingerprint(struct ctl_call *call, struct ledger *l, uint8_t ret[RELAY_ID_LEN], const uint8_t fingerprint[20])
{
	struct ledger_snapshot now = settle_now(l);
	struct ledger_register *reg;
	int r = ledger_register_at(l, &reg, &now);

	if (r < 0)
		return answer(call, l, r, NULL, "");
	r = ERR_NOT_FOUND;
	for (size_t i = 0; i < reg->n && r < 0; i++)
		if (memcmp(reg->relays[i].fingerprint, fingerprint, 20) == 0) {
			memcpy(ret, reg->relays[i].relay_id, RELAY_ID_LEN);
			r = 0;
		}
	ledger_register_free(reg);
	return r < 0 ? ctl_fail(call, r, CTL_FAILED, "no relay with this fingerprint is registered") : 0;
}

/* The relay that `call` names, or this one. */
static int which_relay(struct ctl_call *call, struct ledger *l, uint8_t ret[RELAY_ID_LEN])
{
	const char *text = param_text(call->params, "relay");
	uint8_t fingerprint[20];
	size_t len;

	if (!text) {
		memcpy(ret, keys_ed_id(((struct keeper *)call->arg)->keys), RELAY_ID_LEN);
		return 0;
	}
	text += strncmp(text, "0x", 2) == 0 ? 2 : 0;
	len = strlen(text);
	if (len == 2 * RELAY_ID_LEN && hex_decode(ret, RELAY_ID_LEN, text, len) == 0)
		return 0;
	if (hex_decode(fingerprint, sizeof(fingerprint), text, len) == 0)
		return by_fingerprint(call, l, ret, fingerprint);
	return ctl_fail(call, ERR_MALFORMED, CTL_INVALID_PARAMS,
			"\"relay\" is an Ed25519 identity of 64 hexadecimal digits, or a fingerprint of 40");
}

static int which_account(struct ctl_call *call, struct ledger **ret_l, struct eth_addr *ret)
{
	struct account a;
	int r = find_ledger(call, ret_l);

	if (r == 0)
		r = settle_account(settle_of(call), call, &a, "account");
	if (r < 0)
		return r;
	if (a.kind != ACCOUNT_ADDRESS && a.kind != ACCOUNT_REWARDS)
		return ctl_fail(call, ERR_RANGE, CTL_INVALID_PARAMS, "only the account of an address earns");
	*ret = a.addr;
	return 0;
}

static size_t limit_of(const struct ctl_call *call)
{
	return (size_t)param_integer(call->params, "limit", LIMIT);
}

/* -- epochs -------------------------------------------------------------------------------- */

static int answer_epoch(struct ctl_call *call, int (*make)(struct ledger *l, json_t **ret, uint64_t epoch))
{
	json_t *made = NULL;
	struct ledger *l;
	uint64_t epoch;
	int r = which_epoch(call, &l, &epoch);

	if (r < 0)
		return r;
	r = make(l, &made, epoch);
	return answer(call, l, r, made, "this epoch is not closed yet; nonosctl rewards pending shows the one that runs");
}

int cmd_rewards_epoch(struct ctl_call *call)
{
	return answer_epoch(call, rewards_epoch);
}

int cmd_rewards_inputs(struct ctl_call *call)
{
	return answer_epoch(call, rewards_inputs);
}

int cmd_rewards_explain(struct ctl_call *call)
{
	uint8_t relay[RELAY_ID_LEN];
	json_t *made = NULL;
	struct ledger *l;
	uint64_t epoch;
	int r = which_epoch(call, &l, &epoch);

	if (r == 0)
		r = which_relay(call, l, relay);
	if (r < 0)
		return r;
	r = rewards_explain(l, &made, epoch, relay);
	return answer(call, l, r, made, "this epoch is not closed yet, or the relay was not registered at its end; "
		      "nonosctl rewards pending shows the epoch that runs");
}

int cmd_rewards_relay(struct ctl_call *call)
{
	uint8_t relay[RELAY_ID_LEN];
	json_t *made = NULL;
	struct ledger *l;
	int r = find_ledger(call, &l);

	if (r == 0)
		r = which_relay(call, l, relay);
	if (r < 0)
		return r;
	r = rewards_relay(l, &made, relay, limit_of(call));
	return answer(call, l, r, made, "this relay has not been part of any epoch that is closed");
}

int cmd_rewards_history(struct ctl_call *call)
{
	struct eth_addr account;
	json_t *made = NULL;
	struct ledger *l;
	int r = which_account(call, &l, &account);

	if (r < 0)
		return r;
	r = rewards_history(l, &made, &account, limit_of(call));
	return answer(call, l, r, made, earned_nothing);
}

int cmd_rewards_pending(struct ctl_call *call)
{
	struct settle *s = settle_of(call);
	char why[REWARD_WHY_CAP] = "";
	struct evidence *e = NULL;
	json_t *made = NULL;
	struct ledger *l;
	int r = find_ledger(call, &l);

	if (r == 0)
		r = settle_open_evidence(s, call, &e);
	if (r < 0)
		return r;
	r = rewards_pending(l, &made, why, e);
	evidence_free(e);
	if (r < 0 && why[0])
		return ctl_fail(call, r, CTL_FAILED, "%s", why);
	r = answer(call, l, r, made, "nothing was measured yet");
	if (r == 0)
		json_object_set_new(call->result, "risks", settle_risks(s));
	return r;
}

/* -- auditors ---------------------------------------------------------------------------------- */

int cmd_ledger_attestation(struct ctl_call *call)
{
	return settle_attestation(settle_of(call), call);
}

int cmd_ledger_attest(struct ctl_call *call)
{
	json_t *attestation = json_loads(param_text(call->params, "attestation"), JSON_REJECT_DUPLICATES, NULL);
	int r;

	if (!json_is_object(attestation)) {
		json_decref(attestation);
		return ctl_fail(call, ERR_MALFORMED, CTL_INVALID_PARAMS, "\"attestation\" is not a JSON object");
	}
	r = settle_attest(settle_of(call), call, attestation);
	json_decref(attestation);
	return r;
}

/* -- claims ------------------------------------------------------------------------------------- */

static void put_state(json_t *o, const struct claim_state *s)
{
	json_set_amount(o, "earned", s->earned);
	json_set_amount(o, "claimed", s->claimed);
	json_set_amount(o, "submitted", s->submitted);
	json_set_amount(o, "claimable", s->claimable);
	json_object_set_new(o, "epoch", amount_is_zero(s->earned) ? json_null() : json_integer((json_int_t)s->epoch));
	json_object_set_new(o, "last_claim", s->last_claim ? json_integer((json_int_t)s->last_claim) : json_null());
}

/* What the running epoch would pay to the account; an amount of null where nothing can be said. */
static json_t *estimate(struct settle *s, struct ledger *l, const struct eth_addr *account)
{
	char why[REWARD_WHY_CAP], whose[ETH_ADDR_TEXT_CAP];
	struct ctl_call silent = { .arg = NULL };
	struct amount sum = { 0 }, due;
	struct evidence *e = NULL;
	json_t *made = NULL, *row, *answer = json_pack("{s:s, s:n}", "state", "earned", "amount");
	size_t i;

	eth_addr_text(whose, account);
	if (settle_open_evidence(s, &silent, &e) == 0 && rewards_pending(l, &made, why, e) == 0) {
		json_array_foreach(json_object_get(made, "due"), i, row) {
			const char *text = param_text(row, "due"), *payout = param_text(row, "payout");

			if (text && payout && strcmp(payout, whose) == 0 && amount_parse(&due, text, strlen(text)) == 0)
				(void)amount_add(&sum, sum, due);
		}
		json_set_amount(answer, "amount", sum);
	}
	evidence_free(e);
	json_decref(made);
	return answer;
}

/* Where the account's money is on its way, one row a state. */
static json_t *stages(struct settle *s, struct ledger *l, const struct eth_addr *account, const struct claim_state *c)
{
	static const char *const names[] = { "attested", "submitted", "final" };
	static const char *const whats[] = {
		"signed by the auditors: to be claimed", "in a claim that is not durable yet", "claimed, and on the account",
	};
	struct amount final = { 0 };
	const struct amount *const amounts[] = { &c->claimable, &c->submitted, &final };
	json_t *list = json_array(), *row = estimate(s, l, account);
	struct settle_numbers n = { .epochs_behind = 0 };

	(void)amount_sub(&final, c->claimed, c->submitted);
	(void)settle_numbers(s, &n);
	json_object_set_new(row, "what", n.epochs_behind ?
			    json_sprintf("estimate for the epoch that runs; %" PRIu64 " before it wait for the auditors", n.epochs_behind) :
			    json_string("estimate for the epoch that runs; the auditors sign after its end"));
	json_array_append_new(list, row);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		row = json_pack("{s:s, s:s}", "state", names[i], "what", whats[i]);
		json_set_amount(row, "amount", *amounts[i]);
		json_array_append_new(list, row);
	}
	return list;
}

/* Count a claim in that the writer has taken, and the journal here has not. */
static void add_submitted(struct claim_state *c, struct amount cumulative)
{
	struct amount more;

	if (amount_cmp(cumulative, c->earned) > 0 || amount_sub(&more, cumulative, c->claimed) < 0)
		return;
	(void)amount_add(&c->claimed, c->claimed, more);
	(void)amount_add(&c->submitted, c->submitted, more);
	(void)amount_sub(&c->claimable, c->claimable, more);
}

int cmd_rewards_claims(struct ctl_call *call)
{
	struct claim_state state = { .epoch = 0 };
	struct eth_addr account;
	json_t *list = NULL;
	struct ledger *l;
	int r = which_account(call, &l, &account);

	if (r < 0)
		return r;
	r = claim_state(l, &state, &account);
	if (r == 0)
		add_submitted(&state, settle_claimed_elsewhere(settle_of(call), &account));
	if (r == 0)
		r = claim_list(l, &list, &account, limit_of(call));
	if (r < 0)
		return answer(call, l, r, NULL, earned_nothing);
	call->result = json_pack("{s:o}", "claims", list);
	json_set_address(call->result, "account", &account);
	put_state(call->result, &state);
	json_object_set_new(call->result, "stages", stages(settle_of(call), l, &account, &state));
	return 0;
}

int cmd_rewards_bundle(struct ctl_call *call)
{
	struct eth_addr account;
	json_t *made = NULL;
	struct ledger *l;
	int r = which_account(call, &l, &account);

	if (r < 0)
		return r;
	r = claim_bundle(l, &made, &account);
	return answer(call, l, r, made, earned_nothing);
}

int cmd_rewards_draft(struct ctl_call *call)
{
	struct eth_addr account;
	uint64_t deadline;
	json_t *made = NULL;
	struct ledger *l;
	int r = which_account(call, &l, &account);

	if (r == 0)
		r = provider_now(settle_provider(settle_of(call)), &deadline);
	if (r < 0)
		return r;
	deadline += (uint64_t)param_integer(call->params, "valid", CLAIM_VALID_S);
	r = claim_draft(l, &made, &account, NULL, deadline);
	if (r == ERR_STATE)
		return ctl_fail(call, r, CTL_FAILED, "nothing can be claimed now: what was earned so far is claimed");
	if (r == 0)
		made = json_pack("{s:o}", "object", made);
	return answer(call, l, r, made, earned_nothing);
}
