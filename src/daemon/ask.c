#include "config.h"

#include "ask.h"

#include <stdlib.h>

#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/mem.h>

struct ask {
	struct asks *asks;
	struct ask *next;
	uint32_t id;
	enum message_ask_kind kind;
	struct ask_sink sink;
	struct event *timer;
	uint64_t waits;			/* bit i: worker i has not told all */
	uint32_t from[ASK_WORKERS_MAX];	/* page that each was asked for last */
	unsigned asked, cut;		/* cut: told more than is taken */
	uint32_t rows;
};

struct asks {
	struct event_base *base;
	struct asks_hooks hooks;
	struct ask *first;
	unsigned n;
	uint32_t last_id;
};

struct asks *asks_new(struct event_base *base, const struct asks_hooks *hooks)
{
	struct asks *a = mem_new(sizeof(*a));

	a->base = base;
	a->hooks = *hooks;
	if (a->hooks.n_workers > ASK_WORKERS_MAX)
		a->hooks.n_workers = ASK_WORKERS_MAX;
	return a;
}

static void ask_free(struct ask *q)
{
	struct ask **p = &q->asks->first;

	while (*p != q)
		p = &(*p)->next;
	*p = q->next;
	q->asks->n--;
	event_free(q->timer);
	free(q);
}

void asks_free(struct asks *a)
{
	if (!a)
		return;
	while (a->first)
		ask_free(a->first);
	free(a);
}

static void ask_finish(struct ask *q)
{
	unsigned missing = (unsigned)__builtin_popcountll(q->waits) + q->cut, asked = q->asked;
	struct ask_sink sink = q->sink;

	ask_free(q);
	sink.done(sink.arg, asked, asked - missing);
}

static void timeout_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	clock_update();
	ask_finish(arg);
}

static void ask_worker(struct ask *q, unsigned index, uint32_t from)
{
	const struct message_ask m = { .id = q->id, .kind = (uint8_t)q->kind, .from = from };

	q->from[index] = from;
	q->asks->hooks.send(q->asks->hooks.arg, index, &m);
}

int asks_start(struct asks *a, uint32_t *ret_id, enum message_ask_kind kind, const struct ask_sink *sink)
{
	static const struct timeval wait = { ASK_TIMEOUT_MS / 1000, ASK_TIMEOUT_MS % 1000 * 1000 };
	struct ask *q;

	if (a->n == ASKS_MAX)
		return ERR_LIMIT;
	q = mem_new(sizeof(*q));
	*q = (struct ask){ .asks = a, .next = a->first, .id = ++a->last_id, .kind = kind, .sink = *sink };
	q->timer = evtimer_new(a->base, timeout_cb, q);
	if (!q->timer)
		mem_fail();
	a->first = q;
	a->n++;
	for (unsigned i = 0; i < a->hooks.n_workers; i++)
		if (a->hooks.is_ready(a->hooks.arg, i)) {
			q->waits |= UINT64_C(1) << i;
			q->asked++;
		}
	if (q->asked == 0) {
		ask_free(q);
		return ERR_STATE;
	}
	evtimer_add(q->timer, &wait);
	for (unsigned i = 0; i < a->hooks.n_workers; i++)
		if (q->waits & UINT64_C(1) << i)
			ask_worker(q, i, 0);
	*ret_id = q->id;
	return 0;
}

static struct ask *ask_find(const struct asks *a, uint32_t id)
{
	struct ask *q = a->first;

	while (q && q->id != id)
		q = q->next;
	return q;
}

void asks_cancel(struct asks *a, uint32_t id)
{
	struct ask *q = ask_find(a, id);

	if (q)
		ask_free(q);
}

/* -- answers ------------------------------------------------------------------------- */

/* An id that is not known belongs to a question that is over: its answer is late, not wrong. */
static int expects(const struct ask *q, enum message_ask_kind kind, unsigned index)
{
	if (!q)
		return 0;
	return q->kind == kind && q->waits & UINT64_C(1) << index ? 0 : ERR_MALFORMED;
}

static void worker_done(struct ask *q, unsigned index)
{
	q->waits &= ~(UINT64_C(1) << index);
	if (!q->waits)
		ask_finish(q);
}

static int take_links(struct asks *a, unsigned index, struct rd *r)
{
	struct link_page *page = mem_new(sizeof(*page));
	struct ask *q = NULL;
	uint32_t id, next;
	int e = message_links_read(&id, page, r);

	if (e < 0)
		goto out;
	q = ask_find(a, id);
	e = expects(q, ASK_LINKS, index);
	if (e < 0 || !q)
		goto out;
	/* Pages only go forward, so there is an end to them. */
	e = ERR_MALFORMED;
	if (page->next && page->next <= q->from[index])
		goto out;
	e = 0;
	next = page->next;
	q->rows += page->n;
	q->sink.links(q->sink.arg, page);
	if (next && q->rows < ASK_ROWS_MAX) {
		ask_worker(q, index, next);
	} else {
		q->cut += next != 0;
		worker_done(q, index);
	}
out:
	free(page);
	return e;
}

static int take_circuits(struct asks *a, unsigned index, struct rd *r)
{
	struct circuits_view v;
	struct ask *q;
	uint32_t id;

	if (message_circuits_read(&id, &v, r) < 0)
		return ERR_MALFORMED;
	q = ask_find(a, id);
	if (expects(q, ASK_CIRCUITS, index) < 0)
		return ERR_MALFORMED;
	if (q) {
		q->sink.circuits(q->sink.arg, &v);
		worker_done(q, index);
	}
	return 0;
}

static int take_dns(struct asks *a, unsigned index, struct rd *r)
{
	struct dns_view v;
	struct ask *q;
	uint32_t id;

	if (message_dns_read(&id, &v, r) < 0)
		return ERR_MALFORMED;
	q = ask_find(a, id);
	if (expects(q, ASK_DNS, index) < 0)
		return ERR_MALFORMED;
	if (q) {
		q->sink.dns(q->sink.arg, &v);
		worker_done(q, index);
	}
	return 0;
}

int asks_message(struct asks *a, unsigned index, struct frame *f)
{
	if (index >= a->hooks.n_workers)
		return ERR_MALFORMED;
	switch (f->row->type) {
	case MSG_LINKS:
		return take_links(a, index, &f->payload);
	case MSG_CIRCUITS:
		return take_circuits(a, index, &f->payload);
	case MSG_DNS:
		return take_dns(a, index, &f->payload);
	}
	return ERR_MALFORMED;
}
