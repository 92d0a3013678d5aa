#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>
#include <nonos/tile_tree.h>

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

/* -- a tree of which only tiles are at hand ---------------------------------------------- */

enum { LEAVES = 66000, TILES_MAX = 12 };

static struct merkle_hash *leaves;

/* A tile as a mirror gives it; one bit of it wrong when it is the `lie`th. */
static void give(struct tile_tree *tree, const struct tile *t, unsigned lie)
{
	struct merkle_source s = merkle_source_leaves(leaves);
	struct merkle_hash data[TILE_WIDTH];

	assert_true(tile_exists(t, LEAVES));
	for (unsigned i = 0; i < t->width; i++)
		assert_int_equal(s.node(s.ctx, &data[i], 8 * t->level, t->index * TILE_WIDTH + i), 0);
	for (unsigned i = 0; lie == 0 && i < t->width; i++)
		data[i].b[5] ^= 0x10;
	assert_int_equal(tile_tree_add(tree, t, data, t->width * sizeof(data[0]) - 1), ERR_MALFORMED);
	assert_int_equal(tile_tree_add(tree, t, data, t->width * sizeof(data[0])), 0);
}

/* Ask until all tiles are there: with the `lie`th wrong. */
static int ask(struct merkle_hash *ret, const struct merkle_hash *root, uint64_t at, bool leaf, unsigned lie, unsigned *ret_n)
{
	struct tile_tree *tree = tile_tree_new(LEAVES);
	struct tile missing;
	int r = ERR_AGAIN;

	for (*ret_n = 0; r == ERR_AGAIN; ++*ret_n) {
		assert_true(*ret_n <= TILES_MAX);
		r = leaf ? tile_tree_leaf(tree, ret, &missing, root, at) : tile_tree_root(tree, ret, &missing, root, at);
		if (r == ERR_AGAIN)
			give(tree, &missing, lie--);
	}
	tile_tree_free(tree);
	return r;
}

/* A few tiles give the root of any earlier size and any leaf; a wrong one in any place gives none. */
static void test_tree(void **state)
{
	static const uint64_t places[] = { 1, 2, 255, 256, 257, 300, 511, 512, 4096, 65535, 65536, 65537, LEAVES - 1 };
	struct merkle_source s;
	struct merkle_hash root, found, want;
	unsigned n;

	(void)state;
	leaves = calloc(LEAVES, sizeof(*leaves));
	for (uint32_t i = 0; i < LEAVES; i++)
		merkle_leaf(&leaves[i], &i, sizeof(i));
	s = merkle_source_leaves(leaves);
	assert_int_equal(merkle_root(&root, &s, LEAVES), 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		assert_int_equal(merkle_root(&want, &s, places[i]), 0);
		for (int leaf = 0; leaf < 2; leaf++) {
			unsigned lies;

			assert_int_equal(ask(&found, &root, places[i], leaf, TILES_MAX + 1, &n), 0);
			assert_memory_equal(&found, leaf ? &leaves[places[i]] : &want, sizeof(found));
			for (unsigned lie = 0; lie + 1 < n; lie++)
				assert_int_equal(ask(&found, &root, places[i], leaf, lie, &lies), ERR_AUTH);
		}
	}
	assert_int_equal(ask(&found, &root, 0, false, 0, &n), ERR_RANGE);
	assert_int_equal(ask(&found, &root, LEAVES + 1, false, 0, &n), ERR_RANGE);
	assert_int_equal(ask(&found, &root, LEAVES, true, 0, &n), ERR_RANGE);
	free(leaves);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths), cmocka_unit_test(test_exists), cmocka_unit_test(test_entries),
		cmocka_unit_test(test_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
