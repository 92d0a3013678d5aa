#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>

#include "epoch_test.h"

static int setup(void **state)
{
	struct world *w;

	epochs_setup(state);
	w = *state;
	close_epoch(w->l);
	return 0;
}

static struct claim_state state_of(struct ledger *l, unsigned n)
{
	struct eth_addr a = person(n);
	struct claim_state s;

	assert_int_equal(claim_state(l, &s, &a), 0);
	return s;
}

static const char *list_state(struct ledger *l, unsigned n)
{
	static char text[20];
	struct eth_addr a = person(n);
	json_t *list;

	assert_int_equal(claim_list(l, &list, &a, 10), 0);
	snprintf(text, sizeof(text), "%s", json_string_value(json_object_get(json_array_get(list, 0), "state")));
	json_decref(list);
	return text;
}

/* The states of the epochs that paid the account, newest first: "attested final ". */
static const char *history_states(struct ledger *l, unsigned n)
{
	static char text[100];
	struct eth_addr a = person(n);
	json_t *o, *row;
	size_t i;

	assert_int_equal(rewards_history(l, &o, &a, 10), 0);
	text[0] = '\0';
	json_array_foreach(json_object_get(o, "epochs"), i, row) {
		strcat(text, json_string_value(json_object_get(row, "state")));
		strcat(text, " ");
	}
	json_decref(o);
	return text;
}

static void claims(void **state)
{
	struct world *w = *state;
	struct amount earned = balance_of(w->l, ACCOUNT_REWARDS, 12);
	struct eth_addr a = person(12);
	json_t *claim = signed_claim(w->l, 12), *doc;
	struct claim_state s = state_of(w->l, 12);

	assert_int_equal(amount_cmp(s.claimable, earned), 0);
	assert_int_equal(s.oldest_unclaimed, T0 + EPOCH_S);
	assert_int_equal(s.last_claim, 0);
	assert_string_equal(history_states(w->l, 12), "attested ");
	assert_int_equal(submit(w->l, json_incref(claim), NULL), REFUSED_NOT);
	s = state_of(w->l, 12);
	assert_int_equal(amount_cmp(s.submitted, earned), 0);
	assert_string_equal(list_state(w->l, 12), "submitted");
	assert_string_equal(history_states(w->l, 12), "submitted ");
	assert_int_equal(ledger_commit(w->l), 0);
	s = state_of(w->l, 12);
	assert_true(amount_is_zero(s.submitted) && amount_is_zero(s.claimable));
	assert_int_equal(amount_cmp(s.claimed, earned), 0);
	assert_string_equal(list_state(w->l, 12), "final");
	assert_true(s.last_claim > 0);
	assert_int_equal(amount_cmp(balance_of(w->l, ACCOUNT_ADDRESS, 12), earned), 0);
	assert_true(amount_is_zero(balance_of(w->l, ACCOUNT_REWARDS, 12)));

	/* Again: nothing moves, and there is nothing to draft. */
	assert_int_equal(submit(w->l, claim, NULL), REFUSED_DUPLICATE);
	assert_int_equal(claim_draft(w->l, &doc, &a, NULL, T0 + 300000000), ERR_STATE);
	close_epoch(w->l);
	assert_string_equal(history_states(w->l, 12), "attested final ");
	assert_int_equal(submit(w->l, signed_claim(w->l, 12), NULL), REFUSED_NOT);
	expect_verified(w->l);
}

/* Cumulative: a newer claim takes what an older one would have, and the older one then changes nothing. */
static void any_order(void **state)
{
	struct world *w = *state;
	json_t *old = signed_claim(w->l, 13), *newer;
	struct amount both;

	close_epoch(w->l);
	newer = signed_claim(w->l, 13);
	both = balance_of(w->l, ACCOUNT_REWARDS, 13);
	assert_int_equal(submit(w->l, newer, NULL), REFUSED_NOT);
	assert_int_equal(submit(w->l, json_incref(old), NULL), REFUSED_CLAIM_AMOUNT);
	assert_int_equal(amount_cmp(balance_of(w->l, ACCOUNT_ADDRESS, 13), both), 0);
	json_decref(old);

	/* An older one first is fine, too. */
	old = signed_claim(w->l, 14);
	close_epoch(w->l);
	assert_int_equal(submit(w->l, old, NULL), REFUSED_NOT);
	assert_int_equal(submit(w->l, signed_claim(w->l, 14), NULL), REFUSED_NOT);
	assert_true(amount_is_zero(balance_of(w->l, ACCOUNT_REWARDS, 14)));
	expect_verified(w->l);
}

static json_t *draft_for(struct ledger *l, unsigned n, const uint8_t *node)
{
	struct eth_addr a = person(n);
	json_t *doc;

	assert_int_equal(claim_draft(l, &doc, &a, node, T0 + 300000000), 0);
	return doc;
}

