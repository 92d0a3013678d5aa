/*
 * Operator keys held unlocked: each for a time that its operator gave, in
 * memory that is locked and kept out of core dumps. Owned by the keeper. Nothing
 * gives a key back; one is used where it is. Whatever ends the daemon, and a
 * daemon that takes its place, leaves them locked.
 */
#ifndef DAEMON_KEY_AGENT_H
#define DAEMON_KEY_AGENT_H

#include <stddef.h>
#include <stdint.h>

#include <nonos/eth_sig.h>

enum { KEY_AGENT_MAX = 16, KEY_AGENT_SECONDS_MAX = 7 * 86400 };

struct key_agent;

struct key_agent *key_agent_new(void);
void key_agent_free(struct key_agent *a);

/*
 * Hold a copy of a key until `now_ms` + `seconds`; one that is held already gets this time instead.
 * ERR_RANGE for no key, or a time of 0 or beyond KEY_AGENT_SECONDS_MAX; ERR_LIMIT.
 */
int key_agent_hold(struct key_agent *a, struct eth_addr *ret_addr, const uint8_t secret[ETH_SECRET_LEN], unsigned seconds,
		   uint64_t now_ms);

/* Forget one key, or with NULL all; returns how many. */
size_t key_agent_drop(struct key_agent *a, const struct eth_addr *addr);

/* Forget what is past its time; returns how many, and calls `gone` (may be NULL) for each. */
size_t key_agent_expire(struct key_agent *a, uint64_t now_ms, void (*gone)(const struct eth_addr *addr));

/* Borrow a key that is in its time, until the next call; NULL: it is locked. */
const uint8_t *key_agent_find(const struct key_agent *a, const struct eth_addr *addr, uint64_t now_ms);

/* The i-th key that is held; ERR_NOT_FOUND behind the last. */
int key_agent_get(const struct key_agent *a, size_t i, struct eth_addr *ret_addr, uint64_t *ret_until_ms);

#endif
