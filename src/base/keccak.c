#include "config.h"

#include <nonos/keccak.h>

enum { RATE = 136, ROUNDS = 24 };	/* bytes a block for 256 bits (FIPS 202, 6.1) */

static uint64_t rotate(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

/* The constants of the iota step (FIPS 202, 3.2.5). */
static const uint64_t iota[ROUNDS] = {
	0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
	0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
	0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
	0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
	0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
	0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

/* rho and pi in one walk: lane `to`, turned by `by`, takes what the one before it held. */
#define WALK(X) \
	X(10, 1) X(7, 3) X(11, 6) X(17, 10) X(18, 15) X(3, 21) X(5, 28) X(16, 36) \
	X(8, 45) X(21, 55) X(24, 2) X(4, 14) X(15, 27) X(23, 41) X(19, 56) X(13, 8) \
	X(12, 25) X(2, 43) X(20, 62) X(14, 18) X(22, 39) X(9, 61) X(6, 20) X(1, 44)

/* The steps are written out: as loops they took more than twice the time. */
static inline void theta(uint64_t a[25])
{
	uint64_t c0 = a[0] ^ a[5] ^ a[10] ^ a[15] ^ a[20], c1 = a[1] ^ a[6] ^ a[11] ^ a[16] ^ a[21];
	uint64_t c2 = a[2] ^ a[7] ^ a[12] ^ a[17] ^ a[22], c3 = a[3] ^ a[8] ^ a[13] ^ a[18] ^ a[23];
	uint64_t c4 = a[4] ^ a[9] ^ a[14] ^ a[19] ^ a[24];
	uint64_t d0 = c4 ^ rotate(c1, 1), d1 = c0 ^ rotate(c2, 1), d2 = c1 ^ rotate(c3, 1);
	uint64_t d3 = c2 ^ rotate(c4, 1), d4 = c3 ^ rotate(c0, 1);

	for (int y = 0; y < 25; y += 5) {
		a[y] ^= d0;
		a[y + 1] ^= d1;
		a[y + 2] ^= d2;
		a[y + 3] ^= d3;
		a[y + 4] ^= d4;
	}
}

static inline void rho_pi(uint64_t a[25])
{
	uint64_t carried = a[1], old;

#define STEP(to, by) old = a[to]; a[to] = rotate(carried, by); carried = old;
	WALK(STEP)
#undef STEP
}

static inline void chi(uint64_t a[25])
{
	for (int y = 0; y < 25; y += 5) {
		uint64_t r0 = a[y], r1 = a[y + 1], r2 = a[y + 2], r3 = a[y + 3], r4 = a[y + 4];

		a[y] = r0 ^ (~r1 & r2);
		a[y + 1] = r1 ^ (~r2 & r3);
		a[y + 2] = r2 ^ (~r3 & r4);
		a[y + 3] = r3 ^ (~r4 & r0);
		a[y + 4] = r4 ^ (~r0 & r1);
	}
}

static void permute(uint64_t a[25])
{
	for (int round = 0; round < ROUNDS; round++) {
		theta(a);
		rho_pi(a);
		chi(a);
		a[0] ^= iota[round];
	}
}

static void absorb(struct keccak256_run *k, size_t at, uint8_t byte)
{
	k->lanes[at / 8] ^= (uint64_t)byte << (at % 8 * 8);
}

void keccak256_run_init(struct keccak256_run *k)
{
	*k = (struct keccak256_run){ 0 };
}

/* Lanes are little-endian (FIPS 202, B.1). */
static uint64_t lane(const uint8_t p[8])
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

void keccak256_run_add(struct keccak256_run *k, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		size_t step = k->used % 8 == 0 && len >= 8 ? 8 : 1;

		if (step == 8)
			k->lanes[k->used / 8] ^= lane(p);
		else
			absorb(k, k->used, *p);
		p += step;
		len -= step;
		k->used += step;
		if (k->used == RATE) {
			permute(k->lanes);
			k->used = 0;
		}
	}
}

void keccak256_run_peek(const struct keccak256_run *k, uint8_t out[KECCAK256_LEN])
{
	struct keccak256_run end = *k;

	absorb(&end, end.used, 0x01);	/* SHA3-256 has 0x06 here */
	absorb(&end, RATE - 1, 0x80);
	permute(end.lanes);
	for (int i = 0; i < KECCAK256_LEN; i++)
		out[i] = (uint8_t)(end.lanes[i / 8] >> (i % 8 * 8));
}

void keccak256(uint8_t out[KECCAK256_LEN], const void *data, size_t len)
{
	struct keccak256_run k;

	keccak256_run_init(&k);
	keccak256_run_add(&k, data, len);
	keccak256_run_peek(&k, out);
}
