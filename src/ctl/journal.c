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

static const char default_db[] = NONOS_LOCALSTATEDIR "/lib/nonos/ledger.db";

static const char *db_of(const struct invocation *in)
{
	const char *db = param_text(in->params, "db");

	return db ? db : default_db;
}

static int open_ledger(struct ledger **ret, const struct invocation *in)
{
	struct ledger_options o = { .path = db_of(in), .mode = LEDGER_READ };
	char why[LEDGER_WHY_CAP];
	int r = ledger_open(ret, &o, why);

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
	struct ledger_report report;
	struct ledger *l;
	json_t *answer;
	int r = open_ledger(&l, in), v;

	if (r != EXIT_OK)
		return r;
	v = ledger_verify(l, &report, show_progress, NULL);
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	if (v == ERR_MISMATCH && report.copy_only)
		r = complain(EXIT_REFUSED, "the database is good, but %s; stop nonosd and move the copy away: it is made anew", report.first);
	else if (v == ERR_MISMATCH)
		r = complain(EXIT_REFUSED, "%s does not follow from its journal: %s; stop nonosd, keep the file, and move it away: nonosd "
			     "makes it anew from %s.copy", db_of(in), report.first, db_of(in));
	else if (v < 0)
		r = complain(EXIT_REFUSED, "%s", ledger_error(l));
	if (r == EXIT_OK) {
		answer = describe(l);
		json_object_set_new(answer, "agrees", json_true());
		r = print_answer(in, answer);
	}
	ledger_close(l);
	return r;
}

/* -- export ---------------------------------------------------------------------------------- */

int local_ledger_export(const struct invocation *in)
{
	const char *path = param_text(in->params, "file");
	bool standard = !path || strcmp(path, "-") == 0;
	struct ledger *l;
	FILE *out;
	int r = open_ledger(&l, in);

	if (r != EXIT_OK)
		return r;
	out = standard ? stdout : fopen(path, "wxe");
	if (!out) {
		r = complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	} else {
		if (ledger_export(l, out) < 0)
			r = complain(EXIT_REFUSED, "%s", ledger_error(l));
		else if (!standard && fsync(fileno(out)) < 0)
			r = complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
		if (!standard && fclose(out) != 0 && r == EXIT_OK)
			r = complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	}
	if (r == EXIT_OK && !standard)
		r = print_answer(in, describe(l));
	ledger_close(l);
	return r;
}

/* -- import ----------------------------------------------------------------------------------- */

static int import(const struct invocation *in, FILE *f, const struct genesis *g)
{
	/* Nothing is written by a dry run, so the whole stream is tried in memory. */
	struct ledger_options o = { .path = in->options.dry_run ? ":memory:" : db_of(in), .mode = LEDGER_CREATE, .genesis = g };
	char why[LEDGER_WHY_CAP];
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
		r = print_answer(in, answer);
	}
	ledger_close(l);
	return r;
}

int local_ledger_import(const struct invocation *in)
{
	const char *path = param_text(in->params, "file");
	FILE *f = fopen(path, "rbe");
	char why[LEDGER_WHY_CAP];
	struct genesis *g;
	int r;

	if (!f)
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	if (ledger_stream_genesis(&g, f, why) < 0) {
		r = complain(EXIT_REFUSED, "%s: %s", path, why);
	} else {
		r = import(in, f, g);
		genesis_free(g);
	}
	fclose(f);
	return r;
}
