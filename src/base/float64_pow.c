/*
 * Powers of binary64 numbers, correctly rounded: x^y = 2^(y * log2 x), in fixed point.
 * A power that a double holds, or that lies half-way between two, is found apart, as an
 * integer times a power of two. Any other is not half-way, so enough digits of it tell how to
 * round: first those of 128 bits, and if these do not, of 256.
 */
#include "config.h"

#include <nonos/float64.h>

#include <string.h>

#include <nonos/amount.h>

#include "float64_priv.h"

enum {
	LIMBS_MAX = 4,		/* of 64 bits, the lowest first */
	HALVINGS = 8,		/* of the argument of the exponential series, and squarings after it */
	ERROR_BITS = 18,
};

/* Two formats of n limbs: a fraction, below 1, in units of 2^-64n; and a number below 4 in units of 2^-(64n-2). */
struct wide {
	uint64_t limb[LIMBS_MAX];
};

static const uint64_t one = UINT64_C(1) << 62, two = UINT64_C(1) << 63;	/* highest limbs of a number */

/* ln 2, cut off; the highest n limbs of it are a fraction. */
static const uint64_t ln2[LIMBS_MAX] = {
	UINT64_C(0x8a0d175b8baafa2b), UINT64_C(0x40f343267298b62d), UINT64_C(0xc9e3b39803f2f6af), UINT64_C(0xb17217f7d1cf79ab),
};

/* -- integers of many limbs ---------------------------------------------------------- */

/* floor(a * b / 2^(64n - up)), up from 0 to 63. */
static void multiply(struct wide *ret, const uint64_t *a, const uint64_t *b, int n, int up)
{
	uint64_t product[2 * LIMBS_MAX] = { 0 };

	for (int i = 0; i < n; i++) {
		uint64_t carry = 0;

		for (int j = 0; j < n; j++) {
			u128 v = (u128)a[i] * b[j] + product[i + j] + carry;

			product[i + j] = (uint64_t)v;
			carry = (uint64_t)(v >> 64);
		}
		product[i + n] = carry;
	}
	for (int i = 0; i < n; i++)
		ret->limb[i] = up ? product[n + i] << up | product[n + i - 1] >> (64 - up) : product[n + i];
}

static void divide(struct wide *a, uint64_t by, int n)
{
	uint64_t rest = 0;

	for (int i = n - 1; i >= 0; i--) {
		u128 v = (u128)rest << 64 | a->limb[i];

		a->limb[i] = (uint64_t)(v / by);
		rest = (uint64_t)(v % by);
	}
}

static void add(struct wide *a, const struct wide *b, int n)
{
	bool carry = false;

	for (int i = 0; i < n; i++) {
		u128 v = (u128)a->limb[i] + b->limb[i] + carry;

		a->limb[i] = (uint64_t)v;
		carry = v >> 64;
	}
}

static bool is_zero(const struct wide *a, int n)
{
	uint64_t any = 0;

	for (int i = 0; i < n; i++)
		any |= a->limb[i];
	return any == 0;
}

/* floor(v / 2^by) of a signed integer, in two's complement. */
static void shift_down(uint64_t *v, int n, int by)
{
	uint64_t sign = v[n - 1] >> 63 ? UINT64_MAX : 0;
	int limbs = by / 64, bits = by % 64;

	for (int i = 0; i < n; i++) {
		uint64_t low = i + limbs < n ? v[i + limbs] : sign, high = i + limbs + 1 < n ? v[i + limbs + 1] : sign;

		v[i] = bits ? low >> bits | high << (64 - bits) : low;
	}
}

/* -- logarithm and exponential --------------------------------------------------------- */

/*
 * log2 z of a number 1 <= z < 2, as a fraction. Its next bit is whether z^2 reaches 2.
 * It is low by less than 3 units of a number: a square is low by less than 1 unit, which
 * weighs half as much with each bit, and the bits that are not made are less than 1.
 */
static void log2_of(struct wide *ret, struct wide z, int n)
{
	memset(ret, 0, sizeof(*ret));
	for (int bit = 64 * n - 1; bit >= 2; bit--) {
		multiply(&z, z.limb, z.limb, n, 2);
		if (z.limb[n - 1] < two)
			continue;
		ret->limb[bit / 64] |= UINT64_C(1) << (bit % 64);
		shift_down(z.limb, n, 1);
		z.limb[n - 1] &= ~two;		/* which the shift took for a sign */
	}
}

/*
 * 2^f, a number from 1 to 2, of a fraction: the series of e^v for v = f * ln 2 / 2^HALVINGS,
 * squared as often as v was halved. All that is added is positive and cut off: it is low.
 */
