/* Replay the journal into an empty database, and compare all that follows from it. */
#include "config.h"

#include "ledger_state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/checkpoint.h>
#include <nonos/err.h>
#include <nonos/mem.h>

#include "ahead.h"
#include "schema.h"

enum { BATCH = 4096, SQL_CAP = 512 };

struct verify {
	struct ledger *l, *replay;
	struct ledger_report *report;
};

static void __attribute__((format(printf, 2, 3))) differ(struct verify *v, const char *fmt, ...)
{
	va_list ap;

	if (v->report->differences++)
		return;
	va_start(ap, fmt);
	vsnprintf(v->report->first, sizeof(v->report->first), fmt, ap);
	va_end(ap);
}

/* -- replaying ------------------------------------------------------------------------ */

static bool same_blob(sqlite3_stmt *row, int column, const void *data, size_t len)
{
	const void *have = sqlite3_column_blob(row, column);

	return (size_t)sqlite3_column_bytes(row, column) == len && have && memcmp(have, data, len) == 0;
}

/* The entries in the database. Columns: idx, body, evidence. */
struct rows {
	struct store *store;
	sqlite3_stmt *row;		/* NULL: it failed */
	uint64_t next, total;
};

/* The value of a column; NULL when it is empty. */
static char *copy_blob(size_t *ret_len, sqlite3_stmt *row, int column)
{
	const void *data = sqlite3_column_blob(row, column);

	*ret_len = data ? (size_t)sqlite3_column_bytes(row, column) : 0;
	return data ? mem_dup(data, *ret_len) : NULL;
}

static bool next_row(void *ctx, struct ahead_item *ret)
{
	struct rows *s = ctx;
	int r;

	if (s->next == s->total || !s->row)
		return false;
	ret->number = s->next;
	r = store_next(s->store, s->row);
	if (r != 1 || store_u64(s->row, 0) != s->next) {
		ret->r = r < 0 ? r : ERR_NOT_FOUND;
		store_drop(s->row);
		s->row = NULL;
		return true;
	}
	s->next++;
	ret->line.entry = copy_blob(&ret->line.entry_len, s->row, 1);
	if (!ret->line.entry)
		ret->line.entry = mem_strdup("");
	ret->line.evidence = copy_blob(&ret->line.evidence_len, s->row, 2);
	return true;
}

/* 1: go on. */
static int replay_item(struct verify *v, const struct ahead *a, struct ahead_item *item)
{
	struct ledger_refusal refusal;
	struct ledger_receipt receipt;
	int r;

	if (item->r == ERR_NOT_FOUND) {
		differ(v, "entry %" PRIu64 " is missing", item->number);
		return 0;
	}
	if (item->r < 0)
		return ledger_fail(v->l, item->r, "%s", store_error(v->l->store));
	r = ledger_batch(v->replay);
	if (r == 0)
		r = fold_entry(v->replay, &receipt, &refusal, ahead_entry(a, item));
	if (r == ERR_REFUSED) {
		differ(v, "entry %" PRIu64 " does not follow from those before it: %s", item->number, refusal.why);
		return 0;
	}
	if (r < 0)
		return ledger_fail(v->l, r, "%s", store_error(v->replay->store));
	v->report->entries++;
	return 1;
}

