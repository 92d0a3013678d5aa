/*
 * Stakes. StakeLock moves money of an account to its stake account, bound to a
 * relay for a number of days; the stake's id is the digest that was signed.
 * StakeRelease, once the lock has ended, takes a part or all of it out: that part
 * counts no more from then on, and returns to the account when the unbonding
 * time is over, with the first entry after that, or a later one when many parts are due
 * (DUE_MAX an entry): what one entry costs must have a bound. Nothing slashes.
 */
#include "config.h"

#include "ledger_state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/mem.h>

enum { DAY_S = 86400, LOCK_DAYS_MAX = 3650, DUE_MAX = 100 };

/* -- locking ----------------------------------------------------------------------- */

static int check_relay(struct ledger *l, const uint8_t relay[RELAY_ID_LEN])
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT 1 FROM registration WHERE relay = ? LIMIT 1", "b", relay, (size_t)RELAY_ID_LEN);

	if (r == ERR_NOT_FOUND)
		return ledger_refuse(l, REFUSED_RELAY_UNKNOWN, "no relay of this relayId is registered; register it first");
	if (r == 0)
		store_end(row);
	return r;
}

static int apply_lock(struct ledger *l, const struct object *o)
{
	struct account from = account_of(ACCOUNT_ADDRESS, &o->signer), to = account_of(ACCOUNT_STAKE, &o->signer);
	uint64_t days = object_u64(o, "lockDays"), now = fold_time(l);
	uint8_t relay[RELAY_ID_LEN];
	struct amount amount;
	int r = object_payment(l, &amount, o);

	if (r < 0)
		return r;
	if (days > LOCK_DAYS_MAX)
		return ledger_refuse(l, REFUSED_LOCK_RANGE, "a lock is for at most %d days, not %" PRIu64, LOCK_DAYS_MAX, days);
	object_bytes32(relay, o, "relayId");
	r = check_relay(l, relay);
	if (r == 0)
		r = ledger_move(l, &from, &to, amount);
	if (r == 0)
		r = store_run(l->store, "INSERT INTO stake VALUES(?, ?, ?, ?, ?, ?, ?, ?)", "bubbauuu", o->digest, sizeof(o->digest),
			      fold_height(l), o->signer.b, sizeof(o->signer.b), relay, sizeof(relay), amount, days, now,
			      now + days * DAY_S);
	if (r == 0)
		r = store_run(l->store, "INSERT INTO stake_left VALUES(?, ?, ?)", "bua", o->digest, sizeof(o->digest),
			      fold_height(l), amount);
	return r;
}

const struct fold_type fold_stake_lock = { .name = "StakeLock", .flags = FOLD_NONCE | FOLD_UNTIL | FOLD_CLEAN, .apply = apply_lock };

/* -- releasing ------------------------------------------------------------------------ */

static int left_of(struct ledger *l, struct amount *ret, const uint8_t id[STAKE_ID_LEN])
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT amount FROM stake_left WHERE id = ? ORDER BY height DESC LIMIT 1", "b", id,
			  (size_t)STAKE_ID_LEN);

	if (r < 0)
		return r == ERR_NOT_FOUND ? store_damaged(l->store, "what is left of a stake is missing") : r;
	*ret = store_amount(row, 0);
	store_end(row);
	return 0;
}

/* The stake must be there, be the signer's, and its lock over. */
static int check_release(struct ledger *l, const struct object *o, const uint8_t id[STAKE_ID_LEN])
{
	char until[CLOCK_TEXT_CAP], now[CLOCK_TEXT_CAP];
	struct eth_addr account;
	uint64_t ends;
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT account, lock_ends FROM stake WHERE id = ?", "b", id, (size_t)STAKE_ID_LEN);

	if (r == 0) {
		r = store_blob(l->store, row, 0, account.b, sizeof(account.b));
		ends = store_u64(row, 1);
		store_end(row);
	}
	if (r == ERR_NOT_FOUND || (r == 0 && !eth_addr_eq(&account, &o->signer)))
		return ledger_refuse(l, REFUSED_STAKE_UNKNOWN, "the account has no stake of this stakeId");
	if (r == 0 && fold_time(l) < ends)
		return ledger_refuse(l, REFUSED_STAKE_LOCKED, "the lock ends at %s, and it is %s now", clock_text(until, ends),
				     clock_text(now, fold_time(l)));
	return r;
}

