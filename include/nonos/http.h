/*
 * A small asynchronous HTTP client over libcurl on an event_base, for
 * directory authorities and JSON-RPC endpoints. Everything is bounded: bytes
 * after decompression, header bytes, and time. No redirects, no cookies, no
 * proxy from the environment, only http and https (certificates checked).
 */
#ifndef NONOS_HTTP_H
#define NONOS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/addr.h>

struct event_base;
struct http_client;
struct http_call;

struct http_request {
	const char *url;
	const void *body;		/* NULL: GET, else POST; copied */
	size_t body_len;
	const char *content_type;	/* of the body; NULL: none sent */
	const char *const *headers;	/* "Name: value", NULL-terminated; or NULL */
	size_t max_bytes;		/* of the reply's body, decoded; 0: no body wanted */
	uint32_t connect_timeout_ms;	/* 0: 20 s */
	uint32_t total_timeout_ms;	/* 0: 60 s */
	uint32_t stall_s;		/* give up below 256 bytes/s for so long; 0: 20 s */
	int64_t if_modified_since;	/* wall seconds; 0: do not ask */
	const struct addr *source;	/* bind to this address; NULL: any. The port is not used. */
	bool http10;			/* HTTP/1.0, one connection for one request */
	bool compressed;		/* accept deflate and gzip */
};

/* The outcome, valid during the callback. */
struct http_reply {
	int err;			/* 0: a whole answer came; else enum err */
	int status;			/* HTTP status; 0: none came */
	const char *reason;		/* of the status line, never NULL; a stranger's words */
	const uint8_t *body;		/* NUL-terminated for convenience */
	size_t body_len;
	const char *error;		/* what went wrong, for a log line; never NULL */
	const struct http_call *call;
};

typedef void http_done_fn(void *arg, const struct http_reply *reply);

struct http_client *http_client_new(struct event_base *base);

/* Cancels what is under way; not from inside a callback. NULL is fine. */
void http_client_free(struct http_client *c);

/*
 * Start a request. `done` is called exactly once, from the event loop and never
 * from here, unless the call is cancelled before; `*ret` is gone when it
 * returns. ERR_MALFORMED: libcurl does not accept the request.
 */
int http_start(struct http_client *c, struct http_call **ret, const struct http_request *req,
	       http_done_fn *done, void *arg);

/* Forget a request under way; `done` is not called. NULL is fine; not for the call of a running callback. */
void http_cancel(struct http_call *call);

/*
 * Value of a header of the reply (name without colon, case ignored), copied to
 * `out` with other than printable ASCII replaced by '?'. False when absent.
 */
bool http_reply_header(const struct http_reply *reply, const char *name, char *out, size_t cap);

#endif
