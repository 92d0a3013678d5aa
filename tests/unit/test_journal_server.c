/* The journal's server among strangers, in a network of its own where each client has the address that it likes. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>
#include <sqlite3.h>

#include <nonos/clock.h>
#include <nonos/commands.h>
#include <nonos/mem.h>

#include "../../src/daemon/journal_server.h"

#include "ledger_test.h"

enum { PORT = 4567, OF_ONE = 50, OF_ALL = 400, PLACES = 64, OF_ONE_PLACES = 16, LONG = 8 << 20 };

struct lab {
	struct event_base *base;
	struct journal_server *server;
	char dir[64];
	struct genesis *g;
	struct ledger *l;
	struct ctl_commands commands;
	ctl_run_fn run[COMMAND_COUNT];
	unsigned waiting;
};

/* -- a network with 192.0.2.0/24 on this machine -------------------------------------- */

static int set_addr(int fd, struct ifreq *ifr, unsigned long what, const char *text)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	inet_pton(AF_INET, text, &sin.sin_addr);
	memcpy(&ifr->ifr_addr, &sin, sizeof(sin));
	return ioctl(fd, what, ifr);
}

static int make_network(void **state)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd, r;

	(void)state;
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return 1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ifr.ifr_flags = IFF_UP;
	r = ioctl(fd, SIOCSIFFLAGS, &ifr);
	strcpy(ifr.ifr_name, "lo:1");
	if (r == 0)
		r = set_addr(fd, &ifr, SIOCSIFADDR, "192.0.2.1");
	if (r == 0)
		r = set_addr(fd, &ifr, SIOCSIFNETMASK, "255.255.255.0");
	close(fd);
	return r < 0;
}

static struct sockaddr_in place(unsigned last, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };

	sin.sin_addr.s_addr = htonl(0xc0000200u + last);
	return sin;
}

/* -- the lab -------------------------------------------------------------------------- */

static int append_stub(struct ctl_call *call)
{
	call->result = json_string("taken");
	return 0;
}

static void gone(void *arg)
{
	--*(unsigned *)arg;
}

/* An answer that does not come. */
static int wait_stub(struct ctl_call *call)
{
	unsigned *n = call->arg;
	struct ctl_pending *p;

	++*n;
	return ctl_defer(&p, call, gone, n);
}

static int lab_open(void **state, bool forwards)
{
	struct lab *l = mem_new(sizeof(*l));
	struct addr at;
	char err[256] = "";

	clock_set_manual(1000, T0 + 10);
	world_dir(l->dir);
	l->g = world_genesis(l->dir);
	l->l = world_open(l->dir, l->g);
	l->base = event_base_new();
	l->run[COMMAND_ID_ledger_append] = append_stub;
	l->run[COMMAND_ID_ledger_attest] = wait_stub;
	l->commands = (struct ctl_commands){ .arg = &l->waiting, .v = commands_all(), .run = l->run, .n = COMMAND_COUNT };
	assert_int_equal(addr_parse(&at, "192.0.2.1:4567", 14), 0);
	if (journal_server_new(&l->server, l->base, &at, 1, l->l, &l->commands, forwards, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	*state = l;
	return 0;
}

static int lab_up(void **state)
{
	return lab_open(state, false);
}

static int lab_up_forwards(void **state)
{
	return lab_open(state, true);
}

static int lab_down(void **state)
{
	struct lab *l = *state;

	journal_server_free(l->server);
	event_base_free(l->base);
	ledger_close(l->l);
	genesis_free(l->g);
	world_remove(l->dir);
	free(l);
	return 0;
}

static void turn(struct lab *l)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(l->base, EVLOOP_NONBLOCK);
}

/* A connection from 192.0.2.`who`. */
static int dial(struct lab *l, unsigned who)
{
	struct sockaddr_in from = place(who, 0), to = place(1, PORT);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), little = 4096;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	connect(fd, (struct sockaddr *)&to, sizeof(to));
	turn(l);
	return fd;
}

/* The status of the answer to `request`; 0 when there is none. */
static int ask(struct lab *l, unsigned who, const char *request)
{
	char got[4096] = "";
	int fd = dial(l, who), status = 0;

	send(fd, request, strlen(request), MSG_NOSIGNAL);
	turn(l);
	if (recv(fd, got, sizeof(got) - 1, 0) > 0)
		sscanf(got, "HTTP/1.1 %d", &status);
	close(fd);
	turn(l);
	return status;
}

static int call(struct lab *l, unsigned who)
{
	return ask(l, who, "POST /rpc HTTP/1.1\r\nContent-Length: 78\r\n\r\n"
		   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ledger.append\",\"params\":{\"object\":\"{    }\"}}");
}

/* How many of `n` calls are heard. */
static int calls(struct lab *l, unsigned who, int n)
{
	int heard = 0;

	for (int i = 0; i < n; i++)
		heard += call(l, who) == 200;
	return heard;
}

