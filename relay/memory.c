/* Measuring and relieving; see memory.h. Owned by the relay. */
#include "config.h"

#include "memory.h"

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <nonos/log.h>
#include <nonos/mem.h>

#include "circuit.h"
#include "edge.h"
#include "link.h"
#include "link_io.h"
#include "relay_priv.h"

enum {
	QUEUES_SHARE_PCT = 75,	/* of the limit: cells alone may hold this much between two ticks */
	RELIEF_PCT = 10,	/* of the limit: how far below it relief goes */
	LINK_COST = 32 * 1024,	/* about what an open TLS connection takes */
};

struct memory {
	int statm_fd;		/* open from the start: a confined worker opens no files */
	size_t process_bytes;
	size_t page_len;
};

struct memory *memory_new(void)
{
	struct memory *m = mem_new(sizeof(*m));

	m->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	m->page_len = (size_t)sysconf(_SC_PAGESIZE);
	return m;
}

void memory_free(struct memory *m)
{
	if (!m)
		return;
	if (m->statm_fd >= 0)
		close(m->statm_fd);
	free(m);
}

size_t memory_process_bytes(const struct memory *m)
{
	return m->process_bytes;
}

static void measure(struct memory *m)
{
	char text[128];
	size_t total, resident;
	ssize_t n = m->statm_fd < 0 ? -1 : pread(m->statm_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return;
	text[n] = '\0';
	if (sscanf(text, "%zu %zu", &total, &resident) == 2)
		m->process_bytes = resident * m->page_len;
}

static size_t circuit_bytes(const struct circuit *c)
{
	size_t cells = c->end[SIDE_PREV].queue.count + c->end[SIDE_NEXT].queue.count;

	return cells * sizeof(struct pool_cell) + (c->edge ? edge_bytes(c->edge) : 0);
}

size_t relay_queued_bytes(const struct relay *r)
{
	size_t sum = pool_used_bytes(r->pool);

	for (const struct circuit *c = r->circuits; c; c = c->all_next)
		sum += c->edge ? edge_bytes(c->edge) : 0;
	for (const struct link *l = NULL; (l = link_next(r, l));)
		sum += link_io_pending(l);
	return sum;
}

struct consumer {
	struct circuit *circuit;
	size_t bytes;
};

static int by_bytes(const void *a, const void *b)
{
	size_t x = ((const struct consumer *)a)->bytes, y = ((const struct consumer *)b)->bytes;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Close circuits, those that hold most first, until `wanted` bytes are given back. */
static size_t close_circuits(struct relay *r, size_t wanted)
{
	struct consumer *list = mem_new_array(r->counters.circuits + 1, sizeof(*list));
	size_t n = 0, freed = 0, closed = 0;

	for (struct circuit *c = r->circuits; c; c = c->all_next) {
		size_t bytes = circuit_bytes(c);

		if (bytes)
			list[n++] = (struct consumer){ c, bytes };
	}
	qsort(list, n, sizeof(*list), by_bytes);
	for (size_t i = 0; i < n && freed < wanted; i++, closed++) {
		freed += list[i].bytes;
		circuit_close(list[i].circuit, DESTROY_RESOURCELIMIT);
	}
	free(list);
	r->counters.circuits_killed_memory += closed;
	return freed;
}

/* Close links that carry nothing. Those that have not finished their handshake go first. */
static size_t close_links(struct relay *r, size_t wanted)
{
	size_t freed = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (struct link *l = NULL; freed < wanted && (l = link_next(r, l));) {
			bool open = l->state == LINK_OPEN;

			if (l->state == LINK_CLOSED || open != (pass == 1) || l->circs.used || l->waiting)
				continue;
			link_close(l, "memory is short");
			freed += LINK_COST;
		}
	}
	return freed;
}

static void relieve(struct relay *r, size_t wanted)
{
	size_t freed = close_circuits(r, wanted);

	if (freed < wanted)
		freed += close_links(r, wanted - freed);
	log_limited(LOG_LEVEL_WARN, "Memory is short: closed the biggest consumers. Raise max_memory if this goes on. "
		    "wanted=%zu freed=%zu", wanted, freed);
}

void relay_relieve_memory(struct relay *r)
{
	uint64_t limit = r->config.limits.max_memory;

	if (limit && pool_used_bytes(r->pool) > limit / 100 * QUEUES_SHARE_PCT)
		relieve(r, (size_t)(limit / 100 * RELIEF_PCT));
}

void memory_tick(struct relay *r)
{
	uint64_t limit = r->config.limits.max_memory;

	measure(r->memory);
	if (!limit || r->memory->process_bytes <= limit)
		return;
	/* What is free already, but held by the allocator, goes first and may be enough. */
	pool_trim(r->pool);
	malloc_trim(0);
	measure(r->memory);
	if (r->memory->process_bytes > limit)
		relieve(r, r->memory->process_bytes - (size_t)(limit / 100 * (100 - RELIEF_PCT)));
}
