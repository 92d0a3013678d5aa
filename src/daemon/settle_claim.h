/* When to claim: a pure rule, so that it can be tried with any numbers. */
#ifndef DAEMON_SETTLE_CLAIM_H
#define DAEMON_SETTLE_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include <nonos/amount.h>

struct claim_rule {
	struct amount above;		/* claim when so much is due ... */
	uint64_t after_s;		/* ... or when what is due is so old; 0: never for its age */
	uint32_t fee_cap_bp;		/* but only when the fee is at most this share of it */
};

/*
 * Whether to claim `claimable` now. `oldest`: end of the first epoch that paid part of it, 0 when there is none;
 * `fee`: what claiming costs.
 */
bool claim_is_due(const struct claim_rule *rule, struct amount claimable, uint64_t oldest, struct amount fee, uint64_t now);

#endif
