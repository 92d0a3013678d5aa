/*
 * Cryptographic primitives: the only header over OpenSSL and libsodium.
 * Digests and ciphers are fetched once, in crypto_init(), never per call.
 * Lengths are in bytes. Functions without a result cannot fail on good
 * arguments and end the process when the library reports a failure.
 */
#ifndef NONOS_CRYPTO_H
#define NONOS_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SHA1_LEN = 20,
	SHA256_LEN = 32,
	SHA3_256_LEN = 32,
	SHA512_LEN = 64,
	X25519_LEN = 32,
	ED25519_PUB_LEN = 32,
	ED25519_SEED_LEN = 32,
	ED25519_EXPANDED_LEN = 64,
	ED25519_SIG_LEN = 64,
	RSA1024_LEN = 128,		/* modulus and signature of the 1024-bit keys */
	RSA_PUB_DER_CAP = 560,		/* PKCS#1 DER of a public key of at most 4096 bits */
};

/* Prepare the libraries; call before anything else here. May be called again. */
int crypto_init(void);

/* The version of the OpenSSL that is loaded, "3.0.22". */
const char *crypto_version(void);

/* -- digests ------------------------------------------------------------- */

void sha1(uint8_t out[SHA1_LEN], const void *data, size_t len);
void sha256(uint8_t out[SHA256_LEN], const void *data, size_t len);
void sha512(uint8_t out[SHA512_LEN], const void *data, size_t len);
void sha3_256(uint8_t out[SHA3_256_LEN], const void *data, size_t len);

/* SHAKE-256 of `data`, `out_len` bytes of output. */
void shake256(uint8_t *out, size_t out_len, const void *data, size_t len);

/*
 * A running SHA-1 that can be copied by assignment: the relay digest of
 * tor-spec 6.1 is read without being finished, and put back when a cell
 * turns out to be somebody else's. No allocation.
 */
struct sha1_run {
	_Alignas(8) uint8_t opaque[96];
};

void sha1_run_init(struct sha1_run *s);
void sha1_run_add(struct sha1_run *s, const void *data, size_t len);
void sha1_run_peek(const struct sha1_run *s, uint8_t out[SHA1_LEN]);

/* A running SHA-256, for transcripts and documents. Copyable by assignment. */
struct sha256_run {
	_Alignas(8) uint8_t opaque[112];
};

void sha256_run_init(struct sha256_run *s);
void sha256_run_add(struct sha256_run *s, const void *data, size_t len);
void sha256_run_peek(const struct sha256_run *s, uint8_t out[SHA256_LEN]);

void hmac_sha256(uint8_t out[SHA256_LEN], const void *key, size_t key_len,
		 const void *data, size_t len);

/* RFC 5869 HKDF-SHA256: extract with `salt`, expand with `info`. */
void hkdf_sha256(uint8_t *out, size_t out_len, const void *salt, size_t salt_len,
		 const void *ikm, size_t ikm_len, const void *info, size_t info_len);

/* KDF-TOR of tor-spec 5.2.1: SHA1(K0 | [00]) | SHA1(K0 | [01]) | ... */
void kdf_tor(uint8_t *out, size_t out_len, const void *k0, size_t k0_len);

/* -- AES in counter mode ------------------------------------------------- */

/* One keystream: position runs on across calls. Not copyable. */
struct aes_ctr;

/* `key_len` is 16 or 32; the counter block starts at zero. */
struct aes_ctr *aes_ctr_new(const uint8_t *key, size_t key_len);

/* The same with another first counter block. */
struct aes_ctr *aes_ctr_new_at(const uint8_t *key, size_t key_len, const uint8_t counter[16]);
void aes_ctr_free(struct aes_ctr *c);

/* XOR the next `len` bytes of keystream into `in`, giving `out` (may be `in`). */
void aes_ctr_crypt(struct aes_ctr *c, uint8_t *out, const uint8_t *in, size_t len);

/* -- X25519 -------------------------------------------------------------- */

void x25519_keygen(uint8_t ret_secret[X25519_LEN], uint8_t ret_public[X25519_LEN]);
void x25519_public(uint8_t ret_public[X25519_LEN], const uint8_t secret[X25519_LEN]);

/*
 * A secret key prepared for many exchanges, so that nothing is set up per
 * handshake. Free wipes it.
 */
struct x25519_key;
struct x25519_key *x25519_key_new(const uint8_t secret[X25519_LEN]);
void x25519_key_free(struct x25519_key *k);
const uint8_t *x25519_key_public(const struct x25519_key *k);	/* borrowed, 32 bytes */

/*
 * ERR_CRYPTO when the result is all zero (a point of small order); `out` then
 * holds zeros. Time does not depend on the secret.
 */
int x25519_key_exchange(uint8_t out[X25519_LEN], const struct x25519_key *k,
			const uint8_t peer[X25519_LEN]);
int x25519(uint8_t out[X25519_LEN], const uint8_t secret[X25519_LEN],
	   const uint8_t peer[X25519_LEN]);

/* -- Ed25519 ------------------------------------------------------------- */

/*
 * The expanded form (64 bytes: clamped scalar, then prefix) is what Tor's key
 * files hold, so all signing takes it.
 */
