#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/amount.h>
#include <nonos/err.h>
#include <nonos/eth_sig.h>

#include "../../ledger/abi.h"
#include "vectors.h"

enum { CAP = 2048, VALUES = 64 };

/* Values and their bytes, as the JSON of a vector has them. */
struct store {
	struct abi_value values[VALUES];
	uint8_t bytes[VALUES][128];
	size_t n;
};

static struct abi_value value_of(struct store *st, const json_t *v);

static struct abi_value text_of(struct store *st, const char *text)
{
	size_t len = strlen(text), at = st->n++;
	struct abi_value v = { 0 };
	struct eth_addr a;

	if (strncmp(text, "0x", 2) != 0) {
		assert_int_equal(uint256_parse(v.word, text, len), 0);
	} else if (len == 42) {
		assert_int_equal(eth_addr_parse(&a, text, len), 0);
		memcpy(v.word + 12, a.b, sizeof(a.b));
	} else if (len == 66) {
		assert_int_equal(hex_decode(v.word, 32, text + 2, 64), 0);
	} else {
		v.len = len / 2 - 1;
		assert_true(at < VALUES && v.len <= sizeof(st->bytes[0]));
		assert_int_equal(hex_decode(st->bytes[at], v.len, text + 2, len - 2), 0);
		v.data = st->bytes[at];
	}
	return v;
}

static struct abi_value group_of(struct store *st, const json_t *v)
{
	size_t n = json_is_array(v) ? json_array_size(v) : json_object_size(v), i = 0;
	struct abi_value *items = &st->values[st->n];
	const char *name;
	json_t *member;

	st->n += n;
	assert_true(st->n <= VALUES);
	if (json_is_array(v))
		for (; i < n; i++)
			items[i] = value_of(st, json_array_get(v, i));
	else
		json_object_foreach((json_t *)v, name, member)
			items[i++] = value_of(st, member);
	return (struct abi_value){ .items = items, .n_items = n };
}

static struct abi_value value_of(struct store *st, const json_t *v)
{
	return json_is_string(v) ? text_of(st, json_string_value(v)) : group_of(st, v);
}

static const char *signature_of(const json_t *c)
{
	const char *name = json_string_value(json_object_get(c, "name"));

	/* The vectors leave out its parameters. */
	if (strncmp(name, "claim(", 6) == 0)
		return "claim((bytes32,address,uint64,uint256,bytes32,uint64),bytes,bytes[])";
	return name;
}

/* What was encoded decodes, and encodes to the same again. */
static void there_and_back(const struct abi_sig *s, const uint8_t *data, size_t len)
{
	struct abi_value values[VALUES];
	uint8_t out[CAP];
	struct wr w = wr_init(out, sizeof(out));
	size_t n = 0;

	assert_int_equal(abi_decode(values, VALUES, s, data, len), 0);
	for (uint8_t at = s->types[0].child; at; at = s->types[at].next)
		n++;
	assert_int_equal(abi_encode(&w, s, values, n), 0);
	assert_int_equal(wr_len(&w), len);
	assert_memory_equal(out, data, len);
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, data, cut);
		assert_int_equal(abi_decode(values, VALUES, s, copy, cut), ERR_MALFORMED);
		w = wr_init(copy, cut);
		assert_int_equal(abi_decode(values, VALUES, s, data, len), 0);
		assert_int_equal(abi_encode(&w, s, values, n), ERR_TOO_LONG);
		free(copy);
	}
	out[len] = 0;
	assert_int_equal(abi_decode(values, VALUES, s, out, len + 1), ERR_MALFORMED);
}

static void published_calls(void **state)
{
	json_t *doc = vectors_load("abi.json"), *c;
	uint8_t out[CAP];
	size_t i;
	(void)state;

	json_array_foreach(json_object_get(doc, "cases"), i, c) {
		struct wr w = wr_init(out, sizeof(out));
		struct store st = { 0 };
		struct abi_value args = value_of(&st, json_object_get(c, "args"));
		struct abi_sig s;

		assert_int_equal(abi_sig_parse(&s, signature_of(c)), 0);
		vector_expect(c, "selector", s.hash, 4);
		assert_int_equal(abi_call(&w, &s, args.items, args.n_items), 0);
		vector_expect(c, "calldata", out, wr_len(&w));
		assert_int_equal(abi_call(&w, &s, args.items, args.n_items - 1), ERR_MISMATCH);
		there_and_back(&s, out + 4, vector_get(out, sizeof(out), c, "calldata") - 4);
	}
	assert_int_equal(i, 5);
	json_decref(doc);
}

static void published_topics(void **state)
{
	json_t *doc = vectors_load("abi.json"), *topics = json_object_get(doc, "topics"), *topic;
	const char *name;
	size_t n = 0;
	(void)state;

	json_object_foreach(topics, name, topic) {
		struct abi_sig s;

		assert_int_equal(abi_sig_parse(&s, name), 0);
		vector_expect(topics, name, s.hash, 32);
		n++;
	}
	assert_int_equal(n, 5);
	json_decref(doc);
}

