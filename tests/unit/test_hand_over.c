/* One keeper in the place of another: the conversation, the listening sockets, the totals as text. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>

#include <nonos/err.h>

#include "../../src/daemon/counters.h"
#include "../../src/daemon/hand_over.h"
#include "../../src/daemon/take_over.h"

/* Both sides live in this process and its one event loop. */
struct scene {
	char dir[64];
	struct event_base *base;
	struct hand_over *h;
	struct listeners listeners;
	int lock_fd;
	const char *why_not;		/* what the old one answers */
	unsigned asked, given_up, taken;
	unsigned done, died, refused, ended;
	char why[256], counters[256];
};

static struct addr loopback(uint16_t port)
{
	return (struct addr){ .family = ADDR_V4, .port = port, .ip = { 127, 0, 0, 1 } };
}

/* A port that nobody has now. */
static uint16_t free_port(void)
{
	struct addr a = loopback(0);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&ss, &a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr(&a, (struct sockaddr *)&ss, len), 0);
	close(fd);
	return a.port;
}

/* -- the old one --------------------------------------------------------------- */

static void on_state(void *arg, struct message_state *ret)
{
	(void)arg;
	*ret = (struct message_state){
		.program_dev = 7, .program_ino = 8, .started_ms = 9, .watchdog_ms = 10, .reached = true,
		.found_out = true, .v4 = loopback(9001), .notify = "@notify", .control = "/run/control",
		.release = "1.2.3",
	};
}

static const char *on_asked(void *arg)
{
	struct scene *s = arg;

	s->asked++;
	return s->why_not;
}

static void on_give(void *arg)
{
	struct scene *s = arg;

	hand_over_socket(s->h, HAND_LOCK, s->lock_fd);
	hand_over_socket(s->h, (enum hand_socket)200, s->lock_fd);
	for (size_t i = 0; i < s->listeners.n_sets; i++)
		for (size_t j = 0; j < s->listeners.sets[i].n; j++)
			hand_over_socket(s->h, HAND_OR, s->listeners.sets[i].fds[j]);
}

static void on_given_up(void *arg, const char *why)
{
	struct scene *s = arg;

	s->given_up++;
	snprintf(s->why, sizeof(s->why), "%s", why);
}

static void on_taken(void *arg, pid_t pid)
{
	struct scene *s = arg;

	assert_int_equal(pid, getpid());
	s->taken++;
	hand_over_counters(s->h, "one");
}

static void begin(struct scene *s)
{
	struct hand_over_hooks hooks = {
		.state = on_state, .asked = on_asked, .give = on_give, .given_up = on_given_up, .taken = on_taken,
		.arg = s,
	};
	struct addr addrs[2] = { loopback(free_port()), loopback(free_port()) };
	char err[256], path[96];

	*s = (struct scene){ .dir = "/tmp/nonos-hand-over-XXXXXX" };
	assert_non_null(mkdtemp(s->dir));
	s->base = event_base_new();
	snprintf(path, sizeof(path), "%s/lock", s->dir);
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(listeners_open(&s->listeners, addrs, 2, 2, NULL, 0, err, sizeof(err)), 0);
	assert_int_equal(hand_over_open(&s->h, s->base, s->dir, &hooks, err, sizeof(err)), 0);
}

static void finish(struct scene *s)
{
	char path[96];

	hand_over_free(s->h);
	listeners_close(&s->listeners);
	close(s->lock_fd);
	event_base_free(s->base);
	snprintf(path, sizeof(path), "%s/lock", s->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/handover", s->dir);
	unlink(path);
	assert_int_equal(rmdir(s->dir), 0);
}

/* -- the new one --------------------------------------------------------------- */

static void on_done(void *arg, bool died)
{
	struct scene *s = arg;

	s->done++;
	s->died += died;
}

static void on_refused(void *arg, const char *why)
{
	struct scene *s = arg;

	s->refused++;
	snprintf(s->why, sizeof(s->why), "%s", why);
}

static void on_counters(void *arg, const char *text)
{
	struct scene *s = arg;

	snprintf(s->counters, sizeof(s->counters), "%s", text);
}

static void on_ended(void *arg)
{
	struct scene *s = arg;

	s->ended++;
}

static struct take_over_hooks take_hooks(struct scene *s)
{
	return (struct take_over_hooks){
		.done = on_done, .refused = on_refused, .counters = on_counters, .ended = on_ended, .arg = s,
	};
}

static int ask(struct take_over **ret, struct scene *s, bool only, char *err)
{
	return take_over_begin(ret, s->base, s->dir, (uid_t)-1, only, err, 256);
}

static void turn(struct scene *s)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(s->base, EVLOOP_NONBLOCK);
}

