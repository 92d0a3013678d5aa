#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/link_auth.h>
#include <nonos/mem.h>

#include "../../relay/cert.h"

enum { NOW = 1795323600, DAY = 86400, BODY_CAP = 4096 };

/* A relay's credentials, made from the primitives alone. */
struct creds {
	struct rsa_key *rsa;
	uint8_t id_secret[64], id[32];
	uint8_t signing_secret[64], signing[32];
	uint8_t auth_secret[64], auth[32];
	uint8_t tls_sha256[32];
	uint8_t *x509;
	size_t x509_len;
	uint8_t cert4[CERT_CAP], cert5[CERT_CAP], cert6[CERT_CAP], cert7[CROSSCERT_LEN];
	size_t len4, len5, len6, len7;
};

static struct creds ours, theirs;

static size_t certify(uint8_t *out, enum cert_type type, const uint8_t *key, const uint8_t *secret,
		      const uint8_t *public)
{
	struct cert_request q = { type, key, NOW + DAY, secret, public };
	size_t len = 0;

	assert_int_equal(cert_make(out, CERT_CAP, &len, &q), 0);
	return len;
}

static void creds_make(struct creds *c)
{
	assert_int_equal(rsa_generate(&c->rsa, 1024), 0);
	ed25519_keygen(c->id_secret, c->id);
	ed25519_keygen(c->signing_secret, c->signing);
	ed25519_keygen(c->auth_secret, c->auth);
	sha256(c->tls_sha256, c->id, 32);
	assert_int_equal(x509_make_rsa_id_cert(&c->x509, &c->x509_len, c->rsa, NOW - DAY, 3 * DAY), 0);
	c->len4 = certify(c->cert4, CERT_SIGNING, c->signing, c->id_secret, c->id);
	c->len5 = certify(c->cert5, CERT_LINK, c->tls_sha256, c->signing_secret, c->signing);
	c->len6 = certify(c->cert6, CERT_AUTH, c->auth, c->signing_secret, c->signing);
	assert_int_equal(crosscert_make(c->cert7, sizeof(c->cert7), &c->len7, c->rsa, c->id, NOW + 2 * DAY), 0);
}

static int setup(void **state)
{
	(void)state;
	if (crypto_init() < 0)
		return -1;
	creds_make(&ours);
	creds_make(&theirs);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rsa_free(ours.rsa);
	rsa_free(theirs.rsa);
	free(ours.x509);
	free(theirs.x509);
	return 0;
}

/* The five entries there are; a role uses four. */
static void entries_of(struct certs_entry e[4], const struct creds *c, bool responder)
{
	e[0] = (struct certs_entry){ 2, c->x509, c->x509_len };
	e[1] = (struct certs_entry){ 4, c->cert4, c->len4 };
	e[2] = responder ? (struct certs_entry){ 5, c->cert5, c->len5 } :
			   (struct certs_entry){ 6, c->cert6, c->len6 };
	e[3] = (struct certs_entry){ 7, c->cert7, c->len7 };
}

static int check_responder(const struct certs_entry *e, size_t n, int64_t now)
{
	struct peer_identity id = { 0 };
	uint8_t body[BODY_CAP];
	size_t len;

	assert_int_equal(certs_build(body, sizeof(body), &len, e, n), 0);
	return certs_check_responder(&id, body, len, ours.tls_sha256, now);
}

static int check_initiator(const struct certs_entry *e, size_t n, int64_t now)
{
	struct peer_identity id = { 0 };
	uint8_t body[BODY_CAP];
	size_t len;

	assert_int_equal(certs_build(body, sizeof(body), &len, e, n), 0);
	return certs_check_initiator(&id, body, len, now);
}

static void test_good(void **state)
{
	uint8_t body[BODY_CAP], der[RSA_PUB_DER_CAP], digest[32];
	struct peer_identity id;
	struct certs_entry e[4];
	size_t len, der_len;

	(void)state;
	assert_int_equal(rsa_public_der(der, sizeof(der), &der_len, ours.rsa), 0);
	entries_of(e, &ours, true);
	assert_int_equal(certs_build(body, sizeof(body), &len, e, 4), 0);
	assert_int_equal(certs_check_responder(&id, body, len, ours.tls_sha256, NOW), 0);
	assert_memory_equal(id.ed_id, ours.id, 32);
	sha1(digest, der, der_len);
	assert_memory_equal(id.rsa_id, digest, 20);
	sha256(digest, der, der_len);
	assert_memory_equal(id.rsa_id_sha256, digest, 32);

	entries_of(e, &ours, false);
	assert_int_equal(certs_build(body, sizeof(body), &len, e, 4), 0);
	assert_int_equal(certs_check_initiator(&id, body, len, NOW), 0);
	assert_memory_equal(id.ed_id, ours.id, 32);
	assert_memory_equal(id.auth_public, ours.auth, 32);
}

