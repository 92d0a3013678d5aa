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
static const struct { uint8_t to, by; } walk[24] = {
	{ 10, 1 }, { 7, 3 }, { 11, 6 }, { 17, 10 }, { 18, 15 }, { 3, 21 }, { 5, 28 }, { 16, 36 },
	{ 8, 45 }, { 21, 55 }, { 24, 2 }, { 4, 14 }, { 15, 27 }, { 23, 41 }, { 19, 56 }, { 13, 8 },
	{ 12, 25 }, { 2, 43 }, { 20, 62 }, { 14, 18 }, { 22, 39 }, { 9, 61 }, { 6, 20 }, { 1, 44 },
};

static void theta(uint64_t a[25])
{
	uint64_t column[5];

	for (int x = 0; x < 5; x++)
		column[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
	for (int x = 0; x < 5; x++) {
		uint64_t d = column[(x + 4) % 5] ^ rotate(column[(x + 1) % 5], 1);

		for (int y = 0; y < 25; y += 5)
			a[x + y] ^= d;
	}
}

static void rho_pi(uint64_t a[25])
{
	uint64_t carried = a[1];

	for (int i = 0; i < 24; i++) {
		uint64_t old = a[walk[i].to];

		a[walk[i].to] = rotate(carried, walk[i].by);
		carried = old;
	}
}

static void chi(uint64_t a[25])
{
	for (int y = 0; y < 25; y += 5) {
		uint64_t row[5];

		for (int x = 0; x < 5; x++)
			row[x] = a[y + x];
		for (int x = 0; x < 5; x++)
			a[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
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

void keccak256_run_add(struct keccak256_run *k, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		absorb(k, k->used++, p[i]);
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
