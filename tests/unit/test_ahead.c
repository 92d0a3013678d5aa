/*
 * Entries checked ahead of the fold: they come out in order and unharmed, and what is
 * wrong with one is told at that entry, in the same words, however many threads there are
 * and however small the window. Nothing is left when the fold stops half way.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>

#include "../../ledger/ahead.h"
#include "ledger_test.h"

enum { ENTRIES = 300, SPOILT = 150, RELAY = 153, TASKS_MAX = 64 };

struct journal {
	struct world *world;
	const struct genesis *g;
	char *entries[ENTRIES + 1];
	const char *evidence;		/* beside this entry; NULL: none */
	size_t evidence_of;
};

static const struct ahead_limits all_limits[] = {
	{ 0, 1, 1 }, { 0, 64, 1 << 20 }, { 1, 1, 1 << 20 }, { 1, 2, 1 << 20 }, { 1, 1024, 1 << 20 }, { 3, 3, 1 << 20 }, { 3, 64, 1 },
	{ 3, 70, 4000 }, { 3, 1024, 1 << 20 }, { 8, 1024, 1 << 20 }, { 1000, 5, 1 << 20 },
};

enum { N_LIMITS = sizeof(all_limits) / sizeof(all_limits[0]) };

/* -- making threads may fail ------------------------------------------------------------- */

static int threads_left = -1;		/* this many more can be made; -1: all */

int __real_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *), void *arg);

int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	if (threads_left == 0)
		return EAGAIN;
	threads_left -= threads_left > 0;
	return __real_pthread_create(ret, attr, run, arg);
}

/* Threads of this process; those that a sanitizer has of its own are there all the time. */
static size_t list_tasks(long ret[TASKS_MAX])
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && n < TASKS_MAX)
			ret[n++] = atol(e->d_name);
	closedir(d);
	return n;
}

static size_t count_tasks(void)
{
	long ids[TASKS_MAX];

	return list_tasks(ids);
}

/* A thread that was joined is listed a moment longer. */
static void expect_tasks(size_t n)
{
	const struct timespec a_moment = { .tv_nsec = 1000000 };

	for (int i = 0; i < 2000 && count_tasks() != n; i++)
		nanosleep(&a_moment, NULL);
	assert_int_equal(count_tasks(), n);
}

/* -- a journal ------------------------------------------------------------------------------ */

/* Of all kinds: with one signature, and with that of a relay. */
static json_t *some_object(struct ledger *l, unsigned i)
{
	if (i % 10 == 3)
		return registration(l, 0, 1, i);
	if (i % 10 == 7)
		return stake_lock(l, 0, i - 4, "1000000000000000000", 30);
	return transfer(l, 0, 1 + i % 5, "1");
}

static void fill(struct ledger *l, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(submit(l, some_object(l, i), NULL), REFUSED_NOT);
	assert_int_equal(ledger_commit(l), 0);
}

static int setup(void **state)
{
	struct journal *j = mem_new(sizeof(*j));
	struct ledger *l;

	j->world = world_new(world_genesis);
	j->g = j->world->g;
	l = j->world->l = world_memory(j->world->dir, j->g);
	fill(l, ENTRIES);
	for (uint64_t i = 0; i < ENTRIES; i++) {
		size_t len;

		assert_int_equal(ledger_entry(l, &j->entries[i], &len, NULL, NULL, i), 0);
	}
	*state = j;
	return 0;
}

static int teardown(void **state)
{
	struct journal *j = *state;

	for (size_t i = 0; i < ENTRIES; i++)
		free(j->entries[i]);
	world_free(j->world);
	free(j);
	return 0;
}

/* Its entries as a source. */
struct texts {
	const struct journal *journal;
	uint64_t given;
	size_t bytes;
};

static bool next_text(void *ctx, struct ahead_item *ret)
{
	struct texts *s = ctx;

	if (!s->journal->entries[s->given])
		return false;
	if (s->journal->evidence && s->journal->evidence_of == s->given) {
		ret->line.evidence = mem_strdup(s->journal->evidence);
		ret->line.evidence_len = strlen(ret->line.evidence);
	}
	ret->number = s->given;
	ret->line.entry = mem_strdup(s->journal->entries[s->given++]);
	ret->line.entry_len = strlen(ret->line.entry);
	s->bytes += ret->line.entry_len;
	return true;
}

