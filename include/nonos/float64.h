/*
 * IEEE 754 binary64 numbers, rounded to nearest, ties to even, made of integers.
 * A formula that is defined in doubles and that two nodes must agree on is computed
 * with these: no compiler contracts them, no processor flag, option for speed or
 * C library changes their last bit. The bits are those of a C double.
 */
#ifndef NONOS_FLOAT64_H
#define NONOS_FLOAT64_H

#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct float64 {
	uint64_t bits;
};

#define FLOAT64_ONE ((struct float64){ UINT64_C(0x3ff) << 52 })

_Static_assert(FLT_RADIX == 2 && DBL_MANT_DIG == 53 && DBL_MAX_EXP == 1024 && sizeof(double) == sizeof(uint64_t),
	       "a double is not an IEEE 754 binary64, so what a JSON reader makes of a fraction is not one either");

/* Copied, not computed: for what a library hands over as a double, and for what is shown. */
static inline struct float64 float64_of_double(double v)
{
	struct float64 f;

	memcpy(&f.bits, &v, sizeof(v));
	return f;
}

static inline double float64_double(struct float64 f)
{
	double v;

	memcpy(&v, &f.bits, sizeof(v));
	return v;
}

/* Exact below 2^53; the nearest above. */
struct float64 float64_of_u64(uint64_t v);

/* All of IEEE 754: zeros have signs, what is too large is infinite, 0 * infinity is not a number. */
struct float64 float64_add(struct float64 a, struct float64 b);
struct float64 float64_sub(struct float64 a, struct float64 b);
struct float64 float64_mul(struct float64 a, struct float64 b);
struct float64 float64_div(struct float64 a, struct float64 b);

/* What is not a number is not less than anything, nor is anything less than it. */
bool float64_less(struct float64 a, struct float64 b);
bool float64_is_finite(struct float64 a);
bool float64_is_nan(struct float64 a);

/* The integer part. ERR_RANGE for what is negative, not a number, or 2^53 and above. */
int float64_floor(uint64_t *ret, struct float64 a);

/*
 * x to the power of y, correctly rounded: the double that is nearest to the exact
 * value, also among subnormal numbers; 0 below half of the smallest, infinite above the
 * largest. For x from 0 to infinity and y from 0 to FLOAT64_POW_MAX; not a number for others.
 * Anything to the power of 0 is 1, and so is 1 to any; 0 to any other power is 0.
 */
enum { FLOAT64_POW_MAX = 100 };
struct float64 float64_pow(struct float64 x, struct float64 y);

#endif
