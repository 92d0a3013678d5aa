#include "config.h"

#include "ledger_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/checkpoint.h>
#include <nonos/err.h>
#include <nonos/mem.h>

/* -- the tree in the database ------------------------------------------------------------ */

/* Of full subtrees those of 2^8, 2^16, ... leaves are stored; leaves stand with their entries. */
enum { STORED_LEVELS = 8 };

static int read_stored(struct ledger *l, struct merkle_hash *ret, unsigned level, uint64_t index)
{
	sqlite3_stmt *row;
	int r;

	if (level == 0)
		r = store_row(l->store, &row, "SELECT leaf FROM entry WHERE idx = ?", "u", index);
	else
		r = store_row(l->store, &row, "SELECT hash FROM node WHERE level = ? AND idx = ?", "uu", (uint64_t)level, index);
	if (r < 0)
		return r == ERR_NOT_FOUND ? store_damaged(l->store, "a hash of the journal's tree is missing") : r;
	r = store_blob(l->store, row, 0, ret->b, sizeof(ret->b));
	store_end(row);
	return r;
}

/* What is between is made of at most 128 that are stored. */
static int read_node(void *ctx, struct merkle_hash *ret, unsigned level, uint64_t index)
{
	struct merkle_hash left, right;
	int r;

	if (level % STORED_LEVELS == 0)
		return read_stored(ctx, ret, level, index);
	r = read_node(ctx, &left, level - 1, 2 * index);
	if (r == 0)
		r = read_node(ctx, &right, level - 1, 2 * index + 1);
	if (r == 0)
		merkle_node(ret, &left, &right);
	return r;
}

static struct merkle_source tree(struct ledger *l)
{
	return (struct merkle_source){ .node = read_node, .ctx = l };
}

/* Take a leaf in, and store the subtrees that it fills. */
static int grow(struct ledger *l, const struct merkle_hash *leaf)
{
	struct merkle_frontier *f = &l->end.tree;
	struct merkle_hash h = *leaf;
	unsigned level = 0;

	while (f->size >> level & 1) {
		int r;

		merkle_node(&h, &f->full[level], &h);
		if (++level % STORED_LEVELS)
			continue;
		r = store_run(l->store, "INSERT INTO node VALUES(?, ?, ?)", "uub", (uint64_t)level, f->size >> level, h.b, sizeof(h.b));
		if (r < 0)
			return r;
	}
	f->full[level] = h;
	f->size++;
	return 0;
}

void journal_root(const struct ledger *l, struct merkle_hash *ret)
{
	merkle_frontier_root(ret, &l->end.tree);
}

int journal_root_at(struct ledger *l, struct merkle_hash *ret, uint64_t size)
{
	struct merkle_source s = tree(l);

	return merkle_root(ret, &s, size);
}

/* -- appending -------------------------------------------------------------------------------- */

static int add_evidence(struct ledger *l, uint8_t hash[KECCAK256_LEN], const struct object *o)
{
	keccak256(hash, o->evidence, o->evidence_len);
	return store_run(l->store, "INSERT INTO evidence VALUES(?, ?) ON CONFLICT DO NOTHING", "bb", hash, (size_t)KECCAK256_LEN,
			 o->evidence, o->evidence_len);
}

static int add_row(struct ledger *l, const struct ledger_receipt *e, const struct object *o, const char *entry, size_t entry_len)
{
	uint8_t hash[KECCAK256_LEN];
	int r;

	/* A replay compares bodies as it goes, and has no use for a second copy. */
	if (l->replay)
		entry_len = 0;
	if (!o->evidence)
		return store_run(l->store, "INSERT INTO entry VALUES(?, ?, ?, ?, ?, NULL, ?)", "uutbbb", e->index, e->time, o->type,
				 e->digest, sizeof(e->digest), e->leaf, sizeof(e->leaf), entry, entry_len);
	r = add_evidence(l, hash, o);
	if (r == 0)
		r = store_run(l->store, "INSERT INTO entry VALUES(?, ?, ?, ?, ?, ?, ?)", "uutbbbb", e->index, e->time, o->type, e->digest,
			      sizeof(e->digest), e->leaf, sizeof(e->leaf), hash, sizeof(hash), entry, entry_len);
	return r;
}

