#include "config.h"

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>

enum { KEPT_MAX = 256, BUSY_MS = 10000 };	/* a power of two, more than there are literals */

struct kept {
	const char *sql;
	sqlite3_stmt *stmt;
};

struct store {
	sqlite3 *db;
	char *path;
	struct kept kept[KEPT_MAX];
	char error[STORE_WHY_CAP];
};

/* -- errors ---------------------------------------------------------------------- */

const char *store_error(const struct store *s)
{
	return s->error;
}

int store_damaged(struct store *s, const char *fmt, ...)
{
	char what[STORE_WHY_CAP - 224];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(s->error, sizeof(s->error), "%.200s is damaged: %s", s->path, what);
	return ERR_IO;
}

static const char *meaning(int code)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
		return "the disk is full";
	case SQLITE_CORRUPT:
		return "the file is damaged";
	case SQLITE_NOTADB:
		return "not a database, or its first bytes are damaged";
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return "it cannot be written";
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return "another program is using it";
	case SQLITE_CANTOPEN:
		return "it, or a file beside it, cannot be opened";
	default:
		return "the disk or the file failed";
	}
}

/* Turn the last failure into a sentence and a code. */
static int fail(struct store *s, int code)
{
	int system = sqlite3_system_errno(s->db);

	if ((code & 0xff) == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT))
		code = SQLITE_FULL;
	snprintf(s->error, sizeof(s->error), "%.200s: %s (%.150s%s%.60s)", s->path, meaning(code), sqlite3_errmsg(s->db),
		 system ? ", " : "", system ? strerror(system) : "");
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return ERR_PERMISSION;
	default:
		return ERR_IO;
	}
}

/* -- opening --------------------------------------------------------------------- */

/* The path as a URI that says the file never changes: for a disk on which SQLite can make no files. */
static char *immutable_uri(const char *path)
{
	size_t len = strlen(path), n = 0;
	char *out = mem_new(3 * len + 32);

	n += (size_t)sprintf(out, "file:");
	for (size_t i = 0; i < len; i++)
		if (path[i] == '?' || path[i] == '#' || path[i] == '%')
			n += (size_t)sprintf(out + n, "%%%02x", (unsigned char)path[i]);
		else
			out[n++] = path[i];
	sprintf(out + n, "?immutable=1");
	return out;
}

static bool has_wal(const char *path)
{
	char *wal = mem_printf("%s-wal", path);
	struct stat st;
	bool there = stat(wal, &st) == 0 && st.st_size > 0;

	free(wal);
	return there;
}

