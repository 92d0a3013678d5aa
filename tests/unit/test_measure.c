#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include <nonos/clock.h>
#include <nonos/compress.h>
#include <nonos/err.h>
#include <nonos/log.h>

#include "../../src/daemon/measure.h"

enum { T0 = 1795323600, HOUR = 3600, KEEP = 14 * 86400, RUNS = FLAG_RUNNING };

struct fixture {
	char dir[64];
	struct measure *m;
	bool microdesc_is_there;
};

/* A relay named by one number: its fingerprint begins with it, its microdescriptor, too. */
static struct consensus_router router(uint8_t id, uint32_t weight, uint32_t flags)
{
	struct consensus_router rt = { .has_digest = true, .flags = flags, .weight = weight, .ip = { 10, id, 1, 1 } };

	rt.rsa_id[0] = id;
	rt.digest[0] = id;
	return rt;
}

static int take(struct fixture *f, int64_t when, uint8_t mark, const struct consensus_router *v, size_t n)
{
	uint8_t digest[32] = { mark };
	struct consensus_facts c = {
		.flavour = FLAVOUR_MICRODESC, .valid_after = when, .fresh_until = when + HOUR,
		.valid_until = when + 3 * HOUR, .digest = digest, .routers = v, .n_routers = n,
	};

	return measure_consensus(f->m, &c, KEEP);
}

