/*
 * A journal on its way to the fold. Entries are given out one by one, in order, to the one thread that
 * folds; what needs no ledger (reading them, and recovering who signed, the largest cost of
 * a replay) was done before by a few threads, one for each other core. These exist
 * from the first entries to ahead_free(), have all signals blocked, and touch nothing but the
 * items of a bounded window and the genesis. On one core, for a few entries, or where
 * no thread can be made, the same is done by the caller's thread.
 *
 * A source gives the items, as lines of an export that are still to be taken apart, or as entries.
 * Whatever is wrong with one comes out with it, in its turn.
 */
#ifndef LEDGER_AHEAD_H
#define LEDGER_AHEAD_H

#include <stdio.h>

#include "ledger_state.h"

struct ahead;

struct ahead_item {
	uint64_t number;		/* the source's own */
	char *text;			/* a line, malloc()ed; NULL: `line` is filled in */
	size_t len;
	bool skip;			/* not expected to be folded: its signatures are left alone */
	int r;				/* why there is no `line`: the source's reason, or journal_line_read()'s */
	struct journal_line line;

	struct entry entry;		/* ask ahead_entry() */
	bool has_entry, done;
	size_t cost;
};

/* Fill in the next item, which is all zeros. False: there is none. Only ahead_next() calls it. */
typedef bool ahead_source_fn(void *ctx, struct ahead_item *ret);

/* How far ahead, and with how many threads. Longer items than `bytes` come alone. */
struct ahead_limits {
	unsigned threads;		/* beside the caller's */
	size_t items, bytes;
};

/* Those of this machine. */
struct ahead_limits ahead_limits(void);

/* The genesis, the source and its `ctx` are borrowed. `limits`: NULL for those of this machine. */
struct ahead *ahead_new(const struct genesis *g, ahead_source_fn *source, void *ctx, const struct ahead_limits *limits);

/* End the threads, and free what was not given out. */
void ahead_free(struct ahead *a);

/* The next item; NULL at the end. It stands until the next call. */
struct ahead_item *ahead_next(struct ahead *a);

/* What its `line.entry` is, for fold_entry(). */
const struct entry *ahead_entry(const struct ahead *a, struct ahead_item *item);

/* Lines of an export as a source. */
struct ahead_lines {
	FILE *in;
	uint64_t bytes;			/* no line is begun behind so many */
	uint64_t had;			/* this many entries need not be folded */
	uint64_t lines, entries;	/* given so far */
};

ahead_source_fn ahead_line;		/* `ctx` is a struct ahead_lines */

#endif
