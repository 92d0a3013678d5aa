#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/dir_doc.h>
#include <nonos/err.h>

/* Offsets of the layout in dir_doc.c that the tests damage. */
enum { AT_KIND = 8, AT_SIGNERS = 9, AT_ZERO = 10, AT_COUNT = 12, AT_VALID_AFTER = 16, AT_INDEX = 368,
       INDEX_LEN = 56, AT_OFFSET = 40, AT_LEN = 48 };

static const struct dir_doc_meta meta = {
	.kind = DIR_DOC_DESCRIPTORS, .valid_after = 1000, .fresh_until = 2000, .valid_until = 3000,
	.last_modified = 1500, .signers = { { 1, 2, 3 }, { 4, 5, 6 } }, .n_signers = 2,
};

static struct dir_entry entry(const char *key, const char *text)
{
	struct dir_entry e = { .data = (const uint8_t *)text, .len = strlen(text) };

	memcpy(e.key, key, strlen(key));
	return e;
}

static void test_build_and_find(void **state)
{
	static const char shared[] = "one text, two keys";
	struct dir_entry in[] = { entry("zebra", "z"), entry("D1", shared), entry("F1", shared), entry("empty", ""),
				  entry("D2", "second") };
	struct dir_entry e, f;
	struct dir_map *m;
	size_t i;
	int fd;

	(void)state;
	assert_int_equal(dir_doc_build(&fd, &meta, in, 5), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), AT_INDEX + 5 * INDEX_LEN + strlen(shared) + 1 + 6);
	assert_int_equal(dir_map_open(&m, fd), 0);
	close(fd);
	assert_int_equal(dir_map_count(m), 5);
	assert_memory_equal(dir_map_meta(m)->signers, meta.signers, sizeof(meta.signers));
	assert_int_equal(dir_map_meta(m)->valid_until, 3000);
	assert_int_equal(dir_map_meta(m)->last_modified, 1500);
	for (i = 0; i < 5; i++) {
		assert_int_equal(dir_map_find(m, in[i].key, DIR_KEY_LEN, &e), 0);
		assert_int_equal(e.len, in[i].len);
		assert_memory_equal(e.data, in[i].data, e.len);
	}
	assert_int_equal(dir_map_find(m, "D1", 2, &e), 0);
	assert_int_equal(dir_map_find(m, "F1", 2, &f), 0);
	assert_ptr_equal(e.data, f.data);
	assert_int_equal(dir_map_find(m, "D", 1, &e), ERR_NOT_FOUND);
	assert_int_equal(dir_map_find(m, "zz", 2, &e), ERR_NOT_FOUND);
	assert_int_equal(dir_map_find(m, in, DIR_KEY_LEN + 1, &e), ERR_NOT_FOUND);
	assert_int_equal(dir_map_find_prefix(m, "D", 1, &i), 0);
	assert_int_equal(i, 0);
	assert_int_equal(dir_map_find_prefix(m, "e", 1, &i), 0);
	assert_int_equal(i, 3);
	assert_int_equal(dir_map_find_prefix(m, "E", 1, &i), ERR_NOT_FOUND);
	assert_int_equal(dir_map_find_prefix(m, "zebras", 6, &i), ERR_NOT_FOUND);
	dir_map_at(m, 4, &e);
	assert_memory_equal(e.key, in[0].key, DIR_KEY_LEN);
	assert_ptr_equal(dir_map_ref(m), m);
	dir_map_unref(m);
	assert_int_equal(dir_map_count(m), 5);		/* still held */
	dir_map_unref(m);
	dir_map_unref(NULL);
}

static void test_build_refusals(void **state)
{
	struct dir_entry in[] = { entry("a", "1"), entry("b", "2"), entry("a", "3") };
	struct dir_doc_meta bad = meta;
	int fd = -7;

	(void)state;
	assert_int_equal(dir_doc_build(&fd, &meta, in, 3), ERR_EXISTS);
	bad.kind = 0;
	assert_int_equal(dir_doc_build(&fd, &bad, in, 2), ERR_RANGE);
	bad.kind = DIR_DOC_KINDS;
	assert_int_equal(dir_doc_build(&fd, &bad, in, 2), ERR_RANGE);
	bad = meta;
	bad.n_signers = 17;
	assert_int_equal(dir_doc_build(&fd, &bad, in, 2), ERR_RANGE);
	bad = meta;
	bad.valid_after = -1;
	assert_int_equal(dir_doc_build(&fd, &bad, in, 2), ERR_RANGE);
	in[0].len = DIR_DOC_SIZE_MAX;		/* refused before it is read */
	assert_int_equal(dir_doc_build(&fd, &meta, in, 2), ERR_TOO_LONG);
	in[0].len = SIZE_MAX;
	assert_int_equal(dir_doc_build(&fd, &meta, in, 2), ERR_TOO_LONG);
	assert_int_equal(fd, -7);
}

