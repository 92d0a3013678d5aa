/*
 * Keys from pass phrases. What these cost is a parameter, and often one from
 * a stranger's file: the limits bound it, at some seconds
 * of one core and 1 GiB.
 */
#ifndef NONOS_KDF_H
#define NONOS_KDF_H

#include <stddef.h>
#include <stdint.h>

enum {
	KDF_MEMORY_MAX = 1 << 30,		/* bytes */
	KDF_SCRYPT_WORK_MAX = 1 << 24,		/* n * r * p: the usual 2^18 * 8 is 2^21 */
	KDF_SCRYPT_LANES_MAX = 1 << 18,		/* r * p */
	KDF_PBKDF2_ROUNDS_MAX = 1 << 24,
	KDF_ARGON2_PASSES_MAX = 64,
	KDF_ARGON2_SALT_LEN = 16,
};

/* ERR_RANGE when `n` is no power of two above 1, when r or p is zero or a limit is passed. */
int kdf_scrypt_check(uint32_t n, uint32_t r, uint32_t p);

/* scrypt (RFC 7914). ERR_RANGE as above; ERR_LIMIT when the memory is not to be had. */
int kdf_scrypt(uint8_t *out, size_t out_len, const void *pass, size_t pass_len,
	       const void *salt, size_t salt_len, uint32_t n, uint32_t r, uint32_t p);

/* PBKDF2-HMAC-SHA256 (RFC 8018). ERR_RANGE for rounds of 0 or above the limit. */
int kdf_pbkdf2(uint8_t *out, size_t out_len, const void *pass, size_t pass_len,
	       const void *salt, size_t salt_len, uint32_t rounds);

/*
 * Argon2id (RFC 9106), version 0x13, one lane. `memory_kib` is at least 8.
 * ERR_RANGE for what is outside of that or the limits; ERR_LIMIT for want of memory.
 */
int kdf_argon2id(uint8_t *out, size_t out_len, const void *pass, size_t pass_len,
		 const uint8_t salt[KDF_ARGON2_SALT_LEN], uint32_t passes, uint32_t memory_kib);

#endif
