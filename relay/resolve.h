/*
 * Names and addresses at an exit: non-blocking, cached. Queries for the same
 * name share one look-up. Every answer lives RESOLVE_TTL_S, whatever the DNS says:
 * a life of its own would let anybody who asks tell when somebody else asked.
 * Owned by the relay.
 */
#ifndef RELAY_RESOLVE_H
#define RELAY_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/addr.h>

struct event_base;
struct resolver;
struct resolve_query;

enum {
	RESOLVE_TTL_S = 60,
	RESOLVE_CACHE_MAX = 4096,	/* answers kept, positive and negative */
	RESOLVE_PENDING_MAX = 2048,	/* look-ups under way */
};

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

/* Queries under way are dropped; their callbacks do not come. */
void resolver_free(struct resolver *r);

/* Ask this server (port 0: 53) besides those of resolv.conf, or after `only` instead of them. */
int resolver_add_nameserver(struct resolver *r, const struct addr *a, bool only);

/*
 * The callback comes once, possibly before the call returns, unless cancelled. *ret is NULL in
 * that case. Names are lower case. ERR_LIMIT: too much under way, ERR_STATE: `r` is
 * NULL (it could not be made); no callback comes.
 */
int resolve_name(struct resolver *r, struct resolve_query **ret, const char *name, resolve_cb *cb, void *arg);
int resolve_ptr(struct resolver *r, struct resolve_query **ret, const struct addr *a, resolve_cb *cb, void *arg);
void resolve_cancel(struct resolve_query *q);	/* NULL is fine */

/* What was asked so far, by what came of it. Those that join a look-up under way are asked only. */
struct resolver_counts {
	uint64_t queries, hits, not_found, no_answer;
};

void resolver_counts(const struct resolver *r, struct resolver_counts *ret);

/* Its size and its servers; no names (nonos/relay_view.h). */
struct dns_view;
void resolver_view(struct resolver *r, struct dns_view *ret);

size_t resolver_bytes(const struct resolver *r);

#endif
