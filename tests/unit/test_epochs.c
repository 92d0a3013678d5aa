#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include <nonos/anyone_rewards.h>
#include <nonos/clock.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/jcs.h>

#include "epoch_test.h"

static struct amount reserve_of(struct ledger *l)
{
	struct account a = account_of(ACCOUNT_RESERVE, NULL);
	struct amount v;

	assert_int_equal(ledger_balance(l, &v, &a), 0);
	return v;
}

static struct amount paid_by(struct ledger *l, uint64_t epoch)
{
	struct amount total;
	const char *text;
	json_t *o;

	assert_int_equal(rewards_epoch(l, &o, epoch), 0);
	text = json_string_value(json_object_get(o, "total"));
	assert_int_equal(amount_parse(&total, text, strlen(text)), 0);
	json_decref(o);
	return total;
}

static void pays(void **state)
{
	struct world *w = *state;
	struct amount before = reserve_of(w->l), after, sum = { 0 }, paid;

	close_epoch(w->l);
	for (unsigned n = 11; n < 10 + EPOCH_RELAYS; n++) {
		assert_false(amount_is_zero(balance_of(w->l, ACCOUNT_REWARDS, n)));
		assert_int_equal(amount_add(&sum, sum, balance_of(w->l, ACCOUNT_REWARDS, n)), 0);
	}
	assert_true(amount_is_zero(balance_of(w->l, ACCOUNT_REWARDS, 10 + EPOCH_RELAYS)));
	after = reserve_of(w->l);
	assert_int_equal(amount_sub(&paid, before, after), 0);
	assert_int_equal(amount_cmp(paid, sum), 0);
	assert_int_equal(amount_cmp(paid, paid_by(w->l, 0)), 0);
	expect_verified(w->l);
}

/* The same object again is the same entry, and another root of the epoch is refused. */
static void once_and_in_order(void **state)
{
	struct world *w = *state;
	json_t *first, *again, *later;
	uint64_t next;

	pass_epoch(w->g, 0);
	first = signed_draft(w->l, usual_evidence(w->g, 0));
	again = json_deep_copy(first);
	assert_int_equal(submit(w->l, first, NULL), REFUSED_NOT);
	assert_int_equal(submit(w->l, json_incref(again), NULL), REFUSED_DUPLICATE);
	pass_epoch(w->g, 1);
	later = signed_draft(w->l, usual_evidence(w->g, 1));
	clock_set_manual(1000, (int64_t)genesis_epoch_start(w->g, 2) - 1);
	assert_int_equal(submit(w->l, json_incref(later), NULL), REFUSED_EPOCH_RANGE);		/* not over */
	pass_epoch(w->g, 1);
	assert_int_equal(submit(w->l, json_incref(later), NULL), REFUSED_NOT);
	assert_int_equal(epoch_next(w->l, &next), 0);
	assert_int_equal(next, 2);
	json_decref(later);
	json_decref(again);
	expect_verified(w->l);
}

/* A change of one field of the message, signed by all who must: only what follows from the evidence is taken. */
static json_t *forged(const json_t *draft, const char *field, const char *value)
{
	static const unsigned auditors[] = { 0, 1 };
	json_t *doc = json_pack("{s:O, s:O, s:o}", "domain", json_object_get(draft, "domain"), "primaryType",
				json_object_get(draft, "primaryType"), "message",
				json_deep_copy(json_object_get(draft, "message")));

	json_object_set_new(json_object_get(doc, "message"), field, json_string(value));
	doc = signed_object(doc, auditors, 2);
	json_object_set(doc, "attachments", json_object_get(draft, "attachments"));
	return doc;
}

