#include "config.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>
#include <nonos/float64.h>

#include "vectors.h"

/* Its digits are looked at, besides what they are rounded to. */
#include "../../src/base/float64_pow.c"

static uint64_t seed = UINT64_C(88172645463325252);

static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * UINT64_C(2685821657736338717);
}

static struct float64 of_bits(uint64_t bits)
{
	return (struct float64){ bits };
}

/* Any bits, or of about the size of 1, or with few digits, or at an end of the range. */
static struct float64 some(void)
{
	static const uint64_t ends[] = { 0, 1, UINT64_C(0xfffffffffffff), UINT64_C(1) << 52, UINT64_C(0x7fefffffffffffff),
					 UINT64_C(0x7ff) << 52, UINT64_C(0xfff) << 51, UINT64_C(0x3ff) << 52, UINT64_C(0x43e) << 52 };
	uint64_t bits = next(), kind = next() % 8;

	if (kind < 3)
		bits = bits >> 12 | (bits & 1) << 63 | (UINT64_C(0x3ff) - 60 + next() % 120) << 52;
	else if (kind < 5)
		bits = (bits & UINT64_C(0x8007000000000000)) | (UINT64_C(0x3ff) - 60 + next() % 120) << 52 | (next() & 3);
	else if (kind == 5)
		bits = ends[next() % (sizeof(ends) / sizeof(ends[0]))] ^ (bits & UINT64_C(1) << 63);
	else if (kind == 6)
		bits &= UINT64_C(0x807fffffffffffff);
	return of_bits(bits);
}

static void expect(struct float64 got, double want, const char *what, struct float64 a, struct float64 b)
{
	if (isnan(want) ? float64_is_nan(got) : got.bits == float64_of_double(want).bits)
		return;
	fail_msg("%a %s %a: got %a, want %a", float64_double(a), what, float64_double(b), float64_double(got), want);
}

/* The processor's arithmetic is IEEE 754 too, where it has no wider registers. */
static void as_the_processor(void **state)
{
	(void)state;

	if (FLT_EVAL_METHOD != 0)
		skip();
	for (int i = 0; i < 400000; i++) {
		struct float64 a = some(), b = i % 16 ? some() : of_bits(a.bits ^ (next() & (UINT64_C(1) << 63 | 3)));
		volatile double x = float64_double(a), y = float64_double(b), result;
		uint64_t whole = 7;
		int r;

		result = x + y;
		expect(float64_add(a, b), result, "+", a, b);
		result = x - y;
		expect(float64_sub(a, b), result, "-", a, b);
		result = x * y;
		expect(float64_mul(a, b), result, "*", a, b);
		result = x / y;
		expect(float64_div(a, b), result, "/", a, b);
		assert_int_equal(float64_less(a, b), x < y);
		assert_int_equal(float64_is_finite(a), isfinite(x) != 0);
		r = float64_floor(&whole, a);
		if (x >= 0 && x < 9007199254740992.0)
			assert_true(r == 0 && whole == (uint64_t)x);
		else
			assert_true(r == ERR_RANGE && whole == 7);
		whole = next() >> next() % 64;
		result = (double)whole;
		expect(float64_of_u64(whole), result, "of", a, b);
	}
}

/* Rounding by hand: half a unit goes to the even side, a little more goes up. */
static void rounds(void **state)
{
	struct float64 half = of_bits(UINT64_C(0x3ca) << 52), third = float64_div(FLOAT64_ONE, float64_of_u64(3));
	uint64_t whole;
	(void)state;

	assert_true(float64_add(FLOAT64_ONE, half).bits == FLOAT64_ONE.bits);
	assert_true(float64_add(of_bits(FLOAT64_ONE.bits + 1), half).bits == FLOAT64_ONE.bits + 2);
	assert_true(float64_add(FLOAT64_ONE, of_bits(half.bits + 1)).bits == FLOAT64_ONE.bits + 1);
	assert_true(third.bits == UINT64_C(0x3fd5555555555555));
	assert_true(float64_of_u64(UINT64_C(0x20000000000001)).bits == UINT64_C(0x4340000000000000));
	assert_true(float64_of_u64(UINT64_MAX).bits == UINT64_C(0x43f0000000000000));
	assert_int_equal(float64_floor(&whole, of_bits(UINT64_C(0x433fffffffffffff))), 0);
	assert_true(whole == (UINT64_C(1) << 53) - 1);
	assert_int_equal(float64_floor(&whole, of_bits(UINT64_C(0x4340000000000000))), ERR_RANGE);
}

