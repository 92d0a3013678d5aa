#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/amount.h>
#include <nonos/err.h>

#include "vectors.h"

static struct amount from(const char *text)
{
	struct amount a;

	assert_int_equal(amount_parse(&a, text, strlen(text)), 0);
	return a;
}

static void check(struct amount a, const char *text)
{
	char out[AMOUNT_TEXT_CAP];

	assert_int_equal(amount_text(out, a), strlen(text));
	assert_string_equal(out, text);
}

static const char max_text[] = "340282366920938463463374607431768211455";

static void text_both_ways(void **state)
{
	static const char *const good[] = { "0", "7", "18446744073709551615", "18446744073709551616",
					    "800000000000000000000000000", max_text };
	static const char *const bad[] = { "", "-1", "+1", "01", "00", "1.0", "1e3", " 1", "1 ", "0x1", "1a" };
	struct amount a = amount_u64(5);
	(void)state;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		check(from(good[i]), good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(amount_parse(&a, bad[i], strlen(bad[i])), ERR_MALFORMED);
	assert_int_equal(amount_parse(&a, "340282366920938463463374607431768211456", 39), ERR_RANGE);
	assert_int_equal(amount_parse(&a, "3402823669209384634633746074317682114550", 40), ERR_RANGE);
	check(a, "5");
}

static void tokens_both_ways(void **state)
{
	static const char *const pairs[][2] = {
		{ "0", "0" }, { "1", "1000000000000000000" }, { "12.5", "12500000000000000000" },
		{ "0.000000000000000001", "1" }, { "800000000", "800000000000000000000000000" },
		{ "340282366920938463463.374607431768211455", max_text },
	};
	static const char *const bad[] = { "", ".5", "5.", "1.0000000000000000001", "01.5", "1,5", "-1", "1.5 ", "1..5" };
	char out[AMOUNT_TEXT_CAP];
	struct amount a;
	(void)state;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		assert_int_equal(amount_token_parse(&a, pairs[i][0], strlen(pairs[i][0])), 0);
		check(a, pairs[i][1]);
		assert_int_equal(amount_token_text(out, a), strlen(pairs[i][0]));
		assert_string_equal(out, pairs[i][0]);
	}
	assert_int_equal(amount_token_parse(&a, "1.500", 5), 0);
	check(a, "1500000000000000000");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(amount_token_parse(&a, bad[i], strlen(bad[i])), ERR_MALFORMED);
	assert_int_equal(amount_token_parse(&a, "340282366920938463464", 21), ERR_RANGE);
}

static void arithmetic_is_checked(void **state)
{
	struct amount max = from(max_text), a = amount_u64(9);
	(void)state;

	assert_int_equal(amount_add(&a, max, amount_u64(1)), ERR_RANGE);
	assert_int_equal(amount_sub(&a, amount_u64(1), amount_u64(2)), ERR_RANGE);
	assert_int_equal(amount_mul(&a, max, amount_u64(2)), ERR_RANGE);
	assert_int_equal(amount_mul(&a, from("18446744073709551616"), from("18446744073709551616")), ERR_RANGE);
	check(a, "9");
	assert_int_equal(amount_add(&a, from("18446744073709551615"), amount_u64(1)), 0);
	check(a, "18446744073709551616");
	assert_int_equal(amount_sub(&a, a, amount_u64(1)), 0);
	check(a, "18446744073709551615");
	assert_int_equal(amount_mul(&a, a, from("18446744073709551617")), 0);
	check(a, max_text);
	assert_true(amount_cmp(max, amount_u64(1)) > 0 && amount_cmp(amount_u64(1), max) < 0 && amount_cmp(max, a) == 0);
}

