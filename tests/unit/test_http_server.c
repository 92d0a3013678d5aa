#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include <nonos/err.h>

#include "../../src/daemon/http_server.h"

enum { CONNECTIONS = 4, BODY_MAX = 100 };

/* -- requests ------------------------------------------------------------------- */

static void expect_head(int status, enum http_method method, const char *path, size_t body_len, const char *text)
{
	struct http_head h = { .path = "" };
	int got = http_head_parse(&h, text, strlen(text), BODY_MAX);

	if (got != status)
		fail_msg("%d, not %d: %s", got, status, text);
	if (got != 200)
		return;
	assert_int_equal(h.method, method);
	assert_int_equal(h.path_len, strlen(path));
	assert_memory_equal(h.path, path, h.path_len);
	assert_int_equal(h.body_len, body_len);
}

static void expect_status(int status, const char *text)
{
	expect_head(status, HTTP_OTHER, "", 0, text);
}

static void test_head(void **state)
{
	(void)state;
	expect_head(200, HTTP_GET, "/metrics", 0, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_head(200, HTTP_GET, "/metrics", 0, "GET /metrics HTTP/1.0\r\n\r\n");
	expect_head(200, HTTP_GET, "/metrics", 0, "GET /metrics?collect=all HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
	expect_head(200, HTTP_POST, "/rpc", 100, "POST /rpc HTTP/1.1\r\ncontent-length:100\r\n\r\n");
	expect_head(200, HTTP_OTHER, "/", 0, "HEAD / HTTP/1.1\r\n\r\n");
	expect_head(200, HTTP_OTHER, "/", 0, "get / HTTP/1.1\r\n\r\n");
	expect_status(413, "GET /metrics HTTP/1.1\r\nContent-Length: 10\r\n\r\n");
	expect_status(413, "POST /rpc HTTP/1.1\r\nContent-Length: 101\r\n\r\n");
	expect_status(413, "POST /rpc HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
	expect_status(400, "POST /rpc HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n");
	expect_status(400, "POST /rpc HTTP/1.1\r\nContent-Length: -1\r\n\r\n");
	expect_status(400, "POST /rpc HTTP/1.1\r\nContent-Length: 1 1\r\n\r\n");
	expect_status(400, "POST /rpc HTTP/1.1\r\nContent-Length:\r\n\r\n");
	expect_status(400, "POST /rpc HTTP/1.1\r\nContent-Length: 184467440737095516160\r\n\r\n");
	expect_status(400, "GET /metrics HTTP/2.0\r\n\r\n");
	expect_status(400, "GET /metrics\r\n\r\n");
	expect_status(400, "GET  /metrics HTTP/1.1\r\n\r\n");
	expect_status(400, " /metrics HTTP/1.1\r\n\r\n");
	expect_status(400, "GET /metrics HTTP/1.1\r\nno colon\r\n\r\n");
	expect_status(400, "GET /metrics HTTP/1.1\r\n");
	expect_status(400, "\r\n\r\n");
	expect_status(400, "");
}

static struct addr client(const char *text)
{
	struct addr a;
	struct sockaddr_storage ss;
	socklen_t len;

	assert_int_equal(addr_parse(&a, text, strlen(text)), 0);
	len = addr_to_sockaddr(&ss, &a);
	return http_client((const struct sockaddr *)&ss, len);
}

static bool is_one(const char *a, const char *b)
{
	struct addr x = client(a), y = client(b);

	return addr_eq(&x, &y);
}

/* Who counts as one client, and who as none. */
static void test_client(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	(void)state;
	assert_int_equal(http_client((const struct sockaddr *)&sun, sizeof(sun.sun_family)).family, ADDR_NONE);
	assert_int_equal(client("127.0.0.2:5").family, ADDR_NONE);
	assert_int_equal(client("[::1]:5").family, ADDR_NONE);
	assert_int_equal(client("[::ffff:127.0.0.1]:5").family, ADDR_NONE);
	assert_true(is_one("192.0.2.1:1", "192.0.2.1:2"));
	assert_true(is_one("192.0.2.1:1", "[::ffff:192.0.2.1]:2"));
	assert_false(is_one("192.0.2.1:1", "192.0.2.2:1"));
	assert_false(is_one("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1"));
	assert_true(is_one("[2001:db8:0:1::1]:1", "[2001:db8:0:1:2::2]:2"));
	assert_false(is_one("[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1"));
}

/* -- the server ------------------------------------------------------------------ */

struct lab {
	struct event_base *base;
	struct http_server *server;
	struct sockaddr_un sun;
	struct http_exchange *late;
	unsigned gone;
};

static void on_gone(struct http_exchange *x)
{
	struct lab *l = x->user;

	l->gone++;
	l->late = NULL;
}

static void on_request(void *arg, struct http_exchange *x)
{
	struct evbuffer *body = evbuffer_new();
	struct lab *l = arg;

	if (strcmp(x->path, "/late") == 0) {
		l->late = x;
		x->user = l;
		x->gone = on_gone;
	} else if (strcmp(x->path, "/hello") == 0) {
		evbuffer_add_printf(body, "hello %.*s\n", (int)x->body_len, x->body);
		http_answer(x, 200, "text/x", body);
	} else {
		http_answer(x, 404, NULL, body);
	}
	evbuffer_free(body);
}

static int lab_up(void **state)
{
	struct lab *l = calloc(1, sizeof(*l));
	struct http_place place = { .name = "A test", .mode = 0600, .connections_max = CONNECTIONS, .time_s = 10, .body_max = BODY_MAX };
	struct http_server *other = NULL;
	char err[256];

	l->base = event_base_new();
	l->sun.sun_family = AF_UNIX;
	snprintf(l->sun.sun_path, sizeof(l->sun.sun_path), "/tmp/nonos-test-http-%ld.sock", (long)getpid());
	place.path = l->sun.sun_path;
	assert_int_equal(http_server_new(&l->server, l->base, &place, on_request, l, err, sizeof(err)), 0);
	/* Another that lives is not pushed aside. */
	assert_int_equal(http_server_new(&other, l->base, &place, on_request, l, err, sizeof(err)), ERR_BUSY);
	assert_null(other);
	assert_non_null(strstr(err, "A test on /tmp"));
	*state = l;
	return 0;
}

static int lab_down(void **state)
{
	struct lab *l = *state;

	http_server_free(l->server);
	assert_int_not_equal(access(l->sun.sun_path, F_OK), 0);
	event_base_free(l->base);
	free(l);
	return 0;
}

static int dial(struct lab *l)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&l->sun, sizeof(l->sun)), 0);
	event_base_loop(l->base, EVLOOP_NONBLOCK);
	return fd;
}

