/*
 * A worker: one event loop with one relay, fed by the keeper over the pipe.
 * It opens no file and holds no long-term secret. With --one-process the
 * keeper makes one inside its own loop; else it is a process of its own, which
 * ends when the keeper does.
 */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include <stdbool.h>

struct event_base;
struct worker;

enum { WORKER_FD = 3 };		/* where a worker process finds its pipe */

struct worker_hooks {
	/* The pipe is finished (enum err). The worker does nothing any more; free it. */
	void (*ended)(void *arg, int why);
	void *arg;
};

/* Take over `fd`, the worker's end of the pipe. `own_log`: obey the keeper's LOG messages. */
struct worker *worker_new(struct event_base *base, int fd, bool own_log, const struct worker_hooks *hooks);
void worker_free(struct worker *w);

/* The whole life of a worker process; returns its exit status. */
int worker_main(unsigned index);

#endif