/* What became of a replay. */
struct outcome {
	uint64_t taken;
	struct ledger_refusal refusal;
	uint8_t root[LEDGER_ROOT_LEN];
};

static struct ledger *new_replay(const struct journal *j)
{
	char why[LEDGER_WHY_CAP] = "";
	struct ledger *l;

	if (ledger_open_replay(&l, j->g, why) < 0)
		fail_msg("%s", why);
	return l;
}

static void end_replay(struct outcome *ret, struct ledger *l, int r)
{
	struct ledger_head head;

	assert_true(r == 0 || r == ERR_REFUSED);
	ledger_head(l, &head);
	assert_int_equal(head.size, ret->taken);
	memcpy(ret->root, head.root, sizeof(ret->root));
	ledger_close(l);
}

/* One by one, as the entry of a stranger is taken. */
static void replay_plain(struct outcome *ret, const struct journal *j)
{
	struct ledger *l = new_replay(j);
	int r = 0;

	*ret = (struct outcome){ .taken = 0 };
	while (r == 0 && j->entries[ret->taken]) {
		const char *entry = j->entries[ret->taken], *evidence = ret->taken == j->evidence_of ? j->evidence : NULL;

		r = ledger_append(l, &ret->refusal, entry, strlen(entry), evidence, evidence ? strlen(evidence) : 0);
		ret->taken += r == 0;
	}
	end_replay(ret, l, r);
}

static void replay_ahead(struct outcome *ret, struct journal *j, const struct ahead_limits *limits)
{
	struct texts s = { .journal = j };
	struct ahead *a = ahead_new(j->g, next_text, &s, limits);
	struct ledger *l = new_replay(j);
	struct ahead_item *item;
	int r = 0;

	*ret = (struct outcome){ .taken = 0 };
	while (r == 0 && (item = ahead_next(a))) {
		assert_int_equal(item->number, ret->taken);
		assert_string_equal(item->line.entry, j->entries[item->number]);
		r = ledger_append_entry(l, &ret->refusal, ahead_entry(a, item));
		ret->taken += r == 0;
	}
	ahead_free(a);
	end_replay(ret, l, r);
}

static void expect_same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->taken, b->taken);
	assert_int_equal(a->refusal.code, b->refusal.code);
	assert_string_equal(a->refusal.why, b->refusal.why);
	assert_memory_equal(a->root, b->root, sizeof(a->root));
}

/* -- tests ------------------------------------------------------------------------------------ */

static void order(void **state)
{
	struct journal *j = *state;
	size_t tasks = count_tasks();
	struct outcome plain, ahead;

	replay_plain(&plain, j);
	assert_int_equal(plain.taken, ENTRIES);
	for (size_t i = 0; i < N_LIMITS; i++) {
		replay_ahead(&ahead, j, &all_limits[i]);
		expect_same(&plain, &ahead);
		expect_tasks(tasks);
	}
	replay_ahead(&ahead, j, NULL);
	expect_same(&plain, &ahead);
}

/* `skip` bytes behind `mark`, put `text`. */
static void put(char *entry, const char *mark, size_t skip, const char *text)
{
	char *p = strstr(entry, mark);

	assert_non_null(p);
	memcpy(p + strlen(mark) + skip, text, strlen(text));
}

static const char sig[] = "\"signatures\":[\"0x", relay_sig[] = "\"relaySignature\":\"0x";