/* -- powers ------------------------------------------------------------------------- */

static struct float64 bits_at(const json_t *row, size_t i)
{
	const char *hex = json_string_value(json_array_get(row, i));
	uint8_t b[8];
	uint64_t bits = 0;

	if (!hex || hex_decode(b, sizeof(b), hex, strlen(hex)) < 0)
		fail_msg("pow.json: not 16 digits");
	for (size_t j = 0; j < sizeof(b); j++)
		bits = bits << 8 | b[j];
	return of_bits(bits);
}

static void powers(void **state)
{
	json_t *doc = vectors_load("pow.json"), *row;
	size_t i, n = 0;
	(void)state;

	json_array_foreach(json_object_get(doc, "cases"), i, row) {
		struct float64 x = bits_at(row, 0), y = bits_at(row, 1);

		expect(float64_pow(x, y), float64_double(bits_at(row, 2)), "^", x, y);
		n++;
	}
	assert_true(n > 2500);
	json_decref(doc);
}

/* The highest n limbs of a number of the file. */
static struct wide number_at(const json_t *row, size_t i, int n)
{
	const char *hex = json_string_value(json_array_get(row, i));
	struct wide v = { .limb = { 0 } };
	uint8_t b[8 * LIMBS_MAX];

	if (!hex || hex_decode(b, sizeof(b), hex, strlen(hex)) < 0)
		fail_msg("pow.json: not %zu digits", 2 * sizeof(b));
	for (int j = 0; j < 8 * n; j++)
		v.limb[n - 1 - j / 8] = v.limb[n - 1 - j / 8] << 8 | b[j];
	return v;
}

/* With few limbs or many: never above the exact value, and below it by less than is said. */
static void digits(void **state)
{
	json_t *doc = vectors_load("pow.json"), *row;
	size_t i, n_rows = 0;
	(void)state;

	json_array_foreach(json_object_get(doc, "digits"), i, row) {
		for (int n = 2; n <= LIMBS_MAX; n++) {
			struct wide fraction, low, rest = number_at(row, 2, n);
			int64_t e = scaled_log(&fraction, float64_split(bits_at(row, 0)), float64_split(bits_at(row, 1)), n);

			assert_int_equal(e, json_integer_value(json_array_get(row, 3)));
			exp2_of(&low, &fraction, n);
			for (int j = 0; j < n; j++)
				low.limb[j] = ~low.limb[j];
			add(&rest, &low, n);
			add(&rest, &(struct wide){ .limb = { 1 } }, n);		/* exact - low */
			if (rest.limb[0] >> 17)
				fail_msg("digits %zu with %d limbs: %" PRIu64 " units below", i, n, rest.limb[0]);
			for (int j = 1; j < n; j++)
				assert_true(rest.limb[j] == 0);
		}
		n_rows++;
	}
	assert_true(n_rows > 200);
	json_decref(doc);
}

