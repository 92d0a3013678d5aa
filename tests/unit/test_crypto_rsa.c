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
#include <nonos/relay.h>
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

/*
 * A fixed key's signature of SHA-1("abc"), computed as (00 01 FF... 00 digest)^d mod n with
 * Python's integers; then blocks that differ a little, raised to the same power.
 */
static void test_known_signature(void **state)
{
	static const char pair_hex[] =
		"3082025d02010002818100c2848ce72e30efa689437974374271079f5efe59e4a0683d9194cdcd7a4d7d524f64f9f6b9"
		"5229603aa22321b48f524b40c0f1a9d90440f07001cbc8a9bbfef8946b746ddedefec1b94366003bac87cc7bbafb2bb3"
		"a426af8298d1838021de6ee68938f2d8d6c7be4b3be1e6cf22074f309bb5f5494069e18f5e7087617cb4b10203010001"
		"02818100c099b456776316f7a3b3febf36b3ffecd73d9cc56f5df0b8fdbc0426ef7168a4265eca2e248318dae253864b"
		"aa57bad92e4d9d3b5ad91e5fb3d7e36a55be028f6f672f3035780a22861ea0cd4d5c6624deac99bc4520d5abe3299bec"
		"7f72858cdf09fbcee1841130f34d12e9869fbff9411387477602fd6670cfe52758135c01024100e6a72086fc95abe7a1"
		"1561861036dee629891cf4f62efbece54e828b1326c729e5c0a7a39c91779eec81c744797165fa502410309a9e028c20"
		"96a095f7e53df1024100d7e4d93f75ccbd5ade603a0f3de363dd1d2dd29ca3543af9bf5daaa853cca0339d6245b9efc8"
		"a755148f365a935ab847b132c4df0ecc3d542b62ac26ff5f22c1024010f4e46d481070ccdc88c7dca540836e844b3237"
		"c8097837d83bc759161559baf8cb0b07fa30af8c9d728505c1afd6816a76dc41d67c1b4fd5ed7cecc986aee10240083e"
		"d649452f7f9fe3d45b035002ca429ca5ae608b20616c3e71ce5dc56d9044c8630374b982b9595782acb9c2dcf922cbd2"
		"bb90255989921862195f17ebc341024100d576b2099a41e5ea956d44640481f71e0b24cc1eb646da0f115d3ba933bb36"
		"7ce846a0d7f6ebdfe40cf1ac3c8191a66948d66986d379055c404fa4bd837b0b87";
	static const char good[] =
		"256e13e0a2d68d2e8f3a643f6bd4a81212b4318a9999a0aa67500b539934e49693d8b5212e3775a6d8af98e61a863d79"
		"a2c86c3fa9e2f00f34ff2ba2e8c7bea11947daa9d3821aa644dd4cc5b925a4b217911a296fd6cc3d519a79dfde89b658"
		"ca0e0fe5c8e79edb5d7b1310d10c920eed5acd8b2bb40fa72b593bcc5a85f710";
	static const char *const bad[] = {
		/* block type 2 */
		"23c887403c53ec25ab7bd323dabacb95fd0cfa9aed6a1800cb3412d3bf98207d53a2a4e2f2eebaccbd3d900e75d70e36"
		"e5d1c8f001569e9dd285fefd29031f4d55914fd57548f55c0b59abddf082bcce3bef2181c84267f22884d07abb80a466"
		"7d2066f62fb7fa9c405a1f572e3c24356994dcc3547cbf4954869fd7d72aeea6",
		/* short padding, rubbish behind the digest */
		"041e6a63103897a1382f0fc99f3450888a893794db60f5a95c11c8983db462ca0988966e509ac84f6425a0ee070d2f5c"
		"503a5b3d43d560dd73dcee1935ee46d88e5259dbc2894f0135f9a01c910eeb523aed4c8900f2a051473bda6713ffc1fd"
		"7a71a20498d12c33377bb3dd1887941fbc68602b6910ca6be54d611389190b78",
		/* no zero before the digest */
		"a34614ee23bd20f497fe0004827d58ff74b77c87c23b8c116362388425a978c7eac062f83553c547a6c5b700eca1bc06"
		"170cd21896423f5058a18537eff17b27fc8e23b69a47230dc4eafcb2dfe5384aa18d5c94167f0ceb9581662d327b293f"
		"e21e1032ce8ac64941a73f925ae7314957571329eb54f6153677012eb8b117e3",
		/* with a DigestInfo */
		"415317e0c9a7b223ffc62e5b77c260ccaaacd5121f5773d34634f6b1560de25bc75ba27e017e1efded84eec4b480ca4e"
		"bc4f923cbfae1fb52a7786a939e95f1222ffdd33cbf92430eb0111571d10e8a1b6f411420021dfa56dd408e07e303516"
		"5448d7e4d29c93e6907b9cb00b311c1da155fcf2a6cd2483e1b58da5b1630d19",
		/* a hole in the padding */
		"8e0a55406f4eb6f1cedcac1364b069ba5d4543ab5b3710e6b853897ba28a1425b5303c66cb702d2bf56a452c71bcdb1f"
		"2e2f7be113f433187f414d1db5bee29ce9bd126e3a3e30074c70d93339fea39f1412c30ec4a364ed1bf663e1f5aa0f2a"
		"95ef309c13518f029de36ff77188107e957faa9b53c11bda1eb38b4c244f6cbd",
	};
	uint8_t pair[700], digest[20], sig[RSA1024_LEN];
	struct rsa_key *k;
	size_t len;

	(void)state;
	sha1(digest, "abc", 3);
	assert_int_equal(rsa_private_from_der(&k, pair, unhex(pair, sizeof(pair), pair_hex)), 0);
	assert_int_equal(rsa_sign_raw(sig, sizeof(sig), &len, k, digest, sizeof(digest)), 0);
	assert_hex_equal(sig, good);
	assert_int_equal(rsa_verify_raw(k, sig, len, digest, sizeof(digest)), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		unhex(sig, sizeof(sig), bad[i]);
		assert_int_equal(rsa_verify_raw(k, sig, len, digest, sizeof(digest)), ERR_AUTH);
	}
	rsa_free(k);
}

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

/* The relay has buffers for a link certificate and its key. */
static void test_link_cert(void **state)
{
	uint8_t *key_der[2], *der[2];
	size_t key_len[2], len[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(x509_make_link_cert(&key_der[i], &key_len[i], &der[i], &len[i], NOW, DAY), 0);
		assert_in_range(key_len[i], 100, sizeof(((struct link_keys *)0)->tls_key));
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
		cmocka_unit_test(test_known_signature), cmocka_unit_test(test_forgeries), cmocka_unit_test(test_id_cert),
		cmocka_unit_test(test_id_cert_wrong_key), cmocka_unit_test(test_link_cert),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
