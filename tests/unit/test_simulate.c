/* The token over years, and what a stake would earn. */
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
#include <nonos/mem.h>
#include <nonos/rewards.h>
#include <nonos/simulate.h>

static struct amount tokens(uint64_t n)
{
	struct amount a;

	assert_int_equal(amount_mul(&a, amount_u64(n), amount_u64(UINT64_C(1000000000000000000))), 0);
	return a;
}

static struct genesis *usual(void)
{
	char why[GENESIS_WHY_CAP] = "";
	struct genesis *g;

	if (simulate_usual(&g, why) < 0)
		fail_msg("%s", why);
	return g;
}

/* Whatever is not burnt is somewhere; rows follow from those before. */
static void test_conserved(void **state)
{
	struct simulate_world w = { .years = 30, .staked_bp = 4000, .revenue = tokens(50000000), .spend = tokens(3000000) };
	struct simulate_year rows[31];
	struct genesis *g = usual();

	(void)state;
	assert_int_equal(simulate(rows, g, &w), 0);
	for (unsigned i = 0; i <= w.years; i++) {
		struct amount sum = rows[i].circulating, left;

		assert_int_equal(rows[i].year, i);
		assert_int_equal(amount_add(&sum, sum, rows[i].reserve), 0);
		assert_int_equal(amount_add(&sum, sum, rows[i].treasury), 0);
		assert_int_equal(amount_cmp(sum, rows[i].supply), 0);
		assert_in_range(rows[i].burn_ppm, g->burn.min_ppm, g->burn.max_ppm);
		if (i == 0)
			continue;
		assert_int_equal(amount_sub(&left, rows[i - 1].supply, rows[i].burnt), 0);
		assert_int_equal(amount_cmp(left, rows[i].supply), 0);
		assert_int_equal(amount_sub(&left, rows[i - 1].reserve, rows[i].emission), 0);
		assert_int_equal(amount_cmp(left, rows[i].reserve), 0);
		assert_true(i == 1 || amount_cmp(rows[i].emission, rows[i - 1].emission) < 0);
	}
	genesis_free(g);
}

/* 14 % a year of what is left, taken each hour: about e^-0.14 of the reserve is there after one. */
static void test_decay(void **state)
{
	struct simulate_world w = { .years = 1 };
	struct simulate_year rows[2];
	struct genesis *g = usual();
	struct amount ppm;

	(void)state;
	assert_int_equal(simulate(rows, g, &w), 0);
	assert_int_equal(amount_muldiv(&ppm, NULL, rows[1].reserve, amount_u64(1000000), g->reserve), 0);
	assert_in_range(ppm.lo, 869350, 869365);	/* 869358.2 */
	assert_true(rows[1].runway_days == UINT64_MAX);
	assert_true(amount_is_zero(rows[1].burnt));
	w.years = 0;
	assert_int_equal(simulate(rows, g, &w), ERR_RANGE);
	w.years = 1;
	w.revenue = (struct amount){ UINT64_MAX, 0 };
	assert_int_equal(simulate(rows, g, &w), ERR_RANGE);
	genesis_free(g);
}

/* -- optimize ------------------------------------------------------------------------- */

static struct reward_epoch *network(void)
{
	struct reward_epoch *e = mem_new(sizeof(*e));
	char why[REWARD_WHY_CAP];

	e->params = reward_params_default();
	e->reserve = tokens(240000000);
	e->seen = 1;
	e->n_relays = 50;
	e->relays = mem_new_array(e->n_relays, sizeof(*e->relays));
	for (size_t i = 0; i < e->n_relays; i++) {
		struct reward_relay *r = &e->relays[i];

		r->id[0] = r->operator.b[0] = (uint8_t)i;
		snprintf(r->network, sizeof(r->network), "10.%zu.0.0/16", i);
		r->running = 1;
		r->weight_sum = 20000;
		assert_int_equal(reward_relay_lock(r, &e->params, tokens(2000), 0), 0);
	}
	assert_int_equal(reward_compute(e, why), 0);
	return e;
}

static struct amount amount_of(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));
	struct amount a;

	assert_non_null(text);
	assert_int_equal(amount_parse(&a, text, strlen(text)), 0);
	return a;
}

