/*
 * A directory request: HTTP/1.0 (or 1.1) as directory clients send it, and the
 * URLs of dir-spec, appendix B. Parsing neither allocates nor keeps anything.
 */
#ifndef RELAY_DIR_DIR_REQUEST_H
#define RELAY_DIR_DIR_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/compress.h>

/* Text borrowed from the request. */
struct text {
	const char *p;
	size_t len;
};

enum dir_what {
	DIR_GET_UNKNOWN,	/* no such URL: 404 */
	DIR_GET_CONSENSUS,
	DIR_GET_MICRO,
	DIR_GET_SERVER_ALL, DIR_GET_SERVER_OWN, DIR_GET_SERVER_FP, DIR_GET_SERVER_D,
	DIR_GET_EXTRA_ALL, DIR_GET_EXTRA_OWN, DIR_GET_EXTRA_FP, DIR_GET_EXTRA_D,
	DIR_GET_KEYS_ALL, DIR_GET_KEYS_FP, DIR_GET_KEYS_SK, DIR_GET_KEYS_FP_SK,
	DIR_GET_ROBOTS,
};

struct dir_request {
	int status;		/* 200, or why it is refused: 400, 405 */
	enum dir_what what;
	uint8_t flavour;	/* enum dir_doc of a consensus */
	struct text list;	/* of digests; not empty where `what` takes one, except for a consensus */
	unsigned codings;	/* bits 1 << enum coding that the client takes; at least one */
	int64_t modified_since;	/* If-Modified-Since in wall seconds, or negative */
};

/*
 * Read what has arrived of a request. ERR_AGAIN: go on; 0: *ret describes it, refusals
 * included; ERR_TOO_LONG, ERR_MALFORMED: this is not HTTP.
 */
int dir_request_parse(struct dir_request *ret, const char *data, size_t len);

/* Cut the next item off a list; false at its end. Empty items are items. */
bool text_next(struct text *list, char separator, struct text *ret_item);

#endif
