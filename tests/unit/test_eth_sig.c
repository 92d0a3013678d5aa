#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>
#include <nonos/eth_sig.h>

#include "vectors.h"

static struct eth_addr addr_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	char again[ETH_ADDR_TEXT_CAP];
	struct eth_addr a;

	assert_non_null(text);
	assert_int_equal(eth_addr_parse(&a, text, strlen(text)), 0);
	eth_addr_text(again, &a);
	assert_string_equal(again, text);
	return a;
}

static void strict_verifier(void **state)
{
	json_t *doc = vectors_load("signatures.json"), *c;
	struct eth_addr signer = addr_of(doc, "signer"), found;
	uint8_t digest[32], sig[80];
	size_t i, accepted = 0;
	(void)state;

	assert_int_equal(vector_get(digest, sizeof(digest), doc, "digest"), 32);
	json_array_foreach(json_object_get(doc, "cases"), i, c) {
		size_t len = vector_get(sig, sizeof(sig), c, "signature");
		bool accept = json_is_true(json_object_get(c, "accept"));
		int r = eth_sig_verify(&signer, digest, sig, len);

		if ((r == 0) != accept)
			fail_msg("%s: %s", json_string_value(json_object_get(c, "name")), err_str(r));
		accepted += accept;
		if (accept) {
			assert_int_equal(eth_sig_recover(&found, digest, sig, len), 0);
			assert_true(eth_addr_eq(&found, &signer));
		}
	}
	assert_true(i >= 14 && accepted == 1);
	json_decref(doc);
}

/* r, s and v apart, and as EIP-2098 packs them: the bit of v on top of s. */
static void check_parts(const json_t *c, const uint8_t sig[ETH_SIG_LEN])
{
	uint8_t compact[64];

	vector_expect(c, "r", sig, 32);
	vector_expect(c, "s", sig + 32, 32);
	assert_int_equal(sig[64], json_integer_value(json_object_get(c, "v")));
	memcpy(compact, sig, sizeof(compact));
	compact[32] |= (uint8_t)((sig[64] - 27) << 7);
	vector_expect(c, "compact", compact, sizeof(compact));
}

/* Signing is deterministic, so it must give the bytes that two other libraries gave. */
static void signing(void **state)
{
	json_t *doc = vectors_load("eip712.json"), *c;
	uint8_t digest[32], secret[32], want[80], got[65];
	struct eth_addr signer, found;
	size_t i;
	(void)state;

	json_array_foreach(json_object_get(doc, "cases"), i, c) {
		signer = addr_of(c, "signer");
		assert_int_equal(vector_get(secret, sizeof(secret), c, "privateKey"), 32);
		assert_int_equal(vector_get(digest, sizeof(digest), c, "digest"), 32);
		assert_int_equal(vector_get(want, sizeof(want), c, "signature"), 65);
		assert_int_equal(eth_addr_of_secret(&found, secret), 0);
		assert_true(eth_addr_eq(&found, &signer));
		assert_int_equal(eth_sig_sign(got, secret, digest), 0);
		assert_memory_equal(got, want, 65);
		check_parts(c, got);
		assert_int_equal(eth_sig_verify(&signer, digest, got, 65), 0);
		assert_int_equal(vector_get(want, sizeof(want), c, "malleableTwin"), 65);
		assert_int_equal(eth_sig_recover(&found, digest, want, 65), ERR_MALFORMED);
		digest[0] ^= 1;
		assert_int_equal(eth_sig_verify(&signer, digest, got, 65), ERR_AUTH);
	}
	assert_int_equal(i, 92);
	json_decref(doc);
}

static void secrets_out_of_range(void **state)
{
	static const uint8_t order[32] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
		0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
	};
	uint8_t zero[32] = { 0 }, sig[65];
	struct eth_addr a;
	(void)state;

	assert_int_equal(eth_addr_of_secret(&a, zero), ERR_RANGE);
	assert_int_equal(eth_addr_of_secret(&a, order), ERR_RANGE);
	assert_int_equal(eth_sig_sign(sig, zero, order), ERR_RANGE);
	assert_int_equal(eth_sig_sign(sig, order, order), ERR_RANGE);
}

/* The addresses that EIP-55 prints, and how text may differ from them. */
static void checksums(void **state)
{
	static const char *const good[] = {
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
		"0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
		"0x52908400098527886E0F7030069857D2E4169EE7", "0xde709f2102306220921060314715629080e2fb77",
	};
	struct eth_addr a, b;
	char text[ETH_ADDR_TEXT_CAP];
	(void)state;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(eth_addr_parse(&a, good[i], 42), 0);
		eth_addr_text(text, &a);
		assert_string_equal(text, good[i]);
	}
	assert_int_equal(eth_addr_parse(&a, good[0], 42), 0);
	assert_int_equal(eth_addr_parse(&b, "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", 42), 0);
	assert_true(eth_addr_eq(&a, &b));
	assert_int_equal(eth_addr_parse(&b, "0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED", 42), 0);
	assert_int_equal(eth_addr_parse(&b, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed", 42), ERR_MISMATCH);
	assert_int_equal(eth_addr_parse(&b, "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed00", 42), ERR_MALFORMED);
	assert_int_equal(eth_addr_parse(&b, good[0], 41), ERR_MALFORMED);
	assert_int_equal(eth_addr_parse(&b, "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaeg", 42), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strict_verifier),
		cmocka_unit_test(signing),
		cmocka_unit_test(secrets_out_of_range),
		cmocka_unit_test(checksums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
