/* A journal that is followed, with writer, server and follower in one process, and a clock that is turned by hand. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/mem.h>

#include "../../src/daemon/follow.h"
#include "../../src/daemon/journal_server.h"

#include "ledger_test.h"

enum { INTERVAL_S = 1, AHEAD_S = 600, TURNS = 500, TURN_US = 10000 };

struct lab {
	struct event_base *base;
	struct journal_server *server;
	char dir[64], url[64], fork_path[128];
	struct genesis *g;
	struct ledger *writer, *ours;
	struct follow *follow;
};

static uint16_t free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	return ntohs(sin.sin_port);
}

static int lab_up(void **state)
{
	struct lab *l = mem_new(sizeof(*l));
	struct ledger_options o = { .path = ":memory:", .mode = LEDGER_CREATE };
	struct follow_config c = { .url = l->url, .fork_path = l->fork_path, .interval_s = INTERVAL_S, .ahead_s = AHEAD_S };
	char err[LEDGER_WHY_CAP] = "";
	struct addr at;

	clock_set_manual(1000, T0 + 10);
	world_dir(l->dir);
	l->g = world_genesis(l->dir);
	l->writer = world_memory(l->dir, l->g);
	o.genesis = l->g;
	assert_int_equal(ledger_open(&l->ours, &o, err), 0);
	l->base = event_base_new();
	snprintf(l->url, sizeof(l->url), "http://127.0.0.1:%u", free_port());
	snprintf(l->fork_path, sizeof(l->fork_path), "%s/fork.json", l->dir);
	assert_int_equal(addr_parse(&at, l->url + 7, strlen(l->url + 7)), 0);
	if (journal_server_new(&l->server, l->base, &at, 1, l->writer, NULL, false, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	l->follow = follow_new(l->base, l->ours, &c);
	*state = l;
	return 0;
}

static int lab_down(void **state)
{
	struct lab *l = *state;

	follow_free(l->follow);
	journal_server_free(l->server);
	event_base_free(l->base);
	ledger_close(l->ours);
	ledger_close(l->writer);
	genesis_free(l->g);
	world_remove(l->dir);
	free(l);
	return 0;
}

static void pay(struct lab *l)
{
	assert_int_equal(submit(l->writer, transfer(l->writer, 0, 1, "1"), NULL), REFUSED_NOT);
	assert_int_equal(ledger_commit(l->writer), 0);
}

/* Have one round of following end: it leaves a contact of now or a problem. */
static json_t *follow_once(struct lab *l)
{
	const struct timeval turn = { .tv_usec = TURN_US };
	json_t *status = NULL;

	clock_advance_ms(1000 * 1000);
	follow_tick(l->follow, INTERVAL_S, AHEAD_S);
	for (int i = 0; i < TURNS; i++) {
		event_base_loopexit(l->base, &turn);
		event_base_loop(l->base, 0);
		json_decref(status);
		status = follow_status(l->follow);
		if (json_integer_value(json_object_get(status, "last_contact")) == clock_wall() ||
		    json_is_string(json_object_get(status, "problem")))
			return status;
	}
	fail_msg("the round has no end");
	return status;
}

/* -- tests ------------------------------------------------------------------------------ */

/* An entry of a time that has not come yet waits until it has. */
static void test_ahead(void **state)
{
	struct lab *l = *state;
	int64_t now;
	json_t *s;

	pay(l);
	s = follow_once(l);
	assert_true(json_is_null(json_object_get(s, "problem")));
	assert_int_equal(ledger_committed(l->ours), 1);
	json_decref(s);
	now = clock_wall();
	clock_set_manual(clock_now_ms(), now + 86400);
	pay(l);
	clock_set_manual(clock_now_ms(), now);
	s = follow_once(l);
	assert_true(json_is_true(json_object_get(s, "ahead")));
	assert_non_null(strstr(json_string_value(json_object_get(s, "problem")), "2027-01-16 08:"));
	assert_int_equal(ledger_committed(l->ours), 1);
	json_decref(s);
	clock_set_manual(clock_now_ms(), now + 86400 - AHEAD_S - 1000);
	s = follow_once(l);
	assert_true(json_is_false(json_object_get(s, "ahead")));
	assert_true(json_is_null(json_object_get(s, "problem")));
	assert_int_equal(ledger_committed(l->ours), 2);
	json_decref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ahead, lab_up, lab_down),
	};

	return crypto_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
