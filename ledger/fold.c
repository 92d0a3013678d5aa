#include "config.h"

#include "ledger_state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/err.h>

/* How far above the last one a nonce may be: a slip of the pen must not close an account for ever. */
enum { NONCE_AHEAD_MAX = 1 << 20 };

/* What the journal takes. */
static const struct fold_type *const types[] = {
	&fold_transfer, &fold_registration, &fold_stake_lock, &fold_stake_release, &fold_usage,
	&fold_epoch_root, &fold_reward_claim,
};

const struct fold_type *fold_find(const char *type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i]->name, type) == 0)
			return types[i];
	return NULL;
}

int ledger_refuse(struct ledger *l, enum refusal code, const char *fmt, ...)
{
	va_list ap;

	l->fold.refusal->code = code;
	va_start(ap, fmt);
	vsnprintf(l->fold.refusal->why, sizeof(l->fold.refusal->why), fmt, ap);
	va_end(ap);
	return ERR_REFUSED;
}

uint64_t fold_time(const struct ledger *l)
{
	return l->fold.time;
}

uint64_t fold_height(const struct ledger *l)
{
	return l->fold.height;
}

struct store *ledger_store(struct ledger *l)
{
	return l->store;
}

/* -- what all types have in common ------------------------------------------------------ */

static int check_signer(struct ledger *l, const struct object *o)
{
	char named[ETH_ADDR_TEXT_CAP], other[ETH_ADDR_TEXT_CAP];
	struct eth_addr found;

	if (!o->has_signer)
		return 0;
	if (o->n_sigs != 1)
		return ledger_refuse(l, REFUSED_BAD_SIGNATURE, "%s has one signature, not %zu", o->type, o->n_sigs);
	if (object_recover(&found, o, 0) < 0)
		return ledger_refuse(l, REFUSED_BAD_SIGNATURE, "the signature is not in the one accepted form, or no key can have made it");
	if (eth_addr_eq(&found, &o->signer))
		return 0;
	eth_addr_text(named, &o->signer);
	eth_addr_text(other, &found);
	return ledger_refuse(l, REFUSED_BAD_SIGNATURE, "it must be signed by %s, and is by %s, or over another message or network",
			     named, other);
}

static int check_until(struct ledger *l, const struct object *o)
{
	const char *name = o->fold->flags & FOLD_UNTIL ? "validUntil" : o->fold->flags & FOLD_DEADLINE ? "deadline" : NULL;
	char end[CLOCK_TEXT_CAP], now[CLOCK_TEXT_CAP];
	uint64_t until;

	if (!name)
		return 0;
	until = object_u64(o, name);
	if (l->fold.time <= until)
		return 0;
	return ledger_refuse(l, REFUSED_EXPIRED, "%s is %s, and it is %s now", name, clock_text(end, until),
			     clock_text(now, l->fold.time));
}

int ledger_next_nonce(struct ledger *l, uint64_t *ret, const struct eth_addr *signer)
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT next FROM nonce WHERE signer = ?", "b", signer->b, sizeof(signer->b));

	if (r == ERR_NOT_FOUND) {
		*ret = 0;
		return 0;
	}
	if (r < 0)
		return r;
	*ret = store_u64(row, 0);
	store_end(row);
	return 0;
}

static int check_nonce(struct ledger *l, const struct object *o)
{
	uint64_t nonce, next;
	int r;

	if (!(o->fold->flags & FOLD_NONCE))
		return 0;
	nonce = object_u64(o, "nonce");
	r = ledger_next_nonce(l, &next, &o->signer);
	if (r < 0)
		return r;
	if (nonce < next)
		return ledger_refuse(l, REFUSED_NONCE_USED, "the nonce is %" PRIu64 ", and the lowest that is free is %" PRIu64, nonce,
				     next);
	if (nonce - next > NONCE_AHEAD_MAX || nonce >= INT64_MAX)
		return ledger_refuse(l, REFUSED_NONCE_AHEAD, "the nonce is %" PRIu64 ", and the next one is %" PRIu64
				     "; at most %d may be left out", nonce, next, NONCE_AHEAD_MAX);
	return 0;
}

static int use_nonce(struct ledger *l, const struct object *o)
{
	if (!(o->fold->flags & FOLD_NONCE))
		return 0;
	return store_run(l->store, "INSERT INTO nonce VALUES(?, ?) ON CONFLICT(signer) DO UPDATE SET next = excluded.next", "bu",
			 o->signer.b, sizeof(o->signer.b), object_u64(o, "nonce") + 1);
}

static int check_duplicate(struct ledger *l, struct ledger_receipt *ret, const struct object *o)
{
	struct ledger_receipt first;
	int r = ledger_find(l, &first, o->digest);

	if (r == 0) {
		*ret = first;
		return ledger_refuse(l, REFUSED_DUPLICATE, "it is entry %" PRIu64 " of the journal already", first.index);
	}
	return r == ERR_NOT_FOUND ? 0 : r;
}

int object_check_signers(struct ledger *l, const struct object *o, const struct genesis_signers *who)
{
	bool signed_by[GENESIS_SIGNERS_MAX] = { false };
	char text[ETH_ADDR_TEXT_CAP];
	struct eth_addr found;

	for (size_t i = 0; i < o->n_sigs; i++) {
		size_t k = 0;

		if (object_recover(&found, o, i) < 0)
			return ledger_refuse(l, REFUSED_BAD_SIGNATURE, "signature %zu is in no accepted form", i);
		while (k < who->n && !eth_addr_eq(&found, &who->addrs[k]))
			k++;
		eth_addr_text(text, &found);
		if (k == who->n)
			return ledger_refuse(l, REFUSED_BAD_SIGNATURE, "signature %zu is by %s, who has no say in this", i, text);
		if (signed_by[k])
			return ledger_refuse(l, REFUSED_BAD_SIGNATURE, "%s signed twice", text);
		signed_by[k] = true;
	}
	if (o->n_sigs < who->threshold)
		return ledger_refuse(l, REFUSED_THRESHOLD, "%zu signed, and %u of %zu must", o->n_sigs, who->threshold, who->n);
	return 0;
}

