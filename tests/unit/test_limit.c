#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/limit.h>
#include <nonos/rand.h>

enum { SECOND = 1000000 };

static void test_bucket(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 100, 250, 5 * SECOND);
	assert_int_equal(bucket_level(&b), 250);
	bucket_take(&b, 200);
	assert_int_equal(bucket_level(&b), 50);
	bucket_take(&b, 51);					/* all there is */
	assert_int_equal(bucket_level(&b), 0);
	bucket_refill(&b, 5 * SECOND + 9999);			/* a unit is 10 ms */
	assert_int_equal(bucket_level(&b), 0);
	assert_int_equal(bucket_wait_us(&b, 1), 1);
	bucket_refill(&b, 5 * SECOND + 10000);
	assert_int_equal(bucket_level(&b), 1);
	bucket_refill(&b, 6 * SECOND);
	assert_int_equal(bucket_level(&b), 100);
	bucket_refill(&b, 5 * SECOND);				/* a clock that stands or steps back gives nothing */
	bucket_refill(&b, 6 * SECOND);
	assert_int_equal(bucket_level(&b), 100);
	bucket_refill(&b, 60 * SECOND);
	assert_int_equal(bucket_level(&b), 250);
}

static void test_bucket_wait(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 3, 10, 0);
	assert_int_equal(bucket_wait_us(&b, 10), 0);
	bucket_take(&b, 10);
	assert_int_equal(bucket_wait_us(&b, 1), 333334);	/* rounded up */
	assert_int_equal(bucket_wait_us(&b, 10), 3333334);
	assert_int_equal(bucket_wait_us(&b, 1000), 3333334);	/* no more than the burst ever comes */
	for (uint64_t now = 0; bucket_wait_us(&b, 7); bucket_refill(&b, now)) {
		assert_true(bucket_level(&b) < 7);
		now += bucket_wait_us(&b, 7);
	}
	assert_int_equal(bucket_level(&b), 7);
}

static void test_bucket_unlimited(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 0, 0, 0);
	assert_true(bucket_level(&b) == UINT64_MAX);
	bucket_take(&b, UINT64_MAX);
	assert_true(bucket_level(&b) == UINT64_MAX);
	assert_int_equal(bucket_wait_us(&b, UINT64_MAX), 0);
	bucket_set(&b, 10, 20);					/* from unlimited: full */
	assert_int_equal(bucket_level(&b), 20);
	bucket_take(&b, 5);
	bucket_set(&b, 10, 12);
	assert_int_equal(bucket_level(&b), 12);
	bucket_take(&b, 5);
	bucket_set(&b, 10, 100);				/* what is saved stays */
	assert_int_equal(bucket_level(&b), 7);
	bucket_set(&b, 50, 1);					/* a burst below the rate is the rate */
	bucket_refill(&b, 100 * SECOND);
	assert_int_equal(bucket_level(&b), 50);
	bucket_set(&b, 0, 0);
	assert_true(bucket_level(&b) == UINT64_MAX);
}

/* However the time is cut, exactly rate * time comes out. */
static void test_bucket_no_drift(void **state)
{
	static const uint64_t rates[] = { 1, 3, 7, 999983, 10485760, 123456789012 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		uint64_t now = 0, got = 0;
		struct bucket b;

		bucket_init(&b, rates[i], 4 * rates[i], 0);	/* never runs over */
		bucket_take(&b, UINT64_MAX);
		while (now < 1000 * (uint64_t)SECOND) {
			uint64_t step = 1 + rand_below(i % 2 ? 400000 : 1500000), level;

			now = now + step > 1000 * (uint64_t)SECOND ? 1000 * (uint64_t)SECOND : now + step;
			bucket_refill(&b, now);
			level = bucket_level(&b);
			got += level;
			bucket_take(&b, level);
		}
		assert_true(got == 1000 * rates[i]);
	}
}

/* Values far beyond any use stay sane; a rate counts up to 10^12. */
static void test_bucket_huge(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, UINT64_MAX, UINT64_MAX, 0);
	bucket_take(&b, UINT64_MAX);
	assert_int_equal(bucket_level(&b), 0);
	assert_int_equal(bucket_wait_us(&b, 1000000000000), SECOND);
	assert_int_equal(bucket_wait_us(&b, 1000000000001), SECOND + 1);
	bucket_refill(&b, UINT64_MAX);
	assert_true(bucket_level(&b) == UINT64_MAX);
	bucket_init(&b, 1, UINT64_MAX, 0);
	bucket_take(&b, UINT64_MAX);
	assert_true(bucket_wait_us(&b, UINT64_MAX) == UINT64_MAX);
	bucket_refill(&b, UINT64_MAX);
	assert_true(bucket_level(&b) == UINT64_MAX / SECOND);
}

