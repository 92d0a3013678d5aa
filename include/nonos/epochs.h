/*
 * Epochs and claims on the ledger. Closing: an auditor drafts the EpochRoot of
 * the next epoch from its evidence, signs it, collects the signatures of its
 * fellows over the same draft and submits. The fold computes the policy again from the
 * evidence and the register at the epoch's end, and refuses any other
 * total or root. Money goes from the reserve to rewards:<payout>, once an epoch and in
 * order; missed epochs are closed one by one. Nothing of a relay's terms is
 * stored: explaining an epoch computes it again from the journal.
 *
 * The register of an epoch is that of {ledger_height_at(end), end}. An epoch whose evidence is not normal
 * (evidence_state()) takes the measurements of the last normal one; before the first such it pays by its own, which is
 * nothing when it had no consensus.
 * When more than REWARD_RELAYS_MAX are registered, nonos-1 computes with those that were measured alone: the
 * others have no credit.
 */
#ifndef NONOS_EPOCHS_H
#define NONOS_EPOCHS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <nonos/ledger.h>
#include <nonos/rewards.h>

/* -- closing ------------------------------------------------------------------------- */

/* The lowest epoch without a root: the one that is to be closed next. */
int epoch_next(struct ledger *l, uint64_t *ret);

/*
 * The EpochRoot of the next epoch from evidence `e`, for every auditor the same to the byte:
 * {"domain","primaryType","message","signatures":[],"attachments":{"evidence"}}, to be signed (epoch_sign())
 * and given to ledger_submit(). ERR_STATE: `e` is of another epoch; ERR_NOT_YET: `now` is before its
 * end; ERR_MALFORMED: the evidence contradicts itself. The reason is in `why`.
 */
int epoch_draft(struct ledger *l, json_t **ret, char why[REWARD_WHY_CAP], struct evidence *e, uint64_t now);

/* Add our signature to a draft. ERR_EXISTS when it is there. */
int epoch_sign(json_t *draft, const uint8_t secret[ETH_SECRET_LEN]);

/*
 * Add the signatures of another auditor's draft. ERR_MISMATCH: not the same message; `why` then says which of
 * its fields differ and where the evidence does. ERR_AUTH or ERR_MALFORMED: one of them is not by an auditor of
 * genesis, or there are more than auditors; none is added.
 */
int epoch_merge(const struct ledger *l, json_t *into, char why[REWARD_WHY_CAP], const json_t *other);

/* How many different auditors of genesis have signed a draft. */
size_t epoch_signers(const struct ledger *l, const json_t *draft);

/* -- asking: answers of commands, the caller's ------------------------------------------ */

/* ERR_NOT_FOUND: the epoch has no root (yet), or the relay was not registered at its end. */
int rewards_epoch(struct ledger *l, json_t **ret, uint64_t epoch);
int rewards_explain(struct ledger *l, json_t **ret, uint64_t epoch, const uint8_t relay_id[RELAY_ID_LEN]);

/*
 * What a closed epoch was computed from, as the document that "nonosctl rewards compute" and
 * reward_epoch_read() take: whoever has it can compute the epoch again.
 */
int rewards_inputs(struct ledger *l, json_t **ret, uint64_t epoch);

/* A relay's last `limit` epochs, newest first, and its sum. */
int rewards_relay(struct ledger *l, json_t **ret, const uint8_t relay_id[RELAY_ID_LEN], size_t limit);

/*
 * What an account earned and claimed, the last `limit` epochs and claims, newest first. The state of an
 * epoch's money is "attested", "submitted" when a claim took it that is not durable yet, or "final".
 */
int rewards_history(struct ledger *l, json_t **ret, const struct eth_addr *account, size_t limit);

/*
 * What the open epoch would pay if it ended with what `e` says so far: an estimate, relay by relay.
 * `e` is of any epoch that is not closed.
 */
int rewards_pending(struct ledger *l, json_t **ret, char why[REWARD_WHY_CAP], struct evidence *e);

/* -- claims --------------------------------------------------------------------------- */

/*
 * An account's money on its way:
 *	earned		attested in some EpochRoot so far, all together
 *	claimed		of that, taken by RewardClaims in the journal, all together
 *	submitted	of `claimed`, by entries that are not durable yet
 *	claimable	earned - claimed: what lies on rewards:<account>
 */
struct claim_state {
	struct amount earned, claimed, submitted, claimable;
	uint64_t epoch;			/* the last one with a root; meaningful when earned is not 0 */
	uint64_t last_claim;		/* time of the last claim's entry, 0: none */
	uint64_t oldest_unclaimed;	/* end of the first epoch of which something is claimable; 0: none */
};

int claim_state(struct ledger *l, struct claim_state *ret, const struct eth_addr *account);

/*
 * The RewardClaim of all that `account` may claim now, to be signed by it, or by enough auditors:
 * {"domain","primaryType","message"}. `node_id`: a relay that pays to the account, or NULL for all of them
 * (zeros). ERR_STATE: nothing is claimable. Making and submitting it again is harmless: what was claimed is
 * refused with REFUSED_CLAIM_AMOUNT or REFUSED_DUPLICATE and changes nothing.
 */
int claim_draft(struct ledger *l, json_t **ret, const struct eth_addr *account, const uint8_t *node_id,
		uint64_t deadline);

/* The claims of an account and where each stands, newest first: "submitted" or "final". */
int claim_list(struct ledger *l, json_t **ret, const struct eth_addr *account, size_t limit);

/*
 * A bundle that proves, to whoever trusts a genesis, what an account has earned in all:
 *
 *	{"format": "nonos-claim-1", "account", "amount", "proof": [hash ...],
 *	 "entry": the EpochRoot's entry, "log": its tlog-proof, "genesis": the document}
 *
 * ERR_NOT_FOUND: it has earned nothing yet; ERR_AGAIN: the last EpochRoot is not durable yet.
 */
int claim_bundle(struct ledger *l, json_t **ret, const struct eth_addr *account);

/* What a good bundle says. */
struct claim_verdict {
	uint8_t network[KECCAK256_LEN];		/* hash of the genesis that it was checked by */
	char name[GENESIS_NAME_CAP];
	struct eth_addr account;
	struct amount amount;			/* cumulative */
	uint64_t epoch;
	uint8_t root[KECCAK256_LEN], evidence[KECCAK256_LEN];
	size_t signers, threshold;
	uint64_t index, size;			/* of the entry; of the checkpoint's tree */
};

/*
 * Check a bundle without any ledger. `trusted` is the genesis that must be the bundle's; NULL takes the bundle's
 * word for it, and then its hash has to be compared by the reader. ERR_MALFORMED, ERR_MISMATCH (another
 * network), ERR_AUTH (a proof or signature is wrong) with the reason in `why`.
 */
int claim_check(struct claim_verdict *ret, char why[GENESIS_WHY_CAP], const json_t *bundle,
		const struct genesis *trusted);

#endif
