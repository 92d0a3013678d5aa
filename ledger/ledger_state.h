/* What a ledger is made of; shared by the files that are the ledger itself. */
#ifndef LEDGER_LEDGER_STATE_H
#define LEDGER_LEDGER_STATE_H

#include <nonos/merkle_log.h>
#include <nonos/note.h>
#include <nonos/secret.h>

#include "ledger_priv.h"

struct journal_copy;

/* The end of the journal. */
struct journal_end {
	struct merkle_frontier tree;
	uint64_t time;
	uint64_t indexed;		/* so many entries are in the table of digests */
};

/* By what the latest entries are found: the first bytes of their digests. See digest_index.c. */
struct digest_tail {
	uint32_t *prefix;		/* of entry `from` and those behind it */
	uint64_t from;
	size_t cap;
};

/* What the time is judged by; see ledger_watch_clock(). */
struct clock_guard {
	bool on;
	uint32_t ahead_s;
	uint64_t wall_s, mono_s;	/* it was this on the two clocks */
};

/* The entry that is being applied. */
struct fold_now {
	uint64_t time, height, seq;	/* seq counts postings */
	const char *why;		/* of the postings */
	struct ledger_refusal *refusal;	/* where a refusal is written */
};

struct ledger {
	struct store *store;
	struct genesis *genesis;
	char *path;
	int lock_fd;			/* -1: not the one that writes */
	struct note_key log;		/* who signs checkpoints */
	struct secret *key;		/* with what; NULL for followers and readers */
	struct journal_copy *copy;	/* NULL for readers, replays and memory */
	struct journal_end end, committed;	/* with the open batch, and without */
	struct digest_tail tail;
	bool batch;			/* a transaction is open */
	bool lost;			/* the batch failed, and ledger_commit() has not said so yet */
	bool replay;			/* bodies of entries are not stored */
	struct clock_guard clock;
	struct fold_now fold;
	bool due_known;			/* next_due is so, and not only perhaps */
	uint64_t next_due;		/* when the first stake is paid back; UINT64_MAX: none */
	char error[LEDGER_WHY_CAP];
};

/* -- fold_object.c -------------------------------------------------------------- */

/* Take an object apart. ERR_REFUSED with *refusal. Free it, also its zeros. */
int object_read(struct object *ret, struct ledger_refusal *refusal, const struct genesis *g, const json_t *doc);
void object_free(struct object *o);

/*
 * Work out now what the fold will ask of it as the entry of `time`: who signed, and the entry's bytes. Any thread may, with
 * an object of its own.
 */
void object_look(struct object *o, uint64_t time);

/* An entry taken apart, or why it cannot be. */
struct entry {
	const char *text;		/* borrowed */
	size_t len;
	uint64_t time;
	struct object object;
	struct ledger_refusal *refusal;	/* NULL: none */
};

/* Take the bytes of an entry apart. Needs no ledger; in any thread. Free it. */
void entry_read(struct entry *ret, const struct genesis *g, const char *text, size_t len, const char *evidence,
		size_t evidence_len);
void entry_free(struct entry *e);

/* The canonical bytes of the entry of an object, malloc()ed. */
int object_entry(char **ret, size_t *ret_len, const struct object *o, uint64_t time);

