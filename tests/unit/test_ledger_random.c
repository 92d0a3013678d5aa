/*
 * Properties of the ledger under thousands of random objects, good and bad: at
 * every height the supply is what it was, what is refused changes nothing, what
 * is taken is taken once; the replay agrees, and so does a follower that
 * gets the entries one by one. LEDGER_ROUNDS multiplies how many there are.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/checkpoint.h>
#include <nonos/clock.h>
#include <nonos/err.h>

#include "ledger_test.h"

enum { PEOPLE = 8, RELAYS = 4, STAKES_MAX = 256 };

struct game {
	char dir[64];
	struct genesis *g;
	struct ledger *l;
	uint64_t state;			/* of the random numbers: the same in every run */
	uint8_t stakes[STAKES_MAX][STAKE_ID_LEN];
	unsigned owners[STAKES_MAX];
	size_t n_stakes;
	unsigned taken, refused;
};

static uint32_t roll(struct game *w, uint32_t below)
{
	w->state = w->state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(w->state >> 33) % below;
}

/* Mostly small; sometimes far more than anybody has. */
static const char *some_amount(struct game *w)
{
	static const char *const amounts[] = {
		"1", "999", "1000000000000000000", "1000000000000000000000", "10000000000000000000000", "50000000000000000000000000",
		"0", "340282366920938463463374607431768211455", "340282366920938463463374607431768211456",
	};

	return amounts[roll(w, 9)];
}

static json_t *some_object(struct game *w)
{
	unsigned a = roll(w, PEOPLE), b = roll(w, PEOPLE), i;

	switch (roll(w, 6)) {
	case 0:
	case 1:
		return transfer(w->l, a, b, some_amount(w));
	case 2:
		return registration(w->l, a, b, roll(w, RELAYS));
	case 3:
		return stake_lock(w->l, a, roll(w, RELAYS + 1), some_amount(w), roll(w, 3) * 20);
	case 4:
		return usage(w->l, a, b, some_amount(w), roll(w, 3));
	default:
		if (w->n_stakes == 0)
			return transfer(w->l, a, b, "5");
		i = roll(w, (uint32_t)w->n_stakes);
		return stake_release(w->l, roll(w, 8) ? w->owners[i] : a, w->stakes[i], some_amount(w));
	}
}

/* Now and then something about it is wrong. */
static void spoil(struct game *w, json_t *object)
{
	json_t *message = json_object_get(object, "message");

	switch (roll(w, 24)) {
	case 0:
		json_object_set_new(message, "nonce", json_string("0"));
		break;
	case 1:
		json_object_set_new(message, "validUntil", json_string("1799999999"));
		break;
	case 2:
		json_object_set_new(object, "signatures", json_array());
		break;
	case 3:
		json_object_del(object, "attachments");
		break;
	case 4:
		json_object_set_new(object, "primaryType", json_string("Transfer"));
		break;
	case 5:
		json_object_del(message, "nonce");
		break;
	default:
		break;
	}
}

static void remember_stake(struct game *w, const json_t *object, const struct ledger_receipt *receipt)
{
	const char *account = json_string_value(json_object_get(json_object_get(object, "message"), "account"));

	if (strcmp(json_string_value(json_object_get(object, "primaryType")), "StakeLock") != 0 || w->n_stakes == STAKES_MAX)
		return;
	for (unsigned i = 0; i < PEOPLE; i++)
		if (strcmp(account, person_text(i)) == 0)
			w->owners[w->n_stakes] = i;
	memcpy(w->stakes[w->n_stakes++], receipt->digest, STAKE_ID_LEN);
}

static void expect_conserved(struct ledger *l)
{
	struct ledger_supply s;

	if (ledger_supply(l, &s) < 0)
		fail_msg("%s", ledger_error(l));
	assert_int_equal(amount_cmp(s.total, ledger_genesis(l)->supply), 0);
}

/* Submit one; twice must not be different from once. */
static void one_step(struct game *w)
{
	struct ledger_receipt receipt, again;
	struct ledger_refusal refusal;
	struct ledger_head before, after;
	json_t *object = some_object(w);
	int r;

	spoil(w, object);
	ledger_head(w->l, &before);
	r = ledger_submit(w->l, &receipt, &refusal, object);
	ledger_head(w->l, &after);
	expect_conserved(w->l);
	if (r == 0) {
		w->taken++;
		assert_int_equal(receipt.index, before.size);
		assert_int_equal(ledger_submit(w->l, &again, &refusal, object), ERR_REFUSED);
		assert_int_equal(refusal.code, REFUSED_DUPLICATE);
		assert_memory_equal(&again, &receipt, sizeof(again));
		remember_stake(w, object, &receipt);
	} else {
		w->refused++;
		assert_int_equal(r, ERR_REFUSED);
		assert_memory_equal(&before, &after, sizeof(before));
	}
	json_decref(object);
}

