#include "config.h"

#include "ledger_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <nonos/checkpoint.h>
#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/mem.h>

#include "ahead.h"
#include "ledger_key.h"
#include "schema.h"

static const char memory[] = ":memory:";

int ledger_fail(struct ledger *l, int code, const char *fmt, ...)
{
	char text[LEDGER_WHY_CAP];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(l->error, text, sizeof(text));
	return code;
}

const char *ledger_error(const struct ledger *l)
{
	return l->error[0] ? l->error : store_error(l->store);
}

const struct genesis *ledger_genesis(const struct ledger *l)
{
	return l->genesis;
}

/* -- opening ------------------------------------------------------------------------ */

static int copy_genesis(struct ledger *l, const char *text, size_t len)
{
	char why[GENESIS_WHY_CAP];
	int r = genesis_read(&l->genesis, why, text, len);

	if (r < 0)
		return ledger_fail(l, ERR_IO, "%s is damaged: its genesis document: %s", l->path, why);
	if (note_key_parse(&l->log, l->genesis->log, strlen(l->genesis->log)) < 0)
		return ledger_fail(l, ERR_IO, "%s is damaged: the log's key", l->path);
	return 0;
}

/* The first rows of a new ledger. */
static int found(struct ledger *l, const struct genesis *g)
{
	struct ledger_refusal never = { .code = REFUSED_NOT };
	int r = copy_genesis(l, g->text, g->text_len);

	if (r < 0)
		return r;
	l->end.time = l->genesis->time;
	l->fold = (struct fold_now){ .time = l->genesis->time, .why = "genesis", .refusal = &never };
	r = store_begin(l->store);
	if (r == 0)
		r = store_run(l->store, "INSERT INTO genesis VALUES(0, ?)", "b", l->genesis->text, l->genesis->text_len);
	if (r == 0)
		r = account_genesis(l);
	if (r == 0)
		r = burn_genesis(l);
	if (r == 0)
		r = journal_seal(l, NULL);
	if (r == 0)
		r = store_commit(l->store);
	if (r < 0)
		store_rollback(l->store);
	return r;
}

/* Read which network the database is of; ERR_NOT_FOUND when it is new. */
static int load_genesis(struct ledger *l)
{
	sqlite3_stmt *row;
	size_t len;
	char *text;
	int r = store_row(l->store, &row, "SELECT doc FROM genesis", "");

	if (r < 0)
		return r;
	text = store_bytes(row, 0, &len);
	store_end(row);
	r = copy_genesis(l, text, len);
	free(text);
	return r;
}

static int load(struct ledger *l, const struct genesis *g, enum ledger_mode mode)
{
	int r = load_genesis(l);

	if (r == ERR_NOT_FOUND) {
		if (mode != LEDGER_CREATE || !g)
			return ledger_fail(l, ERR_NOT_FOUND, "%s: there is no ledger in it yet; it begins with a genesis document", l->path);
		r = found(l, g);
	}
	if (r < 0)
		return r;
	if (g && memcmp(g->hash, l->genesis->hash, sizeof(g->hash)) != 0)
		return ledger_fail(l, ERR_MISMATCH, "%s is of the network \"%s\", whose genesis is another document than the one given",
				   l->path, l->genesis->name);
	r = journal_load(l);
	return r < 0 ? r : account_check(l);
}

static int lock(struct ledger *l)
{
	char *path = mem_printf("%s.lock", l->path);
	int r = 0;

	l->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->lock_fd < 0)
		r = ledger_fail(l, errno == EROFS || errno == EACCES ? ERR_PERMISSION : errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
				"%s: %s", path, strerror(errno));
	else if (flock(l->lock_fd, LOCK_EX | LOCK_NB) < 0)
		r = ledger_fail(l, ERR_BUSY, "%s: another process, perhaps nonosd, has it open for writing", l->path);
	free(path);
	return r;
}

static int load_key(struct ledger *l, const char *path)
{
	char why[LEDGER_WHY_CAP];
	int r = path ? ledger_key_load(&l->key, &l->log, path, why) : 0;

	return r < 0 ? ledger_fail(l, r, "%s", why) : 0;
}

static int open_store(struct ledger *l, enum ledger_mode mode)
{
	static const enum store_mode modes[] = {
		[LEDGER_READ] = STORE_READ, [LEDGER_WRITE] = STORE_WRITE, [LEDGER_CREATE] = STORE_CREATE,
	};
	char why[STORE_WHY_CAP] = "";
	int r = store_open(&l->store, l->path, modes[mode], why);

	if (r == 0)
		r = mode == LEDGER_READ ? schema_check(l->store, why) : schema_migrate(l->store, why);
	return r < 0 ? ledger_fail(l, r, "%s", why) : 0;
}

