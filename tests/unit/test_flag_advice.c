#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/daemon/flag_advice.h"

enum { DAY = 86400, N = 3 };

static const uint32_t plain = FLAG_RUNNING | FLAG_VALID | FLAG_FAST | FLAG_V2DIR;

/* Three votes that see a young relay: two days old, 1 MB/s, Fast but not Stable. */
static void fill(struct vote_status votes[N])
{
	for (size_t i = 0; i < N; i++)
		votes[i] = (struct vote_status){
			.good = true,
			.vote = {
				.listed = true, .flags = plain, .has_thresholds = true, .has_stats = true,
				.bandwidth_kb = 5000, .has_measured = true, .measured_kb = 1000,
				.wfu_ppm = 995000, .tk_s = 2 * DAY, .mtbf_s = 2 * DAY,
				.thresholds = {
					.fast_speed = 100000, .stable_mtbf_s = 5 * DAY, .guard_tk_s = 8 * DAY,
					.guard_wfu_ppm = 980000, .guard_bw_inc_exits = 2000000,
					.guard_bw_exc_exits = 3000000,
				},
			},
		};
}

static const struct flag_advice *get(struct flag_advice a[FLAG_ADVICE_N], const char *name)
{
	for (size_t i = 0; i < FLAG_ADVICE_N; i++)
		if (strcmp(a[i].name, name) == 0)
			return &a[i];
	fail_msg("no advice on %s", name);
	return NULL;
}

static void expect(const struct flag_advice *a, const char *words)
{
	if (!strstr(a->needs, words))
		fail_msg("%s: \"%s\" lacks \"%s\"", a->name, a->needs, words);
}

static void test_young_relay(void **state)
{
	struct flag_advice a[FLAG_ADVICE_N];
	struct vote_status votes[N];
	struct flag_facts f = { .listed = true, .flags = plain, .dir_cache = true, .votes = votes, .n_votes = N };
	const struct flag_advice *guard;

	(void)state;
	fill(votes);
	flag_advice(a, &f);
	assert_true(get(a, "Fast")->given);
	assert_string_equal(get(a, "Fast")->needs, "");
	assert_int_equal(get(a, "Fast")->votes, 3);
	assert_int_equal(get(a, "Fast")->voters, 3);
	expect(get(a, "Stable"), "mean time between failures of 5 days; this relay's is 2 days");
	assert_int_equal(get(a, "Stable")->wait_s, 3 * DAY);
	guard = get(a, "Guard");
	assert_false(guard->given);
	expect(guard, "the flag Stable first");
	expect(guard, "for 8 days; so far 2 days");
	expect(guard, "2000 kB/s; the authorities count 1000 kB/s");
	assert_null(strstr(guard->needs, "% of the time"));
	assert_int_equal(guard->wait_s, 6 * DAY);
	expect(get(a, "HSDir"), "not offered");
	expect(get(a, "Exit"), "no exit");
}

/* One authority that sees it differently does not decide. */
static void test_majority(void **state)
{
	struct flag_advice a[FLAG_ADVICE_N];
	struct vote_status votes[N];
	struct flag_facts f = { .listed = true, .flags = plain | FLAG_STABLE, .dir_cache = true, .votes = votes, .n_votes = N };

	(void)state;
	fill(votes);
	for (size_t i = 0; i < N; i++) {
		votes[i].vote.tk_s = i ? 9 * DAY : 0;
		votes[i].vote.measured_kb = i ? 9000 : 1;
		votes[i].vote.flags |= i == 1 ? FLAG_GUARD : 0;
	}
	flag_advice(a, &f);
	assert_int_equal(get(a, "Guard")->votes, 1);
	expect(get(a, "Guard"), "nothing that the votes show");
	assert_int_equal(get(a, "Guard")->wait_s, -1);
	votes[0].good = false;
	flag_advice(a, &f);
	assert_int_equal(get(a, "Guard")->voters, 2);
}

static void test_without_votes(void **state)
{
	struct flag_advice a[FLAG_ADVICE_N];
	struct vote_status votes[N];
	struct flag_facts f = { .listed = true, .flags = FLAG_RUNNING | FLAG_VALID };

	(void)state;
	flag_advice(a, &f);
	expect(get(a, "Guard"), "--votes");
	expect(get(a, "Fast"), "--votes");
	expect(get(a, "V2Dir"), "dir_cache = yes");
	f.listed = false;
	flag_advice(a, &f);
	assert_false(get(a, "Running")->given);
	expect(get(a, "Running"), "reach the OR port");
	expect(get(a, "Guard"), "listed first");
	/* Numbers of whatever size. */
	fill(votes);
	for (size_t i = 0; i < N; i++) {
		votes[i].vote.tk_s = INT64_MAX;
		votes[i].vote.measured_kb = INT64_MAX;
		votes[i].vote.thresholds.guard_tk_s = INT64_MAX;
		votes[i].vote.thresholds.stable_mtbf_s = INT64_MAX;
	}
	f = (struct flag_facts){ .listed = true, .votes = votes, .n_votes = N };
	flag_advice(a, &f);
	assert_true(get(a, "Stable")->wait_s > 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_young_relay), cmocka_unit_test(test_majority), cmocka_unit_test(test_without_votes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
