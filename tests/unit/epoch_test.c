#include "config.h"

#include "epoch_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/clock.h>

static json_t *three_auditors(void)
{
	return json_pack("{s:{s:i, s:[s, s, s]}}", "auditors", "threshold", 2, "addresses", person_text(0), person_text(1),
			 person_text(2));
}

struct genesis *audited_genesis(const char *dir)
{
	return world_genesis_with(dir, three_auditors());
}

struct genesis *anyone_genesis(const char *dir, const char *config)
{
	json_t *changes = three_auditors();

	json_object_set_new(changes, "policy", json_string("anyone-1"));
	json_object_set_new(changes, "anyone", json_string(config));
	return world_genesis_with(dir, changes);
}

int epochs_setup(void **state)
{
	struct world *w = world_new(audited_genesis);

	w->l = world_memory(w->dir, w->g);
	populate(w->l);
	*state = w;
	return 0;
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

json_t *signed_claim(struct ledger *l, unsigned n)
{
	struct eth_addr a = person(n);
	json_t *doc;

	assert_int_equal(claim_draft(l, &doc, &a, NULL, T0 + 300000000), 0);
	return signed_object(doc, &n, 1);
}
