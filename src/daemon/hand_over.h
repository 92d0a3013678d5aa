/*
 * The old side of an upgrade without loss. A keeper listens on the socket
 * data_dir/handover; a new one that is started with --take-over asks there for
 * the listening sockets and the lock, prepares itself until all its workers wait, says so, and
 * is told "done": from then on it is the relay, and the old keeper only lets its
 * circuits end. Until then the old one carries on as if nobody had asked, so
 * a new one that fails, at whatever point, costs nothing.
 *
 *   new                              old
 *   TAKE_ASK           ->                      writes nothing to data_dir from here on
 *                      <-  GIVE_STATE, GIVE_SOCKET ..., GIVE_ALL
 *   TAKE_READY         ->                      writes its state
 *                      <-  GIVE_COUNTERS, GIVE_DONE   accepts nothing any more
 *                      <-  GIVE_COUNTERS ...   each second, until its circuits have ended
 *
 * GIVE_REFUSED with a sentence ends it at any point before GIVE_DONE. A connection that
 * ends without that word means a process that died: the new keeper, if it has been
 * given all, goes on alone. Both sides ask the kernel who the other is: the same user, or root.
 */
#ifndef DAEMON_HAND_OVER_H
#define DAEMON_HAND_OVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "message.h"

struct event_base;
struct hand_over;

struct hand_over_hooks {
	/* What GIVE_STATE tells. */
	void (*state)(void *arg, struct message_state *ret);
	/* Somebody asks. NULL: go on, and write nothing from now on; else why not. */
	const char *(*asked)(void *arg);
	/* Call hand_over_socket() for each. */
	void (*give)(void *arg);
	/* It does not come to it: all goes on as before. `why` is for the log. */
	void (*given_up)(void *arg, const char *why);
	/* The new one waits. After this it is the relay; send it the counters. */
	void (*taken)(void *arg, pid_t pid);
	void *arg;
};

enum { HAND_OVER_ASK_S = 10, HAND_OVER_WAIT_S = 120 };

/* Listen in `data_dir`, which is locked. `err` gets a sentence. */
int hand_over_open(struct hand_over **ret, struct event_base *base, const char *data_dir,
		   const struct hand_over_hooks *hooks, char *err, size_t err_cap);
void hand_over_free(struct hand_over *h);

/* Pass a descriptor on; it stays the caller's. */
void hand_over_socket(struct hand_over *h, enum hand_socket kind, int fd);

/* Tell the new keeper what we have counted; nothing when there is none. */
void hand_over_counters(struct hand_over *h, const char *text);

/* We stop: a new one that waits is told so. */
void hand_over_refuse(struct hand_over *h, const char *why);

/* -- what both sides need ------------------------------------------------------- */

/*
 * The address of the socket in the directory that *ret_dir_fd opens, by that descriptor, so that
 * no path is too long. The caller closes it after bind() or connect().
 */
int hand_over_address(struct sockaddr_un *ret, int *ret_dir_fd, const char *data_dir);

#endif