static void say(struct lab *l, int fd, const char *text, size_t len)
{
	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
	event_base_loop(l->base, EVLOOP_NONBLOCK);
	event_base_loop(l->base, EVLOOP_NONBLOCK);
}

/* All that comes until the end of the connection, which must come. */
static void read_all(struct lab *l, int fd, char *out, size_t cap)
{
	size_t len = 0;
	ssize_t n = -1;

	for (int i = 0; i < 200 && n != 0 && len + 1 < cap; i++) {
		event_base_loop(l->base, EVLOOP_NONBLOCK);
		n = recv(fd, out + len, cap - 1 - len, 0);
		len += n > 0 ? (size_t)n : 0;
	}
	assert_int_equal(n, 0);
	out[len] = '\0';
	close(fd);
}

static void expect_reply(struct lab *l, const char *request, const char *reply)
{
	char got[2048];
	int fd = dial(l);

	say(l, fd, request, strlen(request));
	shutdown(fd, SHUT_WR);
	read_all(l, fd, got, sizeof(got));
	if (!strstr(got, reply))
		fail_msg("%s gave %s", request, got);
}

static void test_answers(void **state)
{
	struct lab *l = *state;
	char got[2048], flood[HTTP_HEAD_MAX + 50];
	int fd = dial(l);

	say(l, fd, "GET /hello HT", 13);
	say(l, fd, "TP/1.1\r\nHost: x\r\n\r\n", 19);
	shutdown(fd, SHUT_WR);
	read_all(l, fd, got, sizeof(got));
	assert_non_null(strstr(got, "HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(got, "Content-Type: text/x\r\n"));
	assert_non_null(strstr(got, "Content-Length: 7\r\n"));
	assert_non_null(strstr(got, "\r\n\r\nhello \n"));
	expect_reply(l, "POST /hello HTTP/1.1\r\nContent-Length: 3\r\n\r\nyou", "\r\n\r\nhello you\n");
	expect_reply(l, "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n");
	expect_reply(l, "PUT /hello HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n");
	expect_reply(l, "GET\r\n\r\n", "HTTP/1.1 400 ");
	expect_reply(l, "POST /hello HTTP/1.1\r\nContent-Length: 101\r\n\r\n", "HTTP/1.1 413 ");
	memset(flood, 'A', sizeof(flood));
	fd = dial(l);
	say(l, fd, flood, sizeof(flood));
	shutdown(fd, SHUT_WR);
	read_all(l, fd, got, sizeof(got));
	assert_non_null(strstr(got, "HTTP/1.1 431 "));
}

/* A body that comes in pieces, and one whose client leaves before its end. */
static void test_body(void **state)
{
	struct lab *l = *state;
	char got[2048];
	int fd = dial(l);

	say(l, fd, "POST /hello HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", 45);
	say(l, fd, "c", 1);
	say(l, fd, "de and more", 11);
	shutdown(fd, SHUT_WR);
	read_all(l, fd, got, sizeof(got));
	assert_non_null(strstr(got, "\r\n\r\nhello abcde\n"));
	fd = dial(l);
	say(l, fd, "POST /hello HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", 45);
	shutdown(fd, SHUT_WR);
	read_all(l, fd, got, sizeof(got));
	assert_string_equal(got, "");
}

/* An answer that takes time; and a client that does not wait for it. */
static void test_late(void **state)
{
	struct lab *l = *state;
	struct evbuffer *body = evbuffer_new();
	char got[2048];
	int fd = dial(l);

	say(l, fd, "GET /late HTTP/1.1\r\n\r\n", 22);
	shutdown(fd, SHUT_WR);
	event_base_loop(l->base, EVLOOP_NONBLOCK);
	assert_non_null(l->late);
	evbuffer_add_printf(body, "at last");
	http_answer(l->late, 422, NULL, body);
	read_all(l, fd, got, sizeof(got));
	assert_non_null(strstr(got, "HTTP/1.1 422 "));
	assert_non_null(strstr(got, "\r\n\r\nat last"));
	assert_int_equal(l->gone, 0);
	/* The server ends while an answer is owed. */
	fd = dial(l);
	say(l, fd, "GET /late HTTP/1.1\r\n\r\n", 22);
	assert_non_null(l->late);
	http_server_free(l->server);
	l->server = NULL;
	assert_int_equal(l->gone, 1);
	close(fd);
	evbuffer_free(body);
}

/* One more than may be open is closed at once; with one less there is room again. */
static void test_connections(void **state)
{
	struct lab *l = *state;
	char got[256];
	int held[CONNECTIONS];

	for (size_t i = 0; i < CONNECTIONS; i++)
		held[i] = dial(l);
	read_all(l, dial(l), got, sizeof(got));
	assert_string_equal(got, "");
	close(held[0]);
	event_base_loop(l->base, EVLOOP_NONBLOCK);
	event_base_loop(l->base, EVLOOP_NONBLOCK);
	expect_reply(l, "GET /hello HTTP/1.1\r\n\r\n", "hello");
	for (size_t i = 1; i < CONNECTIONS; i++)
		close(held[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_client),
		cmocka_unit_test_setup_teardown(test_answers, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_body, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_late, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_connections, lab_up, lab_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
