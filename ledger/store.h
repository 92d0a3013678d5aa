/*
 * A SQLite database with its prepared statements. Its owner is a ledger. Every
 * call that fails leaves a sentence, store_error(), and returns ERR_IO; ERR_BUSY when
 * somebody else holds the lock; ERR_PERMISSION when nothing may be written.
 */
#ifndef LEDGER_STORE_H
#define LEDGER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include <nonos/amount.h>

struct store;

enum store_mode {
	STORE_READ,		/* from a read-only disk too */
	STORE_WRITE,
	STORE_CREATE,
	STORE_TEMPORARY,	/* private, in memory as long as it is small, gone with its owner */
};

enum { STORE_WHY_CAP = 512 };

/* Open, and set up durability. ERR_NOT_FOUND when there is no such file. `why` gets the sentence. */
int store_open(struct store **ret, const char *path, enum store_mode mode, char why[STORE_WHY_CAP]);
void store_free(struct store *s);

/* Run SQL without values: migrations. */
int store_exec(struct store *s, const char *sql);

/*
 * Transactions. A failed commit is rolled back. store_rollback() never fails, and may be
 * called when nothing is open.
 */
int store_begin(struct store *s);
int store_commit(struct store *s);
void store_rollback(struct store *s);

/* A read transaction: what is seen from now on stays as it is. */
int store_snapshot(struct store *s);

/* One savepoint inside a transaction. Undo ends it as well. */
int store_mark(struct store *s);
int store_keep(struct store *s);
int store_undo(struct store *s);

/*
 * SQL with its values. `sql` is a string literal: its statement is kept by its
 * address. `fmt` has a letter per value: 'i' int64_t, 'u' uint64_t (ERR_RANGE above
 * INT64_MAX), 'a' struct amount, 'b' const void * and size_t, 't' const char *, 'n' NULL
 * (no value). Blobs and texts are borrowed until the statement ends.
 */

/* Run a statement without rows. */
int store_run(struct store *s, const char *sql, const char *fmt, ...);

/*
 * Give the first row, to be read with store_u64() and its like and ended with
 * store_end(); ERR_NOT_FOUND (and nothing to end) when there is none. store_next() steps
 * on: 1 for a row, 0 at the end (then ended), negative on failure (then ended).
 * A statement must have ended before the same literal is used again.
 */
int store_row(struct store *s, sqlite3_stmt **ret, const char *sql, const char *fmt, ...);
int store_next(struct store *s, sqlite3_stmt *row);
void store_end(sqlite3_stmt *row);

/* Statements that are made up at run time: not kept, ended by store_drop(). */
int store_prepare(struct store *s, sqlite3_stmt **ret, const char *sql);
void store_drop(sqlite3_stmt *row);

/* How many rows were changed since it was opened. */
int64_t store_changes(const struct store *s);

/* Columns. What is not of the right type or length reads as zero, or is ERR_IO, "damaged". */
uint64_t store_u64(sqlite3_stmt *row, int column);
struct amount store_amount(sqlite3_stmt *row, int column);
int store_blob(struct store *s, sqlite3_stmt *row, int column, void *ret, size_t len);

/* A blob or text of any length, malloc()ed, with a NUL behind it. */
char *store_bytes(sqlite3_stmt *row, int column, size_t *ret_len);

const char *store_error(const struct store *s);

/* Say what is wrong with the contents; returns ERR_IO. */
int store_damaged(struct store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
