/*
 * ledger verify, ledger export, ledger import: what is done to the files of a
 * ledger, without a daemon or beside it.
 */
#include "config.h"

#include "ctl.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/ledger.h>
#include <nonos/mem.h>

static const char default_db[] = NONOS_LOCALSTATEDIR "/lib/nonos/ledger.db";

/* The value of an option in the answer of config.show; NULL when it is empty. */
static const char *value_of(const json_t *answer, const char *option)
{
	const char *value;
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(answer, "options"), i, row) {
		value = param_text(row, "value");
		if (value && value[0] && strcmp(param_text(row, "option"), option) == 0)
			return value;
	}
	return NULL;
}

/* The one that was named, else that of the running daemon, else that of a usual installation. malloc()ed. */
static char *db_path(const struct invocation *in)
{
	const char *named = param_text(in->params, "db"), *dir;
	json_t *params, *answer = NULL;
	char *path = NULL;

	if (named)
		return mem_strdup(named);
	params = json_pack("{s:[s,s]}", "option", "data_dir", "journal");
	if (daemon_ask(&answer, &in->options, "config.show", params)) {
		dir = value_of(answer, "data_dir");
		if (value_of(answer, "journal"))
			path = mem_strdup(value_of(answer, "journal"));
		else if (dir)
			path = mem_printf("%s/ledger.db", dir);
	}
	json_decref(params);
	json_decref(answer);
	return path ? path : mem_strdup(default_db);
}

static int open_ledger(struct ledger **ret, const char *path)
{
	struct ledger_options o = { .path = path, .mode = LEDGER_READ };
	char why[LEDGER_WHY_CAP];
	int r = access(path, F_OK) < 0 ? ERR_NOT_FOUND : ledger_open(ret, &o, why);

	if (r == ERR_NOT_FOUND)
		return complain(EXIT_REFUSED, "%s: %s; --db names the ledger's database", path, strerror(errno));
	if (r < 0)
		return complain(EXIT_REFUSED, "%s%s", why, r == ERR_IO ? "; move the damaged file away and start nonosd: it makes the "
				"database anew from the copy beside it" : "");
	return EXIT_OK;
}

static json_t *describe(const struct ledger *l)
{
	char root[2 * LEDGER_ROOT_LEN + 3] = "0x";
	struct ledger_head head;

	ledger_head(l, &head);
	hex_encode(root + 2, head.root, sizeof(head.root));
	return json_pack("{s:s,s:I,s:s,s:I}", "network", ledger_genesis(l)->name, "entries", (json_int_t)head.size, "root", root,
			 "time", (json_int_t)head.time);
}

/* -- verify -------------------------------------------------------------------------------- */

static int show_progress(void *ctx, uint64_t done, uint64_t total)
{
	(void)ctx;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K%llu of %llu entries replayed", (unsigned long long)done, (unsigned long long)total);
	return 0;
}

int local_ledger_verify(const struct invocation *in)
{
	char *path = db_path(in);
	struct ledger_report report;
	struct ledger *l = NULL;
	json_t *answer;
	int r = open_ledger(&l, path), v;

	if (r != EXIT_OK)
		goto out;
	v = ledger_verify(l, &report, show_progress, NULL);
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	if (v == ERR_MISMATCH && report.copy_only)
		r = complain(EXIT_REFUSED, "the database is good, but %s; stop nonosd and move the copy away: it is made anew", report.first);
	else if (v == ERR_MISMATCH)
		r = complain(EXIT_REFUSED, "%s does not follow from its journal: %s; stop nonosd, keep the file, and move it away: nonosd "
			     "makes it anew from %s.copy", path, report.first, path);
	else if (v < 0)
		r = complain(EXIT_REFUSED, "%s", ledger_error(l));
	if (r == EXIT_OK) {
		answer = describe(l);
		json_object_set_new(answer, "agrees", json_true());
		r = print_answer(in, answer);
	}
out:
	ledger_close(l);
	free(path);
	return r;
}

/* -- export ---------------------------------------------------------------------------------- */

