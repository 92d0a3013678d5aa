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
#include <nonos/mem.h>

#include "../../relay/cert.h"

enum { NOW = 1795323600 };	/* a full hour */

static uint8_t secret[64], public[32], key[32];

static int setup(void **state)
{
	(void)state;
	if (crypto_init() < 0)
		return -1;
	ed25519_keygen(secret, public);
	memset(key, 0x5a, sizeof(key));
	return 0;
}

static size_t make(uint8_t out[CERT_CAP], enum cert_type type, int64_t expires)
{
	struct cert_request q = { type, key, expires, secret, public };
	size_t len = 0;

	assert_int_equal(cert_make(out, CERT_CAP, &len, &q), 0);
	return len;
}

static void test_round_trip(void **state)
{
	static const enum cert_type types[] = { CERT_SIGNING, CERT_LINK, CERT_AUTH, CERT_NTOR };
	uint8_t buf[CERT_CAP];
	struct cert c;

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		size_t len = make(buf, types[i], NOW - 1);

		assert_int_equal(len, types[i] == CERT_SIGNING ? 140 : 104);
		assert_int_equal(cert_parse(&c, buf, len), 0);
		assert_int_equal(c.type, types[i]);
		assert_int_equal(c.key_type, types[i] == CERT_LINK ? 3 : 1);
		assert_int_equal(c.expires, NOW);
		assert_memory_equal(c.key, key, 32);
		assert_int_equal(c.signed_with != NULL, types[i] == CERT_SIGNING);
		assert_int_equal(cert_check(&c, types[i], public, NOW), 0);
		assert_int_equal(cert_check(&c, types[i], public, NOW + 1), ERR_EXPIRED);
		assert_int_equal(cert_check(&c, types[(i + 1) % 4], public, NOW), ERR_MISMATCH);
	}
}