/* What can be wrong with entry `at`, which is made of entry `like`. */
static const struct {
	size_t at, like;
	const char *mark;
	size_t skip;
	const char *text, *evidence;
	enum refusal code;
} wrong[] = {
	{ SPOILT, SPOILT, sig, 10, "00000000", NULL, REFUSED_BAD_SIGNATURE },
	{ 0, 0, sig, 10, "00000000", NULL, REFUSED_BAD_SIGNATURE },
	{ SPOILT, SPOILT, sig, 64, "ffffffff", NULL, REFUSED_BAD_SIGNATURE },
	{ SPOILT, SPOILT, sig, 128, "1d", NULL, REFUSED_BAD_SIGNATURE },
	{ ENTRIES - 1, ENTRIES - 1, sig, 128, "1d", NULL, REFUSED_BAD_SIGNATURE },
	{ SPOILT, SPOILT, "\"signatures\":[", 0, "         \"", NULL, REFUSED_BAD_SIGNATURE },
	{ SPOILT, SPOILT, "\"nonce\":\"", 0, "7", NULL, REFUSED_BAD_SIGNATURE },
	{ SPOILT, SPOILT, "\"message\":", 0, "[", NULL, REFUSED_MALFORMED },
	{ SPOILT, SPOILT, "\"time\":", 0, "-", NULL, REFUSED_MALFORMED },
	{ SPOILT, SPOILT, "\"time\":1", 0, "0", NULL, REFUSED_TIME },
	{ SPOILT, SPOILT, "\"time\":1800000010}", 0, " ", NULL, REFUSED_MALFORMED },
	{ SPOILT, SPOILT, "\"primaryType\":\"", 0, "X", NULL, REFUSED_UNKNOWN_TYPE },
	{ SPOILT, SPOILT, "", 0, "", "{\"a\":1}", REFUSED_EVIDENCE },
	{ SPOILT, SPOILT, "", 0, "", "{ }", REFUSED_EVIDENCE },
	{ RELAY, RELAY, relay_sig, 10, "00000000", NULL, REFUSED_RELAY_SIGNATURE },
	{ SPOILT, SPOILT - 1, "", 0, "", NULL, REFUSED_DUPLICATE },
};

static void refusals(void **state)
{
	struct journal *j = *state;
	size_t tasks = count_tasks();

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char *kept = j->entries[wrong[i].at], *spoilt = mem_new(strlen(j->entries[wrong[i].like]) + 2);
		struct outcome plain, ahead;

		strcpy(spoilt, j->entries[wrong[i].like]);
		put(spoilt, wrong[i].mark, wrong[i].skip, wrong[i].text);
		j->entries[wrong[i].at] = spoilt;
		j->evidence_of = wrong[i].at;
		j->evidence = wrong[i].evidence;
		replay_plain(&plain, j);
		assert_int_equal(plain.taken, wrong[i].at);
		assert_int_equal(plain.refusal.code, wrong[i].code);
		for (size_t k = 0; k < N_LIMITS; k++) {
			replay_ahead(&ahead, j, &all_limits[k]);
			expect_same(&plain, &ahead);
		}
		j->entries[wrong[i].at] = kept;
		free(spoilt);
	}
	expect_tasks(tasks);
}

/* The reader goes away at any place, and the source may still have much. */
static void stopped(void **state)
{
	struct journal *j = *state;
	size_t tasks = count_tasks();

	for (size_t i = 0; i < N_LIMITS; i++) {
		for (unsigned at = 0; at < ENTRIES + 50; at += 37) {
			struct texts s = { .journal = j };
			struct ahead *a = ahead_new(j->g, next_text, &s, &all_limits[i]);
			unsigned n = 0;

			while (n < at && ahead_next(a))
				n++;
			assert_int_equal(n, at < ENTRIES ? at : ENTRIES);
			ahead_free(a);
		}
	}
	expect_tasks(tasks);
	ahead_free(NULL);
}

/* Never more items, nor more bytes but for the last item, than the limits say. */
static void bounded(void **state)
{
	struct journal *j = *state;

	for (size_t i = 0; i < N_LIMITS; i++) {
		const struct ahead_limits *l = &all_limits[i];
		struct texts s = { .journal = j };
		struct ahead *a = ahead_new(j->g, next_text, &s, l);
		struct ahead_item *item;
		size_t taken = 0, longest = 0;

		for (size_t k = 0; k < ENTRIES; k++)
			longest = strlen(j->entries[k]) > longest ? strlen(j->entries[k]) : longest;
		while ((item = ahead_next(a))) {
			assert_true(s.given - item->number <= l->items);
			assert_true(s.bytes - taken < l->bytes + longest);
			taken += item->line.entry_len;
		}
		assert_int_equal(taken, s.bytes);
		ahead_free(a);
	}
}

static bool blocks_all(long task)
{
	char path[64], line[128];
	unsigned long long blocked = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/status", task);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "SigBlk: %llx", &blocked) == 1)
			break;
	fclose(f);
	/* All that can be blocked, but those two that the C library keeps for itself. */
	return (blocked | 1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1) | 3ull << 31) == ~0ull;
}