static int apply_release(struct ledger *l, const struct object *o)
{
	uint64_t due = fold_time(l) + l->genesis->unbonding_s;
	char has[AMOUNT_TEXT_CAP];
	uint8_t id[STAKE_ID_LEN];
	struct amount amount, left;
	int r = object_payment(l, &amount, o);

	object_bytes32(id, o, "stakeId");
	if (r == 0)
		r = check_release(l, o, id);
	if (r == 0)
		r = left_of(l, &left, id);
	if (r < 0)
		return r;
	amount_token_text(has, left);
	if (amount_sub(&left, left, amount) < 0)
		return ledger_refuse(l, REFUSED_OVERDRAWN, "of this stake %s tokens are left", has);
	r = store_run(l->store, "INSERT INTO stake_left VALUES(?, ?, ?)", "bua", id, sizeof(id), fold_height(l), left);
	if (r == 0)
		r = store_run(l->store, "INSERT INTO unbonding VALUES(?, ?, ?, ?)", "uuba", due, fold_height(l), id, sizeof(id),
			      amount);
	l->due_known = false;
	return r;
}

const struct fold_type fold_stake_release = { .name = "StakeRelease", .flags = FOLD_NONCE | FOLD_UNTIL | FOLD_CLEAN, .apply = apply_release };

/* -- paying back ------------------------------------------------------------------------- */

/* Give the first part that is due and take it off the list; ERR_NOT_FOUND. */
static int take_due(struct ledger *l, struct eth_addr *ret_account, struct amount *ret)
{
	uint64_t due, height;
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT due, unbonding.height, unbonding.amount, account FROM unbonding"
			  " JOIN stake USING(id) WHERE due <= ? ORDER BY due, unbonding.height LIMIT 1", "u", l->fold.time);

	if (r < 0)
		return r;
	due = store_u64(row, 0);
	height = store_u64(row, 1);
	*ret = store_amount(row, 2);
	r = store_blob(l->store, row, 3, ret_account->b, sizeof(ret_account->b));
	store_end(row);
	return r < 0 ? r : store_run(l->store, "DELETE FROM unbonding WHERE due = ? AND height = ?", "uu", due, height);
}

/* When the first part is due, asked of the database once. */
static int find_next_due(struct ledger *l)
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT min(due) FROM unbonding", "");

	if (r < 0)
		return r;
	l->next_due = sqlite3_column_type(row, 0) == SQLITE_NULL ? UINT64_MAX : store_u64(row, 0);
	l->due_known = true;
	store_end(row);
	return 0;
}

/* Pay the first part that is due; ERR_NOT_FOUND. */
static int pay_due(struct ledger *l)
{
	struct eth_addr account;
	struct account from, to;
	struct amount amount;
	int r = take_due(l, &account, &amount);

	if (r < 0)
		return r;
	from = account_of(ACCOUNT_STAKE, &account);
	to = account_of(ACCOUNT_ADDRESS, &account);
	r = ledger_move(l, &from, &to, amount);
	return r == ERR_REFUSED ? store_damaged(l->store, "a stake account does not hold what is unbonding") : r;
}

