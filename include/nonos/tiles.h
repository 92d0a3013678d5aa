/*
 * The journal as files that anybody may fetch and keep (C2SP tlog-tiles): a
 * tile holds 256 hashes of one level of the tree, or 256 entries; the last of
 * a level may be partial. Pure, but for the two that read a ledger.
 */
#ifndef NONOS_TILES_H
#define NONOS_TILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/bytes.h>
#include <nonos/ledger.h>

enum {
	TILE_WIDTH = 256,		/* of a full tile */
	TILE_LEVEL_MAX = 63,
	TILE_PATH_CAP = 80,
	TILE_HASHES_LEN = TILE_WIDTH * LEDGER_ROOT_LEN,
	TILE_ENTRIES_MAX = TILE_WIDTH * (LEDGER_ENTRY_MAX + 2),
};

struct tile {
	bool entries;			/* else hashes */
	unsigned level;			/* of hashes; each stands for 256^level entries */
	uint64_t index;
	unsigned width;			/* 1 to 256 */
};

/* Read "/tile/0/x001/234.p/5" or "/tile/entries/000". ERR_MALFORMED for any but the one form. */
int tile_parse(struct tile *ret, const char *path);

/* Write it; returns `out`. */
char *tile_path(char out[TILE_PATH_CAP], const struct tile *t);

/* True when a log of `size` entries has all of the tile. */
bool tile_exists(const struct tile *t, uint64_t size);

/*
 * The bytes of a tile of the committed journal, malloc()ed. ERR_NOT_FOUND when it is not
 * all there, ERR_IO.
 */
int tile_read(char **ret, size_t *ret_len, struct ledger *l, const struct tile *t);

/* Borrow the next entry of a bundle: each is its length in two bytes, then itself. ERR_NOT_FOUND at the end, ERR_MALFORMED. */
int tile_next_entry(struct rd *bundle, const char **ret, size_t *ret_len);

#endif
