/*
 * A SQLite database with its prepared statements. Its owner is a ledger. Every
 * call that fails leaves a sentence, store_error(), and returns ERR_IO; ERR_BUSY, when
 * somebody else holds the lock; ERR_PERMISSION, when nothing may be written.
 */
#ifndef LEDGER_STORE_H
#define LEDGER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include <nonos/amount.h>

struct store;

/*
 * SQL with its values. `sql` is a string literal: its statement is kept by its
 * address. `fmt` has a letter per value: 'i' int64_t, 'u' uint64_t (ERR_RANGE above
 * INT64_MAX), 'a' struct amount, 'b' const void * and size_t, 't' const char *, 'n' NULL.
 * Blobs and texts are borrowed until the statement ends.
 */

/* Run a statement without rows. */
int store_run(struct store *s, const char *sql, const char *fmt, ...);

/*
 * Give the first row, to be read with store_u64() and its like and ended with
 * store_end(); ERR_NOT_FOUND (and nothing to end) when there is none. store_next() steps
 * on: 1 for a row, 0 at the end (then ended), negative on failure (then ended).
 */
int store_row(struct store *s, sqlite3_stmt **ret, const char *sql, const char *fmt, ...);
int store_next(struct store *s, sqlite3_stmt *row);
void store_end(sqlite3_stmt *row);

uint64_t store_u64(sqlite3_stmt *row, int column);
struct amount store_amount(sqlite3_stmt *row, int column);

/* ERR_IO, "damaged", unless the column is a blob of `len` bytes. */
int store_blob(struct store *s, sqlite3_stmt *row, int column, void *ret, size_t len);

/* Rows that the last store_run() changed. */
int store_changes(const struct store *s);

const char *store_error(const struct store *s);

/* Say what is wrong with the contents; returns ERR_IO. */
int store_damaged(struct store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