/* Waiting exactly as long as told is enough, and a microsecond less is not. */
static void test_bucket_wait_exact(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint64_t rate = 1 + rand_below(i % 2 ? 50 : 2000000000), n = 1 + rand_below(1000), wait;
		struct bucket b, early;

		bucket_init(&b, rate, 2000, 0);
		bucket_take(&b, UINT64_MAX);
		bucket_refill(&b, rand_below(SECOND / 10));
		wait = bucket_wait_us(&b, n);
		early = b;
		if (wait) {
			bucket_refill(&early, b.last_us + wait - 1);
			assert_true(bucket_level(&early) < n);
		}
		bucket_refill(&b, b.last_us + wait);
		assert_true(bucket_level(&b) >= n);
	}
}

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(&a, text, strlen(text)), 0);
	return a;
}

static void test_links(void **state)
{
	const struct relay_limits limits = { .links_per_addr = 2 };
	struct limiter *l = limiter_new(&limits);
	struct addr a = ip("192.0.2.1"), b = ip("192.0.2.2"), mapped = ip("::ffff:192.0.2.1");
	struct addr c = ip("2001:db8:1:2::1"), d = ip("2001:db8:1:2:ffff::9"), e = ip("2001:db8:1:3::1");

	(void)state;
	a.port = 5;
	assert_int_equal(limiter_link_open(l, &a), 0);
	a.port = 6;						/* the port does not matter */
	assert_int_equal(limiter_link_open(l, &a), 0);
	assert_int_equal(limiter_link_open(l, &a), ERR_LIMIT);
	assert_int_equal(limiter_link_open(l, &mapped), ERR_LIMIT);	/* the same address */
	assert_int_equal(limiter_link_open(l, &b), 0);
	limiter_link_closed(l, &a);
	assert_int_equal(limiter_link_open(l, &mapped), 0);
	assert_int_equal(limiter_link_open(l, &a), ERR_LIMIT);

	assert_int_equal(limiter_link_open(l, &c), 0);
	assert_int_equal(limiter_link_open(l, &d), 0);		/* one /64 */
	assert_int_equal(limiter_link_open(l, &c), ERR_LIMIT);
	assert_int_equal(limiter_link_open(l, &e), 0);		/* another */
	limiter_link_closed(l, &c);
	limiter_link_closed(l, &c);
	limiter_link_closed(l, &c);				/* one too many does no harm */
	assert_int_equal(limiter_link_open(l, &d), 0);
	limiter_free(l);
	limiter_free(NULL);
}

static void test_circuits(void **state)
{
	const struct relay_limits limits = { .links_per_addr = 5, .create_rate = 2, .create_burst = 10 };
	struct limiter *l = limiter_new(&limits);
	struct addr a = ip("192.0.2.1"), b = ip("192.0.2.2");
	unsigned n = 0;

	(void)state;
	clock_set_manual(1000, 0);
	assert_int_equal(limiter_link_open(l, &a), 0);
	while (limiter_circuit(l, &a, clock_now_us()))
		n++;
	assert_int_equal(n, 10);
	assert_true(limiter_circuit(l, &b, clock_now_us()));	/* others are not touched */

	/* Opening a new link does not fill the bucket again. */
	limiter_link_closed(l, &a);
	limiter_expire(l, clock_now_us());
	assert_int_equal(limiter_link_open(l, &a), 0);
	assert_false(limiter_circuit(l, &a, clock_now_us()));
	clock_advance_ms(500);
	assert_true(limiter_circuit(l, &a, clock_now_us()));
	assert_false(limiter_circuit(l, &a, clock_now_us()));

	/* Once the bucket is full again the address is as good as new. */
	limiter_link_closed(l, &a);
	clock_advance_ms(5000);
	limiter_expire(l, clock_now_us());
	for (n = 0; limiter_circuit(l, &a, clock_now_us()); n++)
		;
	assert_int_equal(n, 10);
	limiter_free(l);
}

