#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/kdf.h>
#include <nonos/keystore.h>
#include <nonos/secret.h>

#include "vectors.h"

static const struct keystore_cost cheap = { .n = 2, .r = 8, .p = 1 };

static int parse(struct keystore *k, char *why, const json_t *doc)
{
	char *text = json_dumps(doc, 0);
	int r = keystore_parse(k, why, text, strlen(text));

	free(text);
	return r;
}

static void expect_same(const struct keystore *a, const struct keystore *b)
{
	char *x = keystore_text(a), *y = keystore_text(b);

	assert_string_equal(x, y);
	free(x);
	free(y);
}

static int open_text(struct secret **ret, const struct keystore *k, const char *pass)
{
	return keystore_open(ret, k, pass, strlen(pass));
}

/* What others wrote opens with their pass phrase, and with no other. */
static void vectors(void **state)
{
	json_t *doc = vectors_load("keystore.json"), *c;
	char why[KEYSTORE_WHY_CAP];
	struct keystore k;
	struct secret *s;
	size_t i;
	(void)state;

	json_array_foreach(json_object_get(doc, "cases"), i, c) {
		const char *password = json_string_value(json_object_get(c, "password"));

		if (parse(&k, why, json_object_get(c, "keystore")) < 0)
			fail_msg("%s: %s", json_string_value(json_object_get(c, "name")), why);
		assert_int_equal(open_text(&s, &k, password), 0);
		vector_expect(c, "secret", secret_data(s), secret_len(s));
		secret_free(s);
		if (k.cost.n > 4096 || k.cost.rounds)
			continue;
		assert_int_equal(open_text(&s, &k, "another"), ERR_AUTH);
		k.sealed[0] ^= 1;
		assert_int_equal(open_text(&s, &k, password), ERR_AUTH);
		k.sealed[0] ^= 1;
		k.address.b[3] ^= 1;
		assert_int_equal(open_text(&s, &k, password), k.has_address ? ERR_MISMATCH : 0);
		if (!k.has_address)
			secret_free(s);
	}
	assert_int_equal(i, 6);
	json_decref(doc);
}

static void written_and_read(void **state)
{
	uint8_t secret[32] = { 0 };
	char why[KEYSTORE_WHY_CAP], *text;
	struct keystore k, again, other;
	struct secret *s;
	(void)state;

	assert_int_equal(keystore_seal(&k, secret, "x", 1, &cheap), ERR_RANGE);
	secret[31] = 7;
	assert_int_equal(keystore_seal(&k, secret, "x", 1, &(struct keystore_cost){ .n = 3, .r = 8, .p = 1 }), ERR_RANGE);
	assert_int_equal(keystore_seal(&k, secret, "x", 1, &cheap), 0);
	assert_int_equal(keystore_seal(&other, secret, "x", 1, &cheap), 0);
	assert_memory_not_equal(k.salt, other.salt, k.salt_len);
	assert_memory_not_equal(k.iv, other.iv, sizeof(k.iv));
	assert_string_not_equal(k.id, other.id);
	text = keystore_text(&k);
	assert_int_equal(keystore_parse(&again, why, text, strlen(text)), 0);
	expect_same(&again, &k);
	free(text);
	assert_int_equal(open_text(&s, &again, "x"), 0);
	assert_memory_equal(secret_data(s), secret, 32);
	secret_free(s);
	assert_int_equal(open_text(&s, &again, "X"), ERR_AUTH);
}

