/*
 * A small HTTP server: metrics on loopback ports and a Unix socket, the journal
 * for those who follow it. One request a connection. Owned by the keeper, in its
 * loop. Bounded in all it takes: libevent's evhttp has no limit on connections,
 * nor on the time that a request may take in all.
 */
#ifndef DAEMON_HTTP_SERVER_H
#define DAEMON_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <nonos/addr.h>

struct event_base;
struct evbuffer;
struct http_server;

enum { HTTP_HEAD_MAX = 8192 };	/* bytes of a request before its body */

/* -- requests (RFC 9112) ---------------------------------------------------------- */

enum http_method { HTTP_GET, HTTP_POST, HTTP_OTHER };

struct http_head {
	enum http_method method;
	const char *path;	/* without the query; borrowed, not NUL-terminated */
	size_t path_len;
	size_t body_len;
};

/*
 * Take the `len` bytes of a request apart, up to and with its empty line. 200, or the
 * status to answer: 400, or 413 for a body in pieces or of more than `body_max` bytes.
 */
int http_head_parse(struct http_head *ret, const char *text, size_t len, size_t body_max);

/*
 * As whom a connection counts: its IPv4 address, or the first half of its IPv6 address. ADDR_NONE: as
 * nobody, because it comes from this machine.
 */
struct addr http_client(const struct sockaddr *sa, socklen_t len);

/* -- the server ------------------------------------------------------------------- */

/* A request that waits for its answer. */
struct http_exchange {
	struct addr client;	/* http_client() */
	bool post;
	char *path;		/* without the query */
	const char *body;	/* of a POST; NUL-terminated for convenience */
	size_t body_len;
	void *user;		/* the callee's; NULL at first */
	void (*gone)(struct http_exchange *x);	/* set by the callee: the client has gone before the answer */
};

struct http_place {
	const char *name;	/* for log lines: "Metrics" */
	const struct addr *addrs;
	size_t n_addrs;
	const char *path;	/* of a Unix socket, or NULL */
	mode_t mode;		/* of its file */
	unsigned connections_max, time_s;	/* from the first byte to the last */
	unsigned client_max;	/* connections of one http_client(), but for this machine; 0: no limit for each */
	size_t body_max;	/* 0: GET alone, else POST as well */
};

/*
 * Listen on all of them or on none; `request` is called for each and answers at once or later. `err`
 * gets a sentence. What a crashed daemon left at `path` is replaced, if it is a socket. When all
 * connections are taken, who has most of them gives one up to who has fewer.
 */
int http_server_new(struct http_server **ret, struct event_base *base, const struct http_place *place,
		    void (*request)(void *arg, struct http_exchange *x), void *arg, char *err, size_t err_cap);
void http_server_free(struct http_server *s);	/* NULL is fine; removes the socket file */

/* Bytes of answers that clients have yet to take: all of them, or the one who asks here. */
size_t http_server_owes(const struct http_server *s);
size_t http_client_owes(const struct http_exchange *x);

/*
 * Answer with `body`, which is emptied, and forget `x`. A status other than 200 with an empty body
 * gets a line of text. `type` NULL: plain text.
 */
void http_answer(struct http_exchange *x, int status, const char *type, struct evbuffer *body);

#endif
