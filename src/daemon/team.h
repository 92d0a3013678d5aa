/*
 * The workers as the keeper sees them: processes (or, with --one-process, one
 * worker in the keeper's own loop) with a pipe each. A worker that dies, says
 * something malformed or goes silent is replaced after a growing pause; what it had
 * counted stays in the totals. The team knows nothing of what the messages
 * mean: on_greet sends a new worker everything it needs.
 */
#ifndef DAEMON_TEAM_H
#define DAEMON_TEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <nonos/relay.h>

#include "message.h"

struct event_base;
struct team;

enum member_state {
	MEMBER_DOWN,		/* no process; waits to be started again */
	MEMBER_STARTING,	/* it runs, but does not listen yet */
	MEMBER_READY,
	MEMBER_DRAINED,		/* its last circuit is closed */
};

enum {
	TEAM_BACKOFF_MIN_MS = 200,
	TEAM_BACKOFF_MAX_MS = 30000,
	TEAM_HEALTHY_MS = 60000,	/* a worker that lived this long starts the back-off anew */
	TEAM_SILENT_MS = 60000,		/* no counters for this long: it hangs */
	TEAM_AWAY_MS = 5000,		/* no tick for this long: it is the keeper that hung */
};

enum member_step { MEMBER_STARTED, MEMBER_LISTENS, MEMBER_ENDED };

struct member_change {
	enum member_step step;
	unsigned index, restarts;
	pid_t pid;
	int status;		/* of MEMBER_ENDED, as from waitpid() */
};

struct team_hooks {
	void (*greet)(void *arg, unsigned index);		/* a new worker: send what it needs */
	void (*ready)(void *arg);				/* the last worker missing became ready */
	/* What is not the team's business. A negative result ends the worker. */
	int (*message)(void *arg, unsigned index, struct frame *f);
	void (*drained)(void *arg);				/* all of them */
	void (*changed)(void *arg, const struct member_change *c);	/* for who watches; may be NULL */
	void *arg;
};

struct member_status {
	unsigned index;
	pid_t pid;		/* 0 while there is none */
	enum member_state state;
	unsigned restarts;
	const struct relay_counters *counters;	/* of the one that runs; borrowed */
	uint64_t cpu_us;			/* of all that ran in its place */
	struct sandbox_state sandbox;
};

struct team *team_new(struct event_base *base, unsigned n, bool one_process, const struct team_hooks *hooks);

/* End every worker: closes the pipes, waits a moment, kills what is left. */
void team_free(struct team *t);

/* Start the processes. ERR_SYSTEM when one cannot be. */
int team_start(struct team *t);

/* Call the greet hook for all who run: there is something to send now. */
void team_greet(struct team *t);

/* To one worker or to all who run. A failing pipe ends that worker, nothing else. */
void team_send(struct team *t, unsigned index, enum message_type type, const void *payload, size_t len, int fd);
void team_send_all(struct team *t, enum message_type type, const void *payload, size_t len, int fd);

/* Tell all how far to drain. Once the listeners close, nobody is replaced. */
void team_drain(struct team *t, enum relay_drain how);

/* What processes before this one had counted and team_counters() adds to its own. */
void team_set_past(struct team *t, const struct relay_counters *totals);

/* The main program got SIGCHLD. */
void team_reap(struct team *t);

/* Once a second: looks for workers that hang. */
void team_tick(struct team *t);

unsigned team_size(const struct team *t);
void team_status(const struct team *t, unsigned index, struct member_status *ret);
const char *member_state_str(enum member_state state);

/* Totals of all workers, the dead included; gauges of the living. */
void team_counters(const struct team *t, struct relay_counters *ret);

/* The pause before start number `failures` + 1. */
unsigned team_backoff_ms(unsigned failures);

#endif