/* -- one object -------------------------------------------------------------------------- */

/* The canonical bytes of its entry, which in a replay must be those that stand there. */
static int make_entry(struct ledger *l, char **ret, size_t *ret_len, const struct object *o, const char *expect,
		      size_t expect_len)
{
	int r = object_entry(ret, ret_len, o, l->fold.time);

	if (r < 0)
		return ledger_refuse(l, REFUSED_MALFORMED, "the message cannot be written in canonical form");
	if (*ret_len > LEDGER_ENTRY_MAX)
		r = ledger_refuse(l, REFUSED_TOO_LONG, "its entry would be %zu bytes, and %d are allowed", *ret_len, LEDGER_ENTRY_MAX);
	else if (expect && (*ret_len != expect_len || memcmp(*ret, expect, expect_len) != 0))
		r = ledger_refuse(l, REFUSED_MALFORMED, "the entry is not in its canonical form");
	if (r < 0)
		free(*ret);
	return r;
}

/* The checks that write nothing. A nonce is used up by the first of two alike; without one they must be looked for. */
static int fold_check(struct ledger *l, struct ledger_receipt *ret, const struct object *o)
{
	int r = 0;

	if (l->fold.time < l->end.time)
		return ledger_refuse(l, REFUSED_TIME, "the time is %" PRIu64 ", and that of the entry before %" PRIu64, l->fold.time,
				     l->end.time);
	if (!(o->fold->flags & FOLD_NONCE))
		r = check_duplicate(l, ret, o);
	if (r == 0)
		r = check_until(l, o);
	if (r == 0)
		r = check_signer(l, o);
	return r < 0 ? r : check_nonce(l, o);
}

/* What time brings comes first: money that is due can be spent by this very object. */
static int fold_write(struct ledger *l, struct ledger_receipt *ret, const struct object *o, const char *entry, size_t entry_len)
{
	int r = stake_due(l);

	if (r == 0)
		r = burn_due(l);
	l->fold.why = o->type;
	if (r == 0)
		r = o->fold->apply(l, o);
	if (r == 0)
		r = use_nonce(l, o);
	if (r == 0)
		r = journal_add(l, ret, o, l->fold.time, entry, entry_len);
	return r < 0 ? r : copy_entry(l, entry, entry_len, o->evidence, o->evidence_len);
}

static int fold_marked(struct ledger *l, struct ledger_receipt *ret, const struct object *o, const char *entry, size_t entry_len)
{
	int r = store_mark(l->store), undone;

	if (r < 0)
		return r;
	r = fold_write(l, ret, o, entry, entry_len);
	if (r == 0)
		return store_keep(l->store);
	if (r == ERR_REFUSED) {
		l->due_known = false;
		undone = store_undo(l->store);
		r = undone < 0 ? undone : r;
	}
	return r;
}

/* Whether stakes fall due, or the burn rate moves, with this entry. */
static bool time_brings(const struct ledger *l)
{
	return !l->due_known || l->fold.time >= l->next_due ||
	       genesis_epoch(l->genesis, l->fold.time) != genesis_epoch(l->genesis, l->end.time);
}

/* A savepoint copies every page that is touched in it: where nothing can need undoing there is none. */
static int fold_apply(struct ledger *l, struct ledger_receipt *ret, const struct object *o, const char *entry, size_t entry_len)
{
	int64_t before = store_changes(l->store);
	int r;

	if (time_brings(l) || !(o->fold->flags & FOLD_CLEAN))
		return fold_marked(l, ret, o, entry, entry_len);
	r = fold_write(l, ret, o, entry, entry_len);
	if (r == ERR_REFUSED && store_changes(l->store) != before)
		r = store_damaged(l->store, "%s was refused after it had written", o->type);
	return r;
}

static int fold_checked(struct ledger *l, struct ledger_receipt *ret, const struct object *o, const char *expect, size_t expect_len)
{
	size_t len;
	char *entry;
	int r = fold_check(l, ret, o);

	if (r == 0)
		r = make_entry(l, &entry, &len, o, expect, expect_len);
	if (r < 0)
		return r;
	r = fold_apply(l, ret, o, entry, len);
	free(entry);
	return r;
}

int fold_object(struct ledger *l, struct ledger_receipt *ret, struct ledger_refusal *refusal, const struct object *o,
		uint64_t time, const char *expect, size_t expect_len)
{
	struct ledger_receipt receipt = { .index = 0 };
	int r, found;

	l->fold = (struct fold_now){ .time = time, .height = l->end.tree.size + 1, .why = o->type, .refusal = refusal };
	r = fold_checked(l, &receipt, o, expect, expect_len);
	/* Whatever is wrong with it now: when it was taken before, that is what counts. */
	if (r == ERR_REFUSED && refusal->code != REFUSED_DUPLICATE) {
		found = check_duplicate(l, &receipt, o);
		r = found < 0 ? found : r;
	}
	if (r == 0 || (r == ERR_REFUSED && refusal->code == REFUSED_DUPLICATE))
		*ret = receipt;
	return r;
}

int fold_entry(struct ledger *l, struct ledger_receipt *ret, struct ledger_refusal *refusal, const struct entry *e)
{
	if (!e->refusal)
		return fold_object(l, ret, refusal, &e->object, e->time, e->text, e->len);
	*refusal = *e->refusal;
	return ERR_REFUSED;
}
