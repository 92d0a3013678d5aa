/* Between the two files of the measurement: measure.c writes, measure_read.c reads. */
#ifndef DAEMON_MEASURE_PRIV_H
#define DAEMON_MEASURE_PRIV_H

#include <stdint.h>

#include <sqlite3.h>

#include "measure.h"

enum measure_statement {
	ADD_CONSENSUS, GET_CONSENSUS, ADD_RELAY, GET_RELAY, SEE_RELAY, ADD_MICRODESC, GET_MICRODESC,
	SEE_MICRODESC, ADD_SAMPLE, PRUNE_SAMPLE, PRUNE_CONSENSUS, PRUNE_RELAY, PRUNE_MICRODESC,
	UNKNOWN_MICRODESCS, KNOW_MICRODESC, COUNT_UNKNOWN, READ_CONSENSUSES, READ_SAMPLES, READ_RELAY,
	READ_MICRODESC, READ_BEFORE, READ_VANISHED, NEWEST, STATUS,
	DROP_SAMPLE, DROP_CONSENSUS, DROP_DOCUMENT, ADD_DOCUMENT, GET_DOCUMENT, LIST_DOCUMENTS, PRUNE_DOCUMENT,
	MEASURE_STATEMENTS
};

struct measure {
	sqlite3 *db;
	sqlite3_stmt *statements[MEASURE_STATEMENTS];
};

/* Bind integers from the first parameter on. */
sqlite3_stmt *measure_bind(struct measure *m, enum measure_statement which, unsigned n, const int64_t *values);

/* Run a statement that gives no rows, and make it ready again. */
int measure_done(struct measure *m, sqlite3_stmt *s);

/* Make a statement ready again after its last step; ERR_IO when that failed. */
int measure_end(sqlite3_stmt *s, int step);

#endif