/* Each row changes one thing of a good file by a path of names. */
static void refusals(void **state)
{
	static const struct {
		const char *path[3];
		const char *value;	/* JSON; NULL: taken away */
		int error;
	} rows[] = {
		{ { "version" }, "1", ERR_UNSUPPORTED }, { { "version" }, "\"3\"", ERR_UNSUPPORTED },
		{ { "version" }, NULL, ERR_UNSUPPORTED }, { { "crypto" }, "[]", ERR_MALFORMED },
		{ { "crypto" }, NULL, ERR_MALFORMED }, { { "address" }, "\"12\"", ERR_MALFORMED },
		{ { "address" }, "7", 0 }, { { "address" }, "\"\"", 0 }, { { "id" }, "7", 0 },
		{ { "id" }, "\"\\u001b[2J\"", 0 },
		{ { "crypto", "cipher" }, "\"aes-128-cbc\"", ERR_UNSUPPORTED },
		{ { "crypto", "cipherparams" }, NULL, ERR_MALFORMED },
		{ { "crypto", "cipherparams", "iv" }, "\"00\"", ERR_MALFORMED },
		{ { "crypto", "ciphertext" }, "\"\"", ERR_MALFORMED },
		{ { "crypto", "ciphertext" }, "\"0g\"", ERR_MALFORMED },
		{ { "crypto", "mac" }, "\"0x00\"", ERR_MALFORMED },
		{ { "crypto", "kdf" }, "\"bcrypt\"", ERR_UNSUPPORTED },
		{ { "crypto", "kdf" }, "\"pbkdf2\"", ERR_MALFORMED },
		{ { "crypto", "kdfparams" }, NULL, ERR_MALFORMED },
		{ { "crypto", "kdfparams", "n" }, "0", ERR_RANGE }, { { "crypto", "kdfparams", "n" }, "3", ERR_RANGE },
		{ { "crypto", "kdfparams", "n" }, "2147483648", ERR_RANGE },
		{ { "crypto", "kdfparams", "n" }, "1e3", ERR_MALFORMED },
		{ { "crypto", "kdfparams", "n" }, "-2", ERR_RANGE },
		{ { "crypto", "kdfparams", "n" }, "4294967298", ERR_RANGE },
		{ { "crypto", "kdfparams", "r" }, "4294967295", ERR_RANGE },
		{ { "crypto", "kdfparams", "p" }, "4294967295", ERR_RANGE },
		{ { "crypto", "kdfparams", "p" }, "true", ERR_MALFORMED },
		{ { "crypto", "kdfparams", "dklen" }, "31", ERR_RANGE },
		{ { "crypto", "kdfparams", "dklen" }, "64", 0 },
		{ { "crypto", "kdfparams", "salt" }, "7", ERR_MALFORMED },
	};
	uint8_t secret[32] = { 1 };
	char why[KEYSTORE_WHY_CAP], *text;
	struct keystore k, got;
	(void)state;

	assert_int_equal(keystore_seal(&k, secret, "x", 1, &cheap), 0);
	text = keystore_text(&k);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *doc = json_loads(text, 0, NULL), *at = doc;
		size_t depth = 0;

		for (; depth < 2 && rows[i].path[depth + 1]; depth++)
			at = json_object_get(at, rows[i].path[depth]);
		if (rows[i].value)
			json_object_set_new(at, rows[i].path[depth], json_loads(rows[i].value, JSON_DECODE_ANY, NULL));
		else
			json_object_del(at, rows[i].path[depth]);
		why[0] = '\0';
		if (parse(&got, why, doc) != rows[i].error)
			fail_msg("row %zu: %s", i, why);
		if (rows[i].error)
			assert_true(strlen(why) > 8);
		json_decref(doc);
	}
	assert_int_equal(keystore_parse(&got, why, text, strlen(text) - 1), ERR_MALFORMED);
	assert_int_equal(keystore_parse(&got, why, "[]", 2), ERR_MALFORMED);
	assert_int_equal(keystore_parse(&got, why, text, KEYSTORE_FILE_MAX + 1), ERR_TOO_LONG);
	free(text);
}

