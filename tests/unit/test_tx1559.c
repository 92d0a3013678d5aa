#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>

#include "../../ledger/rlp.h"
#include "../../ledger/tx.h"
#include "vectors.h"

struct buffers {
	uint8_t data[1024], access[1024];
};

static void word_of(uint8_t out[32], const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	assert_int_equal(uint256_parse(out, text, strlen(text)), 0);
}

static uint64_t u64_of(const json_t *object, const char *name)
{
	return strtoull(json_string_value(json_object_get(object, name)), NULL, 10);
}

static void addr_of(struct eth_addr *ret, const json_t *text)
{
	assert_int_equal(eth_addr_parse(ret, json_string_value(text), json_string_length(text)), 0);
}

static size_t access_of(uint8_t *out, size_t cap, const json_t *list)
{
	struct wr w = wr_init(out, cap);
	json_t *row, *key;
	size_t i, k;

	json_array_foreach(list, i, row) {
		uint8_t keys[8][32];
		struct eth_addr a;

		addr_of(&a, json_object_get(row, "address"));
		json_array_foreach(json_object_get(row, "storageKeys"), k, key)
			assert_int_equal(hex_decode(keys[k], 32, json_string_value(key) + 2, 64), 0);
		tx_wr_access(&w, &a, keys[0], k);
	}
	assert_int_equal(wr_done(&w), 0);
	return wr_len(&w);
}

static struct tx tx_of(struct buffers *b, const json_t *v)
{
	struct tx t = { .chain_id = u64_of(v, "chainId"), .nonce = u64_of(v, "nonce"), .gas = u64_of(v, "gas") };

	word_of(t.max_priority_fee, v, "maxPriorityFeePerGas");
	word_of(t.max_fee, v, "maxFeePerGas");
	word_of(t.value, v, "value");
	t.creates = json_is_null(json_object_get(v, "to"));
	if (!t.creates)
		addr_of(&t.to, json_object_get(v, "to"));
	t.data = b->data;
	t.data_len = vector_get(b->data, sizeof(b->data), v, "data");
	t.access = b->access;
	t.access_len = access_of(b->access, sizeof(b->access), json_object_get(v, "accessList"));
	return t;
}

static void expect_same(const struct tx *a, const struct tx *b)
{
	assert_true(a->chain_id == b->chain_id && a->nonce == b->nonce && a->gas == b->gas && a->creates == b->creates);
	assert_memory_equal(a->max_priority_fee, b->max_priority_fee, 32);
	assert_memory_equal(a->max_fee, b->max_fee, 32);
	assert_memory_equal(a->value, b->value, 32);
	assert_true(eth_addr_eq(&a->to, &b->to));
	assert_int_equal(a->data_len, b->data_len);
	assert_memory_equal(a->data, b->data, a->data_len);
	assert_int_equal(a->access_len, b->access_len);
	assert_memory_equal(a->access, b->access, a->access_len);
}

static void check_decode(const json_t *c, const struct tx *t, const uint8_t *raw, size_t len)
{
	uint8_t sig[ETH_SIG_LEN], again[1024];
	struct wr w = wr_init(again, sizeof(again));
	struct eth_addr sender, want;
	struct tx got;

	assert_int_equal(tx_decode(&got, sig, &sender, raw, len), 0);
	expect_same(&got, t);
	addr_of(&want, json_object_get(c, "sender"));
	assert_true(eth_addr_eq(&sender, &want));
	vector_expect(c, "r", sig, 32);
	vector_expect(c, "s", sig + 32, 32);
	assert_int_equal(sig[64] - 27, json_integer_value(json_object_get(c, "yParity")));
	assert_int_equal(tx_write(&w, &got, sig), 0);
	vector_expect(c, "raw", again, wr_len(&w));
	/* Every shorter text is none, in a buffer of its own size. */
	for (size_t n = 0; n < len; n++) {
		uint8_t *cut = malloc(n ? n : 1);

		memcpy(cut, raw, n);
		assert_int_equal(tx_decode(&got, sig, &sender, cut, n), ERR_MALFORMED);
		free(cut);
	}
}

static void published_vectors(void **state)
{
	json_t *doc = vectors_load("tx1559.json"), *c;
	uint8_t out[1024], hash[32], secret[32];
	size_t i, short_r = 0, short_s = 0;
	struct buffers b;
	(void)state;

	json_array_foreach(json_object_get(doc, "cases"), i, c) {
		struct tx t = tx_of(&b, json_object_get(c, "tx"));
		struct wr w = wr_init(out, sizeof(out));

		assert_int_equal(tx_write_unsigned(&w, &t), 0);
		vector_expect(c, "unsigned", out, wr_len(&w));
		assert_int_equal(tx_digest(hash, &t), 0);
		vector_expect(c, "sighash", hash, 32);
		assert_int_equal(vector_get(secret, 32, c, "privateKey"), 32);
		w = wr_init(out, sizeof(out));
		assert_int_equal(tx_sign(&w, &t, secret), 0);
		vector_expect(c, "raw", out, wr_len(&w));
		keccak256(hash, out, wr_len(&w));
		vector_expect(c, "hash", hash, 32);
		check_decode(c, &t, out, wr_len(&w));
		short_r += strncmp(json_string_value(json_object_get(c, "r")), "0x00", 4) == 0;
		short_s += strncmp(json_string_value(json_object_get(c, "s")), "0x00", 4) == 0;
	}
	assert_int_equal(i, 9);
	assert_true(short_r == 1 && short_s == 1);
	json_decref(doc);
}

