/*
 * The tables of a ledger, as numbered migrations. A change appends a row and
 * never edits an old one. Tables that follow from the journal have a primary
 * key and no rowid of their own, so that two databases can be compared row by row.
 */
#ifndef LEDGER_SCHEMA_H
#define LEDGER_SCHEMA_H

#include "store.h"

/*
 * Bring a database that was opened for writing to this program's version, in one
 * transaction. ERR_UNSUPPORTED: it is of a newer version; ERR_MISMATCH: not a ledger.
 */
int schema_migrate(struct store *s, char why[STORE_WHY_CAP]);

/* Only look: ERR_STATE when it is of an older version, else as above. */
int schema_check(struct store *s, char why[STORE_WHY_CAP]);

/* The tables that a replay must arrive at, ended by NULL. The journal's own are not among them. */
extern const char *const schema_folded[];

#endif