static void test_sealed(void **state)
{
	struct dir_entry in = entry("a", "text");
	int fd, seals;

	(void)state;
	assert_int_equal(dir_doc_build(&fd, &meta, &in, 1), 0);
	seals = fcntl(fd, F_GET_SEALS);
	assert_int_equal(seals, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	close(fd);
}

static int open_with(const void *data, size_t len, int seals, struct dir_map **ret)
{
	int r, fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, len, 0), (ssize_t)len);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	r = dir_map_open(ret, fd);
	close(fd);
	return r;
}

static void test_unsealed_refused(void **state)
{
	struct dir_entry in = entry("a", "text");
	uint8_t image[512];
	struct dir_map *m = NULL;
	ssize_t len;
	int fd, all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

	(void)state;
	assert_int_equal(dir_doc_build(&fd, &meta, &in, 1), 0);
	len = pread(fd, image, sizeof(image), 0);
	assert_true(len > 0);
	close(fd);
	assert_int_equal(open_with(image, (size_t)len, 0, &m), ERR_MALFORMED);
	assert_int_equal(open_with(image, (size_t)len, all & ~F_SEAL_WRITE, &m), ERR_MALFORMED);
	assert_int_equal(open_with(image, (size_t)len, all & ~F_SEAL_SHRINK, &m), ERR_MALFORMED);
	assert_int_equal(open_with(image, (size_t)len, all & ~F_SEAL_GROW, &m), ERR_MALFORMED);
	fd = open("/dev/null", O_RDONLY);
	assert_int_equal(dir_map_open(&m, fd), ERR_MALFORMED);
	close(fd);
	assert_int_equal(dir_map_open(&m, -1), ERR_MALFORMED);
	assert_null(m);
	assert_int_equal(open_with(image, (size_t)len, all, &m), 0);
	dir_map_unref(m);
}

static void test_damage_refused(void **state)
{
	static const struct { size_t at; uint8_t value; } bad[] = {
		{ 0, 'N' }, { AT_KIND, 0 }, { AT_KIND, DIR_DOC_KINDS }, { AT_SIGNERS, 17 }, { AT_ZERO, 1 },
		{ AT_COUNT, 0xff }, { AT_COUNT + 3, 3 }, { AT_VALID_AFTER, 0x80 }, { AT_VALID_AFTER, 1 },
		{ AT_INDEX, 'b' },					/* equal keys */
		{ AT_INDEX, 'c' },					/* descending */
		{ AT_INDEX + AT_OFFSET, 0xff }, { AT_INDEX + AT_OFFSET + 7, 0 },	/* into the index */
		{ AT_INDEX + AT_LEN, 0xff }, { AT_INDEX + AT_LEN + 7, 9 },
		{ AT_INDEX + INDEX_LEN + AT_LEN + 7, 5 },
	};
	struct dir_entry in[] = { entry("a", "text"), entry("b", "more") };
	uint8_t image[1024], changed[1024];
	struct dir_map *m = NULL;
	size_t len;
	int fd, all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

	(void)state;
	assert_int_equal(dir_doc_build(&fd, &meta, in, 2), 0);
	len = (size_t)pread(fd, image, sizeof(image), 0);
	close(fd);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(changed, image, len);
		changed[bad[i].at] = bad[i].value;
		if (open_with(changed, len, all, &m) != ERR_MALFORMED)
			fail_msg("accepted with byte %zu set to %u", bad[i].at, bad[i].value);
	}
	for (size_t n = 0; n < len; n++)
		assert_int_equal(open_with(image, n, all, &m), ERR_MALFORMED);
	assert_null(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build_and_find), cmocka_unit_test(test_build_refusals),
		cmocka_unit_test(test_sealed), cmocka_unit_test(test_unsealed_refused),
		cmocka_unit_test(test_damage_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
