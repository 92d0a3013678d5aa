/* Slabs of cells; see pool.h. */
#include "config.h"

#include "pool.h"

#include <stdlib.h>

#include <nonos/mem.h>

enum {
	SLAB_CELLS = 120,	/* about 64 KiB */
	WARM_CELLS = 256,	/* last given back, first handed out: still in the processor's cache */
};

/* A slab's free cells are chained through `next`; partly free slabs are in the pool's list. */
struct slab {
	struct slab *next, *prev;
	struct pool_cell *free;
	unsigned used;
	struct {
		struct slab *owner;
		struct pool_cell cell;
	} blocks[SLAB_CELLS];
};

struct pool {
	struct slab *open;		/* slabs with free cells */
	struct pool_cell *warm[WARM_CELLS];	/* a stack; used in the eyes of their slabs */
	size_t n_warm;
	size_t slabs, used;
};

static struct slab **owner_of(struct pool_cell *c)
{
	return (struct slab **)((char *)c - offsetof(struct slab, blocks[0].cell) +
				offsetof(struct slab, blocks[0].owner));
}

struct pool *pool_new(void)
{
	return mem_new(sizeof(struct pool));
}

static void slab_unlink(struct pool *p, struct slab *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		p->open = s->next;
	if (s->next)
		s->next->prev = s->prev;
	s->next = s->prev = NULL;
}

static void slab_push(struct pool *p, struct slab *s)
{
	s->prev = NULL;
	s->next = p->open;
	if (p->open)
		p->open->prev = s;
	p->open = s;
}

static void slab_add(struct pool *p)
{
	struct slab *s = mem_new(sizeof(*s));

	for (int i = SLAB_CELLS - 1; i >= 0; i--) {
		s->blocks[i].owner = s;
		s->blocks[i].cell.next = s->free;
		s->free = &s->blocks[i].cell;
	}
	slab_push(p, s);
	p->slabs++;
}

static struct pool_cell *slab_get(struct pool *p)
{
	struct pool_cell *c;
	struct slab *s;

	if (!p->open)
		slab_add(p);
	s = p->open;
	c = s->free;
	s->free = c->next;
	s->used++;
	if (!s->free)
		slab_unlink(p, s);
	return c;
}

static void slab_put(struct pool *p, struct pool_cell *c)
{
	struct slab *s = *owner_of(c);

	if (!s->free)
		slab_push(p, s);
	c->next = s->free;
	s->free = c;
	s->used--;
}

struct pool_cell *pool_get(struct pool *p)
{
	p->used++;
	return p->n_warm ? p->warm[--p->n_warm] : slab_get(p);
}

void pool_put(struct pool *p, struct pool_cell *c)
{
	p->used--;
	if (p->n_warm < WARM_CELLS)
		p->warm[p->n_warm++] = c;
	else
		slab_put(p, c);
}

void pool_trim(struct pool *p)
{
	size_t kept = 0;

	while (p->n_warm)
		slab_put(p, p->warm[--p->n_warm]);
	for (struct slab *s = p->open, *next; s; s = next) {
		next = s->next;
		if (s->used || kept++ == 0)
			continue;
		slab_unlink(p, s);
		free(s);
		p->slabs--;
	}
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	while (p->n_warm)
		slab_put(p, p->warm[--p->n_warm]);
	while (p->open) {
		struct slab *s = p->open;

		slab_unlink(p, s);
		free(s);
	}
	free(p);
}

size_t pool_used_bytes(const struct pool *p)
{
	return p->used * sizeof(struct pool_cell);
}

size_t pool_held_bytes(const struct pool *p)
{
	return p->slabs * sizeof(struct slab);
}

void cell_queue_clear(struct cell_queue *q, struct pool *p)
{
	struct pool_cell *c;

	while ((c = cell_queue_pop(q)))
		pool_put(p, c);
}
