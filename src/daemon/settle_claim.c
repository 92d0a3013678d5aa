/*
 * Claiming by itself: with the payout account's key (option claim_key) what was
 * earned is claimed when it is much enough, or old enough. A claim names the whole of
 * what was earned so far, so making one again after a crash takes nothing twice, and
 * where each stands is read from the journal alone.
 */
#include "config.h"

#include "settle_priv.h"

#include <stdio.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/epochs.h>
#include <nonos/err.h>
#include <nonos/json_set.h>
#include <nonos/log.h>
#include <nonos/typed.h>

#include "settle_claim.h"
#include "settle_key.h"

enum { CLAIM_MS = 60 * 1000, CLAIM_TEST_MS = 1000, DEADLINE_S = 3600, BASIS_POINTS = 10000 };

static const char not_claimed[] = "Earned tokens are not claimed by themselves";

bool claim_is_due(const struct claim_rule *rule, struct amount claimable, uint64_t oldest, struct amount fee, uint64_t now)
{
	struct amount most;
	bool enough = amount_cmp(claimable, rule->above) >= 0;
	bool old = rule->after_s && oldest && now >= oldest && now - oldest >= rule->after_s;

	if (amount_is_zero(claimable) || !(enough || old))
		return false;
	/* The cap is a share of what is claimed; a product that does not fit is no reason to pay. */
	if (amount_muldiv(&most, NULL, claimable, amount_u64(rule->fee_cap_bp), amount_u64(BASIS_POINTS)) < 0)
		return false;
	return amount_cmp(fee, most) <= 0;
}

static int sign_claim(json_t *claim, const uint8_t secret[ETH_SECRET_LEN])
{
	char why[TYPED_WHY_CAP];
	uint8_t sig[ETH_SIG_LEN];
	struct typed_hashes h;
	json_t *list = json_array(), *holder = json_object();
	int r = typed_hash(&h, why, claim);

	if (r == 0)
		r = eth_sig_sign(sig, secret, h.digest);
	if (r == 0) {
		json_set_hex(holder, "signature", sig, sizeof(sig));
		json_array_append(list, json_object_get(holder, "signature"));
		json_object_set(claim, "signatures", list);
	}
	json_decref(holder);
	json_decref(list);
	return r;
}

static int submit_claim(struct settle *s, const json_t *claim)
{
	struct ledger_refusal refusal = { 0 };
	struct ledger_receipt receipt;
	char why[LEDGER_WHY_CAP + 64];
	int r = provider_submit(s->provider, &receipt, &refusal, claim);

	if (r == 0)
		return settle_ledger_commit(s);
	if (r != ERR_REFUSED) {
		settle_ledger_failed(s);
		return r;
	}
	/* It was claimed by somebody else in the meantime: nothing is lost. */
	if (refusal.code == REFUSED_CLAIM_AMOUNT || refusal.code == REFUSED_DUPLICATE)
		return 0;
	snprintf(why, sizeof(why), "%s: %s", refusal_name(refusal.code), refusal.why);
	settle_problem_set(&s->claim_problem, not_claimed, why);
	return r;
}

static int claim_now(struct settle *s, struct amount claimable)
{
	char tokens[AMOUNT_TEXT_CAP];
	json_t *claim = NULL;
	uint64_t now = 0;
	int r = provider_now(s->provider, &now);

	if (r == 0)
		r = claim_draft(s->ledger, &claim, &s->claimant, NULL, now + DEADLINE_S);
	if (r == 0)
		r = sign_claim(claim, secret_data(s->claim_key));
	if (r == 0)
		r = submit_claim(s, claim);
	json_decref(claim);
	if (r < 0)
		return r;
	amount_token_text(tokens, claimable);
	settle_problem_set(&s->claim_problem, not_claimed, "");
	log_notice("What was earned is claimed. tokens=%s", tokens);
	settle_tell(s, "ledger.claim", json_pack("{s:s}", "tokens", tokens));
	return 0;
}

void settle_claim_tick(struct settle *s)
{
	const struct config *c = s->config;
	const struct claim_rule rule = {
		.above = c->claim_above, .after_s = c->claim_after, .fee_cap_bp = c->claim_fee_cap,
	};
	struct claim_state state;

	if (!s->ledger || !s->claim_key || clock_now_ms() < s->claim_ms)
		return;
	s->claim_ms = clock_now_ms() + (c->network == NETWORK_TEST ? CLAIM_TEST_MS : CLAIM_MS);
	if (!s->writer) {
		settle_problem_set(&s->claim_problem, not_claimed, "this node does not write the journal");
		return;
	}
	/* Our own journal takes no fee. */
	if (claim_state(s->ledger, &state, &s->claimant) == 0 &&
	    claim_is_due(&rule, state.claimable, state.oldest_unclaimed, amount_u64(0), (uint64_t)clock_wall()))
		claim_now(s, state.claimable);
}

int settle_claim_open(struct settle *s, char *why, size_t why_cap)
{
	const struct config *c = s->config;

	if (!c->claim_key || s->claim_key)
		return 0;
	return settle_key_read(&s->claim_key, &s->claimant, c->claim_key, c->claim_password_file, why, why_cap);
}
