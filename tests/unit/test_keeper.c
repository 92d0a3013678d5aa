/* The keeper's pure parts: address finding, bandwidth history, shares of limits, back-off. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/clock.h>
#include <nonos/err.h>

#include "../../src/daemon/bandwidth.h"
#include "../../src/daemon/own_addr.h"
#include "../../src/daemon/team.h"

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(&a, text, strlen(text)), 0);
	return a;
}

static void hear(struct own_addr *o, const char *text, uint8_t source, uint64_t now_ms)
{
	uint8_t id[20] = { source };
	struct addr a = ip(text);

	a.port = 4242;	/* a port is not part of it */
	own_addr_add(o, &a, id, now_ms);
}

static void expect_addr(const struct own_addr *o, const char *text, const char *current, uint64_t now_ms)
{
	struct addr got, want, now;
	bool chosen;

	if (current)
		now = ip(current);
	chosen = own_addr_choose(o, &got, current ? &now : NULL, now_ms);
	assert_int_equal(chosen, text != NULL);
	if (!text)
		return;
	want = ip(text);
	assert_true(addr_eq(&got, &want));
}

static void test_clock_step(void **state)
{
	struct clock_watch w = { 0 };

	(void)state;
	clock_set_manual(5000, 1795323600);
	assert_int_equal(clock_step(&w), 0);
	clock_advance_ms(3600 * 1000);
	assert_int_equal(clock_step(&w), 0);
	clock_set_manual(3605 * 1000, 1795323600 + 3600 + 86400);	/* a day forward */
	assert_int_equal(clock_step(&w), 86400);
	clock_advance_ms(1000);
	assert_int_equal(clock_step(&w), 0);
	clock_set_manual(3607 * 1000, 1795323600 + 3602);
	assert_int_equal(clock_step(&w), -86400);
}

static void test_own_addr(void **state)
{
	struct own_addr o = { 0 };

	(void)state;
	expect_addr(&o, NULL, NULL, 0);
	hear(&o, "1.1.1.1", 1, 1000);
	expect_addr(&o, NULL, NULL, 1000);
	expect_addr(&o, NULL, NULL, 1000 + OWN_ADDR_ALONE_MS - 1);
	expect_addr(&o, "1.1.1.1", NULL, 1000 + OWN_ADDR_ALONE_MS);
	/* Repeating itself is no second voice, nor does it start the wait anew. */
	hear(&o, "1.1.1.1", 1, 5000);
	expect_addr(&o, "1.1.1.1", NULL, 1000 + OWN_ADDR_ALONE_MS);
	hear(&o, "2.2.2.2", 2, 6000);
	expect_addr(&o, NULL, NULL, 1000000);	/* one against one */
	hear(&o, "2.2.2.2", 3, 7000);
	expect_addr(&o, "2.2.2.2", NULL, 7000);
	/* What was believed goes only for more and at least two. */
	expect_addr(&o, "2.2.2.2", "1.1.1.1", 7000);
	hear(&o, "1.1.1.1", 4, 8000);
	expect_addr(&o, NULL, "1.1.1.1", 8000);
	expect_addr(&o, NULL, "2.2.2.2", 8000);
	/* An authority that changes its mind has one voice all the same. */
	hear(&o, "1.1.1.1", 2, 9000);
	expect_addr(&o, "1.1.1.1", "2.2.2.2", 9000);
	assert_int_equal(o.n, 4);
	for (int i = 10; i < 100; i++)
		hear(&o, "9.9.9.9", (uint8_t)i, 10000);
	assert_int_equal(o.n, OWN_ADDR_VOICES);
}

static void test_observed(void **state)
{
	struct bandwidth b;
	int64_t now = 1800000000;
	uint64_t read = 0, written = 0;

	(void)state;
	bandwidth_init(&b, now);
	bandwidth_update(&b, now, 0, 0);
	/* Nine seconds are no window yet, whatever they carried. */
	for (int i = 0; i < 9; i++)
		bandwidth_update(&b, ++now, read += 1000, written += 700);
	assert_int_equal(bandwidth_observed(&b), 0);
	bandwidth_update(&b, ++now, read += 1000, written += 700);
	assert_int_equal(bandwidth_observed(&b), 700);
	/* One second's burst counts as a tenth. */
	bandwidth_update(&b, ++now, read += 21000, written += 20700);
	assert_int_equal(bandwidth_observed(&b), 2700);
	for (int i = 0; i < 100; i++)
		bandwidth_update(&b, ++now, read, written);
	assert_int_equal(bandwidth_observed(&b), 2700);
	/* The keeper was held up for five seconds: the bytes belong to all of them. */
	bandwidth_update(&b, now += 5, read += 50000, written += 50000);
	assert_int_equal(bandwidth_observed(&b), 5000);
	/* Held up for longer than a window: nothing can be said about any ten seconds. */
	bandwidth_update(&b, now += 60, read += 5000000, written += 5000000);
	assert_int_equal(bandwidth_observed(&b), 5000);
	/* After five days it is forgotten. */
	for (int i = 0; i < 6; i++)
		bandwidth_update(&b, now += BANDWIDTH_DAY_S, read, written);
	assert_int_equal(bandwidth_observed(&b), 0);
}

