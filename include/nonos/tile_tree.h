/*
 * The tree of a log of which somebody else has the tiles: those that a question needs are
 * named one by one, to be fetched and added. Nothing in them is believed by itself: what
 * comes out has to be checked against a signed root. Owned by whoever asks.
 */
#ifndef NONOS_TILE_TREE_H
#define NONOS_TILE_TREE_H

#include <nonos/merkle_log.h>
#include <nonos/tiles.h>

struct tile_tree;

struct tile_tree *tile_tree_new(uint64_t size);
void tile_tree_free(struct tile_tree *t);	/* NULL is fine */

/*
 * The root at `size`, and the hash of leaf `index`, each proven by the tree's own root: ERR_AUTH when the
 * tiles do not lead to it. ERR_AGAIN: *ret_missing is to be added first. ERR_RANGE when the tree has no such
 * size (from 1 on) or leaf.
 */
int tile_tree_root(struct tile_tree *t, struct merkle_hash *ret, struct tile *ret_missing, const struct merkle_hash *root,
		   uint64_t size);
int tile_tree_leaf(struct tile_tree *t, struct merkle_hash *ret, struct tile *ret_missing, const struct merkle_hash *root,
		   uint64_t index);

/* Add a tile that was missing. ERR_MALFORMED unless it has as many bytes as it should. */
int tile_tree_add(struct tile_tree *t, const struct tile *tile, const void *data, size_t len);

#endif
