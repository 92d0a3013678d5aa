#include "config.h"

#include "ledger_priv.h"

#include <string.h>

#include <nonos/err.h>
#include <nonos/encode.h>

#include "ledger_state.h"

static const char *const words[] = {
	[ACCOUNT_ADDRESS] = "", [ACCOUNT_RESERVE] = "reserve", [ACCOUNT_VAULT] = "vault", [ACCOUNT_TREASURY] = "treasury",
	[ACCOUNT_BURN] = "burn", [ACCOUNT_STAKE] = "stake:", [ACCOUNT_REWARDS] = "rewards:",
};

enum { KINDS = sizeof(words) / sizeof(words[0]), NAME_LEN = 1 + ETH_ADDR_LEN };

static bool has_address(enum account_kind kind)
{
	return kind == ACCOUNT_ADDRESS || kind == ACCOUNT_STAKE || kind == ACCOUNT_REWARDS;
}

void account_text(char out[ACCOUNT_TEXT_CAP], const struct account *a)
{
	strcpy(out, words[a->kind]);
	if (has_address(a->kind))
		eth_addr_text(out + strlen(out), &a->addr);
}

int account_parse(struct account *ret, const char *text, size_t len)
{
	struct account a = { .kind = ACCOUNT_ADDRESS };
	size_t n = 0;
	int r;

	for (int kind = 1; kind < KINDS; kind++) {
		size_t word = strlen(words[kind]);

		if (len >= word && memcmp(text, words[kind], word) == 0) {
			a.kind = (enum account_kind)kind;
			n = word;
		}
	}
	if (!has_address(a.kind)) {
		if (len != n)
			return ERR_MALFORMED;
	} else {
		r = eth_addr_parse(&a.addr, text + n, len - n);
		if (r < 0)
			return r;
	}
	*ret = a;
	return 0;
}

/* The key of an account in the tables. */
static void name_of(uint8_t out[NAME_LEN], const struct account *a)
{
	out[0] = (uint8_t)a->kind;
	memcpy(out + 1, a->addr.b, ETH_ADDR_LEN);
}

/* -- reading ----------------------------------------------------------------------- */

static int read_amount(struct store *s, struct amount *ret, sqlite3_stmt *row)
{
	uint8_t bytes[AMOUNT_LEN];
	int r = store_blob(s, row, 0, bytes, sizeof(bytes));

	store_end(row);
	if (r == 0)
		*ret = amount_load(bytes);
	return r;
}

/* Where a posting stands. */
struct place {
	bool there;
	uint64_t height, seq;
};

static int balance(struct store *s, struct amount *ret, struct place *ret_last, const struct account *a)
{
	uint8_t name[NAME_LEN];
	sqlite3_stmt *row;
	int r;

	name_of(name, a);
	*ret_last = (struct place){ .there = false };
	r = store_row(s, &row, "SELECT balance, last_height, last_seq FROM account WHERE name = ?", "b", name, sizeof(name));
	if (r == ERR_NOT_FOUND) {
		*ret = amount_u64(0);
		return 0;
	}
	if (r < 0)
		return r;
	*ret_last = (struct place){ .there = true, .height = store_u64(row, 1), .seq = store_u64(row, 2) };
	return read_amount(s, ret, row);
}

static int total(struct store *s, struct amount *ret, enum account_kind kind)
{
	sqlite3_stmt *row;
	int r = store_row(s, &row, "SELECT balance FROM total WHERE kind = ?", "i", (int64_t)kind);

	if (r == ERR_NOT_FOUND)
		return store_damaged(s, "a total is missing");
	return r < 0 ? r : read_amount(s, ret, row);
}

int ledger_balance(struct ledger *l, struct amount *ret, const struct account *a)
{
	struct place last;

	return balance(l->store, ret, &last, a);
}

