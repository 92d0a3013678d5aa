#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/provider.h>

#include "ledger_test.h"

#define TOKEN "000000000000000000"

enum { DAY = 86400 };

static void expect_amount(struct amount a, const char *want)
{
	char text[AMOUNT_TEXT_CAP];

	amount_token_text(text, a);
	assert_string_equal(text, want);
}

static void genesis_state(void **state)
{
	struct world *w = *state;
	struct ledger_supply s;
	char *note;

	assert_int_equal(ledger_supply(w->l, &s), 0);
	expect_amount(s.reserve, "240000000");
	expect_amount(s.burnt, "160000000");
	expect_amount(s.addresses, "400000000");
	expect_amount(s.circulating, "400000000");
	expect_amount(balance_of(w->l, ACCOUNT_ADDRESS, 0), "400000000");
	assert_int_equal(ledger_checkpoint(w->l, &note), ERR_NOT_FOUND);
	expect_verified(w->l);
}

static void transfers(void **state)
{
	struct world *w = *state;
	struct ledger_receipt first, again;
	struct ledger_refusal refusal;
	json_t *object = transfer(w->l, 0, 1, "1500000000000000000"), *sig;

	assert_int_equal(ledger_submit(w->l, &first, &refusal, object), 0);
	assert_int_equal(first.index, 0);
	assert_int_equal(first.time, T0 + 10);
	expect_amount(balance_of(w->l, ACCOUNT_ADDRESS, 1), "1.5");

	/* The same object again, also after a commit, is known by its digest. */
	assert_int_equal(ledger_submit(w->l, &again, &refusal, object), ERR_REFUSED);
	assert_int_equal(refusal.code, REFUSED_DUPLICATE);
	assert_int_equal(again.index, first.index);
	assert_int_equal(ledger_commit(w->l), 0);
	assert_int_equal(ledger_submit(w->l, &again, &refusal, object), ERR_REFUSED);
	assert_int_equal(refusal.code, REFUSED_DUPLICATE);
	assert_string_equal(refusal_name(refusal.code), "duplicate");
	json_decref(object);

	assert_int_equal(submit(w->l, transfer(w->l, 1, 2, "1500000000000000001"), NULL), REFUSED_OVERDRAWN);
	assert_int_equal(submit(w->l, transfer(w->l, 1, 2, "0"), NULL), REFUSED_ZERO_AMOUNT);
	assert_int_equal(submit(w->l, transfer(w->l, 1, 2, "340282366920938463463374607431768211456"), NULL), REFUSED_AMOUNT_RANGE);
	assert_int_equal(submit(w->l, transfer(w->l, 1, 1, "1500000000000000000"), NULL), REFUSED_NOT);
	assert_int_equal(submit(w->l, transfer(w->l, 1, 2, "500000000000000000"), NULL), REFUSED_NOT);
	expect_amount(balance_of(w->l, ACCOUNT_ADDRESS, 1), "1");
	expect_amount(balance_of(w->l, ACCOUNT_ADDRESS, 2), "0.5");

	/* Signed by somebody else; with two signatures; with none. */
	object = transfer(w->l, 2, 1, "1");
	sig = json_incref(json_array_get(json_object_get(object, "signatures"), 0));
	json_array_append_new(json_object_get(object, "signatures"), json_incref(sig));
	assert_int_equal(submit(w->l, json_incref(object), NULL), REFUSED_BAD_SIGNATURE);
	json_array_clear(json_object_get(object, "signatures"));
	assert_int_equal(submit(w->l, json_incref(object), NULL), REFUSED_BAD_SIGNATURE);
	json_object_set_new(json_object_get(object, "message"), "amount", json_string("2"));
	json_array_append_new(json_object_get(object, "signatures"), sig);
	assert_int_equal(submit(w->l, object, NULL), REFUSED_BAD_SIGNATURE);
	expect_verified(w->l);
}

static json_t *with(json_t *object, const char *name, json_t *value)
{
	json_object_set_new(object, name, value);
	return object;
}

static json_t *transfer_fields(unsigned from, unsigned to, uint64_t nonce, uint64_t until)
{
	return json_pack("{s:s,s:s,s:s,s:I,s:I}", "from", person_text(from), "to", person_text(to), "amount", "7", "nonce",
			 (json_int_t)nonce, "validUntil", (json_int_t)until);
}

