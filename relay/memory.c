/* Measuring and relieving; see memory.h. Owned by the relay. */
#include "config.h"

#include "memory.h"

#include <fcntl.h>
#include <malloc.h>
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
	CIRCUIT_COST = 2048,	/* and a circuit with its ciphers */
	QUEUE_LONG = 32 * 1024,
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

void relay_held_bytes(const struct relay *r, struct relay_counters *ret)
{
	ret->cell_bytes = pool_used_bytes(r->pool);
	ret->stream_bytes = ret->unsent_bytes = 0;
	for (const struct circuit *c = r->circuits; c; c = c->all_next)
		ret->stream_bytes += c->edge ? edge_bytes(c->edge) : 0;
	for (const struct link *l = NULL; (l = link_next(r, l));)
		ret->unsent_bytes += link_io_pending(l);
}

/* Cells and ciphertext of the link itself. */
static size_t link_bytes(const struct link *l)
{
	return l->control.count * sizeof(struct pool_cell) + link_io_pending(l);
}

/* A circuit, or a link when that is NULL. */
struct consumer {
	struct circuit *circuit;
	struct link *link;
	size_t of_link;		/* what its link holds in all, when that counts */
	size_t bytes;
};

static int by_bytes(const void *a, const void *b)
{
	const struct consumer *x = a, *y = b;

	if (x->of_link != y->of_link)
		return x->of_link < y->of_link ? 1 : -1;
	return x->bytes < y->bytes ? 1 : x->bytes > y->bytes ? -1 : 0;
}

/* Close from the first on until `wanted` bytes are given back. */
static size_t close_consumers(struct relay *r, struct consumer *list, size_t n, size_t wanted)
{
	size_t freed = 0;

	qsort(list, n, sizeof(*list), by_bytes);
	for (size_t i = 0; i < n && freed < wanted; i++) {
		freed += list[i].bytes;
		r->counters.refusals[REFUSED_MEMORY]++;
		if (list[i].circuit) {
			r->counters.circuits_killed_memory += list[i].circuit->state != CIRCUIT_CLOSED;
			circuit_close(list[i].circuit, DESTROY_RESOURCELIMIT);
		} else {
			link_close(list[i].link, "memory is short");
		}
	}
	return freed;
}

/* Circuits and links with long queues, the longest first. */
static size_t close_queues(struct relay *r, size_t wanted)
{
	struct consumer *list = mem_new_array(r->counters.circuits + link_count(r) + 1, sizeof(*list));
	size_t n = 0, freed;

	for (struct circuit *c = r->circuits; c; c = c->all_next)
		if (circuit_bytes(c) >= QUEUE_LONG)
			list[n++] = (struct consumer){ .circuit = c, .bytes = circuit_bytes(c) };
	for (struct link *l = NULL; (l = link_next(r, l));)
		if (l->state != LINK_CLOSED && link_bytes(l) >= QUEUE_LONG)
			list[n++] = (struct consumer){ .link = l, .bytes = link_bytes(l) };
	freed = close_consumers(r, list, n, wanted);
	free(list);
	return freed;
}

/* Circuits of the links that brought most, counting what a circuit takes that holds nothing. */
static size_t close_circuits(struct relay *r, size_t wanted)
{
	struct consumer *list = mem_new_array(r->counters.circuits + 1, sizeof(*list));
	size_t n = 0, freed;
	struct link *l;

	for (l = NULL; (l = link_next(r, l));)
		l->held = LINK_COST + link_bytes(l);
	for (struct circuit *c = r->circuits; c; c = c->all_next)
		if ((l = link_by_id(r, c->end[SIDE_PREV].link_id)))
			l->held += CIRCUIT_COST + circuit_bytes(c);
	for (struct circuit *c = r->circuits; c; c = c->all_next)
		if ((l = link_by_id(r, c->end[SIDE_PREV].link_id)))
			list[n++] = (struct consumer){ .circuit = c, .of_link = l->held,
						       .bytes = CIRCUIT_COST + circuit_bytes(c) };
	freed = close_consumers(r, list, n, wanted);
	free(list);
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
			r->counters.refusals[REFUSED_MEMORY]++;
			freed += LINK_COST;
		}
	}
	return freed;
}

void relay_free_bytes(struct relay *r, size_t wanted)
{
	size_t freed = close_queues(r, wanted);

	if (freed < wanted)
		freed += close_links(r, wanted - freed);
	if (freed < wanted)
		freed += close_circuits(r, wanted - freed);
	log_limited(LOG_LEVEL_WARN, "Memory is short: closed the biggest consumers. Raise max_memory if this goes on. "
		    "wanted=%zu freed=%zu", wanted, freed);
}

void relay_relieve_memory(struct relay *r)
{
	uint64_t limit = r->config.limits.max_memory;

	if (limit && pool_used_bytes(r->pool) > limit / 100 * QUEUES_SHARE_PCT)
		relay_free_bytes(r, (size_t)(limit / 100 * RELIEF_PCT));
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
		relay_free_bytes(r, r->memory->process_bytes - (size_t)(limit / 100 * (100 - RELIEF_PCT)));
}
