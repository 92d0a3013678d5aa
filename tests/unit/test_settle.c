/* Evidence from a measurement: who counts, and what a family is; and when to claim. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>

#include "../../src/daemon/settle_claim.h"
#include "../../src/daemon/settle_evidence.h"
#include "../../src/daemon/settle_priv.h"

enum { N = 5 };

/* Relays 1 to N, ascending; relay i has Ed25519 identity 0x80 + i. */
struct fixture {
	struct measured_consensus consensuses[2];
	struct measured_relay relays[N];
	uint8_t members[N][3 * 20], keys[N][32];
	struct settle_relay registered[N];
	struct measured m;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	for (uint8_t i = 0; i < N; i++) {
		struct measured_relay *r = &f->relays[i];

		r->rsa_id[0] = f->registered[i].fingerprint[0] = (uint8_t)(i + 1);
		r->ed_id[0] = f->registered[i].relay_id[0] = (uint8_t)(0x80 + i + 1);
		r->has_microdesc = r->known = r->has_ed_id = true;
		r->n_running = 2;
		r->n_exit = i == 0;
		r->weight = 100u * (i + 1);
		r->network[0] = 192;
		r->network[1] = i;
		r->members = f->members[i];
		r->keys = f->keys[i];
	}
	f->consensuses[0] = (struct measured_consensus){ .valid_after = 1000, .weight = 7, .digest = { 1 } };
	f->consensuses[1] = (struct measured_consensus){ .valid_after = 1010, .weight = 9, .before = 7, .vanished = 2 };
	f->m = (struct measured){ .from = 1000, .to = 1020, .consensuses = f->consensuses, .n_consensuses = 2,
				  .relays = f->relays, .n_relays = N };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* Relay `who` names relay `whom` as of its family; called with `whom` ascending. */
static void name(struct fixture *f, unsigned who, unsigned whom)
{
	struct measured_relay *r = &f->relays[who - 1];

	f->members[who - 1][20 * r->n_members++] = (uint8_t)whom;
}

static struct evidence *make(struct fixture *f)
{
	char why[REWARD_WHY_CAP] = "";
	struct evidence *e = NULL;

