#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include <nonos/bytes.h>
#include <nonos/compress.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/mem.h>

/* "onion" 40 times, by Python's zlib.compress() and gzip.compress(), and by zstd's own program. */
static const char *const vectors[CODINGS] = {
	[CODING_GZIP] = "1f8b0800000000000203cbcfcbcccfcb1ffa0400946f900ec8000000",
	[CODING_DEFLATE] = "789ccbcfcbcccfcb1ffa0400907b5579",
	[CODING_ZSTD] = "28b52ffd0458650000286f6e696f6e01004050450b34c02872",
};

static void test_names(void **state)
{
	enum coding c;

	(void)state;
	for (unsigned i = 0; i < CODINGS; i++) {
		assert_int_equal(coding_parse(&c, coding_name((enum coding)i), strlen(coding_name((enum coding)i))), 0);
		assert_int_equal(c, i);
	}
	assert_int_equal(coding_parse(&c, "DEFLATE", 7), 0);
	assert_int_equal(c, CODING_DEFLATE);
	assert_int_equal(coding_parse(&c, "deflat", 6), ERR_NOT_FOUND);
	assert_int_equal(coding_parse(&c, "x-tor-lzma", 10), ERR_NOT_FOUND);
	assert_int_equal(coding_parse(&c, "", 0), ERR_NOT_FOUND);
}

static void test_vectors(void **state)
{
	uint8_t in[512], *out;
	size_t len;

	(void)state;
	for (unsigned c = CODING_GZIP; c < CODINGS; c++) {
		size_t n = strlen(vectors[c]) / 2;

		assert_int_equal(hex_decode(in, n, vectors[c], 2 * n), 0);
		assert_int_equal(decompress_all(&out, &len, (enum coding)c, in, n, 200), 0);
		assert_int_equal(len, 200);
		for (size_t i = 0; i < 40; i++)
			assert_memory_equal(out + 5 * i, "onion", 5);
		assert_int_equal(out[200], 0);
		free(out);

		/* Twice the same, one after the other. */
		memcpy(in + n, in, n);
		assert_int_equal(decompress_all(&out, &len, (enum coding)c, in, 2 * n, 400), 0);
		assert_int_equal(len, 400);
		free(out);

		assert_int_equal(decompress_all(&out, &len, (enum coding)c, in, n, 199), ERR_TOO_LONG);
		assert_int_equal(decompress_all(&out, &len, (enum coding)c, in, n, 0), ERR_TOO_LONG);
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(decompress_all(&out, &len, (enum coding)c, in, cut, 400), ERR_MALFORMED);
		in[n] ^= 0xff;		/* garbage behind a good one */
		assert_int_equal(decompress_all(&out, &len, (enum coding)c, in, n + 4, 400), ERR_MALFORMED);
	}
	assert_int_equal(decompress_all(&out, &len, CODING_IDENTITY, "abc", 3, 3), 0);
	assert_memory_equal(out, "abc", 4);
	free(out);
	assert_int_equal(decompress_all(&out, &len, CODING_IDENTITY, "abc", 3, 2), ERR_TOO_LONG);
}

/* A text that compresses to some extent. */
static uint8_t *text_new(size_t len)
{
	uint8_t *p = mem_new(len);
	uint32_t x = 12345;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (uint8_t)("ABCDEFGHIJKLMNOP onion-key p accept"[(x >> 24) % 35]);
	}
	return p;
}

/* Undo with the libraries themselves, not with the code under test. */
static void check_undone(enum coding c, const uint8_t *coded, size_t coded_len, const uint8_t *plain, size_t len)
{
	uint8_t *out = mem_new(len + 1);
	z_stream z = { .next_in = (Bytef *)coded, .avail_in = (unsigned)coded_len,
		       .next_out = out, .avail_out = (unsigned)len + 1 };

	if (c == CODING_ZSTD) {
		assert_int_equal(ZSTD_decompress(out, len + 1, coded, coded_len), len);
	} else {
		assert_int_equal(inflateInit2(&z, c == CODING_GZIP ? 31 : 15), Z_OK);
		assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
		assert_int_equal(z.total_out, len);
		assert_int_equal(z.avail_in, 0);
		inflateEnd(&z);
	}
	assert_memory_equal(out, plain, len);
	free(out);
}

