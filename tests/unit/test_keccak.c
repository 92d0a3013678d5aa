#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/crypto.h>
#include <nonos/keccak.h>

#include "vectors.h"

static uint8_t data[65536];

static void published_vectors(void **state)
{
	json_t *doc = vectors_load("keccak.json"), *c;
	uint8_t want[32], got[32];
	size_t i;
	(void)state;

	json_array_foreach(json_object_get(doc, "cases"), i, c) {
		size_t len = vector_get(data, sizeof(data), c, "data");

		assert_int_equal(len, json_integer_value(json_object_get(c, "length")));
		assert_int_equal(vector_get(want, sizeof(want), c, "keccak256"), 32);
		keccak256(got, data, len);
		assert_memory_equal(got, want, 32);
		assert_int_equal(vector_get(want, sizeof(want), c, "sha3_256"), 32);
		assert_memory_not_equal(got, want, 32);
		sha3_256(got, data, len);
		assert_memory_equal(got, want, 32);
		sha256(got, data, len);
		vector_expect(c, "sha256", got, 32);
	}
	assert_true(i > 20);
	json_decref(doc);
}

/* Any cutting into pieces gives the digest of the whole, and peeking changes nothing. */
static void pieces(void **state)
{
	uint8_t whole[32], got[32];
	(void)state;

	for (size_t i = 0; i < 1000; i++)
		data[i] = (uint8_t)(i * 7);
	keccak256(whole, data, 1000);
	for (size_t step = 1; step < 300; step += 13) {
		struct keccak256_run k;

		keccak256_run_init(&k);
		for (size_t at = 0; at < 1000; at += step) {
			keccak256_run_add(&k, data + at, at + step < 1000 ? step : 1000 - at);
			keccak256_run_peek(&k, got);
		}
		assert_memory_equal(got, whole, 32);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(published_vectors), cmocka_unit_test(pieces) };

	if (crypto_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
