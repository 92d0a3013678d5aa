/*
 * Credentials on links (tor-spec 4, cert-spec): bodies of the CERTS and
 * AUTHENTICATE cells, built by the keeper and checked by the worker.
 */
#ifndef NONOS_LINK_AUTH_H
#define NONOS_LINK_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link_keys;

/* What a good CERTS cell proves, once the TLS certificate or AUTHENTICATE ties it to the link. */
struct peer_identity {
	uint8_t rsa_id[20];
	uint8_t rsa_id_sha256[32];
	uint8_t ed_id[32];
	uint8_t auth_public[32];	/* only from an initiator: key of AUTHENTICATE */
};

/*
 * Check a responder's CERTS body (types 2, 4, 5, 7): chain, signatures,
 * expiries at `now`, RSA cross-certificate, type 5 against the TLS
 * certificate. Each certificate must fill its length exactly. A type that
 * comes twice is ERR_MALFORMED, one that is missing ERR_NOT_FOUND. Types that
 * are not needed are skipped, and so are bytes after the last certificate
 * (both demanded by tor-spec 4.2).
 */
int certs_check_responder(struct peer_identity *ret, const uint8_t *body, size_t len,
			  const uint8_t tls_cert_sha256[32], int64_t now);

/* Check an initiator's CERTS body (types 2, 4, 6, 7). */
int certs_check_initiator(struct peer_identity *ret, const uint8_t *body, size_t len, int64_t now);

/* One certificate of a CERTS body. */
struct certs_entry {
	uint8_t type;
	const uint8_t *data;
	size_t len;
};

/* Write a CERTS body. ERR_TOO_LONG, ERR_RANGE. */
int certs_build(uint8_t *out, size_t cap, size_t *ret_len, const struct certs_entry *entries, size_t n);

/* The values of AUTHENTICATE type 3 that both sides know (tor-spec 4.4.2). */
struct auth_context {
	const uint8_t *initiator_rsa_sha256, *responder_rsa_sha256;	/* 32 bytes each */
	const uint8_t *initiator_ed_id, *responder_ed_id;
	const uint8_t *responder_log, *initiator_log;	/* SHA-256 of each direction's bytes */
	const uint8_t *tls_cert_sha256;			/* the responder's certificate */
	/*
	 * RFC 5705 exporter, label "EXPORTER FOR TOR TLS CLIENT BINDING AUTH0003", 32
	 * bytes. Its context is initiator_rsa_sha256: so does tor 0.4.9, seen in
	 * both directions, although tor-spec 4.4.2 says the Ed25519 identity.
	 */
	const uint8_t *tls_secrets;
};

enum { AUTHENTICATE_BODY_LEN = 2 + 2 + 8 + 6 * 32 + 32 + 32 + 24 + 64 };

/* Build the whole AUTHENTICATE body, type and length included. */
int authenticate_build(uint8_t *out, size_t cap, size_t *ret_len, const struct auth_context *a,
		       const uint8_t auth_secret[64], const uint8_t auth_public[32]);

/*
 * ERR_UNSUPPORTED for another type, ERR_AUTH when it does not fit. Signed bytes
 * after the random ones and bytes after the body are allowed (tor-spec 4.4).
 */
int authenticate_check(const uint8_t *body, size_t len, const struct auth_context *a,
		       const uint8_t auth_public[32]);

/* AUTH_CHALLENGE body: 32 random bytes, method 3 alone. And its parser: *ret_type3 when offered. */
size_t auth_challenge_build(uint8_t out[64]);
int auth_challenge_parse(bool *ret_type3, const uint8_t *body, size_t len);

#endif
