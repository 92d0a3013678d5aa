/*
 * Circuit ids of one link to the circuit ends they name. Open addressing with
 * a multiplier drawn per table, so that a peer cannot choose ids that collide.
 * Owned by a link.
 */
#ifndef RELAY_CIRC_TABLE_H
#define RELAY_CIRC_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct circuit_end;

struct circ_slot {
	uint32_t circ_id;
	struct circuit_end *end;	/* NULL: free */
};

struct circ_table {
	struct circ_slot *slots;
	uint32_t cap;			/* a power of two, or 0 */
	uint32_t used;
	uint32_t shift;			/* 64 - log2(cap) */
	uint32_t scan;			/* where circ_table_any() was */
	uint64_t mult;
};

void circ_table_init(struct circ_table *t);
void circ_table_clear(struct circ_table *t);

/* NULL when the id is not in use. */
static inline struct circuit_end *circ_table_find(const struct circ_table *t, uint32_t circ_id)
{
	uint32_t mask = t->cap - 1;

	if (!t->cap)
		return NULL;
	for (uint32_t i = (uint32_t)((circ_id * t->mult) >> t->shift);; i++) {
		const struct circ_slot *s = &t->slots[i & mask];

		if (!s->end || s->circ_id == circ_id)
			return s->end;
	}
}

/* The id must not be in use. */
void circ_table_add(struct circ_table *t, uint32_t circ_id, struct circuit_end *end);
void circ_table_remove(struct circ_table *t, uint32_t circ_id);

/* Any end of the table, or NULL when it is empty (to close them one by one). */
struct circuit_end *circ_table_any(struct circ_table *t);

#endif
