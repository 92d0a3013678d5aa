/*
 * Inside of epochs: what the fold, drafts and questions share. An epoch's
 * terms follow from its evidence, the register at its end, and the reserve at the
 * moment of closing; its root from those and what all accounts had earned.
 */
#ifndef LEDGER_EPOCH_H
#define LEDGER_EPOCH_H

#include <nonos/anyone_rewards.h>
#include <nonos/epochs.h>

#include "ledger_state.h"
#include "std_merkle.h"

/* What closing an epoch does. Owned by its maker. */
struct epoch_terms {
	uint64_t epoch, from, to;
	enum evidence_state state;
	uint64_t measured;		/* the epoch whose measurements are paid by */
	struct ledger_register *reg;
	struct reward_epoch *rewards;	/* as many relays as `reg`, in its order; of anyone-1 only what is due */
	struct anyone_round *round;	/* of anyone-1, else NULL */
	json_t *round_doc;		/* what it was read from */
};

/*
 * Compute from the evidence of the epoch itself. `normal` is that of the last normal epoch before it,
 * or NULL; only looked at when `own` is not normal. ERR_MALFORMED and ERR_RANGE with `why`.
 */
int epoch_compute(struct ledger *l, struct epoch_terms **ret, char why[REWARD_WHY_CAP], const struct evidence *own,
		  const struct evidence *normal, struct amount reserve);
void epoch_terms_free(struct epoch_terms *t);

/* Check that evidence is of the epoch that genesis says. ERR_STATE with `why`. */
int epoch_check_times(const struct genesis *g, const struct evidence *e, char why[REWARD_WHY_CAP]);

/* The evidence of the last normal epoch that is closed; *ret is NULL when there is none. */
int epoch_last_normal(struct ledger *l, struct evidence **ret);

/* What an account earned: a row of the tree. */
struct earning {
	struct eth_addr account;
	struct amount total;
};

/* By account, with what `t` adds (NULL: nothing); malloc()ed. */
int epoch_earnings(struct ledger *l, struct earning **ret, size_t *ret_n, const struct epoch_terms *t);

/* The root over the earnings; zeros when there are none. */
void epoch_root_of(uint8_t ret[KECCAK256_LEN], const struct earning *rows, size_t n);

/* A tree over them; NULL when there are none. */
struct std_merkle *epoch_tree(const struct earning *rows, size_t n);

/* The root of the last epoch that is closed; zeros before the first. */
int epoch_previous(struct ledger *l, uint8_t ret[KECCAK256_LEN]);

/* -- epoch_anyone.c ------------------------------------------------------------------- */

/*
 * The policy anyone-1 on what was measured: fills what each relay of t->rewards is due. A score has the mean weight
 * as Network; the whole days for which the relay ran in every normal epoch without a break as UptimeStreak; as
 * FamilySize and LocationSize how many others share its family and its network group; ExitBonus when it was
 * an exit in more than half of the consensuses in which it ran; and no IsHardware, which nobody can
 * measure. What a second pays is at most what the reserve holds for the epoch.
 */
int anyone_epoch(struct ledger *l, struct epoch_terms *t, char why[REWARD_WHY_CAP], const struct evidence *m);

/* After a normal epoch: which relays ran on. */
int anyone_streaks(struct ledger *l, const struct epoch_terms *t);

/* The relay's row of the round, or NULL when it was not measured. */
const struct anyone_relay *anyone_find(const struct epoch_terms *t, const uint8_t relay_id[RELAY_ID_LEN]);

/* -- rows --------------------------------------------------------------------------- */

struct epoch_row {
	uint64_t epoch, height, measured;
	enum evidence_state state;
	struct amount reserve, total;
	uint8_t root[KECCAK256_LEN], evidence[KECCAK256_LEN];
};

/* ERR_NOT_FOUND. */
int epoch_row(struct ledger *l, struct epoch_row *ret, uint64_t epoch);

#endif
