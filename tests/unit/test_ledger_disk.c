/*
 * The ledger and its disk: reopening, a second writer, readers; and everything
 * that can go wrong: each write of the database and of the copy fails, or is the
 * last thing that the process did; a truncated log, a flipped byte. What
 * ledger_commit() promised must be there afterwards, or an error must say why not.
 * LEDGER_ROUNDS multiplies the crashes that are tried.
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/rand.h>

#include "disk_faults.h"
#include "ledger_test.h"

/* -- worlds ---------------------------------------------------------------------------- */

static int setup(void **state)
{
	*state = world_new(world_genesis);
	return 0;
}

static int teardown(void **state)
{
	fault_arm(FAULT_NONE, 0, false);
	return world_teardown(state);
}

static char *path_of(const struct world *w, const char *name)
{
	static char path[4][128];
	static unsigned next;
	char *out = path[next++ % 4];

	snprintf(out, sizeof(path[0]), "%s/%s", w->dir, name);
	return out;
}

static void remove_ledger(const struct world *w)
{
	static const char *const names[] = { "ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.copy", "ledger.db.lock" };

	for (size_t i = 0; i < 5; i++)
		unlink(path_of(w, names[i]));
}

static int try_open(struct ledger **ret, const struct world *w, enum ledger_mode mode, char why[LEDGER_WHY_CAP])
{
	struct ledger_options o = { .path = path_of(w, "ledger.db"), .mode = mode, .genesis = w->g,
				    .key_path = mode == LEDGER_READ ? NULL : path_of(w, "writer.key") };

	why[0] = '\0';
	return ledger_open(ret, &o, why);
}

/* Entry i pays person 1 one unit: what it holds says how many entries there are. */
static int pay(struct ledger *l)
{
	struct ledger_refusal refusal;
	struct ledger_receipt receipt;
	json_t *object = transfer(l, 0, 1, "1");
	int r = ledger_submit(l, &receipt, &refusal, object);

	json_decref(object);
	return r;
}

static uint64_t paid(struct ledger *l)
{
	struct ledger_head head;

	ledger_head(l, &head);
	assert_int_equal(balance_of(l, ACCOUNT_ADDRESS, 1).lo, head.size);
	return head.size;
}

static void fill(struct ledger *l, unsigned batches, unsigned each)
{
	for (unsigned b = 0; b < batches; b++) {
		for (unsigned i = 0; i < each; i++)
			assert_int_equal(pay(l), 0);
		assert_int_equal(ledger_commit(l), 0);
	}
}

/* -- tests -------------------------------------------------------------------------------- */

