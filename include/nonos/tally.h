/*
 * The quadratic tally of a proposal. tally_compute() is a pure function of
 * rules, register and journal: no clock, no floating point, no order but the
 * journal's. Two nodes with the same journal get the same digest.
 *
 * Votes for an option are the integer square root of the credits put on it.
 * Credits are stake times reputation; stake counts base units, so roots have
 * 9 decimals.
 */
#ifndef NONOS_TALLY_H
#define NONOS_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <nonos/amount.h>
#include <nonos/eth_sig.h>
#include <nonos/keccak.h>

enum {
	TALLY_WHY_CAP = 256,
	TALLY_BP = 10000,
	TALLY_OPTIONS_MAX = 64,
	TALLY_VOTERS_MAX = 65536,
	TALLY_LOG_MAX = 65536,
};

enum tally_kind { TALLY_BINARY, TALLY_PLURAL };

/* Of a binary proposal the first option is "for" and the second "against". */
struct tally_rules {
	enum tally_kind kind;
	uint32_t n_options;		/* 2 to TALLY_OPTIONS_MAX */
	uint64_t opens, closes;		/* a ballot's time is from `opens` on and before `closes` */
	uint64_t extension;		/* of a late quorum */
	uint32_t quorum_bps, threshold_bps, min_voters, reputation_max_bps;
	uint64_t quorum_options;	/* bit k: option k helps the quorum */
	struct amount supply;		/* no stake is above it */
};

struct tally_voter {
	struct eth_addr addr;
	struct amount stake;
	uint32_t reputation_bps;
};

enum tally_entry_kind { TALLY_VOTE, TALLY_DELEGATION };

/* A line of the journal. Times are the journal's, and whoever fills this in checked the signature. */
struct tally_entry {
	enum tally_entry_kind kind;
	uint64_t index, time, nonce;
	bool valid;				/* the signature */
	struct eth_addr voter;			/* or delegator */
	uint32_t n_weights;			/* may be more than TALLY_OPTIONS_MAX; those are not kept */
	uint16_t weights[TALLY_OPTIONS_MAX];
	struct eth_addr delegatee;
	uint64_t valid_until;
};

struct tally_input {
	struct tally_rules rules;
	struct tally_voter *voters;	/* as of the snapshot, in any order */
	size_t n_voters;
	struct tally_entry *log;	/* indices rise, times do not fall */
	size_t n_log;
};

#define TALLY_REASONS(X) \
	X(TALLY_ACCEPTED, "") \
	X(TALLY_BAD_SIGNATURE, "bad signature") \
	X(TALLY_EARLY, "early") \
	X(TALLY_LATE, "late") \
	X(TALLY_DELEGATION_LATE, "delegation after opening") \
	X(TALLY_DELEGATION_EXPIRED, "delegation expired") \
	X(TALLY_NOT_REGISTERED, "not in the register") \
	X(TALLY_BAD_WEIGHTS, "bad weights") \
	X(TALLY_STALE, "stale nonce") \
	X(TALLY_DUPLICATE, "duplicate") \
	X(TALLY_EQUIVOCATION, "equivocation")

enum tally_reason {
#define X(name, text) name,
	TALLY_REASONS(X)
#undef X
};

enum tally_outcome { TALLY_NO_QUORUM, TALLY_PASSED, TALLY_DEFEATED, TALLY_TIED, TALLY_OPTION };

struct tally_rejected {
	uint64_t index;
	enum tally_reason why;
};

struct tally_result {
	uint32_t n_options;
	struct amount sums[TALLY_OPTIONS_MAX];
	struct amount quorum_power, total_power;
	uint32_t voters;		/* who voted themselves, with some power */
	uint32_t represented;		/* and those whose delegate did */
	uint64_t closes;
	bool extended;
	enum tally_outcome outcome;
	uint32_t winner;		/* of TALLY_OPTION */
	struct tally_rejected *rejected;	/* by index */
	size_t n_rejected;
};

/*
 * Compute the result; free it with tally_result_free(). ERR_RANGE, ERR_EXISTS or ERR_MALFORMED, and a
 * sentence in `why`, for rules that cannot be, a stake above the supply, a voter listed twice, or a
 * journal that runs back: a wrong register stops the tally, nothing in it is cut to fit.
 */
int tally_compute(struct tally_result **ret, char why[TALLY_WHY_CAP], const struct tally_input *in);
void tally_result_free(struct tally_result *r);

const char *tally_reason_text(enum tally_reason why);

/* -- as JSON, in tally_file.c ------------------------------------------------------ */

/*
 * Read { rules, register, log }, or an object that has it as `input`; ERR_MALFORMED and a sentence.
 * The supply is that of the token.
 */
int tally_input_read(struct tally_input **ret, char why[TALLY_WHY_CAP], const json_t *doc);
void tally_input_free(struct tally_input *in);

/* The result with its tallyHash, which is the Keccak-256 of the canonical text of all the rest. */
json_t *tally_result_json(const struct tally_result *r);

#endif