/* -- tests ------------------------------------------------------------------------------ */

/* Who uses up his calls uses up nobody else's; they come back with time. */
static void test_calls(void **state)
{
	struct lab *l = *state;

	assert_int_equal(call(l, 2), 200);
	assert_int_equal(calls(l, 2, 3 * OF_ONE), OF_ONE - 1);
	assert_int_equal(call(l, 2), 429);
	assert_int_equal(calls(l, 3, 10), 10);
	clock_advance_ms(1000);
	assert_int_equal(calls(l, 2, 30), 10);
	clock_advance_ms(60000);
	assert_int_equal(calls(l, 2, 3 * OF_ONE), OF_ONE);
}

/* However many sources there are, all of them together have a bound. */
static void test_calls_of_all(void **state)
{
	struct lab *l = *state;
	int heard = 0;

	for (unsigned who = 2; who < 22; who++)
		heard += calls(l, who, OF_ONE);
	assert_int_equal(heard, OF_ALL);
	assert_int_equal(call(l, 100), 429);
}

/* A node that hands calls on keeps half of what the writer takes from it for itself. */
static void test_calls_forwarded(void **state)
{
	struct lab *l = *state;
	int heard = 0;

	for (unsigned who = 2; who < 10; who++)
		heard += calls(l, who, OF_ONE);
	assert_int_equal(heard, OF_ONE / 2);
}

/* A writer that does not answer strangers' calls can still be asked by this node. */
static void test_waiting(void **state)
{
	static const char request[] = "POST /rpc HTTP/1.1\r\nContent-Length: 83\r\n\r\n"
				      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ledger.attest\",\"params\":{\"attestation\":\"{    }\"}}";
	struct lab *l = *state;
	int held[20];

	for (unsigned i = 0; i < 20; i++) {
		held[i] = dial(l, 2 + i);
		send(held[i], request, strlen(request), MSG_NOSIGNAL);
		turn(l);
	}
	assert_int_equal(l->waiting, 16);
	assert_int_equal(call(l, 100), 429);
	for (unsigned i = 0; i < 20; i++)
		close(held[i]);
}

/* Those who hold all connections make place for others, but not for themselves. */
static void test_places(void **state)
{
	static const char request[] = "GET /nothing HTTP/1.1\r\n\r\n";
	struct lab *l = *state;
	int held[PLACES + 20];
	size_t n = 0;

	for (; n < PLACES; n++)
		held[n] = dial(l, 2 + (unsigned)n / OF_ONE_PLACES);
	for (; n < PLACES + 20; n++)
		held[n] = dial(l, 100 + (unsigned)n);
	assert_int_equal(ask(l, 99, request), 404);
	held[0] = dial(l, 99);
	assert_int_equal(ask(l, 2, request), 0);
	for (size_t i = 0; i < n; i++)
		close(held[i]);
	turn(l);
	assert_int_equal(ask(l, 2, request), 404);
}

/* Put evidence of 8 MiB beside entry 0: no epoch of this test would have as much. */
static void add_evidence(struct lab *l)
{
	char sql[256], path[128];
	sqlite3 *db;

	assert_int_equal(submit(l->l, transfer(l->l, 0, 1, "1"), NULL), REFUSED_NOT);
	assert_int_equal(ledger_commit(l->l), 0);
	snprintf(path, sizeof(path), "%s/ledger.db", l->dir);
	snprintf(sql, sizeof(sql), "INSERT INTO evidence VALUES(x'00', zeroblob(%d)); UPDATE entry SET evidence = x'00'", LONG);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* Who takes nothing of megabytes that he asks for keeps them from nobody else. */
static void test_room(void **state)
{
	static const char request[] = "GET /evidence/0 HTTP/1.1\r\n\r\n";
	struct lab *l = *state;
	int held[OF_ONE_PLACES];

	add_evidence(l);
	for (size_t i = 0; i < OF_ONE_PLACES; i++) {
		held[i] = dial(l, 2);
		send(held[i], request, strlen(request), MSG_NOSIGNAL);
		turn(l);
	}
	assert_int_equal(ask(l, 3, request), 200);
	assert_int_equal(ask(l, 3, "GET /checkpoint HTTP/1.1\r\n\r\n"), 200);
	for (size_t i = 0; i < OF_ONE_PLACES; i++)
		close(held[i]);
	turn(l);
	assert_int_equal(ask(l, 2, request), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_calls, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_calls_of_all, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_calls_forwarded, lab_up_forwards, lab_down),
		cmocka_unit_test_setup_teardown(test_waiting, lab_up_forwards, lab_down),
		cmocka_unit_test_setup_teardown(test_places, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_room, lab_up, lab_down),
	};
	void *none = NULL;

	if (make_network(&none)) {
		fprintf(stderr, "this system makes no networks for us\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