int refuse(struct ledger_refusal *refusal, enum refusal code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* -- fold.c --------------------------------------------------------------------- */

const struct fold_type *fold_find(const char *type);

/*
 * Apply an object as the next entry. `expect`, if not NULL, is what the entry's bytes must be. On ERR_REFUSED
 * nothing has changed; after another error the batch is to be dropped.
 */
int fold_object(struct ledger *l, struct ledger_receipt *ret, struct ledger_refusal *refusal, const struct object *o,
		uint64_t time, const char *expect, size_t expect_len);

/* Apply an entry that was read. Errors as above. */
int fold_entry(struct ledger *l, struct ledger_receipt *ret, struct ledger_refusal *refusal, const struct entry *e);

/* -- account.c ------------------------------------------------------------------- */

int account_genesis(struct ledger *l);
int account_check(struct ledger *l);

/* -- fold_burn.c ------------------------------------------------------------------- */

enum burn_flow { BURN_ISSUED, BURN_BURNT, BURN_SPENT };

int burn_genesis(struct ledger *l);
int burn_note(struct ledger *l, enum burn_flow flow, struct amount amount);

/* Move the rate when the entry is the first of an epoch. */
int burn_due(struct ledger *l);

/* The rate now. */
int burn_rate(struct ledger *l, uint32_t *ret_ppm);

/* -- stake.c --------------------------------------------------------------------- */

/* Pay back what has become due. */
int stake_due(struct ledger *l);

/* -- journal.c ------------------------------------------------------------------- */

/* Read the end, and check it against the head and its checkpoint. */
int journal_load(struct ledger *l);

/* Append an entry; *ret is filled in. */
int journal_add(struct ledger *l, struct ledger_receipt *ret, const struct object *o, uint64_t time, const char *entry,
		size_t entry_len);

/* Move the head to the end, with the checkpoint `note`. */
int journal_seal(struct ledger *l, const char *note);

/* Sign a checkpoint of the end. The caller's. */
char *journal_sign(struct ledger *l);
void journal_root(const struct ledger *l, struct merkle_hash *ret);

/* The root of the first `size` entries. */
int journal_root_at(struct ledger *l, struct merkle_hash *ret, uint64_t size);

/* -- digest_index.c --------------------------------------------------------------- */

/* Read what the table lacks. The end of the journal is known. */
int digest_index_load(struct ledger *l);
void digest_index_free(struct ledger *l);

/* The entry at the end of the journal is about to be one of this digest. */
void digest_index_add(struct ledger *l, const uint8_t digest[KECCAK256_LEN]);

/* The batch ends: now and then what was added moves to the table. */
int digest_index_seal(struct ledger *l);

/* The entry with that digest. ERR_NOT_FOUND. */
int digest_index_find(struct ledger *l, uint64_t *ret, const uint8_t digest[KECCAK256_LEN]);

/* -- journal_copy.c ---------------------------------------------------------------- */

/* What follows goes to the file beside the database. */
int copy_open(struct ledger *l, char why[LEDGER_WHY_CAP]);
void copy_close(struct journal_copy *c);
int copy_entry(struct ledger *l, const char *entry, size_t entry_len, const char *evidence, size_t evidence_len);

/* Write what was added, and the end of a batch. copy_drop() takes back what copy_keep() did not confirm. */
int copy_seal(struct ledger *l, const char *note);
int copy_drop(struct ledger *l);

/* The database has committed. */
void copy_keep(struct ledger *l);

/* Compare the file, if there is one, with the entries of the database. ERR_MISMATCH: *ret_index is not the same. */
int copy_compare(struct ledger *l, uint64_t *ret_index);

/* -- journal_lines.c ----------------------------------------------------------------- */

/* A line of the stream, taken apart. Texts are malloc()ed. */
struct journal_line {
	char *genesis, *entry, *evidence, *note;	/* one of the first two, or note */
	size_t genesis_len, entry_len, evidence_len, note_len;
};

/* As getline(), of lines that an export may have; *ret_len is 0 at the end. ERR_TOO_LONG. */
int journal_line_next(char **text, size_t *cap, size_t *ret_len, FILE *in);

int journal_line_read(struct journal_line *ret, const char *text, size_t len);
void journal_line_free(struct journal_line *j);

/* Write it, with its line end; malloc()ed. */
char *journal_line_entry(size_t *ret_len, const char *entry, size_t entry_len, const char *evidence, size_t evidence_len);
char *journal_line_genesis(size_t *ret_len, const struct genesis *g);
char *journal_line_note(size_t *ret_len, const char *note);

/* -- ledger_clock.c -------------------------------------------------------------------- */

/* Give the time of an entry of now; ERR_REFUSED when the clock is not believed. */
int clock_entry_time(struct ledger *l, uint64_t *ret, struct ledger_refusal *refusal);

/* -- ledger.c -------------------------------------------------------------------------- */

/* An empty ledger in a temporary database, for a replay. */
int ledger_open_replay(struct ledger **ret, const struct genesis *g, char why[LEDGER_WHY_CAP]);

/* Open a transaction unless one is open. */
int ledger_batch(struct ledger *l);

/* ledger_append() of an entry that was read. */
int ledger_append_entry(struct ledger *l, struct ledger_refusal *ret_refusal, const struct entry *e);

/* Note why something failed; returns `code`. */
int ledger_fail(struct ledger *l, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
