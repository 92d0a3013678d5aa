/*
 * Rewards of an epoch: the evidence that auditors take from consensus
 * documents, and the policy "nonos-1" that turns it, with stakes and
 * registrations, into what each relay is due. Both are pure and exact: two
 * auditors with the same documents arrive at the same bytes. Nothing that a
 * relay says of its own traffic is part of either.
 */
#ifndef NONOS_REWARDS_H
#define NONOS_REWARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <nonos/amount.h>
#include <nonos/eth_sig.h>
#include <nonos/keccak.h>

enum {
	REWARD_ID_LEN = 32,		/* a relay's Ed25519 identity: relayId of its registration */
	REWARD_FINGERPRINT_LEN = 20,
	REWARD_GROUP_CAP = 65,		/* text of a family or network group, NUL included */
	REWARD_WHY_CAP = 256,
	REWARD_RELAYS_MAX = 100000,
	EVIDENCE_CONSENSUSES_MAX = 4096,
};

/* A consensus weight, or a sum of an epoch's, is at most 2^53 - 1: JSON carries it as a number. */
#define EVIDENCE_WEIGHT_MAX ((UINT64_C(1) << 53) - 1)

/* -- evidence: what an epoch's consensuses say -------------------------------------- */

/*
 * One consensus whose valid-after lies in the epoch. `weight` is the sum over
 * the relays it lists Running; `vanished` is that part of the weight of the
 * consensus before it (of the epoch before, for the first one) whose relays are not Running here.
 * `before` is the whole weight of the one before, 0 when there is none.
 */
struct evidence_consensus {
	int64_t valid_after;
	uint8_t sha256[32];		/* of the document as it was signed and published */
	uint64_t weight, before, vanished;
};

/*
 * What the consensuses say of one registered relay. A count is a number of
 * consensuses of this epoch: `running` lists it Running, and of these `exit` says Exit
 * and not BadExit, `guard` says Guard and is not counted in `exit`.
 * A relay that no consensus lists Running has no entry.
 */
struct evidence_relay {
	uint8_t relay_id[REWARD_ID_LEN];
	uint8_t fingerprint[REWARD_FINGERPRINT_LEN];
	uint32_t running, exit, guard;
	uint64_t weight_sum;		/* over the consensuses counted in `running` */
	/*
	 * Of the last consensus that lists it Running: the family that its members
	 * declare of each other ("" when none; lower-case hexadecimal digits: the lowest
	 * fingerprint of the family, or a family key), and the network group, "192.0.0.0/16" of
	 * its IPv4 address or "2001:db8::/32" when it has none.
	 */
	char family[REWARD_GROUP_CAP], network[REWARD_GROUP_CAP];
};

/* The evidence of one epoch, [from, to) in wall seconds. Arrays belong to it. */
struct evidence {
	uint64_t epoch;
	int64_t from, to;
	struct evidence_consensus *consensuses;		/* by valid_after, each time once */
	size_t n_consensuses;
	struct evidence_relay *relays;			/* by relay_id, each once */
	size_t n_relays;
};

struct evidence *evidence_new(uint64_t epoch, int64_t from, int64_t to);
void evidence_free(struct evidence *e);

/* Add a row, copied, in any order. A relay's row is passed over when `running` is 0. */
void evidence_add_consensus(struct evidence *e, const struct evidence_consensus *c);
void evidence_add_relay(struct evidence *e, const struct evidence_relay *r);

/* Sort, and look for rows that contradict each other: ERR_MALFORMED with the reason in `why`. */
int evidence_check(struct evidence *e, char why[REWARD_WHY_CAP]);

/*
 * The document: canonical JSON {"consensuses": [{"before", "sha256", "validAfter",
 * "vanished", "weight"}], "epoch", "from", "relays": [{"exit", "family", "fingerprint", "guard",
 * "network", "relayId", "running", "weight"}], "to"}. Writing checks first; reading
 * takes canonical bytes with sorted rows only. *ret is malloc()ed.
 */
json_t *evidence_json(const struct evidence *e);		/* of checked evidence; the caller's */
int evidence_write(char **ret, size_t *ret_len, char why[REWARD_WHY_CAP], struct evidence *e);
int evidence_read(struct evidence **ret, char why[REWARD_WHY_CAP], const char *text, size_t len);

/* evidenceHash of EpochRoot: keccak256 of the document's bytes. */
void evidence_hash(uint8_t ret[KECCAK256_LEN], const char *text, size_t len);

