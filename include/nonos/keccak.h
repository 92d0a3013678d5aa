/*
 * Keccak-256 as Ethereum uses it: the sponge of FIPS 202 with the padding of
 * the original submission, so not SHA3-256.
 */
#ifndef NONOS_KECCAK_H
#define NONOS_KECCAK_H

#include <stddef.h>
#include <stdint.h>

enum { KECCAK256_LEN = 32 };

/* A running digest, copyable by assignment. */
struct keccak256_run {
	uint64_t lanes[25];
	size_t used;		/* bytes of the open block taken in */
};

void keccak256_run_init(struct keccak256_run *k);
void keccak256_run_add(struct keccak256_run *k, const void *data, size_t len);

/* Give the digest of what was added so far, and leave the run as it is. */
void keccak256_run_peek(const struct keccak256_run *k, uint8_t out[KECCAK256_LEN]);

void keccak256(uint8_t out[KECCAK256_LEN], const void *data, size_t len);

#endif
