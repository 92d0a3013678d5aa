/*
 * The bandwidth of the relay, divided among its workers. Links fall to workers by
 * chance, so an even share would leave unused what a worker with few of them does not
 * need; each second the shares follow the use. Together they are the whole, no more. Pure.
 */
#ifndef DAEMON_SHARE_H
#define DAEMON_SHARE_H

#include <stddef.h>
#include <stdint.h>

enum { SHARE_MEMORY = 2, SHARE_WORKERS_MAX = 64 };

struct share {
	uint64_t rate;			/* bytes a second; 0: none given yet */
	uint64_t counted;		/* the greater direction's total when last looked at */
	uint64_t used[SHARE_MEMORY];	/* of late, a second each */
};

/* A second has passed, and a worker's greater total is now this. */
void share_used(struct share *s, uint64_t counted);

/* Divide `total` by what each used of late. The rates are at least 1 and add up to `total`, if that is at least `n`. */
void shares_divide(struct share *shares, size_t n, uint64_t total);

#endif
