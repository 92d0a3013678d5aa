/* TOR_VEGAS against traces worked out by hand from the pseudocode of proposal 324, 3.3. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nonos/err.h>

#include "../../relay/cc.h"

enum { INC = 31 };
#define MS 1000ull

static struct cc *start(uint32_t cwnd_init)
{
	struct cc_params p;

	cc_params_default(&p);
	p.cwnd_init = cwnd_init;
	return cc_new(&p, INC);
}

static void send_cells(struct cc *c, uint32_t n, uint64_t now_us)
{
	for (uint32_t i = 0; i < n; i++)
		(void)cc_sent(c, now_us);
}

/* When the cells were sent that SENDMEs are due for. */
static uint64_t due[1000];
static size_t due_first, due_n;

/* Fill the window, then take the SENDME for the oldest increment `rtt_us` after it was sent. */
static void ack_full(struct cc *c, uint64_t *now_us, uint64_t rtt_us, bool blocked)
{
	uint64_t acked_us;

	while (cc_room(c))
		if (cc_sent(c, *now_us))
			due[(due_first + due_n++) % 1000] = *now_us;
	acked_us = due[due_first] + rtt_us;
	due_first = (due_first + 1) % 1000;
	due_n--;
	*now_us = acked_us > *now_us ? acked_us : *now_us;
	assert_int_equal(cc_sendme(c, *now_us, blocked), 0);
}

static struct cc *start_full(uint32_t cwnd_init)
{
	due_n = 0;
	return start(cwnd_init);
}

static void test_ewma(void **state)
{
	(void)state;
	assert_int_equal(cc_n_ewma(7, 0, 2), 7);
	assert_int_equal(cc_n_ewma(7, 3, 2), 5);		/* (14 + 3) / 3, rounded down */
	assert_int_equal(cc_n_ewma(400000, 100000, 2), 300000);
	assert_int_equal(cc_n_ewma(200000, 100000, 8), 122222);	/* (400000 + 700000) / 9 */
}

