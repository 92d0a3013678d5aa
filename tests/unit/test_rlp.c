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
#include "vectors.h"

enum { CAP = 70000 };

static size_t unhex(uint8_t *out, const json_t *text)
{
	const char *hex = json_string_value(text);
	size_t len = (strlen(hex) - 2) / 2;

	assert_true(len <= CAP && strncmp(hex, "0x", 2) == 0);
	assert_int_equal(hex_decode(out, len, hex + 2, 2 * len), 0);
	return len;
}

static void write_item(struct wr *w, const json_t *item)
{
	static uint8_t data[CAP];
	size_t opened = rlp_wr_open(w);

	if (json_is_string(item)) {
		rlp_wr_bytes(w, data, unhex(data, item));
		return;
	}
	for (size_t i = 0; i < json_array_size(item); i++)
		write_item(w, json_array_get(item, i));
	rlp_wr_close(w, opened);
}

static void expect_item(const struct rlp_item *got, const json_t *want)
{
	static uint8_t data[CAP];
	struct rlp_item item;
	struct rd r;

	assert_int_equal(got->is_list, json_is_array(want));
	if (!got->is_list) {
		assert_int_equal(got->len, unhex(data, want));
		assert_memory_equal(got->data, data, got->len);
		return;
	}
	r = rlp_items(got);
	for (size_t i = 0; i < json_array_size(want); i++) {
		assert_int_equal(rlp_next(&item, &r), 0);
		expect_item(&item, json_array_get(want, i));
	}
	assert_int_equal(rd_done(&r), 0);
}

/* A copy of its own size, so that a sanitizer sees a byte read past its end. */
static int decode_exact(struct rlp_item *ret, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	int r;

	memcpy(copy, data, len);
	r = rlp_decode(ret, copy, len);
	free(copy);
	return r;
}

static void published_cases(void **state)
{
	json_t *doc = vectors_load("rlp.json"), *c;
	static uint8_t rlp[CAP], out[CAP];
	struct rlp_item item;
	size_t i, len;
	(void)state;

	json_array_foreach(json_object_get(doc, "cases"), i, c) {
		struct wr w = wr_init(out, sizeof(out));

		len = unhex(rlp, json_object_get(c, "rlp"));
		write_item(&w, json_object_get(c, "item"));
		assert_int_equal(wr_done(&w), 0);
		assert_int_equal(wr_len(&w), len);
		assert_memory_equal(out, rlp, len);
		assert_int_equal(rlp_decode(&item, rlp, len), 0);
		expect_item(&item, json_object_get(c, "item"));
		assert_int_equal(decode_exact(&item, rlp, len - 1), ERR_MALFORMED);
		rlp[len] = 0;
		assert_int_equal(decode_exact(&item, rlp, len + 1), ERR_MALFORMED);
		w = wr_init(out, len - 1);
		write_item(&w, json_object_get(c, "item"));
		assert_int_equal(wr_done(&w), ERR_TOO_LONG);
	}
	assert_int_equal(i, 20);
	json_decref(doc);
}

static void published_refusals(void **state)
{
	json_t *doc = vectors_load("rlp.json"), *c;
	static uint8_t rlp[CAP];
	struct rlp_item item;
	size_t i;
	(void)state;

	json_array_foreach(json_object_get(doc, "refuse"), i, c)
		if (decode_exact(&item, rlp, unhex(rlp, c)) != ERR_MALFORMED)
			fail_msg("%s is not refused", json_string_value(c));
	assert_int_equal(i, 12);
	json_decref(doc);
}

static void bounds(void **state)
{
	static uint8_t big[RLP_LEN_MAX + 1];
	struct wr w = wr_init(big, sizeof(big));
	struct rlp_item item;
	size_t opened[RLP_DEPTH_MAX + 1];
	(void)state;

	for (size_t deepest = RLP_DEPTH_MAX; deepest <= RLP_DEPTH_MAX + 1; deepest++) {
		w = wr_init(big, sizeof(big));
		for (size_t i = 0; i < deepest; i++)
			opened[i] = rlp_wr_open(&w);
		for (size_t i = deepest; i > 0; i--)
			rlp_wr_close(&w, opened[i - 1]);
		assert_int_equal(rlp_decode(&item, big, wr_len(&w)), deepest <= RLP_DEPTH_MAX ? 0 : ERR_LIMIT);
	}
	/* A string as long as can be, and one byte more. */
	memcpy(big, "\xba\x0f\xff\xfc", 4);
	assert_int_equal(rlp_decode(&item, big, RLP_LEN_MAX), 0);
	memcpy(big, "\xba\x0f\xff\xfd", 4);
	assert_int_equal(rlp_decode(&item, big, RLP_LEN_MAX + 1), ERR_TOO_LONG);
	assert_int_equal(rlp_decode(&item, big, 0), ERR_MALFORMED);
	/* A length with a zero before it, of a string and of a list that are otherwise whole. */
	memset(big, 0, 59);
	memcpy(big, "\xb9\x00\x38", 3);
	assert_int_equal(decode_exact(&item, big, 59), ERR_MALFORMED);
	big[0] = 0xf9;
	assert_int_equal(decode_exact(&item, big, 59), ERR_MALFORMED);
	memcpy(big, "\xf8\x38", 2);
	assert_int_equal(decode_exact(&item, big, 58), 0);
	/* What is wrong in an inner list is wrong. */
	assert_int_equal(decode_exact(&item, (const uint8_t *)"\xc3\xc2\x81\x05", 4), ERR_MALFORMED);
	assert_int_equal(decode_exact(&item, (const uint8_t *)"\xc3\xc1\x82\x05", 4), ERR_MALFORMED);
}

static void numbers(void **state)
{
	static const uint64_t values[] = { 0, 1, 127, 128, 255, 256, UINT32_MAX, UINT64_MAX };
	uint8_t buf[16], word[9];
	struct rlp_item item;
	uint64_t v = 5;
	(void)state;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct wr w = wr_init(buf, sizeof(buf));

		rlp_wr_u64(&w, values[i]);
		assert_int_equal(rlp_decode(&item, buf, wr_len(&w)), 0);
		assert_int_equal(rlp_u64(&v, &item), 0);
		assert_true(v == values[i]);
	}
	v = 5;
	assert_int_equal(rlp_decode(&item, "\x82\x00\x80", 3), 0);
	assert_int_equal(rlp_u64(&v, &item), ERR_MALFORMED);
	assert_int_equal(rlp_decode(&item, "\x00", 1), 0);
	assert_int_equal(rlp_u64(&v, &item), ERR_MALFORMED);
	assert_int_equal(rlp_decode(&item, "\xc0", 1), 0);
	assert_int_equal(rlp_u64(&v, &item), ERR_MALFORMED);
	assert_int_equal(rlp_decode(&item, "\x89\x01\0\0\0\0\0\0\0\0", 10), 0);
	assert_int_equal(rlp_u64(&v, &item), ERR_RANGE);
	assert_true(v == 5);
	assert_int_equal(rlp_uint(word, sizeof(word), &item), 0);
	assert_int_equal(word[0], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_cases), cmocka_unit_test(published_refusals), cmocka_unit_test(bounds),
		cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