/* That of the C library is rounded wrongly at times, but is never far off. */
static void as_the_library(void **state)
{
	int differ = 0;
	(void)state;

	for (int i = 0; i < 60000; i++) {
		struct float64 x = i % 3 ? float64_of_u64(next() >> (11 + next() % 53)) : of_bits(next() % (UINT64_C(0x7ff) << 52));
		struct float64 y = float64_mul(of_bits(UINT64_C(0x405) << 52 | next() >> 12), of_bits((UINT64_C(0x3ff) - next() % 70) << 52));
		int64_t off;

		if (float64_less(float64_of_u64(FLOAT64_POW_MAX), y))
			y = float64_of_u64(FLOAT64_POW_MAX);
		off = (int64_t)(float64_pow(x, y).bits - float64_of_double(pow(float64_double(x), float64_double(y))).bits);
		if (off > 1 || off < -1)
			fail_msg("%a ^ %a: %" PRId64 " units apart", float64_double(x), float64_double(y), off);
		differ += off != 0;
	}
	assert_true(differ < 600);
}

static void outside(void **state)
{
	const struct float64 minus = of_bits(UINT64_C(0xbff) << 52), square = float64_of_u64(2), nan = of_bits(UINT64_C(0x7ff8) << 48);
	(void)state;

	assert_true(float64_is_nan(float64_pow(minus, square)));
	assert_true(float64_is_nan(float64_pow(square, minus)));
	assert_true(float64_is_nan(float64_pow(square, float64_of_u64(101))));
	assert_true(float64_is_nan(float64_pow(nan, square)));
	assert_true(float64_is_nan(float64_pow(square, nan)));
	assert_true(float64_pow(square, of_bits(UINT64_C(1) << 63)).bits == FLOAT64_ONE.bits);
	assert_true(float64_pow(of_bits(UINT64_C(1) << 63), square).bits == 0);
}

/* -- texts --------------------------------------------------------------------------- */

/* What the JSON library makes of fractions: the nearest double, ties to even, however many digits. */
static void texts(void **state)
{
	static const struct { const char *text; uint64_t bits; } cases[] = {
		{ "0.1", 0x3fb999999999999a }, { "0.7", 0x3fe6666666666666 }, { "1.85", 0x3ffd99999999999a },
		{ "0.14", 0x3fc1eb851eb851ec }, { "7e-1", 0x3fe6666666666666 }, { "-0.0", 0x8000000000000000 },
		{ "9007199254740993.0", 0x4340000000000000 }, { "9007199254740995.0", 0x4340000000000002 },
		{ "9007199254740993.0000000000000000000000000000000000000000000000000000000000000000000000000001", 0x4340000000000001 },
		{ "1.00000000000000011102230246251565404236316680908203125", 0x3ff0000000000000 },
		{ "1.00000000000000011102230246251565404236316680908203124", 0x3ff0000000000000 },
		{ "1.00000000000000011102230246251565404236316680908203126", 0x3ff0000000000001 },
		{ "1.00000000000000033306690738754696212708950042724609375", 0x3ff0000000000002 },
		{ "2.2250738585072011e-308", 0x000fffffffffffff }, { "2.2250738585072012e-308", 0x0010000000000000 },
		{ "2.4703282292062327e-324", 0 }, { "2.4703282292062328e-324", 1 }, { "1e-400", 0 },
		{ "1.7976931348623158e308", 0x7fefffffffffffff },
	};
	static const char *const locales[] = { "C", "de_DE.UTF-8", "fr_FR.UTF-8", "tr_TR.UTF-8" };
	(void)state;

	for (size_t l = 0; l < sizeof(locales) / sizeof(locales[0]); l++) {
		if (!setlocale(LC_ALL, locales[l]))
			continue;
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			json_t *v = json_loads(cases[i].text, JSON_DECODE_ANY, NULL);

			if (!json_is_real(v) || float64_of_double(json_real_value(v)).bits != cases[i].bits)
				fail_msg("%s in the locale %s: %a", cases[i].text, locales[l], json_real_value(v));
			json_decref(v);
		}
	}
	setlocale(LC_ALL, "C");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_the_processor), cmocka_unit_test(rounds), cmocka_unit_test(powers),
		cmocka_unit_test(digits),
		cmocka_unit_test(as_the_library), cmocka_unit_test(outside), cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
