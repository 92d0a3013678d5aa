/*
 * Questions of the keeper to its workers: each worker that is ready is asked, pages
 * are fetched until it has told all, and the end comes once: when the last has
 * answered, or after ASK_TIMEOUT_MS without some. A worker is not believed: what it
 * may send is bounded, and an answer that nobody asked for is an error of its pipe.
 */
#ifndef DAEMON_ASK_H
#define DAEMON_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "message.h"

struct event_base;
struct asks;

enum {
	ASK_TIMEOUT_MS = 3000,
	ASKS_MAX = 8,			/* at the same time */
	ASK_WORKERS_MAX = 64,
	ASK_ROWS_MAX = 32768,		/* of one question, all workers together */
};

/* How workers are reached. */
struct asks_hooks {
	void (*send)(void *arg, unsigned index, const struct message_ask *m);
	bool (*is_ready)(void *arg, unsigned index);
	unsigned n_workers;		/* at most ASK_WORKERS_MAX */
	void *arg;
};

/* Who asked; only what fits the kind of the question is called. */
struct ask_sink {
	void (*links)(void *arg, const struct link_page *page);
	void (*circuits)(void *arg, const struct circuits_view *v);
	void (*dns)(void *arg, const struct dns_view *v);
	/* The last call: how many were asked, and how many of them told all. */
	void (*done)(void *arg, unsigned asked, unsigned answered);
	void *arg;
};

struct asks *asks_new(struct event_base *base, const struct asks_hooks *hooks);

/* Questions under way get no done(). */
void asks_free(struct asks *a);

/*
 * Ask; done() comes later, from the loop. *ret_id is for asks_cancel(). ERR_LIMIT: too many at a
 * time; ERR_STATE: no worker is ready.
 */
int asks_start(struct asks *a, uint32_t *ret_id, enum message_ask_kind kind, const struct ask_sink *sink);

/* Nobody waits any more: the sink is not called again. */
void asks_cancel(struct asks *a, uint32_t id);

/* A worker's LINKS, CIRCUITS or DNS. ERR_MALFORMED: end that worker. */
int asks_message(struct asks *a, unsigned index, struct frame *f);

#endif