static void test_every_bit_counts(void **state)
{
	uint8_t buf[CERT_CAP];
	size_t len = make(buf, CERT_SIGNING, NOW);

	(void)state;
	for (size_t bit = 0; bit < len * 8; bit++) {
		struct cert c;

		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (cert_parse(&c, buf, len) == 0 && cert_check(&c, CERT_SIGNING, public, NOW) == 0)
			fail_msg("bit %zu does not matter", bit);
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void test_lengths(void **state)
{
	uint8_t buf[CERT_CAP + 1] = { 0 };
	size_t len = make(buf, CERT_SIGNING, NOW);
	struct cert c;

	(void)state;
	for (size_t n = 0; n < len; n++)
		assert_int_equal(cert_parse(&c, buf, n), ERR_MALFORMED);
	assert_int_equal(cert_parse(&c, buf, len), 0);
	assert_int_equal(cert_parse(&c, buf, len + 1), ERR_MALFORMED);
	assert_int_equal(cert_parse(&c, NULL, 0), ERR_MALFORMED);
}

/* A certificate with the given extensions, rightly signed. */
static size_t with_extensions(uint8_t *out, uint8_t n, const void *ext, size_t ext_len)
{
	size_t len = make(out, CERT_AUTH, NOW) - 64;

	out[len - 1] = n;
	memcpy(out + len, ext, ext_len);
	len += ext_len;
	ed25519_sign(out + len, secret, public, out, len);
	return len + 64;
}

static int check_extensions(uint8_t n, const void *ext, size_t ext_len)
{
	uint8_t buf[512];
	size_t len = with_extensions(buf, n, ext, ext_len);
	struct cert c;
	int r = cert_parse(&c, buf, len);

	return r < 0 ? r : cert_check(&c, CERT_AUTH, public, NOW);
}

static void test_extensions(void **state)
{
	uint8_t named[2 * 36] = { 0, 32, 4, 0 };

	(void)state;
	memcpy(named + 4, public, 32);
	memcpy(named + 36, named, 36);
	assert_int_equal(check_extensions(0, "", 0), 0);
	assert_int_equal(check_extensions(1, "\0\2\x99\0ab", 6), 0);		/* unknown, harmless */
	assert_int_equal(check_extensions(1, "\0\2\x99\1ab", 6), ERR_UNSUPPORTED);
	assert_int_equal(check_extensions(1, "\0\2\x99\xffzz", 6), ERR_UNSUPPORTED);
	assert_int_equal(check_extensions(1, "\0\0\x99\0", 4), 0);
	assert_int_equal(check_extensions(2, "\0\0\x99\0\0\1\x98\0a", 9), 0);
	assert_int_equal(check_extensions(1, "\xff\xff\x99\0", 4), ERR_MALFORMED);
	assert_int_equal(check_extensions(2, "\0\0\x99\0", 4), ERR_MALFORMED);
	assert_int_equal(check_extensions(0, "\0\0\x99\0", 4), ERR_MALFORMED);
	assert_int_equal(check_extensions(1, named, 36), 0);
	named[3] = 1;								/* critical, but known */
	assert_int_equal(check_extensions(1, named, 36), 0);
	assert_int_equal(check_extensions(2, named, 72), ERR_MALFORMED);	/* twice */
	named[10] ^= 1;
	assert_int_equal(check_extensions(1, named, 36), ERR_MISMATCH);
	assert_int_equal(check_extensions(1, "\0\2\4\0ab", 6), ERR_MALFORMED);
}

static void test_make_limits(void **state)
{
	struct cert_request q = { CERT_SIGNING, key, NOW, secret, public };
	uint8_t buf[CERT_CAP];
	size_t len;

	(void)state;
	for (size_t cap = 0; cap < CERT_CAP; cap++)
		assert_int_equal(cert_make(buf, cap, &len, &q), ERR_TOO_LONG);
	q.expires = -1;
	assert_int_equal(cert_make(buf, sizeof(buf), &len, &q), ERR_RANGE);
	q.expires = INT64_MAX;
	assert_int_equal(cert_make(buf, sizeof(buf), &len, &q), ERR_RANGE);
}

static void test_crosscert(void **state)
{
	uint8_t buf[CROSSCERT_LEN + 1], other[32] = { 1 };
	struct rsa_key *rsa, *stranger;
	size_t len;

	(void)state;
	assert_int_equal(rsa_generate(&rsa, 1024), 0);
	assert_int_equal(rsa_generate(&stranger, 1024), 0);
	assert_int_equal(crosscert_make(buf, CROSSCERT_LEN - 1, &len, rsa, public, NOW), ERR_TOO_LONG);
	assert_int_equal(crosscert_make(buf, CROSSCERT_LEN, &len, rsa, public, NOW), 0);
	assert_int_equal(len, CROSSCERT_LEN);
	assert_int_equal(crosscert_check(buf, len, rsa, public, NOW), 0);
	assert_int_equal(crosscert_check(buf, len, rsa, public, NOW + 1), ERR_EXPIRED);
	assert_int_equal(crosscert_check(buf, len, rsa, other, NOW), ERR_MISMATCH);
	assert_int_equal(crosscert_check(buf, len, stranger, public, NOW), ERR_AUTH);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(crosscert_check(buf, n, rsa, public, NOW), ERR_MALFORMED);
	assert_int_equal(crosscert_check(buf, len + 1, rsa, public, NOW), ERR_MALFORMED);
	for (size_t i = 0; i < len; i++) {
		buf[i] ^= 0x80;
		assert_true(crosscert_check(buf, len, rsa, public, NOW) < 0);
		buf[i] ^= 0x80;
	}
	rsa_free(rsa);
	rsa_free(stranger);
}

/* The signing certificate that tor 0.4.9.11 wrote for a test identity. */
static void test_from_tor(void **state)
{
	static const uint8_t id[] = {
		0x49, 0x41, 0x8a, 0xbe, 0x5e, 0x6e, 0x7b, 0x61, 0xc7, 0x5e, 0xf0, 0x8d, 0xf3, 0x57, 0xdd, 0x3c,
		0x67, 0xa5, 0x67, 0x65, 0x98, 0x9d, 0xa2, 0xcc, 0x70, 0xc7, 0x15, 0x3b, 0x8f, 0x60, 0x64, 0x06,
	};
	const char *dir = getenv("TEST_VECTORS");
	uint8_t file[32 + CERT_CAP];
	struct cert c;
	char *path;
	FILE *f;

	(void)state;
	if (!dir)
		skip();
	path = mem_printf("%s/tor-0.4.9.11/keys/ed25519_signing_cert", dir);
	f = fopen(path, "rb");
	free(path);
	assert_non_null(f);
	assert_int_equal(fread(file, 1, sizeof(file), f), sizeof(file));
	fclose(f);
	assert_int_equal(cert_parse(&c, file + 32, CERT_CAP), 0);
	assert_memory_equal(c.signed_with, id, 32);
	assert_int_equal(cert_check(&c, CERT_SIGNING, id, NOW), 0);
	assert_int_equal(cert_check(&c, CERT_SIGNING, id, NOW + 31 * 86400), ERR_EXPIRED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_lengths), cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_make_limits), cmocka_unit_test(test_crosscert),
		cmocka_unit_test(test_from_tor),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
