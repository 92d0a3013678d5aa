/* Sums, products and quotients of binary64 numbers: each is made exactly, then rounded once. */
#include "config.h"

#include <nonos/float64.h>

#include <nonos/err.h>

#include "float64_priv.h"

static bool is_negative(struct float64 a)
{
	return a.bits >> 63;
}

static uint64_t magnitude(struct float64 a)
{
	return a.bits << 1 >> 1;
}

static struct float64 with_sign(bool negative, uint64_t bits)
{
	return (struct float64){ (uint64_t)negative << 63 | bits };
}

bool float64_is_finite(struct float64 a)
{
	return magnitude(a) < FLOAT64_INFINITE;
}

bool float64_is_nan(struct float64 a)
{
	return magnitude(a) > FLOAT64_INFINITE;
}

struct float64_parts float64_split(struct float64 a)
{
	uint64_t m = magnitude(a) & ((UINT64_C(1) << 52) - 1);
	int biased = (int)(magnitude(a) >> 52), shift;

	if (biased)
		return (struct float64_parts){ m | UINT64_C(1) << 52, biased - 1075 };
	shift = __builtin_clzll(m) - 11;
	return (struct float64_parts){ m << shift, -1074 - shift };
}

static int leading_zeros(u128 v)
{
	return v >> 64 ? __builtin_clzll((uint64_t)(v >> 64)) : 64 + __builtin_clzll((uint64_t)v);
}

/*
 * m is moved to the top of its 128 bits; what is kept of it lies above `drop` bits. A
 * carry out of what is kept goes into the exponent, from the largest number into infinity,
 * as the layout of the bits has it.
 */
struct float64 float64_round(bool negative, u128 m, int64_t e, bool more)
{
	const u128 half = (u128)1 << 127;
	int shift = leading_zeros(m);
	int64_t exponent = e + 127 - shift, drop = 128 - FLOAT64_DIGITS;
	uint64_t kept, biased = 0;
	u128 rest;

	m <<= shift;
	if (exponent > FLOAT64_MOST)
		return with_sign(negative, FLOAT64_INFINITE);
	if (exponent < FLOAT64_LEAST)
		drop += FLOAT64_LEAST - exponent;
	else
		biased = (uint64_t)(exponent - FLOAT64_LEAST);
	if (drop > 128)
		return with_sign(negative, 0);
	kept = drop == 128 ? 0 : (uint64_t)(m >> drop);
	rest = drop == 128 ? m : m << (128 - drop);
	if (rest > half || (rest == half && (more || (kept & 1))))
		kept++;
	return with_sign(negative, (biased << 52) + kept);
}

struct float64 float64_of_u64(uint64_t v)
{
	return v ? float64_round(false, v, 0, false) : with_sign(false, 0);
}

/* -- sums ---------------------------------------------------------------------- */

/* Of finite numbers other than zero, a at least as large as b. */
static struct float64 add_smaller(struct float64 a, struct float64 b)
{
	struct float64_parts p = float64_split(a), q = float64_split(b);
	u128 x = (u128)p.m << 64, y = (u128)q.m << 64;
	int distance = p.e - q.e;
	bool more = distance > 64 && (distance >= 128 || y << (128 - distance) != 0);

	y = distance >= 128 ? 0 : y >> distance;
	if (is_negative(a) == is_negative(b))
		return float64_round(is_negative(a), x + y, p.e - 64, more);
	x -= y + more;		/* y was cut off: one too much is taken away, and `more` gives of it back */
	return x ? float64_round(is_negative(a), x, p.e - 64, more) : with_sign(false, 0);
}

struct float64 float64_add(struct float64 a, struct float64 b)
{
	if (float64_is_nan(a) || float64_is_nan(b))
		return FLOAT64_NAN;
	if (!float64_is_finite(a))
		return float64_is_finite(b) || a.bits == b.bits ? a : FLOAT64_NAN;
	if (!float64_is_finite(b))
		return b;
	if (magnitude(a) == 0 && magnitude(b) == 0)
		return with_sign(is_negative(a) && is_negative(b), 0);
	if (magnitude(a) == 0)
		return b;
	if (magnitude(b) == 0)
		return a;
	return magnitude(a) < magnitude(b) ? add_smaller(b, a) : add_smaller(a, b);
}

struct float64 float64_sub(struct float64 a, struct float64 b)
{
	return float64_add(a, with_sign(!is_negative(b), magnitude(b)));
}

/* -- products and quotients ------------------------------------------------------ */

struct float64 float64_mul(struct float64 a, struct float64 b)
{
	bool negative = is_negative(a) != is_negative(b);
	struct float64_parts p, q;

	if (float64_is_nan(a) || float64_is_nan(b))
		return FLOAT64_NAN;
	if (!float64_is_finite(a) || !float64_is_finite(b))
		return magnitude(a) && magnitude(b) ? with_sign(negative, FLOAT64_INFINITE) : FLOAT64_NAN;
	if (magnitude(a) == 0 || magnitude(b) == 0)
		return with_sign(negative, 0);
	p = float64_split(a);
	q = float64_split(b);
	return float64_round(negative, (u128)p.m * q.m, p.e + q.e, false);
}

struct float64 float64_div(struct float64 a, struct float64 b)
{
	bool negative = is_negative(a) != is_negative(b);
	struct float64_parts p, q;
	u128 x;

	if (float64_is_nan(a) || float64_is_nan(b) || (!float64_is_finite(a) && !float64_is_finite(b)) ||
	    (magnitude(a) == 0 && magnitude(b) == 0))
		return FLOAT64_NAN;
	if (!float64_is_finite(a) || magnitude(b) == 0)
		return with_sign(negative, FLOAT64_INFINITE);
	if (!float64_is_finite(b) || magnitude(a) == 0)
		return with_sign(negative, 0);
	p = float64_split(a);
	q = float64_split(b);
	x = (u128)p.m << 64;
	return float64_round(negative, x / q.m, p.e - q.e - 64, x % q.m != 0);
}

/* -- questions ------------------------------------------------------------------- */

bool float64_less(struct float64 a, struct float64 b)
{
	if (float64_is_nan(a) || float64_is_nan(b) || (magnitude(a) == 0 && magnitude(b) == 0))
		return false;
	if (is_negative(a) != is_negative(b))
		return is_negative(a);
	return is_negative(a) ? magnitude(a) > magnitude(b) : magnitude(a) < magnitude(b);
}

int float64_floor(uint64_t *ret, struct float64 a)
{
	struct float64_parts p;

	if (magnitude(a) == 0) {
		*ret = 0;
		return 0;
	}
	if (is_negative(a) || !float64_is_finite(a))
		return ERR_RANGE;
	p = float64_split(a);
	if (p.e > 0)
		return ERR_RANGE;
	*ret = p.e <= -FLOAT64_DIGITS ? 0 : p.m >> -p.e;
	return 0;
}