static void nonces_and_windows(void **state)
{
	struct world *w = *state;
	struct eth_addr a = person(0);
	uint64_t next;

	assert_int_equal(submit(w->l, signed_by(w->l, 0, "Transfer", transfer_fields(0, 1, 5, T0 + 10)), NULL), REFUSED_NOT);
	assert_int_equal(ledger_next_nonce(w->l, &next, &a), 0);
	assert_int_equal(next, 6);
	assert_int_equal(submit(w->l, signed_by(w->l, 0, "Transfer", transfer_fields(0, 2, 5, T0 + 10)), NULL), REFUSED_NONCE_USED);
	assert_int_equal(submit(w->l, signed_by(w->l, 0, "Transfer", transfer_fields(0, 2, 0, T0 + 10)), NULL), REFUSED_NONCE_USED);
	assert_int_equal(submit(w->l, signed_by(w->l, 0, "Transfer", transfer_fields(0, 2, 6, T0 + 9)), NULL), REFUSED_EXPIRED);
	assert_int_equal(submit(w->l, signed_by(w->l, 0, "Transfer", transfer_fields(0, 2, 6 + (1 << 20) + 1, T0 + 10)), NULL),
			 REFUSED_NONCE_AHEAD);
	assert_int_equal(submit(w->l, signed_by(w->l, 0, "Transfer", transfer_fields(0, 2, 6, T0 + 10)), NULL), REFUSED_NOT);

	/* The clock goes back: entries do not. */
	clock_set_manual(1000, T0 + 5);
	assert_int_equal(submit(w->l, signed_by(w->l, 0, "Transfer", transfer_fields(0, 2, 8, T0 + 9)), NULL), REFUSED_EXPIRED);
	assert_int_equal(submit(w->l, signed_by(w->l, 0, "Transfer", transfer_fields(0, 2, 8, T0 + 10)), NULL), REFUSED_NOT);
	expect_verified(w->l);
}

