#include "config.h"

#include "cert.h"

#include <stdbool.h>
#include <string.h>

#include <nonos/bytes.h>
#include <nonos/crypto.h>
#include <nonos/err.h>

enum {
	CERT_VERSION = 1,
	EXT_SIGNED_WITH = 4,
	EXT_AFFECTS_VALIDATION = 1,
	HOUR = 3600,
};

static const char crosscert_prefix[] = "Tor TLS RSA/Ed25519 cross-certificate";

/* Extensions: length, type, flags, data (cert-spec 2.1). */
static int parse_extension(struct cert *c, struct rd *r)
{
	uint16_t len = rd_u16(r);
	uint8_t type = rd_u8(r);
	uint8_t flags = rd_u8(r);
	const uint8_t *data = rd_take(r, len);

	if (!data)
		return ERR_MALFORMED;
	if (type == EXT_SIGNED_WITH) {
		if (len != ED25519_PUB_LEN || c->signed_with)
			return ERR_MALFORMED;
		c->signed_with = data;
		return 0;
	}
	return flags & EXT_AFFECTS_VALIDATION ? ERR_UNSUPPORTED : 0;
}

int cert_parse(struct cert *ret, const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	struct cert c = { .data = data, .len = len };
	unsigned n_extensions;

	if (rd_u8(&r) != CERT_VERSION)
		return rd_ok(&r) ? ERR_UNSUPPORTED : ERR_MALFORMED;
	c.type = rd_u8(&r);
	c.expires = (int64_t)rd_u32(&r) * HOUR;
	c.key_type = rd_u8(&r);
	c.key = rd_take(&r, 32);
	n_extensions = rd_u8(&r);
	for (unsigned i = 0; i < n_extensions; i++) {
		int e = parse_extension(&c, &r);

		if (e < 0)
			return e;
	}
	(void)rd_take(&r, ED25519_SIG_LEN);
	if (rd_done(&r) < 0)
		return ERR_MALFORMED;
	*ret = c;
	return 0;
}

/*
 * Type 5 certifies a digest. Its key type was 1 in old versions of Tor and may
 * still be (cert-spec A.4).
 */
static bool key_type_fits(const struct cert *c)
{
	return c->key_type == CERT_KEY_ED25519 ||
	       (c->type == CERT_LINK && c->key_type == CERT_KEY_SHA256_X509);
}

int cert_check(const struct cert *c, enum cert_type type, const uint8_t signer[32], int64_t now)
{
	size_t signed_len = c->len - ED25519_SIG_LEN;

	if (c->type != type || !key_type_fits(c))
		return ERR_MISMATCH;
	if (c->signed_with && memcmp(c->signed_with, signer, ED25519_PUB_LEN) != 0)
		return ERR_MISMATCH;
	if (c->expires < now)
		return ERR_EXPIRED;
	return ed25519_verify(signer, c->data + signed_len, c->data, signed_len);
}

/* The four-byte field of both kinds: hours since 1970, rounded up. */
static int expiry_hours(uint32_t *ret, int64_t expires)
{
	if (expires < 0 || expires > (int64_t)UINT32_MAX * HOUR)
		return ERR_RANGE;
	*ret = (uint32_t)((expires + HOUR - 1) / HOUR);
	return 0;
}

int cert_make(uint8_t *out, size_t cap, size_t *ret_len, const struct cert_request *q)
{
	struct wr w = wr_init(out, cap);
	bool named = q->type == CERT_SIGNING || q->type == CERT_FAMILY;
	uint32_t hours;
	uint8_t *sig;

	if (expiry_hours(&hours, q->expires) < 0)
		return ERR_RANGE;
	wr_u8(&w, CERT_VERSION);
	wr_u8(&w, (uint8_t)q->type);
	wr_u32(&w, hours);
	wr_u8(&w, q->type == CERT_LINK ? CERT_KEY_SHA256_X509 : CERT_KEY_ED25519);
	wr_bytes(&w, q->key, 32);
	wr_u8(&w, named);
	if (named) {
		wr_u16(&w, ED25519_PUB_LEN);
		wr_u8(&w, EXT_SIGNED_WITH);
		wr_u8(&w, 0);
		wr_bytes(&w, q->signer_public, ED25519_PUB_LEN);
	}
	sig = wr_reserve(&w, ED25519_SIG_LEN);
	if (!sig)
		return ERR_TOO_LONG;
	ed25519_sign(sig, q->signer_secret, q->signer_public, out, (size_t)(sig - out));
	*ret_len = wr_len(&w);
	return 0;
}

/* SHA-256 over a fixed prefix and all but the signature and its length (cert-spec 2.3). */
static void crosscert_digest(uint8_t out[SHA256_LEN], const uint8_t *fields)
{
	struct sha256_run s;

	sha256_run_init(&s);
	sha256_run_add(&s, crosscert_prefix, sizeof(crosscert_prefix) - 1);
	sha256_run_add(&s, fields, 32 + 4);
	sha256_run_peek(&s, out);
}

int crosscert_make(uint8_t *out, size_t cap, size_t *ret_len, const struct rsa_key *identity,
		   const uint8_t ed_id[32], int64_t expires)
{
	struct wr w = wr_init(out, cap);
	uint8_t digest[SHA256_LEN];
	size_t sig_len;
	uint32_t hours;
	uint8_t *sig;
	int r;

	if (expiry_hours(&hours, expires) < 0)
		return ERR_RANGE;
	wr_bytes(&w, ed_id, 32);
	wr_u32(&w, hours);
	wr_u8(&w, RSA1024_LEN);
	sig = wr_reserve(&w, RSA1024_LEN);
	if (!sig)
		return ERR_TOO_LONG;
	crosscert_digest(digest, out);
	r = rsa_sign_raw(sig, RSA1024_LEN, &sig_len, identity, digest, sizeof(digest));
	if (r < 0)
		return r;
	if (sig_len != RSA1024_LEN)
		return ERR_RANGE;
	*ret_len = wr_len(&w);
	return 0;
}

int crosscert_check(const uint8_t *data, size_t len, const struct rsa_key *identity,
		    const uint8_t ed_id[32], int64_t now)
{
	struct rd r = rd_init(data, len);
	const uint8_t *key = rd_take(&r, 32);
	int64_t expires = (int64_t)rd_u32(&r) * HOUR;
	uint8_t sig_len = rd_u8(&r);
	const uint8_t *sig = rd_take(&r, sig_len);
	uint8_t digest[SHA256_LEN];

	if (rd_done(&r) < 0)
		return ERR_MALFORMED;
	if (memcmp(key, ed_id, 32) != 0)
		return ERR_MISMATCH;
	if (expires < now)
		return ERR_EXPIRED;
	crosscert_digest(digest, data);
	return rsa_verify_raw(identity, sig, sig_len, digest, sizeof(digest));
}
