/* Claims from the account's side: what there is to claim, the object that does it, and where each stands. */
#include "config.h"

#include "claim.h"

#include <inttypes.h>
#include <string.h>

#include <nonos/doc_read.h>
#include <nonos/err.h>
#include <nonos/json_set.h>

/* When the account's newest claim was taken; ERR_NOT_FOUND. */
static int newest_claim(struct ledger *l, uint64_t *ret_time, const struct eth_addr *account)
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT entry.time FROM claim JOIN entry ON entry.idx = claim.height - 1"
			  " WHERE account = ? ORDER BY height DESC LIMIT 1", "b", account->b, sizeof(account->b));

	if (r < 0)
		return r;
	*ret_time = store_u64(row, 0);
	store_end(row);
	return 0;
}

/*
 * The end of the first epoch of which something is not claimed. A claim may be for a part, so its
 * epoch does not tell: the epochs are gone through from the last one back, until what was earned before is claimed.
 */
static int first_unclaimed(struct ledger *l, uint64_t *ret_end, const struct eth_addr *account, const struct claim_row *c)
{
	bool none = amount_is_zero(c->claimed);		/* it is the first one of all, and the way back may be long */
	struct amount earned = c->total;
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, none ? "SELECT epoch, amount FROM due WHERE payout = ? ORDER BY epoch LIMIT 1" :
						 "SELECT epoch, amount FROM due WHERE payout = ? ORDER BY epoch DESC", "b",
			  account->b, sizeof(account->b));

	for (r = r < 0 ? r : 1; r == 1; r = store_next(l->store, row)) {
		if (amount_cmp(earned, c->claimed) <= 0) {
			store_end(row);
			return 0;
		}
		*ret_end = genesis_epoch_start(l->genesis, store_u64(row, 0) + 1);
		(void)amount_sub(&earned, earned, store_amount(row, 1));
	}
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* What of the claims is in the open batch. */
static int sum_submitted(struct ledger *l, struct amount *ret, const struct eth_addr *account)
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT amount FROM claim WHERE account = ? AND height > ?", "bu", account->b,
			  sizeof(account->b), ledger_committed(l));

	for (r = r < 0 ? r : 1; r == 1; r = store_next(l->store, row))
		(void)amount_add(ret, *ret, store_amount(row, 0));
	return r == ERR_NOT_FOUND ? 0 : r;
}

int claim_state(struct ledger *l, struct claim_state *ret, const struct eth_addr *account)
{
	struct claim_state s = { .epoch = 0 };
	uint64_t next;
	struct claim_row c;
	int r = epoch_next(l, &next);

	if (r == 0)
		r = claim_row(l, &c, account);
	if (r == ERR_NOT_FOUND) {
		*ret = s;
		return 0;
	}
	if (r < 0)
		return r;
	s.earned = c.total;
	s.claimed = c.claimed;
	s.epoch = next ? next - 1 : 0;
	if (amount_sub(&s.claimable, c.total, c.claimed) < 0)
		return store_damaged(l->store, "an account claimed more than it earned");
	r = newest_claim(l, &s.last_claim, account);
	if (r == 0 || r == ERR_NOT_FOUND)
		r = first_unclaimed(l, &s.oldest_unclaimed, account, &c);
	if (r == 0)
		r = sum_submitted(l, &s.submitted, account);
	if (r == 0)
		*ret = s;
	return r;
}

int claim_draft(struct ledger *l, json_t **ret, const struct eth_addr *account, const uint8_t *node_id, uint64_t deadline)
{
	static const uint8_t zeros[RELAY_ID_LEN];
	struct claim_state s;
	struct epoch_row e;
	json_t *m;
	int r = claim_state(l, &s, account);

	if (r == 0 && amount_is_zero(s.claimable))
		r = ERR_STATE;
	if (r == 0)
		r = epoch_row(l, &e, s.epoch);
	if (r < 0)
		return r;
	m = json_object();
	json_set_hex(m, "nodeId", node_id ? node_id : zeros, RELAY_ID_LEN);
	json_set_address(m, "recipient", account);
	json_object_set_new(m, "epoch", json_sprintf("%" PRIu64, s.epoch));
	json_set_amount(m, "cumulativeAmount", s.earned);
	json_set_hex(m, "evidenceHash", e.evidence, sizeof(e.evidence));
	json_object_set_new(m, "deadline", json_sprintf("%" PRIu64, deadline));
	*ret = json_pack("{s:o, s:s, s:o}", "domain", genesis_domain(l->genesis), "primaryType", "RewardClaim", "message", m);
	return 0;
}

int claim_list(struct ledger *l, json_t **ret, const struct eth_addr *account, size_t limit)
{
	json_t *list = json_array();
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT height, claim.epoch, total, amount, entry.time FROM claim"
			  " JOIN entry ON entry.idx = claim.height - 1 WHERE account = ? ORDER BY height DESC LIMIT ?", "bu",
			  account->b, sizeof(account->b), (uint64_t)limit);

	for (r = r < 0 ? r : 1; r == 1; r = store_next(l->store, row)) {
		uint64_t height = store_u64(row, 0);
		json_t *o = json_pack("{s:I, s:I, s:I, s:s}", "entry", (json_int_t)(height - 1), "epoch", (json_int_t)store_u64(row, 1),
				      "time", (json_int_t)store_u64(row, 4), "state",
				      height <= ledger_committed(l) ? "final" : "submitted");

		json_set_amount(o, "amount", store_amount(row, 3));
		json_set_amount(o, "cumulative", store_amount(row, 2));
		json_array_append_new(list, o);
	}
	if (r < 0 && r != ERR_NOT_FOUND) {
		json_decref(list);
		return r;
	}
	*ret = list;
	return 0;
}