/* Into a new file, which is taken away again when it cannot be whole. */
static int export_file(struct ledger *l, const char *path)
{
	FILE *out = fopen(path, "wxe");
	int r = EXIT_OK;

	if (!out && errno == EEXIST)
		return complain(EXIT_REFUSED, "%s is there already and is not overwritten; give another name", path);
	if (!out)
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	if (ledger_export(l, out) < 0)
		r = complain(EXIT_REFUSED, "%s", ledger_error(l));
	else if (fsync(fileno(out)) < 0)
		r = complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	if (fclose(out) != 0 && r == EXIT_OK)
		r = complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	if (r != EXIT_OK)
		(void)!unlink(path);
	return r;
}

int local_ledger_export(const struct invocation *in)
{
	const char *path = param_text(in->params, "file");
	bool standard = !path || strcmp(path, "-") == 0;
	char *db = db_path(in);
	struct ledger *l = NULL;
	int r = open_ledger(&l, db);

	if (r == EXIT_OK && !standard)
		r = export_file(l, path);
	else if (r == EXIT_OK && ledger_export(l, stdout) < 0)
		r = complain(EXIT_REFUSED, "%s", ledger_error(l));
	if (r == EXIT_OK && !standard)
		r = print_answer(in, describe(l));
	ledger_close(l);
	free(db);
	return r;
}

/* -- import ----------------------------------------------------------------------------------- */

static bool is_file(const char *path)
{
	return strcmp(path, ":memory:") != 0 && access(path, F_OK) == 0;
}

/* What a new ledger has left behind that got no entry. */
static void remove_ledger(const char *path)
{
	static const char *const endings[] = { "", "-wal", "-shm", ".copy", ".lock" };

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		char *name = mem_printf("%s%s", path, endings[i]);

		(void)!unlink(name);
		free(name);
	}
}

static int import(const struct invocation *in, const char *db, FILE *f, const struct genesis *g)
{
	struct ledger_options o = { .path = db, .mode = LEDGER_CREATE, .genesis = g };
	bool was_there = is_file(db);
	char why[LEDGER_WHY_CAP];
	struct ledger_head head;
	struct ledger *l;
	json_t *answer;
	uint64_t n;
	int r = EXIT_OK;

	if (ledger_open(&l, &o, why) < 0)
		return complain(EXIT_REFUSED, "%s", why);
	if (ledger_import(l, &n, f, why) < 0)
		r = complain(EXIT_REFUSED, "%s: %s; nothing was imported", param_text(in->params, "file"), why);
	if (r == EXIT_OK) {
		answer = describe(l);
		json_object_set_new(answer, "imported", json_integer((json_int_t)n));
		json_object_set_new(answer, "dry_run", json_boolean(in->options.dry_run));
		r = print_answer(in, answer);
	}
	ledger_head(l, &head);
	if (r != EXIT_OK && !was_there && is_file(db) && head.size == 0)
		remove_ledger(db);
	ledger_close(l);
	return r;
}

/* The first line is read twice, so what comes from a pipe is kept in a file without a name. */
static FILE *open_stream(const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? tmpfile() : fopen(path, "rbe");
	char data[65536];
	size_t n;

	if (!f || strcmp(path, "-") != 0)
		return f;
	while ((n = fread(data, 1, sizeof(data), stdin)) > 0)
		if (fwrite(data, 1, n, f) != n)
			break;
	if (!ferror(stdin) && !ferror(f) && fseek(f, 0, SEEK_SET) == 0)
		return f;
	fclose(f);
	return NULL;
}

int local_ledger_import(const struct invocation *in)
{
	const char *path = param_text(in->params, "file");
	FILE *f = open_stream(path);
	/* Nothing is written by a dry run, so the whole stream is tried in memory. */
	char *db = in->options.dry_run ? mem_strdup(":memory:") : db_path(in);
	char why[LEDGER_WHY_CAP];
	struct genesis *g;
	int r;

	if (!f) {
		r = complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (ledger_stream_genesis(&g, f, why) < 0) {
		r = complain(EXIT_REFUSED, "%s: %s", path, why);
	} else {
		r = import(in, db, f, g);
		genesis_free(g);
	}
	fclose(f);
out:
	free(db);
	return r;
}