static void check_stream(enum coding coding, size_t len, size_t in_step, size_t out_step)
{
	uint8_t *plain = text_new(len), *coded = mem_new(len + 1024);
	struct compressor *c = compress_new(coding, EFFORT_STREAM, len);
	size_t written = 0, fed = 0, n;
	struct rd in = rd_init(plain, 0);

	do {
		size_t room = len + 1024 - written;

		if (rd_left(&in) == 0 && fed < len) {
			size_t step = len - fed < in_step ? len - fed : in_step;

			in = rd_init(plain + fed, step);
			fed += step;
		}
		room = room < out_step ? room : out_step;
		n = compress_run(c, coded + written, room, &in, fed == len);
		written += n;
		assert_true(n <= room);
		assert_in_range(compress_bytes(c), 1, 200 * 1024);
		if (n == room)
			continue;
		assert_int_equal(rd_left(&in), 0);
		if (fed == len)
			break;
	} while (1);
	assert_int_equal(compress_run(c, coded + written, 16, &in, true), 0);
	compress_free(c);
	check_undone(coding, coded, written, plain, len);
	free(coded);
	free(plain);
}

static void test_stream(void **state)
{
	static const size_t lens[] = { 0, 1, 500, 5000, 100000 };

	(void)state;
	for (unsigned c = CODING_GZIP; c < CODINGS; c++) {
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			check_stream((enum coding)c, lens[i], lens[i] + 1, 1 << 20);
			check_stream((enum coding)c, lens[i], 700, 498);
			check_stream((enum coding)c, lens[i], 3, 1);
		}
	}
}

static void test_store(void **state)
{
	static const size_t lens[] = { 0, 1, 3000, 300000 };
	uint8_t *coded, *back;
	size_t coded_len, back_len;

	(void)state;
	for (unsigned c = 0; c < CODINGS; c++) {
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			uint8_t *plain = text_new(lens[i]);

			compress_all(&coded, &coded_len, (enum coding)c, plain, lens[i]);
			if (c != CODING_IDENTITY)
				check_undone((enum coding)c, coded, coded_len, plain, lens[i]);
			assert_int_equal(decompress_all(&back, &back_len, (enum coding)c, coded, coded_len, lens[i]), 0);
			assert_int_equal(back_len, lens[i]);
			assert_memory_equal(back, plain, back_len);
			free(back);
			free(coded);
			free(plain);
		}
	}
}

/* 64 MiB of zeros in a few KiB: refused as soon as the limit is passed. */
static void test_bomb(void **state)
{
	size_t len = 64 << 20, coded_len, out_len;
	uint8_t *zeros = mem_new(len), *coded, *out;

	(void)state;
	for (unsigned c = CODING_GZIP; c < CODINGS; c++) {
		compress_all(&coded, &coded_len, (enum coding)c, zeros, len);
		assert_true(coded_len < 100000);
		assert_int_equal(decompress_all(&out, &out_len, (enum coding)c, coded, coded_len, 1 << 20), ERR_TOO_LONG);
		free(coded);
	}
	free(zeros);
}

/* A frame that would make its reader allocate a window of 2 GiB. */
static void test_zstd_window(void **state)
{
	static const uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x09, 0x00, 0x00, 'x' };
	static const uint8_t modest[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x09, 0x00, 0x00, 'x' };
	uint8_t *out;
	size_t len;

	(void)state;
	assert_int_equal(decompress_all(&out, &len, CODING_ZSTD, frame, sizeof(frame), 1000), ERR_MALFORMED);
	assert_int_equal(decompress_all(&out, &len, CODING_ZSTD, modest, sizeof(modest), 1000), 0);
	assert_int_equal(len, 1);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_vectors), cmocka_unit_test(test_stream),
		cmocka_unit_test(test_store), cmocka_unit_test(test_bomb), cmocka_unit_test(test_zstd_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