static int replay_rows(struct verify *v, struct rows *rows, int (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx)
{
	struct ahead *a = ahead_new(v->l->genesis, next_row, rows, NULL);
	struct ahead_item *item;
	int r = 1;

	while (r == 1 && (item = ahead_next(a))) {
		r = replay_item(v, a, item);
		if (r != 1 || v->report->entries % BATCH)
			continue;
		r = ledger_commit(v->replay);
		if (r == 0)
			r = progress && progress(ctx, v->report->entries, rows->total) ? ERR_CLOSED : 1;
	}
	ahead_free(a);
	return r < 0 ? r : ledger_commit(v->replay);
}

static int replay_all(struct verify *v, int (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx)
{
	struct rows rows = { .store = v->l->store, .total = v->l->committed.tree.size };
	int r = store_prepare(v->l->store, &rows.row, "SELECT idx, entry.body, evidence.body FROM entry LEFT JOIN evidence"
			      " ON hash = evidence ORDER BY idx");

	if (r < 0)
		return ledger_fail(v->l, r, "%s", store_error(v->l->store));
	r = replay_rows(v, &rows, progress, ctx);
	store_drop(rows.row);
	return r;
}

/* -- comparing ---------------------------------------------------------------------------- */

static bool same_row(sqlite3_stmt *a, sqlite3_stmt *b)
{
	for (int i = 0; i < sqlite3_column_count(a); i++) {
		int type = sqlite3_column_type(a, i);

		if (type != sqlite3_column_type(b, i))
			return false;
		if (type == SQLITE_INTEGER) {
			if (sqlite3_column_int64(a, i) != sqlite3_column_int64(b, i))
				return false;
		} else if (type != SQLITE_NULL) {
			const void *data = sqlite3_column_blob(a, i);
			size_t len = (size_t)sqlite3_column_bytes(a, i);

			if (len ? !same_blob(b, i, data, len) : sqlite3_column_bytes(b, i) != 0)
				return false;
		}
	}
	return true;
}

static int compare_rows(struct verify *v, const char *table, sqlite3_stmt *ours, sqlite3_stmt *theirs)
{
	for (uint64_t n = 0; ; n++) {
		int a = store_next(v->l->store, ours), b = store_next(v->replay->store, theirs);

		if (a < 0)
			return ledger_fail(v->l, a, "%s", store_error(v->l->store));
		if (b < 0)
			return ledger_fail(v->l, b, "%s", store_error(v->replay->store));
		if (a != b)
			differ(v, "table %s has %s rows than follow from the journal", table, a ? "more" : "fewer");
		else if (a && !same_row(ours, theirs))
			differ(v, "table %s: row %" PRIu64 " is not what follows from the journal", table, n);
		else if (a)
			continue;
		return 0;
	}
}

static int compare(struct verify *v, const char *table, const char *sql)
{
	sqlite3_stmt *ours = NULL, *theirs = NULL;
	int r = store_prepare(v->l->store, &ours, sql);

	if (r < 0)
		ledger_fail(v->l, r, "%s", store_error(v->l->store));
	if (r == 0)
		r = store_prepare(v->replay->store, &theirs, sql);
	if (r == 0)
		r = compare_rows(v, table, ours, theirs);
	store_drop(ours);
	store_drop(theirs);
	return r;
}

/* All of a table in the order of its primary key. */
static int compare_table(struct verify *v, const char *table)
{
	char sql[SQL_CAP];
	size_t used = (size_t)snprintf(sql, sizeof(sql), "SELECT * FROM %s ORDER BY ", table);
	sqlite3_stmt *row;
	int r = store_row(v->replay->store, &row, "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", "t", table), n = 0;

	for (r = r < 0 ? r : 1; r == 1; r = store_next(v->replay->store, row))
		used += (size_t)snprintf(sql + used, sizeof(sql) - used, "%s%s", n++ ? ", " : "", sqlite3_column_text(row, 0));
	return r < 0 ? r : compare(v, table, sql);
}

static int compare_tables(struct verify *v)
{
	int r = compare(v, "entry", "SELECT idx, time, type, digest, leaf, evidence FROM entry ORDER BY idx");

	if (r == 0)
		r = compare_table(v, "node");
	for (size_t i = 0; schema_folded[i] && r == 0; i++)
		r = compare_table(v, schema_folded[i]);
	return r;
}

/* Tables are read as they lie; rows are also found through indexes, which must hold the same. */
static int check_indexes(struct verify *v)
{
	sqlite3_stmt *row;
	const char *said;
	int r = store_row(v->l->store, &row, "PRAGMA integrity_check(1)", "");

	if (r < 0)
		return ledger_fail(v->l, r, "%s", store_error(v->l->store));
	said = (const char *)sqlite3_column_text(row, 0);
	if (!said || strcmp(said, "ok") != 0)
		differ(v, "the database is not whole: %.300s", said ? said : "it does not say why");
	store_end(row);
	return 0;
}

/* What the database says of its end, and what the writer signed. */
static int compare_head(struct verify *v)
{
	struct merkle_hash root;
	struct checkpoint c;
	sqlite3_stmt *row;
	size_t len;
	char *note;
	int r = store_row(v->l->store, &row, "SELECT size, root, time, note FROM head", "");

	if (r < 0)
		return ledger_fail(v->l, r, "%s", store_error(v->l->store));
	journal_root(v->replay, &root);
	if (store_u64(row, 0) != v->replay->end.tree.size || !same_blob(row, 1, root.b, sizeof(root.b)) ||
	    store_u64(row, 2) != v->replay->end.time)
		differ(v, "the head is not that of the replayed journal");
	note = store_bytes(row, 3, &len);
	store_end(row);
	if (v->replay->end.tree.size || len)
		if (checkpoint_open(&c, &v->l->log, note, len) < 0 || c.size != v->replay->end.tree.size ||
		    memcmp(c.root.b, root.b, sizeof(root.b)) != 0)
			differ(v, "the signed checkpoint is not that of the replayed journal");
	free(note);
	return 0;
}

/* The copy has no say in what is right, but must be good when it is needed. */
static int compare_copy(struct verify *v)
{
	uint64_t index;
	int r = copy_compare(v->l, &index);

	if (r == ERR_MISMATCH) {
		v->report->copy_only = v->report->differences == 0;
		differ(v, "the copy, %.200s.copy, does not hold entry %" PRIu64 " as the database does", v->l->path, index);
		return 0;
	}
	return r < 0 ? ledger_fail(v->l, r, "reading %.200s.copy, or the entries", v->l->path) : 0;
}

int ledger_verify(struct ledger *l, struct ledger_report *ret, int (*progress)(void *ctx, uint64_t done, uint64_t total),
		  void *ctx)
{
	struct verify v = { .l = l, .report = ret };
	char why[LEDGER_WHY_CAP] = "";
	int r;

	*ret = (struct ledger_report){ .entries = 0 };
	if (l->batch)
		return ledger_fail(l, ERR_STATE, "a batch is open");
	l->error[0] = '\0';
	r = ledger_open_replay(&v.replay, l->genesis, why);
	if (r < 0)
		return ledger_fail(l, r, "%s", why);
	r = replay_all(&v, progress, ctx);
	if (r == 0)
		r = compare_tables(&v);
	if (r == 0)
		r = check_indexes(&v);
	if (r == 0)
		r = compare_head(&v);
	if (r == 0)
		r = compare_copy(&v);
	if (r == 0 && account_check(v.replay) < 0)
		differ(&v, "the supply is not conserved: %s", ledger_error(v.replay));
	if (r < 0 && !l->error[0])
		ledger_fail(l, r, "%s", ledger_error(v.replay));
	ledger_close(v.replay);
	return r < 0 ? r : ret->differences ? ERR_MISMATCH : 0;
}
