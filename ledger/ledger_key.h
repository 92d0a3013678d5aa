/* The key of a journal's writer: a file of the seed's 64 hexadecimal digits, which nobody else may read. */
#ifndef LEDGER_LEDGER_KEY_H
#define LEDGER_LEDGER_KEY_H

#include <nonos/ledger.h>
#include <nonos/note.h>
#include <nonos/secret.h>

/* Load the key of `log`, expanded; ERR_MISMATCH when it is another one. `why` gets the sentence. */
int ledger_key_load(struct secret **ret, const struct note_key *log, const char *path, char why[LEDGER_WHY_CAP]);

#endif
