/*
 * One end of the socketpair between keeper and a worker, or of the connection
 * between a keeper and the one that takes its place. The socket is
 * SOCK_SEQPACKET, so a frame is a packet: it arrives whole or not at all, and
 * its descriptors arrive with it. Nothing blocks; what the other side does
 * not take at once is queued, up to a bound.
 */
#ifndef DAEMON_PIPE_H
#define DAEMON_PIPE_H

#include <stddef.h>
#include <stdint.h>

#include "message.h"

struct event_base;
struct pipe;

enum { PIPE_QUEUE_MAX = 256 };		/* frames */

struct pipe_hooks {
	/*
	 * A frame that the table allows. `fd` is -1, or a descriptor that now
	 * belongs to the callee. A negative result ends the pipe like a bad frame.
	 */
	int (*message)(void *arg, struct frame *f, int fd);
	/* The pipe is finished: ERR_CLOSED, ERR_MALFORMED, ERR_LIMIT, ERR_IO. Free it here or later. */
	void (*ended)(void *arg, int why);
	void *arg;
};

/* Make a connected pair of sockets, close-on-exec and non-blocking. */
int pipe_pair(int ret_fds[2]);

/* Take over `fd`. `incoming` is the direction of the frames read here. */
struct pipe *pipe_new(struct event_base *base, int fd, enum message_direction incoming,
		      const struct pipe_hooks *hooks);
void pipe_free(struct pipe *p);

/*
 * Send a message; `fd` is -1 or a descriptor that stays the caller's. ERR_LIMIT
 * when the other side has stopped reading, ERR_CLOSED when it is gone: the
 * pipe then ends by itself, from the event loop.
 */
int pipe_send(struct pipe *p, enum message_type type, const void *payload, size_t len, int fd);

/* Frames that wait for the other side. */
size_t pipe_queued(const struct pipe *p);

#endif