static void reopening(void **state)
{
	struct world *w = *state;
	struct ledger *l = world_open(w->dir, w->g), *reader, *second;
	struct ledger_head before, after;
	char why[LEDGER_WHY_CAP], *note, *again;

	fill(l, 2, 3);
	assert_int_equal(ledger_checkpoint(l, &note), 0);
	assert_int_equal(try_open(&reader, w, LEDGER_READ, why), 0);
	assert_int_equal(try_open(&second, w, LEDGER_WRITE, why), ERR_BUSY);
	assert_non_null(strstr(why, "another process"));

	/* A reader's snapshot stays while the writer goes on. */
	fill(l, 1, 1);
	assert_int_equal(paid(reader), 6);
	expect_verified(reader);
	ledger_close(reader);

	/* What was not committed is not there. */
	assert_int_equal(pay(l), 0);
	ledger_close(l);
	assert_int_equal(try_open(&l, w, LEDGER_WRITE, why), 0);
	assert_int_equal(paid(l), 7);
	ledger_head(l, &before);
	expect_verified(l);
	assert_int_equal(ledger_checkpoint(l, &again), 0);
	assert_string_not_equal(note, again);
	free(note);
	free(again);
	assert_int_equal(pay(l), 0);
	ledger_rollback(l);
	ledger_head(l, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	fill(l, 1, 1);
	expect_verified(l);
	ledger_close(l);
}

static void wrong_files(void **state)
{
	struct world *w = *state;
	struct ledger *l;
	char why[LEDGER_WHY_CAP], log[GENESIS_LOG_CAP];
	struct genesis *other;
	struct world w2 = *w;
	FILE *f;

	assert_int_equal(try_open(&l, w, LEDGER_READ, why), ERR_NOT_FOUND);
	assert_int_equal(try_open(&l, w, LEDGER_WRITE, why), ERR_NOT_FOUND);
	ledger_close(world_open(w->dir, w->g));

	/* Another network, another key, a key that others may read. */
	assert_int_equal(rename(path_of(w, "writer.key"), path_of(w, "old.key")), 0);
	assert_int_equal(ledger_key(log, path_of(w, "writer.key"), "example.org/journal", why), 0);
	assert_int_equal(try_open(&l, w, LEDGER_WRITE, why), ERR_MISMATCH);
	assert_non_null(strstr(why, "key"));
	other = world_genesis(w->dir);
	w2.g = other;
	assert_int_equal(try_open(&l, &w2, LEDGER_WRITE, why), ERR_MISMATCH);
	assert_non_null(strstr(why, "genesis"));
	genesis_free(other);
	assert_int_equal(rename(path_of(w, "old.key"), path_of(w, "writer.key")), 0);
	assert_int_equal(chmod(path_of(w, "writer.key"), 0644), 0);
	assert_int_equal(try_open(&l, w, LEDGER_WRITE, why), ERR_PERMISSION);
	assert_non_null(strstr(why, "chmod 600"));
	chmod(path_of(w, "writer.key"), 0600);

	remove_ledger(w);
	f = fopen(path_of(w, "ledger.db"), "w");
	fputs("this is not a database, although it is long enough to look like one, and it is left alone", f);
	fclose(f);
	assert_int_equal(try_open(&l, w, LEDGER_CREATE, why), ERR_IO);
	assert_non_null(strstr(why, "not a database"));
}

/*
 * Run batches with the fault armed; afterwards the disk is well again. Returns how
 * many entries were promised. Stops at the first failure unless `go_on`.
 */
static uint64_t run_faulty(const struct world *w, bool go_on, int report_fd)
{
	uint64_t promised = 0;
	struct ledger *l;
	char why[LEDGER_WHY_CAP];

	if (try_open(&l, w, LEDGER_CREATE, why) < 0) {
		assert_true(why[0]);
		return 0;
	}
	promised = paid(l);
	for (int b = 0; b < 3; b++) {
		int r = 0;

		for (int i = 0; i < 3 && r == 0; i++)
			r = pay(l);
		if (r == 0)
			r = ledger_commit(l);
		else
			assert_int_equal(ledger_commit(l), ERR_IO);
		if (r == 0)
			promised += 3;
		else
			assert_true(ledger_error(l)[0]);
		if (r == 0 && report_fd >= 0 && write(report_fd, &promised, sizeof(promised)) < 0)
			_exit(1);
		if (r < 0 && !go_on)
			break;
	}
	if (go_on)
		assert_int_equal(paid(l), promised);
	ledger_close(l);
	return promised;
}

/* The disk is well: open, complete, compare. */
static uint64_t check_after(const struct world *w, uint64_t promised)
{
	struct ledger *l = world_open(w->dir, w->g);
	uint64_t n = paid(l);

	expect_verified(l);
	if (n < promised)
		fail_msg("%llu entries were promised, %llu are there", (unsigned long long)promised, (unsigned long long)n);
	fill(l, 1, 1);
	ledger_close(l);
	return n;
}

/* Each call fails once, or it and all after it; then space is there again. */
static void failing_calls(void **state)
{
	struct world *w = *state;
	bool reached = true;

	for (long k = 1; reached; k++) {
		for (int kind = 0; kind < 4; kind++) {
			uint64_t promised;

			remove_ledger(w);
			fault_arm(kind & 1 ? FAULT_FULL : FAULT_IO, k, kind & 2);
			promised = run_faulty(w, kind & 2, -1);
			reached = fault_reached();
			fault_arm(FAULT_NONE, 0, false);
			check_after(w, promised);
		}
		assert_true(k < 1000);
	}
}

/* The process is gone in the middle of the k-th call. */
static void crashes(void **state)
{
	struct world *w = *state;
	const char *rounds = getenv("LEDGER_ROUNDS");
	long tried = 0, most = rounds ? 60 * atol(rounds) : 60;

	for (long k = 1; tried < most; k++) {
		uint64_t promised = 0, said;
		int fds[2], status;
		pid_t child;

		if (k % 40 == 1)
			remove_ledger(w);
		assert_int_equal(pipe(fds), 0);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			close(fds[0]);
			fault_arm(FAULT_CRASH, 1 + rand_below(70), false);
			run_faulty(w, false, fds[1]);
			_exit(0);
		}
		close(fds[1]);
		while (read(fds[0], &said, sizeof(said)) == sizeof(said))
			promised = said;
		close(fds[0]);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 9 || WEXITSTATUS(status) == 0));
		check_after(w, promised);
		tried++;
	}
}