void ed25519_expand(uint8_t ret_expanded[ED25519_EXPANDED_LEN], const uint8_t seed[ED25519_SEED_LEN]);
void ed25519_keygen(uint8_t ret_expanded[ED25519_EXPANDED_LEN], uint8_t ret_public[ED25519_PUB_LEN]);
void ed25519_public(uint8_t ret_public[ED25519_PUB_LEN], const uint8_t expanded[ED25519_EXPANDED_LEN]);
void ed25519_sign(uint8_t ret_sig[ED25519_SIG_LEN], const uint8_t expanded[ED25519_EXPANDED_LEN],
		  const uint8_t public_key[ED25519_PUB_LEN], const void *data, size_t len);

/*
 * 0, or ERR_AUTH. Refused besides what RFC 8032 refuses: keys and R of small
 * order, encodings of a point or of S that are not reduced.
 */
int ed25519_verify(const uint8_t public_key[ED25519_PUB_LEN], const uint8_t sig[ED25519_SIG_LEN],
		   const void *data, size_t len);

/*
 * The Ed25519 key pair that belongs to an X25519 key pair (Tor proposal 228,
 * appendix A): the scalar is the X25519 secret, the prefix is the first half
 * of SHA-512(secret | "Derive high part of ed25519 key from curve25519 key\0").
 * *ret_sign_bit is the top bit of the public key's x coordinate.
 */
void ed25519_from_x25519(uint8_t ret_expanded[ED25519_EXPANDED_LEN],
			 uint8_t ret_public[ED25519_PUB_LEN], int *ret_sign_bit,
			 const uint8_t x25519_secret[X25519_LEN]);

/* The public half of the same, from the public key and the sign bit. */
int ed25519_public_from_x25519(uint8_t ret_public[ED25519_PUB_LEN],
			       const uint8_t x25519_public_key[X25519_LEN], int sign_bit);

/* -- RSA ----------------------------------------------------------------- */

/* A key pair or a public key of 1024 to 4096 bits, exponent 65537. */
struct rsa_key;

/* ERR_RANGE for a size outside of that. */
int rsa_generate(struct rsa_key **ret, unsigned bits);
void rsa_free(struct rsa_key *k);
unsigned rsa_bits(const struct rsa_key *k);

/*
 * PKCS#1 DER of the public half ("RSA PUBLIC KEY"); `cap` RSA_PUB_DER_CAP fits.
 * Reading is strict, so that a key has one encoding: ERR_MALFORMED for any
 * other and for trailing bytes, ERR_UNSUPPORTED for another size or exponent.
 * Where a key must have exactly 1024 bits, ask rsa_bits() too.
 */
int rsa_public_der(uint8_t *out, size_t cap, size_t *ret_len, const struct rsa_key *k);
int rsa_public_from_der(struct rsa_key **ret, const uint8_t *der, size_t len);

/*
 * PKCS#1 DER of the key pair ("RSA PRIVATE KEY"). Wipe what you get. As
 * strict, and ERR_MALFORMED when the numbers do not belong together. Signing
 * or writing out a pair that is only a public key is ERR_STATE.
 */
int rsa_private_der(uint8_t *out, size_t cap, size_t *ret_len, const struct rsa_key *k);
int rsa_private_from_der(struct rsa_key **ret, const uint8_t *der, size_t len);

/*
 * PKCS#1 v1.5 signature of `data` itself, without a DigestInfo (what Tor signs
 * with RSA is a bare digest). `out` holds rsa_bits / 8 bytes.
 */
int rsa_sign_raw(uint8_t *out, size_t cap, size_t *ret_len, const struct rsa_key *k,
		 const void *data, size_t len);

/* 0 when `sig` is such a signature of exactly `data`, else ERR_AUTH. */
int rsa_verify_raw(const struct rsa_key *k, const uint8_t *sig, size_t sig_len,
		   const void *data, size_t len);

/* -- X.509 --------------------------------------------------------------- */

/*
 * Make the certificate of a TLS link: a fresh RSA-2048 key, random-looking subject
 * and issuer names ("www.<random>.net"), valid from `not_before` for
 * `lifetime_s`. With a key on a curve tor 0.4.9 logs a warning for every link.
 * Outputs are malloc()ed DER; wipe the key with secret_wipe() before free().
 * (tor-spec 2)
 */
int x509_make_link_cert(uint8_t **ret_key_der, size_t *ret_key_len, uint8_t **ret_cert_der,
			size_t *ret_cert_len, int64_t not_before, int64_t lifetime_s);

/* A self-signed certificate over the RSA identity (CERTS type 2). malloc()ed DER. */
int x509_make_rsa_id_cert(uint8_t **ret_cert_der, size_t *ret_cert_len,
			  const struct rsa_key *identity, int64_t not_before, int64_t lifetime_s);

/*
 * Check a CERTS type 2 body: parses wholly (ERR_MALFORMED), RSA 1024-bit key
 * with exponent 65537 (ERR_UNSUPPORTED), self-signed (ERR_AUTH), valid at `now`
 * (ERR_NOT_YET, ERR_EXPIRED). Gives the key.
 */
int x509_check_rsa_id_cert(struct rsa_key **ret_key, const uint8_t *der, size_t len, int64_t now);

#endif
