/*
 * CERTS, AUTH_CHALLENGE and AUTHENTICATE bodies (tor-spec 4.2-4.4). Nothing
 * here allocates but the one RSA key of a CERTS check, freed before return.
 */
#include "config.h"

#include <nonos/link_auth.h>

#include <string.h>

#include <nonos/bytes.h>
#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/rand.h>
#include <nonos/secret.h>

#include "cert.h"

enum {
	AUTH_ED25519_SHA256_RFC5705 = 3,
	AUTH_RAND_LEN = 24,
	AUTH_FIXED_LEN = 8 + 8 * 32,	/* TYPE through TLSSECRETS */
	CERTS_KNOWN = 8,		/* types below this are looked at */
};

struct bytes {
	const uint8_t *data;
	size_t len;
};

/* The certificates of one CERTS cell by type, borrowed from its body. */
struct certs {
	struct bytes of[CERTS_KNOWN];
};

int certs_build(uint8_t *out, size_t cap, size_t *ret_len, const struct certs_entry *entries, size_t n)
{
	struct wr w = wr_init(out, cap);

	if (n > UINT8_MAX)
		return ERR_RANGE;
	wr_u8(&w, (uint8_t)n);
	for (size_t i = 0; i < n; i++) {
		if (entries[i].len > UINT16_MAX)
			return ERR_TOO_LONG;
		wr_u8(&w, entries[i].type);
		wr_u16(&w, (uint16_t)entries[i].len);
		wr_bytes(&w, entries[i].data, entries[i].len);
	}
	if (wr_done(&w) < 0)
		return ERR_TOO_LONG;
	*ret_len = wr_len(&w);
	return 0;
}

/* No type may come twice, known or not. Bytes after the last one are allowed (tor-spec 4.2). */
static int certs_parse(struct certs *ret, const uint8_t *body, size_t len)
{
	struct rd r = rd_init(body, len);
	uint8_t seen[256 / 8] = { 0 };
	unsigned n = rd_u8(&r);

	*ret = (struct certs){ 0 };
	for (unsigned i = 0; i < n; i++) {
		uint8_t type = rd_u8(&r);
		uint16_t cert_len = rd_u16(&r);
		const uint8_t *data = rd_take(&r, cert_len);

		if (!data || seen[type / 8] & 1u << type % 8)
			return ERR_MALFORMED;
		seen[type / 8] |= (uint8_t)(1u << type % 8);
		if (type < CERTS_KNOWN)
			ret->of[type] = (struct bytes){ data, cert_len };
	}
	return rd_ok(&r) ? 0 : ERR_MALFORMED;
}

static int parse_one(struct cert *ret, const struct certs *c, enum cert_type type)
{
	return cert_parse(ret, c->of[type].data, c->of[type].len);
}

/* The RSA identity of type 2, and its word for the Ed25519 identity, type 7. */
static int check_rsa(struct peer_identity *id, const struct certs *c, int64_t now)
{
	struct rsa_key *rsa = NULL;
	uint8_t der[RSA_PUB_DER_CAP];
	size_t der_len;
	int r;

	r = x509_check_rsa_id_cert(&rsa, c->of[CERT_X509_ID].data, c->of[CERT_X509_ID].len, now);
	if (r < 0)
		return r;
	r = crosscert_check(c->of[CERT_CROSS].data, c->of[CERT_CROSS].len, rsa, id->ed_id, now);
	if (r < 0)
		goto out;
	r = rsa_public_der(der, sizeof(der), &der_len, rsa);
	if (r < 0)
		goto out;
	sha1(id->rsa_id, der, der_len);
	sha256(id->rsa_id_sha256, der, der_len);
out:
	rsa_free(rsa);
	return r;
}

/*
 * Both roles: identity -> signing key -> what the role needs (type 5 or 6),
 * and the RSA identity across. The cheap look at what is there comes first.
 */
static int certs_check(struct peer_identity *ret, struct cert *ret_last, enum cert_type last,
		       const uint8_t *body, size_t len, int64_t now)
{
	struct peer_identity id = { 0 };
	struct cert signing, leaf;
	struct certs c;
	int r;

	r = certs_parse(&c, body, len);
	if (r < 0)
		return r;
	if (!c.of[CERT_X509_ID].data || !c.of[CERT_SIGNING].data || !c.of[last].data ||
	    !c.of[CERT_CROSS].data)
		return ERR_NOT_FOUND;
	r = parse_one(&signing, &c, CERT_SIGNING);
	if (r < 0)
		return r;
	/* The identity is known from this extension alone, so it has to be there. */
	if (!signing.signed_with)
		return ERR_MALFORMED;
	r = parse_one(&leaf, &c, last);
	if (r < 0)
		return r;
	memcpy(id.ed_id, signing.signed_with, sizeof(id.ed_id));
	r = cert_check(&signing, CERT_SIGNING, id.ed_id, now);
	if (r < 0)
		return r;
	r = cert_check(&leaf, last, signing.key, now);
	if (r < 0)
		return r;
	r = check_rsa(&id, &c, now);
	if (r < 0)
		return r;
	*ret = id;
	*ret_last = leaf;
	return 0;
}