static void forgeries(void **state)
{
	static const char some[] = "0x1111111111111111111111111111111111111111111111111111111111111111";
	struct world *w = *state;
	json_t *draft, *other;

	pass_epoch(w->g, 0);
	draft = signed_draft(w->l, usual_evidence(w->g, 0));
	assert_int_equal(submit(w->l, forged(draft, "root", some), NULL), REFUSED_ROOT_MISMATCH);
	assert_int_equal(submit(w->l, forged(draft, "total", "1"), NULL), REFUSED_ROOT_MISMATCH);
	assert_int_equal(submit(w->l, forged(draft, "previous", some), NULL), REFUSED_ROOT_MISMATCH);
	assert_int_equal(submit(w->l, forged(draft, "evidenceHash", some), NULL), REFUSED_EVIDENCE);
	assert_int_equal(submit(w->l, forged(draft, "epoch", "1"), NULL), REFUSED_EPOCH_RANGE);
	other = json_deep_copy(draft);
	json_object_del(json_object_get(other, "attachments"), "evidence");
	assert_int_equal(submit(w->l, other, NULL), REFUSED_EVIDENCE);
	other = json_deep_copy(draft);
	json_array_remove(json_object_get(other, "signatures"), 1);
	assert_int_equal(submit(w->l, other, NULL), REFUSED_THRESHOLD);
	other = json_deep_copy(draft);
	json_array_set(json_object_get(other, "signatures"), 1, json_array_get(json_object_get(draft, "signatures"), 0));
	assert_int_equal(submit(w->l, other, NULL), REFUSED_BAD_SIGNATURE);
	assert_true(amount_is_zero(balance_of(w->l, ACCOUNT_REWARDS, 11)));
	assert_int_equal(submit(w->l, draft, NULL), REFUSED_NOT);
	expect_verified(w->l);
}

/* Evidence of another time, or with a relay that is not what it was registered as. */
static void odd_evidence(void **state)
{
	struct world *w = *state;
	struct evidence *e = usual_evidence(w->g, 0);
	char why[REWARD_WHY_CAP];
	json_t *draft, *o;
	uint8_t id[RELAY_ID_LEN];

	pass_epoch(w->g, 0);
	assert_int_equal(epoch_draft(w->l, &draft, why, e, (uint64_t)e->to - 1), ERR_NOT_YET);
	e->to++;
	assert_int_equal(epoch_draft(w->l, &draft, why, e, (uint64_t)e->to), ERR_STATE);
	e->to--;
	e->epoch = 1;
	assert_int_equal(epoch_draft(w->l, &draft, why, e, (uint64_t)e->to), ERR_STATE);
	e->epoch = 0;
	e->relays[0].fingerprint[0] ^= 1;
	memcpy(id, e->relays[0].relay_id, sizeof(id));
	assert_int_equal(submit(w->l, signed_draft(w->l, e), NULL), REFUSED_NOT);
	assert_int_equal(ledger_commit(w->l), 0);
	assert_int_equal(rewards_explain(w->l, &o, 0, id), 0);
	assert_string_equal(json_string_value(json_object_get(json_object_get(o, "terms"), "due")), "0");
	json_decref(o);
	expect_verified(w->l);
}

/* No consensus, or too many gone at once: the measurements of the last normal epoch, and its stakes of now. */
static void abnormal(void **state)
{
	struct world *w = *state;
	struct evidence *e;
	struct amount normal;
	json_t *o;

	close_epoch(w->l);
	normal = balance_of(w->l, ACCOUNT_REWARDS, 12);
	pass_epoch(w->g, 1);
	e = evidence_new(1, (int64_t)genesis_epoch_start(w->g, 1), (int64_t)genesis_epoch_start(w->g, 2));
	assert_int_equal(submit(w->l, signed_draft(w->l, e), NULL), REFUSED_NOT);
	pass_epoch(w->g, 2);
	e = usual_evidence(w->g, 2);
	e->consensuses[1].vanished = 33334;
	e->relays[1].running = 1;
	assert_int_equal(submit(w->l, signed_draft(w->l, e), NULL), REFUSED_NOT);
	assert_int_equal(ledger_commit(w->l), 0);
	for (uint64_t epoch = 1; epoch < 3; epoch++) {
		assert_int_equal(rewards_epoch(w->l, &o, epoch), 0);
		assert_string_equal(json_string_value(json_object_get(o, "state")), epoch == 1 ? "no-consensus" : "vanished");
		assert_int_equal(json_integer_value(json_object_get(o, "measured_epoch")), 0);
		json_decref(o);
	}
	/* As much as in the normal one, but for a reserve that is a little smaller. */
	assert_int_equal(amount_muldiv(&normal, NULL, normal, amount_u64(29999), amount_u64(10000)), 0);
	assert_true(amount_cmp(balance_of(w->l, ACCOUNT_REWARDS, 12), normal) > 0);
	close_epoch(w->l);
	expect_verified(w->l);
}

