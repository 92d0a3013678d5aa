/*
 * The genesis document: canonical JSON that says what a network starts from
 * and by which rules it runs. Its Keccak-256 hash names the network, and the
 * last 20 bytes of the hash are the contract that every signature is made
 * for (EIP-712 domain, chainId 0), so that nothing signed for one network is
 * good on another. Integers only; amounts are decimal strings of base units.
 */
#ifndef NONOS_GENESIS_H
#define NONOS_GENESIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <nonos/amount.h>
#include <nonos/burn.h>
#include <nonos/eth_sig.h>
#include <nonos/keccak.h>
#include <nonos/rewards.h>

enum {
	GENESIS_LEN_MAX = 4 << 20,	/* bytes of the document */
	GENESIS_WHY_CAP = 256,
	GENESIS_NAME_CAP = 64,
	GENESIS_LOG_CAP = 320,		/* the writer's key as text */
	GENESIS_SIGNERS_MAX = 64,
	GENESIS_ALLOCATIONS_MAX = 10000,
};

enum genesis_policy { POLICY_NONOS_1, POLICY_ANYONE_1 };

struct genesis_allocation {
	struct eth_addr account;
	struct amount amount;
};

/* `threshold` of `n` accounts must sign. */
struct genesis_signers {
	struct eth_addr addrs[GENESIS_SIGNERS_MAX];
	size_t n;
	unsigned threshold;
};

/* Where a module's fee goes. What is not the publisher's is the treasury's part. */
struct genesis_revenue {
	unsigned publisher_bp;		/* of the fee */
	unsigned vault_bp;		/* of the treasury's part that is not burnt: to contributors */
};

struct genesis {
	uint8_t hash[KECCAK256_LEN];
	struct eth_addr contract;	/* verifyingContract of the domain */
	uint8_t domain_separator[KECCAK256_LEN];
	char *text;			/* the canonical document */
	size_t text_len;
	json_t *doc;

	char name[GENESIS_NAME_CAP];
	uint64_t time;			/* wall seconds; no entry is older; epoch 0 starts here */
	struct amount supply, public_part, reserve, burnt;
	struct genesis_allocation *allocations;	/* sum: public_part - burnt */
	size_t n_allocations;

	enum genesis_policy policy;
	struct reward_params rewards;	/* epoch length and tiers hold for any policy */
	json_t *anyone;			/* for POLICY_ANYONE_1: the "config" of its rounds; else NULL */

	uint32_t unbonding_s;
	struct genesis_signers auditors, council;
	struct genesis_revenue revenue;
	struct burn_params burn;	/* a step at most once an epoch */
	const json_t *dao;		/* checked for shape only; part of doc */
	char log[GENESIS_LOG_CAP];	/* the writer's note verification key; its name is the log's origin */
};

/*
 * Read a document. It need not be canonical text, its hash is that of the canonical
 * one. ERR_MALFORMED or ERR_RANGE with the reason, a place and a sentence, in `why`.
 */
int genesis_read(struct genesis **ret, char why[GENESIS_WHY_CAP], const char *text, size_t len);
void genesis_free(struct genesis *g);

/* The EIP-712 domain as JSON; the caller's. */
json_t *genesis_domain(const struct genesis *g);

/* The epoch that holds `time`; 0 for times before the first. And where an epoch starts. */
uint64_t genesis_epoch(const struct genesis *g, uint64_t time);
uint64_t genesis_epoch_start(const struct genesis *g, uint64_t epoch);

/*
 * A document with the usual numbers (800 M tokens; 70 % public, of which 20 % of the
 * supply burnt, all to `holder`; 30 % reserve; the tiers and policy of nonos-1),
 * one auditor and one council member, for genesis new. The caller's.
 */
json_t *genesis_usual(const char *name, uint64_t time, const struct eth_addr *holder, const struct eth_addr *auditor,
		      const char *log);

#endif