static void published_returns(void **state)
{
	json_t *doc = vectors_load("abi.json"), *c;
	size_t i, refused = 0;
	(void)state;

	json_array_foreach(json_object_get(doc, "returns"), i, c) {
		const char *type = json_string_value(json_object_get(c, "type"));
		const char *want = json_string_value(json_object_get(c, "value"));
		uint8_t data[256], word[32];
		size_t len = vector_get(data, sizeof(data), c, "data");
		struct abi_value v;
		struct abi_sig s;
		char text[32];

		snprintf(text, sizeof(text), "(%s)", type);
		assert_int_equal(abi_sig_parse(&s, text), 0);
		if (!want) {
			assert_int_equal(abi_decode(&v, 1, &s, data, len), ERR_MALFORMED);
			refused++;
			continue;
		}
		assert_int_equal(abi_decode(&v, 1, &s, data, len), 0);
		if (strcmp(type, "string") == 0) {
			assert_int_equal(v.len, strlen(want));
			assert_memory_equal(v.data, want, v.len);
		} else {
			assert_int_equal(uint256_parse(word, want, strlen(want)), 0);
			assert_memory_equal(v.word, word, 32);
		}
		there_and_back(&s, data, len);
	}
	assert_int_equal(i, 5);
	assert_int_equal(refused, 2);
	json_decref(doc);
}

static void signatures(void **state)
{
	static const char *const malformed[] = {
		"", "f", "f(", "f(uint256", "f(uint256,)", "f(,)", "f(uint)", "f(uint0)", "f(uint7)", "f(uint264)", "f(uint08)",
		"f(uint256) ", "f(uint256 )", "f( uint256)", "f(int256)", "f(bytes33)", "f(())", "f(()[])", "f(uint8[)", "f(uint8[2])",
		"f((uint8 indexed))", "f(uint8 indexedx)", "1f()", "f()()", "f(address,address", "f(uint8 indexed[])", "f(uint99999999999)",
		"E(uint8 indexed,uint8 indexed,uint8 indexed,uint8 indexed)",
	};
	char text[512] = "f(";
	struct abi_sig s;
	(void)state;

	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		if (abi_sig_parse(&s, malformed[i]) != ERR_MALFORMED)
			fail_msg("\"%s\" is not refused", malformed[i]);
	assert_int_equal(abi_sig_parse(&s, "f()"), 0);
	assert_int_equal(abi_sig_parse(&s, "((((((((uint8))))))))"), 0);
	assert_int_equal(abi_sig_parse(&s, "(((((((((uint8)))))))))"), ERR_LIMIT);
	assert_int_equal(abi_sig_parse(&s, "(uint8[][][][][][][])"), 0);
	assert_int_equal(abi_sig_parse(&s, "(uint8[][][][][][][][])"), ERR_LIMIT);
	assert_int_equal(abi_sig_parse(&s, "(bytes,bytes,bytes,bytes,bytes,bytes,bytes,bytes,bytes,bytes,bytes,bytes,bytes,bytes,bytes,"
		"bytes,bytes,bytes,bytes,bytes,bytes,bytes,bytes,bytes,(bytes,bytes,bytes,bytes),bytes,bytes,bytes,bytes)"), 0);
	for (size_t i = 0; i < 24; i++)
		strcat(text, "bytes[],");
	strcat(text, "bytes)");
	assert_int_equal(abi_sig_parse(&s, text), ERR_LIMIT);
	memset(text, 'a', 300);
	text[300] = '\0';
	assert_int_equal(abi_sig_parse(&s, text), ERR_LIMIT);
}

static int decode_words(const char *sig, const uint8_t *words, size_t n, size_t cap)
{
	struct abi_value values[VALUES];
	uint8_t data[16][32] = { 0 };
	struct abi_sig s;

	assert_int_equal(abi_sig_parse(&s, sig), 0);
	for (size_t i = 0; i < n; i++)
		data[i][31] = words[i];
	return abi_decode(values, cap, &s, data, n * 32);
}

#define WORDS(sig, cap, ...) decode_words(sig, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), cap)

