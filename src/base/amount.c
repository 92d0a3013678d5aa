#include "config.h"

#include <nonos/amount.h>

#include <string.h>

#include <nonos/err.h>

__extension__ typedef unsigned __int128 u128;

static u128 wide(struct amount a)
{
	return (u128)a.hi << 64 | a.lo;
}

static struct amount narrow(u128 v)
{
	return (struct amount){ .hi = (uint64_t)(v >> 64), .lo = (uint64_t)v };
}

int amount_cmp(struct amount a, struct amount b)
{
	u128 x = wide(a), y = wide(b);

	return x < y ? -1 : x > y;
}

int amount_add(struct amount *ret, struct amount a, struct amount b)
{
	u128 sum;

	if (__builtin_add_overflow(wide(a), wide(b), &sum))
		return ERR_RANGE;
	*ret = narrow(sum);
	return 0;
}

int amount_sub(struct amount *ret, struct amount a, struct amount b)
{
	u128 rest;

	if (__builtin_sub_overflow(wide(a), wide(b), &rest))
		return ERR_RANGE;
	*ret = narrow(rest);
	return 0;
}

/* The 256-bit product, as two halves, from four products of 64-bit limbs. */
static void multiply(u128 *ret_high, u128 *ret_low, struct amount a, struct amount b)
{
	u128 low = (u128)a.lo * b.lo, high = (u128)a.hi * b.hi;
	u128 cross1 = (u128)a.lo * b.hi, cross2 = (u128)a.hi * b.lo;
	u128 middle = (low >> 64) + (uint64_t)cross1 + (uint64_t)cross2;

	*ret_low = middle << 64 | (uint64_t)low;
	*ret_high = high + (cross1 >> 64) + (cross2 >> 64) + (middle >> 64);
}

int amount_mul(struct amount *ret, struct amount a, struct amount b)
{
	u128 high, low;

	multiply(&high, &low, a, b);
	if (high)
		return ERR_RANGE;
	*ret = narrow(low);
	return 0;
}

int amount_muldiv(struct amount *ret, struct amount *ret_rest, struct amount a, struct amount b,
		  struct amount divisor)
{
	u128 rest, low, d = wide(divisor), quotient = 0;

	multiply(&rest, &low, a, b);
	if (rest >= d)			/* also when d is zero */
		return ERR_RANGE;
	if (rest == 0) {
		quotient = low / d;
		rest = low % d;
	} else {
		/* Long division; rest < d, so a bit shifted out means that d fits. */
		for (int i = 127; i >= 0; i--) {
			bool carry = rest >> 127;

			rest = rest << 1 | (low >> i & 1);
			if (carry || rest >= d) {
				rest -= d;
				quotient |= (u128)1 << i;
			}
		}
	}
	*ret = narrow(quotient);
	if (ret_rest)
		*ret_rest = narrow(rest);
	return 0;
}

uint64_t amount_isqrt(struct amount a)
{
	u128 v = wide(a);
	uint64_t root = 0;

	for (int i = 63; i >= 0; i--) {
		u128 next = root | (uint64_t)1 << i;

		if (next * next <= v)
			root = (uint64_t)next;
	}
	return root;
}

void amount_store(uint8_t out[AMOUNT_LEN], struct amount a)
{
	for (int i = 0; i < 8; i++) {
		out[i] = (uint8_t)(a.hi >> (56 - 8 * i));
		out[8 + i] = (uint8_t)(a.lo >> (56 - 8 * i));
	}
}

struct amount amount_load(const uint8_t in[AMOUNT_LEN])
{
	struct amount a = { 0 };

	for (int i = 0; i < 8; i++) {
		a.hi = a.hi << 8 | in[i];
		a.lo = a.lo << 8 | in[8 + i];
	}
	return a;
}

/* -- text ------------------------------------------------------------------ */