static void muldiv_is_exact(void **state)
{
	struct amount max = from(max_text), a = amount_u64(0), rest;
	(void)state;

	assert_int_equal(amount_muldiv(&a, &rest, max, max, max), 0);
	check(a, max_text);
	assert_true(amount_is_zero(rest));
	/* Python: divmod((2**128 - 1) * (10**27 + 3), 2**127 + 12345) */
	assert_int_equal(amount_muldiv(&a, &rest, max, from("1000000000000000000000000003"),
				       from("170141183460469231731687303715884118073")), 0);
	check(a, "2000000000000000000000000005");
	check(rest, "170141158769469231731687303715884044000");
	/* A divisor near 2^128: what is left of it overflows when it is doubled. */
	assert_int_equal(amount_muldiv(&a, &rest, max, from("340282366920938463463374607421768211448"),
				       from("340282366920938463463374607430768211455")), 0);
	check(a, "340282366920938463463374607422768211447");
	check(rest, "340282366920938463454374607423768211455");
	assert_int_equal(amount_muldiv(&a, &rest, amount_u64(7), amount_u64(3), amount_u64(4)), 0);
	check(a, "5");
	check(rest, "1");
	assert_int_equal(amount_muldiv(&a, NULL, max, amount_u64(2), amount_u64(1)), ERR_RANGE);
	assert_int_equal(amount_muldiv(&a, NULL, max, max, from("340282366920938463463374607431768211454")), ERR_RANGE);
	assert_int_equal(amount_muldiv(&a, NULL, amount_u64(0), amount_u64(0), amount_u64(0)), ERR_RANGE);
	check(a, "5");
}

/* q * d + rest == a * b for many sizes of operands, in arithmetic modulo 2^64 and by bounds. */
static void muldiv_divides(void **state)
{
	uint64_t x = 88172645463325252u;
	(void)state;

	for (int i = 0; i < 20000; i++) {
		struct amount v[3], q, rest;
		unsigned shift;

		for (int j = 0; j < 3; j++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			shift = (unsigned)(x * 0xd1342543de82ef95u >> 58);
			v[j] = (struct amount){ .hi = (x & 1) ? x >> shift : 0, .lo = x * 0x9e3779b97f4a7c15u };
		}
		if (amount_muldiv(&q, &rest, v[0], v[1], v[2]) < 0)
			continue;
		assert_true(amount_cmp(rest, v[2]) < 0);
		assert_true(q.lo * v[2].lo + rest.lo == v[0].lo * v[1].lo);
	}
}

static void square_roots(void **state)
{
	json_t *doc = vectors_load("isqrt.json"), *c;
	size_t i;
	(void)state;

	json_array_foreach(json_object_get(doc, "cases"), i, c) {
		struct amount n = from(json_string_value(json_object_get(c, "n")));

		check(amount_u64(amount_isqrt(n)), json_string_value(json_object_get(c, "r")));
	}
	assert_true(i > 200);
	json_decref(doc);
}

static void stored_form_sorts(void **state)
{
	static const char *const rising[] = { "0", "1", "255", "256", "18446744073709551615", "18446744073709551616", max_text };
	uint8_t a[AMOUNT_LEN], b[AMOUNT_LEN];
	(void)state;

	for (size_t i = 0; i + 1 < sizeof(rising) / sizeof(rising[0]); i++) {
		amount_store(a, from(rising[i]));
		amount_store(b, from(rising[i + 1]));
		assert_true(memcmp(a, b, sizeof(a)) < 0);
		check(amount_load(a), rising[i]);
	}
	check(amount_load(b), max_text);
}

static void uint256_text(void **state)
{
	static const char max[] = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
	static const char over[] = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
	uint8_t out[UINT256_LEN];
	(void)state;

	assert_int_equal(uint256_parse(out, max, strlen(max)), 0);
	for (size_t i = 0; i < sizeof(out); i++)
		assert_int_equal(out[i], 0xff);
	assert_int_equal(uint256_parse(out, over, strlen(over)), ERR_RANGE);
	assert_int_equal(uint256_parse(out, "01", 2), ERR_MALFORMED);
	assert_int_equal(uint256_parse(out, "", 0), ERR_MALFORMED);
	assert_int_equal(out[0], 0xff);
	assert_int_equal(uint256_parse(out, "258", 3), 0);
	assert_true(out[0] == 0 && out[30] == 1 && out[31] == 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_both_ways),
		cmocka_unit_test(tokens_both_ways),
		cmocka_unit_test(arithmetic_is_checked),
		cmocka_unit_test(muldiv_is_exact),
		cmocka_unit_test(muldiv_divides),
		cmocka_unit_test(square_roots),
		cmocka_unit_test(stored_form_sorts),
		cmocka_unit_test(uint256_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
