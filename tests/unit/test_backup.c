#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/backup.h>
#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/rand.h>

static const struct backup_cost cheap = { .kdf = BACKUP_ARGON2ID, .a = 1, .b = 8, .c = 1 };
static const struct backup_cost cheap_scrypt = { .kdf = BACKUP_SCRYPT, .a = 2, .b = 8, .c = 1 };

static struct backup *sample(size_t big)
{
	struct backup *b = backup_new();
	uint8_t *data = mem_new(big + 1);

	rand_bytes(data, big);
	assert_int_equal(backup_add(b, "keys/secret_id_key", 0600, "abc", 3), 0);
	assert_int_equal(backup_add(b, "empty", 0644, NULL, 0), 0);
	assert_int_equal(backup_add(b, "keystore/UTC--2026-11-22T00-00-00.0Z--ab", 0600, data, big), 0);
	free(data);
	return b;
}

static void expect_same(const struct backup *a, const struct backup *b)
{
	struct backup_file x, y;

	assert_int_equal(backup_count(a), backup_count(b));
	for (size_t i = 0; i < backup_count(a); i++) {
		backup_get(&x, a, i);
		assert_int_equal(backup_find(&y, b, x.name), 0);
		assert_int_equal(x.mode, y.mode);
		assert_int_equal(x.len, y.len);
		assert_memory_equal(x.data, y.data, x.len);
	}
}

static void round_trips(void **state)
{
	/* Around the frames: the sample has 89 bytes more than the big file. */
	static const size_t sizes[] = { 0, 1, 16384 - 90, 16384 - 89, 16384 - 88, 3 * 16384 - 89, 100000 };
	char why[BACKUP_WHY_CAP];
	(void)state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct backup *b = sample(sizes[i]), *again;
		uint8_t *sealed, *other;
		size_t len, other_len;

		assert_int_equal(backup_seal(&sealed, &len, b, "pass", 4, i % 2 ? &cheap : &cheap_scrypt), 0);
		assert_int_equal(backup_seal(&other, &other_len, b, "pass", 4, i % 2 ? &cheap : &cheap_scrypt), 0);
		assert_int_equal(len, other_len);
		assert_memory_not_equal(sealed + 104, other + 104, 32);
		assert_int_equal(backup_open(&again, why, sealed, len, "pass", 4), 0);
		expect_same(b, again);
		backup_free(again);
		assert_int_equal(backup_open(&again, why, sealed, len, "Pass", 4), ERR_AUTH);
		assert_string_equal(why, "wrong pass phrase");
		backup_free(b);
		free(sealed);
		free(other);
	}
}

/* Whatever bit is turned and wherever it is cut, nothing opens, and it is called damage but for the check value. */
static void damage(void **state)
{
	struct backup *b = sample(40000), *again;
	char why[BACKUP_WHY_CAP];
	uint8_t *sealed, *longer;
	size_t len;
	int r;
	(void)state;

	assert_int_equal(backup_seal(&sealed, &len, b, "pass", 4, &cheap), 0);
	for (size_t at = 0; at < len; at += at < 140 ? 1 : 997) {
		sealed[at] ^= 0x10;
		r = backup_open(&again, why, sealed, len, "pass", 4);
		assert_int_equal(r, at < 8 ? ERR_MALFORMED : at < 10 ? ERR_UNSUPPORTED : at < 72 ? ERR_CRYPTO :
				 at < 104 ? ERR_AUTH : ERR_CRYPTO);
		sealed[at] ^= 0x10;
	}
	for (size_t cut = 0; cut < len; cut += cut < 200 ? 7 : 1013)
		assert_int_equal(backup_open(&again, why, sealed, cut, "pass", 4), cut < 8 ? ERR_MALFORMED : ERR_CRYPTO);
	/* Cut between frames, where all that is left is good. */
	assert_int_equal(backup_open(&again, why, sealed, 104 + 16384 + 17, "pass", 4), ERR_CRYPTO);
	assert_string_equal(why, "the pass phrase is right, but the file is cut short");
	longer = mem_new(len + 1);
	memcpy(longer, sealed, len);
	assert_int_equal(backup_open(&again, why, longer, len + 1, "pass", 4), ERR_CRYPTO);
	free(longer);
	free(sealed);
	backup_free(b);
}