static void test_missing_and_repeated(void **state)
{
	struct certs_entry e[6];

	(void)state;
	for (int responder = 0; responder < 2; responder++) {
		int (*check)(const struct certs_entry *, size_t, int64_t) =
			responder ? check_responder : check_initiator;

		for (int i = 0; i < 4; i++) {
			entries_of(e, &ours, responder);
			e[4] = e[i];
			assert_int_equal(check(e, 5, NOW), ERR_MALFORMED);
			e[i] = e[3];
			assert_int_equal(check(e, 3, NOW), ERR_NOT_FOUND);
		}
		/* Unknown types and RSA link certificates do not matter, twice is too much. */
		entries_of(e, &ours, responder);
		e[4] = (struct certs_entry){ 1, (const uint8_t *)"x", 1 };
		e[5] = (struct certs_entry){ 200, (const uint8_t *)"", 0 };
		assert_int_equal(check(e, 6, NOW), 0);
		e[4].type = 200;
		assert_int_equal(check(e, 6, NOW), ERR_MALFORMED);
		/* The other role's certificate does not do. */
		entries_of(e, &ours, !responder);
		assert_int_equal(check(e, 4, NOW), ERR_NOT_FOUND);
		assert_int_equal(check(e, 0, NOW), ERR_NOT_FOUND);
	}
}

static void test_wrong_pieces(void **state)
{
	struct certs_entry mine[4], alien[4], e[4];

	(void)state;
	for (int responder = 0; responder < 2; responder++) {
		entries_of(mine, &ours, responder);
		entries_of(alien, &theirs, responder);
		/* Any one or two pieces of another relay's, every one good in itself. */
		for (unsigned mask = 1; mask < 15; mask++) {
			for (int i = 0; i < 4; i++)
				e[i] = mask >> i & 1 ? alien[i] : mine[i];
			assert_true((responder ? check_responder : check_initiator)(e, 4, NOW) < 0);
		}
	}
	/* All of another's: a good cell, but for another TLS certificate. */
	entries_of(alien, &theirs, true);
	assert_int_equal(check_responder(alien, 4, NOW), ERR_MISMATCH);
}

static void test_times(void **state)
{
	struct certs_entry e[4];

	(void)state;
	entries_of(e, &ours, true);
	assert_int_equal(check_responder(e, 4, NOW + DAY), 0);
	assert_int_equal(check_responder(e, 4, NOW + DAY + 1), ERR_EXPIRED);
	assert_true(check_responder(e, 4, NOW - 2 * DAY) < 0);
	entries_of(e, &ours, false);
	assert_int_equal(check_initiator(e, 4, NOW + DAY), 0);
	assert_int_equal(check_initiator(e, 4, NOW + DAY + 1), ERR_EXPIRED);
}

static void test_lengths(void **state)
{
	uint8_t body[BODY_CAP];
	struct peer_identity id;
	struct certs_entry e[4];
	size_t len, short_len;

	(void)state;
	entries_of(e, &ours, true);
	assert_int_equal(certs_build(body, sizeof(body), &len, e, 4), 0);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(certs_check_responder(&id, body, n, ours.tls_sha256, NOW), ERR_MALFORMED);
	memset(body + len, 0xee, 10);		/* allowed at the end of the cell */
	assert_int_equal(certs_check_responder(&id, body, len + 10, ours.tls_sha256, NOW), 0);
	for (int i = 0; i < 4; i++) {		/* but not inside a certificate */
		uint8_t longer[BODY_CAP];

		entries_of(e, &ours, true);
		memcpy(longer, e[i].data, e[i].len);
		longer[e[i].len] = 0;
		e[i].data = longer;
		e[i].len++;
		assert_true(check_responder(e, 4, NOW) < 0);
		e[i].len -= 2;
		assert_true(check_responder(e, 4, NOW) < 0);
		e[i].len = 0;
		assert_true(check_responder(e, 4, NOW) < 0);
	}
	entries_of(e, &ours, true);
	for (size_t cap = 0; cap < len; cap++)
		assert_int_equal(certs_build(body, cap, &short_len, e, 4), ERR_TOO_LONG);
}