/* Before any normal epoch there is nothing to pay by. */
static void nothing_measured(void **state)
{
	struct world *w = *state;
	struct evidence *e = evidence_new(0, T0, T0 + EPOCH_S);
	json_t *draft, *root;

	pass_epoch(w->g, 0);
	draft = signed_draft(w->l, e);
	root = json_object_get(json_object_get(draft, "message"), "root");
	assert_string_equal(json_string_value(root), "0x0000000000000000000000000000000000000000000000000000000000000000");
	assert_int_equal(submit(w->l, draft, NULL), REFUSED_NOT);
	assert_true(amount_is_zero(paid_by(w->l, 0)));
	close_epoch(w->l);
	assert_false(amount_is_zero(paid_by(w->l, 1)));
	expect_verified(w->l);
}

/* What happens after the epoch's end is not part of it, however late it is closed. */
static void register_at_end(void **state)
{
	struct world *w = *state;
	struct amount early;
	json_t *draft, *late;
	struct ledger_receipt stake;
	uint8_t expanded[ED25519_EXPANDED_LEN], id[RELAY_ID_LEN];

	pass_epoch(w->g, 0);
	draft = signed_draft(w->l, usual_evidence(w->g, 0));
	assert_int_equal(submit(w->l, stake_lock(w->l, 0, 1, "90000000000000000000000", 365), &stake), REFUSED_NOT);
	assert_int_equal(submit(w->l, registration(w->l, 11, 40, 1), NULL), REFUSED_NOT);
	late = signed_draft(w->l, usual_evidence(w->g, 0));
	assert_true(json_equal(json_object_get(draft, "message"), json_object_get(late, "message")));
	json_decref(late);
	assert_int_equal(submit(w->l, draft, NULL), REFUSED_NOT);
	early = balance_of(w->l, ACCOUNT_REWARDS, 11);
	assert_false(amount_is_zero(early));
	assert_true(amount_is_zero(balance_of(w->l, ACCOUNT_REWARDS, 40)));
	close_epoch(w->l);
	assert_false(amount_is_zero(balance_of(w->l, ACCOUNT_REWARDS, 40)));
	relay_key(expanded, id, 1);
	assert_int_equal(rewards_explain(w->l, &late, 1, id), 0);
	assert_string_equal(json_string_value(json_object_get(json_object_get(late, "terms"), "tier")), "Gold");
	json_decref(late);
	expect_verified(w->l);
}

/* A node that was down for a week closes what it missed, one by one. */
static void catching_up(void **state)
{
	struct world *w = *state;
	uint64_t next;

	close_epoch(w->l);
	clock_set_manual(1000, T0 + 100 * EPOCH_S);
	for (uint64_t epoch = 1; epoch < 100; epoch++) {
		struct evidence *e = evidence_new(epoch, (int64_t)genesis_epoch_start(w->g, epoch),
						  (int64_t)genesis_epoch_start(w->g, epoch + 1));

		assert_int_equal(submit(w->l, signed_draft(w->l, e), NULL), REFUSED_NOT);
	}
	assert_int_equal(epoch_next(w->l, &next), 0);
	assert_int_equal(next, 100);
	expect_verified(w->l);
}

/* The journal of one, replayed by the other. */
static struct ledger *mirror(struct world *w)
{
	FILE *f = tmpfile();
	char why[LEDGER_WHY_CAP] = "";
	struct ledger_options o = { .path = ":memory:", .mode = LEDGER_CREATE, .genesis = w->g };
	struct ledger *other;
	uint64_t n;

	assert_non_null(f);
	assert_int_equal(ledger_export(w->l, f), 0);
	rewind(f);
	assert_int_equal(ledger_open(&other, &o, why), 0);
	if (ledger_import(other, &n, f, why) < 0)
		fail_msg("%s", why);
	fclose(f);
	return other;
}

