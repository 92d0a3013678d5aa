#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/base/crypto_priv.h"

#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/rand.h>

#include "crypto_test.h"

/* FIPS 180-4 and FIPS 202 examples. */
static void test_digests(void **state)
{
	static const struct {
		const char *in, *sha1, *sha256, *sha512, *sha3_256, *shake256;
	} v[] = {
		{ "", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
		  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		  "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
		  "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
		  "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
		  "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f"
		  "d75dc4ddd8c0f200cb05019d67b592f6fc821c49479ab48640292eacb3b7c4be" },
		{ "abc", "a9993e364706816aba3e25717850c26c9cd0d89d",
		  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		  "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		  "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
		  "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
		  "483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739"
		  "d5a15bef186a5386c75744c0527e1faa9f8726e462a12a4feb06bd8801e751e4" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
		  "204a8fc6dda82f0a0ced7beb8e08a41657c16ef468b228a8279be331a703c335"
		  "96fd15c13b1b07f9aa1d3bea57789ca031ad85c7a71dd70354ec631238ca3445",
		  "41c0dba2a9d6240849100376a8235e2c82e1b9998a999e21db32dd97496d3376",
		  "4d8c2dd2435a0128eefbb8c36f6f87133a7911e18d979ee1ae6be5d4fd2e3329"
		  "40d8688a4e6a59aa8060f1f9bc996c05aca3c696a8b66279dc672c740bb224ec" },
	};
	uint8_t out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		size_t len = strlen(v[i].in);

		sha1(out, v[i].in, len);
		assert_hex_equal(out, v[i].sha1);
		sha256(out, v[i].in, len);
		assert_hex_equal(out, v[i].sha256);
		sha512(out, v[i].in, len);
		assert_hex_equal(out, v[i].sha512);
		sha3_256(out, v[i].in, len);
		assert_hex_equal(out, v[i].sha3_256);
		shake256(out, 64, v[i].in, len);
		assert_hex_equal(out, v[i].shake256);
	}
}

/* Added in pieces, looked at on the way, put back by assignment. */
static void test_running_digests(void **state)
{
	uint8_t data[300], want[32], got[32];
	struct sha256_run s256;
	struct sha1_run s1, saved;

	(void)state;
	rand_bytes(data, sizeof(data));
	sha1_run_init(&s1);
	sha256_run_init(&s256);
	for (size_t n = 0; n < sizeof(data); n++) {
		sha1(want, data, n);
		sha1_run_peek(&s1, got);
		assert_memory_equal(got, want, SHA1_LEN);
		saved = s1;
		sha1_run_add(&s1, "noise", 5);
		s1 = saved;
		sha1_run_add(&s1, data + n, 1);

		sha256(want, data, n);
		sha256_run_peek(&s256, got);
		assert_memory_equal(got, want, SHA256_LEN);
		sha256_run_add(&s256, data + n, 1);
	}
}