/*
 * An epoch pays by the measurements of the last normal one when it has no
 * consensus at all, or when at one of them more than a third of the weight
 * before it had vanished (vanished * 3 > before): what fails at so many at once
 * is not their operators' doing.
 */
enum evidence_state { EVIDENCE_NORMAL, EVIDENCE_NO_CONSENSUS, EVIDENCE_VANISHED };
enum evidence_state evidence_state(const struct evidence *e);
const char *evidence_state_name(enum evidence_state s);

/* -- the policy nonos-1 ------------------------------------------------------------- */

/*
 * Every term is an integer; a division floors. In this order, for each relay:
 *
 *  stake	the sum of its locks; an ended lock counts with 0 days
 *  tier	the last of the table whose stake is reached by the sum of those locks
 *		alone that are for at least its days
 *  weight	floor(weight_sum * 1,000,000 / running): the mean, in millionths
 *  cap		floor(stake * lambda_weight * 1,000,000 / lambda_stake), in millionths; at most
 *		2^128 - 1
 *  base	the smaller of weight and cap
 *  role	10,000 + floor(((exit_bp - 10,000) * exit + (guard_bp - 10,000) * guard) / running)
 *  credit	floor(base * running^2 * factor_bp * role / seen^2)
 *
 * with `seen` the consensuses of the epoch, factor_bp of the tier. A relay
 * without registration, stake, tier or a consensus that lists it Running has credit 0, and
 * `excluded` says why.
 *
 * Then credit is diluted, first by network, then by party. A party is an operator's
 * relays, those that share a family with one of them, those of their operators, and so
 * on. Let T be the sum of all credits and `limit` = floor(T * dilution_bp / 10,000).
 *
 *  spread	with N the credit of the relay's network group: floor(credit * limit / N) when
 *		N is above `limit`, else credit. A relay without a group is not diluted here
 *  counted	with P the sum of what is spread in its party: floor(spread * limit / P)
 *		when P is above `limit`, else spread
 *
 * The budget is floor(reserve * reserve_rate_bp * epoch_s / (10,000 * 31,536,000)).
 * With D the sum of what is counted, a relay is due floor(budget * counted /
 * D); the units that this leaves go, one each, to the relays with the largest
 * remainders of that division, of equal ones to the lower relay id. So the sum is the
 * budget; it is 0 when D is 0.
 *
 * What holds, and tests/unit/test_rewards.c tries:
 *  - The order of the relays changes nothing.
 *  - More weight, uptime, stake or lock never makes a relay's credit smaller. More
 *    credit of one relay never makes smaller what it is due, nor what its party is due together.
 *  - A relay split into several, its weight and locks divided among them in any way, role and
 *    uptime as before: they have no more credit. If they stay in its party and network, the
 *    party is not due more.
 *  - A stake split into more locks, or locks of more accounts, for one relay: no change.
 *  - An operator split into several whose relays stay in one family: no change. A party
 *    that is all in one network and stays there, split in any way: no change.
 *    A party at or below `limit` gains nothing by any split of its operators or families. (Nobody can tell apart one large operator that shows no tie
 *    between its relays from several small ones.)
 * But for roundings: less than one base unit a relay in the last division, less than one unit
 * of credit a relay in each term.
 */
enum {
	REWARD_TIERS_MAX = 16,
	REWARD_TIER_NAME_CAP = 24,
	REWARD_BP = 10000,
	REWARD_FACTOR_MAX = 100000,	/* of a tier or role, in basis points */
	REWARD_YEAR_S = 31536000,
	REWARD_LOCKS_MAX = 1000000,	/* in one epoch */
};

struct reward_tier {
	char name[REWARD_TIER_NAME_CAP];
	struct amount stake;
	uint32_t days, factor_bp;
};

/* Of genesis. Tiers ascend strictly in stake, and do not fall in days or factor. */
struct reward_params {
	uint32_t epoch_s;
	uint32_t reserve_rate_bp;	/* of the reserve */
	uint64_t lambda_weight;		/* so much consensus weight ... */
	struct amount lambda_stake;	/* ... is carried by so much stake */
	uint32_t dilution_bp;		/* of an epoch's credit */
	uint32_t guard_bp, exit_bp;
	struct reward_tier tiers[REWARD_TIERS_MAX];
	size_t n_tiers;
};

/* The usual ones: 3,600 s, 14 %, a weight of 10 a token, 5 %, Bronze to Diamond. */
struct reward_params reward_params_default(void);

/* 0, or what contradicts what is said above: ERR_RANGE with the reason in `why`. */
int reward_params_check(const struct reward_params *p, char why[REWARD_WHY_CAP]);