/* -- damage --------------------------------------------------------------------------------- */

static char *slurp(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	char *data;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	data = malloc((size_t)st.st_size + 1);
	*ret_len = fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	return data;
}

static void spill(const char *path, const char *data, size_t len)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	fclose(f);
}

/* The files of a ledger whose process was killed after it promised `n` entries. */
struct remains {
	char *db, *wal, *copy;
	size_t db_len, wal_len, copy_len;
	uint64_t promised;
};

static void take_remains(struct remains *ret, const struct world *w)
{
	struct ledger *l;

	remove_ledger(w);
	l = world_open(w->dir, w->g);
	fill(l, 4, 3);
	ret->promised = paid(l);
	ret->db = slurp(path_of(w, "ledger.db"), &ret->db_len);
	ret->wal = slurp(path_of(w, "ledger.db-wal"), &ret->wal_len);
	ret->copy = slurp(path_of(w, "ledger.db.copy"), &ret->copy_len);
	assert_true(ret->wal_len > 0);
	ledger_close(l);
}

static void put_remains(const struct world *w, const struct remains *r)
{
	remove_ledger(w);
	spill(path_of(w, "ledger.db"), r->db, r->db_len);
	spill(path_of(w, "ledger.db-wal"), r->wal, r->wal_len);
	spill(path_of(w, "ledger.db.copy"), r->copy, r->copy_len);
}

static void free_remains(struct remains *r)
{
	free(r->db);
	free(r->wal);
	free(r->copy);
}

/* However much of the write-ahead log is gone: nothing promised is. */
static void truncated_log(void **state)
{
	struct world *w = *state;
	struct remains r;
	size_t whole;

	take_remains(&r, w);
	whole = r.wal_len;
	for (int i = 0; i <= 24; i++) {
		r.wal_len = whole * (size_t)i / 24;
		put_remains(w, &r);
		/* Without its log the database may not even have its tables; it is made anew from the copy. */
		assert_int_equal(check_after(w, r.promised), r.promised);
	}
	free_remains(&r);
}

/* A copy that is cut anywhere, or missing, is mended from the database. */
static void truncated_copy(void **state)
{
	struct world *w = *state;
	struct remains r;
	struct ledger *l;
	size_t whole, len;
	char *copy;

	take_remains(&r, w);
	whole = r.copy_len;
	for (int i = 0; i <= 24; i++) {
		char why[LEDGER_WHY_CAP];
		int opened;

		r.copy_len = whole * (size_t)i / 24;
		put_remains(w, &r);
		opened = try_open(&l, w, LEDGER_WRITE, why);
		if (opened < 0) {
			assert_non_null(strstr(why, "copy"));
			unlink(path_of(w, "ledger.db.copy"));
			opened = try_open(&l, w, LEDGER_WRITE, why);
		}
		assert_int_equal(opened, 0);
		assert_int_equal(paid(l), r.promised);
		ledger_close(l);
		copy = slurp(path_of(w, "ledger.db.copy"), &len);
		/* Checkpoints between the batches need not come back, entries do. */
		assert_true(len > whole / 2);
		free(copy);
		unlink(path_of(w, "ledger.db"));
		unlink(path_of(w, "ledger.db-wal"));
		unlink(path_of(w, "ledger.db-shm"));
		assert_int_equal(check_after(w, r.promised), r.promised);
	}
	free_remains(&r);
}

/*
 * A byte is flipped somewhere in the database or its log. Either it is found when the ledger is
 * opened, or by the verification, or it was in nothing that counts. Then the copy gives all back.
 */
static void flipped_byte(void **state)
{
	struct world *w = *state;
	struct remains r;
	int found = 0;

	take_remains(&r, w);
	for (int i = 0; i < 150; i++) {
		bool in_log = i % 2;
		char *data = in_log ? r.wal : r.db;
		size_t at = rand_below((uint32_t)(in_log ? r.wal_len : r.db_len));
		char why[LEDGER_WHY_CAP];
		struct ledger_report report;
		struct ledger *l;

		data[at] ^= 0x20;
		put_remains(w, &r);
		data[at] ^= 0x20;
		if (try_open(&l, w, LEDGER_WRITE, why) < 0) {
			assert_true(why[0]);
			found++;
		} else {
			int v = ledger_verify(l, &report, NULL, NULL);

			if (v == 0)
				assert_int_equal(paid(l), r.promised);
			else
				found++;
			assert_true(v == 0 || report.first[0] || ledger_error(l)[0]);
			ledger_close(l);
		}
		unlink(path_of(w, "ledger.db"));
		unlink(path_of(w, "ledger.db-wal"));
		unlink(path_of(w, "ledger.db-shm"));
		assert_int_equal(check_after(w, r.promised), r.promised);
	}
	assert_true(found > 0);
	free_remains(&r);
}