static void refused_data(void **state)
{
	struct abi_value v = { .word = { [30] = 1 } };
	uint8_t data[96] = { [31] = 32, [63] = 1, [64] = 'x', [95] = 1 };
	struct abi_sig s;
	struct wr w = wr_init(data, sizeof(data));
	(void)state;

	assert_int_equal(WORDS("(uint8[])", 4, 32, 2, 5, 6), 0);
	assert_int_equal(WORDS("(uint8[])", 2, 32, 2, 5, 6), ERR_LIMIT);
	assert_int_equal(WORDS("(uint8[])", 4, 64, 2, 5, 6), ERR_MALFORMED);
	assert_int_equal(WORDS("(uint8[])", 4, 0, 2, 5, 6), ERR_MALFORMED);
	assert_int_equal(WORDS("(uint8[])", 4, 32, 3, 5, 6), ERR_MALFORMED);
	assert_int_equal(WORDS("(uint8[])", 4, 32, 1, 5, 6), ERR_MALFORMED);
	assert_int_equal(WORDS("(bytes,bytes)", 2, 64, 96, 0, 0), 0);
	assert_int_equal(WORDS("(bytes,bytes)", 2, 64, 64, 0), ERR_MALFORMED);
	assert_int_equal(WORDS("(bytes,bytes)", 2, 96, 64, 0, 0), ERR_MALFORMED);
	assert_int_equal(WORDS("(bytes,bytes)", 1, 64, 96, 0, 0), ERR_LIMIT);
	/* A byte of padding, then an offset and a length far outside. */
	assert_int_equal(abi_sig_parse(&s, "f(string)"), 0);
	assert_int_equal(abi_decode(&v, 1, &s, data, sizeof(data)), ERR_MALFORMED);
	data[95] = 0;
	assert_int_equal(abi_decode(&v, 1, &s, data, sizeof(data)), 0);
	memset(data + 32, 0xff, 32);
	assert_int_equal(abi_decode(&v, 1, &s, data, sizeof(data)), ERR_MALFORMED);
	memset(data + 32, 0, 24);
	assert_int_equal(abi_decode(&v, 1, &s, data, sizeof(data)), ERR_MALFORMED);
	memset(data, 0xff, 32);
	assert_int_equal(abi_decode(&v, 1, &s, data, sizeof(data)), ERR_MALFORMED);
	/* Numbers and addresses wider than their type. */
	v = (struct abi_value){ .word = { [30] = 1 } };
	assert_int_equal(abi_sig_parse(&s, "f(uint8)"), 0);
	assert_int_equal(abi_call(&w, &s, &v, 1), ERR_RANGE);
	memset(data, 0, 32);
	data[30] = 1;
	assert_int_equal(abi_decode(&v, 1, &s, data, 32), ERR_RANGE);
	v = (struct abi_value){ .word = { [11] = 1 } };
	assert_int_equal(abi_sig_parse(&s, "(address)"), 0);
	assert_int_equal(abi_encode(&w, &s, &v, 1), ERR_RANGE);
	assert_int_equal(abi_call(&w, &s, &v, 1), ERR_MISMATCH);
	/* A count that no buffer holds. */
	v = (struct abi_value){ .n_items = SIZE_MAX / 2 };
	assert_int_equal(abi_sig_parse(&s, "(uint8[])"), 0);
	w = wr_init(data, sizeof(data));
	assert_int_equal(abi_encode(&w, &s, &v, 1), ERR_TOO_LONG);
}

static void logs(void **state)
{
	uint8_t topics[4][32] = { 0 }, data[4][32] = { { [31] = 5 }, { [31] = 64 }, { [31] = 1 }, { 'a' } };
	struct abi_value v[4];
	struct abi_sig s;
	(void)state;

	assert_int_equal(abi_sig_parse(&s, "E(bytes32 indexed,uint256,address indexed,string)"), 0);
	memcpy(topics[0], s.hash, 32);
	topics[1][0] = 7;
	topics[2][31] = 9;
	assert_int_equal(abi_log(v, 4, &s, topics, 3, data, sizeof(data)), 0);
	assert_true(v[0].word[0] == 7 && v[1].word[31] == 5 && v[2].word[31] == 9 && v[3].len == 1 && v[3].data[0] == 'a');
	assert_int_equal(abi_log(v, 4, &s, topics, 2, data, sizeof(data)), ERR_MALFORMED);
	assert_int_equal(abi_log(v, 4, &s, topics, 4, data, sizeof(data)), ERR_MALFORMED);
	assert_int_equal(abi_log(v, 4, &s, topics, 3, data, sizeof(data) - 1), ERR_MALFORMED);
	assert_int_equal(abi_log(v, 3, &s, topics, 3, data, sizeof(data)), ERR_LIMIT);
	assert_int_equal(abi_log(v, 4, &s, topics, 0, data, sizeof(data)), ERR_MISMATCH);
	topics[2][0] = 1;
	assert_int_equal(abi_log(v, 4, &s, topics, 3, data, sizeof(data)), ERR_RANGE);
	topics[0][0] ^= 1;
	assert_int_equal(abi_log(v, 4, &s, topics, 3, data, sizeof(data)), ERR_MISMATCH);
	/* A string that is a topic is there as its hash; nothing is left for the data. */
	assert_int_equal(abi_sig_parse(&s, "E(string indexed)"), 0);
	memcpy(topics[0], s.hash, 32);
	memset(topics[1], 0xff, 32);
	assert_int_equal(abi_log(v, 4, &s, topics, 2, NULL, 0), 0);
	assert_memory_equal(v[0].word, topics[1], 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_calls), cmocka_unit_test(published_topics), cmocka_unit_test(published_returns),
		cmocka_unit_test(signatures), cmocka_unit_test(refused_data), cmocka_unit_test(logs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