static void malformed(void **state)
{
	struct world *w = *state;
	struct ledger_receipt receipt;
	struct ledger_refusal refusal;
	struct ledger_head before, after;
	json_t *domain;

	ledger_head(w->l, &before);
	assert_int_equal(ledger_submit_text(w->l, &receipt, &refusal, "{", 1), ERR_REFUSED);
	assert_int_equal(refusal.code, REFUSED_MALFORMED);
	assert_int_equal(submit(w->l, json_array(), NULL), REFUSED_MALFORMED);
	assert_int_equal(submit(w->l, with(transfer(w->l, 0, 1, "1"), "more", json_true()), NULL), REFUSED_MALFORMED);
	assert_int_equal(submit(w->l, with(transfer(w->l, 0, 1, "1"), "message", json_object()), NULL), REFUSED_MALFORMED);
	assert_int_equal(submit(w->l, with(transfer(w->l, 0, 1, "1"), "primaryType", json_string("Vote")), NULL), REFUSED_UNKNOWN_TYPE);
	assert_int_equal(submit(w->l, with(transfer(w->l, 0, 1, "1"), "primaryType", json_string("None")), NULL), REFUSED_UNKNOWN_TYPE);
	assert_int_equal(submit(w->l, with(transfer(w->l, 0, 1, "1"), "attachments", json_pack("{s:{}}", "evidence")), NULL),
			 REFUSED_EVIDENCE);
	domain = genesis_domain(w->g);
	json_object_set_new(domain, "chainId", json_string("1"));
	assert_int_equal(submit(w->l, with(transfer(w->l, 0, 1, "1"), "domain", domain), NULL), REFUSED_WRONG_NETWORK);
	ledger_head(w->l, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	expect_verified(w->l);
}

static void registrations(void **state)
{
	struct world *w = *state;
	struct ledger_snapshot then, now = { .time = T0 + 10 };
	uint8_t expanded[ED25519_EXPANDED_LEN], id[ED25519_PUB_LEN];
	struct ledger_register *g;
	struct ledger_relay relay;
	struct ledger_head head;
	struct eth_addr a;
	json_t *object, *other;

	assert_int_equal(submit(w->l, registration(w->l, 1, 2, 7), NULL), REFUSED_NOT);
	ledger_head(w->l, &head);
	then = (struct ledger_snapshot){ .height = head.size, .time = T0 + 10 };

	/* Without the relay's signature, and with one over something else. */
	object = registration(w->l, 1, 2, 8);
	json_object_del(object, "attachments");
	assert_int_equal(submit(w->l, object, NULL), REFUSED_RELAY_SIGNATURE);
	object = registration(w->l, 1, 2, 8);
	other = registration(w->l, 1, 3, 8);
	json_object_set(object, "attachments", json_object_get(other, "attachments"));
	json_decref(other);
	assert_int_equal(submit(w->l, object, NULL), REFUSED_RELAY_SIGNATURE);

	assert_int_equal(submit(w->l, registration(w->l, 3, 4, 7), NULL), REFUSED_NOT);
	assert_int_equal(submit(w->l, registration(w->l, 1, 2, 9), NULL), REFUSED_NOT);
	ledger_head(w->l, &head);
	now.height = head.size;
	relay_key(expanded, id, 7);

	assert_int_equal(ledger_register_at(w->l, &g, &then), 0);
	assert_int_equal(g->n, 1);
	a = person(1);
	assert_true(eth_addr_eq(&g->relays[0].operator, &a));
	a = person(2);
	assert_true(eth_addr_eq(&g->relays[0].payout, &a));
	assert_memory_equal(g->relays[0].relay_id, id, sizeof(id));
	assert_int_equal(g->relays[0].tier, -1);
	ledger_register_free(g);

	assert_int_equal(ledger_register_at(w->l, &g, &now), 0);
	assert_int_equal(g->n, 2);
	relay = *ledger_register_find(g, id);
	a = person(3);
	assert_true(eth_addr_eq(&relay.operator, &a));
	assert_int_equal(relay.height, 2);
	ledger_register_free(g);
	now.height++;
	assert_int_equal(ledger_register_at(w->l, &g, &now), ERR_RANGE);
	expect_verified(w->l);
}

static int first_stake(void *ctx, const struct ledger_stake *s)
{
	*(struct ledger_stake *)ctx = *s;
	return 1;
}

static int tier_at(struct ledger *l, uint64_t time, struct amount *ret_stake)
{
	struct ledger_register *g;
	struct ledger_head head;
	int tier;

	ledger_head(l, &head);
	assert_int_equal(ledger_register_at(l, &g, &(struct ledger_snapshot){ head.size, time }), 0);
	assert_int_equal(g->n, 1);
	tier = g->relays[0].tier;
	*ret_stake = g->relays[0].stake;
	ledger_register_free(g);
	return tier;
}

static void stakes(void **state)
{
	struct world *w = *state;
	struct ledger_receipt bronze, silver;
	struct ledger_stake s;
	struct eth_addr a = person(1);
	struct amount on;

	assert_int_equal(submit(w->l, transfer(w->l, 0, 1, "20000" TOKEN), NULL), REFUSED_NOT);
	assert_int_equal(submit(w->l, stake_lock(w->l, 1, 7, "1000" TOKEN, 0), NULL), REFUSED_RELAY_UNKNOWN);
	assert_int_equal(submit(w->l, registration(w->l, 1, 1, 7), NULL), REFUSED_NOT);
	assert_int_equal(submit(w->l, stake_lock(w->l, 1, 7, "20001" TOKEN, 0), NULL), REFUSED_OVERDRAWN);
	assert_int_equal(submit(w->l, stake_lock(w->l, 1, 7, "1", 3651), NULL), REFUSED_LOCK_RANGE);
	assert_int_equal(tier_at(w->l, T0 + 10, &on), -1);
	assert_int_equal(submit(w->l, stake_lock(w->l, 1, 7, "1000" TOKEN, 0), &bronze), REFUSED_NOT);
	assert_int_equal(tier_at(w->l, T0 + 10, &on), 0);
	assert_int_equal(submit(w->l, stake_lock(w->l, 1, 7, "10000" TOKEN, 30), &silver), REFUSED_NOT);
	assert_int_equal(tier_at(w->l, T0 + 10, &on), 1);
	/* The lock ends, and so does what it gave. */
	assert_int_equal(tier_at(w->l, T0 + 9 + 30 * DAY, &on), 1);
	assert_int_equal(tier_at(w->l, T0 + 10 + 30 * DAY, &on), 0);
	expect_amount(on, "11000");
	expect_amount(balance_of(w->l, ACCOUNT_STAKE, 1), "11000");
	expect_amount(balance_of(w->l, ACCOUNT_ADDRESS, 1), "9000");

	assert_int_equal(submit(w->l, stake_release(w->l, 1, silver.digest, "1"), NULL), REFUSED_STAKE_LOCKED);
	assert_int_equal(submit(w->l, stake_release(w->l, 2, bronze.digest, "1"), NULL), REFUSED_STAKE_UNKNOWN);
	assert_int_equal(submit(w->l, stake_release(w->l, 1, bronze.digest, "1001" TOKEN), NULL), REFUSED_OVERDRAWN);
	assert_int_equal(submit(w->l, stake_release(w->l, 1, bronze.digest, "400" TOKEN), NULL), REFUSED_NOT);
	assert_int_equal(submit(w->l, stake_release(w->l, 1, bronze.digest, "601" TOKEN), NULL), REFUSED_OVERDRAWN);
	assert_int_equal(ledger_stakes(w->l, &a, first_stake, &s), 1);
	expect_amount(s.active, "600");
	expect_amount(s.unbonding, "400");
	assert_int_equal(s.unbonds_at, T0 + 10 + 7 * DAY);

	/* A released part counts no more, and is back with the first entry after the unbonding time. */
	tier_at(w->l, T0 + 10, &on);
	expect_amount(on, "10600");
	clock_set_manual(1000, T0 + 9 + 7 * DAY);
	assert_int_equal(submit(w->l, transfer(w->l, 0, 2, "1"), NULL), REFUSED_NOT);
	expect_amount(balance_of(w->l, ACCOUNT_STAKE, 1), "11000");
	clock_set_manual(1000, T0 + 10 + 7 * DAY);
	assert_int_equal(submit(w->l, transfer(w->l, 1, 2, "9400" TOKEN), NULL), REFUSED_NOT);
	expect_amount(balance_of(w->l, ACCOUNT_STAKE, 1), "10600");
	expect_amount(balance_of(w->l, ACCOUNT_ADDRESS, 1), "0");
	expect_verified(w->l);
}

/* However many parts are due at once, an entry pays a hundred of them: the first that were due. */
static void many_due(void **state)
{
	struct world *w = *state;
	struct ledger_receipt big;

	assert_int_equal(submit(w->l, transfer(w->l, 0, 1, "1000" TOKEN), NULL), REFUSED_NOT);
	assert_int_equal(submit(w->l, registration(w->l, 1, 1, 7), NULL), REFUSED_NOT);
	assert_int_equal(submit(w->l, stake_lock(w->l, 1, 7, "1000" TOKEN, 0), &big), REFUSED_NOT);
	for (int i = 0; i < 250; i++)
		assert_int_equal(submit(w->l, stake_release(w->l, 1, big.digest, "1" TOKEN), NULL), REFUSED_NOT);
	clock_set_manual(1000, T0 + 10 + 7 * DAY);
	assert_int_equal(submit(w->l, transfer(w->l, 1, 2, "101" TOKEN), NULL), REFUSED_OVERDRAWN);
	assert_int_equal(submit(w->l, transfer(w->l, 1, 2, "100" TOKEN), NULL), REFUSED_NOT);
	expect_amount(balance_of(w->l, ACCOUNT_STAKE, 1), "900");
	assert_int_equal(submit(w->l, transfer(w->l, 0, 2, "1"), NULL), REFUSED_NOT);
	expect_amount(balance_of(w->l, ACCOUNT_STAKE, 1), "800");
	assert_int_equal(submit(w->l, transfer(w->l, 0, 2, "1"), NULL), REFUSED_NOT);
	expect_amount(balance_of(w->l, ACCOUNT_STAKE, 1), "750");
	assert_int_equal(submit(w->l, transfer(w->l, 1, 2, "151" TOKEN), NULL), REFUSED_OVERDRAWN);
	assert_int_equal(submit(w->l, transfer(w->l, 1, 2, "150" TOKEN), NULL), REFUSED_NOT);
	expect_verified(w->l);
}

static void revenue(void **state)
{
	struct world *w = *state;
	struct ledger_supply s;

	assert_int_equal(submit(w->l, transfer(w->l, 0, 1, "1000" TOKEN), NULL), REFUSED_NOT);
	assert_int_equal(submit(w->l, usage(w->l, 1, 2, "1" TOKEN, 1), NULL), REFUSED_EPOCH_RANGE);
	assert_int_equal(submit(w->l, usage(w->l, 1, 2, "1000" TOKEN, 0), NULL), REFUSED_NOT);
	/* 60 % to the publisher; of 400, 10 % are burnt; of 360, 10 % are the vault's. */
	expect_amount(balance_of(w->l, ACCOUNT_ADDRESS, 1), "0");
	expect_amount(balance_of(w->l, ACCOUNT_ADDRESS, 2), "600");
	assert_int_equal(ledger_supply(w->l, &s), 0);
	expect_amount(s.burnt, "160000040");
	expect_amount(s.vault, "36");
	expect_amount(s.treasury, "324");
	assert_int_equal(s.burn_ppm, 100000);

	/* The rate moves with the first entry of an epoch, by an eighth at most. */
	clock_set_manual(1000, T0 + 3600);
	assert_int_equal(submit(w->l, transfer(w->l, 0, 1, "1"), NULL), REFUSED_NOT);
	assert_int_equal(ledger_supply(w->l, &s), 0);
	assert_true(s.burn_ppm != 100000);
	assert_in_range(s.burn_ppm, 87500, 112500);
	expect_verified(w->l);
}

struct lines {
	size_t n;
	struct ledger_line line[8];
};

static int keep_line(void *ctx, const struct ledger_line *line)
{
	struct lines *x = ctx;

	x->line[x->n++] = *line;
	return 0;
}

static void history(void **state)
{
	struct world *w = *state;
	struct lines x = { .n = 0 };
	struct eth_addr a = person(0);
	struct account account = account_of(ACCOUNT_ADDRESS, &a);

	for (int i = 1; i <= 3; i++)
		assert_int_equal(submit(w->l, transfer(w->l, 0, 1, "1" TOKEN), NULL), REFUSED_NOT);
	assert_int_equal(ledger_history(w->l, &account, UINT64_MAX, 2, keep_line, &x), 0);
	assert_int_equal(x.n, 2);
	assert_int_equal(x.line[0].height, 3);
	assert_string_equal(x.line[0].why, "Transfer");
	assert_false(x.line[0].credit);
	expect_amount(x.line[0].balance, "399999997");
	x.n = 0;
	assert_int_equal(ledger_history(w->l, &account, x.line[1].height, 8, keep_line, &x), 0);
	assert_int_equal(x.n, 2);
	assert_int_equal(x.line[1].height, 0);
	assert_string_equal(x.line[1].why, "genesis");
	assert_int_equal(x.line[1].time, T0);
}

/* A height that the account has no posting at is not looked for through all that came since. */
static void long_history(void **state)
{
	struct world *w = *state;
	struct lines x = { .n = 0 };
	struct eth_addr a = person(1);
	struct account account = account_of(ACCOUNT_ADDRESS, &a);

	for (int i = 1; i <= 4200; i++)
		assert_int_equal(submit(w->l, transfer(w->l, 0, i == 2 ? 2 : 1, "1"), NULL), REFUSED_NOT);
	assert_int_equal(ledger_history(w->l, &account, 2, 8, keep_line, &x), ERR_RANGE);
	assert_int_equal(ledger_history(w->l, &account, 3, 8, keep_line, &x), 0);
	assert_int_equal(ledger_history(w->l, &account, 3000, 3, keep_line, &x), 0);
	assert_int_equal(x.n, 4);
}

/* The five calls behind which the journal stands. */
static void provider(void **state)
{
	struct world *w = *state;
	struct provider *p = provider_embedded(w->l);
	json_t *object = transfer(w->l, 0, 1, "1"), *domain, *want = genesis_domain(ledger_genesis(w->l));
	struct ledger_snapshot at = { .height = 0, .time = T0 };
	struct ledger_refusal refusal;
	struct ledger_receipt receipt;
	struct ledger_register *reg;
	enum finality f;
	uint64_t now;

	assert_int_equal(provider_domain(p, &domain), 0);
	assert_true(json_equal(domain, want));
	assert_int_equal(provider_now(p, &now), 0);
	assert_int_equal(now, ledger_now(w->l));
	assert_int_equal(provider_register_at(p, &reg, &at), 0);
	assert_int_equal(reg->n, 0);
	assert_int_equal(provider_submit(p, &receipt, &refusal, object), 0);
	assert_int_equal(provider_finality(p, &f, &receipt), 0);
	assert_int_equal(f, FINALITY_PENDING);
	ledger_rollback(w->l);
	assert_int_equal(provider_finality(p, &f, &receipt), 0);
	assert_int_equal(f, FINALITY_UNKNOWN);
	assert_int_equal(provider_submit(p, &receipt, &refusal, object), 0);
	assert_int_equal(ledger_commit(w->l), 0);
	assert_int_equal(provider_finality(p, &f, &receipt), 0);
	assert_int_equal(f, FINALITY_FINAL);
	json_decref(object);
	json_decref(domain);
	json_decref(want);
	ledger_register_free(reg);
	provider_free(p);
}

static void heights(void **state)
{
	struct world *w = *state;
	uint64_t h;

	for (int i = 0; i < 5; i++) {
		clock_set_manual(1000, T0 + 100 * (i / 2));
		assert_int_equal(submit(w->l, transfer(w->l, 0, 1, "1"), NULL), REFUSED_NOT);
	}
	assert_int_equal(ledger_height_at(w->l, &h, T0), 0);
	assert_int_equal(h, 0);
	assert_int_equal(ledger_height_at(w->l, &h, T0 + 1), 0);
	assert_int_equal(h, 2);
	assert_int_equal(ledger_height_at(w->l, &h, T0 + 200), 0);
	assert_int_equal(h, 4);
	assert_int_equal(ledger_height_at(w->l, &h, T0 + 201), 0);
	assert_int_equal(h, 5);
}

/* What a clock that went ahead does, and what puts it right. */
static void watched_clock(void **state)
{
	enum { AHEAD = 3600, STOP = 86400 };
	struct ledger_receipt first, receipt;
	struct world *w = *state;
	struct ledger *l = world_memory(w->dir, w->g);
	json_t *object = transfer(l, 0, 1, "1");
	uint64_t due;

	clock_set_manual(1000, T0 + 10);
	ledger_watch_clock(l, AHEAD, STOP);
	assert_int_equal(submit(l, json_incref(object), &first), REFUSED_NOT);
	assert_int_equal(ledger_commit(l), 0);
	/* Days go by, and a clock that is a little ahead. */
	clock_advance_ms(UINT64_C(1000) * 5 * STOP);
	assert_int_equal(submit(l, transfer(l, 0, 1, "1"), &receipt), REFUSED_NOT);
	clock_set_manual(clock_now_ms(), clock_wall() + AHEAD);
	assert_int_equal(submit(l, transfer(l, 0, 1, "1"), &receipt), REFUSED_NOT);
	assert_int_equal(ledger_clock_ahead(l, &due), 0);
	/* It jumps. Nothing is taken; what was taken before is still known. */
	clock_set_manual(clock_now_ms(), clock_wall() + AHEAD + 1);
	assert_int_equal(ledger_clock_ahead(l, &due), AHEAD + 1);
	assert_int_equal(due, receipt.time);
	assert_int_equal(submit(l, transfer(l, 0, 1, "1"), NULL), REFUSED_CLOCK);
	assert_int_equal(submit(l, json_incref(object), &receipt), REFUSED_DUPLICATE);
	assert_memory_equal(&receipt, &first, sizeof(first));
	ledger_watch_clock(l, AHEAD + 1, STOP);
	assert_int_equal(ledger_clock_ahead(l, &due), 0);
	ledger_watch_clock(l, AHEAD, STOP);
	/* Set right, and set back: the time of the journal stands. */
	clock_set_manual(clock_now_ms(), clock_wall() - 5 * AHEAD);
	assert_int_equal(submit(l, transfer(l, 0, 1, "1"), &receipt), REFUSED_NOT);
	assert_int_equal(receipt.time, due);
	/* Somebody knows better. */
	clock_set_manual(clock_now_ms(), T0 + 20 * STOP);
	assert_int_equal(submit(l, transfer(l, 0, 1, "1"), NULL), REFUSED_CLOCK);
	ledger_trust_clock(l);
	assert_int_equal(submit(l, transfer(l, 0, 1, "1"), &receipt), REFUSED_NOT);
	assert_int_equal(receipt.time, T0 + 20 * STOP);
	json_decref(object);
	ledger_close(l);
}

/* After a stop the last entry alone is there to judge the clock by. */
static void clock_at_start(void **state)
{
	enum { AHEAD = 3600, STOP = 86400 };
	struct world *w = *state;
	struct ledger *l;
	uint64_t due;

	for (int late = 0; late < 2; late++) {
		l = world_memory(w->dir, w->g);
		clock_set_manual(1000, T0 + 10);
		assert_int_equal(submit(l, transfer(l, 0, 1, "1"), NULL), REFUSED_NOT);
		clock_set_manual(1000, T0 + 10 + STOP + late);
		ledger_watch_clock(l, AHEAD, STOP);
		assert_int_equal(ledger_clock_ahead(l, &due), late ? STOP + 1 : 0);
		assert_int_equal(submit(l, transfer(l, 0, 1, "1"), NULL), late ? REFUSED_CLOCK : REFUSED_NOT);
		ledger_close(l);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(genesis_state), test(transfers), test(nonces_and_windows), test(malformed), test(registrations),
		test(stakes), test(many_due), test(revenue), test(history), test(long_history), test(provider), test(heights),
		test(watched_clock), test(clock_at_start),
	};

	return crypto_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
