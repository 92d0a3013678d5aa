/*
 * Token buckets, and what one network address may have of us: open links and
 * new circuits. Owned by the relay; pure but for the table it keeps.
 */
#ifndef NONOS_LIMIT_H
#define NONOS_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/addr.h>
#include <nonos/relay.h>

/*
 * `rate` units a second (at most 10^12), at most `burst` saved up. Integers only,
 * without drift. A rate of 0: no limit.
 */
struct bucket {
	uint64_t rate, burst;
	uint64_t level;			/* units */
	uint64_t fraction;		/* millionths of a unit */
	uint64_t last_us;
};

/* Starts full. A burst below the rate is taken as the rate. */
void bucket_init(struct bucket *b, uint64_t rate, uint64_t burst, uint64_t now_us);

/* Change rate and burst; what is saved stays, up to the new burst. From unlimited: full. */
void bucket_set(struct bucket *b, uint64_t rate, uint64_t burst);

void bucket_refill(struct bucket *b, uint64_t now_us);

/* What may be taken now; UINT64_MAX without a limit. */
uint64_t bucket_level(const struct bucket *b);

/* Take `n`, or all there is when that is less. */
void bucket_take(struct bucket *b, uint64_t n);

/* Microseconds until `n` units (at most the burst) are there; 0 when they are. */
uint64_t bucket_wait_us(const struct bucket *b, uint64_t n);

/* A table keyed by address: IPv4 whole, IPv6 by /64. Bounded; when it is full new addresses are refused. */
struct limiter;

/* Uses links_per_addr, and rate and burst of links and circuits; 0 of a number or rate: no limit. */
struct limiter *limiter_new(const struct relay_limits *limits);
void limiter_free(struct limiter *l);
void limiter_set_limits(struct limiter *l, const struct relay_limits *limits);

/* May this address make a link now? Takes one from its bucket. */
bool limiter_link(struct limiter *l, const struct addr *a, uint64_t now_us);

/* Count an open link. ERR_LIMIT: one too many, not counted. */
int limiter_link_open(struct limiter *l, const struct addr *a);
void limiter_link_closed(struct limiter *l, const struct addr *a);

/* May this address create a circuit now? Takes one from its bucket. */
bool limiter_circuit(struct limiter *l, const struct addr *a, uint64_t now_us);

/* Forget addresses that have no link and full buckets. */
void limiter_expire(struct limiter *l, uint64_t now_us);

#endif
