#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nonos/burn.h>
#include <nonos/err.h>

static struct amount tokens(uint64_t n)
{
	struct amount a;

	assert_int_equal(amount_mul(&a, amount_u64(n), amount_u64(1000000000000000000)), 0);
	return a;
}

/* Every figure on its target: a year in one step. */
static struct burn_inputs on_target(void)
{
	return (struct burn_inputs){
		.elapsed_s = BURN_YEAR_S,
		.issued = tokens(30),
		.burnt = tokens(10),
		.spent = tokens(7),
		.circulating = tokens(1000),
		.staked = tokens(400),
		.treasury = tokens(7),
	};
}

static void test_rests_on_target(void **state)
{
	struct burn_params p = burn_params_default();
	struct burn_inputs in = on_target();
	struct burn_signals s;

	(void)state;
	assert_int_equal(burn_params_check(&p), 0);
	assert_int_equal(burn_next(&p, 123456, &in, &s), 123456);
	assert_int_equal(s.issuance, 0);
	assert_int_equal(s.staking, 0);
	assert_int_equal(s.runway, 0);
}

static void test_signals(void **state)
{
	struct burn_params p = burn_params_default();
	struct burn_inputs in = on_target();
	struct burn_signals s;

	(void)state;
	in.issued = tokens(40);			/* half above the target */
	in.staked = tokens(100);		/* a quarter of it */
	in.spent = tokens(14);			/* lasts half as long */
	assert_int_equal(burn_next(&p, 80000, &in, &s), 80000 - 80000 * 62500LL / 8000000);
	assert_int_equal(s.issuance, 500000);
	assert_int_equal(s.staking, -750000);
	assert_int_equal(s.runway, -500000);
	assert_int_equal(s.mean, -62500);
}

static void test_bounds(void **state)
{
	struct burn_params p = burn_params_default();
	struct burn_inputs up = on_target(), down = on_target();

	(void)state;
	up.issued = tokens(UINT64_C(10000000000));
	up.staked = up.treasury = tokens(UINT64_C(10000000000));
	down.issued = down.staked = down.treasury = tokens(0);
	assert_int_equal(burn_next(&p, 80000, &up, NULL), 90000);
	assert_int_equal(burn_next(&p, 80000, &down, NULL), 70000);
	assert_int_equal(burn_next(&p, 499999, &up, NULL), 500000);
	assert_int_equal(burn_next(&p, 10001, &down, NULL), 10000);
	for (uint32_t rate = p.min_ppm; rate < p.max_ppm; rate += 997) {
		assert_true(burn_next(&p, rate, &up, NULL) <= rate + rate / 8);
		assert_true(burn_next(&p, rate, &down, NULL) >= rate - rate / 8);
	}
}

/* Nothing has happened yet, or the numbers are absurd: still a rate within its bounds. */
static void test_extremes(void **state)
{
	struct burn_params p = burn_params_default();
	struct amount most = { UINT64_MAX, UINT64_MAX };
	struct burn_inputs none = { 0 }, all = { UINT32_MAX, most, most, most, most, most, most };
	struct burn_signals s;
	uint32_t rate;

	(void)state;
	burn_next(&p, 100000, &none, &s);
	assert_int_equal(s.issuance, -BURN_PPM);
	assert_int_equal(s.runway, BURN_PPM);
	rate = burn_next(&p, 100000, &all, NULL);
	assert_in_range(rate, 87500, 112500);
	assert_int_equal(amount_cmp(burn_part(most, BURN_PPM), most), 0);
	assert_int_equal(burn_part(amount_u64(999999), 1).lo, 0);
	assert_int_equal(burn_part(amount_u64(1999999), 1).lo, 1);
}

static void test_params(void **state)
{
	struct burn_params p = burn_params_default();

	(void)state;
	p.min_ppm = 7;
	assert_int_equal(burn_params_check(&p), ERR_RANGE);
	p.min_ppm = p.start_ppm + 1;
	assert_int_equal(burn_params_check(&p), ERR_RANGE);
	p = burn_params_default();
	p.max_ppm = BURN_PPM + 1;
	assert_int_equal(burn_params_check(&p), ERR_RANGE);
	p = burn_params_default();
	p.issuance_weight = p.staked_weight = p.runway_weight = 0;
	assert_int_equal(burn_params_check(&p), ERR_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rests_on_target),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_params),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
