/*
 * A relay and a circuit for tests of edges: circuit_send() records what an edge sends, the
 * resolver answers from a table or when told to, and directory answers are made up. Defining
 * these keeps the real ones out of the link.
 */
#ifndef TESTS_EDGE_FAKES_H
#define TESTS_EDGE_FAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../relay/circuit.h"
#include "../../relay/edge.h"
#include "../../relay/relay_priv.h"
#include "../../relay/relay_msg.h"

struct sent {
	uint8_t cmd;
	uint16_t stream_id;
	uint16_t len;
	uint8_t data[RELAY_DATA_MAX];
	uint8_t digest[20];
};

struct fakes {
	struct relay relay;
	struct circuit circuit;
	struct edge *edge;
	struct sent *sent;		/* a list of all, oldest first */
	size_t n_sent, cap_sent;
	size_t fail_after;		/* circuit_send() closes the circuit after so many; 0: never */
	uint64_t digests;		/* each cell's digest is its number */
	bool keep;			/* record; the fuzzers only count */

	/* Resolver: hold answers back until fake_answer(). */
	bool hold;
	size_t n_queries, n_cancelled;

	/* Directory: the answer is this long, in pieces of `dir_piece`. */
	size_t dir_len, dir_piece;
	size_t dir_live;		/* replies not freed */
};

extern struct fakes fakes;

/* Begin with this policy, which allows private addresses, and this congestion control. */
void fakes_start(const char *policy, uint8_t sendme_inc);
void fakes_stop(void);
void fakes_forget(void);	/* what was sent so far */

/* Give the edge a message; `digest` is made of the number of the call. */
int fake_message(uint8_t cmd, uint16_t stream_id, const void *data, size_t len);

/* Answer every held query for names: "four", "six", "both", "private", "public"; others do not exist. */
void fake_answer(void);

/* After fakes_stop(): every query must have been cancelled or answered. */
void fakes_drop_held(void);

/* What a DIR reply carries at this offset. */
uint8_t fake_dir_byte(size_t offset);

#endif