static void two_auditors(void **state)
{
	struct world *w = *state;
	uint8_t secret[ETH_SECRET_LEN];
	char why[REWARD_WHY_CAP] = "", *one, *two;
	struct ledger *theirs;
	struct evidence *e;
	json_t *a, *b;
	size_t len, other_len;

	close_epoch(w->l);
	close_epoch(w->l);
	theirs = mirror(w);
	pass_epoch(w->g, 2);
	e = usual_evidence(w->g, 2);
	assert_int_equal(epoch_draft(w->l, &a, why, e, (uint64_t)e->to), 0);
	evidence_free(e);
	e = usual_evidence(w->g, 2);
	assert_int_equal(epoch_draft(theirs, &b, why, e, (uint64_t)e->to), 0);
	assert_int_equal(jcs_write(&one, &len, a), 0);
	assert_int_equal(jcs_write(&two, &other_len, b), 0);
	assert_int_equal(len, other_len);
	assert_memory_equal(one, two, len);
	free(one);
	free(two);

	person_secret(secret, 1);
	assert_int_equal(epoch_sign(a, secret), 0);
	assert_int_equal(epoch_sign(a, secret), ERR_EXISTS);
	assert_int_equal(epoch_signers(w->l, a), 1);
	person_secret(secret, 2);
	assert_int_equal(epoch_sign(b, secret), 0);
	assert_int_equal(epoch_merge(w->l, a, why, b), 0);
	assert_int_equal(epoch_merge(w->l, a, why, b), 0);
	assert_int_equal(epoch_signers(w->l, a), 2);
	json_decref(b);

	e->relays[2].weight_sum++;
	assert_int_equal(epoch_draft(theirs, &b, why, e, (uint64_t)e->to), 0);
	evidence_free(e);
	assert_int_equal(epoch_merge(w->l, a, why, b), ERR_MISMATCH);
	assert_non_null(strstr(why, "row 2"));
	json_decref(b);
	assert_int_equal(submit(w->l, a, NULL), REFUSED_NOT);
	ledger_close(theirs);
	expect_verified(w->l);
}

/* Whoever has one good signature must not get a bad one into the draft with it: the fold would refuse all. */
static void spoiled_attestation(void **state)
{
	static const struct {
		unsigned who[4];
		size_t n;
		int r;
	} rows[] = {
		{ { 2, 7 }, 2, ERR_AUTH }, { { 7 }, 1, ERR_AUTH }, { { 2, 2, 7 }, 3, ERR_AUTH }, { { 2, 2, 2, 7 }, 4, ERR_MALFORMED },
		{ { 2, 2, 2 }, 3, 0 },
	};
	struct world *w = *state;
	uint8_t secret[ETH_SECRET_LEN];
	char why[REWARD_WHY_CAP] = "";
	struct evidence *e;
	json_t *a, *b;

	pass_epoch(w->g, 0);
	e = usual_evidence(w->g, 0);
	assert_int_equal(epoch_draft(w->l, &a, why, e, (uint64_t)e->to), 0);
	evidence_free(e);
	person_secret(secret, 1);
	assert_int_equal(epoch_sign(a, secret), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		b = json_pack("{s:O, s:O, s:O}", "domain", json_object_get(a, "domain"), "primaryType",
			      json_object_get(a, "primaryType"), "message", json_object_get(a, "message"));
		signed_object(b, rows[i].who, rows[i].n);
		assert_int_equal(epoch_merge(w->l, a, why, b), rows[i].r);
		assert_int_equal(json_array_size(json_object_get(a, "signatures")), rows[i].r ? 1 : 2);
		/* Each auditor counts once, and nobody else does. */
		assert_int_equal(epoch_signers(w->l, b), rows[i].who[0] == 2);
		json_decref(b);
	}
	assert_int_equal(submit(w->l, a, NULL), REFUSED_NOT);
}

