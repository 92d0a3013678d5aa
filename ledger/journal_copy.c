/*
 * The copy of the journal beside the database: lines as ledger_export() writes
 * them, a checkpoint at the end of each batch. It is written just before the
 * database commits, so it never lacks what was acknowledged, but for what a power
 * cut takes: it is synced now and then only, as the database is synced each time.
 * When a ledger is opened, a database that is behind its copy lost its end (a
 * truncated write-ahead log, an older file put back) and is completed from it; a
 * copy that is behind is completed from the database.
 */
#include "config.h"

#include "ledger_state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nonos/checkpoint.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>

#include "ahead.h"

enum {
	BUFFER_MAX = 1 << 20, SYNC_EVERY = 64,
	CHUNK = 8 * NOTE_LEN_MAX,	/* in JSON a note may be twice as long, and chunks overlap by half */
};

struct journal_copy {
	int fd;
	char *path;
	off_t kept;			/* up to the last batch that stands */
	unsigned unsynced;		/* batches since the last sync */
	off_t written;			/* up to here the file is written */
	char *buffer;			/* what comes behind that */
	size_t used, cap;
};

/* -- writing ------------------------------------------------------------------------- */

static int say(struct ledger *l, const char *what)
{
	return ledger_fail(l, ERR_IO, "%s: %s: %s", l->copy->path, what, strerror(errno));
}

