#include "config.h"

#include "circ_table.h"

#include <stdlib.h>

#include <nonos/mem.h>
#include <nonos/rand.h>

enum { CAP_MIN = 8 };

void circ_table_init(struct circ_table *t)
{
	*t = (struct circ_table){ 0 };
	rand_fast(&t->mult, sizeof(t->mult));
	t->mult |= 1;
}

void circ_table_clear(struct circ_table *t)
{
	free(t->slots);
	t->slots = NULL;
	t->cap = t->used = 0;
}

static uint32_t home(const struct circ_table *t, uint32_t circ_id)
{
	return (uint32_t)((circ_id * t->mult) >> t->shift);
}

static void put(struct circ_table *t, uint32_t circ_id, struct circuit_end *end)
{
	uint32_t i = home(t, circ_id), mask = t->cap - 1;

	while (t->slots[i & mask].end)
		i++;
	t->slots[i & mask] = (struct circ_slot){ circ_id, end };
}

static void resize(struct circ_table *t, uint32_t cap)
{
	struct circ_slot *old = t->slots;
	uint32_t old_cap = t->cap;

	t->slots = mem_new_array(cap, sizeof(*t->slots));
	t->cap = cap;
	t->shift = 64 - (uint32_t)__builtin_ctz(cap);
	for (uint32_t i = 0; i < old_cap; i++)
		if (old[i].end)
			put(t, old[i].circ_id, old[i].end);
	free(old);
}

void circ_table_add(struct circ_table *t, uint32_t circ_id, struct circuit_end *end)
{
	/* Full at three quarters: probes stay short. */
	if (t->cap == 0)
		resize(t, CAP_MIN);
	else if (t->used >= t->cap / 4 * 3)
		resize(t, t->cap * 2);
	put(t, circ_id, end);
	t->used++;
}

void circ_table_remove(struct circ_table *t, uint32_t circ_id)
{
	uint32_t mask = t->cap - 1, hole, i;

	if (!t->cap)
		return;
	for (hole = home(t, circ_id) & mask; t->slots[hole].circ_id != circ_id || !t->slots[hole].end;
	     hole = (hole + 1) & mask)
		if (!t->slots[hole].end)
			return;
	/* Close the gap: move back what the hole would cut off from its home. */
	for (i = (hole + 1) & mask; t->slots[i].end; i = (i + 1) & mask) {
		uint32_t want = home(t, t->slots[i].circ_id) & mask;

		if (((i - want) & mask) >= ((i - hole) & mask)) {
			t->slots[hole] = t->slots[i];
			hole = i;
		}
	}
	t->slots[hole].end = NULL;
	t->used--;
	if (t->cap > CAP_MIN && t->used < t->cap / 8)
		resize(t, t->cap / 2);
}

struct circuit_end *circ_table_any(struct circ_table *t)
{
	/* Emptying a table goes on where it was, or it would be quadratic. */
	for (uint32_t n = 0; n < t->cap; n++, t->scan++)
		if (t->slots[t->scan & (t->cap - 1)].end)
			return t->slots[t->scan & (t->cap - 1)].end;
	return NULL;
}
