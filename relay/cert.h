/*
 * Tor's own certificates: Ed25519 certificates (cert-spec 2.1) and the
 * RSA to Ed25519 cross-certificate (cert-spec 2.3). Parsers borrow and
 * neither allocate nor log.
 */
#ifndef RELAY_CERT_H
#define RELAY_CERT_H

#include <stddef.h>
#include <stdint.h>

struct rsa_key;

enum cert_type {
	CERT_X509_ID = 2,	/* in CERTS cells: X.509 of the RSA identity */
	CERT_SIGNING = 4,	/* identity certifies signing key */
	CERT_LINK = 5,		/* signing key certifies the TLS certificate's SHA-256 */
	CERT_AUTH = 6,		/* signing key certifies the link authentication key */
	CERT_CROSS = 7,		/* RSA identity certifies the Ed25519 identity */
	CERT_NTOR = 10,		/* ntor key, as Ed25519, certifies the identity */
	CERT_FAMILY = 12,	/* family key certifies the identity of a relay in the family */
};

enum cert_key_type { CERT_KEY_ED25519 = 1, CERT_KEY_SHA256_X509 = 3 };

enum {
	CERT_CAP = 140,			/* what cert_make() writes at most */
	CROSSCERT_LEN = 32 + 4 + 1 + 128,
};

/* A certificate's fields, borrowed from its bytes. */
struct cert {
	uint8_t type;
	uint8_t key_type;
	int64_t expires;		/* wall seconds */
	const uint8_t *key;		/* 32 bytes */
	const uint8_t *signed_with;	/* 32 bytes of the extension, or NULL */
	const uint8_t *data;		/* the whole; the signature is its last 64 bytes */
	size_t len;
};

/*
 * Parse an Ed25519 certificate that fills `data`. ERR_MALFORMED;
 * ERR_UNSUPPORTED for another version or an unknown extension that affects
 * validation. Unknown extensions that do not are skipped.
 */
int cert_parse(struct cert *ret, const uint8_t *data, size_t len);

/*
 * Check type, key type, signature by `signer` (that the certificate's own
 * signed-with extension, when there, has to name) and expiry at `now`.
 * ERR_MISMATCH, ERR_AUTH, ERR_EXPIRED.
 */
int cert_check(const struct cert *c, enum cert_type type, const uint8_t signer[32], int64_t now);

/* What to certify, and with which key (expanded secret and its public half). */
struct cert_request {
	enum cert_type type;
	const uint8_t *key;		/* 32 bytes */
	int64_t expires;		/* wall seconds; rounded up to the hour */
	const uint8_t *signer_secret;	/* 64 bytes */
	const uint8_t *signer_public;	/* 32 bytes */
};

/* Make a certificate; types 4 and 12 carry the signed-with extension. ERR_RANGE, ERR_TOO_LONG. */
int cert_make(uint8_t *out, size_t cap, size_t *ret_len, const struct cert_request *q);

/* Make a cross-certificate: `identity` vouches for `ed_id` until `expires`. */
int crosscert_make(uint8_t *out, size_t cap, size_t *ret_len, const struct rsa_key *identity,
		   const uint8_t ed_id[32], int64_t expires);

/* Check that `identity` vouches for `ed_id` at `now`. ERR_MALFORMED, ERR_MISMATCH, ERR_AUTH, ERR_EXPIRED. */
int crosscert_check(const uint8_t *data, size_t len, const struct rsa_key *identity,
		    const uint8_t ed_id[32], int64_t now);

#endif
