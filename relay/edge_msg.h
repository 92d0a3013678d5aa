/*
 * Bodies of the messages that open and close streams (tor-spec 6.2 to 6.4):
 * BEGIN, CONNECTED, END, RESOLVE, RESOLVED. Pure: bytes in, values out.
 */
#ifndef RELAY_EDGE_MSG_H
#define RELAY_EDGE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/addr.h>

struct resolve_answer;

enum {
	HOST_CAP = 256,			/* longest name of the DNS, and a NUL */
	EDGE_TTL_S = 60,		/* what clients are told of every address */
	CONNECTED_MAX = 25,
	END_MAX = 21,
};

enum begin_flag {
	BEGIN_IPV6_OK = 1 << 0,
	BEGIN_IPV4_NOT_OK = 1 << 1,
	BEGIN_IPV6_PREFERRED = 1 << 2,
};

struct begin {
	char host[HOST_CAP];		/* lower case; empty when `addr` is set */
	struct addr addr;		/* a literal address; family ADDR_NONE for a name */
	uint16_t port;
	uint32_t flags;			/* enum begin_flag; others ignored */
};

enum resolve_what { RESOLVE_FORWARD, RESOLVE_REVERSE, RESOLVE_LITERAL };

struct resolve_request {
	enum resolve_what what;
	char host[HOST_CAP];		/* RESOLVE_FORWARD; lower case */
	struct addr addr;		/* otherwise */
};

/* Check a name and copy it in lower case: letters, digits, '-', '_', labels of 1 to 63. */
int host_parse(char ret[HOST_CAP], const char *text, size_t len);

int begin_parse(struct begin *ret, const uint8_t *body, size_t len);
int resolve_parse(struct resolve_request *ret, const uint8_t *body, size_t len);

/* Each returns the length written. */
size_t connected_build(uint8_t out[CONNECTED_MAX], const struct addr *a);
size_t end_policy_build(uint8_t out[END_MAX], const struct addr *a);	/* ADDR_NONE: reason alone */
size_t resolved_build(uint8_t *out, size_t cap, const struct resolve_answer *answer);

#endif
