/* EpochRoot in the fold: computes the epoch again, and pays. */
#include "config.h"

#include "epoch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/mem.h>

/* The epoch must be the next one, and over. */
static int check_epoch(struct ledger *l, uint64_t epoch)
{
	char until[CLOCK_TEXT_CAP], now[CLOCK_TEXT_CAP];
	uint64_t next, end;
	int r = epoch_next(l, &next);

	if (r < 0)
		return r;
	if (epoch < next)
		return ledger_refuse(l, REFUSED_EPOCH_CLOSED, "epoch %" PRIu64 " has a root already; the next is %" PRIu64, epoch, next);
	if (epoch > next)
		return ledger_refuse(l, REFUSED_EPOCH_RANGE, "epochs are closed in order, and the next is %" PRIu64, next);
	end = genesis_epoch_start(l->genesis, epoch + 1);
	if (fold_time(l) < end)
		return ledger_refuse(l, REFUSED_EPOCH_RANGE, "epoch %" PRIu64 " ends at %s, and it is %s now", epoch,
				     clock_text(until, end), clock_text(now, fold_time(l)));
	return 0;
}

static int check_previous(struct ledger *l, const struct object *o)
{
	uint8_t named[KECCAK256_LEN], previous[KECCAK256_LEN];
	int r = epoch_previous(l, previous);

	object_bytes32(named, o, "previous");
	if (r == 0 && memcmp(named, previous, sizeof(named)) != 0)
		r = ledger_refuse(l, REFUSED_ROOT_MISMATCH, "\"previous\" is not the root of the epoch before");
	return r;
}

static int read_evidence(struct ledger *l, struct evidence **ret, const struct object *o, uint64_t epoch)
{
	char why[REWARD_WHY_CAP];
	struct evidence *e;

	if (!o->evidence)
		return ledger_refuse(l, REFUSED_EVIDENCE, "the evidence is missing");
	if (evidence_read(&e, why, o->evidence, o->evidence_len) < 0)
		return ledger_refuse(l, REFUSED_EVIDENCE, "%s", why);
	if (e->epoch != epoch) {
		evidence_free(e);
		return ledger_refuse(l, REFUSED_EVIDENCE, "the evidence is of epoch %" PRIu64, epoch);
	}
	if (epoch_check_times(l->genesis, e, why) < 0) {
		evidence_free(e);
		return ledger_refuse(l, REFUSED_EVIDENCE, "%s", why);
	}
	*ret = e;
	return 0;
}

static int compute(struct ledger *l, struct epoch_terms **ret, const struct evidence *e)
{
	struct account reserve = account_of(ACCOUNT_RESERVE, NULL);
	struct evidence *normal = NULL;
	char why[REWARD_WHY_CAP] = "";
	struct amount balance;
	int r = ledger_balance(l, &balance, &reserve);

	if (r == 0 && evidence_state(e) != EVIDENCE_NORMAL)
		r = epoch_last_normal(l, &normal);
	if (r == 0) {
		r = epoch_compute(l, ret, why, e, normal, balance);
		if (r == ERR_MALFORMED || r == ERR_RANGE || r == ERR_EXISTS)
			r = ledger_refuse(l, REFUSED_EVIDENCE, "%s", why);
	}
	evidence_free(normal);
	return r;
}

static int check_result(struct ledger *l, const struct object *o, const struct epoch_terms *t, const uint8_t root[KECCAK256_LEN])
{
	char ours[AMOUNT_TEXT_CAP];
	uint8_t named[KECCAK256_LEN];
	struct amount total;

	amount_text(ours, t->rewards->paid);
	if (object_amount(&total, o, "total") < 0 || amount_cmp(total, t->rewards->paid) != 0)
		return ledger_refuse(l, REFUSED_ROOT_MISMATCH, "by this evidence and the reserve of now the epoch pays %s in total", ours);
	object_bytes32(named, o, "root");
	if (memcmp(named, root, sizeof(named)) != 0)
		return ledger_refuse(l, REFUSED_ROOT_MISMATCH, "the root is not that of what the accounts have earned by this evidence");
	return 0;
}

/* -- applying ------------------------------------------------------------------------- */