static void test_every_byte_counts(void **state)
{
	uint8_t body[BODY_CAP];
	struct peer_identity id;
	struct certs_entry e[4];
	size_t len;

	(void)state;
	entries_of(e, &ours, false);
	assert_int_equal(certs_build(body, sizeof(body), &len, e, 4), 0);
	for (size_t i = 0; i < len; i++) {
		body[i] ^= 1;
		if (certs_check_initiator(&id, body, len, NOW) == 0)
			fail_msg("byte %zu does not matter", i);
		body[i] ^= 1;
	}
}

/* What tor 0.4.9.11 sent on links, as captured. */
static size_t read_vector(uint8_t *out, size_t cap, const char *name)
{
	char *path = mem_printf("%s/tor-0.4.9.11/%s", getenv("TEST_VECTORS"), name);
	FILE *f = fopen(path, "rb");
	size_t len;

	free(path);
	assert_non_null(f);
	len = fread(out, 1, cap, f);
	fclose(f);
	return len;
}

static void test_from_tor(void **state)
{
	uint8_t body[BODY_CAP], tls[BODY_CAP], digest[32];
	struct peer_identity id;
	size_t len, tls_len;

	(void)state;
	if (!getenv("TEST_VECTORS"))
		skip();
	len = read_vector(body, sizeof(body), "certs-cell.bin");
	tls_len = read_vector(tls, sizeof(tls), "link-cert.der");
	sha256(digest, tls, tls_len);
	assert_int_equal(certs_check_responder(&id, body, len, digest, 1795323200), 0);
	assert_memory_equal(id.rsa_id, "\x1c\xa7\xd1\x0f\x14\xf9\x5d\x74\x78\xce\x91\x2d\x18\x7b\xdf\x1f"
				       "\xb6\x54\x1f\x7a", 20);
	assert_memory_equal(id.ed_id, "\x49\x41\x8a\xbe", 4);
	digest[0] ^= 1;
	assert_int_equal(certs_check_responder(&id, body, len, digest, 1795323200), ERR_MISMATCH);
}

/* -- AUTHENTICATE ---------------------------------------------------------- */

static uint8_t values[8][32];

static struct auth_context context(void)
{
	for (int i = 0; i < 8; i++)
		memset(values[i], 0x10 + i, 32);
	return (struct auth_context){
		.initiator_rsa_sha256 = values[0], .responder_rsa_sha256 = values[1],
		.initiator_ed_id = values[2], .responder_ed_id = values[3],
		.responder_log = values[4], .initiator_log = values[5],
		.tls_cert_sha256 = values[6], .tls_secrets = values[7],
	};
}

static void test_authenticate(void **state)
{
	struct auth_context a = context();
	uint8_t body[AUTHENTICATE_BODY_LEN + 4], expected[12 + 256];
	size_t len;

	(void)state;
	assert_int_equal(authenticate_build(body, AUTHENTICATE_BODY_LEN - 1, &len, &a, ours.auth_secret,
					    ours.auth), ERR_TOO_LONG);
	assert_int_equal(authenticate_build(body, sizeof(body), &len, &a, ours.auth_secret, ours.auth), 0);
	assert_int_equal(len, AUTHENTICATE_BODY_LEN);
	/* Byte layout of tor-spec 4.4.2, field by field. */
	memcpy(expected, "\0\3\1\x60" "AUTH0003", 12);
	memcpy(expected + 12, values, 256);
	assert_memory_equal(body, expected, sizeof(expected));
	assert_int_equal(ed25519_verify(ours.auth, body + len - 64, body + 4, len - 64 - 4), 0);

	assert_int_equal(authenticate_check(body, len, &a, ours.auth), 0);
	assert_int_equal(authenticate_check(body, len + 4, &a, ours.auth), 0);	/* after the end */
	assert_int_equal(authenticate_check(body, len, &a, theirs.auth), ERR_AUTH);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(authenticate_check(body, n, &a, ours.auth), ERR_MALFORMED);
	for (size_t i = 0; i < len; i++) {
		body[i] ^= 1;
		assert_true(authenticate_check(body, len, &a, ours.auth) < 0);
		body[i] ^= 1;
	}
	for (int i = 0; i < 8; i++) {		/* each value is bound */
		values[i][31] ^= 1;
		assert_int_equal(authenticate_check(body, len, &a, ours.auth), ERR_AUTH);
		values[i][31] ^= 1;
	}
	body[1] = 1;
	assert_int_equal(authenticate_check(body, len, &a, ours.auth), ERR_UNSUPPORTED);
}