static int flush(struct ledger *l)
{
	struct journal_copy *c = l->copy;

	for (size_t done = 0; done < c->used; ) {
		ssize_t n = pwrite(c->fd, c->buffer + done, c->used - done, c->written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return say(l, "writing");
		done += (size_t)n;
		c->written += n;
	}
	c->used = 0;
	return 0;
}

static int put(struct ledger *l, const char *line, size_t len)
{
	struct journal_copy *c = l->copy;

	if (c->used + len > c->cap) {
		c->cap = 2 * c->cap + len;
		c->buffer = mem_resize(c->buffer, c->cap, 1);
	}
	memcpy(c->buffer + c->used, line, len);
	c->used += len;
	return c->used > BUFFER_MAX ? flush(l) : 0;
}

static int sync_file(struct ledger *l)
{
	if (fdatasync(l->copy->fd) < 0)
		return say(l, "syncing");
	l->copy->unsynced = 0;
	return 0;
}

int copy_entry(struct ledger *l, const char *entry, size_t entry_len, const char *evidence, size_t evidence_len)
{
	size_t len;
	char *line;
	int r;

	if (!l->copy)
		return 0;
	line = journal_line_entry(&len, entry, entry_len, evidence, evidence_len);
	r = put(l, line, len);
	free(line);
	return r;
}

int copy_seal(struct ledger *l, const char *note)
{
	size_t len;
	char *line;
	int r;

	if (!l->copy)
		return 0;
	line = journal_line_note(&len, note);
	r = put(l, line, len);
	free(line);
	if (r == 0)
		r = flush(l);
	if (r == 0 && ++l->copy->unsynced >= SYNC_EVERY)
		r = sync_file(l);
	return r;
}

int copy_drop(struct ledger *l)
{
	struct journal_copy *c = l->copy;

	if (!c)
		return 0;
	c->used = 0;
	if (c->written == c->kept)
		return 0;
	if (ftruncate(c->fd, c->kept) < 0)
		return say(l, "truncating");
	c->written = c->kept;
	return 0;
}

void copy_keep(struct ledger *l)
{
	if (l->copy)
		l->copy->kept = l->copy->written;
}

void copy_close(struct journal_copy *c)
{
	if (!c)
		return;
	if (c->fd >= 0) {
		if (c->unsynced)
			fdatasync(c->fd);
		close(c->fd);
	}
	free(c->buffer);
	free(c->path);
	free(c);
}

/* -- reading ------------------------------------------------------------------------------ */

static const char note_head[] = "{\"checkpoint\":";

enum { NOTE_HEAD_LEN = sizeof(note_head) - 1 };

/* Where the last line of a chunk starts that is a checkpoint and ends in it; -1 without one. */
static ssize_t last_note(const char *data, size_t len, bool from_start, size_t *ret_len)
{
	for (size_t at = len; at-- > 0; ) {
		const char *eol;

		if ((at > 0 ? data[at - 1] != '\n' : !from_start) || len - at < NOTE_HEAD_LEN ||
		    memcmp(data + at, note_head, NOTE_HEAD_LEN) != 0)
			continue;
		eol = memchr(data + at, '\n', len - at);
		if (eol) {
			*ret_len = (size_t)(eol + 1 - data) - at;
			return (ssize_t)at;
		}
	}
	return -1;
}

/* Find the last whole checkpoint line: where it ends, and its note. ERR_NOT_FOUND. */
static int find_note(const struct journal_copy *c, off_t size, off_t *ret_end, struct journal_line *ret)
{
	char *data = mem_new(CHUNK);
	off_t from = size > CHUNK ? size - CHUNK : 0;
	int r = 1;

	/* Chunks overlap by half, more than a checkpoint line is long. */
	while (r == 1) {
		ssize_t n = pread(c->fd, data, CHUNK, from), at;
		size_t len;

		at = n < 0 ? -1 : last_note(data, (size_t)n, from == 0, &len);
		if (at >= 0) {
			r = journal_line_read(ret, data + at, len);
			*ret_end = from + at + (off_t)len;
		} else if (n < 0) {
			r = ERR_SYSTEM;
		} else if (from == 0) {
			r = ERR_NOT_FOUND;
		}
		from = from > CHUNK / 2 ? from - CHUNK / 2 : 0;
	}
	free(data);
	return r;
}

/* The first line names the network. ERR_NOT_FOUND: the file ends within it, so nothing was promised. */
static int check_genesis(struct ledger *l, const struct journal_copy *c, off_t size)
{
	size_t len;
	char *want = journal_line_genesis(&len, l->genesis), *have = mem_new(len + 1);
	bool same = pread(c->fd, have, len, 0) == (ssize_t)len && memcmp(want, have, len) == 0;

	free(want);
	free(have);
	return (uint64_t)size < len ? ERR_NOT_FOUND : same ? 0 : ERR_MISMATCH;
}

/* -- bringing the two together --------------------------------------------------------------- */

/* Write the entries from `from` on, as a batch. */
static int append_missing(struct ledger *l, uint64_t from)
{
	char *note = NULL;
	int r = 0;

	for (uint64_t i = from; i < l->end.tree.size && r == 0; i++) {
		size_t len, evidence_len;
		char *entry, *evidence;

		r = ledger_entry(l, &entry, &len, &evidence, &evidence_len, i);
		if (r < 0)
			return ledger_fail(l, r, "%s", store_error(l->store));
		r = copy_entry(l, entry, len, evidence, evidence_len);
		free(entry);
		free(evidence);
	}
	if (r == 0 && l->end.tree.size) {
		r = ledger_checkpoint(l, &note);
		if (r == 0)
			r = copy_seal(l, note);
		free(note);
	} else if (r == 0) {
		r = flush(l);
	}
	if (r == 0)
		r = sync_file(l);
	if (r == 0)
		copy_keep(l);
	return r;
}

/* Apply a line of the copy unless the database has its entry. */
static int apply_line(struct ledger *l, uint64_t *at, const struct ahead *a, struct ahead_item *item)
{
	struct ledger_refusal refusal;
	struct ledger_receipt receipt;
	int r;

	if (item->r < 0)
		return ledger_fail(l, ERR_IO, "%s: a line is damaged", l->path);
	if (!item->line.entry || (*at)++ < l->end.tree.size)
		return 0;
	r = fold_entry(l, &receipt, &refusal, ahead_entry(a, item));
	if (r == ERR_REFUSED)
		r = ledger_fail(l, ERR_IO, "its entry %" PRIu64 " does not follow: %s", *at - 1, refusal.why);
	return r;
}

/* Apply those that begin before the byte `end`. */
static int apply_lines(struct ledger *l, FILE *f, off_t end)
{
	struct ahead_lines lines = { .in = f, .bytes = (uint64_t)end, .had = l->end.tree.size };
	struct ahead *a = ahead_new(l->genesis, ahead_line, &lines, NULL);
	struct ahead_item *item;
	uint64_t at = 0;
	int r = 0;

	while (r == 0 && (item = ahead_next(a)))
		r = apply_line(l, &at, a, item);
	ahead_free(a);
	return r;
}

/* Apply what the database lacks, up to the byte `end`, and commit it under `note`. */
static int complete(struct ledger *l, struct journal_copy *c, off_t end, const char *note)
{
	int fd = dup(c->fd), r = 0;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "rb");

	if (!f || fseeko(f, 0, SEEK_SET) < 0)
		r = ledger_fail(l, ERR_IO, "%s: %s", c->path, strerror(errno));
	if (r == 0)
		r = ledger_batch(l);
	if (r == 0)
		r = apply_lines(l, f, end);
	if (f)
		fclose(f);
	if (r == 0)
		r = ledger_commit_note(l, note, strlen(note));
	if (r < 0)
		ledger_rollback(l);
	return r;
}

