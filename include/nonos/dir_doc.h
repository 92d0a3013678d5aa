/*
 * Directory documents on their way from keeper to worker: a sealed memfd with
 * a sorted index and the texts, mapped read-only by both. The keeper builds
 * it, the worker checks every offset once and then trusts it.
 *
 * Keys by kind (enum dir_doc), zero-padded to DIR_KEY_LEN:
 *   CONSENSUS_*   "plain", "deflate", "x-zstd" (the same text in each coding)
 *   MICRODESCS    SHA-256 of the text
 *   DESCRIPTORS   'F' RSA fingerprint and 'D' SHA-1 digest (two keys, one text);
 *                 'f' and 'd' likewise for extra-info
 *   CERTS         v3 identity digest (20), signing key digest (20)
 *   OWN           "server", "extra"
 */
#ifndef NONOS_DIR_DOC_H
#define NONOS_DIR_DOC_H

#include <stddef.h>
#include <stdint.h>

#include <nonos/directory.h>

enum {
	DIR_KEY_LEN = 40,
	DIR_DOC_SIZE_MAX = 512 << 20,	/* bytes of a whole memfd */
};

struct dir_entry {
	uint8_t key[DIR_KEY_LEN];
	const uint8_t *data;		/* borrowed */
	size_t len;
};

struct dir_doc_meta {
	uint8_t kind;			/* enum dir_doc */
	int64_t valid_after, fresh_until, valid_until;	/* wall seconds; consensuses only */
	int64_t last_modified;
	/* v3 identities that signed, for the <fp+fp> form of consensus URLs */
	uint8_t signers[16][20];
	uint8_t n_signers;
};

/*
 * Build a sealed memfd. `entries` in any order; equal data pointers are stored once. Two equal keys
 * are ERR_EXISTS; ERR_RANGE: bad kind, times before 1970 or after 9999; ERR_TOO_LONG, ERR_SYSTEM.
 */
int dir_doc_build(int *ret_fd, const struct dir_doc_meta *meta, const struct dir_entry *entries, size_t n);

struct dir_map;

/*
 * Map and check; does not close `fd`. A file not sealed against change is refused, too.
 * ERR_MALFORMED, ERR_SYSTEM.
 */
int dir_map_open(struct dir_map **ret, int fd);
struct dir_map *dir_map_ref(struct dir_map *m);
void dir_map_unref(struct dir_map *m);		/* NULL is fine */
const struct dir_doc_meta *dir_map_meta(const struct dir_map *m);
size_t dir_map_count(const struct dir_map *m);

/* Entry by position (sorted by key) or by key; ERR_NOT_FOUND. Data borrowed from the map. */
void dir_map_at(const struct dir_map *m, size_t i, struct dir_entry *ret);
int dir_map_find(const struct dir_map *m, const void *key, size_t key_len, struct dir_entry *ret);

/* Position of the first entry whose key begins with `prefix`; its fellows follow it. */
int dir_map_find_prefix(const struct dir_map *m, const void *prefix, size_t prefix_len, size_t *ret_i);

#endif
