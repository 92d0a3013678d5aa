/*
 * Names and addresses at an exit: non-blocking, cached, TTLs clipped. Owned by
 * the relay.
 */
#ifndef RELAY_RESOLVE_H
#define RELAY_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include <nonos/addr.h>

struct event_base;
struct resolver;
struct resolve_query;

enum resolve_result { RESOLVE_OK, RESOLVE_TRANSIENT, RESOLVE_PERMANENT };

struct resolve_answer {
	enum resolve_result result;
	struct addr addr[8];		/* IPv4 first */
	size_t n_addr;
	char name[256];			/* reverse look-ups */
	uint32_t ttl_s;
};

typedef void resolve_cb(void *arg, const struct resolve_answer *answer);

/* `resolv_conf` NULL: /etc/resolv.conf; the hosts file is honoured as well. */
int resolver_new(struct resolver **ret, struct event_base *base, const char *resolv_conf);
void resolver_free(struct resolver *r);

/* The callback comes once, possibly before the call returns, unless cancelled. *ret is NULL in that case. */
int resolve_name(struct resolver *r, struct resolve_query **ret, const char *name, resolve_cb *cb, void *arg);
int resolve_ptr(struct resolver *r, struct resolve_query **ret, const struct addr *a, resolve_cb *cb, void *arg);
void resolve_cancel(struct resolve_query *q);

size_t resolver_bytes(const struct resolver *r);

#endif
