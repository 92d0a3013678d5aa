/*
 * Arithmetic modulo p = 2^255 - 19, just enough to turn a point in Edwards
 * form into its Montgomery u. libsodium multiplies the base point a good deal
 * faster in Edwards form than with its X25519 ladder, and every circuit
 * handshake makes a fresh key pair; only this conversion is missing there.
 * All values here are public keys. Numbers are five limbs of 51 bits.
 */
#include "config.h"

#include <stdint.h>

#include "crypto_priv.h"

#ifdef __SIZEOF_INT128__

typedef unsigned __int128 u128;

#define LIMB_MASK ((UINT64_C(1) << 51) - 1)

struct fe {
	uint64_t v[5];
};

static const struct fe fe_one = { { 1, 0, 0, 0, 0 } };

static uint64_t load_le64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

/* The top bit, which is the sign of x in a point's encoding, is left out. */
static struct fe fe_load(const uint8_t in[32])
{
	return (struct fe){ {
		load_le64(in) & LIMB_MASK,
		load_le64(in + 6) >> 3 & LIMB_MASK,
		load_le64(in + 12) >> 6 & LIMB_MASK,
		load_le64(in + 19) >> 1 & LIMB_MASK,
		load_le64(in + 24) >> 12 & LIMB_MASK,
	} };
}

/* Bring every limb below 2^51, but for a rest in the lowest one. */
static struct fe fe_carry(struct fe a)
{
	uint64_t c = 0;

	for (int i = 0; i < 5; i++) {
		a.v[i] += c;
		c = a.v[i] >> 51;
		a.v[i] &= LIMB_MASK;
	}
	a.v[0] += 19 * c;	/* 2^255 = 19 */
	return a;
}

static void store_le64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* The one encoding of a number below p. */
static void fe_store(uint8_t out[32], struct fe a)
{
	uint64_t over = 19, c;
	const uint64_t *v = a.v;

	a = fe_carry(fe_carry(a));
	/* Now below 2^255: adding 19 reaches that exactly when a >= p; then a - p = a + 19 - 2^255. */
	for (int i = 0; i < 5; i++)
		over = (a.v[i] + over) >> 51;
	c = 19 * over;
	for (int i = 0; i < 5; i++) {
		a.v[i] += c;
		c = a.v[i] >> 51;
		a.v[i] &= LIMB_MASK;
	}
	store_le64(out, v[0] | v[1] << 51);
	store_le64(out + 8, v[1] >> 13 | v[2] << 38);
	store_le64(out + 16, v[2] >> 26 | v[3] << 25);
	store_le64(out + 24, v[3] >> 39 | v[4] << 12);
}

static struct fe fe_add(struct fe a, const struct fe *b)
{
	for (int i = 0; i < 5; i++)
		a.v[i] += b->v[i];
	return fe_carry(a);
}

/* a - b, with 2p added so that no limb goes below zero; b is carried. */
static struct fe fe_sub(struct fe a, const struct fe *b)
{
	a.v[0] += 2 * (LIMB_MASK - 18) - b->v[0];
	for (int i = 1; i < 5; i++)
		a.v[i] += 2 * LIMB_MASK - b->v[i];
	return fe_carry(a);
}

static struct fe fe_mul(const struct fe *a, const struct fe *b)
{
	const uint64_t *x = a->v, *y = b->v;
	const uint64_t y1 = 19 * y[1], y2 = 19 * y[2], y3 = 19 * y[3], y4 = 19 * y[4];
	u128 r[5] = {
		(u128)x[0] * y[0] + (u128)x[1] * y4 + (u128)x[2] * y3 + (u128)x[3] * y2 + (u128)x[4] * y1,
		(u128)x[0] * y[1] + (u128)x[1] * y[0] + (u128)x[2] * y4 + (u128)x[3] * y3 + (u128)x[4] * y2,
		(u128)x[0] * y[2] + (u128)x[1] * y[1] + (u128)x[2] * y[0] + (u128)x[3] * y4 + (u128)x[4] * y3,
		(u128)x[0] * y[3] + (u128)x[1] * y[2] + (u128)x[2] * y[1] + (u128)x[3] * y[0] + (u128)x[4] * y4,
		(u128)x[0] * y[4] + (u128)x[1] * y[3] + (u128)x[2] * y[2] + (u128)x[3] * y[1] + (u128)x[4] * y[0],
	};
	struct fe out;
	uint64_t c = 0;

	for (int i = 0; i < 5; i++) {
		r[i] += c;
		c = (uint64_t)(r[i] >> 51);
		out.v[i] = (uint64_t)r[i] & LIMB_MASK;
	}
	out.v[0] += 19 * c;
	out.v[1] += out.v[0] >> 51;
	out.v[0] &= LIMB_MASK;
	return out;
}

/* a^(2^n) * b */
static struct fe fe_square_mul(struct fe a, int n, const struct fe *b)
{
	while (n--)
		a = fe_mul(&a, &a);
	return fe_mul(&a, b);
}

/* a^(p - 2), which is 1/a, and 0 for 0. Names tell the exponent: z_n is a^(2^n - 1). */
static struct fe fe_invert(const struct fe *a)
{
	struct fe z_2 = fe_square_mul(*a, 1, a);
	struct fe z_4 = fe_square_mul(z_2, 2, &z_2);
	struct fe z_5 = fe_square_mul(z_4, 1, a);
	struct fe z_10 = fe_square_mul(z_5, 5, &z_5);
	struct fe z_20 = fe_square_mul(z_10, 10, &z_10);
	struct fe z_40 = fe_square_mul(z_20, 20, &z_20);
	struct fe z_50 = fe_square_mul(z_40, 10, &z_10);
	struct fe z_100 = fe_square_mul(z_50, 50, &z_50);
	struct fe z_200 = fe_square_mul(z_100, 100, &z_100);
	struct fe z_250 = fe_square_mul(z_200, 50, &z_50);
	struct fe top = fe_square_mul(z_250, 2, a);

	/* p - 2 = (2^250 - 1) * 2^5 + 11 = ((2^250 - 1) * 2^2 + 1) * 2^3 + 3 */
	return fe_square_mul(top, 3, &z_2);
}

void crypto_montgomery_u(uint8_t ret_u[32], const uint8_t point[32])
{
	struct fe y = fe_load(point), above = fe_add(fe_one, &y), below = fe_sub(fe_one, &y);

	below = fe_invert(&below);
	fe_store(ret_u, fe_mul(&above, &below));
}

#endif