int ledger_supply(struct ledger *l, struct ledger_supply *ret)
{
	struct amount sum = amount_u64(0), t[KINDS];
	struct ledger_supply s = { 0 };
	sqlite3_stmt *row;
	int r;

	for (int kind = 0; kind < KINDS; kind++) {
		r = total(l->store, &t[kind], (enum account_kind)kind);
		if (r == 0 && amount_add(&sum, sum, t[kind]) < 0)
			r = store_damaged(l->store, "the totals of the accounts are too large");
		if (r < 0)
			return r;
	}
	if (amount_cmp(sum, l->genesis->supply) != 0)
		return store_damaged(l->store, "the accounts do not add up to the supply");
	r = store_row(l->store, &row, "SELECT rate_ppm FROM burn", "");
	if (r < 0)
		return r == ERR_NOT_FOUND ? store_damaged(l->store, "the burn rate is missing") : r;
	s.burn_ppm = (uint32_t)store_u64(row, 0);
	store_end(row);
	s.total = sum;
	s.burnt = t[ACCOUNT_BURN];
	s.reserve = t[ACCOUNT_RESERVE];
	s.treasury = t[ACCOUNT_TREASURY];
	s.vault = t[ACCOUNT_VAULT];
	s.staked = t[ACCOUNT_STAKE];
	s.rewards = t[ACCOUNT_REWARDS];
	s.addresses = t[ACCOUNT_ADDRESS];
	/* Parts of a sum that fitted. */
	amount_add(&s.circulating, s.addresses, s.staked);
	amount_add(&s.circulating, s.circulating, s.rewards);
	*ret = s;
	return 0;
}

static int add_up(struct ledger *l, struct amount sum[KINDS], sqlite3_stmt *row)
{
	uint8_t bytes[AMOUNT_LEN], name[NAME_LEN];
	int r = store_blob(l->store, row, 0, bytes, sizeof(bytes));

	if (r == 0)
		r = store_blob(l->store, row, 1, name, sizeof(name));
	if (r == 0 && (name[0] >= KINDS || amount_add(&sum[name[0]], sum[name[0]], amount_load(bytes)) < 0))
		r = store_damaged(l->store, "an account holds what it cannot");
	return r;
}

/* Compare the accounts of each kind with the totals, and those with the supply. */
int account_check(struct ledger *l)
{
	struct amount sum[KINDS] = { { 0 } }, t;
	struct ledger_supply supply;
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT balance, name FROM account", "");

	for (r = r < 0 ? r : 1; r == 1; r = store_next(l->store, row)) {
		r = add_up(l, sum, row);
		if (r < 0) {
			store_end(row);
			return r;
		}
	}
	for (int kind = 0; kind < KINDS && (r == 0 || r == ERR_NOT_FOUND); kind++) {
		r = total(l->store, &t, (enum account_kind)kind);
		if (r == 0 && amount_cmp(t, sum[kind]) != 0)
			r = store_damaged(l->store, "the accounts do not add up");
	}
	return r < 0 ? r : ledger_supply(l, &supply);
}

/* -- posting ------------------------------------------------------------------------- */

static int set_total(struct ledger *l, enum account_kind kind, bool credit, struct amount amount)
{
	struct amount t;
	int r = total(l->store, &t, kind);

	if (r == 0 && (credit ? amount_add(&t, t, amount) : amount_sub(&t, t, amount)) < 0)
		r = store_damaged(l->store, "a total does not hold what its accounts do");
	return r < 0 ? r : store_run(l->store, "UPDATE total SET balance = ? WHERE kind = ?", "ai", t, (int64_t)kind);
}

static int write_leg(struct ledger *l, const struct leg *leg, struct amount after, const struct place *last)
{
	uint64_t height = l->fold.height, seq = l->fold.seq++;
	uint8_t name[NAME_LEN];
	int r;

	name_of(name, &leg->account);
	if (!last->there)
		r = store_run(l->store, "INSERT INTO posting VALUES(?, ?, ?, NULL, NULL, ?, ?, ?, ?)", "uubiaat", height, seq, name,
			      sizeof(name), (int64_t)leg->credit, leg->amount, after, l->fold.why);
	else
		r = store_run(l->store, "INSERT INTO posting VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", "uubuuiaat", height, seq, name,
			      sizeof(name), last->height, last->seq, (int64_t)leg->credit, leg->amount, after, l->fold.why);
	if (r < 0)
		return r;
	if (!last->there)
		return store_run(l->store, "INSERT INTO account VALUES(?, ?, ?, ?)", "bauu", name, sizeof(name), after, height, seq);
	return store_run(l->store, "UPDATE account SET balance = ?, last_height = ?, last_seq = ? WHERE name = ?", "auub", after, height,
			 seq, name, sizeof(name));
}

