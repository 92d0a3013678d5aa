/* Entries are found by their digests, and taken once, on both sides of the step at which digests move to their table. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include <nonos/clock.h>
#include <nonos/err.h>

#include "disk_faults.h"
#include "ledger_test.h"

enum { STEP = 32768, AROUND = 40 };

static char dir[64];
static struct genesis *genesis;

/* Of entry i; all pay one unit. */
static uint8_t digests[STEP + AROUND][KECCAK256_LEN];

static struct ledger *open_it(void)
{
	return world_open(dir, genesis);
}

static void pay(struct ledger *l)
{
	struct ledger_receipt receipt;

	assert_int_equal(submit(l, transfer(l, 0, 1, "1"), &receipt), REFUSED_NOT);
	memcpy(digests[receipt.index], receipt.digest, sizeof(receipt.digest));
}

/* Up to `size` entries, a commit every 1,000. */
static void fill(struct ledger *l, uint64_t size)
{
	struct ledger_head head;

	for (ledger_head(l, &head); head.size < size; ledger_head(l, &head)) {
		pay(l);
		if (head.size % 1000 == 0)
			assert_int_equal(ledger_commit(l), 0);
	}
	assert_int_equal(ledger_commit(l), 0);
}

static void expect_found(struct ledger *l, uint64_t size)
{
	uint8_t unknown[KECCAK256_LEN];
	struct ledger_receipt found;

	for (uint64_t i = 0; i < size; i += size - i < 64 ? 1 : 61) {
		assert_int_equal(ledger_find(l, &found, digests[i]), 0);
		assert_int_equal(found.index, i);
	}
	/* The first bytes of one that is there, and other ones behind. */
	memcpy(unknown, digests[size - 1], sizeof(unknown));
	unknown[31] ^= 1;
	assert_int_equal(ledger_find(l, &found, unknown), ERR_NOT_FOUND);
	memcpy(unknown, digests[0], sizeof(unknown));
	unknown[31] ^= 1;
	assert_int_equal(ledger_find(l, &found, unknown), ERR_NOT_FOUND);
}

static sqlite3 *open_database(void)
{
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/ledger.db", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

static int64_t count_indexed(void)
{
	sqlite3 *db = open_database();
	sqlite3_stmt *row;
	int64_t n;

	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM digest", -1, &row, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(row), SQLITE_ROW);
	n = sqlite3_column_int64(row, 0);
	sqlite3_finalize(row);
	sqlite3_close(db);
	return n;
}

/* -- tests, each from where the one before it stopped -------------------------------------- */

static void before_the_step(void **state)
{
	struct ledger *l = open_it();
	struct ledger_head head;

	(void)state;
	fill(l, STEP - 10);
	expect_found(l, STEP - 10);
	assert_int_equal(count_indexed(), 0);
	/* A batch that would cross it, and is dropped. */
	for (int i = 0; i < 20; i++)
		pay(l);
	expect_found(l, STEP + 10);
	ledger_rollback(l);
	ledger_head(l, &head);
	assert_int_equal(head.size, STEP - 10);
	expect_found(l, STEP - 10);
	ledger_close(l);
}

/* The process is gone at a write of the commit that moves them. */
static void crashes_at_the_step(void **state)
{
	struct ledger_head head = { .size = STEP - 10 };

	(void)state;
	for (long k = 1; head.size == STEP - 10; k += 7) {
		struct ledger *l;
		int status;
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			l = open_it();
			for (int i = 0; i < 20; i++)
				pay(l);
			fault_arm(FAULT_CRASH, k, false);
			_exit(ledger_commit(l) == 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 9 || WEXITSTATUS(status) == 0));
		l = open_it();
		ledger_head(l, &head);
		assert_true(head.size == STEP - 10 || head.size == STEP + 10);
		expect_found(l, STEP - 10);
		ledger_close(l);
		assert_int_equal(count_indexed(), head.size < STEP ? 0 : STEP);
	}
}

static void behind_the_step(void **state)
{
	struct ledger *l = open_it();
	struct ledger_receipt receipt;
	struct ledger_head head;
	json_t *object = transfer(l, 0, 1, "1");

	(void)state;
	ledger_head(l, &head);
	assert_int_equal(submit(l, json_incref(object), &receipt), REFUSED_NOT);
	memcpy(digests[receipt.index], receipt.digest, sizeof(receipt.digest));
	fill(l, STEP + 30);
	assert_int_equal(submit(l, object, &receipt), REFUSED_DUPLICATE);
	assert_int_equal(receipt.index, head.size);
	ledger_rollback(l);
	expect_verified(l);
	ledger_close(l);
	l = open_it();
	expect_found(l, STEP - 10);
	ledger_close(l);
}

/* A row that is not what follows from the journal is found out. */
static void tampered(void **state)
{
	sqlite3 *db = open_database();
	struct ledger_report report;
	struct ledger *l;

	(void)state;
	assert_int_equal(sqlite3_exec(db, "UPDATE digest SET idx = idx + 1000000 WHERE idx = 77", NULL, NULL, NULL), SQLITE_OK);
	l = open_it();
	assert_int_equal(ledger_verify(l, &report, NULL, NULL), ERR_MISMATCH);
	assert_non_null(strstr(report.first, "digest"));
	ledger_close(l);
	assert_int_equal(sqlite3_exec(db, "UPDATE digest SET idx = 77 WHERE idx = 1000077", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void prefix(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	const uint8_t *d = sqlite3_value_blob(args[0]);

	(void)n;
	sqlite3_result_int64(ctx, (int64_t)d[0] << 24 | d[1] << 16 | d[2] << 8 | d[3]);
}

/* A database of version 3, which had an index instead. */
static void migration(void **state)
{
	sqlite3 *db = open_database();
	struct ledger *l;

	(void)state;
	assert_int_equal(sqlite3_create_function(db, "prefix", 1, SQLITE_UTF8, NULL, prefix, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "DROP TABLE digest; DROP TABLE indexed;"
				      "ALTER TABLE entry ADD COLUMN prefix INTEGER NOT NULL DEFAULT 0;"
				      "UPDATE entry SET prefix = prefix(digest); CREATE INDEX entry_prefix ON entry(prefix);"
				      "PRAGMA user_version = 3", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	l = open_it();
	expect_found(l, STEP - 10);
	pay(l);
	assert_int_equal(ledger_commit(l), 0);
	expect_verified(l);
	ledger_close(l);
	assert_int_equal(count_indexed(), STEP);
}

static int set_up(void **state)
{
	(void)state;
	clock_set_manual(1, T0 + 60);
	fault_hook_sqlite();
	world_dir(dir);
	genesis = world_genesis(dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_remove(dir);
	genesis_free(genesis);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_the_step),
		cmocka_unit_test(crashes_at_the_step),
		cmocka_unit_test(behind_the_step),
		cmocka_unit_test(tampered),
		cmocka_unit_test(migration),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