/* RFC 4231, cases 1, 2, 3, 6 and 7. */
static void test_hmac(void **state)
{
	static const struct {
		const char *key, *data, *mac;
		size_t key_repeat, data_repeat;
	} v[] = {
		{ "0b", "4869205468657265", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", 20, 1 },
		{ "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", 1, 1 },
		{ "aa", "dd", "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe", 20, 50 },
		{ "aa", "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d20"
		  "48617368204b6579204669727374",
		  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", 131, 1 },
		{ "aa", "5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d"
		  "73697a65206b657920616e642061206c6172676572207468616e20626c6f636b2d73697a6520646174"
		  "612e20546865206b6579206e6565647320746f20626520686173686564206265666f7265206265696e"
		  "6720757365642062792074686520484d414320616c676f726974686d2e",
		  "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2", 131, 1 },
	};
	uint8_t key[256], data[256], out[32];

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		size_t key_len = 0, len = 0;

		for (size_t n = 0; n < v[i].key_repeat; n++)
			key_len += unhex(key + key_len, sizeof(key) - key_len, v[i].key);
		for (size_t n = 0; n < v[i].data_repeat; n++)
			len += unhex(data + len, sizeof(data) - len, v[i].data);
		hmac_sha256(out, key, key_len, data, len);
		assert_hex_equal(out, v[i].mac);
	}
}

/* RFC 5869, A.1 to A.3. */
static void test_hkdf(void **state)
{
	uint8_t ikm[80], salt[80], info[80], out[82];

	(void)state;
	memset(ikm, 0x0b, 22);
	for (size_t i = 0; i < 13; i++)
		salt[i] = (uint8_t)i;
	for (size_t i = 0; i < 10; i++)
		info[i] = (uint8_t)(0xf0 + i);
	hkdf_sha256(out, 42, salt, 13, ikm, 22, info, 10);
	assert_hex_equal(out, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
	hkdf_sha256(out, 42, NULL, 0, ikm, 22, NULL, 0);
	assert_hex_equal(out, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
	for (size_t i = 0; i < 80; i++) {
		ikm[i] = (uint8_t)i;
		salt[i] = (uint8_t)(0x60 + i);
		info[i] = (uint8_t)(0xb0 + i);
	}
	hkdf_sha256(out, 82, salt, 80, ikm, 80, info, 80);
	assert_hex_equal(out, "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
			      "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
			      "cc30c58179ec3e87c14c01d5c1f3434f1d87");
}

static void test_kdf_tor(void **state)
{
	uint8_t out[72], want[20], in[41];

	(void)state;
	memset(in, 0x5a, 40);
	kdf_tor(out, sizeof(out), in, 40);
	for (uint8_t i = 0; i < 4; i++) {
		in[40] = i;
		sha1(want, in, sizeof(in));
		assert_memory_equal(out + 20 * i, want, i < 3 ? 20 : 12);
	}
}

/*
 * Zero key, counter from zero: blocks 1 and 2 are the tag mask and the first
 * keystream block of test cases 1, 2, 13 and 14 of the GCM submission; block 0
 * is their hash key H.
 */
static void test_aes_ctr(void **state)
{
	static const uint8_t zero[48];
	static const char ks128[] = "66e94bd4ef8a2c3b884cfa59ca342b2e58e2fccefa7e3061367f1d57a4e7455a"
				    "0388dace60b6a392f328c2b971b2fe78";
	static const char ks256[] = "dc95c078a2408989ad48a21492842087530f8afbc74536b9a963b4f1c4cb738b"
				    "cea7403d4d606b6e074ec5d3baf39d18";
	struct aes_ctr *c = aes_ctr_new(zero, 16);
	uint8_t out[48];

	(void)state;
	aes_ctr_crypt(c, out, zero, sizeof(out));
	assert_hex_equal(out, ks128);
	aes_ctr_free(c);

	c = aes_ctr_new(zero, 32);
	aes_ctr_crypt(c, out, zero, sizeof(out));
	assert_hex_equal(out, ks256);
	aes_ctr_free(c);
	aes_ctr_free(NULL);
}

/* The stream does not depend on how it is cut, and works in place. */
static void test_aes_ctr_runs_on(void **state)
{
	uint8_t key[16], in[1018], whole[1018], parts[1018];
	struct aes_ctr *c, *d;

	(void)state;
	rand_bytes(key, sizeof(key));
	rand_bytes(in, sizeof(in));
	c = aes_ctr_new(key, sizeof(key));
	d = aes_ctr_new(key, sizeof(key));
	aes_ctr_crypt(c, whole, in, sizeof(in));
	memcpy(parts, in, sizeof(in));
	for (size_t at = 0, n = 0; at < sizeof(in); at += n, n = (n + 3) % 61) {
		if (n > sizeof(in) - at)
			n = sizeof(in) - at;
		aes_ctr_crypt(d, parts + at, parts + at, n);
	}
	assert_memory_equal(parts, whole, sizeof(whole));
	aes_ctr_free(c);
	aes_ctr_free(d);
}

/* RFC 7748 5.2. */
static void test_x25519(void **state)
{
	static const char *const v[][3] = {
		{ "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
		  "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
		  "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552" },
		{ "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
		  "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
		  "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957" },
	};
	uint8_t k[32] = { 9 }, u[32] = { 9 }, out[32];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct x25519_key *key;
		uint8_t secret[32], peer[32];

		unhex(secret, 32, v[i][0]);
		unhex(peer, 32, v[i][1]);
		assert_int_equal(x25519(out, secret, peer), 0);
		assert_hex_equal(out, v[i][2]);
		key = x25519_key_new(secret);
		memset(out, 0, sizeof(out));
		assert_int_equal(x25519_key_exchange(out, key, peer), 0);
		assert_hex_equal(out, v[i][2]);
		x25519_key_free(key);
	}
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(x25519(out, k, u), 0);
		memcpy(u, k, 32);
		memcpy(k, out, 32);
		if (i == 0)
			assert_hex_equal(out, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
	}
	assert_hex_equal(out, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

static void test_x25519_public(void **state)
{
	static const uint8_t nine[32] = { 9 };
	uint8_t a[32], A[32], b[32], B[32], ab[32], ba[32];

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct x25519_key *key;

		x25519_keygen(a, A);
		assert_int_equal(x25519(ab, a, nine), 0);
		assert_memory_equal(A, ab, 32);
		rand_bytes(b, sizeof(b));	/* not clamped */
		x25519_public(B, b);
		assert_int_equal(x25519(ba, b, nine), 0);
		assert_memory_equal(B, ba, 32);
		assert_int_equal(x25519(ab, a, B), 0);
		key = x25519_key_new(b);
		assert_memory_equal(x25519_key_public(key), B, 32);
		assert_int_equal(x25519_key_exchange(ba, key, A), 0);
		assert_memory_equal(ab, ba, 32);
		x25519_key_free(key);
	}
	x25519_key_free(NULL);
}

#ifdef __SIZEOF_INT128__
/*
 * y and u = (1 + y) / (1 - y), computed with Python's integers: u around 0, p and the
 * limits of limbs; then y not reduced, and y = 1, whose u is taken for 0.
 */
static void test_montgomery_u(void **state)
{
	static const char *const v[][2] = {
		{ "0300000000000000000000000000000000000000000000000000000000000000",
		  "ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f" },
		{ "0200000000000000000000000000000000000000000000000000000000000000",
		  "eaffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f" },
		{ "aeb4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b434",
		  "dbffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f" },
		{ "2994d7505e43790de53594d7505e43790de53594d7505e43790de53594d7505e",
		  "d9ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f" },
		{ "4955555555555555555555555555555555555555555555555555555555555555",
		  "0200000000000000000000000000000000000000000000000000000000000000" },
		{ "c66b28afa1bc86f21aca6b28afa1bc86f21aca6b28afa1bc86f21aca6b28af21",
		  "1200000000000000000000000000000000000000000000000000000000000000" },
		{ "90e7799ee7799ee7799ee7799ee7799ee7799ee7799ee7799ee7799ee7799e67",
		  "1400000000000000000000000000000000000000000000000000000000000000" },
		{ "c83aa50bc53a23b1db37b54a41ad24e3aeeae6de41c112918fbf8080073a0673",
		  "000000000000f8ffffffffffffffffffffffffffffffffffffffffffffffff7f" },
		{ "feffffffffff4f5e43790de53594d7505e43790de53594d7505e43790de53514",
		  "ffffffffffffffffffffffffffffffffffffffffffffffffff0f000000000000" },
		{ "233333333333676666666666c6cccccccccccc99999999999931333333333373",
		  "0000000000000800000000000000000000000000000000000000000000000000" },
		{ "f1ffffffffffffffffffffffffffffffffffffffffffffffff9fbc86f21aca6b",
		  "ffffffffffff0700000000000000000000000000000000000000000000000000" },
		{ "0000000000000000000000000000000000000000000000000000000000000000",
		  "0100000000000000000000000000000000000000000000000000000000000000" },
		{ "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		  "0000000000000000000000000000000000000000000000000000000000000000" },
		{ "0200000000000000000000000000000000000000000000000000000000000000",
		  "eaffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f" },
		{ "0100000000000000000000000000000000000000000000000000000000000000",
		  "0000000000000000000000000000000000000000000000000000000000000000" },
		{ "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		  "0100000000000000000000000000000000000000000000000000000000000000" },
		{ "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		  "0000000000000000000000000000000000000000000000000000000000000000" },
		{ "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		  "3f4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b" },
	};
	uint8_t y[32], u[32];

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		for (int sign = 0; sign < 2; sign++) {
			unhex(y, 32, v[i][0]);
			y[31] |= (uint8_t)(sign << 7);
			crypto_montgomery_u(u, y);
			assert_hex_equal(u, v[i][1]);
		}
}
#endif

/* All points of small order (RFC 7748 6.1), with and without the ignored top bit. */
static void test_x25519_small_order(void **state)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	static const uint8_t zero[32];
	uint8_t secret[32], public_key[32], peer[32], out[32];

	(void)state;
	x25519_keygen(secret, public_key);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		for (int top = 0; top < 2; top++) {
			unhex(peer, 32, points[i]);
			peer[31] |= (uint8_t)(top << 7);
			memset(out, 0xff, sizeof(out));
			assert_int_equal(x25519(out, secret, peer), ERR_CRYPTO);
			assert_memory_equal(out, zero, 32);
		}
}

/* RFC 8032 7.1: seed, public key, message, signature. */
static const char *const rfc8032[][4] = {
	{ "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
	  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
	  "d25bf5f0595bbe24655141438e7a100b" },
	{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	  "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
	  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
	  "387b2eaeb4302aeeb00d291612bb0c00" },
	{ "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	  "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
	  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
	  "4a7c15e9716ed28dc027beceea1ec40a" },
};

static void test_ed25519(void **state)
{
	uint8_t seed[32], expanded[64], public_key[32], msg[8], sig[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rfc8032) / sizeof(rfc8032[0]); i++) {
		size_t len = unhex(msg, sizeof(msg), rfc8032[i][2]);

		unhex(seed, sizeof(seed), rfc8032[i][0]);
		ed25519_expand(expanded, seed);
		ed25519_public(public_key, expanded);
		assert_hex_equal(public_key, rfc8032[i][1]);
		ed25519_sign(sig, expanded, public_key, msg, len);
		assert_hex_equal(sig, rfc8032[i][3]);
		assert_int_equal(ed25519_verify(public_key, sig, msg, len), 0);
		assert_int_equal(ed25519_verify(public_key, sig, "x", 1), ERR_AUTH);
	}
}

static void test_ed25519_forgeries(void **state)
{
	/* The group order, little-endian: added to S it gives the same point (RFC 8032 8.4). */
	static const uint8_t order[32] = {
		0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
		[31] = 0x10,
	};
	static const uint8_t identity[32] = { 1 };
	uint8_t expanded[64], public_key[32], msg[100], sig[64];
	unsigned carry = 0;

	(void)state;
	ed25519_keygen(expanded, public_key);
	rand_bytes(msg, sizeof(msg));
	ed25519_sign(sig, expanded, public_key, msg, sizeof(msg));
	assert_int_equal(ed25519_verify(public_key, sig, msg, sizeof(msg)), 0);
	for (size_t i = 0; i < sizeof(sig); i++) {
		sig[i] ^= 1;
		assert_int_equal(ed25519_verify(public_key, sig, msg, sizeof(msg)), ERR_AUTH);
		sig[i] ^= 1;
	}
	for (size_t i = 0; i < sizeof(msg); i++) {
		msg[i] ^= 0x80;
		assert_int_equal(ed25519_verify(public_key, sig, msg, sizeof(msg)), ERR_AUTH);
		msg[i] ^= 0x80;
	}
	for (size_t i = 0; i < 32; i++) {
		carry += (unsigned)sig[32 + i] + order[i];
		sig[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_int_equal(ed25519_verify(public_key, sig, msg, sizeof(msg)), ERR_AUTH);
	/* Under the identity as key, R = identity and S = 0 would sign anything. */
	memset(sig, 0, sizeof(sig));
	sig[0] = 1;
	assert_int_equal(ed25519_verify(identity, sig, msg, sizeof(msg)), ERR_AUTH);
}

static void test_ed25519_from_x25519(void **state)
{
	uint8_t secret[32], public_key[32], expanded[64], ed[32], again[32], sig[64];
	unsigned seen = 0;
	int sign;

	(void)state;
	for (int i = 0; i < 100; i++) {
		x25519_keygen(secret, public_key);
		ed25519_from_x25519(expanded, ed, &sign, secret);
		assert_int_equal(sign, ed[31] >> 7);
		seen |= 1u << sign;
		assert_int_equal(ed25519_public_from_x25519(again, public_key, sign), 0);
		assert_memory_equal(again, ed, 32);
		ed25519_sign(sig, expanded, ed, "cross", 5);
		assert_int_equal(ed25519_verify(again, sig, "cross", 5), 0);
		assert_int_equal(ed25519_public_from_x25519(again, public_key, !sign), 0);
		assert_int_equal(ed25519_verify(again, sig, "cross", 5), ERR_AUTH);
	}
	assert_int_equal(seen, 3);
}

/* From two descriptors of tor 0.4.9: ntor-onion-key, and the certificate it signed with its sign bit. */
static void test_crosscerts_of_tor(void **state)
{
	static const struct {
		int sign;
		const char *ntor, *cert;
	} v[] = {
		{ 1, "a5b4f969942a00625d765c377ecf3c76d6243e2fc5992ed974119acd6c081c79",
		  "010a00079ead0149847034592da90a2270bc3bfce8d6ce76aa0c9ad62abbf64a3e6dcd812bd9850076f2788edd6fca1a"
		  "0819d843b696467b1e1daee9938e51eb119ee6e39f57700437fbc1068ae2723d13189f96b5b36402c5ff0eef285808f8"
		  "20d18bf188e7610d" },
		{ 0, "83c6fa58af1448460fe484bf2d23112dc12c9138b902ac7cec34218d68d91d15",
		  "010a00079ead01d3f53927087fba423196bc18f642cf1b5310f6f722edc1d47b7e7628acab1c59001a98338dd5da9bb3"
		  "d9b3b80305b43bb58a1d7da05fd3274d3ee36a24e3354b48ad495f92f9192786c3e6917efb06341b3514bc208bd9c62e"
		  "6eb0d9eedbe12003" },
	};
	uint8_t ntor[32], ed[32], cert[104];

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		unhex(ntor, sizeof(ntor), v[i].ntor);
		assert_int_equal(unhex(cert, sizeof(cert), v[i].cert), sizeof(cert));
		assert_int_equal(ed25519_public_from_x25519(ed, ntor, v[i].sign), 0);
		assert_int_equal(ed25519_verify(ed, cert + 40, cert, 40), 0);
		assert_int_equal(ed25519_public_from_x25519(ed, ntor, !v[i].sign), 0);
		assert_int_equal(ed25519_verify(ed, cert + 40, cert, 40), ERR_AUTH);
	}
}

static void test_ed25519_from_bad_x25519(void **state)
{
	uint8_t u[32], out[32] = { 0 };
	static const uint8_t zero[32];

	(void)state;
	/* u = -1 has no counterpart; 2 is on the twist; 0 is of small order. */
	unhex(u, 32, "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
	assert_int_equal(ed25519_public_from_x25519(out, u, 0), ERR_CRYPTO);
	memset(u, 0, sizeof(u));
	assert_int_equal(ed25519_public_from_x25519(out, u, 0), ERR_CRYPTO);
	u[0] = 2;
	assert_int_equal(ed25519_public_from_x25519(out, u, 0), ERR_CRYPTO);
	assert_memory_equal(out, zero, 32);
	/* 9, also not reduced and with the ignored bit, is the base point's. */
	u[0] = 9;
	assert_int_equal(ed25519_public_from_x25519(out, u, 0), 0);
	assert_hex_equal(out, "5866666666666666666666666666666666666666666666666666666666666666");
	u[31] = 0x80;
	assert_int_equal(ed25519_public_from_x25519(out, u, 0), 0);
	assert_hex_equal(out, "5866666666666666666666666666666666666666666666666666666666666666");
	memset(u, 0xff, sizeof(u));
	u[0] = 0xed + 9;	/* p + 9 */
	u[31] = 0x7f;
	assert_int_equal(ed25519_public_from_x25519(out, u, 0), 0);
	assert_hex_equal(out, "5866666666666666666666666666666666666666666666666666666666666666");
}

static int setup(void **state)
{
	(void)state;
	/* Twice: it may be called again. */
	return crypto_init() < 0 || crypto_init() < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digests), cmocka_unit_test(test_running_digests),
		cmocka_unit_test(test_hmac), cmocka_unit_test(test_hkdf), cmocka_unit_test(test_kdf_tor),
		cmocka_unit_test(test_aes_ctr), cmocka_unit_test(test_aes_ctr_runs_on),
		cmocka_unit_test(test_x25519), cmocka_unit_test(test_x25519_public),
#ifdef __SIZEOF_INT128__
		cmocka_unit_test(test_montgomery_u),
#endif
		cmocka_unit_test(test_x25519_small_order), cmocka_unit_test(test_ed25519),
		cmocka_unit_test(test_ed25519_forgeries), cmocka_unit_test(test_ed25519_from_x25519),
		cmocka_unit_test(test_ed25519_from_bad_x25519), cmocka_unit_test(test_crosscerts_of_tor),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