static int open_all(struct ledger *l, const struct ledger_options *o)
{
	bool durable = o->mode != LEDGER_READ && strcmp(o->path, memory) != 0;
	char why[LEDGER_WHY_CAP];
	int r = durable ? lock(l) : 0;

	if (r == 0)
		r = open_store(l, o->mode);
	if (r == 0 && o->mode == LEDGER_READ)
		r = store_snapshot(l->store);
	if (r == 0)
		r = load(l, o->genesis, o->mode);
	if (r == 0)
		r = load_key(l, o->key_path);
	if (r == 0 && durable)
		r = copy_open(l, why);
	return r;
}

int ledger_open(struct ledger **ret, const struct ledger_options *o, char why[LEDGER_WHY_CAP])
{
	struct ledger *l = mem_new(sizeof(*l));
	int r;

	l->lock_fd = -1;
	l->path = mem_strdup(o->path);
	r = open_all(l, o);
	if (r < 0) {
		snprintf(why, LEDGER_WHY_CAP, "%s", l->error[0] || !l->store ? l->error : store_error(l->store));
		ledger_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

int ledger_open_replay(struct ledger **ret, const struct genesis *g, char why[LEDGER_WHY_CAP])
{
	struct ledger *l = mem_new(sizeof(*l));
	int r;

	l->lock_fd = -1;
	l->replay = true;
	l->path = mem_strdup("the replay");
	r = store_open(&l->store, "", STORE_TEMPORARY, why);
	if (r == 0)
		r = schema_migrate(l->store, why);
	if (r == 0) {
		r = load(l, g, LEDGER_CREATE);
		if (r < 0)
			snprintf(why, LEDGER_WHY_CAP, "%s", ledger_error(l));
	}
	if (r < 0)
		ledger_close(l);
	else
		*ret = l;
	return r;
}

void ledger_close(struct ledger *l)
{
	if (!l)
		return;
	if (l->batch)
		ledger_rollback(l);
	copy_close(l->copy);
	digest_index_free(l);
	store_free(l->store);
	secret_free(l->key);
	genesis_free(l->genesis);
	if (l->lock_fd >= 0)
		close(l->lock_fd);
	free(l->path);
	free(l);
}

/* -- batches ---------------------------------------------------------------------------- */

int ledger_batch(struct ledger *l)
{
	int r;

	if (l->batch)
		return 0;
	r = store_begin(l->store);
	if (r == 0)
		l->batch = true;
	return r;
}

void ledger_rollback(struct ledger *l)
{
	store_rollback(l->store);
	l->end = l->committed;
	l->due_known = false;
	l->batch = false;
	if (copy_drop(l) < 0)
		l->lost = true;
}

/* Something failed that is nobody's object: the batch is gone. */
static int lose(struct ledger *l, int r)
{
	if (!l->error[0])
		ledger_fail(l, r, "%s", store_error(l->store));
	ledger_rollback(l);
	l->lost = true;
	return r;
}

static int begin_object(struct ledger *l, struct ledger_refusal *ret_refusal)
{
	int r;

	*ret_refusal = (struct ledger_refusal){ .code = REFUSED_NOT };
	/* The rest of a batch that is lost is lost as well. */
	if (l->lost)
		return ERR_IO;
	l->error[0] = '\0';
	r = ledger_batch(l);
	return r < 0 ? lose(l, r) : 0;
}

uint64_t ledger_now(const struct ledger *l)
{
	uint64_t now = clock_wall() < 0 ? 0 : (uint64_t)clock_wall();

	return now > l->end.time ? now : l->end.time;
}

int ledger_submit(struct ledger *l, struct ledger_receipt *ret, struct ledger_refusal *ret_refusal, const json_t *object)
{
	struct object o;
	uint64_t time;
	int r = begin_object(l, ret_refusal);

	if (r < 0)
		return r;
	r = object_read(&o, ret_refusal, l->genesis, object);
	if (r < 0)
		return r;
	r = clock_entry_time(l, &time, ret_refusal);
	if (r == 0)
		r = fold_object(l, ret, ret_refusal, &o, time, NULL, 0);
	else if (ledger_find(l, ret, o.digest) == 0)
		r = refuse(ret_refusal, REFUSED_DUPLICATE, "it is in the journal already");
	object_free(&o);
	return r < 0 && r != ERR_REFUSED ? lose(l, r) : r;
}

int ledger_object_read(json_t **ret, struct ledger_refusal *ret_refusal, const char *text, size_t len)
{
	if (len > LEDGER_OBJECT_MAX)
		return refuse(ret_refusal, REFUSED_TOO_LONG, "an object is at most %d bytes", LEDGER_OBJECT_MAX);
	if (jcs_read(ret, text, len) < 0)
		return refuse(ret_refusal, REFUSED_MALFORMED, "it is not JSON of the accepted kind: whole numbers, each name once");
	return 0;
}

int ledger_submit_text(struct ledger *l, struct ledger_receipt *ret, struct ledger_refusal *ret_refusal, const char *text,
		       size_t len)
{
	json_t *doc;
	int r = ledger_object_read(&doc, ret_refusal, text, len);

	if (r < 0)
		return r;
	r = ledger_submit(l, ret, ret_refusal, doc);
	json_decref(doc);
	return r;
}

int ledger_append_entry(struct ledger *l, struct ledger_refusal *ret_refusal, const struct entry *e)
{
	struct ledger_receipt receipt;
	int r = begin_object(l, ret_refusal);

	if (r < 0)
		return r;
	r = fold_entry(l, &receipt, ret_refusal, e);
	return r < 0 && r != ERR_REFUSED ? lose(l, r) : r;
}

int ledger_append(struct ledger *l, struct ledger_refusal *ret_refusal, const char *entry, size_t entry_len,
		  const char *evidence, size_t evidence_len)
{
	struct entry e;
	int r;

	entry_read(&e, l->genesis, entry, entry_len, evidence, evidence_len);
	r = ledger_append_entry(l, ret_refusal, &e);
	entry_free(&e);
	return r;
}

struct texts {
	const struct ledger_text *next;
	size_t n;
};

static bool next_text(void *ctx, struct ahead_item *ret)
{
	struct texts *s = ctx;

	if (s->n == 0)
		return false;
	ret->line.entry = mem_dup(s->next->entry, s->next->entry_len);
	ret->line.entry_len = s->next->entry_len;
	if (s->next->evidence) {
		ret->line.evidence = mem_dup(s->next->evidence, s->next->evidence_len);
		ret->line.evidence_len = s->next->evidence_len;
	}
	s->next++;
	s->n--;
	return true;
}

int ledger_append_all(struct ledger *l, size_t *ret_n, struct ledger_refusal *ret_refusal, const struct ledger_text *texts,
		      size_t n)
{
	struct texts s = { .next = texts, .n = n };
	struct ahead *a = ahead_new(l->genesis, next_text, &s, NULL);
	struct ahead_item *item;
	int r = 0;

	*ret_n = 0;
	while (r == 0 && (item = ahead_next(a))) {
		r = ledger_append_entry(l, ret_refusal, ahead_entry(a, item));
		*ret_n += r == 0;
	}
	ahead_free(a);
	return r;
}

/* Copy first, then the database: what is acknowledged is in both. */
static int seal(struct ledger *l, const char *note)
{
	int r = journal_seal(l, note);

	if (r == 0)
		r = copy_seal(l, note);
	if (r == 0)
		r = store_commit(l->store);
	if (r < 0) {
		lose(l, r);
		/* This is the report of it. */
		l->lost = l->copy && copy_drop(l) < 0;
		return r;
	}
	copy_keep(l);
	l->batch = false;
	l->committed = l->end;
	return 0;
}

/* 1: there is something to commit. */
static int begin_commit(struct ledger *l)
{
	if (l->lost) {
		/* A copy that could not be cut back must be, before anything else is written. */
		l->lost = copy_drop(l) < 0;
		return ERR_IO;
	}
	l->error[0] = '\0';
	if (l->batch && l->end.tree.size != l->committed.tree.size)
		return 1;
	if (l->batch)
		ledger_rollback(l);
	return 0;
}

int ledger_commit(struct ledger *l)
{
	char *note;
	int r = begin_commit(l);

	if (r <= 0)
		return r;
	if (!l->key && !l->replay)
		return ledger_fail(l, ERR_STATE, "%s is a follower's: it takes the checkpoints of the journal's writer", l->path);
	note = l->key ? journal_sign(l) : NULL;
	r = l->key ? seal(l, note) : journal_seal(l, NULL);
	if (r == 0 && !l->key) {
		r = store_commit(l->store);
		l->batch = false;
		l->committed = l->end;
	}
	free(note);
	return r;
}

int ledger_commit_note(struct ledger *l, const char *note, size_t len)
{
	struct merkle_hash root;
	struct checkpoint c;
	char *text;
	int r = l->lost ? begin_commit(l) : 0;

	if (r < 0)
		return r;
	l->error[0] = '\0';
	if (checkpoint_open(&c, &l->log, note, len) < 0 || memchr(note, '\0', len))
		return ledger_fail(l, ERR_AUTH, "the checkpoint is not signed by the journal's writer");
	journal_root(l, &root);
	if (c.size != l->end.tree.size || memcmp(root.b, c.root.b, sizeof(root.b)) != 0)
		return ledger_fail(l, ERR_MISMATCH, "the checkpoint is of %llu entries, or of others than these %llu",
				   (unsigned long long)c.size, (unsigned long long)l->end.tree.size);
	r = begin_commit(l);
	if (r <= 0)
		return r;
	text = mem_strndup(note, len);
	r = seal(l, text);
	free(text);
	return r;
}

uint64_t ledger_committed(const struct ledger *l)
{
	return l->committed.tree.size;
}
