#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/family.h>
#include <nonos/keys.h>
#include <nonos/mem.h>

#include "../../relay/cert.h"
#include "../../relay/dir/descriptor.h"
#include "../../relay/dir/microdesc.h"

enum { NOW = 1795333200, DAY = 86400 };

/* What tor 0.4.9.11 made: "tor --keygen-family", and what a relay with that FamilyId published. */
static const char tor_id[] = "zn+SVlFlfwohtG6p1g9PV2p5MedBy+2/E3U7aAKsLto";

static char root[256], err[512];

static size_t vector(const char *name, void *out, size_t cap)
{
	char *path = mem_printf("%s/family/%s", getenv("TEST_VECTORS"), name);
	FILE *f = fopen(path, "rb");
	size_t len;

	if (!f)
		fail_msg("%s is missing", path);
	len = fread(out, 1, cap, f);
	fclose(f);
	free(path);
	return len;
}

static void put_file(const char *name, const void *data, size_t len, mode_t mode)
{
	char *path = mem_printf("%s/%s", root, name);
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
	free(path);
}

static void put_tor_key(const char *name, mode_t mode)
{
	uint8_t key[256];

	put_file(name, key, vector("tor.secret_family_key", key, sizeof(key)), mode);
}

static int scratch(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(root, sizeof(root), "%.200s/nonos-family-XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(root) ? crypto_init() : -1;
}

static int scratch_gone(void **state)
{
	char *command = mem_printf("rm -rf '%s'", root);
	int r = system(command);

	(void)state;
	free(command);
	return r;
}

static int open_ids(struct families **ret, const char *a, const char *b)
{
	const char *const ids[] = { a, b, NULL };

	*ret = NULL;
	return families_open(ret, root, ids, err, sizeof(err));
}

static void test_id(void **state)
{
	uint8_t id[FAMILY_ID_LEN];
	char text[FAMILY_ID_CAP];

	(void)state;
	assert_int_equal(family_id_parse(id, tor_id), 0);
	assert_string_equal(family_id_format(text, id), tor_id);
	assert_int_equal(family_id_parse(id, ""), ERR_MALFORMED);
	assert_int_equal(family_id_parse(id, "*"), ERR_MALFORMED);
	assert_int_equal(family_id_parse(id, "zn+SVlFlfwohtG6p1g9PV2p5MedBy+2/E3U7aAKsLto="), ERR_MALFORMED);
	assert_int_equal(family_id_parse(id, "zn+SVlFlfwohtG6p1g9PV2p5MedBy+2/E3U7aAKsLt"), ERR_MALFORMED);
	assert_int_equal(family_id_parse(id, "zn_SVlFlfwohtG6p1g9PV2p5MedBy-2/E3U7aAKsLto"), ERR_MALFORMED);
}

static void test_key_of_tor(void **state)
{
	uint8_t file[256], id[FAMILY_ID_LEN], want[FAMILY_ID_LEN];
	size_t len = vector("tor.secret_family_key", file, sizeof(file));

	(void)state;
	assert_int_equal(family_id_parse(want, tor_id), 0);
	assert_int_equal(family_key_parse(id, file, len), 0);
	assert_memory_equal(id, want, sizeof(id));
	for (size_t n = 0; n < len; n++)
		assert_int_equal(family_key_parse(id, file, n), ERR_MALFORMED);
	file[len] = 0;
	assert_int_equal(family_key_parse(id, file, len + 1), ERR_MALFORMED);
	file[32] |= 1;	/* not clamped */
	assert_int_equal(family_key_parse(id, file, len), ERR_MALFORMED);
	file[32] &= 0xfe;
	file[10] ^= 1;	/* another tag */
	assert_int_equal(family_key_parse(id, file, len), ERR_MALFORMED);
}

static void test_create(void **state)
{
	uint8_t id[FAMILY_ID_LEN], again[FAMILY_ID_LEN];
	char text[FAMILY_ID_CAP], read[64] = "", *path;
	struct families *f;
	struct stat st;
	FILE *file;

	(void)state;
	assert_int_equal(family_create(id, root, "ours", err, sizeof(err)), 0);
	path = mem_printf("%s/ours.secret_family_key", root);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 96);
	assert_int_equal(family_read_id(again, path, err, sizeof(err)), 0);
	assert_memory_equal(id, again, sizeof(id));
	free(path);
	path = mem_printf("%s/ours.public_family_id", root);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(read, sizeof(read), file));
	fclose(file);
	free(path);
	read[strcspn(read, "\n")] = '\0';
	assert_string_equal(read, family_id_format(text, id));
	assert_int_equal(open_ids(&f, text, NULL), 0);
	assert_int_equal(families_count(f), 1);
	assert_memory_equal(families_id(f, 0), id, sizeof(id));
	assert_string_equal(families_file(f, 0), "ours.secret_family_key");
	families_free(f);
	assert_int_equal(family_create(again, root, "ours", err, sizeof(err)), ERR_EXISTS);
	assert_int_equal(family_create(again, root, "../up", err, sizeof(err)), ERR_RANGE);
	assert_int_equal(family_create(again, root, ".hidden", err, sizeof(err)), ERR_RANGE);
	assert_int_equal(family_create(again, root, "", err, sizeof(err)), ERR_RANGE);
	assert_int_equal(family_create(again, "/nowhere/at/all", "x", err, sizeof(err)), ERR_SYSTEM);
}