/* Wherever an account's name stands, also where rows are only looked up by it, the verification finds it changed. */
static void flipped_name(void **state)
{
	struct world *w = *state;
	struct ledger *l = world_open(w->dir, w->g);
	struct ledger_report report;
	struct eth_addr who = person(1);
	unsigned found = 0;
	char why[LEDGER_WHY_CAP], *data, *at;
	size_t len;

	assert_int_equal(submit(l, transfer(l, 0, 1, "5000"), NULL), REFUSED_NOT);
	assert_int_equal(submit(l, registration(l, 2, 2, 1), NULL), REFUSED_NOT);
	assert_int_equal(submit(l, stake_lock(l, 1, 1, "100", 0), NULL), REFUSED_NOT);
	assert_int_equal(ledger_commit(l), 0);
	ledger_close(l);
	data = slurp(path_of(w, "ledger.db"), &len);
	for (at = data; (at = memmem(at, len - (size_t)(at - data), who.b, sizeof(who.b))); at++) {
		at[3] ^= 0x20;
		spill(path_of(w, "ledger.db"), data, len);
		if (try_open(&l, w, LEDGER_READ, why) == 0) {
			if (ledger_verify(l, &report, NULL, NULL) == 0)
				fail_msg("the name at byte %zu may be another", (size_t)(at - data));
			ledger_close(l);
		}
		at[3] ^= 0x20;
		found++;
	}
	assert_true(found > 4);
	free(data);
	remove_ledger(w);
}

/*
 * A trigger that somebody put into the database has no say in what an entry does: else it would first be
 * seen when it has done it.
 */