static struct ledger *open_follower(const struct game *w)
{
	struct ledger_options o = { .path = ":memory:", .mode = LEDGER_CREATE, .genesis = w->g };
	char why[LEDGER_WHY_CAP];
	struct ledger *l;

	if (ledger_open(&l, &o, why) < 0)
		fail_msg("%s", why);
	return l;
}

/* The follower gets what was appended since it last looked. */
static void follow(struct game *w, struct ledger *follower)
{
	struct ledger_refusal refusal;
	struct ledger_head ours, theirs;
	char *note;

	ledger_head(w->l, &ours);
	for (uint64_t i = ledger_committed(follower); i < ours.size; i++) {
		size_t len, evidence_len;
		char *entry, *evidence;

		assert_int_equal(ledger_entry(w->l, &entry, &len, &evidence, &evidence_len, i), 0);
		if (ledger_append(follower, &refusal, entry, len, evidence, evidence_len) < 0)
			fail_msg("%s", refusal.why);
		free(entry);
		free(evidence);
	}
	if (ours.size == 0)
		return;
	assert_int_equal(ledger_checkpoint(w->l, &note), 0);
	if (ledger_commit_note(follower, note, strlen(note)) < 0)
		fail_msg("%s", ledger_error(follower));
	free(note);
	ledger_head(follower, &theirs);
	assert_memory_equal(&ours, &theirs, sizeof(ours));
}

/* A proof and the bytes of its entry are all that one needs, and no other bytes will do. */
static void check_proofs(struct ledger *l)
{
	struct note_key log;

	assert_int_equal(note_key_parse(&log, ledger_genesis(l)->log, strlen(ledger_genesis(l)->log)), 0);
	for (uint64_t i = 0; i < ledger_committed(l); i += 37) {
		size_t len, entry_len, evidence_len;
		char *text, *entry, *evidence;
		struct merkle_hash leaf;
		struct tlog_proof p;

		assert_int_equal(ledger_proof(l, &text, &len, i), 0);
		assert_int_equal(ledger_entry(l, &entry, &entry_len, &evidence, &evidence_len, i), 0);
		assert_int_equal(tlog_proof_parse(&p, text, len), 0);
		assert_int_equal(p.index, i);
		merkle_leaf(&leaf, entry, entry_len);
		assert_int_equal(tlog_proof_check(&p, &log, &leaf), 0);
		entry[entry_len / 2] ^= 1;
		merkle_leaf(&leaf, entry, entry_len);
		assert_int_equal(tlog_proof_check(&p, &log, &leaf), ERR_AUTH);
		free(text);
		free(entry);
		free(evidence);
	}
}

static void random_objects(void **state)
{
	const char *rounds = getenv("LEDGER_ROUNDS");
	long n = rounds ? 1200 * atol(rounds) : 1200;
	struct game *w = calloc(1, sizeof(*w));
	struct ledger_report report;
	struct ledger *follower;
	uint64_t now = T0;
	(void)state;

	w->state = 42;
	world_dir(w->dir);
	w->g = world_genesis(w->dir);
	w->l = world_memory(w->dir, w->g);
	follower = open_follower(w);
	for (long i = 0; i < n; i++) {
		now += roll(w, 7000);
		clock_set_manual(1000, (int64_t)now);
		one_step(w);
		if (roll(w, 20) == 0) {
			assert_int_equal(ledger_commit(w->l), 0);
			follow(w, follower);
		}
	}
	assert_int_equal(ledger_commit(w->l), 0);
	follow(w, follower);
	if (ledger_verify(w->l, &report, NULL, NULL) < 0 || ledger_verify(follower, &report, NULL, NULL) < 0)
		fail_msg("%s", report.first);
	check_proofs(w->l);
	/* Both happen, or the test tests nothing. */
	assert_true(w->taken > n / 4 && w->refused > n / 8);
	assert_true(w->n_stakes > 10);
	ledger_close(follower);
	ledger_close(w->l);
	genesis_free(w->g);
	world_remove(w->dir);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(random_objects) };

	return crypto_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