/* -- tests ----------------------------------------------------------------------- */

static void test_nobody(void **state)
{
	struct scene s;
	struct take_over *t = NULL;
	char err[256], path[96];

	(void)state;
	begin(&s);
	hand_over_free(s.h);
	s.h = NULL;
	assert_int_equal(ask(&t, &s, false, err), ERR_NOT_FOUND);
	/* The file of one that was killed. */
	snprintf(path, sizeof(path), "%s/handover", s.dir);
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	assert_int_equal(ask(&t, &s, false, err), ERR_NOT_FOUND);
	assert_null(t);
	finish(&s);
}

static void test_all_goes_well(void **state)
{
	struct scene s;
	struct take_over *t;
	struct given_listener *given;
	struct take_over_hooks hooks = take_hooks(&s);
	struct stat ours, theirs;
	struct listeners mine;
	struct addr addrs[2];
	char err[256];
	size_t n;
	int fd;

	(void)state;
	begin(&s);
	assert_int_equal(ask(&t, &s, false, err), 0);
	assert_int_equal(s.asked, 1);
	assert_int_equal(take_over_pid(t), getpid());
	assert_string_equal(take_over_state(t)->release, "1.2.3");
	assert_string_equal(take_over_state(t)->notify, "@notify");
	assert_int_equal(take_over_state(t)->v4.port, 9001);
	fd = take_over_socket(t, HAND_LOCK);
	assert_int_equal(fstat(fd, &ours), 0);
	assert_int_equal(fstat(s.lock_fd, &theirs), 0);
	assert_int_equal(ours.st_ino, theirs.st_ino);
	close(fd);
	assert_int_equal(take_over_socket(t, HAND_LOCK), -1);
	given = take_over_listeners(t, &n);
	assert_int_equal(n, 4);
	/* One address stays, one is new: the given ones are taken, the other is opened. */
	addrs[0] = s.listeners.sets[1].addr;
	addrs[1] = loopback(free_port());
	assert_int_equal(listeners_open(&mine, addrs, 2, 3, given, n, err, sizeof(err)), 0);
	assert_int_equal(mine.sets[0].n, 2);
	assert_int_equal(mine.sets[1].n, 3);
	turn(&s);
	assert_int_equal(s.taken, 0);
	take_over_ready(t, &hooks);
	turn(&s);
	assert_int_equal(s.taken, 1);
	assert_int_equal(s.done, 1);
	assert_int_equal(s.died, 0);
	assert_string_equal(s.counters, "one");
	hand_over_counters(s.h, "two");
	turn(&s);
	assert_string_equal(s.counters, "two");
	assert_true(take_over_other_lives(t));
	hand_over_free(s.h);
	s.h = NULL;
	turn(&s);
	assert_int_equal(s.ended, 1);
	assert_false(take_over_other_lives(t));
	assert_int_equal(s.given_up, 0);
	take_over_free(t);
	listeners_close(&mine);
	finish(&s);
}

static void test_refusals(void **state)
{
	struct take_over_hooks hooks;
	struct take_over *t = NULL, *second = NULL;
	struct scene s;
	char err[256];

	(void)state;
	begin(&s);
	hooks = take_hooks(&s);
	s.why_not = "not today";
	assert_int_equal(ask(&t, &s, false, err), ERR_REFUSED);
	assert_non_null(strstr(err, "not today"));
	turn(&s);
	s.why_not = NULL;
	assert_int_equal(ask(&t, &s, false, err), 0);
	/* The old one is told to stop meanwhile. */
	hand_over_refuse(s.h, "told to stop");
	assert_int_equal(s.given_up, 1);
	turn(&s);
	take_over_ready(t, &hooks);
	assert_int_equal(s.refused, 1);
	assert_string_equal(s.why, "told to stop");
	take_over_free(t);
	/* Two at a time: the second is given nothing while the first may still come to it. */
	assert_int_equal(ask(&t, &s, false, err), 0);
	assert_int_equal(ask(&second, &s, false, err), ERR_TIMEOUT);
	assert_int_equal(s.asked, 3);
	take_over_ready(t, &hooks);
	turn(&s);
	assert_int_equal(s.done, 1);
	take_over_free(t);
	finish(&s);
}

static void test_new_one_fails(void **state)
{
	struct take_over *t = NULL;
	struct scene s;
	char err[256];

	(void)state;
	begin(&s);
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(ask(&t, &s, false, err), 0);
		take_over_free(t);
		turn(&s);
		assert_int_equal(s.given_up, i);
		assert_string_equal(s.why, "it ended before it was ready");
	}
	assert_int_equal(s.taken, 0);
	finish(&s);
}