static void exp2_of(struct wide *ret, const struct wide *f, int n)
{
	struct wide v, term = { .limb = { 0 } };

	multiply(&v, f->limb, ln2 + LIMBS_MAX - n, n, 0);
	for (int i = 0; i < n; i++)
		v.limb[i] = v.limb[i] >> HALVINGS | (i + 1 < n ? v.limb[i + 1] << (64 - HALVINGS) : 0);
	term.limb[n - 1] = one;
	*ret = term;
	for (uint64_t i = 1; !is_zero(&term, n); i++) {
		multiply(&term, term.limb, v.limb, n, 0);
		divide(&term, i, n);
		add(ret, &term, n);
	}
	for (int i = 0; i < HALVINGS; i++)
		multiply(ret, ret->limb, ret->limb, n, 2);
}

/* -- the power --------------------------------------------------------------------------- */

/*
 * y * log2 x = whole + fraction, for x = z * 2^exponent. Also low: by less than y times the
 * error of the logarithm and a unit of the fraction.
 */
static int64_t scaled_log(struct wide *fraction, struct float64_parts x, struct float64_parts y, int n)
{
	int64_t exponent = x.e + FLOAT64_DIGITS - 1;
	uint64_t v[LIMBS_MAX + 2], carry = 0;
	struct wide z = { .limb = { 0 } }, log;
	u128 whole;

	z.limb[n - 1] = x.m << 10;
	log2_of(&log, z, n);
	for (int i = 0; i < n; i++) {
		u128 p = (u128)log.limb[i] * y.m + carry;

		v[i] = (uint64_t)p;
		carry = (uint64_t)(p >> 64);
	}
	whole = (u128)y.m * (uint64_t)(exponent < 0 ? -exponent : exponent);
	whole = (exponent < 0 ? -whole : whole) + carry;
	v[n] = (uint64_t)whole;
	v[n + 1] = (uint64_t)(whole >> 64);
	shift_down(v, n + 2, -y.e);		/* y is below 2^7, so y.e is below 0 */
	memcpy(fraction->limb, v, (size_t)n * sizeof(v[0]));
	return (int64_t)v[n];
}

static struct float64 round_wide(const struct wide *a, int64_t exponent, int n)
{
	u128 high = (u128)a->limb[n - 1] << 64 | a->limb[n - 2];

	return float64_round(false, high, exponent - 126, n > 2 && (a->limb[0] | a->limb[n - 3]));
}

/*
 * The power with n limbs. True if the rounding is decided: the exact value is not below what is
 * computed, and above it by less than 2^17 units of a number. (Of these, 2^9 at most come from the
 * logarithm, whose error y makes up to 100 times as large; a term of the series is low by 3 units,
 * of which there are at most 30, and the squarings make that 2^HALVINGS times as large, and twice for the
 * value being up to 2.) When both ends round to one double, so does all between.
 */
static bool pow_wide(struct float64 *ret, struct float64_parts x, struct float64_parts y, int n)
{
	struct wide fraction, low, high = { .limb = { UINT64_C(1) << ERROR_BITS } };
	int64_t exponent = scaled_log(&fraction, x, y, n);

	exp2_of(&low, &fraction, n);
	add(&high, &low, n);
	*ret = round_wide(&low, exponent, n);
	return ret->bits == round_wide(&high, exponent, n).bits;
}

/*
 * The power when it has at most 54 bits, so that a double may hold it or two be equally near.
 * With x = odd * 2^e and y = q / 2^s, q odd, it is rational only if x is a square s times over.
 */
static bool pow_exact(struct float64 *ret, struct float64_parts x, struct float64_parts y)
{
	int zeros = __builtin_ctzll(x.m), s = -y.e - __builtin_ctzll(y.m);
	const uint64_t limit = (UINT64_C(1) << (FLOAT64_DIGITS + 1)) - 1;
	uint64_t odd = x.m >> zeros, q = y.m >> __builtin_ctzll(y.m), root, power = 1;
	int e = x.e + zeros;

	for (; s > 0; s--) {
		root = amount_isqrt(amount_u64(odd));
		if (root * root != odd || e % 2)
			return false;
		odd = root;
		e /= 2;
	}
	q <<= -s;
	for (uint64_t i = 0; i < q && odd > 1; i++) {
		if (power > limit / odd)
			return false;
		power *= odd;
	}
	*ret = float64_round(false, power, (int64_t)e * (int64_t)q, false);
	return true;
}

struct float64 float64_pow(struct float64 x, struct float64 y)
{
	const struct float64 zero = { 0 }, most = float64_of_u64(FLOAT64_POW_MAX);
	struct float64_parts p, q;
	struct float64 ret;

	if (float64_is_nan(x) || float64_is_nan(y) || float64_less(x, zero) || float64_less(y, zero) || float64_less(most, y))
		return FLOAT64_NAN;
	if (!float64_less(zero, y) || x.bits == FLOAT64_ONE.bits)
		return FLOAT64_ONE;
	if (!float64_less(zero, x))
		return zero;
	if (!float64_is_finite(x))
		return x;
	p = float64_split(x);
	q = float64_split(y);
	if (pow_exact(&ret, p, q))
		return ret;
	for (int n = 2; n <= LIMBS_MAX; n *= 2)
		if (pow_wide(&ret, p, q, n))
			break;
	return ret;
}