static int apply_leg(struct ledger *l, const struct leg *leg)
{
	char name[ACCOUNT_TEXT_CAP], has[AMOUNT_TEXT_CAP], needs[AMOUNT_TEXT_CAP];
	struct amount before, after;
	struct place last;
	int r = balance(l->store, &before, &last, &leg->account);

	if (r < 0)
		return r;
	if (leg->credit) {
		if (amount_add(&after, before, leg->amount) < 0)
			return store_damaged(l->store, "an account holds more than the supply");
	} else if (amount_sub(&after, before, leg->amount) < 0) {
		account_text(name, &leg->account);
		amount_token_text(has, before);
		amount_token_text(needs, leg->amount);
		return ledger_refuse(l, REFUSED_OVERDRAWN, "%s holds %s tokens, which does not cover %s", name, has, needs);
	}
	return write_leg(l, leg, after, &last);
}

/* What the burn controller looks at: payments from the reserve, burns, spending of the treasury. */
static int note_flow(struct ledger *l, const struct leg *leg)
{
	if (leg->account.kind == ACCOUNT_RESERVE && !leg->credit)
		return burn_note(l, BURN_ISSUED, leg->amount);
	if (leg->account.kind == ACCOUNT_BURN)
		return burn_note(l, BURN_BURNT, leg->amount);
	if (leg->account.kind == ACCOUNT_TREASURY && !leg->credit)
		return burn_note(l, BURN_SPENT, leg->amount);
	return 0;
}