static int try_open(struct store *s, const char *name, int flags)
{
	int code = sqlite3_open_v2(name, &s->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (code != SQLITE_OK)
		return code;
	sqlite3_busy_timeout(s->db, BUSY_MS);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* We make none: others' have no say in what is written and read. */
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	/* The first read finds out whether it is a database, and replays its log. */
	return sqlite3_exec(s->db, "PRAGMA cell_size_check = ON; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
}

static int open_read(struct store *s)
{
	int code = try_open(s, s->path, SQLITE_OPEN_READONLY);
	char *uri;

	if (((code & 0xff) != SQLITE_CANTOPEN && (code & 0xff) != SQLITE_READONLY) || has_wal(s->path))
		return code;
	sqlite3_close_v2(s->db);
	s->db = NULL;
	uri = immutable_uri(s->path);
	code = try_open(s, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
	free(uri);
	return code;
}

static int open_write(struct store *s, int flags)
{
	int code = try_open(s, s->path, SQLITE_OPEN_READWRITE | flags);

	/* A daemon that confines itself cannot make SQLite's temporary files, which are elsewhere. */
	if (code == SQLITE_OK)
		code = sqlite3_exec(s->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;"
				    "PRAGMA foreign_keys = ON; PRAGMA cache_size = -32768;"
				    "PRAGMA wal_autocheckpoint = 8192", NULL, NULL, NULL);
	if (code == SQLITE_OK && sqlite3_db_readonly(s->db, "main") == 1)
		code = SQLITE_READONLY;
	return code;
}

static int open_temporary(struct store *s)
{
	int code = try_open(s, "", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);

	if (code == SQLITE_OK)
		code = sqlite3_exec(s->db, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;"
				    "PRAGMA foreign_keys = ON; PRAGMA cache_size = -65536", NULL, NULL, NULL);
	return code;
}

static int open_mode(struct store *s, enum store_mode mode)
{
	switch (mode) {
	case STORE_READ:
		return open_read(s);
	case STORE_WRITE:
		return open_write(s, 0);
	case STORE_CREATE:
		return open_write(s, SQLITE_OPEN_CREATE);
	case STORE_TEMPORARY:
		return open_temporary(s);
	}
	return SQLITE_MISUSE;
}

/* A new file is its owner's alone, as are those that SQLite puts beside it. SQLite says what is wrong with the path. */
static void make_file(const char *path)
{
	int fd = strcmp(path, ":memory:") == 0 ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
}

int store_open(struct store **ret, const char *path, enum store_mode mode, char why[STORE_WHY_CAP])
{
	struct store *s;
	struct stat st;
	int code, r;

	if (mode != STORE_TEMPORARY && mode != STORE_CREATE && strcmp(path, ":memory:") != 0 && stat(path, &st) < 0) {
		snprintf(why, STORE_WHY_CAP, "%.300s: %s", path, strerror(errno));
		return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_PERMISSION;
	}
	if (mode == STORE_CREATE)
		make_file(path);
	s = mem_new(sizeof(*s));
	s->path = mem_strdup(mode == STORE_TEMPORARY ? "the temporary database" : path);
	code = open_mode(s, mode);
	if (code != SQLITE_OK) {
		r = fail(s, code);
		memcpy(why, s->error, sizeof(s->error));
		store_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < KEPT_MAX; i++)
		sqlite3_finalize(s->kept[i].stmt);
	if (sqlite3_close_v2(s->db) != SQLITE_OK)
		log_warn("A database did not close cleanly.  path=%s", s->path);
	free(s->path);
	free(s);
}

/* -- transactions ------------------------------------------------------------------ */

int store_exec(struct store *s, const char *sql)
{
	int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : fail(s, code);
}

int store_begin(struct store *s)
{
	return store_run(s, "BEGIN IMMEDIATE", "");
}

int store_snapshot(struct store *s)
{
	sqlite3_stmt *row;
	int r = store_run(s, "BEGIN", "");

	/* The snapshot is taken by the first read. */
	if (r == 0)
		r = store_row(s, &row, "SELECT count(*) FROM sqlite_schema", "");
	if (r == 0)
		store_end(row);
	return r;
}

int store_commit(struct store *s)
{
	int r = store_run(s, "COMMIT", "");

	if (r < 0)
		store_rollback(s);
	return r;
}

void store_rollback(struct store *s)
{
	char kept[STORE_WHY_CAP];

	if (sqlite3_get_autocommit(s->db))
		return;
	/* The caller wants to hear of the first failure. */
	memcpy(kept, s->error, sizeof(kept));
	store_run(s, "ROLLBACK", "");
	memcpy(s->error, kept, sizeof(kept));
}

int store_mark(struct store *s)
{
	return store_run(s, "SAVEPOINT object", "");
}

int store_keep(struct store *s)
{
	return store_run(s, "RELEASE object", "");
}

int store_undo(struct store *s)
{
	int r = store_run(s, "ROLLBACK TO object", "");

	return r < 0 ? r : store_run(s, "RELEASE object", "");
}

/* -- statements ------------------------------------------------------------------- */

static int find(struct store *s, sqlite3_stmt **ret, const char *sql)
{
	size_t i = ((uintptr_t)sql >> 3) * 0x9e3779b1u % KEPT_MAX;
	int code;

	for (size_t tries = 0; s->kept[i].sql && s->kept[i].sql != sql; i = (i + 1) % KEPT_MAX)
		if (++tries == KEPT_MAX)
			abort();
	if (!s->kept[i].sql) {
		code = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->kept[i].stmt, NULL);
		if (code != SQLITE_OK)
			return fail(s, code);
		s->kept[i].sql = sql;
	}
	*ret = s->kept[i].stmt;
	return 0;
}

static int bind_amount(sqlite3_stmt *stmt, int i, struct amount a)
{
	uint8_t bytes[AMOUNT_LEN];

	amount_store(bytes, a);
	return sqlite3_bind_blob(stmt, i, bytes, sizeof(bytes), SQLITE_TRANSIENT);
}

/* Bind the values; an empty blob is a blob, not NULL. */
static int bind(struct store *s, sqlite3_stmt *stmt, const char *fmt, va_list ap)
{
	int code = SQLITE_OK;

	for (int i = 1; *fmt && code == SQLITE_OK; fmt++, i++) {
		if (*fmt == 'i') {
			code = sqlite3_bind_int64(stmt, i, va_arg(ap, int64_t));
		} else if (*fmt == 'u') {
			uint64_t v = va_arg(ap, uint64_t);

			if (v > INT64_MAX) {
				snprintf(s->error, sizeof(s->error), "a number is larger than the database can hold");
				return ERR_RANGE;
			}
			code = sqlite3_bind_int64(stmt, i, (int64_t)v);
		} else if (*fmt == 'a') {
			code = bind_amount(stmt, i, va_arg(ap, struct amount));
		} else if (*fmt == 'b') {
			const void *data = va_arg(ap, const void *);
			size_t len = va_arg(ap, size_t);

			code = sqlite3_bind_blob64(stmt, i, len ? data : "", len, SQLITE_STATIC);
		} else if (*fmt == 't') {
			code = sqlite3_bind_text(stmt, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
		} else {
			code = sqlite3_bind_null(stmt, i);
		}
	}
	return code == SQLITE_OK ? 0 : fail(s, code);
}

int store_run(struct store *s, const char *sql, const char *fmt, ...)
{
	sqlite3_stmt *stmt;
	va_list ap;
	int code, r = find(s, &stmt, sql);

	if (r < 0)
		return r;
	va_start(ap, fmt);
	r = bind(s, stmt, fmt, ap);
	va_end(ap);
	if (r == 0) {
		/* A pragma or a SELECT for its effect gives rows. */
		while ((code = sqlite3_step(stmt)) == SQLITE_ROW)
			;
		if (code != SQLITE_DONE)
			r = fail(s, code);
	}
	store_end(stmt);
	return r;
}

int store_row(struct store *s, sqlite3_stmt **ret, const char *sql, const char *fmt, ...)
{
	sqlite3_stmt *stmt;
	va_list ap;
	int r = find(s, &stmt, sql);

	if (r < 0)
		return r;
	va_start(ap, fmt);
	r = bind(s, stmt, fmt, ap);
	va_end(ap);
	if (r == 0) {
		r = store_next(s, stmt);
		if (r == 0)
			return ERR_NOT_FOUND;
	} else {
		store_end(stmt);
	}
	if (r < 0)
		return r;
	*ret = stmt;
	return 0;
}

int store_next(struct store *s, sqlite3_stmt *row)
{
	int code = sqlite3_step(row), r;

	if (code == SQLITE_ROW)
		return 1;
	r = code == SQLITE_DONE ? 0 : fail(s, code);
	store_end(row);
	return r;
}

void store_end(sqlite3_stmt *row)
{
	sqlite3_reset(row);
	sqlite3_clear_bindings(row);
}

int store_prepare(struct store *s, sqlite3_stmt **ret, const char *sql)
{
	int code = sqlite3_prepare_v2(s->db, sql, -1, ret, NULL);

	return code == SQLITE_OK ? 0 : fail(s, code);
}

void store_drop(sqlite3_stmt *row)
{
	sqlite3_finalize(row);
}

int64_t store_changes(const struct store *s)
{
	return sqlite3_total_changes64(s->db);
}

/* -- columns ---------------------------------------------------------------------- */

uint64_t store_u64(sqlite3_stmt *row, int column)
{
	int64_t v = sqlite3_column_int64(row, column);

	return v < 0 ? 0 : (uint64_t)v;
}

struct amount store_amount(sqlite3_stmt *row, int column)
{
	const void *data = sqlite3_column_blob(row, column);

	return data && sqlite3_column_bytes(row, column) == AMOUNT_LEN ? amount_load(data) : amount_u64(0);
}

int store_blob(struct store *s, sqlite3_stmt *row, int column, void *ret, size_t len)
{
	const void *data = sqlite3_column_blob(row, column);

	if ((size_t)sqlite3_column_bytes(row, column) != len || (len && !data))
		return store_damaged(s, "a value has the wrong length");
	memcpy(ret, data, len);
	return 0;
}

char *store_bytes(sqlite3_stmt *row, int column, size_t *ret_len)
{
	const void *data = sqlite3_column_blob(row, column);
	size_t len = (size_t)sqlite3_column_bytes(row, column);
	char *out = mem_new(len + 1);

	if (len)
		memcpy(out, data, len);
	*ret_len = len;
	return out;
}
