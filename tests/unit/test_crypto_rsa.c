#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/rand.h>
#include <nonos/secret.h>

#include "crypto_test.h"

enum { NOW = 1795000000, DAY = 86400 };

/* One key pair for all tests: making one takes a while. */
static struct rsa_key *key;

static void test_der_round_trip(void **state)
{
	uint8_t pub[RSA_PUB_DER_CAP], again[RSA_PUB_DER_CAP], pair[2400], pair_again[2400];
	size_t pub_len, again_len, pair_len;
	struct rsa_key *p, *k;

	(void)state;
	assert_int_equal(rsa_bits(key), 1024);
	assert_int_equal(rsa_public_der(pub, sizeof(pub), &pub_len, key), 0);
	assert_int_equal(pub_len, 140);		/* what every 1024-bit key with this exponent takes */
	assert_int_equal(rsa_public_from_der(&p, pub, pub_len), 0);
	assert_int_equal(rsa_public_der(again, sizeof(again), &again_len, p), 0);
	assert_int_equal(again_len, pub_len);
	assert_memory_equal(again, pub, pub_len);
	assert_int_equal(rsa_private_der(pair, sizeof(pair), &pair_len, p), ERR_STATE);
	assert_int_equal(rsa_sign_raw(pair, sizeof(pair), &pair_len, p, "x", 1), ERR_STATE);
	rsa_free(p);

	assert_int_equal(rsa_public_der(pub, 139, &pub_len, key), ERR_TOO_LONG);
	assert_int_equal(rsa_private_der(pair, 100, &pair_len, key), ERR_TOO_LONG);
	assert_int_equal(rsa_private_der(pair, sizeof(pair), &pair_len, key), 0);
	assert_int_equal(rsa_private_from_der(&k, pair, pair_len), 0);
	assert_int_equal(rsa_private_der(pair_again, sizeof(pair_again), &again_len, k), 0);
	assert_int_equal(again_len, pair_len);
	assert_memory_equal(pair_again, pair, pair_len);
	rsa_free(k);
	rsa_free(NULL);
}

static void test_sizes(void **state)
{
	uint8_t pub[RSA_PUB_DER_CAP], pair[2400];
	struct rsa_key *k, *again;
	size_t len;

	(void)state;
	assert_int_equal(rsa_generate(&k, 512), ERR_RANGE);
	assert_int_equal(rsa_generate(&k, 8192), ERR_RANGE);
	assert_int_equal(rsa_generate(&k, 2048), 0);
	assert_int_equal(rsa_bits(k), 2048);
	assert_int_equal(rsa_public_der(pub, sizeof(pub), &len, k), 0);
	assert_int_equal(rsa_public_from_der(&again, pub, len), 0);
	assert_int_equal(rsa_bits(again), 2048);
	rsa_free(again);
	assert_int_equal(rsa_private_der(pair, sizeof(pair), &len, k), 0);
	assert_int_equal(rsa_private_from_der(&again, pair, len), 0);
	rsa_free(again);
	rsa_free(k);
}

/* Every byte of a public key's frame matters, and so does where it ends. */
static void test_der_is_strict(void **state)
{
	uint8_t pub[RSA_PUB_DER_CAP + 1], bad[RSA_PUB_DER_CAP + 8];
	struct rsa_key *k = NULL;
	size_t len;

	(void)state;
	assert_int_equal(rsa_public_der(pub, sizeof(pub), &len, key), 0);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(rsa_public_from_der(&k, pub, n), ERR_MALFORMED);
	pub[len] = 0;
	assert_int_equal(rsa_public_from_der(&k, pub, len + 1), ERR_MALFORMED);
	/* 30 81 89 02 81 81 00 N... 02 03 01 00 01 */
	for (size_t i = 0; i < 6; i++) {
		memcpy(bad, pub, len);
		bad[i] ^= 1;
		assert_int_equal(rsa_public_from_der(&k, bad, len), ERR_MALFORMED);
	}
	memcpy(bad, pub, len);
	bad[len - 1] = 3;	/* exponent 65539 */
	assert_int_equal(rsa_public_from_der(&k, bad, len), ERR_UNSUPPORTED);
	memcpy(bad, pub, len);
	bad[len - 6] &= 0xfe;	/* even modulus */
	assert_int_equal(rsa_public_from_der(&k, bad, len), ERR_MALFORMED);
	/* The same key with a length in three bytes where two do. */
	memcpy(bad, "\x30\x82\x00\x89", 4);
	memcpy(bad + 4, pub + 3, len - 3);
	assert_int_equal(rsa_public_from_der(&k, bad, len + 1), ERR_MALFORMED);
	/* With a superfluous zero before the modulus. */
	memcpy(bad, "\x30\x81\x8a\x02\x81\x82\x00", 7);
	memcpy(bad + 7, pub + 6, len - 6);
	assert_int_equal(rsa_public_from_der(&k, bad, len + 1), ERR_MALFORMED);
	/* A negative modulus. */
	memcpy(bad, "\x30\x81\x88\x02\x81\x80", 6);
	memcpy(bad + 6, pub + 7, len - 7);
	assert_int_equal(rsa_public_from_der(&k, bad, len - 1), ERR_MALFORMED);
	/* A third number. */
	memcpy(bad, "\x30\x81\x8c", 3);
	memcpy(bad + 3, pub + 3, len - 3);
	memcpy(bad + len, "\x02\x01\x01", 3);
	assert_int_equal(rsa_public_from_der(&k, bad, len + 3), ERR_MALFORMED);
	assert_null(k);
}