static void foreign_trigger(void **state)
{
	struct world *w = *state;
	struct ledger *l = world_open(w->dir, w->g);
	sqlite3 *db;

	fill(l, 1, 2);
	ledger_close(l);
	assert_int_equal(sqlite3_open(path_of(w, "ledger.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TRIGGER x AFTER INSERT ON entry BEGIN UPDATE burn SET rate_ppm = 1; END", NULL, NULL,
				      NULL), SQLITE_OK);
	sqlite3_close(db);
	l = world_open(w->dir, w->g);
	fill(l, 1, 2);
	expect_verified(l);
	ledger_close(l);
	remove_ledger(w);
}

/* The note with signatures of nobody behind the writer's: anybody between may add those, and all allow 64 KiB. */
static char *lengthen(char *note)
{
	size_t len = strlen(note), junk = 60000 - len;
	char *out = malloc(len + junk + 32);
	int n = sprintf(out, "%s\xe2\x80\x94 ", note);

	memset(out + n, '"', junk);
	strcpy(out + n + junk, " AAAAAAAA\n");
	free(note);
	return out;
}

/* Take the writer's last batch over, under such a note. */
static void follow_batch(struct ledger *l, struct ledger *writer)
{
	struct ledger_refusal refusal;
	char *entry, *note;
	size_t len;

	for (uint64_t i = ledger_committed(l); i < ledger_committed(writer); i++) {
		assert_int_equal(ledger_entry(writer, &entry, &len, NULL, NULL, i), 0);
		assert_int_equal(ledger_append(l, &refusal, entry, len, NULL, 0), 0);
		free(entry);
	}
	assert_int_equal(ledger_checkpoint(writer, &note), 0);
	note = lengthen(note);
	assert_int_equal(ledger_commit_note(l, note, strlen(note)), 0);
	free(note);
}

/* The copy of who follows is found its way in, however long the notes are that a mirror gave. */
static void long_notes(void **state)
{
	struct world *w = *state;
	struct ledger *writer = world_memory(w->dir, w->g), *l;
	struct ledger_options o = { .path = path_of(w, "ledger.db"), .mode = LEDGER_CREATE, .genesis = w->g };
	char why[LEDGER_WHY_CAP];

	assert_int_equal(ledger_open(&l, &o, why), 0);
	for (int i = 0; i < 3; i++) {
		fill(writer, 1, 2);
		follow_batch(l, writer);
	}
	ledger_close(l);
	unlink(path_of(w, "ledger.db"));
	unlink(path_of(w, "ledger.db-wal"));
	o.path = path_of(w, "ledger.db");
	assert_int_equal(ledger_open(&l, &o, why), 0);
	assert_int_equal(paid(l), 6);
	expect_verified(l);
	ledger_close(l);
	ledger_close(writer);
	remove_ledger(w);
}

/* A byte of the copy: the verification finds it wherever it counts, and the database makes a good one. */
static void flipped_copy(void **state)
{
	struct world *w = *state;
	struct ledger_report report;
	struct remains r;
	struct ledger *l;
	int found = 0;

	take_remains(&r, w);
	for (int i = 0; i < 40; i++) {
		size_t at = r.copy_len * (size_t)i / 40;
		char why[LEDGER_WHY_CAP];

		r.copy[at] ^= 0x20;
		put_remains(w, &r);
		r.copy[at] ^= 0x20;
		if (try_open(&l, w, LEDGER_WRITE, why) < 0) {
			assert_non_null(strstr(why, "copy"));
			found++;
		} else {
			int v = ledger_verify(l, &report, NULL, NULL);

			assert_true(v == 0 || strstr(report.first, "copy"));
			found += v < 0;
			ledger_close(l);
		}
		unlink(path_of(w, "ledger.db.copy"));
		assert_int_equal(check_after(w, r.promised), r.promised);
	}
	assert_true(found > 20);
	free_remains(&r);
}

/* -- streams ------------------------------------------------------------------------------------ */

static void export_and_import(void **state)
{
	struct world *w = *state, other = { .g = w->g };
	struct ledger *l = world_open(w->dir, w->g), *follower;
	struct ledger_options o = { .path = path_of(&other, "ledger.db"), .mode = LEDGER_CREATE, .genesis = w->g };
	struct ledger_head a, b;
	char why[LEDGER_WHY_CAP] = "", *text = NULL, *cut;
	size_t len;
	uint64_t n;
	FILE *f;

	fill(l, 2, 4);
	f = open_memstream(&text, &len);
	assert_int_equal(ledger_export(l, f), 0);
	fclose(f);

	world_dir(other.dir);
	o.path = path_of(&other, "ledger.db");
	assert_int_equal(ledger_open(&follower, &o, why), 0);
	f = fmemopen(text, len, "r");
	if (ledger_import(follower, &n, f, why) < 0)
		fail_msg("%s", why);
	fclose(f);
	assert_int_equal(n, 8);
	ledger_head(l, &a);
	ledger_head(follower, &b);
	assert_memory_equal(&a, &b, sizeof(a));
	expect_verified(follower);
	assert_int_equal(pay(follower), 0);
	assert_int_equal(ledger_commit(follower), ERR_STATE);
	ledger_rollback(follower);

	/* The rest later; again is nothing; a torn or changed stream is refused whole. */
	fill(l, 1, 2);
	free(text);
	f = open_memstream(&text, &len);
	assert_int_equal(ledger_export(l, f), 0);
	fclose(f);
	f = fmemopen(text, len - 10, "r");
	assert_int_equal(ledger_import(follower, &n, f, why), ERR_MALFORMED);
	fclose(f);
	cut = strstr(text, "\"amount\":\"1\"");
	assert_non_null(cut);
	cut[10] = '2';
	f = fmemopen(text, len, "r");
	assert_true(ledger_import(follower, &n, f, why) < 0);
	fclose(f);
	cut[10] = '1';
	assert_int_equal(paid(follower), 8);
	f = fmemopen(text, len, "r");
	assert_int_equal(ledger_import(follower, &n, f, why), 0);
	fclose(f);
	assert_int_equal(n, 2);
	f = fmemopen(text, len, "r");
	assert_int_equal(ledger_import(follower, &n, f, why), 0);
	fclose(f);
	assert_int_equal(n, 0);
	ledger_close(follower);
	world_remove(other.dir);
	free(text);
	ledger_close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reopening, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_files, setup, teardown),
		cmocka_unit_test_setup_teardown(failing_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(crashes, setup, teardown),
		cmocka_unit_test_setup_teardown(truncated_log, setup, teardown),
		cmocka_unit_test_setup_teardown(truncated_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(flipped_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(long_notes, setup, teardown),
		cmocka_unit_test_setup_teardown(flipped_name, setup, teardown),
		cmocka_unit_test_setup_teardown(foreign_trigger, setup, teardown),
		cmocka_unit_test_setup_teardown(flipped_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(export_and_import, setup, teardown),
	};

	if (crypto_init() < 0)
		return 1;
	log_set_level(LOG_LEVEL_ERROR);
	fault_hook_sqlite();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
