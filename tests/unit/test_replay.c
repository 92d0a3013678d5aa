/*
 * What replays a journal does so on all cores as on one: verifying a database, importing an export,
 * completing a database from its copy, following. Enough entries that threads are made.
 */
#include "config.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/err.h>
#include <nonos/log.h>

#include "../../ledger/ahead.h"
#include "ledger_test.h"

enum { ENTRIES = 300, SPOILT = 150, LONG = 5000 };

static void pay(struct ledger *l, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(submit(l, transfer(l, 0, 1 + i % 5, "1"), NULL), REFUSED_NOT);
	assert_int_equal(ledger_commit(l), 0);
}

static int setup(void **state)
{
	struct world *w = world_new(world_genesis);
	struct ledger *l = world_open(w->dir, w->g);

	pay(l, ENTRIES);
	ledger_close(l);
	*state = w;
	return 0;
}

/* Now somebody else signed. */
static void spoil(char *entry)
{
	char *p = strstr(entry, "\"signatures\":[\"0x");

	assert_non_null(p);
	memcpy(p + 30, "00000000", 8);
}

static char *path_of(const struct world *w, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return path;
}

/* An export goes into an empty ledger, or nothing of it does. */
static int import(struct world *w, char *text, size_t len, char why[LEDGER_WHY_CAP])
{
	struct ledger_options o = { .path = ":memory:", .mode = LEDGER_CREATE, .genesis = w->g };
	FILE *f = fmemopen(text, len, "r");
	struct ledger *l;
	uint64_t n = 0;
	int r;

	why[0] = '\0';
	assert_non_null(f);
	assert_int_equal(ledger_open(&l, &o, why), 0);
	r = ledger_import(l, &n, f, why);
	assert_int_equal(n, r == 0 ? ENTRIES : 0);
	assert_int_equal(ledger_committed(l), n);
	ledger_close(l);
	fclose(f);
	return r;
}

static void whole_way(struct world *w)
{
	struct ledger *l = world_open(w->dir, w->g);
	char why[LEDGER_WHY_CAP], *text = NULL, *line;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	expect_verified(l);
	assert_int_equal(ledger_export(l, f), 0);
	fclose(f);
	ledger_close(l);
	assert_int_equal(import(w, text, len, why), 0);
	line = text;
	for (int i = 0; i < 1 + SPOILT; i++)
		line = strchr(line, '\n') + 1;
	spoil(line);
	assert_int_equal(import(w, text, len, why), ERR_REFUSED);
	assert_non_null(strstr(why, "line 152: bad-signature: "));
	free(text);
	/* The database is lost, and is made anew from its copy. */
	unlink(path_of(w, "ledger.db"));
	unlink(path_of(w, "ledger.db-wal"));
	unlink(path_of(w, "ledger.db-shm"));
	l = world_open(w->dir, w->g);
	assert_int_equal(ledger_committed(l), ENTRIES);
	expect_verified(l);
	ledger_close(l);
}

static void all_cores_and_one(void **state)
{
	struct world *w = *state;
	cpu_set_t before, one;

	whole_way(w);
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
		if (CPU_ISSET(i, &before))
			CPU_SET(i, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(ahead_limits().threads, 0);
	whole_way(w);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(ahead_limits().threads, CPU_COUNT(&before) - 1);
}

/* Those that came before the one that fails are taken. */
static void append_all(void **state)
{
	struct ledger_text texts[ENTRIES];
	struct world *w = *state;
	struct ledger *l = world_open(w->dir, w->g), *follower = world_memory(w->dir, w->g);
	struct ledger_refusal refusal, one;
	char *entries[ENTRIES], *evidence;
	size_t n, len;

	for (size_t i = 0; i < ENTRIES; i++) {
		assert_int_equal(ledger_entry(l, &entries[i], &len, &evidence, &n, i), 0);
		texts[i] = (struct ledger_text){ .entry = entries[i], .entry_len = len };
	}
	assert_int_equal(ledger_append_all(follower, &n, &refusal, texts, 0), 0);
	assert_int_equal(n, 0);
	assert_int_equal(ledger_append_all(follower, &n, &refusal, texts, ENTRIES), 0);
	assert_int_equal(n, ENTRIES);
	ledger_rollback(follower);
	spoil(entries[SPOILT]);
	assert_int_equal(ledger_append_all(follower, &n, &refusal, texts, ENTRIES), ERR_REFUSED);
	assert_int_equal(n, SPOILT);
	assert_int_equal(ledger_append(follower, &one, texts[n].entry, texts[n].entry_len, NULL, 0), ERR_REFUSED);
	assert_int_equal(refusal.code, one.code);
	assert_string_equal(refusal.why, one.why);
	for (size_t i = 0; i < ENTRIES; i++)
		free(entries[i]);
	ledger_close(follower);
	ledger_close(l);
}

/* Whoever watches a replay may end it. */
static int stop_at_once(void *ctx, uint64_t done, uint64_t total)
{
	(void)ctx;
	return done > 0 && done < total;
}

static void aborted(void **state)
{
	struct world *w = *state;
	struct ledger *l = world_open(w->dir, w->g);
	struct ledger_report report;

	while (ledger_committed(l) < LONG)
		pay(l, 500);
	assert_int_equal(ledger_verify(l, &report, stop_at_once, NULL), ERR_CLOSED);
	assert_in_range(report.entries, 1, LONG - 1);
	ledger_close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_cores_and_one, setup, world_teardown),
		cmocka_unit_test_setup_teardown(append_all, setup, world_teardown),
		cmocka_unit_test_setup_teardown(aborted, setup, world_teardown),
	};

	if (crypto_init() < 0)
		return 1;
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