static void reopen(struct fixture *f)
{
	char err[MEASURE_ERR_CAP] = "";

	measure_close(f->m);
	f->m = NULL;
	assert_int_equal(measure_open(&f->m, f->dir, err, sizeof(err)), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_set_level(LOG_LEVEL_ERROR);
	strcpy(f->dir, "/tmp/test_measure.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	reopen(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char path[128];

	measure_close(f->m);
	for (const char *const *s = (const char *const[]){ "", "-wal", "-shm", NULL }; *s; s++) {
		snprintf(path, sizeof(path), "%s/measure.db%s", f->dir, *s);
		unlink(path);
	}
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

/* The same consensus again, also after a restart, changes nothing; another one of the same time is refused. */
static void test_each_once(void **state)
{
	struct fixture *f = *state;
	const struct consensus_router v[] = { router(1, 100, RUNS), router(2, 50, RUNS | FLAG_EXIT) };
	struct consensus_facts ns = { .flavour = FLAVOUR_NS, .valid_after = T0 };
	struct measured *r;

	assert_int_equal(take(f, T0, 1, v, 2), 0);
	assert_int_equal(take(f, T0, 1, v, 2), ERR_EXISTS);
	reopen(f);
	assert_int_equal(take(f, T0, 1, v, 2), ERR_EXISTS);
	assert_int_equal(take(f, T0, 2, v, 1), ERR_MISMATCH);
	assert_int_equal(measure_consensus(f->m, &ns, KEEP), ERR_UNSUPPORTED);
	assert_int_equal(measure_read(f->m, &r, T0, T0 + HOUR), 0);
	assert_int_equal(r->n_consensuses, 1);
	assert_int_equal(r->consensuses[0].digest[0], 1);
	assert_int_equal(r->consensuses[0].weight, 150);
	assert_int_equal(r->n_relays, 2);
	assert_int_equal(measured_find(r, v[0].rsa_id)->n_running, 1);
	assert_int_equal(measured_find(r, v[1].rsa_id)->weight, 50);
	measured_free(r);
}

/* What a relay says of its own bandwidth does not make it earn more than one that says little. */
static void test_unmeasured(void **state)
{
	struct fixture *f = *state;
	struct consensus_router v[] = { router(1, 4000000000, RUNS), router(2, 3, RUNS), router(3, 900, RUNS) };
	struct measured *r;

	v[0].unmeasured = v[1].unmeasured = true;
	assert_int_equal(take(f, T0, 1, v, 3), 0);
	assert_int_equal(measure_read(f->m, &r, T0, T0 + HOUR), 0);
	assert_int_equal(measured_find(r, v[0].rsa_id)->weight, 20);
	assert_int_equal(measured_find(r, v[1].rsa_id)->weight, 3);
	assert_int_equal(measured_find(r, v[2].rsa_id)->weight, 900);
	assert_int_equal(r->consensuses[0].weight, 923);
	measured_free(r);
}

static void test_sums(void **state)
{
	struct fixture *f = *state;
	struct consensus_router a[] = { router(1, 100, RUNS | FLAG_GUARD), router(2, 50, RUNS | FLAG_EXIT | FLAG_GUARD) };
	struct consensus_router b[] = { router(1, 70, FLAG_GUARD), router(3, 7, RUNS | FLAG_EXIT | FLAG_BAD_EXIT) };
	struct consensus_router c[] = { router(1, 30, RUNS), router(2, 50, RUNS) };
	const struct measured_relay *m;
	struct measured *r;

	c[0].ip[1] = 99;
	assert_int_equal(take(f, T0, 1, a, 2), 0);
	/* The one of an hour later was missed. */
	assert_int_equal(take(f, T0 + 2 * HOUR, 2, b, 2), 0);
	assert_int_equal(take(f, T0 + 3 * HOUR, 3, c, 2), 0);
	assert_int_equal(take(f, T0 + 4 * HOUR, 4, c, 2), 0);
	assert_int_equal(measure_read(f->m, &r, T0, T0 + 4 * HOUR), 0);
	assert_int_equal(r->n_consensuses, 3);
	assert_int_equal(r->n_relays, 3);
	m = measured_find(r, a[0].rsa_id);
	assert_int_equal(m->n_running, 2);
	assert_int_equal(m->weight, 130);
	assert_int_equal(m->n_guard, 1);
	assert_int_equal(m->network[0], 10);
	assert_int_equal(m->network[1], 99);
	m = measured_find(r, a[1].rsa_id);
	assert_int_equal(m->n_running, 2);
	assert_int_equal(m->n_exit, 1);
	assert_int_equal(m->n_guard, 0);
	m = measured_find(r, b[1].rsa_id);
	assert_int_equal(m->n_exit, 0);
	assert_int_equal(m->weight, 7);
	assert_null(measured_find(r, router(9, 0, 0).rsa_id));
	measured_free(r);
	assert_int_equal(measure_read(f->m, &r, T0 + 5 * HOUR, T0 + 6 * HOUR), 0);
	assert_int_equal(r->n_consensuses + r->n_relays, 0);
	assert_null(measured_find(r, a[0].rsa_id));
	measured_free(r);
}

/* Two of one time, signed by a majority each: whichever came first, the same one counts. */
static void test_two_of_a_time(void **state)
{
	struct fixture *f = *state;
	const struct consensus_router v[] = { router(1, 100, RUNS), router(2, 50, RUNS) };
	const uint8_t low[32] = { 1 }, middle[32] = { 2 }, high[32] = { 3 };
	struct measured *r;

	assert_true(measure_wants(f->m, T0, middle));
	assert_int_equal(take(f, T0, 2, v, 2), 0);
	assert_false(measure_wants(f->m, T0, middle) || measure_wants(f->m, T0, high));
	assert_true(measure_wants(f->m, T0, low));
	assert_int_equal(take(f, T0, 3, v, 2), ERR_MISMATCH);
	assert_int_equal(take(f, T0, 1, v + 1, 1), 0);
	assert_int_equal(take(f, T0, 2, v, 2), ERR_MISMATCH);
	assert_int_equal(take(f, T0, 1, v + 1, 1), ERR_EXISTS);
	assert_int_equal(measure_read(f->m, &r, T0, T0 + HOUR), 0);
	assert_int_equal(r->n_consensuses, 1);
	assert_int_equal(r->consensuses[0].digest[0], 1);
	assert_int_equal(r->consensuses[0].weight, 50);
	assert_int_equal(r->n_relays, 1);
	assert_int_equal(r->relays[0].rsa_id[0], 2);
	measured_free(r);
}

static void keep(struct fixture *f, int64_t when, uint8_t mark, const char *text, int64_t from)
{
	const struct consensus_router rt = router(1, 100, RUNS);
	uint8_t digest[32] = { mark };
	const struct consensus_facts c = {
		.flavour = FLAVOUR_MICRODESC, .valid_after = when, .fresh_until = when + HOUR, .digest = digest,
		.routers = &rt, .n_routers = 1, .text = text, .text_len = strlen(text),
	};
	int r = measure_consensus(f->m, &c, KEEP);

	assert_true(r == 0 || r == ERR_EXISTS);
	assert_int_equal(measure_keep_document(f->m, &c, from), 0);
}

static void expect_document(struct fixture *f, int64_t when, const char *text)
{
	uint8_t *packed, *plain;
	size_t len;

	assert_int_equal(measure_document(f->m, &packed, &len, when), 0);
	assert_int_equal(decompress_all(&plain, &len, CODING_ZSTD, packed, len, 1000), 0);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(plain, text, len);
	free(packed);
	free(plain);
}

static size_t documents(struct fixture *f, int64_t first)
{
	struct measured_consensus *v;
	size_t n;

	assert_int_equal(measure_documents(f->m, &v, &n), 0);
	assert_true(n == 0 || v[0].valid_after == first);
	free(v);
	return n;
}

/* A measurement of the version before this one. */
static void make_old(struct fixture *f)
{
	char path[128];
	sqlite3 *db;

	measure_close(f->m);
	f->m = NULL;
	snprintf(path, sizeof(path), "%s/measure.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "DROP TABLE document; PRAGMA user_version = 1", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	reopen(f);
}

/* Texts for other auditors, as long as they may be wanted. */
static void test_documents(void **state)
{
	struct fixture *f = *state;
	uint8_t *packed;
	size_t len;

	assert_int_equal(documents(f, 0), 0);
	assert_int_equal(take(f, T0 - HOUR, 1, &(const struct consensus_router){ .flags = RUNS }, 1), 0);
	make_old(f);
	assert_false(measure_wants(f->m, T0 - HOUR, (const uint8_t[32]){ 1 }));
	for (int i = 0; i < 5; i++)
		keep(f, T0 + i * HOUR, 9, "text", T0);
	keep(f, T0 + HOUR, 9, "another", T0);
	assert_int_equal(documents(f, T0), 5);
	reopen(f);
	expect_document(f, T0 + HOUR, "text");
	assert_int_equal(measure_document(f->m, &packed, &len, T0 + 1), ERR_NOT_FOUND);
	/* The one with the lower digest comes with its text. */
	keep(f, T0 + HOUR, 8, "lower", T0);
	expect_document(f, T0 + HOUR, "lower");
	keep(f, T0 + 5 * HOUR, 9, "text", T0 + 3 * HOUR);
	assert_int_equal(documents(f, T0 + 3 * HOUR), 3);
	/* One that was away for long does not keep what nobody wants any more. */
	keep(f, T0, 9, "text", T0 + 3 * HOUR);
	assert_int_equal(documents(f, T0 + 3 * HOUR), 3);
	keep(f, T0 + 30 * 86400, 9, "text", 0);
	assert_int_equal(documents(f, T0 + 30 * 86400), 1);
}

/* What was Running in the consensus before, of the time before for the first one, and is not now. */
static void test_vanished(void **state)
{
	struct fixture *f = *state;
	const struct consensus_router a[] = { router(1, 100, RUNS), router(2, 50, RUNS), router(3, 7, RUNS) };
	const struct consensus_router b[] = { router(1, 90, RUNS), router(2, 50, 0) };
	struct measured *r;

	assert_int_equal(take(f, T0, 1, a, 3), 0);
	assert_int_equal(take(f, T0 + HOUR, 2, b, 2), 0);
	assert_int_equal(take(f, T0 + 2 * HOUR, 3, a, 3), 0);
	assert_int_equal(measure_read(f->m, &r, T0 + HOUR, T0 + 3 * HOUR), 0);
	assert_int_equal(r->n_consensuses, 2);
	assert_int_equal(r->consensuses[0].before, 157);
	assert_int_equal(r->consensuses[0].vanished, 57);
	assert_int_equal(r->consensuses[1].before, 90);
	assert_int_equal(r->consensuses[1].vanished, 0);
	measured_free(r);
	assert_int_equal(measure_read(f->m, &r, T0, T0 + HOUR), 0);
	assert_int_equal(r->consensuses[0].before, 0);
	assert_int_equal(r->consensuses[0].vanished, 0);
	measured_free(r);
}

static int find_microdesc(void *arg, struct microdesc_facts *ret, const uint8_t digest[32])
{
	struct fixture *f = arg;

	if (!f->microdesc_is_there || digest[0] == 3)
		return digest[0] == 2 ? ERR_MALFORMED : ERR_NOT_FOUND;
	memset(ret, 0, sizeof(*ret));
	ret->has_ed_id = true;
	ret->ed_id[31] = digest[0];
	ret->n_members = 2;
	ret->members[0][0] = 1;
	ret->members[1][0] = 2;
	ret->n_keys = 1;
	ret->keys[0][5] = 9;
	return 0;
}

static void test_microdescs(void **state)
{
	struct fixture *f = *state;
	const struct consensus_router v[] = { router(1, 1, RUNS), router(2, 1, RUNS), router(3, 1, RUNS) };
	const struct measured_relay *m;
	struct measured *r;
	size_t missing;

	assert_int_equal(take(f, T0, 1, v, 3), 0);
	assert_int_equal(measure_microdescs(f->m, find_microdesc, f, &missing), 0);
	assert_int_equal(missing, 2);
	f->microdesc_is_there = true;
	assert_int_equal(measure_microdescs(f->m, find_microdesc, f, &missing), 0);
	assert_int_equal(missing, 1);
	reopen(f);
	assert_int_equal(measure_read(f->m, &r, T0, T0 + 1), 0);
	m = measured_find(r, v[0].rsa_id);
	assert_true(m->known && m->has_ed_id && m->has_microdesc);
	assert_int_equal(m->ed_id[31], 1);
	assert_int_equal(m->n_members, 2);
	assert_int_equal(m->members[20], 2);
	assert_int_equal(m->n_keys, 1);
	assert_int_equal(m->keys[5], 9);
	m = measured_find(r, v[1].rsa_id);
	assert_true(m->known && !m->has_ed_id && m->n_members == 0);
	m = measured_find(r, v[2].rsa_id);
	assert_true(!m->known && m->has_microdesc);
	assert_int_equal(m->microdesc[0], 3);
	measured_free(r);
}

static void test_prune(void **state)
{
	struct fixture *f = *state;
	const struct consensus_router old = router(1, 5, RUNS), new = router(2, 5, RUNS);
	struct measure_status st;
	struct measured_consensus c;

	assert_int_equal(measure_newest(f->m, &c), ERR_NOT_FOUND);
	assert_int_equal(take(f, T0, 1, &old, 1), 0);
	assert_int_equal(take(f, T0 + KEEP, 2, &new, 1), 0);
	assert_int_equal(measure_status(f->m, &st), 0);
	assert_int_equal(st.consensuses, 2);
	assert_int_equal(st.oldest, T0);
	assert_int_equal(take(f, T0 + KEEP + 3 * 86400, 3, &new, 1), 0);
	assert_int_equal(measure_status(f->m, &st), 0);
	assert_int_equal(st.consensuses, 2);
	assert_int_equal(st.relays, 1);
	assert_int_equal(st.newest, T0 + KEEP + 3 * 86400);
	assert_int_equal(measure_newest(f->m, &c), 0);
	assert_int_equal(c.digest[0], 3);
}

/* Every relay of a network as large as Tor's, a few times over. */
static void test_many(void **state)
{
	enum { N = 3000 };
	static struct consensus_router v[N];
	struct fixture *f = *state;
	struct measured *r;

	for (size_t i = 0; i < N; i++) {
		v[i] = router((uint8_t)(i >> 8), (uint32_t)i, RUNS);
		v[i].rsa_id[1] = v[i].digest[1] = (uint8_t)i;
	}
	for (int t = 0; t < 3; t++)
		assert_int_equal(take(f, T0 + t * HOUR, (uint8_t)t, v, N), 0);
	assert_int_equal(measure_read(f->m, &r, T0, T0 + 3 * HOUR), 0);
	assert_int_equal(r->n_relays, N);
	for (size_t i = 0; i < N; i++) {
		assert_memory_equal(r->relays[i].rsa_id, v[i].rsa_id, 20);
		assert_int_equal(r->relays[i].n_running, 3);
		assert_int_equal(r->relays[i].weight, 3 * i);
	}
	measured_free(r);
}

static void run_sql(const struct fixture *f, const char *sql)
{
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/measure.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* A file of a newer version, and one that is no database, are named and left as they are. */
static void test_strange_files(void **state)
{
	struct fixture *f = *state;
	char err[MEASURE_ERR_CAP] = "", path[128];
	FILE *file;

	measure_close(f->m);
	f->m = NULL;
	run_sql(f, "PRAGMA user_version = 99");
	assert_int_equal(measure_open(&f->m, f->dir, err, sizeof(err)), ERR_STATE);
	assert_non_null(strstr(err, "measure.db"));
	assert_null(f->m);
	snprintf(path, sizeof(path), "%s/measure.db", f->dir);
	file = fopen(path, "w");
	for (int i = 0; i < 300; i++)
		fputs("this is not a database\n", file);
	fclose(file);
	assert_int_equal(measure_open(&f->m, f->dir, err, sizeof(err)), ERR_IO);
	assert_non_null(strstr(err, "move it away"));
	assert_null(f->m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_of_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_documents, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unmeasured, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sums, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vanished, setup, teardown),
		cmocka_unit_test_setup_teardown(test_microdescs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prune, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strange_files, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