int journal_add(struct ledger *l, struct ledger_receipt *ret, const struct object *o, uint64_t time, const char *entry,
		size_t entry_len)
{
	struct ledger_receipt e = { .index = l->end.tree.size, .time = time };
	struct merkle_hash leaf;
	int r;

	merkle_leaf(&leaf, entry, entry_len);
	memcpy(e.leaf, leaf.b, sizeof(e.leaf));
	memcpy(e.digest, o->digest, sizeof(e.digest));
	r = add_row(l, &e, o, entry, entry_len);
	if (r < 0)
		return r;
	digest_index_add(l, e.digest);
	r = grow(l, &leaf);
	if (r < 0)
		return r;
	l->end.time = time;
	*ret = e;
	return 0;
}

int journal_seal(struct ledger *l, const char *note)
{
	struct merkle_hash root;
	int r = digest_index_seal(l);

	if (r < 0)
		return r;
	journal_root(l, &root);
	if (!note)
		return store_run(l->store, "INSERT OR REPLACE INTO head VALUES(0, ?, ?, ?, NULL)", "ubu", l->end.tree.size, root.b,
				 sizeof(root.b), l->end.time);
	return store_run(l->store, "INSERT OR REPLACE INTO head VALUES(0, ?, ?, ?, ?)", "ubut", l->end.tree.size, root.b,
			 sizeof(root.b), l->end.time, note);
}

char *journal_sign(struct ledger *l)
{
	char text[CHECKPOINT_TEXT_CAP], line[NOTE_LINE_CAP];
	struct checkpoint c = { .size = l->end.tree.size };
	size_t len;

	memcpy(c.origin, l->log.name, sizeof(c.origin));
	journal_root(l, &c.root);
	len = checkpoint_text(text, &c);
	note_sign(line, &l->log, secret_data(l->key), text, len, 0);
	return mem_printf("%s\n%s", text, line);
}

/* -- loading ------------------------------------------------------------------------------------ */

/* Read the right edge of the tree. */
static int load_tree(struct ledger *l, uint64_t size)
{
	struct merkle_frontier f = { .size = size };
	int r = 0;

	for (unsigned level = 0; level < 63 && r == 0; level++)
		if (size >> level & 1)
			r = read_node(l, &f.full[level], level, (size >> level) - 1);
	if (r == 0)
		l->end.tree = f;
	return r;
}

static int check_note(struct ledger *l, const char *note, const struct merkle_hash *root)
{
	struct checkpoint c;

	if (checkpoint_open(&c, &l->log, note, strlen(note)) < 0)
		return store_damaged(l->store, "the signature of its checkpoint is wrong");
	if (c.size != l->end.tree.size || memcmp(c.root.b, root->b, sizeof(root->b)) != 0)
		return store_damaged(l->store, "its checkpoint is for another state");
	return 0;
}

static int count_entries(struct ledger *l, uint64_t *ret)
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT ifnull(max(idx), -1) + 1 FROM entry", "");

	if (r < 0)
		return r;
	*ret = store_u64(row, 0);
	store_end(row);
	return 0;
}

int journal_load(struct ledger *l)
{
	struct merkle_hash root, stored;
	uint64_t size, entries = 0;
	sqlite3_stmt *row;
	size_t note_len;
	char *note;
	int r = store_row(l->store, &row, "SELECT size, time, root, note FROM head", "");

	if (r < 0)
		return r == ERR_NOT_FOUND ? store_damaged(l->store, "its head is missing") : r;
	size = store_u64(row, 0);
	l->end.time = store_u64(row, 1);
	r = store_blob(l->store, row, 2, stored.b, sizeof(stored.b));
	note = store_bytes(row, 3, &note_len);
	store_end(row);
	if (r == 0)
		r = load_tree(l, size);
	if (r == 0)
		r = count_entries(l, &entries);
	if (r == 0) {
		journal_root(l, &root);
		if (entries != size || memcmp(root.b, stored.b, sizeof(root.b)) != 0)
			r = store_damaged(l->store, "its head is not what its entries add up to");
		else if (note_len)
			r = check_note(l, note, &root);
		else if (size)
			r = store_damaged(l->store, "its checkpoint is missing");
	}
	free(note);
	if (r == 0)
		r = digest_index_load(l);
	if (r == 0)
		l->committed = l->end;
	return r;
}

/* -- asking -------------------------------------------------------------------------------------- */

void ledger_head(const struct ledger *l, struct ledger_head *ret)
{
	struct merkle_hash root;

	journal_root(l, &root);
	ret->size = l->end.tree.size;
	ret->time = l->end.time;
	memcpy(ret->root, root.b, sizeof(ret->root));
}

