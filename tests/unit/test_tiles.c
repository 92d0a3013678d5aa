#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>

#include "../../ledger/tiles.h"

/* What C2SP tlog-tiles gives as examples, and what is near them. */
static void test_paths(void **state)
{
	static const struct {
		const char *path;
		bool entries;
		unsigned level;
		uint64_t index;
		unsigned width;
	} good[] = {
		{ "/tile/0/000", false, 0, 0, 256 }, { "/tile/0/x001/x234/067", false, 0, 1234067, 256 },
		{ "/tile/0/x273/112.p/112", false, 0, 273112, 112 }, { "/tile/3/000.p/1", false, 3, 0, 1 },
		{ "/tile/entries/x001/000", true, 0, 1000, 256 }, { "/tile/63/999.p/255", false, 63, 999, 255 },
	};
	static const char *const bad[] = {
		"", "/tile/", "/tile/0", "/tile/0/", "/tile/0/0", "/tile/0/00", "/tile/0/0000", "/tile/0/x000/001", "/tile/0/x001",
		"/tile/0/x001/", "/tile/00/000", "/tile/64/000", "/tile/-1/000", "/tile/0/000.p/0", "/tile/0/000.p/256",
		"/tile/0/000.p/01", "/tile/0/000.p/", "/tile/0/000.p/1x", "/tile/0/000/", "/tile/entries/0/000", "tile/0/000",
		"/tile/0/x999/x999/x999/x999/x999/x999/x999/999",
	};
	struct tile t;
	char path[TILE_PATH_CAP];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (tile_parse(&t, good[i].path) < 0)
			fail_msg("%s is refused", good[i].path);
		assert_int_equal(t.entries, good[i].entries);
		assert_int_equal(t.level, good[i].level);
		assert_int_equal(t.index, good[i].index);
		assert_int_equal(t.width, good[i].width);
		assert_string_equal(tile_path(path, &t), good[i].path);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (tile_parse(&t, bad[i]) != ERR_MALFORMED)
			fail_msg("%s is taken", bad[i]);
}

static void expect_exists(const char *path, uint64_t size, bool exists)
{
	struct tile t;

	assert_int_equal(tile_parse(&t, path), 0);
	if (tile_exists(&t, size) != exists)
		fail_msg("%s of %llu", path, (unsigned long long)size);
}

static void test_exists(void **state)
{
	(void)state;
	expect_exists("/tile/0/000", 255, false);
	expect_exists("/tile/0/000", 256, true);
	expect_exists("/tile/0/000.p/255", 255, true);
	expect_exists("/tile/entries/001.p/1", 256, false);
	expect_exists("/tile/entries/001.p/1", 257, true);
	expect_exists("/tile/1/000.p/2", 511, false);
	expect_exists("/tile/1/000.p/2", 512, true);
	expect_exists("/tile/8/000.p/1", UINT64_MAX, false);
	expect_exists("/tile/7/000.p/255", UINT64_MAX, true);
}

static void test_entries(void **state)
{
	static const uint8_t bundle[] = { 0, 2, 'a', 'b', 0, 1, 'c' }, cut[] = { 0, 2, 'a' }, empty[] = { 0, 0 };
	struct rd r = rd_init(bundle, sizeof(bundle));
	const char *entry;
	size_t len;

	(void)state;
	assert_int_equal(tile_next_entry(&r, &entry, &len), 0);
	assert_int_equal(len, 2);
	assert_memory_equal(entry, "ab", 2);
	assert_int_equal(tile_next_entry(&r, &entry, &len), 0);
	assert_int_equal(len, 1);
	assert_int_equal(tile_next_entry(&r, &entry, &len), ERR_NOT_FOUND);
	r = rd_init(cut, sizeof(cut));
	assert_int_equal(tile_next_entry(&r, &entry, &len), ERR_MALFORMED);
	r = rd_init(cut, 1);
	assert_int_equal(tile_next_entry(&r, &entry, &len), ERR_MALFORMED);
	r = rd_init(empty, sizeof(empty));
	assert_int_equal(tile_next_entry(&r, &entry, &len), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths), cmocka_unit_test(test_exists), cmocka_unit_test(test_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