size_t amount_text(char out[AMOUNT_TEXT_CAP], struct amount a)
{
	char digits[AMOUNT_TEXT_CAP];
	char *p = digits + sizeof(digits);
	u128 v = wide(a);
	size_t len;

	do {
		*--p = (char)('0' + (int)(v % 10));
		v /= 10;
	} while (v);
	len = (size_t)(digits + sizeof(digits) - p);
	memcpy(out, p, len);
	out[len] = '\0';
	return len;
}

static int append_digit(u128 *v, char c)
{
	if (__builtin_mul_overflow(*v, (u128)10, v) || __builtin_add_overflow(*v, (u128)(c - '0'), v))
		return ERR_RANGE;
	return 0;
}

/* How many digits `text` starts with; 0 also for a number with a leading zero. */
static size_t count_digits(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] >= '0' && text[n] <= '9')
		n++;
	return n > 1 && text[0] == '0' ? 0 : n;
}

int amount_parse(struct amount *ret, const char *text, size_t len)
{
	u128 v = 0;

	if (len == 0 || count_digits(text, len) != len)
		return ERR_MALFORMED;
	for (size_t i = 0; i < len; i++)
		if (append_digit(&v, text[i]) < 0)
			return ERR_RANGE;
	*ret = narrow(v);
	return 0;
}

size_t amount_token_text(char out[AMOUNT_TEXT_CAP], struct amount a)
{
	char digits[AMOUNT_TEXT_CAP], padded[AMOUNT_TEXT_CAP + AMOUNT_DECIMALS];
	size_t len = amount_text(digits, a), pad = len > AMOUNT_DECIMALS ? 0 : AMOUNT_DECIMALS + 1 - len, whole;

	memset(padded, '0', pad);
	memcpy(padded + pad, digits, len);
	len += pad;
	whole = len - AMOUNT_DECIMALS;
	while (len > whole && padded[len - 1] == '0')
		len--;
	memcpy(out, padded, whole);
	if (len > whole) {
		out[whole] = '.';
		memcpy(out + whole + 1, padded + whole, len - whole);
		len++;
	}
	out[len] = '\0';
	return len;
}

int amount_token_parse(struct amount *ret, const char *text, size_t len)
{
	size_t whole = count_digits(text, len), decimals = len > whole ? len - whole - 1 : 0;
	u128 v = 0;

	if (whole == 0 || (len > whole && (text[whole] != '.' || decimals == 0 || decimals > AMOUNT_DECIMALS)))
		return ERR_MALFORMED;
	for (size_t i = 0; i < decimals; i++)
		if (text[whole + 1 + i] < '0' || text[whole + 1 + i] > '9')
			return ERR_MALFORMED;
	for (size_t i = 0; i < whole + AMOUNT_DECIMALS; i++) {
		char c = i < whole ? text[i] : i - whole < decimals ? text[i + 1] : '0';

		if (append_digit(&v, c) < 0)
			return ERR_RANGE;
	}
	*ret = narrow(v);
	return 0;
}

int uint256_parse(uint8_t ret[UINT256_LEN], const char *text, size_t len)
{
	uint8_t out[UINT256_LEN] = { 0 };

	if (len == 0 || count_digits(text, len) != len)
		return ERR_MALFORMED;
	if (len > 78)			/* 2^256 has 78 digits */
		return ERR_RANGE;
	if (len <= 38) {		/* and 2^128 has 39: nearly all there are */
		u128 v = 0;

		for (size_t i = 0; i < len; i++)
			v = v * 10 + (unsigned)(text[i] - '0');
		amount_store(out + AMOUNT_LEN, narrow(v));
		memcpy(ret, out, sizeof(out));
		return 0;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned carry = (unsigned)(text[i] - '0');

		for (int j = UINT256_LEN - 1; j >= 0; j--) {
			carry += out[j] * 10u;
			out[j] = (uint8_t)carry;
			carry >>= 8;
		}
		if (carry)
			return ERR_RANGE;
	}
	memcpy(ret, out, sizeof(out));
	return 0;
}
