/*
 * Digests, and what is built on them. The running SHA-1 and SHA-256 use the
 * library's plain structs: they live where the caller puts them, are copied by
 * assignment and never allocate, which the EVP interface cannot offer. That
 * interface is deprecated, not removed, and is as fast: hence the next line.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "config.h"

#include <nonos/crypto.h>

#include <string.h>

#include "crypto_priv.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <nonos/err.h>
#include <nonos/secret.h>

_Static_assert(sizeof(SHA_CTX) <= sizeof(struct sha1_run), "struct sha1_run holds a SHA_CTX");
_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct sha256_run), "struct sha256_run holds a SHA256_CTX");
_Static_assert(_Alignof(SHA_CTX) <= _Alignof(struct sha1_run), "aligned for a SHA_CTX");
_Static_assert(_Alignof(SHA256_CTX) <= _Alignof(struct sha256_run), "aligned for a SHA256_CTX");

enum { SHA256_BLOCK = 64 };

static EVP_MD *md_sha3_256, *md_shake256;

int crypto_digest_init(void)
{
	if (!md_sha3_256)
		md_sha3_256 = EVP_MD_fetch(NULL, "SHA3-256", NULL);
	if (!md_shake256)
		md_shake256 = EVP_MD_fetch(NULL, "SHAKE256", NULL);
	return md_sha3_256 && md_shake256 ? 0 : ERR_CRYPTO;
}

/* -- running digests ----------------------------------------------------- */

void sha1_run_init(struct sha1_run *s)
{
	memset(s, 0, sizeof(*s));
	if (!SHA1_Init((SHA_CTX *)(void *)s->opaque))
		crypto_die("SHA-1");
}

void sha1_run_add(struct sha1_run *s, const void *data, size_t len)
{
	if (!SHA1_Update((SHA_CTX *)(void *)s->opaque, data, len))
		crypto_die("SHA-1");
}

void sha1_run_peek(const struct sha1_run *s, uint8_t out[SHA1_LEN])
{
	struct sha1_run copy = *s;

	if (!SHA1_Final(out, (SHA_CTX *)(void *)copy.opaque))
		crypto_die("SHA-1");
	secret_wipe(&copy, sizeof(copy));
}

void sha256_run_init(struct sha256_run *s)
{
	memset(s, 0, sizeof(*s));
	if (!SHA256_Init((SHA256_CTX *)(void *)s->opaque))
		crypto_die("SHA-256");
}

void sha256_run_add(struct sha256_run *s, const void *data, size_t len)
{
	if (!SHA256_Update((SHA256_CTX *)(void *)s->opaque, data, len))
		crypto_die("SHA-256");
}

void sha256_run_peek(const struct sha256_run *s, uint8_t out[SHA256_LEN])
{
	struct sha256_run copy = *s;

	if (!SHA256_Final(out, (SHA256_CTX *)(void *)copy.opaque))
		crypto_die("SHA-256");
	secret_wipe(&copy, sizeof(copy));	/* it may be a derived key by now */
}

/* -- whole digests ------------------------------------------------------- */

void sha1(uint8_t out[SHA1_LEN], const void *data, size_t len)
{
	struct sha1_run s;

	sha1_run_init(&s);
	sha1_run_add(&s, data, len);
	sha1_run_peek(&s, out);
	secret_wipe(&s, sizeof(s));
}

void sha256(uint8_t out[SHA256_LEN], const void *data, size_t len)
{
	struct sha256_run s;

	sha256_run_init(&s);
	sha256_run_add(&s, data, len);
	sha256_run_peek(&s, out);
	secret_wipe(&s, sizeof(s));
}

void sha512(uint8_t out[SHA512_LEN], const void *data, size_t len)
{
	SHA512_CTX c;

	if (!SHA512_Init(&c) || !SHA512_Update(&c, data, len) || !SHA512_Final(out, &c))
		crypto_die("SHA-512");
	secret_wipe(&c, sizeof(c));
}