int certs_check_responder(struct peer_identity *ret, const uint8_t *body, size_t len,
			  const uint8_t tls_cert_sha256[32], int64_t now)
{
	struct peer_identity id;
	struct cert leaf;
	int r;

	r = certs_check(&id, &leaf, CERT_LINK, body, len, now);
	if (r < 0)
		return r;
	if (memcmp(leaf.key, tls_cert_sha256, 32) != 0)
		return ERR_MISMATCH;
	*ret = id;
	return 0;
}

int certs_check_initiator(struct peer_identity *ret, const uint8_t *body, size_t len, int64_t now)
{
	struct peer_identity id;
	struct cert leaf;
	int r;

	r = certs_check(&id, &leaf, CERT_AUTH, body, len, now);
	if (r < 0)
		return r;
	memcpy(id.auth_public, leaf.key, sizeof(id.auth_public));
	*ret = id;
	return 0;
}

/* TYPE, CID, SID, CID_ED, SID_ED, SLOG, CLOG, SCERT, TLSSECRETS (tor-spec 4.4.2). */
static void put_fixed_part(struct wr *w, const struct auth_context *a)
{
	wr_bytes(w, "AUTH0003", 8);
	wr_bytes(w, a->initiator_rsa_sha256, 32);
	wr_bytes(w, a->responder_rsa_sha256, 32);
	wr_bytes(w, a->initiator_ed_id, 32);
	wr_bytes(w, a->responder_ed_id, 32);
	wr_bytes(w, a->responder_log, 32);
	wr_bytes(w, a->initiator_log, 32);
	wr_bytes(w, a->tls_cert_sha256, 32);
	wr_bytes(w, a->tls_secrets, 32);
}

int authenticate_build(uint8_t *out, size_t cap, size_t *ret_len, const struct auth_context *a,
		       const uint8_t auth_secret[64], const uint8_t auth_public[32])
{
	struct wr w = wr_init(out, cap);
	const uint8_t *start;
	uint8_t *random, *sig;

	wr_u16(&w, AUTH_ED25519_SHA256_RFC5705);
	wr_u16(&w, AUTH_FIXED_LEN + AUTH_RAND_LEN + ED25519_SIG_LEN);
	start = w.p;
	put_fixed_part(&w, a);
	random = wr_reserve(&w, AUTH_RAND_LEN);
	sig = wr_reserve(&w, ED25519_SIG_LEN);
	if (wr_done(&w) < 0)
		return ERR_TOO_LONG;
	rand_bytes(random, AUTH_RAND_LEN);
	ed25519_sign(sig, auth_secret, auth_public, start, (size_t)(sig - start));
	*ret_len = wr_len(&w);
	return 0;
}

int authenticate_check(const uint8_t *body, size_t len, const struct auth_context *a,
		       const uint8_t auth_public[32])
{
	struct rd r = rd_init(body, len);
	uint16_t type = rd_u16(&r);
	uint16_t auth_len = rd_u16(&r);
	const uint8_t *auth = rd_take(&r, auth_len);
	uint8_t expected[AUTH_FIXED_LEN];
	struct wr w = wr_init(expected, sizeof(expected));
	size_t signed_len;

	if (!auth)
		return ERR_MALFORMED;
	if (type != AUTH_ED25519_SHA256_RFC5705)
		return ERR_UNSUPPORTED;
	/* More signed bytes may come between RAND and SIG; the signature is last. */
	if (auth_len < AUTH_FIXED_LEN + AUTH_RAND_LEN + ED25519_SIG_LEN)
		return ERR_MALFORMED;
	signed_len = auth_len - ED25519_SIG_LEN;
	put_fixed_part(&w, a);
	if (!secret_eq(expected, auth, sizeof(expected)))
		return ERR_AUTH;
	return ed25519_verify(auth_public, auth + signed_len, auth, signed_len);
}

size_t auth_challenge_build(uint8_t out[64])
{
	struct wr w = wr_init(out, 64);
	uint8_t challenge[32];

	rand_bytes(challenge, sizeof(challenge));
	wr_bytes(&w, challenge, sizeof(challenge));
	wr_u16(&w, 1);
	wr_u16(&w, AUTH_ED25519_SHA256_RFC5705);
	return wr_len(&w);
}

int auth_challenge_parse(bool *ret_type3, const uint8_t *body, size_t len)
{
	struct rd r = rd_init(body, len);
	bool found = false;
	unsigned n;

	(void)rd_take(&r, 32);
	n = rd_u16(&r);
	for (unsigned i = 0; i < n && rd_ok(&r); i++)
		found |= rd_u16(&r) == AUTH_ED25519_SHA256_RFC5705;
	/* Bytes after the methods are allowed (tor-spec 4.3). */
	if (!rd_ok(&r))
		return ERR_MALFORMED;
	*ret_type3 = found;
	return 0;
}
