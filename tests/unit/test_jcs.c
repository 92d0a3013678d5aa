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
#include <nonos/jcs.h>
#include <nonos/keccak.h>

#include "vectors.h"

static int read_text(const char *text)
{
	json_t *v = NULL;
	int r = jcs_read(&v, text, strlen(text));

	json_decref(v);
	return r;
}

static int read_canonical(const char *text)
{
	json_t *v = NULL;
	int r = jcs_read_canonical(&v, text, strlen(text));

	json_decref(v);
	return r;
}

static void published_vectors(void **state)
{
	json_t *doc = vectors_load("jcs.json"), *c, *v = NULL;
	uint8_t want[512], hash[32], got_hash[32];
	size_t i, got_len;
	char *got;
	(void)state;

	json_array_foreach(json_object_get(doc, "cases"), i, c) {
		size_t len = vector_get(want, sizeof(want), c, "text");

		assert_int_equal(jcs_write(&got, &got_len, json_object_get(c, "value")), 0);
		assert_int_equal(got_len, len);
		assert_memory_equal(got, want, len);
		keccak256(got_hash, got, got_len);
		assert_int_equal(vector_get(hash, sizeof(hash), c, "keccak256"), 32);
		assert_memory_equal(got_hash, hash, 32);
		sha256(got_hash, got, got_len);
		vector_expect(c, "sha256", got_hash, 32);
		assert_int_equal(jcs_read_canonical(&v, got, got_len), 0);
		assert_true(json_equal(v, json_object_get(c, "value")));
		json_decref(v);
		free(got);
	}
	assert_true(i >= 7);
	json_array_foreach(json_object_get(doc, "refuse"), i, c)
		if (read_text(json_string_value(c)) == 0)
			fail_msg("read %s", json_string_value(c));
	assert_true(i >= 8);
	json_decref(doc);
}

static void reader_is_strict(void **state)
{
	static const char *const bad[] = {
		"", " ", "{", "[1,]", "{\"a\":1,}", "[1 2]", "nul", "[1.0]", "[1E2]", "[-]", "[-0]", "[00]", "[-01]",
		"[9007199254740992]", "[-9007199254740992]", "[99999999999999999999999999]", "{\"a\":{\"b\":1,\"b\":2}}",
		"[\"\\udc00\"]", "[\"\xff\"]", "[\"\xed\xa0\x80\"]", "[\"\n\"]", "{} {}", "['a']", "{\"\\u0000\":1}", "[+1]", "[.5]",
	};
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (read_text(bad[i]) == 0)
			fail_msg("read %s", bad[i]);
	/* Numbers are looked for outside strings only. */
	assert_int_equal(read_text(" { \"1.5\" : \"-0 1e3 \\\" 1.5\" , \"a\" : [ -1 , 0 ] } "), 0);
}

static void canonical_only(void **state)
{
	static const char *const other[] = {
		" {}", "{\"b\":1,\"a\":2}", "[1, 2]", "[\"\\u0041\"]", "[\"\\/\"]", "[\"\\u000A\"]", "{}\n", "[\"\\u000a\"]",
	};
	(void)state;

	assert_int_equal(read_canonical("{\"a\":2,\"b\":[\"\\n\\u0001\"]}"), 0);
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		if (read_canonical(other[i]) != ERR_MISMATCH)
			fail_msg("took %s for canonical", other[i]);
}

static void nesting_is_bounded(void **state)
{
	char text[2 * JCS_DEPTH_MAX + 3];
	(void)state;

	memset(text, '[', JCS_DEPTH_MAX);
	memset(text + JCS_DEPTH_MAX, ']', JCS_DEPTH_MAX);
	text[2 * JCS_DEPTH_MAX] = '\0';
	assert_int_equal(read_canonical(text), 0);
	memset(text, '[', JCS_DEPTH_MAX + 1);
	memset(text + JCS_DEPTH_MAX + 1, ']', JCS_DEPTH_MAX + 1);
	text[2 * JCS_DEPTH_MAX + 2] = '\0';
	assert_int_equal(read_text(text), ERR_TOO_LONG);
}

static void writer_refuses(void **state)
{
	json_t *real = json_pack("[f]", 1.0), *large = json_pack("[I]", (json_int_t)9007199254740992);
	char *text = NULL;
	size_t len;
	(void)state;

	assert_int_equal(jcs_write(&text, &len, real), ERR_UNSUPPORTED);
	assert_int_equal(jcs_write(&text, &len, large), ERR_RANGE);
	assert_null(text);
	json_decref(real);
	json_decref(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),
		cmocka_unit_test(reader_is_strict),
		cmocka_unit_test(canonical_only),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(writer_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