static json_t *changed(struct ledger *l, const char *field, const char *value)
{
	static const unsigned who[] = { 12 };
	json_t *doc = draft_for(l, 12, NULL);

	json_object_set_new(json_object_get(doc, "message"), field, json_string(value));
	return signed_object(doc, who, 1);
}

static void refusals(void **state)
{
	static const unsigned stranger[] = { 30 }, auditor[] = { 0 };
	static const char some[] = "0x1111111111111111111111111111111111111111111111111111111111111111";
	struct world *w = *state;
	uint8_t expanded[ED25519_EXPANDED_LEN], node[RELAY_ID_LEN];

	assert_int_equal(submit(w->l, signed_object(draft_for(w->l, 12, NULL), stranger, 1), NULL), REFUSED_BAD_SIGNATURE);
	assert_int_equal(submit(w->l, signed_object(draft_for(w->l, 12, NULL), auditor, 1), NULL), REFUSED_THRESHOLD);
	assert_int_equal(submit(w->l, changed(w->l, "cumulativeAmount", "99999999999999999999999999"), NULL), REFUSED_CLAIM_AMOUNT);
	assert_int_equal(submit(w->l, changed(w->l, "cumulativeAmount", "0"), NULL), REFUSED_CLAIM_AMOUNT);
	assert_int_equal(submit(w->l, changed(w->l, "epoch", "1"), NULL), REFUSED_EPOCH_RANGE);
	assert_int_equal(submit(w->l, changed(w->l, "epoch", "18446744073709551615"), NULL), REFUSED_EPOCH_RANGE);
	assert_int_equal(submit(w->l, changed(w->l, "evidenceHash", some), NULL), REFUSED_EVIDENCE);
	assert_int_equal(submit(w->l, changed(w->l, "nodeId", some), NULL), REFUSED_RELAY_UNKNOWN);
	assert_int_equal(submit(w->l, changed(w->l, "deadline", "1800000000"), NULL), REFUSED_EXPIRED);
	relay_key(expanded, node, 3);		/* somebody else's relay */
	assert_int_equal(submit(w->l, signed_object(draft_for(w->l, 12, node), (const unsigned[]){ 12 }, 1), NULL),
			 REFUSED_RELAY_UNKNOWN);
	assert_true(amount_is_zero(balance_of(w->l, ACCOUNT_ADDRESS, 12)));
	expect_verified(w->l);
}

static json_t *amount_json(struct amount a)
{
	char text[AMOUNT_TEXT_CAP];

	amount_text(text, a);
	return json_string(text);
}

/* A part of what is due, by the relay's name; the rest by a voucher that auditors signed. */
static void parts_and_vouchers(void **state)
{
	static const unsigned own[] = { 12 }, auditors[] = { 2, 1 };
	struct world *w = *state;
	uint8_t expanded[ED25519_EXPANDED_LEN], node[RELAY_ID_LEN];
	struct amount earned = balance_of(w->l, ACCOUNT_REWARDS, 12);
	json_t *doc;

	relay_key(expanded, node, 2);
	doc = draft_for(w->l, 12, node);
	json_object_set_new(json_object_get(doc, "message"), "cumulativeAmount", json_string("1000"));
	assert_int_equal(submit(w->l, signed_object(doc, own, 1), NULL), REFUSED_NOT);
	assert_int_equal(balance_of(w->l, ACCOUNT_ADDRESS, 12).lo, 1000);
	assert_string_equal(history_states(w->l, 12), "attested ");
	/* What is left is as old as before, and stays the oldest. */
	assert_int_equal(state_of(w->l, 12).oldest_unclaimed, T0 + EPOCH_S);
	close_epoch(w->l);
	assert_int_equal(state_of(w->l, 12).oldest_unclaimed, T0 + EPOCH_S);
	doc = draft_for(w->l, 12, node);
	json_object_set_new(json_object_get(doc, "message"), "cumulativeAmount", amount_json(earned));
	assert_int_equal(submit(w->l, signed_object(doc, own, 1), NULL), REFUSED_NOT);
	assert_int_equal(state_of(w->l, 12).oldest_unclaimed, T0 + 2 * EPOCH_S);
	earned = state_of(w->l, 12).earned;
	assert_int_equal(submit(w->l, signed_object(draft_for(w->l, 12, node), auditors, 2), NULL), REFUSED_NOT);
	assert_int_equal(amount_cmp(balance_of(w->l, ACCOUNT_ADDRESS, 12), earned), 0);
	assert_int_equal(state_of(w->l, 12).oldest_unclaimed, 0);
	expect_verified(w->l);
}

/* -- bundles -------------------------------------------------------------------------- */