static void test_only_ask(void **state)
{
	struct take_over *t = NULL;
	struct scene s;
	char err[256];
	size_t n;

	(void)state;
	begin(&s);
	assert_int_equal(ask(&t, &s, true, err), 0);
	assert_int_equal(take_over_state(t)->program_ino, 8);
	assert_int_equal(s.asked, 0);
	(void)take_over_listeners(t, &n);
	assert_int_equal(n, 0);
	take_over_free(t);
	turn(&s);
	assert_int_equal(s.given_up, 0);
	finish(&s);
}

/* The old one is a child that dies, or only closes the connection, when all was given. */
static void test_old_one_ends(void **state)
{
	static const bool dies[] = { true, false };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct take_over_hooks hooks;
		struct take_over *t = NULL;
		struct scene s;
		char err[256];
		int gate[2];
		pid_t pid;

		assert_int_equal(pipe(gate), 0);
		begin(&s);
		hooks = take_hooks(&s);
		hand_over_free(s.h);
		s.h = NULL;
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct hand_over_hooks theirs = {
				.state = on_state, .asked = on_asked, .give = on_give, .given_up = on_given_up,
				.taken = on_taken, .arg = &s,
			};
			char byte;

			event_reinit(s.base);
			if (hand_over_open(&s.h, s.base, s.dir, &theirs, err, sizeof(err)) < 0)
				_exit(1);
			(void)!write(gate[1], "", 1);
			while (s.asked == 0)
				event_base_loop(s.base, EVLOOP_ONCE);
			if (dies[i])
				_exit(0);
			hand_over_free(s.h);
			(void)!read(gate[0], &byte, 1);
			_exit(0);
		}
		assert_int_equal(read(gate[0], err, 1), 1);
		assert_int_equal(ask(&t, &s, false, err), 0);
		usleep(100000);		/* it ends before we are ready */
		take_over_ready(t, &hooks);
		for (int j = 0; j < 50 && !s.done && !s.refused; j++) {
			usleep(10000);
			turn(&s);
		}
		assert_int_equal(s.done, dies[i]);
		assert_int_equal(s.died, dies[i]);
		assert_int_equal(s.refused, !dies[i]);
		(void)!write(gate[1], "", 1);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		close(gate[0]);
		close(gate[1]);
		take_over_free(t);
		finish(&s);
	}
}

static void expect_share(const struct listeners *l, unsigned index, unsigned n_workers, const char *want)
{
	char got[64] = "";
	int *fds;
	size_t n = listeners_of(&fds, l, index, n_workers);

	for (size_t i = 0; i < n; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%d ", fds[i]);
	free(fds);
	assert_string_equal(got, want);
}

static void test_listeners_are_shared(void **state)
{
	int v4[] = { 10, 11, 12 }, v6[] = { 20 };
	struct listener_set sets[] = { { .fds = v4, .n = 3 }, { .fds = v6, .n = 1 } };
	struct listeners l = { sets, 2 };

	(void)state;
	expect_share(&l, 0, 3, "10 20 ");
	expect_share(&l, 2, 3, "12 20 ");
	expect_share(&l, 0, 2, "10 12 20 ");
	expect_share(&l, 1, 2, "11 20 ");
	expect_share(&l, 0, 1, "10 11 12 20 ");
	expect_share(&l, 4, 5, "11 20 ");
}

static void test_counters_text(void **state)
{
	struct relay_counters c = { .read_bytes = 12345678901234, .links = 7 }, back;
	char text[COUNTERS_TEXT_CAP];

	(void)state;
	counters_format(text, &c);
	assert_int_equal(counters_parse(&back, text), 0);
	assert_int_equal(back.read_bytes, c.read_bytes);
	assert_int_equal(back.links, 0);	/* of the moment, and of the other process */
	assert_int_equal(counters_parse(&back, "read_bytes 5\nof_the_future 1 2 3\n"), 0);
	assert_int_equal(back.read_bytes, 5);
	assert_int_equal(counters_parse(&back, "read_bytes -5\n"), ERR_MALFORMED);
	assert_int_equal(counters_parse(&back, "read_bytes 99999999999999999999\n"), ERR_MALFORMED);
	assert_int_equal(counters_parse(&back, "read_bytes 5"), ERR_MALFORMED);
	assert_int_equal(counters_parse(&back, "\n"), ERR_MALFORMED);
	assert_int_equal(back.read_bytes, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody), cmocka_unit_test(test_all_goes_well), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_new_one_fails), cmocka_unit_test(test_only_ask), cmocka_unit_test(test_old_one_ends),
		cmocka_unit_test(test_listeners_are_shared), cmocka_unit_test(test_counters_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