/* Totals move by the difference a posting makes to a kind; most make none. */
static int apply_totals(struct ledger *l, const struct leg *legs, size_t n)
{
	for (int kind = 0; kind < KINDS; kind++) {
		struct amount in = { 0 }, out = { 0 };
		int r = 0;

		for (size_t i = 0; i < n; i++)
			if (legs[i].account.kind == (enum account_kind)kind)
				amount_add(legs[i].credit ? &in : &out, legs[i].credit ? in : out, legs[i].amount);
		if (amount_cmp(in, out) > 0 && amount_sub(&in, in, out) == 0)
			r = set_total(l, (enum account_kind)kind, true, in);
		else if (amount_cmp(in, out) < 0 && amount_sub(&out, out, in) == 0)
			r = set_total(l, (enum account_kind)kind, false, out);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_balanced(const struct leg *legs, size_t n)
{
	struct amount in = { 0 }, out = { 0 };

	for (size_t i = 0; i < n; i++) {
		if (legs[i].credit ? amount_add(&in, in, legs[i].amount) < 0 : amount_add(&out, out, legs[i].amount) < 0)
			return false;
		if (legs[i].account.kind == ACCOUNT_BURN && !legs[i].credit)
			return false;
	}
	return amount_cmp(in, out) == 0;
}

int ledger_post(struct ledger *l, const struct leg *legs, size_t n)
{
	int r;

	if (!is_balanced(legs, n))
		return ERR_STATE;
	for (size_t i = 0; i < n; i++) {
		if (amount_is_zero(legs[i].amount))
			continue;
		r = apply_leg(l, &legs[i]);
		if (r == 0)
			r = note_flow(l, &legs[i]);
		if (r < 0)
			return r;
	}
	return apply_totals(l, legs, n);
}

int ledger_move(struct ledger *l, const struct account *from, const struct account *to, struct amount amount)
{
	struct leg legs[2] = { { .account = *from, .amount = amount }, { .account = *to, .credit = true, .amount = amount } };

	return ledger_post(l, legs, 2);
}

/* Money appears once, and only here: what genesis gives to whom. */
int account_genesis(struct ledger *l)
{
	static const struct account reserve = { .kind = ACCOUNT_RESERVE }, burn = { .kind = ACCOUNT_BURN };
	const struct genesis *g = l->genesis;
	struct leg first[2] = { { .account = reserve, .credit = true, .amount = g->reserve },
				{ .account = burn, .credit = true, .amount = g->burnt } };
	int r = 0;

	for (int kind = 0; kind < KINDS && r == 0; kind++)
		r = store_run(l->store, "INSERT INTO total VALUES(?, ?)", "ia", (int64_t)kind, amount_u64(0));
	for (size_t i = 0; i < 2 && r == 0; i++) {
		r = apply_leg(l, &first[i]);
		if (r == 0)
			r = set_total(l, first[i].account.kind, true, first[i].amount);
	}
	for (size_t i = 0; i < g->n_allocations && r == 0; i++) {
		struct leg leg = { .account = account_of(ACCOUNT_ADDRESS, &g->allocations[i].account), .credit = true,
				   .amount = g->allocations[i].amount };

		r = apply_leg(l, &leg);
		if (r == 0)
			r = set_total(l, ACCOUNT_ADDRESS, true, leg.amount);
	}
	return r;
}

/* -- history ----------------------------------------------------------------------------- */

enum { SKIP_MAX = 4096 };	/* postings that are gone through to find where to begin */

static int time_of(struct ledger *l, uint64_t *ret, uint64_t height)
{
	sqlite3_stmt *row;
	int r;

	*ret = l->genesis->time;
	if (height == 0)
		return 0;
	r = store_row(l->store, &row, "SELECT time FROM entry WHERE idx = ?", "u", height - 1);
	if (r < 0)
		return r == ERR_NOT_FOUND ? store_damaged(l->store, "an entry is missing") : r;
	*ret = store_u64(row, 0);
	store_end(row);
	return 0;
}

/* The last posting of the account below the height. Who pages on names the height of a posting of the account. */
static int history_start(struct ledger *l, struct place *ret, const struct account *a, uint64_t before)
{
	uint8_t name[NAME_LEN];
	struct amount holds;
	sqlite3_stmt *row;
	int r;

	name_of(name, a);
	r = before > l->end.tree.size ? ERR_NOT_FOUND :
	    store_row(l->store, &row, "SELECT prev_height, prev_seq FROM posting WHERE height = ? AND account = ? ORDER BY seq LIMIT 1", "ub",
		      before, name, sizeof(name));
	if (r == ERR_NOT_FOUND)
		return balance(l->store, &holds, ret, a);
	if (r < 0)
		return r;
	*ret = (struct place){ .there = sqlite3_column_type(row, 0) != SQLITE_NULL, .height = store_u64(row, 0), .seq = store_u64(row, 1) };
	store_end(row);
	return 0;
}

/* Read the posting at a place, and go to the one before it. */
static int read_line(struct ledger *l, struct ledger_line *ret, struct place *at)
{
	const char *why;
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT prev_height, prev_seq, credit, amount, balance, why FROM posting"
			  " WHERE height = ? AND seq = ?", "uu", at->height, at->seq);

	if (r < 0)
		return r == ERR_NOT_FOUND ? store_damaged(l->store, "a posting is missing") : r;
	*ret = (struct ledger_line){ .height = at->height, .credit = sqlite3_column_int(row, 2) != 0, .amount = store_amount(row, 3),
				     .balance = store_amount(row, 4) };
	why = (const char *)sqlite3_column_text(row, 5);
	memcpy(ret->why, why ? why : "", why ? strnlen(why, sizeof(ret->why) - 1) : 0);
	r = sqlite3_column_type(row, 0) != SQLITE_NULL && store_u64(row, 0) > at->height ?
	    store_damaged(l->store, "the postings of an account are not in order") : 0;
	*at = (struct place){ .there = sqlite3_column_type(row, 0) != SQLITE_NULL, .height = store_u64(row, 0), .seq = store_u64(row, 1) };
	store_end(row);
	return r < 0 ? r : time_of(l, &ret->time, ret->height);
}

int ledger_history(struct ledger *l, const struct account *a, uint64_t before, size_t limit,
		   int (*each)(void *ctx, const struct ledger_line *line), void *ctx)
{
	unsigned skipped = 0;
	struct place at;
	int r = history_start(l, &at, a, before);

	while (r == 0 && at.there && limit > 0) {
		struct ledger_line line;

		r = read_line(l, &line, &at);
		if (r < 0)
			return r;
		if (line.height >= before) {
			r = ++skipped > SKIP_MAX ? ERR_RANGE : 0;
		} else {
			limit--;
			r = each(ctx, &line);
		}
	}
	return r;
}