static void test_history(void **state)
{
	struct bandwidth b;
	int64_t start = 1800000000;

	(void)state;
	bandwidth_init(&b, start);
	bandwidth_update(&b, start + 10, 100, 50);
	assert_int_equal(b.n_days, 0);
	bandwidth_update(&b, start + BANDWIDTH_DAY_S, 300, 70);
	assert_int_equal(b.n_days, 1);
	assert_int_equal(b.read_days[0], 100);
	assert_int_equal(b.write_days[0], 50);
	assert_int_equal(b.read_today, 200);
	assert_int_equal(bandwidth_history_end(&b), start + BANDWIDTH_DAY_S);
	for (int i = 2; i < 9; i++)
		bandwidth_update(&b, start + i * BANDWIDTH_DAY_S, 300 + (uint64_t)i, 70);
	assert_int_equal(b.n_days, BANDWIDTH_DAYS);
	assert_int_equal(b.read_days[BANDWIDTH_DAYS - 1], 1);
	assert_int_equal(bandwidth_history_end(&b), start + 8 * BANDWIDTH_DAY_S);
	/* Set ten days ahead and back by somebody, it keeps all; see keeper.c. */
	bandwidth_clock_set(&b, 10 * BANDWIDTH_DAY_S);
	bandwidth_update(&b, start + 18 * BANDWIDTH_DAY_S + 5, 308, 70);
	assert_int_equal(b.n_days, BANDWIDTH_DAYS);
	assert_int_equal(b.read_days[BANDWIDTH_DAYS - 1], 1);
	bandwidth_clock_set(&b, -10 * BANDWIDTH_DAY_S);
	bandwidth_update(&b, start + 8 * BANDWIDTH_DAY_S + 6, 308, 70);
	assert_int_equal(bandwidth_history_end(&b), start + 8 * BANDWIDTH_DAY_S);
	/* Years later it begins anew instead of making years of days. */
	bandwidth_update(&b, start + 4000ll * BANDWIDTH_DAY_S, 400, 80);
	assert_int_equal(b.n_days, 0);
	assert_int_equal(b.read_today, 92);
	/* A clock that is behind, as after a start without a battery clock, loses nothing. */
	bandwidth_update(&b, start, 500, 90);
	assert_int_equal(b.read_today, 192);
	assert_int_equal(bandwidth_history_end(&b), start);
	bandwidth_update(&b, -5, 600, 90);
	assert_int_equal(b.read_today, 192);
}

static void test_bandwidth_text(void **state)
{
	static const char *const bad[] = {
		"", "nonos bandwidth 1\n", "nonos bandwidth 2\nday-end 1\n",
		"nonos bandwidth 1\nday-end 1800000000\ntoday 1 2\n",
		"nonos bandwidth 1\nday-end 1800000000\ntoday 1 2 3\npeak 1 1\npeak 1 1\npeak 1 1\npeak 1 1\npeak 1 1\n",
		"nonos bandwidth 1\nday-end -4\ntoday 1 2\npeak 1 1\npeak 1 1\npeak 1 1\npeak 1 1\npeak 1 1\n",
		"nonos bandwidth 1\nday-end 1800000000\ntoday 1 99999999999999999999\n",
		"nonos bandwidth 1\nday-end 1800000000\npeak 1 1\npeak 1 1\npeak 1 1\npeak 1 1\npeak 1 1\npeak 1 1\n",
	};
	struct bandwidth b, again;
	int64_t start = 1800000000;
	char text[BANDWIDTH_TEXT_CAP], dir[] = "/tmp/nonos-bw-XXXXXX", path[64];
	size_t len;

	(void)state;
	bandwidth_init(&b, start);
	for (int i = 0; i < 300; i++)
		bandwidth_update(&b, start + i, (uint64_t)i * 1000, (uint64_t)i * 2000);
	bandwidth_update(&b, start + BANDWIDTH_DAY_S + 5, 300000, 600000);
	len = bandwidth_format(text, &b);
	assert_true(len < sizeof(text));
	assert_int_equal(bandwidth_parse(&again, text, len, start + BANDWIDTH_DAY_S + 60), 0);
	assert_int_equal(bandwidth_observed(&again), 1000);
	assert_int_equal(again.n_days, 1);
	assert_int_equal(again.read_days[0], b.read_days[0]);
	assert_int_equal(again.day_end_s, b.day_end_s);
	/* After a restart the totals begin at nothing and are all new. */
	bandwidth_update(&again, start + BANDWIDTH_DAY_S + 61, 10, 10);
	assert_int_equal(again.read_today, b.read_today + 10);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (bandwidth_parse(&again, bad[i], strlen(bad[i]), start) != ERR_MALFORMED)
			fail_msg("accepted %s", bad[i]);
	for (size_t cut = 0; cut + 20 < len; cut++)
		assert_true(bandwidth_parse(&again, text, cut, start) <= 0);

	assert_non_null(mkdtemp(dir));
	assert_int_equal(bandwidth_load(&again, dir, start), ERR_NOT_FOUND);
	assert_int_equal(bandwidth_save(&b, dir), 0);
	assert_int_equal(bandwidth_load(&again, dir, start + BANDWIDTH_DAY_S), 0);
	assert_int_equal(again.write_days[0], b.write_days[0]);
	snprintf(path, sizeof(path), "%s/bandwidth", dir);
	unlink(path);
	rmdir(dir);
	assert_int_equal(bandwidth_save(&b, dir), ERR_IO);
}

static void test_backoff(void **state)
{
	(void)state;
	assert_int_equal(team_backoff_ms(0), 200);
	assert_int_equal(team_backoff_ms(1), 400);
	assert_int_equal(team_backoff_ms(7), 25600);
	assert_int_equal(team_backoff_ms(8), 30000);
	assert_int_equal(team_backoff_ms(4000000000u), 30000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock_step), cmocka_unit_test(test_own_addr), cmocka_unit_test(test_observed), cmocka_unit_test(test_history),
		cmocka_unit_test(test_bandwidth_text), cmocka_unit_test(test_backoff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
