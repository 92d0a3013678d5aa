/*
 * A process that closes epochs and claims rewards dies: in the middle of a write, or by SIGKILL at any moment.
 * What it said is there afterwards, all of an epoch or nothing of it, each account's
 * money once; and doing again what may have been done already changes nothing.
 * EPOCH_ROUNDS multiplies the crashes that are tried.
 */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/clock.h>
#include <nonos/crypto.h>
#include <nonos/jcs.h>
#include <nonos/log.h>
#include <nonos/rand.h>

#include "disk_faults.h"
#include "epoch_test.h"

enum { FIRST = 11, LAST = 9 + EPOCH_RELAYS, STEPS = 4, ROUNDS_OF_A_LEDGER = 12 };

/* What a process said it had done, before it died. */
struct said {
	uint64_t next;			/* epoch */
	uint64_t claims;
};

static int setup(void **state)
{
	*state = world_new(audited_genesis);
	return 0;
}

static void begin_anew(const struct world *w)
{
	static const char *const names[] = { "ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.copy", "ledger.db.lock" };
	char path[128];
	struct ledger *l;

	for (size_t i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "%s/%s", w->dir, names[i]);
		unlink(path);
	}
	clock_set_manual(1000, T0 + 10);
	l = world_open(w->dir, w->g);
	populate(l);
	ledger_close(l);
}

static uint64_t count_claims(struct ledger *l, unsigned n)
{
	struct eth_addr a = person(n);
	json_t *list;
	size_t count;

	assert_int_equal(claim_list(l, &list, &a, 1000), 0);
	count = json_array_size(list);
	json_decref(list);
	return count;
}

static struct said status_of(struct ledger *l)
{
	struct said s = { .claims = 0 };

	assert_int_equal(epoch_next(l, &s.next), 0);
	for (unsigned n = FIRST; n <= LAST; n++)
		s.claims += count_claims(l, n);
	return s;
}

static void claim_all(struct ledger *l)
{
	for (unsigned n = FIRST; n <= LAST; n++)
		assert_int_equal(submit(l, signed_claim(l, n), NULL), REFUSED_NOT);
	assert_int_equal(ledger_commit(l), 0);
}

/* Go on where the ledger stands, and say each step when it is durable. */
static void run(const struct world *w, int report_fd)
{
	struct ledger *l = world_open(w->dir, w->g);
	struct said s = status_of(l);

	for (int i = 0; i < STEPS; i++) {
		close_epoch(l);
		claim_all(l);
		s.next++;
		s.claims += LAST - FIRST + 1;
		if (write(report_fd, &s, sizeof(s)) != sizeof(s))
			_exit(1);
	}
	ledger_close(l);
}

/* -- afterwards ------------------------------------------------------------------------ */

/* What was claimed is with the account, the rest lies ready. */
static void expect_money(struct ledger *l)
{
	for (unsigned n = FIRST; n <= LAST; n++) {
		struct eth_addr a = person(n);
		struct claim_state s;

		assert_int_equal(claim_state(l, &s, &a), 0);
		assert_int_equal(amount_cmp(balance_of(l, ACCOUNT_ADDRESS, n), s.claimed), 0);
		assert_int_equal(amount_cmp(balance_of(l, ACCOUNT_REWARDS, n), s.claimable), 0);
		assert_true(amount_is_zero(s.submitted));
	}
}

/* Submit an entry once more, as somebody does who does not know whether it was taken. */
static void again(struct ledger *l, uint64_t index)
{
	char *entry, *evidence;
	size_t len, evidence_len;
	json_t *doc, *attached;

	assert_int_equal(ledger_entry(l, &entry, &len, &evidence, &evidence_len, index), 0);
	assert_int_equal(jcs_read_canonical(&doc, entry, len), 0);
	json_object_del(doc, "time");
	if (evidence) {
		assert_int_equal(jcs_read_canonical(&attached, evidence, evidence_len), 0);
		json_object_set_new(doc, "attachments", json_pack("{s:o}", "evidence", attached));
	}
	assert_int_equal(submit(l, doc, NULL), REFUSED_DUPLICATE);
	free(entry);
	free(evidence);
}

static void check_after(const struct world *w, const struct said *promised)
{
	struct ledger *l = world_open(w->dir, w->g);
	struct said is = status_of(l);
	struct ledger_head before, after;

	expect_verified(l);
	expect_money(l);
	if (is.next < promised->next || is.claims < promised->claims)
		fail_msg("%llu epochs and %llu claims were promised, %llu and %llu are there",
			 (unsigned long long)promised->next, (unsigned long long)promised->claims, (unsigned long long)is.next,
			 (unsigned long long)is.claims);
	ledger_head(l, &before);
	for (uint64_t i = 0; i < 5 && i < before.size - 2 * EPOCH_RELAYS; i++)
		again(l, before.size - 1 - i);
	ledger_head(l, &after);
	assert_int_equal(before.size, after.size);
	expect_money(l);
	ledger_close(l);
}

static struct said crash_once(const struct world *w, bool in_a_write)
{
	struct said promised = { .next = 0 }, said;
	int fds[2], status;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(fds[0]);
		if (in_a_write)
			fault_arm(FAULT_CRASH, 1 + rand_below(60), false);
		run(w, fds[1]);
		_exit(0);
	}
	close(fds[1]);
	if (!in_a_write) {
		usleep(rand_below(60000));
		kill(child, SIGKILL);
	}
	while (read(fds[0], &said, sizeof(said)) == sizeof(said))
		promised = said;
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (in_a_write)
		assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 9 || WEXITSTATUS(status) == 0));
	return promised;
}

static void crashes(void **state)
{
	struct world *w = *state;
	const char *rounds = getenv("EPOCH_ROUNDS");
	long most = rounds ? 40 * atol(rounds) : 40;

	for (long k = 0; k < most; k++) {
		struct said promised;

		if (k % ROUNDS_OF_A_LEDGER == 0)
			begin_anew(w);
		promised = crash_once(w, k % 2 == 0);
		check_after(w, &promised);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(crashes, setup, world_teardown),
	};

	if (crypto_init() < 0)
		return 1;
	log_set_level(LOG_LEVEL_ERROR);
	fault_hook_sqlite();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
