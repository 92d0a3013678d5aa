/*
 * RewardClaim in the fold. It moves what lies on rewards:<recipient> to the
 * recipient, and nowhere else, so it takes no more trust than the recipient's
 * own signature, or that of enough auditors: a voucher. Amounts are cumulative: whichever
 * claims arrive, in whichever order, no unit is paid twice.
 */
#include "config.h"

#include "claim.h"

#include <inttypes.h>
#include <string.h>

#include <nonos/err.h>

int claim_row(struct ledger *l, struct claim_row *ret, const struct eth_addr *account)
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT epoch, total, claimed FROM earning WHERE account = ?", "b", account->b,
			  sizeof(account->b));

	if (r < 0)
		return r;
	ret->epoch = store_u64(row, 0);
	ret->total = store_amount(row, 1);
	ret->claimed = store_amount(row, 2);
	store_end(row);
	return 0;
}

/* What the account had earned with the end of `epoch`. */
static int earned_at(struct ledger *l, struct amount *ret, const struct eth_addr *account, uint64_t epoch)
{
	struct amount sum = { 0 };
	struct claim_row c;
	sqlite3_stmt *row;
	int r = claim_row(l, &c, account);

	if (r < 0)
		return r;
	/* Few epochs have passed since a claim was made, many since the first. */
	r = store_row(l->store, &row, "SELECT amount FROM due WHERE payout = ? AND epoch > ?", "bu", account->b,
		      sizeof(account->b), epoch);
	for (r = r < 0 ? r : 1; r == 1; r = store_next(l->store, row))
		(void)amount_add(&sum, sum, store_amount(row, 0));
	if (r < 0 && r != ERR_NOT_FOUND)
		return r;
	if (amount_sub(ret, c.total, sum) < 0)
		return store_damaged(l->store, "an account earned less than its epochs paid");
	return 0;
}

/* The recipient alone, or enough auditors. */
static int check_signers(struct ledger *l, const struct object *o, const struct eth_addr *recipient)
{
	struct eth_addr found;

	if (o->n_sigs == 1 && object_recover(&found, o, 0) == 0 && eth_addr_eq(&found, recipient))
		return 0;
	return object_check_signers(l, o, &l->genesis->auditors);
}

/* Zeros, or a relay that was ever registered to pay to the recipient. */
static int check_node(struct ledger *l, const struct object *o, const struct eth_addr *recipient)
{
	static const uint8_t zeros[RELAY_ID_LEN];
	uint8_t node[RELAY_ID_LEN];
	sqlite3_stmt *row;
	int r;

	object_bytes32(node, o, "nodeId");
	if (memcmp(node, zeros, sizeof(node)) == 0)
		return 0;
	r = store_row(l->store, &row, "SELECT 1 FROM registration WHERE relay = ? AND payout = ? LIMIT 1", "bb", node, sizeof(node),
		      recipient->b, sizeof(recipient->b));
	if (r == ERR_NOT_FOUND)
		return ledger_refuse(l, REFUSED_RELAY_UNKNOWN, "no relay of this nodeId was registered to pay to the recipient");
	if (r == 0)
		store_end(row);
	return r;
}

static int check_epoch(struct ledger *l, const struct object *o, uint64_t epoch)
{
	uint8_t named[KECCAK256_LEN];
	struct epoch_row e;
	int r = epoch_row(l, &e, epoch);

	if (r == ERR_NOT_FOUND)
		return ledger_refuse(l, REFUSED_EPOCH_RANGE, "epoch %" PRIu64 " has no root", epoch);
	if (r < 0)
		return r;
	object_bytes32(named, o, "evidenceHash");
	if (memcmp(named, e.evidence, sizeof(named)) != 0)
		return ledger_refuse(l, REFUSED_EVIDENCE, "evidenceHash is not that of epoch %" PRIu64, epoch);
	return 0;
}

/* How much of the named sum is still to be paid. */
static int open_amount(struct ledger *l, struct amount *ret, const struct object *o, const struct eth_addr *recipient,
		       uint64_t epoch)
{
	char text[AMOUNT_TEXT_CAP];
	struct amount named, earned = { 0 };
	struct claim_row c = { .epoch = 0 };
	int r = claim_row(l, &c, recipient);

	if (r == 0)
		r = earned_at(l, &earned, recipient, epoch);
	if (r < 0 && r != ERR_NOT_FOUND)
		return r;
	amount_token_text(text, earned);
	if (object_amount(&named, o, "cumulativeAmount") < 0 || amount_cmp(named, earned) > 0)
		return ledger_refuse(l, REFUSED_CLAIM_AMOUNT, "by epoch %" PRIu64 " the recipient had earned %s tokens in all", epoch,
				     text);
	amount_token_text(text, c.claimed);
	if (amount_sub(ret, named, c.claimed) < 0 || amount_is_zero(*ret))
		return ledger_refuse(l, REFUSED_CLAIM_AMOUNT, "%s tokens have been claimed already, and the claim is for no more", text);
	return 0;
}

static int pay(struct ledger *l, const struct eth_addr *recipient, uint64_t epoch, struct amount amount)
{
	struct account from = account_of(ACCOUNT_REWARDS, recipient), to = account_of(ACCOUNT_ADDRESS, recipient);
	struct claim_row c;
	int r = claim_row(l, &c, recipient);

	if (r == 0 && amount_add(&c.claimed, c.claimed, amount) < 0)
		r = store_damaged(l->store, "an account claimed more than there is");
	if (r == 0)
		r = ledger_move(l, &from, &to, amount);
	if (r == 0)
		r = store_run(l->store, "UPDATE earning SET claimed = ? WHERE account = ?", "ab", c.claimed, recipient->b,
			      sizeof(recipient->b));
	if (r == 0)
		r = store_run(l->store, "INSERT INTO claim VALUES(?, ?, ?, ?, ?)", "buuaa", recipient->b, sizeof(recipient->b),
			      fold_height(l), epoch, c.claimed, amount);
	return r;
}

static int apply(struct ledger *l, const struct object *o)
{
	uint64_t epoch = object_u64(o, "epoch");
	struct eth_addr recipient;
	struct amount amount;
	int r;

	object_address(&recipient, o, "recipient");
	r = check_signers(l, o, &recipient);
	if (r == 0)
		r = check_node(l, o, &recipient);
	if (r == 0)
		r = check_epoch(l, o, epoch);
	if (r == 0)
		r = open_amount(l, &amount, o, &recipient, epoch);
	return r < 0 ? r : pay(l, &recipient, epoch, amount);
}

const struct fold_type fold_reward_claim = { .name = "RewardClaim", .flags = FOLD_DEADLINE, .apply = apply };
