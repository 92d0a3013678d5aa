/* Taking binary64 numbers apart, and putting them together with one rounding. */
#ifndef BASE_FLOAT64_PRIV_H
#define BASE_FLOAT64_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include <nonos/float64.h>

__extension__ typedef unsigned __int128 u128;

enum {
	FLOAT64_DIGITS = 53,		/* bits of a significand */
	FLOAT64_LEAST = -1022,		/* exponent of the smallest normal number */
	FLOAT64_MOST = 1023,		/* and of the largest */
};

#define FLOAT64_INFINITE (UINT64_C(0x7ff) << 52)
#define FLOAT64_NAN ((struct float64){ UINT64_C(0xfff) << 51 })

/* A finite number other than zero: m * 2^e without its sign, 2^52 <= m < 2^53, subnormal ones too. */
struct float64_parts {
	uint64_t m;
	int e;
};

struct float64_parts float64_split(struct float64 a);

/*
 * The nearest to m * 2^e, m not 0; to a little more than that when `more`, by less than
 * one unit of m, which then has at least 55 bits.
 */
struct float64 float64_round(bool negative, u128 m, int64_t e, bool more);

#endif
