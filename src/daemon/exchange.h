/*
 * Fetches consensuses that this auditor missed from those who have them: another
 * auditor's journal_listen gives out a list, /consensus, and each document, /consensus/VALID_AFTER. The
 * documents prove themselves, by the signatures of the authorities, so it does not matter who gives
 * them. Owned by settle, in the keeper's loop; a round at a time.
 */
#ifndef DAEMON_EXCHANGE_H
#define DAEMON_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct event_base;
struct exchange;

enum {
	EXCHANGE_TEXT_MAX = 16 << 20,		/* bytes of a consensus */
	EXCHANGE_PACKED_MAX = 8 << 20,		/* of a compressed one */
};

struct exchange_hooks {
	/* Whether a consensus of that time and digest is wanted. */
	bool (*wants)(void *arg, int64_t valid_after, const uint8_t digest[32]);
	/* Judge a document: 1 when it was taken, 0 when it cannot be now; an error: who gave it is left alone for some time. */
	int (*take)(void *arg, const char *text, size_t len);
	/* A round has ended; so many were taken. */
	void (*done)(void *arg, size_t taken);
	void *arg;
};

struct exchange *exchange_new(struct event_base *base, const struct exchange_hooks *hooks);
void exchange_free(struct exchange *x);		/* NULL is fine */

/* Ask each of `urls` (copied; without a slash at the end) in turn, unless a round is under way. */
void exchange_ask(struct exchange *x, const char *const *urls, size_t n);

/* -- what is given out ------------------------------------------------------------------ */

/* A row of the list: {"sha256", "validAfter"}; 0, or ERR_MALFORMED. */
json_t *exchange_row(int64_t valid_after, const uint8_t digest[32]);
int exchange_read_row(int64_t *ret_valid_after, uint8_t ret_digest[32], const json_t *row);

#endif