/* 1016 bits, and 4104: outside what anybody uses. */
static void test_der_bounds(void **state)
{
	uint8_t der[600];
	struct rsa_key *k;

	(void)state;
	memset(der, 0xff, sizeof(der));
	memcpy(der, "\x30\x81\x88\x02\x81\x80\x00", 7);
	memcpy(der + 6 + 128, "\x02\x03\x01\x00\x01", 5);
	assert_int_equal(rsa_public_from_der(&k, der, 6 + 128 + 5), ERR_UNSUPPORTED);
	memset(der, 0xff, sizeof(der));
	memcpy(der, "\x30\x82\x02\x0b\x02\x82\x02\x02\x00", 9);
	memcpy(der + 8 + 514, "\x02\x03\x01\x00\x01", 5);
	assert_int_equal(rsa_public_from_der(&k, der, 8 + 514 + 5), ERR_MALFORMED);
}

/* A damaged pair is noticed, wherever the damage is. */
static void test_private_damage(void **state)
{
	uint8_t pair[700];
	struct rsa_key *k = NULL;
	size_t len;

	(void)state;
	assert_int_equal(rsa_private_der(pair, sizeof(pair), &len, key), 0);
	for (size_t i = 0; i < len; i += 7) {
		pair[i] ^= 4;
		assert_true(rsa_private_from_der(&k, pair, len) < 0);
		pair[i] ^= 4;
	}
	for (size_t n = 0; n < len; n += 11)
		assert_int_equal(rsa_private_from_der(&k, pair, n), ERR_MALFORMED);
	pair[6] = 1;	/* version: more than two primes */
	assert_int_equal(rsa_private_from_der(&k, pair, len), ERR_MALFORMED);
	assert_null(k);
	secret_wipe(pair, sizeof(pair));
}

static void test_sign(void **state)
{
	uint8_t data[118], sig[RSA1024_LEN];
	size_t len;

	(void)state;
	rand_bytes(data, sizeof(data));
	for (size_t n = 1; n <= 117; n += 29) {
		assert_int_equal(rsa_sign_raw(sig, sizeof(sig), &len, key, data, n), 0);
		assert_int_equal(len, RSA1024_LEN);
		assert_int_equal(rsa_verify_raw(key, sig, len, data, n), 0);
		assert_int_equal(rsa_verify_raw(key, sig, len, data, n + 1), ERR_AUTH);
		assert_int_equal(rsa_verify_raw(key, sig, len, data, n - 1), ERR_AUTH);
		assert_int_equal(rsa_verify_raw(key, sig, len - 1, data, n), ERR_AUTH);
		data[n - 1] ^= 1;
		assert_int_equal(rsa_verify_raw(key, sig, len, data, n), ERR_AUTH);
	}
	assert_int_equal(rsa_sign_raw(sig, sizeof(sig), &len, key, data, 118), ERR_CRYPTO);
	assert_int_equal(rsa_sign_raw(sig, sizeof(sig) - 1, &len, key, data, 20), ERR_TOO_LONG);
}