/* The copy holds a checkpoint of `c` entries: see who is behind. */
static int meet(struct ledger *l, struct journal_copy *c, off_t end, const char *note)
{
	uint64_t had = l->end.tree.size;
	struct checkpoint point;
	int r;

	if (checkpoint_open(&point, &l->log, note, strlen(note)) < 0)
		return ledger_fail(l, ERR_IO, "%s: the signature of its last checkpoint is wrong", c->path);
	if (point.size <= had) {
		struct merkle_hash root;

		r = journal_root_at(l, &root, point.size);
		if (r == 0 && memcmp(root.b, point.root.b, sizeof(root.b)) != 0)
			r = ledger_fail(l, ERR_MISMATCH, "%s and %s tell two histories: keep both, and ask the auditors which one they saw",
					l->path, c->path);
		if (r < 0)
			return r;
	} else {
		r = complete(l, c, end, note);
		if (r < 0)
			return ledger_fail(l, r, "The database has lost its end, and could not be completed from %.150s: %.200s",
					   c->path, l->error);
		log_warn("The ledger's database had lost its end, and was completed from the copy.  path=%s had=%" PRIu64 " has=%" PRIu64,
			 l->path, had, l->end.tree.size);
	}
	if (ftruncate(c->fd, end) < 0)
		return ledger_fail(l, ERR_IO, "%s: %s", c->path, strerror(errno));
	c->kept = c->written = end;
	l->copy = c;
	return point.size < had ? append_missing(l, point.size) : 0;
}

static int start_over(struct ledger *l, struct journal_copy *c)
{
	size_t len;
	char *line;
	int r;

	if (ftruncate(c->fd, 0) < 0)
		return ledger_fail(l, ERR_IO, "%s: %s", c->path, strerror(errno));
	l->copy = c;
	line = journal_line_genesis(&len, l->genesis);
	r = put(l, line, len);
	free(line);
	return r < 0 ? r : append_missing(l, 0);
}

static int open_file(struct ledger *l, struct journal_copy *c, off_t *ret_size)
{
	struct stat st;

	c->path = mem_printf("%s.copy", l->path);
	c->fd = open(c->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (c->fd < 0 || fstat(c->fd, &st) < 0)
		return ledger_fail(l, errno == EROFS || errno == EACCES ? ERR_PERMISSION : ERR_IO, "%s: %s", c->path, strerror(errno));
	*ret_size = st.st_size;
	return 0;
}

static int meet_or_start(struct ledger *l, struct journal_copy *c, off_t size, struct journal_line *last)
{
	off_t end = 0;
	int r = check_genesis(l, c, size);

	if (r == ERR_MISMATCH)
		return ledger_fail(l, r, "%s is of another network, or damaged at its start; move it away to have it made anew", c->path);
	if (r == 0)
		r = find_note(c, size, &end, last);
	if (r == ERR_NOT_FOUND)
		return start_over(l, c);
	if (r < 0 || !last->note)
		return ledger_fail(l, ERR_IO, "%s: its last checkpoint cannot be read; move it away to have it made anew", c->path);
	return meet(l, c, end, last->note);
}

int copy_open(struct ledger *l, char why[LEDGER_WHY_CAP])
{
	struct journal_copy *c = mem_new(sizeof(*c));
	struct journal_line last = { .note = NULL };
	off_t size = 0;
	int r;

	c->fd = -1;
	r = open_file(l, c, &size);
	if (r == 0)
		r = meet_or_start(l, c, size, &last);
	journal_line_free(&last);
	if (r < 0) {
		snprintf(why, LEDGER_WHY_CAP, "%s", l->error);
		if (l->copy != c)
			copy_close(c);
	}
	return r;
}

/* -- comparing ------------------------------------------------------------------------------ */

/* The next line that is not a checkpoint; its length, or 0 at the end. */
static size_t next_line(FILE *f, char **line, size_t *cap)
{
	ssize_t n;

	do {
		n = getline(line, cap, f);
	} while (n >= (ssize_t)NOTE_HEAD_LEN && memcmp(*line, note_head, NOTE_HEAD_LEN) == 0);
	return n > 0 ? (size_t)n : 0;
}

static int compare_entry(struct ledger *l, uint64_t index, const char *line, size_t len)
{
	size_t entry_len, evidence_len, want_len;
	char *entry, *evidence, *want;
	int r = ledger_entry(l, &entry, &entry_len, &evidence, &evidence_len, index);

	if (r < 0)
		return r;
	want = journal_line_entry(&want_len, entry, entry_len, evidence, evidence_len);
	r = len == want_len && memcmp(line, want, len) == 0 ? 0 : ERR_MISMATCH;
	free(entry);
	free(evidence);
	free(want);
	return r;
}

int copy_compare(struct ledger *l, uint64_t *ret_index)
{
	char *path = mem_printf("%s.copy", l->path), *line = NULL, *genesis;
	FILE *f = fopen(path, "rbe");
	size_t cap = 0, len, genesis_len;
	int r = 0;

	free(path);
	*ret_index = 0;
	if (!f)
		return errno == ENOENT ? 0 : ERR_IO;
	genesis = journal_line_genesis(&genesis_len, l->genesis);
	len = next_line(f, &line, &cap);
	if (len != genesis_len || memcmp(line, genesis, len) != 0)
		r = ERR_MISMATCH;
	/* A writer may have put more behind what this snapshot holds. */
	for (; r == 0 && *ret_index < l->committed.tree.size; *ret_index += r == 0) {
		len = next_line(f, &line, &cap);
		r = compare_entry(l, *ret_index, line, len);
	}
	free(genesis);
	free(line);
	fclose(f);
	return r;
}
