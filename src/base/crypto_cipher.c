#include "config.h"

#include <nonos/crypto.h>

#include <limits.h>

#include "crypto_priv.h"

#include <openssl/evp.h>

#include <nonos/err.h>

/*
 * struct aes_ctr has no members: it is the library's context under our name.
 * A circuit holds two, so they cost what the library needs (about 800 bytes)
 * and not one allocation more.
 */

static EVP_CIPHER *aes128_ctr, *aes256_ctr;

int crypto_cipher_init(void)
{
	if (!aes128_ctr)
		aes128_ctr = EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
	if (!aes256_ctr)
		aes256_ctr = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
	return aes128_ctr && aes256_ctr ? 0 : ERR_CRYPTO;
}

static EVP_CIPHER_CTX *ctx_of(struct aes_ctr *c)
{
	return (EVP_CIPHER_CTX *)(void *)c;
}

struct aes_ctr *aes_ctr_new_at(const uint8_t *key, size_t key_len, const uint8_t counter[16])
{
	const EVP_CIPHER *cipher = key_len == 16 ? aes128_ctr : key_len == 32 ? aes256_ctr : NULL;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (!ctx || !cipher || !EVP_EncryptInit_ex2(ctx, cipher, key, counter, NULL))
		crypto_die("AES-CTR key");
	return (struct aes_ctr *)(void *)ctx;
}

struct aes_ctr *aes_ctr_new(const uint8_t *key, size_t key_len)
{
	static const uint8_t zero[16];

	return aes_ctr_new_at(key, key_len, zero);
}

void aes_ctr_free(struct aes_ctr *c)
{
	/* Wipes the round keys. */
	EVP_CIPHER_CTX_free(ctx_of(c));
}

void aes_ctr_crypt(struct aes_ctr *c, uint8_t *out, const uint8_t *in, size_t len)
{
	int n;

	if (len == 0)
		return;
	if (len > INT_MAX || !EVP_EncryptUpdate(ctx_of(c), out, &n, in, (int)len))
		crypto_die("AES-CTR");
}