static json_t *bundle_of(struct ledger *l, unsigned n)
{
	struct eth_addr a = person(n);
	json_t *bundle;

	assert_int_equal(claim_bundle(l, &bundle, &a), 0);
	return bundle;
}

static void bundles(void **state)
{
	struct world *w = *state;
	struct eth_addr nobody = person(30);
	char why[GENESIS_WHY_CAP] = "", *path = getenv("CLAIM_BUNDLE");
	struct claim_verdict v;
	json_t *bundle;

	for (unsigned n = 11; n < 10 + EPOCH_RELAYS; n++) {
		bundle = bundle_of(w->l, n);
		if (claim_check(&v, why, bundle, w->g) < 0)
			fail_msg("%s", why);
		assert_int_equal(amount_cmp(v.amount, balance_of(w->l, ACCOUNT_REWARDS, n)), 0);
		assert_int_equal(v.epoch, 0);
		assert_int_equal(v.signers, 2);
		assert_int_equal(v.threshold, 2);
		assert_memory_equal(v.network, w->g->hash, sizeof(v.network));
		assert_int_equal(claim_check(&v, why, bundle, NULL), 0);
		if (path && n == 12)
			assert_int_equal(json_dump_file(bundle, path, JSON_INDENT(1)), 0);
		json_decref(bundle);
	}
	assert_int_equal(claim_bundle(w->l, &bundle, &nobody), ERR_NOT_FOUND);
}

static void refuse_bundle(const json_t *bundle, const struct genesis *g, int error)
{
	char why[GENESIS_WHY_CAP] = "";
	struct claim_verdict v;

	assert_int_equal(claim_check(&v, why, bundle, g), error);
	assert_true(why[0]);
}

/* Flip a digit of a text somewhere in the bundle. */
static void flip(json_t *holder, const char *name, size_t at)
{
	char *text = strdup(json_string_value(json_object_get(holder, name)));

	text[at] = text[at] == '1' ? '2' : '1';
	json_object_set_new(holder, name, json_string(text));
	free(text);
}

static void tampered(void **state)
{
	static const char *const all[] = { "format", "account", "amount", "proof", "entry", "log", "genesis" };
	struct world *w = *state;
	json_t *good = bundle_of(w->l, 12), *b, *other;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		b = json_deep_copy(good);
		json_object_del(b, all[i]);
		refuse_bundle(b, w->g, ERR_MALFORMED);
		json_decref(b);
	}
	b = json_deep_copy(good);
	flip(b, "amount", 0);
	refuse_bundle(b, w->g, ERR_AUTH);
	json_decref(b);
	b = json_deep_copy(good);
	other = bundle_of(w->l, 13);
	json_object_set(b, "account", json_object_get(other, "account"));
	refuse_bundle(b, w->g, ERR_AUTH);
	json_decref(other);
	json_decref(b);
	b = json_deep_copy(good);
	json_array_remove(json_object_get(b, "proof"), 0);
	refuse_bundle(b, w->g, ERR_AUTH);
	json_decref(b);
	b = json_deep_copy(good);
	flip(json_object_get(json_object_get(b, "entry"), "message"), "total", 0);
	refuse_bundle(b, w->g, ERR_AUTH);
	json_decref(b);
	b = json_deep_copy(good);
	json_object_set_new(json_object_get(b, "entry"), "time", json_integer(5));
	refuse_bundle(b, w->g, ERR_AUTH);
	json_decref(b);
	b = json_deep_copy(good);
	json_array_remove(json_object_get(json_object_get(b, "entry"), "signatures"), 0);
	refuse_bundle(b, w->g, ERR_AUTH);
	json_decref(b);
	b = json_deep_copy(good);
	json_object_set_new(json_object_get(b, "genesis"), "name", json_string("another"));
	refuse_bundle(b, w->g, ERR_MISMATCH);
	refuse_bundle(b, NULL, ERR_AUTH);		/* its domain is another, so no auditor has signed */
	json_decref(b);
	json_decref(good);
}

/* Every character of the log's proof counts. */
static void tampered_log(void **state)
{
	struct world *w = *state;
	json_t *good = bundle_of(w->l, 12);
	const char *text = json_string_value(json_object_get(good, "log"));
	size_t len = strlen(text);
	char why[GENESIS_WHY_CAP];
	struct claim_verdict v;

	for (size_t i = 0; i < len; i++) {
		json_t *b;

		if (text[i] & 0x80)			/* of the dash: half of it is no JSON text */
			continue;
		b = json_deep_copy(good);
		flip(b, "log", i);
		if (claim_check(&v, why, b, w->g) == 0)
			fail_msg("character %zu of the log may be anything", i);
		json_decref(b);
	}
	json_decref(good);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(claims), test(any_order), test(refusals), test(parts_and_vouchers), test(bundles), test(tampered),
		test(tampered_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
