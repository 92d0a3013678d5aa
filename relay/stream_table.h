/*
 * Streams of one circuit by stream id, and what may still come for streams
 * that we have ended (tor-spec 6.3). Open addressing; grows and shrinks with
 * what it holds. Owned by an edge; holds pointers, owns no streams.
 */
#ifndef RELAY_STREAM_TABLE_H
#define RELAY_STREAM_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct stream;

enum slot_kind { SLOT_FREE, SLOT_STREAM, SLOT_HALF };

/* Cells that were allowed to be under way when our END went out. */
struct half_stream {
	uint16_t data;			/* DATA; HALF_ANY: until `until_ms` any number */
	uint16_t sendmes;
	uint64_t until_ms;
};

enum { HALF_ANY = UINT16_MAX, HALF_MAX = 512 };

struct stream_slot {
	uint16_t id;
	uint8_t kind;			/* enum slot_kind */
	union {
		struct stream *stream;
		struct half_stream half;
	};
};

struct stream_table {
	struct stream_slot *slots;
	uint32_t cap;			/* a power of two, or 0 */
	uint32_t used;
	uint32_t halves;
};

/* NULL when there is nothing of that id. Good until the table is changed. */
struct stream_slot *stream_table_find(struct stream_table *t, uint16_t id);

/* The id must not be in the table as a stream; a half-closed one makes room. */
void stream_table_add(struct stream_table *t, uint16_t id, struct stream *s);

/* Turn a stream's entry into a half-closed one. When there are too many, the old ones are forgotten. */
void stream_table_half(struct stream_table *t, uint16_t id, const struct half_stream *half);

void stream_table_remove(struct stream_table *t, uint16_t id);
void stream_table_clear(struct stream_table *t);

static inline size_t stream_table_bytes(const struct stream_table *t)
{
	return t->cap * sizeof(*t->slots);
}

#endif