/* `out_len` is the digest's own length, unless it is an extendable one. */
static void evp_digest(uint8_t *out, size_t out_len, const EVP_MD *md, const void *data, size_t len)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	int ok = c && EVP_DigestInit_ex2(c, md, NULL) && EVP_DigestUpdate(c, data, len);

	if (ok && md == md_shake256)
		ok = EVP_DigestFinalXOF(c, out, out_len);
	else if (ok)
		ok = EVP_DigestFinal_ex(c, out, NULL);
	EVP_MD_CTX_free(c);
	if (!ok)
		crypto_die("SHA-3");
}

void sha3_256(uint8_t out[SHA3_256_LEN], const void *data, size_t len)
{
	evp_digest(out, SHA3_256_LEN, md_sha3_256, data, len);
}

void shake256(uint8_t *out, size_t out_len, const void *data, size_t len)
{
	if (out_len)
		evp_digest(out, out_len, md_shake256, data, len);
}

/* -- HMAC and key derivation --------------------------------------------- */

/* HMAC-SHA256 (RFC 2104) whose two keyed halves are prepared once. */
struct hmac {
	struct sha256_run inner, outer;
};

static void hmac_init(struct hmac *h, const void *key, size_t key_len)
{
	uint8_t pad[SHA256_BLOCK] = { 0 };

	if (key_len > sizeof(pad))
		sha256(pad, key, key_len);
	else if (key_len)
		memcpy(pad, key, key_len);
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36;
	sha256_run_init(&h->inner);
	sha256_run_add(&h->inner, pad, sizeof(pad));
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	sha256_run_init(&h->outer);
	sha256_run_add(&h->outer, pad, sizeof(pad));
	secret_wipe(pad, sizeof(pad));
}

static void hmac_finish(struct hmac *h, uint8_t out[SHA256_LEN])
{
	uint8_t digest[SHA256_LEN];

	sha256_run_peek(&h->inner, digest);
	sha256_run_add(&h->outer, digest, sizeof(digest));
	sha256_run_peek(&h->outer, out);
	secret_wipe(digest, sizeof(digest));
	secret_wipe(h, sizeof(*h));
}

void hmac_sha256(uint8_t out[SHA256_LEN], const void *key, size_t key_len,
		 const void *data, size_t len)
{
	struct hmac h;

	hmac_init(&h, key, key_len);
	sha256_run_add(&h.inner, data, len);
	hmac_finish(&h, out);
}

void hkdf_sha256(uint8_t *out, size_t out_len, const void *salt, size_t salt_len,
		 const void *ikm, size_t ikm_len, const void *info, size_t info_len)
{
	uint8_t prk[SHA256_LEN], block[SHA256_LEN];
	struct hmac keyed, h;

	if (out_len > 255 * SHA256_LEN)
		crypto_die("HKDF: too much asked for");
	hmac_sha256(prk, salt, salt_len, ikm, ikm_len);
	hmac_init(&keyed, prk, sizeof(prk));
	for (uint8_t i = 1; out_len; i++) {
		size_t n = out_len < sizeof(block) ? out_len : sizeof(block);

		h = keyed;
		if (i > 1)
			sha256_run_add(&h.inner, block, sizeof(block));
		sha256_run_add(&h.inner, info, info_len);
		sha256_run_add(&h.inner, &i, 1);
		hmac_finish(&h, block);
		memcpy(out, block, n);
		out += n;
		out_len -= n;
	}
	secret_wipe(&keyed, sizeof(keyed));
	secret_wipe(prk, sizeof(prk));
	secret_wipe(block, sizeof(block));
}

void kdf_tor(uint8_t *out, size_t out_len, const void *k0, size_t k0_len)
{
	struct sha1_run keyed, s;
	uint8_t block[SHA1_LEN];

	if (out_len > 256 * SHA1_LEN)
		crypto_die("KDF-TOR: too much asked for");
	sha1_run_init(&keyed);
	sha1_run_add(&keyed, k0, k0_len);
	for (uint8_t i = 0; out_len; i++) {
		size_t n = out_len < sizeof(block) ? out_len : sizeof(block);

		s = keyed;
		sha1_run_add(&s, &i, 1);
		sha1_run_peek(&s, block);
		memcpy(out, block, n);
		out += n;
		out_len -= n;
	}
	secret_wipe(&keyed, sizeof(keyed));
	secret_wipe(&s, sizeof(s));
	secret_wipe(block, sizeof(block));
}