static void test_authenticate_extra(void **state)
{
	struct auth_context a = context();
	uint8_t body[AUTHENTICATE_BODY_LEN + 10];
	size_t len;

	(void)state;
	assert_int_equal(authenticate_build(body, sizeof(body), &len, &a, ours.auth_secret, ours.auth), 0);
	/* Ten more signed bytes between RAND and SIG. */
	body[2] = (len - 4 + 10) >> 8;
	body[3] = (len - 4 + 10) & 255;
	ed25519_sign(body + len - 54, ours.auth_secret, ours.auth, body + 4, len - 54 - 4);
	assert_int_equal(authenticate_check(body, len + 10, &a, ours.auth), 0);
	body[len - 60] ^= 1;
	assert_int_equal(authenticate_check(body, len + 10, &a, ours.auth), ERR_AUTH);
}

/* A relay of tor 0.4.9.11 authenticating itself to us. */
static void test_authenticate_from_tor(void **state)
{
	uint8_t certs[BODY_CAP], body[BODY_CAP], ours_then[6][32];
	struct auth_context a;
	struct peer_identity id;
	size_t len;

	(void)state;
	if (!getenv("TEST_VECTORS"))
		skip();
	len = read_vector(certs, sizeof(certs), "initiator-certs-cell.bin");
	assert_int_equal(certs_check_initiator(&id, certs, len, 1795325990), 0);
	assert_int_equal(read_vector((uint8_t *)ours_then, sizeof(ours_then), "authenticate-context.bin"),
			 sizeof(ours_then));
	a = (struct auth_context){
		.initiator_rsa_sha256 = id.rsa_id_sha256, .responder_rsa_sha256 = ours_then[0],
		.initiator_ed_id = id.ed_id, .responder_ed_id = ours_then[1],
		.responder_log = ours_then[2], .initiator_log = ours_then[3],
		.tls_cert_sha256 = ours_then[4], .tls_secrets = ours_then[5],
	};
	len = read_vector(body, sizeof(body), "authenticate-cell.bin");
	assert_int_equal(len, AUTHENTICATE_BODY_LEN);
	assert_int_equal(authenticate_check(body, len, &a, id.auth_public), 0);
	ours_then[5][0] ^= 1;
	assert_int_equal(authenticate_check(body, len, &a, id.auth_public), ERR_AUTH);
}

static void test_challenge(void **state)
{
	uint8_t one[64], two[64];
	bool type3 = false;
	size_t len;

	(void)state;
	len = auth_challenge_build(one);
	assert_int_equal(len, 36);
	assert_memory_equal(one + 32, "\0\1\0\3", 4);
	auth_challenge_build(two);
	assert_memory_not_equal(one, two, 32);
	assert_int_equal(auth_challenge_parse(&type3, one, len), 0);
	assert_true(type3);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(auth_challenge_parse(&type3, one, n), ERR_MALFORMED);
	assert_int_equal(auth_challenge_parse(&type3, one, len + 5), 0);
	memcpy(one + 32, "\0\2\0\1\0\3", 6);
	type3 = false;
	assert_int_equal(auth_challenge_parse(&type3, one, 38), 0);
	assert_true(type3);
	memcpy(one + 32, "\0\1\0\1\0\3", 6);
	assert_int_equal(auth_challenge_parse(&type3, one, 38), 0);
	assert_false(type3);
	memcpy(one + 32, "\xff\xff\0\3", 4);
	assert_int_equal(auth_challenge_parse(&type3, one, 36), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good), cmocka_unit_test(test_missing_and_repeated),
		cmocka_unit_test(test_wrong_pieces), cmocka_unit_test(test_times),
		cmocka_unit_test(test_lengths), cmocka_unit_test(test_every_byte_counts),
		cmocka_unit_test(test_from_tor), cmocka_unit_test(test_authenticate),
		cmocka_unit_test(test_authenticate_extra), cmocka_unit_test(test_authenticate_from_tor),
		cmocka_unit_test(test_challenge),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
