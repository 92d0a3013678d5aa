#include "config.h"

#include "epoch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/doc_read.h>
#include <nonos/err.h>
#include <nonos/mem.h>

/* -- terms --------------------------------------------------------------------------- */

void epoch_terms_free(struct epoch_terms *t)
{
	if (!t)
		return;
	ledger_register_free(t->reg);
	reward_epoch_free(t->rewards);
	anyone_round_free(t->round);
	json_decref(t->round_doc);
	free(t);
}

int epoch_check_times(const struct genesis *g, const struct evidence *e, char why[REWARD_WHY_CAP])
{
	if ((uint64_t)e->from == genesis_epoch_start(g, e->epoch) && (uint64_t)e->to == genesis_epoch_start(g, e->epoch + 1))
		return 0;
	doc_fail(why, "epoch %" PRIu64 " lasts from %" PRIu64 " to %" PRIu64 ", and the evidence is of another time", e->epoch,
		 genesis_epoch_start(g, e->epoch), genesis_epoch_start(g, e->epoch + 1));
	return ERR_STATE;
}

/* The row of a registered relay; both its identities must be the registered ones. */
static const struct evidence_relay *find_measured(const struct evidence *e, const struct ledger_relay *relay)
{
	size_t low = 0, high = e->n_relays;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int r = memcmp(e->relays[mid].relay_id, relay->relay_id, RELAY_ID_LEN);

		if (r == 0)
			return memcmp(e->relays[mid].fingerprint, relay->fingerprint, REWARD_FINGERPRINT_LEN) == 0 ?
			       &e->relays[mid] : NULL;
		if (r < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static int fill_relay(struct reward_relay *r, const struct reward_params *p, const struct ledger_relay *relay,
		      const struct evidence_relay *m)
{
	memcpy(r->id, relay->relay_id, REWARD_ID_LEN);
	r->operator = relay->operator;
	r->payout = relay->payout;
	for (size_t i = 0; i < relay->n_parts; i++)
		if (reward_relay_lock(r, p, relay->parts[i].amount, relay->parts[i].lock_days) < 0)
			return ERR_RANGE;
	if (!m)
		return 0;
	memcpy(r->family, m->family, sizeof(r->family));
	memcpy(r->network, m->network, sizeof(r->network));
	r->running = m->running;
	r->exit = m->exit;
	r->guard = m->guard;
	r->weight_sum = m->weight_sum;
	return 0;
}

static int fill(struct ledger *l, struct epoch_terms *t, char *why, const struct evidence *m, struct amount reserve)
{
	struct reward_epoch *e = mem_new(sizeof(*e));
	bool crowded = l->genesis->policy == POLICY_NONOS_1 && t->reg->n > REWARD_RELAYS_MAX;

	t->rewards = e;
	e->params = l->genesis->rewards;
	e->reserve = reserve;
	e->seen = (uint32_t)m->n_consensuses;
	e->relays = mem_new_array(t->reg->n + 1, sizeof(*e->relays));
	for (size_t i = 0; i < t->reg->n; i++) {
		const struct ledger_relay *relay = &t->reg->relays[i];
		const struct evidence_relay *row = find_measured(m, relay);

		/*
		 * Registering costs nothing, and must not keep the others from being paid. Who was not measured has no
		 * credit and joins nobody: left out, he changes nothing. Of evidence there are never too many rows.
		 */
		if (crowded && !row)
			continue;
		if (fill_relay(&e->relays[e->n_relays++], &e->params, relay, row) < 0) {
			doc_fail(why, "the stakes of a relay leave their range");
			return ERR_RANGE;
		}
	}
	switch (l->genesis->policy) {
	case POLICY_NONOS_1:
		return reward_compute(e, why);
	case POLICY_ANYONE_1:
		return anyone_epoch(l, t, why, m);
	}
	return ERR_UNSUPPORTED;
}

static int register_at_end(struct ledger *l, struct ledger_register **ret, uint64_t end)
{
	struct ledger_snapshot at = { .time = end };
	int r = ledger_height_at(l, &at.height, end);

	return r < 0 ? r : ledger_register_at(l, ret, &at);
}

int epoch_compute(struct ledger *l, struct epoch_terms **ret, char why[REWARD_WHY_CAP], const struct evidence *own,
		  const struct evidence *normal, struct amount reserve)
{
	struct epoch_terms *t = mem_new(sizeof(*t));
	const struct evidence *m = own;
	int r;

	t->epoch = own->epoch;
	t->from = (uint64_t)own->from;
	t->to = (uint64_t)own->to;
	t->state = evidence_state(own);
	if (t->state != EVIDENCE_NORMAL && normal)
		m = normal;
	t->measured = m->epoch;
	r = register_at_end(l, &t->reg, t->to);
	if (r < 0)
		doc_fail(why, "the register at the epoch's end cannot be read");
	else
		r = fill(l, t, why, m, reserve);
	if (r == 0)
		*ret = t;
	else
		epoch_terms_free(t);
	return r;
}

/* -- earnings ------------------------------------------------------------------------ */

static int account_cmp(const void *a, const void *b)
{
	return memcmp(((const struct earning *)a)->account.b, ((const struct earning *)b)->account.b, ETH_ADDR_LEN);
}

static int load_earnings(struct ledger *l, struct earning **rows, size_t *n, size_t room)
{
	sqlite3_stmt *row;
	size_t cap = 0;
	int r = store_row(l->store, &row, "SELECT account, total FROM earning ORDER BY account", "");

	for (r = r < 0 ? r : 1; r == 1; r = store_next(l->store, row)) {
		if (*n + room >= cap) {
			cap = 2 * (*n + room) + 64;
			*rows = mem_resize(*rows, cap, sizeof(**rows));
		}
		(*rows)[*n].total = store_amount(row, 1);
		r = store_blob(l->store, row, 0, (*rows)[*n].account.b, ETH_ADDR_LEN);
		if (r < 0) {
			store_end(row);
			return r;
		}
		(*n)++;
	}
	if (!*rows)
		*rows = mem_new_array(room + 1, sizeof(**rows));
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* Add up rows of the same account, in place. */
static int merge(struct earning *rows, size_t *n)
{
	size_t out = 0;

	qsort(rows, *n, sizeof(*rows), account_cmp);
	for (size_t i = 0; i < *n; i++) {
		if (out && account_cmp(&rows[out - 1], &rows[i]) == 0) {
			if (amount_add(&rows[out - 1].total, rows[out - 1].total, rows[i].total) < 0)
				return ERR_RANGE;
		} else {
			rows[out++] = rows[i];
		}
	}
	*n = out;
	return 0;
}

int epoch_earnings(struct ledger *l, struct earning **ret, size_t *ret_n, const struct epoch_terms *t)
{
	struct earning *rows = NULL;
	size_t n = 0, room = t ? t->rewards->n_relays : 0;
	int r = load_earnings(l, &rows, &n, room);

	for (size_t i = 0; i < room && r == 0; i++)
		if (!amount_is_zero(t->rewards->relays[i].due))
			rows[n++] = (struct earning){ t->rewards->relays[i].payout, t->rewards->relays[i].due };
	if (r == 0)
		r = merge(rows, &n);
	if (r < 0) {
		free(rows);
		return r;
	}
	*ret = rows;
	*ret_n = n;
	return 0;
}

struct std_merkle *epoch_tree(const struct earning *rows, size_t n)
{
	struct std_entry *entries = mem_new_array(n + 1, sizeof(*entries));
	struct std_merkle *tree = NULL;

	for (size_t i = 0; i < n; i++)
		entries[i] = (struct std_entry){ .account = rows[i].account, .amount = rows[i].total };
	if (n)
		std_merkle_new(&tree, entries, n);
	free(entries);
	return tree;
}

void epoch_root_of(uint8_t ret[KECCAK256_LEN], const struct earning *rows, size_t n)
{
	struct std_merkle *tree = epoch_tree(rows, n);

	memset(ret, 0, KECCAK256_LEN);
	if (tree)
		memcpy(ret, std_merkle_root(tree)->b, KECCAK256_LEN);
	std_merkle_free(tree);
}

/* -- rows ---------------------------------------------------------------------------- */

int epoch_next(struct ledger *l, uint64_t *ret)
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT epoch FROM epoch ORDER BY epoch DESC LIMIT 1", "");

	if (r == ERR_NOT_FOUND) {
		*ret = 0;
		return 0;
	}
	if (r < 0)
		return r;
	*ret = store_u64(row, 0) + 1;
	store_end(row);
	return 0;
}

int epoch_row(struct ledger *l, struct epoch_row *ret, uint64_t epoch)
{
	struct epoch_row e = { .epoch = epoch };
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT height, state, measured, reserve, total, root, evidence FROM epoch WHERE epoch = ?",
			  "u", epoch);

	if (r < 0)
		return epoch > INT64_MAX ? ERR_NOT_FOUND : r;
	e.height = store_u64(row, 0);
	e.state = (enum evidence_state)store_u64(row, 1);
	e.measured = store_u64(row, 2);
	e.reserve = store_amount(row, 3);
	e.total = store_amount(row, 4);
	r = store_blob(l->store, row, 5, e.root, sizeof(e.root));
	if (r == 0)
		r = store_blob(l->store, row, 6, e.evidence, sizeof(e.evidence));
	store_end(row);
	if (r == 0)
		*ret = e;
	return r;
}

int epoch_previous(struct ledger *l, uint8_t ret[KECCAK256_LEN])
{
	struct epoch_row e = { .root = { 0 } };
	uint64_t next;
	int r = epoch_next(l, &next);

	if (r == 0 && next)
		r = epoch_row(l, &e, next - 1);
	if (r == 0)
		memcpy(ret, e.root, KECCAK256_LEN);
	return r;
}

int epoch_last_normal(struct ledger *l, struct evidence **ret)
{
	char why[REWARD_WHY_CAP], *text;
	sqlite3_stmt *row;
	size_t len;
	int r = store_row(l->store, &row, "SELECT evidence FROM measured", "");

	*ret = NULL;
	if (r < 0)
		return r == ERR_NOT_FOUND ? 0 : r;
	text = store_bytes(row, 0, &len);
	store_end(row);
	if (evidence_read(ret, why, text, len) < 0)
		r = store_damaged(l->store, "the evidence of the last normal epoch: %s", why);
	free(text);
	return r;
}