/* How often an address may come, whatever becomes of its links. */
static void test_link_rate(void **state)
{
	const struct relay_limits limits = { .links_per_addr = 100, .link_rate = 4, .link_burst = 10 };
	const struct relay_limits none = { .links_per_addr = 100 };
	struct limiter *l = limiter_new(&limits);
	struct addr a = ip("192.0.2.1"), b = ip("192.0.2.2"), c = ip("2001:db8:1:2::1"), d = ip("2001:db8:1:2::2");
	unsigned n = 0;

	(void)state;
	clock_set_manual(1000, 0);
	while (limiter_link(l, &a, clock_now_us())) {
		assert_int_equal(limiter_link_open(l, &a), 0);
		limiter_link_closed(l, &a);
		n++;
	}
	assert_int_equal(n, 10);
	assert_true(limiter_link(l, &b, clock_now_us()));
	for (n = 0; limiter_link(l, n % 2 ? &c : &d, clock_now_us()); n++)
		;
	assert_int_equal(n, 10);				/* one /64 */
	/* Forgotten only when it says nothing any more. */
	limiter_expire(l, clock_now_us());
	assert_false(limiter_link(l, &a, clock_now_us()));
	clock_advance_ms(250);
	assert_true(limiter_link(l, &a, clock_now_us()));
	assert_false(limiter_link(l, &a, clock_now_us()));
	clock_advance_ms(3000);
	limiter_expire(l, clock_now_us());
	for (n = 0; limiter_link(l, &a, clock_now_us()); n++)
		;
	assert_int_equal(n, 10);
	limiter_set_limits(l, &none);
	assert_true(limiter_link(l, &a, clock_now_us()));
	limiter_free(l);
}

static void test_no_limits(void **state)
{
	const struct relay_limits none = { .links_per_addr = 0 }, some = { .links_per_addr = 3, .create_rate = 1 };
	struct limiter *l = limiter_new(&none);
	struct addr a = ip("192.0.2.1");

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(limiter_link_open(l, &a), 0);
		assert_true(limiter_circuit(l, &a, 1));
	}
	limiter_set_limits(l, &some);				/* counted all along */
	assert_int_equal(limiter_link_open(l, &a), ERR_LIMIT);
	for (int i = 0; i < 998; i++)
		limiter_link_closed(l, &a);
	assert_int_equal(limiter_link_open(l, &a), 0);
	assert_int_equal(limiter_link_open(l, &a), ERR_LIMIT);
	assert_true(limiter_circuit(l, &a, 1));
	assert_false(limiter_circuit(l, &a, 1));
	limiter_free(l);
}

static struct addr numbered(uint32_t n)
{
	return (struct addr){ .family = ADDR_V4, .ip = { 10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n } };
}

/* Full is full: new addresses are refused, known ones are served, and places come free. */
static void test_bounded(void **state)
{
	enum { MANY = 70000 };
	const struct relay_limits limits = { .links_per_addr = 2, .create_rate = 1, .create_burst = 1 };
	struct limiter *l = limiter_new(&limits);
	uint32_t taken = 0;
	struct addr a;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		a = numbered(i);
		if (limiter_link_open(l, &a) == 0)
			taken++;
	}
	assert_int_equal(taken, 65536);
	a = numbered(MANY - 1);
	assert_int_equal(limiter_link_open(l, &a), ERR_LIMIT);
	assert_false(limiter_circuit(l, &a, 1));
	a = numbered(7);
	assert_int_equal(limiter_link_open(l, &a), 0);
	assert_true(limiter_circuit(l, &a, 1));
	limiter_link_closed(l, &a);
	limiter_link_closed(l, &a);				/* its bucket is not full: the place is kept */
	a = numbered(MANY - 1);
	assert_int_equal(limiter_link_open(l, &a), ERR_LIMIT);
	limiter_expire(l, SECOND + 1);
	assert_int_equal(limiter_link_open(l, &a), 0);
	for (uint32_t i = 0; i < MANY; i++) {
		a = numbered(i);
		limiter_link_closed(l, &a);
	}
	for (uint32_t i = MANY; i < MANY + 65536; i++) {
		a = numbered(i);
		assert_int_equal(limiter_link_open(l, &a), 0);
	}
	limiter_free(l);
}

/* Against a plain model: a thousand addresses opening and closing at random. */
static void test_model(void **state)
{
	enum { ADDRS = 1000, STEPS = 100000, MOST = 4 };
	const struct relay_limits limits = { .links_per_addr = MOST };
	struct limiter *l = limiter_new(&limits);
	static unsigned open[ADDRS];

	(void)state;
	for (int i = 0; i < STEPS; i++) {
		uint32_t n = rand_below(ADDRS);
		struct addr a = numbered(n * 257);

		if (rand_below(2)) {
			assert_int_equal(limiter_link_open(l, &a), open[n] == MOST ? ERR_LIMIT : 0);
			open[n] += open[n] < MOST;
		} else {
			limiter_link_closed(l, &a);
			open[n] -= open[n] > 0;
		}
		if (i % 1000 == 0)
			limiter_expire(l, (uint64_t)i);
	}
	limiter_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bucket), cmocka_unit_test(test_bucket_wait),
		cmocka_unit_test(test_bucket_unlimited), cmocka_unit_test(test_bucket_no_drift),
		cmocka_unit_test(test_bucket_huge), cmocka_unit_test(test_bucket_wait_exact),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_circuits), cmocka_unit_test(test_link_rate), cmocka_unit_test(test_no_limits),
		cmocka_unit_test(test_bounded), cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
