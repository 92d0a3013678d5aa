/* The journal as a stream of lines, out and in. */
#include "config.h"

#include "ledger_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/checkpoint.h>
#include <nonos/err.h>

#include "ahead.h"

/* -- out -------------------------------------------------------------------------------- */

/* Takes over the line. */
static int write_line(struct ledger *l, FILE *out, char *line, size_t len)
{
	size_t n = fwrite(line, 1, len, out);

	free(line);
	return n == len ? 0 : ledger_fail(l, ERR_IO, "writing the export: %s", strerror(errno));
}

static int export_entry(struct ledger *l, FILE *out, uint64_t index)
{
	size_t len, evidence_len, line_len;
	char *entry, *evidence, *line;
	int r = ledger_entry(l, &entry, &len, &evidence, &evidence_len, index);

	if (r < 0)
		return ledger_fail(l, r, "entry %" PRIu64 ": %s", index, r == ERR_NOT_FOUND ? "missing" : store_error(l->store));
	line = journal_line_entry(&line_len, entry, len, evidence, evidence_len);
	free(entry);
	free(evidence);
	return write_line(l, out, line, line_len);
}

int ledger_export(struct ledger *l, FILE *out)
{
	size_t len;
	char *note = NULL, *line = journal_line_genesis(&len, l->genesis);
	int r = write_line(l, out, line, len);

	for (uint64_t i = 0; i < l->committed.tree.size && r == 0; i++)
		r = export_entry(l, out, i);
	if (r == 0)
		r = ledger_checkpoint(l, &note);
	if (r == 0) {
		line = journal_line_note(&len, note);
		r = write_line(l, out, line, len);
	} else if (r == ERR_NOT_FOUND && l->committed.tree.size == 0) {
		r = 0;
	}
	free(note);
	if (r == 0 && fflush(out) != 0)
		r = ledger_fail(l, ERR_IO, "writing the export: %s", strerror(errno));
	return r;
}

/* -- in ----------------------------------------------------------------------------------- */

struct import {
	struct ledger *l;
	uint64_t start;			/* what the ledger had */
	uint64_t at;			/* entries of the stream so far */
	struct merkle_frontier tree;	/* over the stream's entries */
	bool sealed;			/* the last line was a checkpoint, or there is no entry */
	char *why;
};

static int complain(struct import *m, int code, uint64_t line, const char *what, const char *more)
{
	snprintf(m->why, LEDGER_WHY_CAP, "line %" PRIu64 ": %s%s%.300s", line, what, more[0] ? ": " : "", more);
	return code;
}

/* An entry that this ledger has must be the same one. */
static int compare_entry(struct import *m, uint64_t line, const struct journal_line *j)
{
	size_t len, evidence_len;
	char *entry, *evidence;
	int r = ledger_entry(m->l, &entry, &len, &evidence, &evidence_len, m->at);

	if (r < 0)
		return complain(m, r, line, "reading the ledger", ledger_error(m->l));
	if (len != j->entry_len || memcmp(entry, j->entry, len) != 0)
		r = complain(m, ERR_MISMATCH, line, "another entry than the one this ledger has: two histories", "");
	free(entry);
	free(evidence);
	return r;
}

static int import_entry(struct import *m, const struct ahead *a, struct ahead_item *item)
{
	const struct journal_line *j = &item->line;
	uint64_t line = item->number;
	struct ledger_refusal refusal;
	struct merkle_hash leaf;
	int r;

	m->sealed = false;
	if (m->at < m->start) {
		r = compare_entry(m, line, j);
	} else {
		r = ledger_append_entry(m->l, &refusal, ahead_entry(a, item));
		if (r == ERR_REFUSED)
			return complain(m, r, line, refusal_name(refusal.code), refusal.why);
		if (r < 0)
			return complain(m, r, line, "applying the entry", ledger_error(m->l));
	}
	merkle_leaf(&leaf, j->entry, j->entry_len);
	merkle_frontier_add(&m->tree, &leaf);
	m->at++;
	return r;
}

