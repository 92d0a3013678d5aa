/*
 * The new side of an upgrade without loss: asks the running keeper for its sockets and its
 * lock, and becomes the relay once it can. The conversation is in hand_over.h.
 */
#ifndef DAEMON_TAKE_OVER_H
#define DAEMON_TAKE_OVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "listen.h"
#include "message.h"

struct event_base;
struct take_over;

struct take_over_hooks {
	/* We are the relay now. `died`: because the other ended without a word. */
	void (*done)(void *arg, bool died);
	/* The other goes on, for this reason; we must end. */
	void (*refused)(void *arg, const char *why);
	/* What the other has counted, while its circuits last. */
	void (*counters)(void *arg, const char *text);
	/* It has ended. */
	void (*ended)(void *arg);
	void *arg;
};

enum { TAKE_OVER_GIVE_MS = 5000, TAKE_OVER_DEATH_MS = 5000 };

/*
 * Ask the keeper that uses `data_dir` and wait, in the event loop, until it has given all; or, with
 * `only_ask`, for its state alone. `uid` is who it may run as, besides us and root. ERR_NOT_FOUND: nobody is there (any
 * more). On other failures `err` has a sentence; the other keeper goes on.
 */
int take_over_begin(struct take_over **ret, struct event_base *base, const char *data_dir, uid_t uid, bool only_ask,
		    char *err, size_t err_cap);

/* Ends the connection; before `done` that means that the other keeper goes on. Closes what nobody took. */
void take_over_free(struct take_over *t);

const struct message_state *take_over_state(const struct take_over *t);
pid_t take_over_pid(const struct take_over *t);

/* The listening OR sockets; listeners_open() takes from them. */
struct given_listener *take_over_listeners(struct take_over *t, size_t *ret_n);

/* A descriptor that was given, now the caller's; -1 when there is none (any more). */
int take_over_socket(struct take_over *t, enum hand_socket kind);

/* All is prepared: say so; one of `done` and `refused` follows. */
void take_over_ready(struct take_over *t, const struct take_over_hooks *hooks);

/* After `done`: whether the other still lives. */
bool take_over_other_lives(const struct take_over *t);

#endif
