/*
 * The HTTP server for metrics: GET /metrics, one request a connection, on
 * loopback ports and a Unix socket. Owned by the keeper, in its loop. Small enough
 * to be bounded in all it takes: libevent's evhttp has no limit on
 * connections, nor on the time that a request may take in all.
 */
#ifndef DAEMON_METRICS_SERVER_H
#define DAEMON_METRICS_SERVER_H

#include <stddef.h>
#include <sys/types.h>

#include <nonos/addr.h>

struct event_base;
struct evbuffer;
struct metrics_server;

enum {
	METRICS_CONNECTIONS_MAX = 16,
	METRICS_REQUEST_MAX = 8192,	/* bytes, headers included; there is no body */
	METRICS_TIME_S = 10,		/* from the first byte to the last */
};

struct metrics_place {
	const struct addr *addrs;
	size_t n_addrs;
	const char *path;	/* of the Unix socket, or NULL */
	mode_t mode;		/* of its file */
};

/*
 * Listen on all of them or on none; `format` appends the text for each GET. `err`
 * gets a sentence. What a crashed daemon left at `path` is replaced, if it is a socket.
 */
int metrics_server_new(struct metrics_server **ret, struct event_base *base, const struct metrics_place *place,
		       void (*format)(void *arg, struct evbuffer *out), void *arg, char *err, size_t err_cap);
void metrics_server_free(struct metrics_server *s);	/* NULL is fine; removes the socket file */

/*
 * The HTTP status for a request of `len` bytes, up to and with its empty line: 200, 400, 404
 * (not /metrics), 405 (not GET) or 413 (a body follows).
 */
int metrics_request(const char *text, size_t len);

#endif
