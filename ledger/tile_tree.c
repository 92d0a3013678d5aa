#include "config.h"

#include <nonos/tile_tree.h>

#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/mem.h>

enum { LEVELS = 8 };		/* of the tree in a tile */

struct have {
	struct tile tile;
	struct merkle_hash *hashes;
};

struct tile_tree {
	uint64_t size;
	struct have *v;			/* few: two paths from a leaf to the root */
	size_t n;
	struct tile missing;
};

struct tile_tree *tile_tree_new(uint64_t size)
{
	struct tile_tree *t = mem_new(sizeof(*t));

	t->size = size;
	return t;
}

void tile_tree_free(struct tile_tree *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].hashes);
	free(t->v);
	free(t);
}

/* The hashes of a tile, or NULL; then it is the one that is missing. */
static const struct merkle_hash *find(struct tile_tree *t, unsigned level, uint64_t index)
{
	uint64_t left = (t->size >> LEVELS * level) - index * TILE_WIDTH;

	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].tile.level == level && t->v[i].tile.index == index)
			return t->v[i].hashes;
	t->missing = (struct tile){ .level = level, .index = index, .width = left < TILE_WIDTH ? (unsigned)left : TILE_WIDTH };
	return NULL;
}

/* The root over 2^levels hashes. */
static void join(struct merkle_hash *ret, const struct merkle_hash *hashes, unsigned levels)
{
	struct merkle_hash left, right;

	if (levels == 0) {
		*ret = hashes[0];
		return;
	}
	join(&left, hashes, levels - 1);
	join(&right, hashes + ((size_t)1 << (levels - 1)), levels - 1);
	merkle_node(ret, &left, &right);
}

static int node(void *ctx, struct merkle_hash *ret, unsigned level, uint64_t index)
{
	unsigned within = level % LEVELS;
	uint64_t first = index << within;
	const struct merkle_hash *hashes = find(ctx, level / LEVELS, first / TILE_WIDTH);

	if (!hashes)
		return ERR_AGAIN;
	join(ret, hashes + first % TILE_WIDTH, within);
	return 0;
}

static int ask_root(struct tile_tree *t, struct merkle_hash *ret, const struct merkle_hash *root, uint64_t size)
{
	const struct merkle_source s = { .node = node, .ctx = t };
	struct merkle_proof p;
	int r = size && size <= t->size ? merkle_root(ret, &s, size) : ERR_RANGE;

	if (r == 0)
		r = merkle_consistency(&p, &s, size, t->size);
	/* The proof leads to the root only from the hashes that are in its tree. */
	return r < 0 ? r : merkle_check_consistency(ret, size, root, t->size, &p);
}

int tile_tree_root(struct tile_tree *t, struct merkle_hash *ret, struct tile *ret_missing, const struct merkle_hash *root,
		   uint64_t size)
{
	struct merkle_hash found;
	int r = ask_root(t, &found, root, size);

	if (r == 0)
		*ret = found;
	else if (r == ERR_AGAIN)
		*ret_missing = t->missing;
	return r;
}

static int ask_leaf(struct tile_tree *t, struct merkle_hash *ret, const struct merkle_hash *root, uint64_t index)
{
	const struct merkle_source s = { .node = node, .ctx = t };
	struct merkle_proof p;
	int r = index < t->size ? node(t, ret, 0, index) : ERR_RANGE;

	if (r == 0)
		r = merkle_inclusion(&p, &s, index, t->size);
	return r < 0 ? r : merkle_check_inclusion(root, t->size, ret, index, &p);
}

int tile_tree_leaf(struct tile_tree *t, struct merkle_hash *ret, struct tile *ret_missing, const struct merkle_hash *root,
		   uint64_t index)
{
	struct merkle_hash found;
	int r = ask_leaf(t, &found, root, index);

	if (r == 0)
		*ret = found;
	else if (r == ERR_AGAIN)
		*ret_missing = t->missing;
	return r;
}

int tile_tree_add(struct tile_tree *t, const struct tile *tile, const void *data, size_t len)
{
	if (len != tile->width * sizeof(struct merkle_hash))
		return ERR_MALFORMED;
	t->v = mem_resize(t->v, t->n + 1, sizeof(*t->v));
	t->v[t->n++] = (struct have){ *tile, mem_dup(data, len) };
	return 0;
}