/* Registering costs nothing: however many do, those that run are paid. */
static void crowd(void **state)
{
	static const char crowd_sql[] =
		"WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i <= 100000)"
		" INSERT INTO registration SELECT randomblob(32), 1, randomblob(20), zeroblob(20), zeroblob(20) FROM n";
	struct world *w = *state;
	struct ledger *l = world_open(w->dir, w->g);
	char path[128];
	sqlite3 *db;

	populate(l);
	close_epoch(l);
	ledger_close(l);
	snprintf(path, sizeof(path), "%s/ledger.db", w->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, crowd_sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	l = world_open(w->dir, w->g);
	close_epoch(l);
	assert_false(amount_is_zero(paid_by(l, 1)));
	/* The reserve of an epoch is what the one before left, so that this one pays a little less. */
	assert_true(amount_cmp(paid_by(l, 1), paid_by(l, 0)) < 0);
	ledger_close(l);
}

static void questions(void **state)
{
	struct world *w = *state;
	uint8_t expanded[ED25519_EXPANDED_LEN], id[RELAY_ID_LEN], nobody[RELAY_ID_LEN] = { 0 };
	struct eth_addr who = person(11);
	struct evidence *e;
	char why[REWARD_WHY_CAP];
	json_t *o;

	close_epoch(w->l);
	close_epoch(w->l);
	relay_key(expanded, id, 1);
	assert_int_equal(rewards_explain(w->l, &o, 0, nobody), ERR_NOT_FOUND);
	assert_int_equal(rewards_explain(w->l, &o, 2, id), ERR_NOT_FOUND);
	assert_int_equal(rewards_epoch(w->l, &o, UINT64_MAX), ERR_NOT_FOUND);
	assert_int_equal(rewards_explain(w->l, &o, 1, id), 0);
	assert_true(json_array_size(json_object_get(o, "steps")) >= 8);
	json_decref(o);
	assert_int_equal(rewards_relay(w->l, &o, id, 10), 0);
	assert_int_equal(json_array_size(json_object_get(o, "epochs")), 2);
	json_decref(o);
	assert_int_equal(rewards_history(w->l, &o, &who, 3), 0);
	assert_int_equal(json_array_size(json_object_get(o, "epochs")), 3);	/* two relays pay to it */
	assert_string_not_equal(json_string_value(json_object_get(o, "claimable")), "0");
	json_decref(o);
	e = usual_evidence(w->g, 2);
	assert_int_equal(rewards_pending(w->l, &o, why, e), 0);
	assert_true(json_is_true(json_object_get(o, "estimate")));
	json_decref(o);
	evidence_free(e);
}

/* Who has the inputs of an epoch can compute it without a ledger. */
static void inputs(void **state)
{
	struct world *w = *state;
	char why[REWARD_WHY_CAP] = "";
	struct reward_epoch *again;
	struct amount total;
	json_t *doc;

	close_epoch(w->l);
	assert_int_equal(submit(w->l, stake_lock(w->l, 0, 2, "70000000000000000000000", 100), NULL), REFUSED_NOT);
	close_epoch(w->l);
	for (uint64_t epoch = 0; epoch < 2; epoch++) {
		assert_int_equal(rewards_inputs(w->l, &doc, epoch), 0);
		assert_int_equal(reward_epoch_read(&again, why, doc), 0);
		assert_int_equal(reward_compute(again, why), 0);
		total = paid_by(w->l, epoch);
		assert_int_equal(amount_cmp(total, again->paid), 0);
		for (size_t i = 0; i < again->n_relays; i++) {
			const char *due;
			json_t *o;

			assert_int_equal(rewards_explain(w->l, &o, epoch, again->relays[i].id), 0);
			due = json_string_value(json_object_get(json_object_get(o, "terms"), "due"));
			assert_int_equal(amount_parse(&total, due, strlen(due)), 0);
			assert_int_equal(amount_cmp(total, again->relays[i].due), 0);
			json_decref(o);
		}
		reward_epoch_free(again);
		json_decref(doc);
	}
}

/* -- anyone-1 --------------------------------------------------------------------------- */

static const char anyone_config[] =
	"{\"TokensPerSecond\":\"40509259200000000\",\"Multipliers\":{\"Family\":{\"Enabled\":true,\"Offset\":0.02,\"Power\":0.7},"
	"\"Location\":{\"Enabled\":true,\"Offset\":0.001,\"Divider\":20,\"Power\":1.85}},\"Modifiers\":{\"ExitBonus\":"
	"{\"Enabled\":true,\"Share\":0.1},\"Network\":{\"Share\":0.56},\"Uptime\":{\"Enabled\":true,\"Share\":0.14,"
	"\"Tiers\":{\"0\":0,\"1\":1,\"3\":3}}}}";

static struct genesis *anyone_usual(const char *dir)
{
	return anyone_genesis(dir, anyone_config);
}

static int setup_anyone(void **state)
{
	struct world *w = world_new(anyone_usual);

	w->l = world_memory(w->dir, w->g);
	populate(w->l);
	*state = w;
	return 0;
}

static json_int_t streak_in(struct ledger *l, uint64_t epoch, unsigned relay)
{
	uint8_t expanded[ED25519_EXPANDED_LEN], id[RELAY_ID_LEN];
	const char *name;
	json_t *doc, *score;
	json_int_t days = -1;
	char text[2 * RELAY_ID_LEN + 1];

	relay_key(expanded, id, relay);
	hex_encode_upper(text, id, 20);		/* its fingerprint */
	assert_int_equal(rewards_inputs(l, &doc, epoch), 0);
	json_object_foreach(json_object_get(doc, "scores"), name, score)
		if (strcmp(name, text) == 0)
			days = json_integer_value(json_object_get(score, "UptimeStreak"));
	json_decref(doc);
	return days;
}

/* What the ledger paid is what the formula gives for the inputs that it shows. */
static void expect_recomputed(struct ledger *l, uint64_t epoch)
{
	char why[ANYONE_WHY_CAP] = "";
	struct anyone_round *round;
	struct amount total;
	json_t *doc;

	assert_int_equal(rewards_inputs(l, &doc, epoch), 0);
	assert_int_equal(anyone_round_read(&round, why, doc), 0);
	assert_int_equal(anyone_compute(round), 0);
	total = paid_by(l, epoch);
	assert_int_equal(amount_cmp(total, round->total), 0);
	anyone_round_free(round);
	json_decref(doc);
}

static void anyone(void **state)
{
	struct world *w = *state;
	uint8_t expanded[ED25519_EXPANDED_LEN], id[RELAY_ID_LEN];
	struct evidence *e;
	json_t *o;

	for (int i = 0; i < 26; i++)
		close_epoch(w->l);
	/* Relay 3 is away in epoch 26; epoch 27 is not normal, so it says nothing of anybody. */
	pass_epoch(w->g, 26);
	e = usual_evidence(w->g, 26);
	relay_key(expanded, id, 3);
	for (size_t i = 0; i < e->n_relays; i++)
		if (memcmp(e->relays[i].relay_id, id, sizeof(id)) == 0)
			e->relays[i] = e->relays[--e->n_relays];
	assert_int_equal(submit(w->l, signed_draft(w->l, e), NULL), REFUSED_NOT);
	pass_epoch(w->g, 27);
	e = evidence_new(27, (int64_t)genesis_epoch_start(w->g, 27), (int64_t)genesis_epoch_start(w->g, 28));
	assert_int_equal(submit(w->l, signed_draft(w->l, e), NULL), REFUSED_NOT);
	assert_int_equal(ledger_commit(w->l), 0);
	close_epoch(w->l);
	assert_int_equal(streak_in(w->l, 22, 1), 0);
	assert_int_equal(streak_in(w->l, 23, 1), 1);
	assert_int_equal(streak_in(w->l, 25, 3), 1);
	assert_int_equal(streak_in(w->l, 26, 3), -1);
	assert_int_equal(streak_in(w->l, 28, 3), 0);
	assert_int_equal(streak_in(w->l, 28, 1), 1);
	assert_int_equal(rewards_explain(w->l, &o, 25, id), 0);
	assert_string_equal(json_string_value(json_object_get(o, "policy")), "anyone-1");
	assert_true(json_array_size(json_object_get(o, "steps")) >= 4);
	json_decref(o);
	for (uint64_t epoch = 0; epoch < 29; epoch += 4)
		expect_recomputed(w->l, epoch);
	assert_false(amount_is_zero(balance_of(w->l, ACCOUNT_REWARDS, 12)));
	assert_int_equal(submit(w->l, signed_claim(w->l, 12), NULL), REFUSED_NOT);
	expect_verified(w->l);
}

#define test(name) cmocka_unit_test_setup_teardown(name, epochs_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(pays), test(once_and_in_order), test(forgeries), test(odd_evidence), test(abnormal),
		test(nothing_measured), test(register_at_end), test(catching_up), test(two_auditors),
		test(spoiled_attestation), test(crowd), test(questions), test(inputs),
		cmocka_unit_test_setup_teardown(anyone, setup_anyone, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
