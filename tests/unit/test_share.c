/* The division of the bandwidth among workers, second by second, against loads that wander. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/daemon/share.h"

enum { TOTAL = 1000000 };

struct bench {
	struct share shares[SHARE_WORKERS_MAX];
	uint64_t counted[SHARE_WORKERS_MAX];
	size_t n;
};

/* A second in which each worker carries what is offered, up to its share; returns what all carried. */
static uint64_t second(struct bench *b, const uint64_t *offered)
{
	uint64_t carried = 0, sum = 0;

	for (size_t i = 0; i < b->n; i++) {
		uint64_t used = offered[i] < b->shares[i].rate ? offered[i] : b->shares[i].rate;

		carried += used;
		b->counted[i] += used;
		share_used(&b->shares[i], b->counted[i]);
	}
	shares_divide(b->shares, b->n, TOTAL);
	for (size_t i = 0; i < b->n; i++) {
		assert_true(b->shares[i].rate > 0);
		sum += b->shares[i].rate;
	}
	assert_int_equal(sum, TOTAL);
	return carried;
}

static void begin(struct bench *b, size_t n)
{
	memset(b, 0, sizeof(*b));
	b->n = n;
	shares_divide(b->shares, n, TOTAL);
	for (size_t i = 1; i < n; i++)
		assert_true(b->shares[i].rate >= TOTAL / n);
}

/* What is carried of what could be: 95 in 100 after a few seconds. */
static void expect_use(size_t n, const uint64_t *offered, unsigned settle)
{
	uint64_t wanted = 0, carried = 0;
	struct bench b;

	begin(&b, n);
	for (size_t i = 0; i < n; i++)
		wanted += offered[i];
	wanted = wanted < TOTAL ? wanted : TOTAL;
	for (unsigned s = 0; s < settle; s++)
		second(&b, offered);
	for (unsigned s = 0; s < 60; s++)
		carried += second(&b, offered);
	assert_true(carried >= 57 * wanted);
	assert_true(carried <= 60 * (uint64_t)TOTAL);
}

static void test_uneven_loads(void **state)
{
	static const uint64_t much = 10 * TOTAL;
	const uint64_t loads[][4] = {
		{ much, 0, 0, 0 }, { much, much, 0, 0 }, { much, 350000, 0, 0 }, { 350000, much, 100000, much },
		{ 240000, 240000, 240000, 240000 }, { 10, 20, 30, 40 }, { much, 1000, 1000, 1000 }, { 600000, 300000, 50000, 0 },
		{ much, much, much, much },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		for (size_t n = 1; n <= 4; n++)
			expect_use(n, loads[i], 10);
}

/* The load goes from one worker to another every ten seconds. */
static void test_a_load_that_moves(void **state)
{
	uint64_t carried = 0, last = 0;
	struct bench b;

	(void)state;
	begin(&b, 4);
	for (unsigned s = 0; s < 120; s++) {
		uint64_t offered[4] = { 0 };

		offered[s / 10 % 4] = 10 * TOTAL;
		last = second(&b, offered);
		carried += last;
	}
	assert_true(carried >= 120 * (uint64_t)TOTAL / 100 * 65);
	assert_true(last >= TOTAL / 100 * 95);
}

/* One works all the time, another has something short to do each ten seconds: that costs little. */
static void test_short_bursts(void **state)
{
	uint64_t carried = 0;
	struct bench b;

	(void)state;
	begin(&b, 2);
	for (unsigned s = 0; s < 110; s++) {
		uint64_t offered[2] = { 10 * TOTAL, s % 10 == 5 ? 50000 : 0 };

		if (s >= 10)
			carried += second(&b, offered);
		else
			second(&b, offered);
	}
	assert_true(carried >= 100 * (uint64_t)TOTAL / 100 * 96);
}

/* A second without a report, and the next with two, as timers have it. */
static void test_late_reports(void **state)
{
	struct bench b;

	(void)state;
	begin(&b, 2);
	for (unsigned s = 0; s < 60; s++) {
		if (s % 7 != 3)
			b.counted[0] += b.shares[0].rate * (s % 7 == 4 ? 2 : 1);
		share_used(&b.shares[0], b.counted[0]);
		share_used(&b.shares[1], 0);
		shares_divide(b.shares, 2, TOTAL);
		if (s > 10)
			assert_true(b.shares[0].rate >= TOTAL / 100 * 95);
	}
}

static void test_small_totals(void **state)
{
	struct share shares[SHARE_WORKERS_MAX] = { { 0 } };

	(void)state;
	for (uint64_t total = 1; total < 200; total++) {
		shares_divide(shares, SHARE_WORKERS_MAX, total);
		for (size_t i = 0; i < SHARE_WORKERS_MAX; i++)
			assert_true(shares[i].rate >= 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uneven_loads), cmocka_unit_test(test_a_load_that_moves), cmocka_unit_test(test_short_bursts), cmocka_unit_test(test_late_reports),
		cmocka_unit_test(test_small_totals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