/* From the reserve to what lies on rewards:<account>, all in one posting. */
static int pay(struct ledger *l, const struct epoch_terms *t)
{
	const struct reward_epoch *e = t->rewards;
	struct leg *legs = mem_new_array(e->n_relays + 1, sizeof(*legs));
	size_t n = 0;
	int r;

	if (amount_is_zero(e->paid)) {
		free(legs);
		return 0;
	}
	legs[n++] = (struct leg){ .account = account_of(ACCOUNT_RESERVE, NULL), .amount = e->paid };
	for (size_t i = 0; i < e->n_relays; i++)
		if (!amount_is_zero(e->relays[i].due))
			legs[n++] = (struct leg){ .account = account_of(ACCOUNT_REWARDS, &e->relays[i].payout), .credit = true,
						  .amount = e->relays[i].due };
	r = ledger_post(l, legs, n);
	free(legs);
	return r;
}

static int write_dues(struct ledger *l, const struct epoch_terms *t)
{
	int r = 0;

	for (size_t i = 0; i < t->rewards->n_relays && r == 0; i++) {
		const struct reward_relay *relay = &t->rewards->relays[i];

		if (!amount_is_zero(relay->due))
			r = store_run(l->store, "INSERT INTO due VALUES(?, ?, ?, ?)", "buba", relay->id, sizeof(relay->id), t->epoch,
				      relay->payout.b, sizeof(relay->payout.b), relay->due);
	}
	return r;
}

/* `rows` are those of before with this epoch added: write the ones that it touched. */
static int write_earnings(struct ledger *l, const struct epoch_terms *t, const struct earning *rows, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = store_run(l->store, "INSERT INTO earning VALUES(?1, ?2, ?3, zeroblob(16)) ON CONFLICT(account) DO UPDATE"
			      " SET total = ?3, epoch = ?2 WHERE total <> ?3", "bua", rows[i].account.b, sizeof(rows[i].account.b),
			      t->epoch, rows[i].total);
	return r;
}

static int write_epoch(struct ledger *l, const struct object *o, const struct epoch_terms *t, const uint8_t root[KECCAK256_LEN])
{
	uint8_t evidence[KECCAK256_LEN];
	int r;

	object_bytes32(evidence, o, "evidenceHash");
	r = store_run(l->store, "INSERT INTO epoch VALUES(?, ?, ?, ?, ?, ?, ?, ?)", "uuuuaabb", t->epoch, fold_height(l),
		      (uint64_t)t->state, t->measured, t->rewards->reserve, t->rewards->paid, root, (size_t)KECCAK256_LEN,
		      evidence, sizeof(evidence));
	if (r == 0 && t->state == EVIDENCE_NORMAL && l->genesis->policy == POLICY_ANYONE_1)
		r = anyone_streaks(l, t);		/* looks at the last normal epoch, so before it is replaced */
	if (r == 0 && t->state == EVIDENCE_NORMAL)
		r = store_run(l->store, "INSERT OR REPLACE INTO measured VALUES(0, ?, ?)", "ub", t->epoch, o->evidence,
			      o->evidence_len);
	return r;
}

static int close_epoch(struct ledger *l, const struct object *o, const struct epoch_terms *t)
{
	uint8_t root[KECCAK256_LEN];
	struct earning *rows = NULL;
	size_t n = 0;
	int r = epoch_earnings(l, &rows, &n, t);

	if (r == 0) {
		epoch_root_of(root, rows, n);
		r = check_result(l, o, t, root);
	}
	if (r == 0)
		r = pay(l, t);
	if (r == 0)
		r = write_dues(l, t);
	if (r == 0)
		r = write_earnings(l, t, rows, n);
	if (r == 0)
		r = write_epoch(l, o, t, root);
	free(rows);
	return r;
}

static int apply(struct ledger *l, const struct object *o)
{
	uint64_t epoch = object_u64(o, "epoch");
	struct epoch_terms *t = NULL;
	struct evidence *e = NULL;
	int r = object_check_signers(l, o, &l->genesis->auditors);

	if (r == 0)
		r = check_epoch(l, epoch);
	if (r == 0)
		r = check_previous(l, o);
	if (r == 0)
		r = read_evidence(l, &e, o, epoch);
	if (r == 0)
		r = compute(l, &t, e);
	if (r == 0)
		r = close_epoch(l, o, t);
	epoch_terms_free(t);
	evidence_free(e);
	return r;
}

const struct fold_type fold_epoch_root = { .name = "EpochRoot", .flags = FOLD_EVIDENCE, .apply = apply };