static void costs(void **state)
{
	uint8_t out[32], want[32];
	(void)state;

	/* RFC 7914, 12 and 11. */
	assert_int_equal(kdf_scrypt(out, 32, "", 0, "", 0, 16, 1, 1), 0);
	assert_int_equal(hex_decode(want, 32, "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442", 64), 0);
	assert_memory_equal(out, want, 32);
	assert_int_equal(kdf_pbkdf2(out, 32, "passwd", 6, "salt", 4, 1), 0);
	assert_int_equal(hex_decode(want, 32, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc", 64), 0);
	assert_memory_equal(out, want, 32);
	assert_int_equal(kdf_scrypt_check(1u << 20, 8, 1), 0);
	assert_int_equal(kdf_scrypt_check(1u << 21, 8, 1), ERR_RANGE);
	assert_int_equal(kdf_scrypt_check(1u << 20, 8, 4), ERR_RANGE);
	assert_int_equal(kdf_scrypt_check(2, 1u << 31, 1u << 31), ERR_RANGE);
	assert_int_equal(kdf_scrypt_check(2, 1, 1u << 19), ERR_RANGE);
	assert_int_equal(kdf_pbkdf2(out, 32, "", 0, "", 0, 0), ERR_RANGE);
	assert_int_equal(kdf_pbkdf2(out, 32, "", 0, "", 0, UINT32_MAX), ERR_RANGE);
	assert_int_equal(kdf_argon2id(out, 32, "", 0, want, 0, 64), ERR_RANGE);
	assert_int_equal(kdf_argon2id(out, 32, "", 0, want, 1, UINT32_MAX), ERR_RANGE);
	assert_int_equal(kdf_argon2id(out, 32, "", 0, want, 64, 1 << 20), ERR_RANGE);
	assert_int_equal(kdf_argon2id(out, 32, "", 0, want, 1, 8), 0);
	/* What the program argon2 of the reference implementation prints. */
	assert_int_equal(kdf_argon2id(out, 32, "password", 8, (const uint8_t *)"somesaltsomesalt", 2, 64), 0);
	assert_int_equal(hex_decode(want, 32, "1a98fba8e6394425c9bdc333a9c750aaf811df070f5fb4a5788e1cf4db5793a1", 64), 0);
	assert_memory_equal(out, want, 32);
}

/* -- directories --------------------------------------------------------------- */

static char temp[] = "/tmp/nonos-keystore-XXXXXX";

static void write_text(const char *name, const char *text, mode_t mode)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/a/b/%s", temp, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(path, mode);
}

static void names(void **state)
{
	static const char *const good[] = { "a", "operator-1", "_x", "0x1234" };
	static const char *const bad[] = {
		"", "-a", "a.b", "a/b", "../a", "a b", "0x0000000000000000000000000000000000000001", "\xc3\xa9",
	};
	char longest[KEYSTORE_NAME_MAX + 2];
	(void)state;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(keystore_name_is_good(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(keystore_name_is_good(bad[i]));
	memset(longest, 'a', sizeof(longest));
	longest[KEYSTORE_NAME_MAX + 1] = '\0';
	assert_false(keystore_name_is_good(longest));
	longest[KEYSTORE_NAME_MAX] = '\0';
	assert_true(keystore_name_is_good(longest));
}

static void directory(void **state)
{
	uint8_t secret[32] = { [31] = 9 };
	char why[KEYSTORE_WHY_CAP], path[256], address[ETH_ADDR_TEXT_CAP], *text;
	struct keystore k, other;
	struct keystore_entry e, *v;
	struct stat st;
	size_t n;
	int dir;
	(void)state;

	assert_non_null(mkdtemp(temp));
	snprintf(path, sizeof(path), "%s/a/b", temp);
	assert_int_equal(keystore_dir_open(&dir, path, false), ERR_NOT_FOUND);
	assert_int_equal(keystore_dir_open(&dir, path, true), 0);
	assert_int_equal(keystore_seal(&k, secret, "x", 1, &cheap), 0);
	assert_int_equal(keystore_save_new(dir, "one", &k), 0);
	assert_int_equal(keystore_save_new(dir, "../one", &k), ERR_RANGE);
	assert_int_equal(fstatat(dir, "one.json", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	/* Nothing is overwritten, and nothing is left behind by the attempt. */
	secret[31] = 10;
	assert_int_equal(keystore_seal(&other, secret, "y", 1, &cheap), 0);
	assert_int_equal(keystore_save_new(dir, "one", &other), ERR_EXISTS);
	assert_int_equal(faccessat(dir, "one.json.tmp", F_OK, 0), -1);
	eth_addr_text(address, &k.address);
	assert_int_equal(keystore_find(&e, why, dir, address), 0);
	assert_string_equal(e.name, "one");
	expect_same(&e.k, &k);
	assert_int_equal(keystore_save_again(dir, &e, &other), 0);
	assert_int_equal(keystore_find(&e, why, dir, address), ERR_NOT_FOUND);

	/* A file as another wallet names it; one that others may read; one that is none. */
	text = keystore_text(&k);
	write_text("UTC--2026-11-22T00-00-00.0Z--abc", text, 0600);
	write_text("loose.json", text, 0644);
	write_text("broken.json", "{", 0600);
	write_text("notes", "hello", 0600);
	free(text);
	assert_int_equal(keystore_list(&v, &n, dir), 0);
	assert_int_equal(n, 4);
	assert_string_equal(v[0].name, "UTC--2026-11-22T00-00-00.0Z--abc");
	assert_string_equal(v[1].name, "broken");
	assert_int_equal(v[1].error, ERR_MALFORMED);
	assert_int_equal(v[2].error, ERR_PERMISSION);
	assert_int_equal(v[3].error, 0);
	free(v);
	assert_int_equal(keystore_find(&e, why, dir, "UTC--2026-11-22T00-00-00.0Z--abc"), 0);
	assert_int_equal(keystore_find(&e, why, dir, "loose"), ERR_PERMISSION);
	assert_int_equal(keystore_find(&e, why, dir, "one.json"), 0);
	assert_int_equal(keystore_find(&e, why, dir, "../b/one"), ERR_NOT_FOUND);
	assert_int_equal(keystore_find(&e, why, dir, ""), ERR_NOT_FOUND);
	assert_int_equal(keystore_save_new(dir, "two", &k), 0);
	assert_int_equal(keystore_find(&e, why, dir, address), ERR_EXISTS);
	address[5] ^= 0x20;
	assert_true(keystore_find(&e, why, dir, address) < 0);
	chmod(path, 0770);
	assert_int_equal(keystore_dir_open(&dir, path, false), ERR_PERMISSION);
	close(dir);
	snprintf(path, sizeof(path), "rm -rf %s", temp);
	assert_int_equal(system(path), 0);
}

static int setup(void **state)
{
	(void)state;
	return crypto_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(written_and_read),
		cmocka_unit_test(refusals),
		cmocka_unit_test(costs),
		cmocka_unit_test(names),
		cmocka_unit_test(directory),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