static void test_optimize(void **state)
{
	struct reward_epoch *e = network();
	char why[REWARD_WHY_CAP] = "";
	const json_t *options, *row;
	json_int_t yield = INT64_MAX, relays = 0;
	unsigned silver = 0, bronze = 0;
	json_t *o;
	size_t i;

	(void)state;
	assert_int_equal(stake_optimize(&o, why, e, tokens(30000), 0, REWARD_MIDDLE), 0);
	assert_int_equal(json_integer_value(json_object_get(o, "weight")), 20000);
	assert_true(json_array_size(json_object_get(o, "assumptions")) >= 4);
	options = json_object_get(o, "options");
	json_array_foreach(options, i, row) {
		silver += strcmp(json_string_value(json_object_get(row, "tier")), "Silver") == 0;
		bronze += strcmp(json_string_value(json_object_get(row, "tier")), "Bronze") == 0;
		/* Of rows that say the same the smaller split comes first. */
		assert_true(json_integer_value(json_object_get(row, "yield_bp")) < yield ||
			    (json_integer_value(json_object_get(row, "yield_bp")) == yield &&
			     json_integer_value(json_object_get(row, "relays")) > relays));
		yield = json_integer_value(json_object_get(row, "yield_bp"));
		relays = json_integer_value(json_object_get(row, "relays"));
	}
	assert_int_equal(silver, 3);			/* 10,000 for each of at most three */
	assert_int_equal(bronze, 20);
	assert_int_equal(silver + bronze, json_array_size(options));
	json_decref(o);
	reward_epoch_free(e);
}

/* The first row is what the policy pays to such a relay, and not another number. */
static void test_optimize_true(void **state)
{
	struct reward_epoch *e = network();
	char why[REWARD_WHY_CAP] = "";
	const json_t *row;
	struct amount due;
	json_t *o;

	(void)state;
	assert_int_equal(stake_optimize(&o, why, e, tokens(2000), 20000, REWARD_MIDDLE), 0);
	row = json_array_get(json_object_get(o, "options"), 0);
	assert_int_equal(json_integer_value(json_object_get(row, "relays")), 1);
	due = amount_of(row, "epoch_due");
	/* One more like the fifty that are there: a 51st of the budget. */
	assert_int_equal(amount_muldiv(&e->budget, NULL, e->budget, amount_u64(1), amount_u64(51)), 0);
	assert_true(due.lo - e->budget.lo <= 1);
	json_decref(o);
	assert_int_equal(stake_optimize(&o, why, e, tokens(999), 0, REWARD_MIDDLE), ERR_NOT_FOUND);
	assert_non_null(strstr(why, "Bronze"));
	assert_int_equal(stake_optimize(&o, why, e, amount_u64(0), 0, REWARD_MIDDLE), ERR_RANGE);
	assert_int_equal(stake_optimize(&o, why, e, tokens(1000), UINT64_MAX, REWARD_EXIT), ERR_RANGE);
	reward_epoch_free(e);
}

/* What an epoch was computed from, as a document, gives the same again. */
static void test_inputs(void **state)
{
	struct reward_epoch *e = network(), *again;
	json_t *doc, *a, *b;
	char why[REWARD_WHY_CAP] = "";

	(void)state;
	assert_int_equal(reward_relay_lock(&e->relays[3], &e->params, tokens(60000), 400), 0);
	assert_int_equal(reward_relay_lock(&e->relays[3], &e->params, tokens(7), 31), 0);
	assert_int_equal(reward_compute(e, why), 0);
	doc = reward_epoch_inputs(e);
	if (reward_epoch_read(&again, why, doc) < 0)
		fail_msg("%s", why);
	assert_int_equal(reward_compute(again, why), 0);
	a = reward_epoch_json(e);
	b = reward_epoch_json(again);
	assert_true(json_equal(a, b));
	json_decref(a);
	json_decref(b);
	json_decref(doc);
	reward_epoch_free(e);
	reward_epoch_free(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conserved),
		cmocka_unit_test(test_decay),
		cmocka_unit_test(test_optimize),
		cmocka_unit_test(test_optimize_true),
		cmocka_unit_test(test_inputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