	assert_int_equal(settle_evidence(&e, NULL, 3, &f->m, f->registered, N), 0);
	if (evidence_check(e, why) < 0)
		fail_msg("%s", why);
	return e;
}

static const struct evidence_relay *row(const struct evidence *e, unsigned who)
{
	for (size_t i = 0; i < e->n_relays; i++)
		if (e->relays[i].fingerprint[0] == who)
			return &e->relays[i];
	return NULL;
}

static void test_rows(void **state)
{
	struct fixture *f = *state;
	struct evidence *e;

	f->relays[3].n_running = 0;
	e = make(f);
	assert_int_equal(e->epoch, 3);
	assert_int_equal(e->from, 1000);
	assert_int_equal(e->to, 1020);
	assert_int_equal(e->n_consensuses, 2);
	assert_int_equal(e->consensuses[1].vanished, 2);
	assert_int_equal(e->consensuses[0].sha256[0], 1);
	assert_null(row(e, 4));
	assert_int_equal(row(e, 1)->exit, 1);
	assert_int_equal(row(e, 5)->weight_sum, 500);
	assert_string_equal(row(e, 5)->network, "192.4.0.0/16");
	assert_string_equal(row(e, 5)->family, "");
	evidence_free(e);
}

/* The fingerprint of somebody else's relay earns nothing, whoever registered first. */
static void test_borrowed_fingerprint(void **state)
{
	struct fixture *f = *state;
	struct evidence *e;

	memcpy(f->registered[1].fingerprint, f->registered[0].fingerprint, 20);
	assert_int_equal(settle_match(&f->m, &f->registered[1]), SETTLE_OTHER_IDENTITY);
	f->relays[2].has_ed_id = false;
	e = make(f);
	assert_int_equal(e->n_relays, N - 2);
	assert_int_equal(row(e, 1)->relay_id[0], 0x81);
	assert_null(row(e, 2));
	assert_null(row(e, 3));
	evidence_free(e);
}

static void test_missing_microdesc(void **state)
{
	struct fixture *f = *state;
	const struct settle_relay *missing = NULL;
	struct evidence *e = NULL;

	f->relays[2].known = false;
	assert_int_equal(settle_evidence(&e, &missing, 3, &f->m, f->registered, N), ERR_AGAIN);
	assert_ptr_equal(missing, &f->registered[2]);
	/* Given up, it does not count. */
	assert_int_equal(settle_evidence(&e, NULL, 3, &f->m, f->registered, N), 0);
	assert_int_equal(e->n_relays, N - 1);
	evidence_free(e);
	/* Of somebody who is not registered it does not matter. */
	assert_int_equal(settle_evidence(&e, &missing, 3, &f->m, f->registered, 2), 0);
	evidence_free(e);
}

static void test_families(void **state)
{
	static const char low[] = "0200000000000000000000000000000000000000";
	struct fixture *f = *state;
	struct evidence *e;

	name(f, 2, 3);
	name(f, 2, 9);
	name(f, 3, 2);
	name(f, 3, 5);
	name(f, 4, 2);		/* which does not name it */
	name(f, 5, 3);
	e = make(f);
	assert_string_equal(row(e, 1)->family, "");
	assert_string_equal(row(e, 2)->family, low);
	assert_string_equal(row(e, 3)->family, low);
	assert_string_equal(row(e, 4)->family, "");
	assert_string_equal(row(e, 5)->family, low);
	evidence_free(e);
	/* A common key joins two families, whatever the order in which relays are registered. */
	f->relays[0].n_keys = f->relays[4].n_keys = 1;
	f->keys[0][31] = f->keys[4][31] = 1;
	struct settle_relay first = f->registered[0];

	f->registered[0] = f->registered[4];
	f->registered[4] = first;
	e = make(f);
	assert_string_equal(row(e, 5)->family, "0100000000000000000000000000000000000000");
	assert_string_equal(row(e, 2)->family, row(e, 1)->family);
	assert_string_equal(row(e, 4)->family, "");
	evidence_free(e);
}

static void test_nothing(void **state)
{
	struct fixture *f = *state;
	struct evidence *e = NULL;

	f->m.n_consensuses = f->m.n_relays = 0;
	e = make(f);
	assert_int_equal(e->n_relays, 0);
	assert_int_equal(evidence_state(e), EVIDENCE_NO_CONSENSUS);
	evidence_free(e);
	assert_int_equal(settle_evidence(&e, NULL, 3, &f->m, NULL, 0), 0);
	evidence_free(e);
}

/* By amount, by age, and never for a fee above its share. */
static void test_claim_is_due(void **state)
{
	const struct claim_rule rule = { .above = { 0, 1000 }, .after_s = 3600, .fee_cap_bp = 100 };
	const struct claim_rule by_amount = { .above = { 0, 1000 }, .fee_cap_bp = 10000 };
	const struct amount none = { 0, 0 }, huge = { UINT64_MAX, UINT64_MAX };

	(void)state;
	assert_true(claim_is_due(&rule, amount_u64(1000), 50, none, 100));
	assert_false(claim_is_due(&rule, amount_u64(999), 50, none, 100));
	assert_true(claim_is_due(&rule, amount_u64(1), 50, none, 3650));
	assert_false(claim_is_due(&rule, amount_u64(1), 50, none, 3649));
	/* The clock went back; nothing was ever due; no age counts. */
	assert_false(claim_is_due(&rule, amount_u64(1), 5000, none, 100));
	assert_false(claim_is_due(&rule, none, 0, none, 99999));
	assert_false(claim_is_due(&by_amount, amount_u64(999), 1, none, 99999999));
	/* One hundredth at most. */
	assert_true(claim_is_due(&rule, amount_u64(1000), 50, amount_u64(10), 100));
	assert_false(claim_is_due(&rule, amount_u64(1000), 50, amount_u64(11), 100));
	assert_true(claim_is_due(&by_amount, amount_u64(1000), 50, amount_u64(1000), 100));
	assert_false(claim_is_due(&by_amount, amount_u64(1000), 50, amount_u64(1001), 100));
	assert_true(claim_is_due(&rule, huge, 50, amount_u64(UINT64_MAX), 100));
	assert_false(claim_is_due(&rule, amount_u64(1000), 50, huge, 100));
}

/* What a writer says when it refuses is cut at some length, perhaps within a character; status says it all the same. */
static void test_problem(void **state)
{
	struct settle_problem p = { .text = "" };
	char words[2 * sizeof(p.text)] = "";
	json_t *said;

	(void)state;
	for (size_t first = 0; first < 3; first++) {
		memset(words, '.', first);
		for (size_t i = first; i + 4 < sizeof(words); i += 3)
			strcpy(words + i, "\xe2\x82\xac");
		settle_problem_set(&p, "A test", words);
		said = settle_problem_json(&p);
		assert_true(json_is_string(said));
		json_decref(said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_borrowed_fingerprint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_microdesc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_families, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
		cmocka_unit_test(test_claim_is_due),
		cmocka_unit_test(test_problem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
