#include "config.h"

#include "epoch_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/clock.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/typed.h>

static struct genesis *make_genesis(const char *dir, const char *anyone)
{
	char path[128], log[GENESIS_LOG_CAP], why[LEDGER_WHY_CAP];
	struct eth_addr first = person(0);
	struct genesis *g;
	json_t *doc;
	size_t len;
	char *text;

	snprintf(path, sizeof(path), "%s/writer.key", dir);
	assert_int_equal(ledger_key(log, path, "example.org/journal", why), 0);
	doc = genesis_usual("test", T0, &first, &first, log);
	json_object_set_new(doc, "auditors", json_pack("{s:i, s:[s, s, s]}", "threshold", 2, "addresses", person_text(0),
						       person_text(1), person_text(2)));
	if (anyone) {
		json_object_set_new(doc, "policy", json_string("anyone-1"));
		json_object_set_new(doc, "anyone", json_string(anyone));
	}
	assert_int_equal(jcs_write(&text, &len, doc), 0);
	json_decref(doc);
	if (genesis_read(&g, why, text, len) < 0)
		fail_msg("%s", why);
	free(text);
	return g;
}

struct genesis *audited_genesis(const char *dir)
{
	return make_genesis(dir, NULL);
}

struct genesis *anyone_genesis(const char *dir, const char *config)
{
	return make_genesis(dir, config);
}

void populate(struct ledger *l)
{
	for (unsigned n = 1; n <= EPOCH_RELAYS; n++) {
		assert_int_equal(submit(l, registration(l, 10 + n, n == EPOCH_RELAYS ? 11 : 10 + n, n), NULL), REFUSED_NOT);
		assert_int_equal(submit(l, stake_lock(l, 0, n, "10000000000000000000000", 0), NULL), REFUSED_NOT);
	}
	assert_int_equal(ledger_commit(l), 0);
}

struct evidence *usual_evidence(const struct genesis *g, uint64_t epoch)
{
	int64_t from = (int64_t)genesis_epoch_start(g, epoch);
	struct evidence *e = evidence_new(epoch, from, from + EPOCH_S);
	struct evidence_consensus c = { .weight = 100000, .before = epoch ? 100000 : 0 };

	for (int i = 0; i < 2; i++) {
		c.valid_after = from + i * EPOCH_S / 2;
		c.sha256[0] = (uint8_t)(2 * epoch + (unsigned)i);
		evidence_add_consensus(e, &c);
		c.before = c.weight;
	}
	for (unsigned n = 1; n <= EPOCH_RELAYS; n++) {
		struct evidence_relay r = { .running = 2, .weight_sum = 2000 * n };
		uint8_t expanded[ED25519_EXPANDED_LEN];

		relay_key(expanded, r.relay_id, n);
		memcpy(r.fingerprint, r.relay_id, sizeof(r.fingerprint));
		snprintf(r.network, sizeof(r.network), "10.%u.0.0/16", n);
		evidence_add_relay(e, &r);
	}
	return e;
}

void pass_epoch(const struct genesis *g, uint64_t epoch)
{
	clock_set_manual(1000, (int64_t)genesis_epoch_start(g, epoch + 1) + 5);
}

json_t *signed_draft(struct ledger *l, struct evidence *e)
{
	uint8_t secret[ETH_SECRET_LEN];
	char why[REWARD_WHY_CAP];
	json_t *draft = NULL;

	if (epoch_draft(l, &draft, why, e, (uint64_t)e->to) < 0)
		fail_msg("%s", why);
	evidence_free(e);
	for (unsigned n = 0; n < 2; n++) {
		person_secret(secret, n);
		assert_int_equal(epoch_sign(draft, secret), 0);
	}
	return draft;
}

void close_epoch(struct ledger *l)
{
	struct ledger_refusal refusal;
	struct ledger_receipt receipt;
	uint64_t epoch;
	json_t *draft;

	assert_int_equal(epoch_next(l, &epoch), 0);
	pass_epoch(ledger_genesis(l), epoch);
	draft = signed_draft(l, usual_evidence(ledger_genesis(l), epoch));
	if (ledger_submit(l, &receipt, &refusal, draft) < 0)
		fail_msg("%s", refusal.why);
	json_decref(draft);
	assert_int_equal(ledger_commit(l), 0);
}

json_t *signed_object(json_t *doc, const unsigned *who, size_t n)
{
	char why[TYPED_WHY_CAP], text[2 * ETH_SIG_LEN + 3] = "0x";
	uint8_t secret[ETH_SECRET_LEN], sig[ETH_SIG_LEN];
	json_t *sigs = json_array();
	struct typed_hashes h;

	assert_int_equal(typed_hash(&h, why, doc), 0);
	for (size_t i = 0; i < n; i++) {
		person_secret(secret, who[i]);
		assert_int_equal(eth_sig_sign(sig, secret, h.digest), 0);
		hex_encode(text + 2, sig, sizeof(sig));
		json_array_append_new(sigs, json_string(text));
	}
	json_object_set_new(doc, "signatures", sigs);
	return doc;
}

json_t *signed_claim(struct ledger *l, unsigned n)
{
	struct eth_addr a = person(n);
	json_t *doc;

	assert_int_equal(claim_draft(l, &doc, &a, NULL, T0 + 300000000), 0);
	return signed_object(doc, &n, 1);
}
