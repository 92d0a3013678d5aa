/* Streams by id; see stream_table.h. Linear probing, deletion by moving entries back. */
#include "config.h"

#include "stream_table.h"

#include <stdbool.h>
#include <stdlib.h>

#include <nonos/mem.h>

enum { CAP_MIN = 8 };

static uint32_t home_of(const struct stream_table *t, uint16_t id)
{
	return (id * 0x9e3779b1u >> 12) & (t->cap - 1);
}

static struct stream_slot *probe(struct stream_table *t, uint16_t id)
{
	uint32_t i = home_of(t, id);

	while (t->slots[i].kind != SLOT_FREE && t->slots[i].id != id)
		i = (i + 1) & (t->cap - 1);
	return &t->slots[i];
}

struct stream_slot *stream_table_find(struct stream_table *t, uint16_t id)
{
	struct stream_slot *s;

	if (t->cap == 0)
		return NULL;
	s = probe(t, id);
	return s->kind == SLOT_FREE ? NULL : s;
}

/* Move to `cap` slots; without the half-closed ones when `forget`. */
static void rebuild(struct stream_table *t, uint32_t cap, bool forget)
{
	struct stream_table bigger = { .cap = cap, .slots = mem_new_array(cap, sizeof(*bigger.slots)) };

	for (uint32_t i = 0; i < t->cap; i++) {
		const struct stream_slot *s = &t->slots[i];

		if (s->kind == SLOT_FREE || (forget && s->kind == SLOT_HALF))
			continue;
		*probe(&bigger, s->id) = *s;
		bigger.used++;
		bigger.halves += s->kind == SLOT_HALF;
	}
	free(t->slots);
	*t = bigger;
}

void stream_table_add(struct stream_table *t, uint16_t id, struct stream *s)
{
	struct stream_slot *slot;

	if ((t->used + 1) * 4 > t->cap * 3)
		rebuild(t, t->cap ? 2 * t->cap : CAP_MIN, false);
	slot = probe(t, id);
	if (slot->kind == SLOT_FREE)
		t->used++;
	else if (slot->kind == SLOT_HALF)
		t->halves--;
	*slot = (struct stream_slot){ .id = id, .kind = SLOT_STREAM, .stream = s };
}

void stream_table_half(struct stream_table *t, uint16_t id, const struct half_stream *half)
{
	struct stream_slot *slot = stream_table_find(t, id);

	if (!slot || slot->kind != SLOT_STREAM)
		return;
	slot->kind = SLOT_HALF;
	slot->half = *half;
	t->halves++;
	/* Forgotten ones lose nothing but the check: late cells for them are dropped unseen. */
	if (t->halves > HALF_MAX)
		rebuild(t, t->cap, true);
}

void stream_table_remove(struct stream_table *t, uint16_t id)
{
	struct stream_slot *slot = stream_table_find(t, id);
	uint32_t hole, i;

	if (!slot)
		return;
	t->halves -= slot->kind == SLOT_HALF;
	t->used--;
	hole = (uint32_t)(slot - t->slots);
	for (i = (hole + 1) & (t->cap - 1); t->slots[i].kind != SLOT_FREE; i = (i + 1) & (t->cap - 1)) {
		uint32_t home = home_of(t, t->slots[i].id);

		/* An entry may fill the hole unless its home lies between the hole and itself. */
		if (((i - home) & (t->cap - 1)) < ((i - hole) & (t->cap - 1)))
			continue;
		t->slots[hole] = t->slots[i];
		hole = i;
	}
	t->slots[hole].kind = SLOT_FREE;
	if (t->used == 0)
		stream_table_clear(t);
}

void stream_table_clear(struct stream_table *t)
{
	free(t->slots);
	*t = (struct stream_table){ 0 };
}