int ledger_checkpoint(struct ledger *l, char **ret_note)
{
	sqlite3_stmt *row;
	size_t len;
	int r = store_row(l->store, &row, "SELECT note FROM head WHERE note IS NOT NULL", "");

	if (r < 0)
		return r;
	*ret_note = store_bytes(row, 0, &len);
	store_end(row);
	return 0;
}

int ledger_entry(struct ledger *l, char **ret, size_t *ret_len, char **ret_evidence, size_t *ret_evidence_len, uint64_t index)
{
	sqlite3_stmt *row;
	int r;

	/* Evidence can be megabytes: who does not want it does not have it read. */
	if (ret_evidence)
		r = store_row(l->store, &row, "SELECT entry.body, evidence.body FROM entry LEFT JOIN evidence ON hash = evidence"
			      " WHERE idx = ?", "u", index);
	else
		r = store_row(l->store, &row, "SELECT body FROM entry WHERE idx = ?", "u", index);
	if (r < 0)
		return r == ERR_RANGE ? ERR_NOT_FOUND : r;
	*ret = store_bytes(row, 0, ret_len);
	if (ret_evidence) {
		*ret_evidence = NULL;
		*ret_evidence_len = 0;
		if (sqlite3_column_type(row, 1) != SQLITE_NULL)
			*ret_evidence = store_bytes(row, 1, ret_evidence_len);
	}
	store_end(row);
	return 0;
}

int ledger_find(struct ledger *l, struct ledger_receipt *ret, const uint8_t digest[KECCAK256_LEN])
{
	struct ledger_receipt e = { .index = 0 };
	sqlite3_stmt *row;
	int r = digest_index_find(l, &e.index, digest);

	if (r == 0)
		r = store_row(l->store, &row, "SELECT time, leaf FROM entry WHERE idx = ?", "u", e.index);
	if (r < 0)
		return r;
	e.time = store_u64(row, 0);
	r = store_blob(l->store, row, 1, e.leaf, sizeof(e.leaf));
	store_end(row);
	if (r < 0)
		return r;
	memcpy(e.digest, digest, sizeof(e.digest));
	*ret = e;
	return 0;
}

static int entry_time(struct ledger *l, uint64_t *ret, uint64_t index)
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT time FROM entry WHERE idx = ?", "u", index);

	if (r < 0)
		return r == ERR_NOT_FOUND ? store_damaged(l->store, "an entry is missing") : r;
	*ret = store_u64(row, 0);
	store_end(row);
	return 0;
}

int ledger_height_at(struct ledger *l, uint64_t *ret, uint64_t time)
{
	uint64_t low = 0, high = l->end.tree.size, t = 0;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		int r = entry_time(l, &t, middle);

		if (r < 0)
			return r;
		if (t < time)
			low = middle + 1;
		else
			high = middle;
	}
	*ret = low;
	return 0;
}

int ledger_proof(struct ledger *l, char **ret, size_t *ret_len, uint64_t index)
{
	struct merkle_source s = tree(l);
	struct tlog_proof p = { .index = index };
	char *note = NULL;
	int r;

	if (index >= l->committed.tree.size)
		return ERR_NOT_FOUND;
	r = ledger_checkpoint(l, &note);
	if (r == 0)
		r = merkle_inclusion(&p.path, &s, index, l->committed.tree.size);
	if (r == 0) {
		p.note = note;
		p.note_len = strlen(note);
		*ret = tlog_proof_text(ret_len, &p);
	}
	free(note);
	return r;
}

int ledger_node(struct ledger *l, uint8_t ret[LEDGER_ROOT_LEN], unsigned level, uint64_t index)
{
	struct merkle_hash h;
	int r;

	if (level >= 64 || index >= l->committed.tree.size >> level)
		return ERR_NOT_FOUND;
	r = read_node(l, &h, level, index);
	if (r == 0)
		memcpy(ret, h.b, LEDGER_ROOT_LEN);
	return r;
}

int ledger_root_at(struct ledger *l, uint8_t ret[LEDGER_ROOT_LEN], uint64_t size)
{
	struct merkle_hash h;
	int r;

	if (size > l->committed.tree.size)
		return ERR_NOT_FOUND;
	r = journal_root_at(l, &h, size);
	if (r == 0)
		memcpy(ret, h.b, LEDGER_ROOT_LEN);
	return r;
}