static void test_open(void **state)
{
	static const char zeros[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	uint8_t id[FAMILY_ID_LEN];
	struct families *f;

	(void)state;
	assert_int_equal(open_ids(&f, NULL, NULL), 0);
	assert_int_equal(families_count(f), 0);
	families_free(f);
	assert_int_equal(families_count(NULL), 0);
	assert_int_equal(open_ids(&f, "*", NULL), ERR_NOT_FOUND);
	put_tor_key("a.secret_family_key", 0600);
	put_tor_key("b.secret_family_key", 0600);	/* the same family, once */
	assert_int_equal(open_ids(&f, "*", NULL), 0);
	assert_int_equal(families_count(f), 1);
	families_free(f);
	assert_int_equal(open_ids(&f, tor_id, NULL), 0);
	families_free(f);
	assert_int_equal(open_ids(&f, tor_id, zeros), ERR_NOT_FOUND);
	assert_non_null(strstr(err, zeros));
	put_tor_key("c.secret_family_key", 0640);
	assert_int_equal(open_ids(&f, tor_id, NULL), ERR_PERMISSION);
	put_file("c.secret_family_key", "== ed25519v1-secret: fmly-id ==", 31, 0600);
	assert_int_equal(open_ids(&f, tor_id, NULL), ERR_MALFORMED);
	put_tor_key("c.secret_family_key", 0600);
	for (int i = 0; i < FAMILIES_MAX; i++) {
		char name[] = { (char)('r' + i), '\0' };

		assert_int_equal(family_create(id, root, name, err, sizeof(err)), 0);
	}
	assert_int_equal(open_ids(&f, "*", NULL), ERR_LIMIT);
	assert_int_equal(open_ids(&f, tor_id, NULL), 0);
	families_free(f);
}

static void test_import(void **state)
{
	char *from = mem_printf("%s/old", root), *to = mem_printf("%s/new", root);
	uint8_t id[FAMILY_ID_LEN];
	struct families *f;
	struct stat st;
	size_t bad;

	(void)state;
	assert_int_equal(families_import(to, from, &bad), 0);
	assert_int_equal(mkdir(from, 0700), 0);
	assert_int_equal(mkdir(to, 0700), 0);
	assert_int_equal(families_import(to, from, &bad), 0);
	assert_int_equal(bad, 0);
	put_tor_key("old/a.secret_family_key", 0640);
	put_file("old/b.secret_family_key", "nonsense", 8, 0600);
	put_file("old/c", "nothing to do with it", 21, 0600);
	assert_int_equal(families_import(to, from, &bad), 1);
	assert_int_equal(bad, 1);
	free(from);
	from = mem_printf("%s/a.secret_family_key", to);
	assert_int_equal(stat(from, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(family_read_id(id, from, err, sizeof(err)), 0);
	assert_int_equal(families_open(&f, to, (const char *const[]){ tor_id, NULL }, err, sizeof(err)), 0);
	families_free(f);
	free(from);
	free(to);
}

/* Descriptor and microdescriptor of a tor relay in that family, and its certificate alone. */
static void test_documents_of_tor(void **state)
{
	uint8_t cert[256], id[FAMILY_ID_LEN], want[FAMILY_ID_LEN];
	size_t cert_len = vector("cert", cert, sizeof(cert));
	char text[20000], word[64];
	size_t len = vector("descriptor", text, sizeof(text) - 1);
	struct descriptor_view v;
	struct dir_item it;
	struct span md, s;

	(void)state;
	assert_int_equal(family_id_parse(want, tor_id), 0);
	assert_int_equal(descriptor_check(text, len, NOW), 0);
	assert_int_equal(descriptor_check(text, len, NOW + 31 * DAY), ERR_EXPIRED);
	assert_int_equal(descriptor_parse(&v, text, len), 0);
	assert_int_equal(v.n_families, 1);
	assert_memory_equal(v.families[0], want, sizeof(want));
	assert_int_equal(family_cert_check(id, cert, cert_len, v.ed_id, NOW), 0);
	assert_memory_equal(id, want, sizeof(want));
	assert_int_equal(family_cert_check(id, cert, cert_len, v.ed_id, NOW + 31 * DAY), ERR_EXPIRED);
	assert_int_equal(family_cert_check(id, cert, cert_len, want, NOW), ERR_MISMATCH);
	for (size_t i = 0; i < cert_len; i++) {
		cert[i] ^= 0x40;
		assert_true(family_cert_check(id, cert, cert_len, v.ed_id, NOW) < 0);
		cert[i] ^= 0x40;
	}
	md = (struct span){ text, vector("microdesc", text, sizeof(text)) };
	assert_true(microdesc_line(&it, md, "family-ids"));
	assert_true(dir_arg(&it, &s));
	snprintf(word, sizeof(word), "ed25519:%s", tor_id);
	assert_true(span_eq(s, word));
	assert_false(dir_arg(&it, &s));
	assert_true(microdesc_has_word(md, "family-ids", word));
	word[10] ^= 1;
	assert_false(microdesc_has_word(md, "family-ids", word));
	assert_false(microdesc_line(&it, md, "family"));
}

/* Ours with two families, as others check it. */
static void test_our_descriptor(void **state)
{
	struct descriptor_facts facts = {
		.nickname = "example", .platform = "nonos", .v4 = { .family = ADDR_V4, .port = 9001, .ip = { 192, 0, 2, 7 } },
		.bandwidth_rate = 1000000, .bandwidth_burst = 1000000, .exit_policy = "reject *:*", .published = NOW,
	};
	struct relay_keys *keys = NULL;
	uint8_t id[FAMILY_ID_LEN];
	char *text, *extra, *start, *end, *twice;
	struct descriptor_view v;
	struct families *f;

	(void)state;
	put_tor_key("tor.secret_family_key", 0600);
	assert_int_equal(family_create(id, root, "second", err, sizeof(err)), 0);
	assert_int_equal(open_ids(&f, "*", NULL), 0);
	assert_int_equal(families_count(f), 2);
	assert_int_equal(keys_open(&keys, root, NOW, err, sizeof(err)), 0);
	facts.families = f;
	assert_int_equal(descriptor_make(&text, &extra, keys, &facts), 0);
	assert_int_equal(descriptor_check(text, strlen(text), NOW), 0);
	assert_int_equal(descriptor_parse(&v, text, strlen(text)), 0);
	assert_int_equal(v.n_families, 2);
	for (size_t i = 0; i < 2; i++)
		assert_memory_equal(v.families[i], families_id(f, i), FAMILY_ID_LEN);
	/* The certificates last longer than the descriptor is used, and are checked. */
	assert_int_equal(descriptor_check(text, strlen(text), NOW + 3 * DAY), 0);
	start = strstr(text, "family-cert\n");
	end = strstr(start, "-----END FAMILY CERT-----\n") + 26;
	twice = mem_printf("%.*s%.*s%.*s%s", (int)(end - text), text, (int)(end - start), start, (int)(end - start),
			   start, end);
	assert_int_equal(descriptor_parse(&v, twice, strlen(twice)), ERR_MALFORMED);
	free(twice);
	free(text);
	free(extra);
	keys_free(keys);
	families_free(f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_id, scratch, scratch_gone),
		cmocka_unit_test_setup_teardown(test_key_of_tor, scratch, scratch_gone),
		cmocka_unit_test_setup_teardown(test_create, scratch, scratch_gone),
		cmocka_unit_test_setup_teardown(test_open, scratch, scratch_gone),
		cmocka_unit_test_setup_teardown(test_import, scratch, scratch_gone),
		cmocka_unit_test_setup_teardown(test_documents_of_tor, scratch, scratch_gone),
		cmocka_unit_test_setup_teardown(test_our_descriptor, scratch, scratch_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
