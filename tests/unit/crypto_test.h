/* For tests with published vectors: hexadecimal in, comparison out. Include after cmocka.h. */
#ifndef TESTS_CRYPTO_TEST_H
#define TESTS_CRYPTO_TEST_H

#include <stdint.h>
#include <string.h>

#include <nonos/encode.h>

/* Decode `hex` into `out`; return its length in bytes. */
static inline size_t unhex(uint8_t *out, size_t cap, const char *hex)
{
	size_t len = strlen(hex) / 2;

	assert_true(len <= cap);
	assert_int_equal(hex_decode(out, len, hex, strlen(hex)), 0);
	return len;
}

static inline void assert_hex_equal(const uint8_t *data, const char *hex)
{
	uint8_t want[1024];

	assert_memory_equal(data, want, unhex(want, sizeof(want), hex));
}

#endif
