/*
 * Hexadecimal strings out of a JSON file in $TEST_VECTORS, for unit tests. A
 * missing file or name fails the test that asked.
 */
#ifndef TESTS_UNIT_VECTORS_H
#define TESTS_UNIT_VECTORS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <nonos/encode.h>

/* Free with json_decref(). */
static inline json_t *vectors_load(const char *name)
{
	const char *dir = getenv("TEST_VECTORS");
	char path[4096];
	json_error_t e;
	json_t *doc;

	snprintf(path, sizeof(path), "%s/%s", dir ? dir : "tests/vectors", name);
	doc = json_load_file(path, JSON_ALLOW_NUL, &e);
	if (!doc)
		fail_msg("%s: %s", path, e.text);
	return doc;
}

/* Decode `name` of `object`, with or without "0x", to `out`; return its length, at most `cap`. */
static inline size_t vector_get(uint8_t *out, size_t cap, const json_t *object, const char *name)
{
	const char *hex = json_string_value(json_object_get(object, name));
	size_t len;

	if (hex && strncmp(hex, "0x", 2) == 0)
		hex += 2;
	len = hex ? strlen(hex) / 2 : 0;
	if (!hex || len > cap || hex_decode(out, len, hex, strlen(hex)) < 0)
		fail_msg("no usable vector \"%s\"", name);
	return len;
}

/* Fail unless `data` is what `name` of `object` says. */
static inline void vector_expect(const json_t *object, const char *name, const uint8_t *data, size_t len)
{
	uint8_t want[1024];

	assert_int_equal(vector_get(want, sizeof(want), object, name), len);
	assert_memory_equal(data, want, len);
}

#endif
