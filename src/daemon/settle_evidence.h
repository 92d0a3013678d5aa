/*
 * The evidence of an epoch (nonos/rewards.h) from what this node measured and
 * who was registered: pure, so that two auditors that took the same
 * consensuses write the same bytes.
 *
 * A registration names a relay by both of its identities, and only the Ed25519 one has signed it.
 * So a relay counts when the microdescriptor that the consensus names for
 * its fingerprint says the same Ed25519 identity, which authorities have checked; otherwise
 * anybody could register somebody else's fingerprint as his own relay.
 */
#ifndef DAEMON_SETTLE_EVIDENCE_H
#define DAEMON_SETTLE_EVIDENCE_H

#include <nonos/rewards.h>

#include "measure.h"

struct settle_relay {
	uint8_t relay_id[REWARD_ID_LEN];
	uint8_t fingerprint[REWARD_FINGERPRINT_LEN];
};

/* How a registered relay stands to what was measured. */
enum settle_match {
	SETTLE_COUNTED,
	SETTLE_NOT_RUNNING,		/* no consensus lists its fingerprint Running */
	SETTLE_MICRODESC_MISSING,	/* not known here which Ed25519 identity that fingerprint has */
	SETTLE_OTHER_IDENTITY,		/* the fingerprint belongs to another Ed25519 identity */
};

enum settle_match settle_match(const struct measured *m, const struct settle_relay *relay);

/*
 * ERR_AGAIN, with *ret_missing: the microdescriptor of that relay (of `relays`) is missing here, so
 * the evidence would not be what others write. With `ret_missing` NULL such relays are left out.
 * ERR_LIMIT: more consensuses than evidence may hold.
 */
int settle_evidence(struct evidence **ret, const struct settle_relay **ret_missing, uint64_t epoch,
		    const struct measured *m, const struct settle_relay *relays, size_t n);

#endif