int stake_due(struct ledger *l)
{
	int r = l->due_known ? 0 : find_next_due(l);

	if (r < 0 || l->fold.time < l->next_due)
		return r;
	l->due_known = false;
	l->fold.why = "unbonding";
	for (int n = 0; n < DUE_MAX && r == 0; n++)
		r = pay_due(l);
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* -- asking --------------------------------------------------------------------------------- */

/* What of a stake is released and not paid back, and until when. */
static int unbonding_of(struct ledger *l, struct ledger_stake *s)
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT amount, due FROM unbonding WHERE id = ?", "b", s->stake_id, sizeof(s->stake_id));

	for (r = r < 0 ? r : 1; r == 1; r = store_next(l->store, row)) {
		amount_add(&s->unbonding, s->unbonding, store_amount(row, 0));
		if (store_u64(row, 1) > s->unbonds_at)
			s->unbonds_at = store_u64(row, 1);
	}
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* Columns: id, relay, account, amount, lock_days, locked_at, lock_ends. */
static int read_stake(struct ledger *l, struct ledger_stake *ret, sqlite3_stmt *row)
{
	struct ledger_stake s = { .amount = store_amount(row, 3), .lock_days = (uint32_t)store_u64(row, 4),
				  .locked_at = store_u64(row, 5), .lock_ends = store_u64(row, 6) };
	int r = store_blob(l->store, row, 0, s.stake_id, sizeof(s.stake_id));

	if (r == 0)
		r = store_blob(l->store, row, 1, s.relay_id, sizeof(s.relay_id));
	if (r == 0)
		r = store_blob(l->store, row, 2, s.account.b, sizeof(s.account.b));
	if (r == 0)
		r = left_of(l, &s.active, s.stake_id);
	if (r == 0)
		r = unbonding_of(l, &s);
	if (r == 0)
		*ret = s;
	return r;
}

int ledger_stake(struct ledger *l, struct ledger_stake *ret, const uint8_t stake_id[STAKE_ID_LEN])
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT id, relay, account, amount, lock_days, locked_at, lock_ends FROM stake WHERE id = ?",
			  "b", stake_id, (size_t)STAKE_ID_LEN);

	if (r < 0)
		return r;
	r = read_stake(l, ret, row);
	store_end(row);
	return r;
}

int ledger_stakes(struct ledger *l, const struct eth_addr *account, int (*each)(void *ctx, const struct ledger_stake *stake),
		  void *ctx)
{
	struct ledger_stake s;
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT id, relay, account, amount, lock_days, locked_at, lock_ends FROM stake"
			  " WHERE account = ? ORDER BY height", "b", account->b, sizeof(account->b));

	for (r = r < 0 ? r : 1; r == 1; r = store_next(l->store, row)) {
		r = read_stake(l, &s, row);
		if (r == 0 && !(amount_is_zero(s.active) && amount_is_zero(s.unbonding)))
			r = each(ctx, &s);
		if (r != 0) {
			store_end(row);
			return r;
		}
	}
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* -- the register ------------------------------------------------------------------------------- */

static void add_relay(struct ledger_register *g, const struct ledger_relay *relay, size_t *cap)
{
	if (g->n == *cap) {
		*cap = *cap ? 2 * *cap : 64;
		g->relays = mem_resize(g->relays, *cap, sizeof(*g->relays));
	}
	g->relays[g->n++] = *relay;
}

static int read_relay(struct ledger *l, struct ledger_relay *ret, sqlite3_stmt *row)
{
	struct ledger_relay x = { .tier = -1, .height = store_u64(row, 1) };
	int r = store_blob(l->store, row, 0, x.relay_id, sizeof(x.relay_id));

	if (r == 0)
		r = store_blob(l->store, row, 2, x.fingerprint, sizeof(x.fingerprint));
	if (r == 0)
		r = store_blob(l->store, row, 3, x.operator.b, sizeof(x.operator.b));
	if (r == 0)
		r = store_blob(l->store, row, 4, x.payout.b, sizeof(x.payout.b));
	if (r == 0)
		*ret = x;
	return r;
}

/* The last registration of each relay, by relay id. */
static int read_relays(struct ledger *l, struct ledger_register *g)
{
	struct ledger_relay relay;
	size_t cap = 0;
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT relay, height, fingerprint, operator, payout FROM registration WHERE height <= ?"
			  " ORDER BY relay, height", "u", g->at.height);

	for (r = r < 0 ? r : 1; r == 1; r = store_next(l->store, row)) {
		r = read_relay(l, &relay, row);
		if (r < 0) {
			store_end(row);
			return r;
		}
		if (g->n && memcmp(g->relays[g->n - 1].relay_id, relay.relay_id, RELAY_ID_LEN) == 0)
			g->relays[g->n - 1] = relay;
		else
			add_relay(g, &relay, &cap);
	}
	return r == ERR_NOT_FOUND ? 0 : r;
}