/* The signature, opened with the public exponent, is 00 01 FF... 00 and the bare data. */
static void test_forgeries(void **state)
{
	uint8_t sig[RSA1024_LEN], digest[20];
	size_t len;

	(void)state;
	sha1(digest, "document", 8);
	assert_int_equal(rsa_sign_raw(sig, sizeof(sig), &len, key, digest, sizeof(digest)), 0);
	for (size_t i = 0; i < len; i++) {
		sig[i] ^= 0x10;
		assert_int_equal(rsa_verify_raw(key, sig, len, digest, sizeof(digest)), ERR_AUTH);
		sig[i] ^= 0x10;
	}
	memset(sig, 0, sizeof(sig));
	assert_int_equal(rsa_verify_raw(key, sig, len, digest, sizeof(digest)), ERR_AUTH);
	sig[len - 1] = 1;
	assert_int_equal(rsa_verify_raw(key, sig, len, digest, sizeof(digest)), ERR_AUTH);
	memset(sig, 0xff, sizeof(sig));
	assert_int_equal(rsa_verify_raw(key, sig, len, digest, sizeof(digest)), ERR_AUTH);
	assert_int_equal(rsa_verify_raw(key, sig, 0, digest, sizeof(digest)), ERR_AUTH);
	assert_int_equal(rsa_verify_raw(key, sig, len, digest, 0), ERR_AUTH);
}

static void test_id_cert(void **state)
{
	uint8_t *der, a[RSA_PUB_DER_CAP], b[RSA_PUB_DER_CAP];
	size_t len, a_len, b_len;
	struct rsa_key *k = NULL;

	(void)state;
	assert_int_equal(x509_make_rsa_id_cert(&der, &len, key, NOW, DAY), 0);
	assert_int_equal(x509_check_rsa_id_cert(&k, der, len, NOW), 0);
	assert_int_equal(rsa_public_der(a, sizeof(a), &a_len, key), 0);
	assert_int_equal(rsa_public_der(b, sizeof(b), &b_len, k), 0);
	assert_int_equal(a_len, b_len);
	assert_memory_equal(a, b, a_len);
	rsa_free(k);
	k = NULL;
	assert_int_equal(x509_check_rsa_id_cert(&k, der, len, NOW - 1), ERR_NOT_YET);
	assert_int_equal(x509_check_rsa_id_cert(&k, der, len, NOW + DAY + 1), ERR_EXPIRED);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(x509_check_rsa_id_cert(&k, der, n, NOW), ERR_MALFORMED);
	for (size_t i = 0; i < len; i++) {
		der[i] ^= 0x20;
		assert_true(x509_check_rsa_id_cert(&k, der, len, NOW) < 0);
		der[i] ^= 0x20;
	}
	der = realloc(der, len + 1);
	assert_non_null(der);
	der[len] = 0;
	assert_int_equal(x509_check_rsa_id_cert(&k, der, len + 1, NOW), ERR_MALFORMED);
	assert_null(k);
	free(der);
}

static void test_id_cert_wrong_key(void **state)
{
	uint8_t *key_der, *der;
	size_t key_len, len;
	struct rsa_key *big, *k = NULL;

	(void)state;
	assert_int_equal(rsa_generate(&big, 2048), 0);
	assert_int_equal(x509_make_rsa_id_cert(&der, &len, big, NOW, DAY), 0);
	assert_int_equal(x509_check_rsa_id_cert(&k, der, len, NOW), ERR_UNSUPPORTED);
	free(der);
	rsa_free(big);
	assert_int_equal(x509_make_link_cert(&key_der, &key_len, &der, &len, NOW, DAY), 0);
	assert_int_equal(x509_check_rsa_id_cert(&k, der, len, NOW), ERR_UNSUPPORTED);
	assert_null(k);
	secret_wipe(key_der, key_len);
	free(key_der);
	free(der);
}

/* The relay's buffers for a link certificate and its key are 2048 and 512 bytes. */
static void test_link_cert(void **state)
{
	uint8_t *key_der[2], *der[2];
	size_t key_len[2], len[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(x509_make_link_cert(&key_der[i], &key_len[i], &der[i], &len[i], NOW, DAY), 0);
		assert_in_range(key_len[i], 100, 512);
		assert_in_range(len[i], 200, 1024);
	}
	assert_true(len[0] != len[1] || memcmp(der[0], der[1], len[0]) != 0);
	for (int i = 0; i < 2; i++) {
		free(key_der[i]);
		free(der[i]);
	}
}

static int setup(void **state)
{
	(void)state;
	return crypto_init() < 0 || rsa_generate(&key, 1024) < 0;
}

static int teardown(void **state)
{
	(void)state;
	rsa_free(key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_der_round_trip), cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_der_is_strict), cmocka_unit_test(test_der_bounds),
		cmocka_unit_test(test_private_damage), cmocka_unit_test(test_sign),
		cmocka_unit_test(test_forgeries), cmocka_unit_test(test_id_cert),
		cmocka_unit_test(test_id_cert_wrong_key), cmocka_unit_test(test_link_cert),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
