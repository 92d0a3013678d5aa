/*
 * Entries by their digests. The digests are as good as random, so a tree of
 * them would take a page's writing for nearly every entry. The latest stand in
 * memory instead, by their first four bytes, and go into the table STEP at a time,
 * sorted. A journal that is opened reads those that the table lacks.
 *
 * What is in memory needs no undoing: a batch that is dropped leaves numbers
 * behind the end of the journal, where nobody looks.
 */
#include "config.h"

#include "ledger_state.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/mem.h>

/*
 * How many the table has follows from how many entries there are, so a replay makes the same
 * table: STEP is part of the format. A tail is 128 KiB, a few microseconds to look through.
 */
enum { STEP = 32768 };

static uint32_t prefix_of(const uint8_t digest[KECCAK256_LEN])
{
	return (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3];
}

void digest_index_free(struct ledger *l)
{
	free(l->tail.prefix);
	l->tail = (struct digest_tail){ .from = 0 };
}

/* Forget what the table has by now, and only once that is committed. */
static void forget_indexed(struct ledger *l)
{
	struct digest_tail *t = &l->tail;
	uint64_t done = l->committed.indexed;

	if (done <= t->from)
		return;
	memmove(t->prefix, t->prefix + (done - t->from), (size_t)(l->end.tree.size - done) * sizeof(*t->prefix));
	t->from = done;
}

static void tail_set(struct digest_tail *t, uint64_t index, uint32_t prefix)
{
	size_t at = (size_t)(index - t->from);

	if (at >= t->cap) {
		t->cap = 2 * at + 64;
		t->prefix = mem_resize(t->prefix, t->cap, sizeof(*t->prefix));
	}
	t->prefix[at] = prefix;
}

void digest_index_add(struct ledger *l, const uint8_t digest[KECCAK256_LEN])
{
	forget_indexed(l);
	tail_set(&l->tail, l->end.tree.size, prefix_of(digest));
}

int digest_index_load(struct ledger *l)
{
	uint8_t digest[KECCAK256_LEN];
	sqlite3_stmt *row;
	uint64_t i;
	int r = store_row(l->store, &row, "SELECT size FROM indexed", "");

	if (r < 0)
		return r == ERR_NOT_FOUND ? store_damaged(l->store, "how many of its digests are indexed is missing") : r;
	i = store_u64(row, 0);
	store_end(row);
	if (i != l->end.tree.size / STEP * STEP)
		return store_damaged(l->store, "the number of its indexed digests does not fit that of its entries");
	digest_index_free(l);
	l->end.indexed = l->tail.from = i;
	r = store_row(l->store, &row, "SELECT digest FROM entry WHERE idx >= ? ORDER BY idx", "u", i);
	if (r == ERR_NOT_FOUND)
		return 0;
	for (r = r < 0 ? r : 1; r == 1; r = store_next(l->store, row)) {
		r = store_blob(l->store, row, 0, digest, sizeof(digest));
		if (r < 0) {
			store_end(row);
			return r;
		}
		tail_set(&l->tail, i++, prefix_of(digest));
	}
	return r;
}

/* -- to the table --------------------------------------------------------------------- */

struct pair {
	uint32_t prefix;
	uint32_t at;
};

static int pair_cmp(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Entries `from` to before `to`, in the order of the table. */
static int insert(struct ledger *l, uint64_t from, uint64_t to)
{
	const uint32_t *prefix = l->tail.prefix + (from - l->tail.from);
	size_t n = (size_t)(to - from);
	struct pair *pairs = mem_new_array(n, sizeof(*pairs));
	int r = 0;

	for (size_t i = 0; i < n; i++)
		pairs[i] = (struct pair){ .prefix = prefix[i], .at = (uint32_t)i };
	qsort(pairs, n, sizeof(*pairs), pair_cmp);
	for (size_t i = 0; i < n && r == 0; i++)
		r = store_run(l->store, "INSERT INTO digest VALUES(?, ?)", "uu", (uint64_t)pairs[i].prefix, from + pairs[i].at);
	free(pairs);
	return r;
}

int digest_index_seal(struct ledger *l)
{
	uint64_t from = l->end.indexed, to = l->end.tree.size / STEP * STEP;
	int r;

	if (to == from)
		return 0;
	r = insert(l, from, to);
	if (r == 0)
		r = store_run(l->store, "UPDATE indexed SET size = ?", "u", to);
	if (r == 0)
		l->end.indexed = to;
	return r;
}

/* -- looking -------------------------------------------------------------------------- */

static int is_digest(struct ledger *l, uint64_t index, const uint8_t digest[KECCAK256_LEN])
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT 1 FROM entry WHERE idx = ? AND digest = ?", "ub", index, digest, (size_t)KECCAK256_LEN);

	if (r == 0)
		store_end(row);
	return r;
}

static int find_in_tail(struct ledger *l, uint64_t *ret, const uint8_t digest[KECCAK256_LEN])
{
	const struct digest_tail *t = &l->tail;
	uint32_t prefix = prefix_of(digest);
	size_t n = (size_t)(l->end.tree.size - t->from);

	for (size_t i = 0; i < n; i++) {
		int r = t->prefix[i] == prefix ? is_digest(l, t->from + i, digest) : ERR_NOT_FOUND;

		if (r == 0)
			*ret = t->from + i;
		if (r != ERR_NOT_FOUND)
			return r;
	}
	return ERR_NOT_FOUND;
}

int digest_index_find(struct ledger *l, uint64_t *ret, const uint8_t digest[KECCAK256_LEN])
{
	sqlite3_stmt *row;
	int r = find_in_tail(l, ret, digest);

	if (r != ERR_NOT_FOUND)
		return r;
	r = store_row(l->store, &row, "SELECT entry.idx FROM digest JOIN entry ON entry.idx = digest.idx WHERE digest.prefix = ?"
		      " AND entry.digest = ?", "ub", (uint64_t)prefix_of(digest), digest, (size_t)KECCAK256_LEN);
	if (r == 0) {
		*ret = store_u64(row, 0);
		store_end(row);
	}
	return r;
}