/*
 * {"dilutionBp", "epochSeconds", "exitBp", "guardBp", "lambdaStake", "lambdaWeight",
 * "reserveRateBp", "tiers": [{"factorBp", "lockDays", "name", "stake"}]}. Nothing may be
 * missing or unknown. Reading checks.
 */
int reward_params_read(struct reward_params *ret, char why[REWARD_WHY_CAP], const json_t *doc);
json_t *reward_params_json(const struct reward_params *p);

/* Why a relay has no credit. */
enum reward_excluded {
	REWARD_COUNTED,
	REWARD_NOT_RUNNING,		/* no consensus of the epoch lists it Running */
	REWARD_NO_STAKE,
	REWARD_NO_TIER,			/* the stake is below the lowest tier's */
	REWARD_NO_WEIGHT,		/* weight 0, or so little that the credit is 0 */
};
/* A sentence for its operator. */
const char *reward_excluded_text(enum reward_excluded e);

/* One registered relay: what the policy is told of it, and every term of what it says. */
struct reward_relay {
	uint8_t id[REWARD_ID_LEN];
	struct eth_addr operator, payout;
	char family[REWARD_GROUP_CAP], network[REWARD_GROUP_CAP];	/* "" when none */
	uint32_t running, exit, guard;
	uint64_t weight_sum;
	struct amount stake;				/* sum of its locks */
	struct amount locked[REWARD_TIERS_MAX];		/* of those for at least the tier's days */

	int tier;					/* -1: none */
	struct amount weight, cap, base;
	uint32_t role_bp;				/* 0: not running */
	size_t party;					/* index of its first relay */
	struct amount credit;
	struct amount network_credit, spread;		/* of its network together; its own, diluted */
	struct amount party_credit, counted;		/* likewise of its party */
	struct amount due;
	enum reward_excluded excluded;
};

/* An epoch. Relays belong to it and are in the order of their ids after computing. */
struct reward_epoch {
	struct reward_params params;
	struct amount reserve;
	uint32_t seen;					/* consensuses */
	struct reward_relay *relays;
	size_t n_relays;

	struct amount budget, paid, credit, limit, counted;
};

/* Count a lock for the relay; `days` is 0 when it has ended. ERR_RANGE. */
int reward_relay_lock(struct reward_relay *r, const struct reward_params *p, struct amount amount, uint32_t days);

/* Fill in every term. ERR_EXISTS for a relay that is there twice, ERR_RANGE, ERR_MALFORMED. */
int reward_compute(struct reward_epoch *e, char why[REWARD_WHY_CAP]);

/*
 * The same from a JSON document: {"policy": "nonos-1", "params", "reserve", "consensuses":
 * N, "relays": {id: {"operator", "payout", "family", "network", "running", "exit",
 * "guard", "weight", "locks": [{"amount", "days"}]}}}; nonosctl(1) has it in full. "about"
 * and "expect" may stand beside them.
 */
int reward_epoch_read(struct reward_epoch **ret, char why[REWARD_WHY_CAP], const json_t *doc);
void reward_epoch_free(struct reward_epoch *e);

/* The other way. Locks are told as few as give the same tier and stake. */
json_t *reward_epoch_inputs(const struct reward_epoch *e);

/* The result: {"budget", "counted", "credit", "limit", "relays": {id: {...}}, "total"}; and of one relay. */
json_t *reward_epoch_json(const struct reward_epoch *e);
json_t *reward_relay_json(const struct reward_epoch *e, const struct reward_relay *r);

/* -- what a stake would earn ------------------------------------------------------------ */

enum reward_role { REWARD_MIDDLE, REWARD_GUARD, REWARD_EXIT };

/*
 * What `amount` would earn in an epoch like `e`, for each tier that it reaches and each number of relays it can be
 * divided among: {"amount", "weight", "role", "relays", "epoch_s", "assumptions": [sentence ...], "options": [{"tier",
 * "lock_days", "relays", "stake_each", "carries", "epoch_due", "yearly", "yield_bp", "yield_percent"} ...]}, best yield
 * first. Each relay is taken to have `weight` (0: the mean of those that earn in `e`). ERR_RANGE for no amount or
 * parameters out of range, ERR_NOT_FOUND when it reaches no tier; `why` has the sentence.
 */
int stake_optimize(json_t **ret, char why[REWARD_WHY_CAP], const struct reward_epoch *e, struct amount amount,
		   uint64_t weight, enum reward_role role);

#endif
