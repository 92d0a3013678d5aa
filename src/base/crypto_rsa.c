/*
 * RSA keys. Peers' and operators' DER is taken apart by our own strict reader
 * and only numbers reach the library: one encoding per key, so that a
 * fingerprint names one key, and no ASN.1 parser but these few lines.
 */
#include "config.h"

#include <nonos/crypto.h>

#include <stdlib.h>

#include "crypto_priv.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <nonos/bytes.h>
#include <nonos/err.h>
#include <nonos/mem.h>

enum {
	RSA_BITS_MIN = 1024,
	RSA_BITS_MAX = 4096,
	RSA_EXPONENT = 65537,
	DER_INTEGER = 0x02,
	DER_SEQUENCE = 0x30,
};

struct rsa_key {
	EVP_PKEY *pkey;		/* owned */
	bool is_pair;
};

/* The numbers of PKCS#1 (RFC 8017 A.1) in their order; a public key has the first two. */
enum { RSA_N, RSA_E, RSA_PUBLIC_NUMBERS, RSA_NUMBERS = 8 };

static const char *const number_names[RSA_NUMBERS] = {
	OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E, OSSL_PKEY_PARAM_RSA_D,
	OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2,
	OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2,
	OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

/* -- DER ----------------------------------------------------------------- */

/* Read one element's header; return a reader over its body, failed when it is not strict DER. */
static struct rd der_enter(struct rd *r, uint8_t tag)
{
	bool ok = rd_u8(r) == tag;
	size_t len = rd_u8(r);

	if (len == 0x81) {
		len = rd_u8(r);
		ok = ok && len >= 0x80;
	} else if (len == 0x82) {
		len = rd_u16(r);
		ok = ok && len >= 0x100;
	} else {
		ok = ok && len < 0x80;
	}
	if (!ok)
		r->failed = true;
	return rd_sub(r, len);
}

/* Read a positive INTEGER in its shortest form. NULL when it is not one. */
static BIGNUM *der_number(struct rd *r)
{
	struct rd body = der_enter(r, DER_INTEGER);
	size_t len = rd_left(&body);
	const uint8_t *p = rd_take(&body, len);
	BIGNUM *n;

	if (!p || len == 0 || len > RSA_BITS_MAX / 8 + 1 || p[0] & 0x80 ||
	    (p[0] == 0 && (len == 1 || !(p[1] & 0x80)))) {
		r->failed = true;
		return NULL;
	}
	/* "Secure" numbers, and what the builder makes of them, are wiped when freed. */
	n = BN_secure_new();
	if (!n || !BN_bin2bn(p, (int)len, n))
		crypto_die("RSA number");
	return n;
}

/* A two-prime private key begins with version 0 (RFC 8017 A.1.2). */
static void der_version_0(struct rd *r)
{
	struct rd body = der_enter(r, DER_INTEGER);

	if (rd_u8(&body) != 0 || rd_done(&body) < 0)
		r->failed = true;
}

/* -- keys ---------------------------------------------------------------- */

static struct rsa_key *rsa_wrap(EVP_PKEY *pkey, bool is_pair)
{
	struct rsa_key *k = mem_new(sizeof(*k));

	k->pkey = pkey;
	k->is_pair = is_pair;
	return k;
}

/* Take the library's key made from the numbers, not yet known to be consistent. */
static EVP_PKEY *pkey_from_numbers(BIGNUM *const *numbers, size_t count)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *pkey = NULL;
	bool ok = ctx && build;

	for (size_t i = 0; ok && i < count; i++)
		ok = OSSL_PARAM_BLD_push_BN(build, number_names[i], numbers[i]);
	if (ok)
		params = OSSL_PARAM_BLD_to_param(build);
	if (params && EVP_PKEY_fromdata_init(ctx) > 0)
		(void)EVP_PKEY_fromdata(ctx, &pkey, count > RSA_PUBLIC_NUMBERS ? EVP_PKEY_KEYPAIR :
					EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

/* Read `count` numbers up to the end of `r` and make the key of them. */
static int rsa_from_numbers(struct rsa_key **ret, struct rd *r, size_t count)
{
	BIGNUM *numbers[RSA_NUMBERS] = { NULL };
	EVP_PKEY *pkey = NULL;
	int e = ERR_MALFORMED, bits;

	for (size_t i = 0; i < count; i++) {
		numbers[i] = der_number(r);
		if (!numbers[i])
			goto out;
	}
	if (rd_done(r) < 0 || !BN_is_odd(numbers[RSA_N]))
		goto out;
	bits = BN_num_bits(numbers[RSA_N]);
	e = ERR_UNSUPPORTED;
	if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX || !BN_is_word(numbers[RSA_E], RSA_EXPONENT))
		goto out;
	e = ERR_MALFORMED;
	pkey = pkey_from_numbers(numbers, count);
	if (!pkey)
		goto out;
	*ret = rsa_wrap(pkey, count > RSA_PUBLIC_NUMBERS);
	e = 0;
out:
	for (size_t i = 0; i < RSA_NUMBERS; i++)
		BN_clear_free(numbers[i]);
	return e;
}

int rsa_generate(struct rsa_key **ret, unsigned bits)
{
	EVP_PKEY *pkey;

	if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
		return ERR_RANGE;
	pkey = EVP_RSA_gen(bits);	/* exponent 65537 */
	if (!pkey)
		return ERR_CRYPTO;
	*ret = rsa_wrap(pkey, true);
	return 0;
}

void rsa_free(struct rsa_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

unsigned rsa_bits(const struct rsa_key *k)
{
	return (unsigned)EVP_PKEY_get_bits(k->pkey);
}

EVP_PKEY *rsa_pkey(const struct rsa_key *k)
{
	return k->pkey;
}

/* -- encodings ----------------------------------------------------------- */

static int rsa_encode(uint8_t *out, size_t cap, size_t *ret_len, const EVP_PKEY *pkey,
		      int (*i2d)(const EVP_PKEY *, unsigned char **))
{
	int len = i2d(pkey, NULL);

	if (len <= 0)
		return ERR_CRYPTO;
	if ((size_t)len > cap)
		return ERR_TOO_LONG;
	len = i2d(pkey, &out);
	if (len <= 0)
		return ERR_CRYPTO;
	*ret_len = (size_t)len;
	return 0;
}

int rsa_public_der(uint8_t *out, size_t cap, size_t *ret_len, const struct rsa_key *k)
{
	return rsa_encode(out, cap, ret_len, k->pkey, i2d_PublicKey);
}

int rsa_public_from_der(struct rsa_key **ret, const uint8_t *der, size_t len)
{
	struct rd r = rd_init(der, len), body = der_enter(&r, DER_SEQUENCE);

	if (rd_done(&r) < 0)
		return ERR_MALFORMED;
	return rsa_from_numbers(ret, &body, RSA_PUBLIC_NUMBERS);
}

int rsa_private_der(uint8_t *out, size_t cap, size_t *ret_len, const struct rsa_key *k)
{
	if (!k->is_pair)
		return ERR_STATE;
	return rsa_encode(out, cap, ret_len, k->pkey, i2d_PrivateKey);
}

/* Whether the numbers belong together: a file that was damaged must not sign. */
static bool rsa_is_consistent(const struct rsa_key *k)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
	bool ok = ctx && EVP_PKEY_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

int rsa_private_from_der(struct rsa_key **ret, const uint8_t *der, size_t len)
{
	struct rd r = rd_init(der, len), body = der_enter(&r, DER_SEQUENCE);
	struct rsa_key *k;
	int e;

	if (rd_done(&r) < 0)
		return ERR_MALFORMED;
	der_version_0(&body);
	e = rsa_from_numbers(&k, &body, RSA_NUMBERS);
	if (e < 0)
		return e;
	if (!rsa_is_consistent(k)) {
		rsa_free(k);
		return ERR_MALFORMED;
	}
	*ret = k;
	return 0;
}

/* -- signatures ---------------------------------------------------------- */

/* Prepare PKCS#1 v1.5 without a digest name: the library then pads just the bytes given. */
static EVP_PKEY_CTX *raw_ctx(const struct rsa_key *k, int (*init)(EVP_PKEY_CTX *))
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);

	if (!ctx || init(ctx) <= 0 || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) <= 0) {
		EVP_PKEY_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

int rsa_sign_raw(uint8_t *out, size_t cap, size_t *ret_len, const struct rsa_key *k,
		 const void *data, size_t len)
{
	EVP_PKEY_CTX *ctx;
	size_t sig_len = cap;
	int r = ERR_CRYPTO;

	if (!k->is_pair)
		return ERR_STATE;
	if (cap < (rsa_bits(k) + 7) / 8)
		return ERR_TOO_LONG;
	ctx = raw_ctx(k, EVP_PKEY_sign_init);
	if (ctx && EVP_PKEY_sign(ctx, out, &sig_len, data, len) > 0) {
		*ret_len = sig_len;
		r = 0;
	}
	EVP_PKEY_CTX_free(ctx);
	return r;
}

int rsa_verify_raw(const struct rsa_key *k, const uint8_t *sig, size_t sig_len,
		   const void *data, size_t len)
{
	EVP_PKEY_CTX *ctx = raw_ctx(k, EVP_PKEY_verify_init);
	int r = ERR_AUTH;

	/* The library takes an empty message for "none given"; nobody signs one. */
	if (ctx && len && sig_len == (rsa_bits(k) + 7) / 8 &&
	    EVP_PKEY_verify(ctx, sig, sig_len, data, len) == 1)
		r = 0;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return r;
}
