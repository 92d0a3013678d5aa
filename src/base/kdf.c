#include "config.h"

#include <nonos/kdf.h>

#include <limits.h>

#include "crypto_priv.h"

#include <openssl/evp.h>
#include <sodium.h>

#include <nonos/err.h>

/*
 * The big table takes 128 * n * r bytes and the lanes 128 * r * p (RFC 7914, 2).
 * The RFC also wants n below 2^(16 r), which the published keystore with r = 1
 * does not keep to, so that is not asked.
 */
int kdf_scrypt_check(uint32_t n, uint32_t r, uint32_t p)
{
	if (n < 2 || (n & (n - 1)) || r == 0 || p == 0)
		return ERR_RANGE;
	if ((uint64_t)r * p > KDF_SCRYPT_LANES_MAX || (uint64_t)n * r > KDF_MEMORY_MAX / 128)
		return ERR_RANGE;
	return (uint64_t)n * r * p > KDF_SCRYPT_WORK_MAX ? ERR_RANGE : 0;
}

int kdf_scrypt(uint8_t *out, size_t out_len, const void *pass, size_t pass_len,
	       const void *salt, size_t salt_len, uint32_t n, uint32_t r, uint32_t p)
{
	int code = kdf_scrypt_check(n, r, p);

	if (code < 0)
		return code;
	return crypto_pwhash_scryptsalsa208sha256_ll(pass, pass_len, salt, salt_len, n, r, p, out, out_len) == 0 ?
	       0 : ERR_LIMIT;
}

int kdf_pbkdf2(uint8_t *out, size_t out_len, const void *pass, size_t pass_len,
	       const void *salt, size_t salt_len, uint32_t rounds)
{
	if (rounds == 0 || rounds > KDF_PBKDF2_ROUNDS_MAX || pass_len > INT_MAX || salt_len > INT_MAX ||
	    out_len > INT_MAX)
		return ERR_RANGE;
	if (!PKCS5_PBKDF2_HMAC(pass, (int)pass_len, salt, (int)salt_len, (int)rounds, EVP_sha256(),
			       (int)out_len, out))
		return ERR_CRYPTO;
	return 0;
}

int kdf_argon2id(uint8_t *out, size_t out_len, const void *pass, size_t pass_len,
		 const uint8_t salt[KDF_ARGON2_SALT_LEN], uint32_t passes, uint32_t memory_kib)
{
	if (passes < 1 || passes > KDF_ARGON2_PASSES_MAX || memory_kib < 8 || memory_kib > KDF_MEMORY_MAX >> 10 ||
	    out_len < 16 || out_len > 1024)
		return ERR_RANGE;
	if ((uint64_t)passes * memory_kib > 8 * ((uint64_t)KDF_MEMORY_MAX >> 10))
		return ERR_RANGE;
	return crypto_pwhash_argon2id(out, out_len, pass, pass_len, salt, passes, (size_t)memory_kib << 10,
				      crypto_pwhash_argon2id_ALG_ARGON2ID13) == 0 ? 0 : ERR_LIMIT;
}