static int relay_cmp(const void *id, const void *relay)
{
	return memcmp(id, ((const struct ledger_relay *)relay)->relay_id, RELAY_ID_LEN);
}

const struct ledger_relay *ledger_register_find(const struct ledger_register *r, const uint8_t relay_id[RELAY_ID_LEN])
{
	return r->n ? bsearch(relay_id, r->relays, r->n, sizeof(*r->relays), relay_cmp) : NULL;
}

/* Columns: relay, account, lock_days, lock_ends, left. */
static int add_part(struct ledger *l, struct ledger_register *g, sqlite3_stmt *row)
{
	struct stake_part part = { .amount = store_amount(row, 4), .lock_days = (uint32_t)store_u64(row, 2) }, *parts;
	uint8_t id[RELAY_ID_LEN];
	struct ledger_relay *relay;
	int r = store_blob(l->store, row, 0, id, sizeof(id));

	if (r == 0)
		r = store_blob(l->store, row, 1, part.account.b, sizeof(part.account.b));
	if (r < 0)
		return r;
	relay = (struct ledger_relay *)ledger_register_find(g, id);
	if (!relay || amount_is_zero(part.amount))
		return 0;
	if (store_u64(row, 3) <= g->at.time)
		part.lock_days = 0;
	parts = (struct stake_part *)relay->parts;
	/* Grown at powers of two. */
	if ((relay->n_parts & (relay->n_parts - 1)) == 0)
		parts = mem_resize(parts, relay->n_parts ? 2 * relay->n_parts : 1, sizeof(*parts));
	parts[relay->n_parts++] = part;
	relay->parts = parts;
	return amount_add(&relay->stake, relay->stake, part.amount);
}

/* In the order in which both tables lie on the disk: anybody may make a million stakes of next to nothing. */
static int read_parts(struct ledger *l, struct ledger_register *g)
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT relay, account, lock_days, lock_ends, (SELECT amount FROM stake_left"
			  " WHERE id = stake.id AND height <= ?1 ORDER BY height DESC LIMIT 1)"
			  " FROM stake WHERE height <= ?1 ORDER BY id", "u", g->at.height);

	for (r = r < 0 ? r : 1; r == 1; r = store_next(l->store, row)) {
		r = add_part(l, g, row);
		if (r < 0) {
			store_end(row);
			return r;
		}
	}
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* The highest tier whose stake is reached by those parts whose lock is long enough. */
static int tier_of(const struct reward_params *p, const struct ledger_relay *relay)
{
	int tier = -1;

	for (size_t t = 0; t < p->n_tiers; t++) {
		struct amount sum = amount_u64(0);

		for (size_t i = 0; i < relay->n_parts; i++)
			if (relay->parts[i].lock_days >= p->tiers[t].days)
				amount_add(&sum, sum, relay->parts[i].amount);
		if (amount_cmp(sum, p->tiers[t].stake) >= 0)
			tier = (int)t;
	}
	return tier;
}

int ledger_register_at(struct ledger *l, struct ledger_register **ret, const struct ledger_snapshot *at)
{
	struct ledger_register *g;
	int r;

	if (at->height > l->end.tree.size)
		return ERR_RANGE;
	g = mem_new(sizeof(*g));
	g->at = *at;
	r = read_relays(l, g);
	if (r == 0)
		r = read_parts(l, g);
	if (r < 0) {
		ledger_register_free(g);
		return r;
	}
	for (size_t i = 0; i < g->n; i++)
		g->relays[i].tier = tier_of(&l->genesis->rewards, &g->relays[i]);
	*ret = g;
	return 0;
}

void ledger_register_free(struct ledger_register *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		free((struct stake_part *)r->relays[i].parts);
	free(r->relays);
	free(r);
}