static void test_due(void **state)
{
	struct cc *c = start(124);
	int n_due = 0;

	(void)state;
	assert_int_equal(cc_room(c), 124);
	assert_int_equal(cc_sendme(c, 1, false), ERR_PROTOCOL);
	for (int i = 1; i <= 124; i++) {
		bool now = cc_sent(c, 1000);

		assert_int_equal(now, i % INC == 0);
		n_due += now;
	}
	assert_int_equal(n_due, 4);
	assert_int_equal(cc_room(c), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(cc_sendme(c, 101000, false), 0);
	assert_int_equal(cc_sendme(c, 101000, false), ERR_PROTOCOL);
	assert_int_equal(cc_inflight(c), 0);
	cc_free(c);
}

static void test_slow_start(void **state)
{
	struct cc *c = start(124);

	(void)state;
	send_cells(c, 124, 1 * MS);
	/* RTT 100 ms, BDP = cwnd, no queue, window full: + round(50 * 31 / 100) = 16. */
	assert_int_equal(cc_sendme(c, 101 * MS, false), 0);
	assert_int_equal(cc_rtt_us(c), 100 * MS);
	assert_int_equal(cc_rtt_min_us(c), 100 * MS);
	assert_int_equal(cc_cwnd(c), 140);
	assert_int_equal(cc_room(c), 140 - 93);
	/* 93 + 2 * 31 >= 140: still full. */
	assert_int_equal(cc_sendme(c, 101 * MS, false), 0);
	assert_int_equal(cc_cwnd(c), 156);
	/* 62 + 62 < 156 and 62 is less than 75 % of it: not full, no growth. */
	assert_int_equal(cc_sendme(c, 101 * MS, false), 0);
	assert_int_equal(cc_cwnd(c), 156);
	assert_int_equal(cc_sendme(c, 101 * MS, false), 0);
	assert_int_equal(cc_cwnd(c), 156);
	assert_true(cc_in_slow_start(c));
	assert_int_equal(cc_inflight(c), 0);
	cc_free(c);
}

static void test_above_the_cap(void **state)
{
	struct cc *c = start(1000);

	(void)state;
	send_cells(c, 1000, 1 * MS);
	/* Above 500: round(31 * 500 / 2000) = 7.75 -> 8. */
	assert_int_equal(cc_sendme(c, 101 * MS, false), 0);
	assert_int_equal(cc_cwnd(c), 1008);
	/* RTT 400: EWMA (2 * 400 + 100) / 3 = 300; BDP 336, queue 672 >= 186: out, with 336 + 186. */
	assert_int_equal(cc_sendme(c, 401 * MS, false), 0);
	assert_int_equal(cc_rtt_us(c), 300 * MS);
	assert_false(cc_in_slow_start(c));
	assert_int_equal(cc_cwnd(c), 522);
	assert_int_equal(cc_inflight(c), 938);
	assert_int_equal(cc_room(c), 0);
	/* The next update comes after round(522 / 31) = 17 SENDMEs. N of the EWMA is 8. */
	for (int i = 0; i < 16; i++) {
		assert_int_equal(cc_sendme(c, 301 * MS, false), 0);
		assert_int_equal(cc_cwnd(c), 522);
	}
	/* BDP 174, queue 348: above beta (248), not above delta (372). */
	assert_int_equal(cc_sendme(c, 301 * MS, false), 0);
	assert_int_equal(cc_rtt_us(c), 300 * MS);
	assert_int_equal(cc_cwnd(c), 491);
	cc_free(c);
}

static void test_blocked(void **state)
{
	struct cc *c = start(124);
	uint64_t now = 1 * MS;

	(void)state;
	/* A blocked link ends slow start at BDP + gamma, full or not. */
	due_n = 0;
	send_cells(c, 31, now);
	assert_int_equal(cc_sendme(c, now + 50 * MS, true), 0);
	assert_false(cc_in_slow_start(c));
	assert_int_equal(cc_cwnd(c), 124 + 186);
	/* In the steady state it takes 31 away each round(310 / 31) = 10 SENDMEs. */
	for (int i = 0; i < 10; i++) {
		assert_int_equal(cc_cwnd(c), 310);
		ack_full(c, &now, 50 * MS, true);
	}
	assert_int_equal(cc_cwnd(c), 279);
	cc_free(c);
}

static void test_steady_growth(void **state)
{
	struct cc *c = start_full(124);
	uint64_t now = 1 * MS;

	(void)state;
	ack_full(c, &now, 50 * MS, true);		/* out of slow start at 310 */
	assert_int_equal(cc_cwnd(c), 310);
	/* Constant RTT: no queue, full: one increment of 31 a window. */
	for (uint32_t cwnd = 310; cwnd < 434; cwnd += 31) {
		for (uint32_t i = 0; i < cwnd / INC; i++) {
			assert_int_equal(cc_cwnd(c), cwnd);
			ack_full(c, &now, 50 * MS, false);
		}
	}
	assert_int_equal(cc_cwnd(c), 434);
	cc_free(c);
}

/* Not used to the full: shrinks when it must, never grows. */
static void test_idle_does_not_grow(void **state)
{
	struct cc *c = start(124);
	uint64_t now = 1 * MS;

	(void)state;
	for (int i = 0; i < 100; i++) {
		send_cells(c, INC, now);
		now += 40 * MS;
		assert_int_equal(cc_sendme(c, now, false), 0);
	}
	assert_int_equal(cc_cwnd(c), 124);
	cc_free(c);
}

static void test_delta(void **state)
{
	struct cc *c = start_full(2000);
	uint64_t now = 1 * MS;

	(void)state;
	ack_full(c, &now, 100 * MS, true);
	assert_int_equal(cc_cwnd(c), 2186);
	/* RTT 200 from now on; the EWMA (N = 10) nears it: 100, 118.181, 133.057, ... */
	ack_full(c, &now, 200 * MS, false);
	assert_int_equal(cc_rtt_us(c), 118181);
	assert_int_equal(cc_cwnd(c), 2186);
	for (int i = 0; i < 69; i++)
		ack_full(c, &now, 200 * MS, false);
	/* At the 71st: EWMA 199.990..., BDP 1093, queue 1093 > 372: BDP + 372 - 31. */
	assert_in_range(cc_rtt_us(c), 199900, 200000);
	ack_full(c, &now, 200 * MS, false);
	assert_int_equal(cc_cwnd(c), (uint64_t)2186 * 100000 / cc_rtt_us(c) + 372 - 31);
	cc_free(c);
}

static void test_floor_and_rtt_reset(void **state)
{
	struct cc *c = start_full(124);
	uint64_t now = 1 * MS;

	(void)state;
	ack_full(c, &now, 10 * MS, true);
	for (int i = 0; i < 200; i++)
		ack_full(c, &now, 80 * MS, true);
	/* Down to cc_cwnd_min, where RTT_min starts again from what is measured. */
	assert_int_equal(cc_cwnd(c), 31);
	assert_in_range(cc_rtt_min_us(c), 79 * MS, 80 * MS);
	assert_int_equal(cc_room(c) + cc_inflight(c), 31);
	cc_free(c);
}

static void test_ss_max(void **state)
{
	struct cc *c = start_full(4995);
	uint64_t now = 1 * MS;

	(void)state;
	/* round(31 * 500 / (2 * 4995)) = 2 for each SENDME. */
	ack_full(c, &now, 10 * MS, false);
	ack_full(c, &now, 10 * MS, false);
	assert_int_equal(cc_cwnd(c), 4999);
	assert_true(cc_in_slow_start(c));
	ack_full(c, &now, 10 * MS, false);
	assert_int_equal(cc_cwnd(c), 5000);
	assert_false(cc_in_slow_start(c));
	cc_free(c);
}

static void test_clock(void **state)
{
	struct cc *c = start(124);
	uint64_t now = 1 * MS;

	(void)state;
	send_cells(c, 124, now);
	/* A clock that stands still teaches nothing, but the cells have arrived. */
	assert_int_equal(cc_sendme(c, now, false), 0);
	assert_int_equal(cc_rtt_us(c), 0);
	assert_int_equal(cc_cwnd(c), 124);
	assert_int_equal(cc_inflight(c), 93);
	/* Nor does one that runs backwards. */
	assert_int_equal(cc_sendme(c, now - 1, false), 0);
	assert_int_equal(cc_rtt_us(c), 0);
	assert_int_equal(cc_sendme(c, now + 50 * MS, true), 0);
	assert_int_equal(cc_rtt_us(c), 50 * MS);
	/* Out of slow start, a jump of more than 5000 times is ignored. */
	assert_int_equal(cc_sendme(c, now + 260000 * MS, false), 0);
	assert_int_equal(cc_rtt_us(c), 50 * MS);
	assert_int_equal(cc_inflight(c), 0);
	/* 5000 times less is believed only while the clock is not known to stand still; it was at 0. */
	send_cells(c, 62, now);
	assert_int_equal(cc_sendme(c, now + 1, false), 0);
	assert_int_equal(cc_rtt_us(c), 50 * MS);
	assert_int_equal(cc_sendme(c, now + 50 * MS, false), 0);	/* moves again */
	send_cells(c, 31, now);
	assert_int_equal(cc_sendme(c, now + 1, false), 0);
	assert_true(cc_rtt_us(c) < 50 * MS);
	cc_free(c);
}

/* Times are matched in order, whatever the ring has grown to. */
static void test_ring(void **state)
{
	struct cc_params p;
	struct cc *c;

	(void)state;
	cc_params_default(&p);
	p.cwnd_init = 10000;
	c = cc_new(&p, 1);
	for (uint64_t round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < 300; i++)
			assert_true(cc_sent(c, 1000000 * round + 1000 * i));
		for (uint64_t i = 0; i < 300; i++)
			assert_int_equal(cc_sendme(c, 1000000 * round + 1000 * i + 7000, false), 0);
		assert_int_equal(cc_rtt_us(c), 7000);
	}
	assert_int_equal(cc_rtt_max_us(c), 7000);
	assert_true(cc_bytes(c) > 300 * 8);
	cc_free(c);
	cc_free(NULL);
}

/* Whatever the consensus says, a window holds an increment: else nothing would ever be acknowledged. */
static void test_odd_params(void **state)
{
	struct cc_params p = { 0 };
	struct cc *c = cc_new(&p, 255);
	uint64_t now = 1;

	(void)state;
	due_n = 0;
	for (int i = 0; i < 50; i++) {
		assert_true(cc_room(c) + cc_inflight(c) >= 255);
		ack_full(c, &now, 1000 * (uint64_t)(i % 7 + 1), i % 3 == 0);
	}
	cc_free(c);
	c = cc_new(&p, 0);
	assert_true(cc_room(c) > 0);
	cc_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ewma),		 cmocka_unit_test(test_due),
		cmocka_unit_test(test_slow_start),	 cmocka_unit_test(test_above_the_cap),
		cmocka_unit_test(test_blocked),		 cmocka_unit_test(test_steady_growth),
		cmocka_unit_test(test_idle_does_not_grow), cmocka_unit_test(test_delta),
		cmocka_unit_test(test_floor_and_rtt_reset), cmocka_unit_test(test_ss_max),
		cmocka_unit_test(test_clock),		 cmocka_unit_test(test_ring),
		cmocka_unit_test(test_odd_params),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