/* Within what this ledger has, a checkpoint must be of the same tree; beyond, it commits. */
static int import_note(struct import *m, uint64_t line, const struct journal_line *j)
{
	struct merkle_hash root;
	struct checkpoint c;
	int r;

	m->sealed = true;
	if (m->at > m->start) {
		r = ledger_commit_note(m->l, j->note, j->note_len);
		return r < 0 ? complain(m, r, line, "the checkpoint", ledger_error(m->l)) : 0;
	}
	merkle_frontier_root(&root, &m->tree);
	if (checkpoint_open(&c, &m->l->log, j->note, j->note_len) < 0)
		return complain(m, ERR_AUTH, line, "the checkpoint is not signed by the journal's writer", "");
	if (c.size != m->at || memcmp(c.root.b, root.b, sizeof(root.b)) != 0)
		return complain(m, ERR_MISMATCH, line, "the checkpoint is of other entries", "");
	return 0;
}

static int import_genesis(struct import *m, uint64_t line, const struct journal_line *j)
{
	const struct genesis *g = m->l->genesis;

	if (j->genesis_len == g->text_len && memcmp(j->genesis, g->text, g->text_len) == 0)
		return 0;
	return complain(m, ERR_MISMATCH, line, "the journal is of another network", "");
}

static int import_line(struct import *m, const struct ahead *a, struct ahead_item *item)
{
	const struct journal_line *j = &item->line;

	if (item->r == ERR_TOO_LONG)
		return complain(m, item->r, item->number, "longer than any of an export", "");
	if (item->len == 0 || item->text[item->len - 1] != '\n')
		return complain(m, ERR_MALFORMED, item->number, "the file ends in the middle of a line", "");
	if (item->r < 0)
		return complain(m, ERR_MALFORMED, item->number, "not a line of a journal's export", "");
	if ((item->number == 1) != (j->genesis != NULL))
		return complain(m, ERR_MALFORMED, item->number, "the genesis document, and nothing else, is the first line", "");
	if (j->genesis)
		return import_genesis(m, item->number, j);
	return j->entry ? import_entry(m, a, item) : import_note(m, item->number, j);
}

static int import_lines(struct import *m, uint64_t *ret_lines, FILE *in)
{
	struct ahead_lines lines = { .in = in, .bytes = UINT64_MAX, .had = m->start };
	struct ahead *a = ahead_new(m->l->genesis, ahead_line, &lines, NULL);
	struct ahead_item *item;
	int r = 0;

	while (r == 0 && (item = ahead_next(a)))
		r = import_line(m, a, item);
	ahead_free(a);
	*ret_lines = lines.lines;
	return r;
}

int ledger_import(struct ledger *l, uint64_t *ret_entries, FILE *in, char why[LEDGER_WHY_CAP])
{
	struct import m = { .l = l, .start = l->committed.tree.size, .sealed = true, .why = why };
	uint64_t line = 0;
	int r;

	if (l->batch) {
		snprintf(why, LEDGER_WHY_CAP, "a batch is open");
		return ERR_STATE;
	}
	r = import_lines(&m, &line, in);
	if (r == 0 && ferror(in))
		r = complain(&m, ERR_IO, line, "reading", strerror(errno));
	if (r == 0 && line == 0)
		r = complain(&m, ERR_MALFORMED, line, "the file is empty", "");
	if (r == 0 && !m.sealed)
		r = complain(&m, ERR_MALFORMED, line, "the last line is not a checkpoint", "");
	if (l->batch)
		ledger_rollback(l);
	if (r == 0)
		*ret_entries = l->committed.tree.size - m.start;
	return r;
}

int ledger_stream_genesis(struct genesis **ret, FILE *in, char why[LEDGER_WHY_CAP])
{
	struct journal_line j = { .genesis = NULL };
	char *text = NULL, because[GENESIS_WHY_CAP];
	size_t cap = 0, n = 0;
	int r = journal_line_next(&text, &cap, &n, in);

	if (r == 0)
		r = journal_line_read(&j, text, n);
	free(text);
	if (r < 0 || !j.genesis || fseek(in, 0, SEEK_SET) < 0) {
		snprintf(why, LEDGER_WHY_CAP, "not a journal's export, whose first line is a genesis document");
		r = ERR_MALFORMED;
	} else {
		r = genesis_read(ret, because, j.genesis, j.genesis_len);
		if (r < 0)
			snprintf(why, LEDGER_WHY_CAP, "its genesis document: %s", because);
	}
	journal_line_free(&j);
	return r;
}
