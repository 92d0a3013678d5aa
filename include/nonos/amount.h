/*
 * Amounts of the token: unsigned 128-bit counts of base units, 10^18 to a
 * token. Every operation is exact or reports that it cannot be: no rounding
 * but the floor that amount_muldiv() names, and no floating point.
 */
#ifndef NONOS_AMOUNT_H
#define NONOS_AMOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct amount {
	uint64_t hi, lo;
};

enum {
	AMOUNT_LEN = 16,		/* bytes of the stored form */
	AMOUNT_DECIMALS = 18,		/* base units of a token, as a power of ten */
	AMOUNT_TEXT_CAP = 41,		/* room for any decimal text here, NUL included */
	UINT256_LEN = 32,
};

static inline struct amount amount_u64(uint64_t v)
{
	return (struct amount){ .lo = v };
}

static inline bool amount_is_zero(struct amount a)
{
	return a.hi == 0 && a.lo == 0;
}

/* Less than, equal to or greater than zero, like memcmp(). */
int amount_cmp(struct amount a, struct amount b);

/* ERR_RANGE when the result does not fit, or would be negative. */
int amount_add(struct amount *ret, struct amount a, struct amount b);
int amount_sub(struct amount *ret, struct amount a, struct amount b);
int amount_mul(struct amount *ret, struct amount a, struct amount b);

/*
 * floor(a * b / divisor), the product in 256 bits. *ret_rest, if not NULL, is
 * what the division leaves. ERR_RANGE for a zero divisor or too large a result.
 */
int amount_muldiv(struct amount *ret, struct amount *ret_rest, struct amount a, struct amount b,
		  struct amount divisor);

/* floor(sqrt(a)): exact, unlike the square root of a double. */
uint64_t amount_isqrt(struct amount a);

/* 16 bytes, big-endian: they sort as the amounts do. */
void amount_store(uint8_t out[AMOUNT_LEN], struct amount a);
struct amount amount_load(const uint8_t in[AMOUNT_LEN]);

/*
 * Decimal text of base units. Reading is strict: digits only, no leading
 * zero, ERR_RANGE above 2^128 - 1. Writing returns the length.
 */
size_t amount_text(char out[AMOUNT_TEXT_CAP], struct amount a);
int amount_parse(struct amount *ret, const char *text, size_t len);

/*
 * Decimal text of tokens, "12.5". Writing leaves out zeros at the end.
 * Reading takes at most 18 digits after the point, and no sign or exponent.
 */
size_t amount_token_text(char out[AMOUNT_TEXT_CAP], struct amount a);
int amount_token_parse(struct amount *ret, const char *text, size_t len);

/* As amount_parse(), for the 256-bit integers of typed data, big-endian. */
int uint256_parse(uint8_t ret[UINT256_LEN], const char *text, size_t len);

#endif