/* A signed transaction with what follows the nine fields as a test wants it. */
static int decode_with(const char *tail, size_t tail_len)
{
	static const char fields[] = "\x82\x7a\x69\x07\x01\x02\x82\x52\x08\x80\x80\x80\xc0";
	uint8_t raw[256], sig[ETH_SIG_LEN];
	struct wr w = wr_init(raw, sizeof(raw));
	struct eth_addr sender;
	struct tx t;

	wr_u8(&w, 2);
	rlp_wr_list(&w, sizeof(fields) - 1 + tail_len);
	wr_bytes(&w, fields, sizeof(fields) - 1);
	wr_bytes(&w, tail, tail_len);
	return tx_decode(&t, sig, &sender, raw, wr_len(&w));
}

#define WITH(text) decode_with(text, sizeof(text) - 1)
#define S32 "\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11"
/* All but its last byte. */
#define HALF_ORDER "\xa0\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" \
	"\x5d\x57\x6e\x73\x57\xa4\x50\x1d\xdf\xe9\x2f\x46\x68\x1b\x20"

static void refused_signatures(void **state)
{
	(void)state;
	assert_int_equal(WITH("\x80\x01\x01"), 0);
	assert_int_equal(WITH("\x01\x01\x01"), 0);
	assert_int_equal(WITH("\x02\x01\x01"), ERR_MALFORMED);
	assert_int_equal(WITH("\x1b\x01\x01"), ERR_MALFORMED);
	assert_int_equal(WITH("\x82\x01\x00\x01\x01"), ERR_MALFORMED);
	assert_int_equal(WITH("\x00\x01\x01"), ERR_MALFORMED);
	assert_int_equal(WITH("\x80\x80\x01"), ERR_AUTH);
	assert_int_equal(WITH("\x80\x01\x80"), ERR_AUTH);
	assert_int_equal(WITH("\x80\x01\x82\x00\x81"), ERR_MALFORMED);
	assert_int_equal(WITH("\x80\xa0\x00" S32 "\x01"), ERR_MALFORMED);
	assert_int_equal(WITH("\x80\xa1\x01\x00" S32 "\x01"), ERR_MALFORMED);
	assert_int_equal(WITH("\x80\x01" HALF_ORDER "\xa0"), 0);
	assert_int_equal(WITH("\x80\x01" HALF_ORDER "\xa1"), ERR_MALFORMED);
	assert_int_equal(WITH("\x80\x01\x01\x01"), ERR_MALFORMED);
	assert_int_equal(WITH("\x80\x01"), ERR_MALFORMED);
	assert_int_equal(WITH(""), ERR_MALFORMED);
	assert_int_equal(WITH("\x80\x01\xc0"), ERR_MALFORMED);
}

static int try_fields(const uint8_t *access, size_t len, unsigned priority, uint64_t nonce, size_t data_len)
{
	static uint8_t data[TX_LEN_MAX + 1];
	struct tx t = { .nonce = nonce, .access = access, .access_len = len, .data = data, .data_len = data_len };
	uint8_t hash[32];

	t.max_fee[31] = 1;
	t.max_priority_fee[31] = (uint8_t)priority;
	return tx_digest(hash, &t);
}

static void refused_fields(void **state)
{
	static const uint8_t bad[][24] = { { 0x80 }, { 0xc0 }, { 0xc2, 0x80, 0xc0 }, { 0xc1, 0x94 },
					   { 0xd7, 0x94, [22] = 0xc1, [23] = 0x05 }, { 0xd6, 0x94, [22] = 0x80 } };
	static const uint8_t good[23] = { 0xd6, 0x94, [22] = 0xc0 };
	static const size_t lens[] = { 1, 1, 3, 2, 24, 23 };
	uint8_t out[512], secret[32] = { 0 }, sig[ETH_SIG_LEN] = { 0 };
	struct wr w = wr_init(out, sizeof(out));
	struct eth_addr sender;
	struct tx t = { 0 };
	(void)state;

	assert_int_equal(try_fields(good, sizeof(good), 1, 0, 0), 0);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		assert_int_equal(try_fields(bad[i], lens[i], 1, 0, 0), ERR_MALFORMED);
	assert_int_equal(try_fields(good, sizeof(good) - 1, 1, 0, 0), ERR_MALFORMED);
	assert_int_equal(try_fields(NULL, 0, 2, 0, 0), ERR_RANGE);
	assert_int_equal(try_fields(NULL, 0, 1, UINT64_MAX, 0), ERR_RANGE);
	assert_int_equal(try_fields(NULL, 0, 1, 0, TX_LEN_MAX - 100), 0);
	assert_int_equal(try_fields(NULL, 0, 1, 0, TX_LEN_MAX), ERR_TOO_LONG);
	assert_int_equal(try_fields(NULL, 0, 1, 0, TX_LEN_MAX + 1), ERR_TOO_LONG);
	assert_int_equal(tx_sign(&w, &t, secret), ERR_RANGE);
	assert_int_equal(tx_write(&w, &t, sig), ERR_MALFORMED);
	secret[31] = 1;
	w = wr_init(out, 20);
	assert_int_equal(tx_sign(&w, &t, secret), ERR_TOO_LONG);
	assert_int_equal(tx_decode(&t, sig, &sender, (const uint8_t *)"\x01\xc0", 2), ERR_UNSUPPORTED);
	assert_int_equal(tx_decode(&t, sig, &sender, (const uint8_t *)"\xc0", 1), ERR_UNSUPPORTED);
	assert_int_equal(tx_decode(&t, sig, &sender, (const uint8_t *)"\x02\x80", 2), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors), cmocka_unit_test(refused_signatures), cmocka_unit_test(refused_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