static void threads(void **state)
{
	const struct ahead_limits limits = { .threads = 3, .items = 100, .bytes = 1 << 20 };
	struct journal *j = *state;
	struct texts s = { .journal = j };
	struct ahead *a = ahead_new(j->g, next_text, &s, &limits);
	long before[TASKS_MAX], during[TASKS_MAX];
	size_t n = list_tasks(before), m, ours = 0;
	sigset_t mask;

	assert_non_null(ahead_next(a));
	m = list_tasks(during);
	assert_int_equal(m, n + 3);
	for (size_t i = 0; i < m; i++) {
		size_t k = 0;

		while (k < n && before[k] != during[i])
			k++;
		if (k < n)
			continue;
		assert_true(blocks_all(during[i]));
		ours++;
	}
	assert_int_equal(ours, 3);
	/* And the caller's are as they were. */
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
	assert_false(sigismember(&mask, SIGINT));
	ahead_free(a);
	expect_tasks(n);
}

/* A few entries are not worth a thread. */
static void few(void **state)
{
	const struct ahead_limits limits = { .threads = 3, .items = 100, .bytes = 1 << 20 };
	struct journal *j = *state;
	char *kept = j->entries[20];
	struct texts s = { .journal = j };
	struct ahead *a = ahead_new(j->g, next_text, &s, &limits);
	size_t tasks = count_tasks(), n = 0;

	j->entries[20] = NULL;
	for (; ahead_next(a); n++)
		assert_int_equal(count_tasks(), tasks);
	assert_int_equal(n, 20);
	assert_null(ahead_next(a));
	ahead_free(a);
	j->entries[20] = kept;
}

static void no_threads(void **state)
{
	struct journal *j = *state;
	struct outcome plain, ahead;

	replay_plain(&plain, j);
	for (int left = 0; left < 3; left++) {
		threads_left = left;
		replay_ahead(&ahead, j, &all_limits[9]);
		expect_same(&plain, &ahead);
	}
	threads_left = -1;
}

/* Lines are taken apart too; what will not be folded is not checked, and can be read all the same. */
static void lines(void **state)
{
	static const char text[] = "{\"genesis\":{}}\n{\"entry\":{\"a\":1}}\nnothing\n{\"checkpoint\":\"x\"}\n{\"entry\":{}}\n"
				   "{ \"entry\":{}}\nhalf";
	const struct ahead_limits limits = { .threads = 2, .items = 4, .bytes = 1 << 20 };
	struct journal *j = *state;
	struct ahead_lines s = { .in = fmemopen((void *)text, sizeof(text) - 1, "r"), .bytes = UINT64_MAX, .had = 1 };
	struct ahead *a = ahead_new(j->g, ahead_line, &s, &limits);
	struct ahead_item *item;

	assert_non_null(s.in);
	for (uint64_t i = 1; (item = ahead_next(a)); i++) {
		assert_int_equal(item->number, i);
		assert_int_equal(item->r < 0, i == 3 || i == 7);
		assert_int_equal(item->line.genesis != NULL, i == 1);
		assert_int_equal(item->line.entry != NULL, i == 2 || i == 5 || i == 6);
		assert_int_equal(item->line.note != NULL, i == 4);
		assert_int_equal(item->has_entry, i == 5 || i == 6);
		if (item->line.entry)
			assert_non_null(ahead_entry(a, item)->refusal);
	}
	assert_int_equal(s.lines, 7);
	ahead_free(a);
	fclose(s.in);
}

/* No line begins behind the end that is given. */
static void lines_end(void **state)
{
	static const char text[] = "{\"genesis\":{}}\n{\"entry\":{}}\n{\"entry\":{}}\n";
	struct journal *j = *state;

	for (size_t end = 0; end < sizeof(text); end++) {
		struct ahead_lines s = { .in = fmemopen((void *)text, sizeof(text) - 1, "r"), .bytes = end };
		struct ahead *a = ahead_new(j->g, ahead_line, &s, NULL);

		while (ahead_next(a))
			;
		assert_int_equal(s.lines, (end > 0) + (end > 15) + (end > 28));
		ahead_free(a);
		fclose(s.in);
	}
}

static void *nothing_to_do(void *arg)
{
	return arg;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(order, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(threads, setup, teardown),
		cmocka_unit_test_setup_teardown(few, setup, teardown),
		cmocka_unit_test_setup_teardown(no_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(lines, setup, teardown),
		cmocka_unit_test_setup_teardown(lines_end, setup, teardown),
	};
	pthread_t first;

	/* With the first thread, a sanitizer may make one of its own, which stays. */
	if (crypto_init() < 0 || pthread_create(&first, NULL, nothing_to_do, NULL) != 0 || pthread_join(first, NULL) != 0)
		return 1;
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