/* A head that is well made but asks for too much, or for what we do not know. */
static void heads(void **state)
{
	static const struct {
		size_t at;
		uint8_t bytes[4];
		int error;
	} rows[] = {
		{ 10, { 3, 1, 0, 0 }, ERR_UNSUPPORTED }, { 10, { 1, 2, 0, 0 }, ERR_UNSUPPORTED },
		{ 12, { 0xff, 0xff, 0xff, 0xff }, ERR_RANGE }, { 12, { 0, 0, 0, 0 }, ERR_RANGE },
		{ 16, { 0xff, 0xff, 0xff, 0xff }, ERR_RANGE }, { 16, { 0, 0, 0, 7 }, ERR_RANGE },
		{ 20, { 0, 0, 0, 2 }, ERR_RANGE }, { 20, { 0, 0, 0, 0 }, ERR_RANGE },
		{ 24, { 1, 2, 3, 4 }, ERR_AUTH },
	};
	struct backup *b = sample(5), *again;
	uint8_t *sealed, digest[32], whole[4096];
	char why[BACKUP_WHY_CAP];
	size_t len;
	(void)state;

	assert_int_equal(backup_seal(&sealed, &len, b, "pass", 4, &cheap), 0);
	assert_true(len < sizeof(whole));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(whole, sealed, len);
		memcpy(whole + rows[i].at, rows[i].bytes, rows[i].at == 10 ? 2 : 4);
		sha256(digest, whole, 64);
		memcpy(whole + 64, digest, 8);
		assert_int_equal(backup_open(&again, why, whole, len, "pass", 4), rows[i].error);
	}
	free(sealed);
	assert_int_equal(backup_seal(&sealed, &len, b, "x", 1, &(struct backup_cost){ .kdf = BACKUP_SCRYPT, .a = 3, .b = 8, .c = 1 }),
			 ERR_RANGE);
	backup_free(b);
}

static void names(void **state)
{
	static const char *const good[] = { "a", "keys/a.b", "a/b/c", "x@y+z_-" };
	static const char *const bad[] = {
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/.b", "a b", "a/b/c/d", "a\n", "\xc3\xa9", "a\\b",
	};
	char longest[BACKUP_NAME_MAX + 2];
	struct backup *b = backup_new();
	(void)state;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(backup_name_is_good(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (backup_name_is_good(bad[i]) || backup_add(b, bad[i], 0600, "", 0) != ERR_MALFORMED)
			fail_msg("\"%s\" is taken", bad[i]);
	memset(longest, 'a', sizeof(longest));
	longest[BACKUP_NAME_MAX + 1] = '\0';
	assert_false(backup_name_is_good(longest));
	longest[BACKUP_NAME_MAX] = '\0';
	assert_int_equal(backup_add(b, longest, 0600, "x", 1), 0);
	assert_int_equal(backup_add(b, longest, 0600, "x", 1), ERR_EXISTS);
	assert_int_equal(backup_add(b, "keys", 0600, "x", 1), 0);
	assert_int_equal(backup_add(b, "keys/a", 0600, "x", 1), ERR_EXISTS);
	assert_int_equal(backup_add(b, "keysa", 01600, "x", 1), ERR_MALFORMED);
	backup_free(b);
}

/* What is rightly encrypted may still be hostile. */
static void plaintexts(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int error;
	} rows[] = {
		{ "\0\0", 2, 0 }, { "\0", 1, ERR_PROTOCOL }, { "\0\0\0", 3, ERR_PROTOCOL }, { "\xff\xff", 2, ERR_PROTOCOL },
		{ "\0\1\1a\1\x80\0\0\0\1x", 11, 0 }, { "\0\1\1a\1\x80\0\0\0\2x", 11, ERR_PROTOCOL },
		{ "\0\1\1a\2\0\0\0\0\1x", 11, ERR_PROTOCOL }, { "\0\1\1.\1\x80\0\0\0\1x", 11, ERR_PROTOCOL },
		{ "\0\1\1\0\1\x80\0\0\0\1x", 11, ERR_PROTOCOL }, { "\0\1\0\1\x80\0\0\0\1x", 10, ERR_PROTOCOL },
		{ "\0\1\1a\1\x80\xff\xff\xff\xffx", 11, ERR_PROTOCOL },
		{ "\0\2\1a\1\x80\0\0\0\0\1a\1\x80\0\0\0\0", 18, ERR_PROTOCOL },
	};
	struct backup *b;
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int r = backup_parse(&b, (const uint8_t *)rows[i].bytes, rows[i].len);

		if (r != rows[i].error)
			fail_msg("row %zu: %d", i, r);
		if (r == 0)
			backup_free(b);
	}
}

static int setup(void **state)
{
	(void)state;
	return crypto_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(damage),
		cmocka_unit_test(heads),
		cmocka_unit_test(names),
		cmocka_unit_test(plaintexts),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
