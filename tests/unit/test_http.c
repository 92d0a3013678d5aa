#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <zlib.h>

#include <nonos/err.h>
#include <nonos/http.h>
#include <nonos/mem.h>

enum { BOMB_LEN = 8 * 1024 * 1024 };

struct fixture {
	struct event_base *base;
	struct evhttp *server;
	struct http_client *client;
	unsigned port;
	/* What the server saw. */
	unsigned requests;
	char method_body[200], peer[64];
	bool expect, http11, conditional;
	struct evhttp_request *held;
	/* What came back. */
	unsigned done;
	int err, status;
	size_t len;
	char body[200], reason[64], header[64];
};

static void send_deflated(struct evhttp_request *req, size_t len)
{
	uint8_t *plain = mem_new(len), *packed = mem_new(compressBound(len));
	uLongf packed_len = compressBound(len);
	struct evbuffer *b = evbuffer_new();

	memset(plain, 'a', len);
	compress(packed, &packed_len, plain, len);
	evbuffer_add(b, packed, packed_len);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Encoding", "deflate");
	evhttp_send_reply(req, 200, "OK", b);
	evbuffer_free(b);
	free(plain);
	free(packed);
}

static void serve(struct evhttp_request *req, void *arg)
{
	struct fixture *f = arg;
	const char *path = evhttp_request_get_uri(req);
	struct evkeyvalq *in = evhttp_request_get_input_headers(req), *out = evhttp_request_get_output_headers(req);
	struct evbuffer *body = evhttp_request_get_input_buffer(req), *reply = evbuffer_new();
	size_t n = evbuffer_get_length(body);
	char *peer;
	ev_uint16_t port;

	f->requests++;
	n = n < sizeof(f->method_body) - 1 ? n : sizeof(f->method_body) - 1;
	evbuffer_copyout(body, f->method_body, n);
	f->method_body[n] = '\0';
	f->expect = evhttp_find_header(in, "Expect") != NULL;
	f->conditional = evhttp_find_header(in, "If-Modified-Since") != NULL;
	evhttp_connection_get_peer(evhttp_request_get_connection(req), &peer, &port);
	snprintf(f->peer, sizeof(f->peer), "%s", peer);
	evhttp_add_header(out, "X-Your-Address-Is", "192.0.2.7");
	evhttp_add_header(out, "X-Odd", "a\tb\x80");
	if (strcmp(path, "/bomb") == 0) {
		send_deflated(req, BOMB_LEN);
	} else if (strcmp(path, "/deflate") == 0) {
		send_deflated(req, 100);
	} else if (strcmp(path, "/hold") == 0) {
		f->held = req;
	} else if (strcmp(path, "/redirect") == 0) {
		evhttp_add_header(out, "Location", "/plain");
		evhttp_send_reply(req, 302, "Over There", NULL);
	} else if (strcmp(path, "/old") == 0) {
		evhttp_send_reply(req, 304, "Not Modified", NULL);
	} else if (strcmp(path, "/post") == 0) {
		evhttp_send_reply(req, 400, "Missing \x01 key", NULL);
	} else {
		evbuffer_add_printf(reply, "hello");
		evhttp_send_reply(req, 200, "OK", reply);
	}
	evbuffer_free(reply);
}

static int setup(void **state)
{
	struct fixture *f = mem_new(sizeof(*f));
	struct evhttp_bound_socket *bound;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;

	f->base = event_base_new();
	f->server = evhttp_new(f->base);
	bound = evhttp_bind_socket_with_handle(f->server, "127.0.0.1", 0);
	assert_non_null(bound);
	getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&ss, &len);
	addr_from_sockaddr(&a, (struct sockaddr *)&ss, len);
	f->port = a.port;
	evhttp_set_gencb(f->server, serve, f);
	f->client = http_client_new(f->base);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	http_client_free(f->client);
	evhttp_free(f->server);
	event_base_free(f->base);
	free(f);
	return 0;
}

static void on_done(void *arg, const struct http_reply *reply)
{
	struct fixture *f = arg;

	f->done++;
	f->err = reply->err;
	f->status = reply->status;
	f->len = reply->body_len;
	assert_int_equal(reply->body[reply->body_len], 0);
	snprintf(f->body, sizeof(f->body), "%s", (const char *)reply->body);
	snprintf(f->reason, sizeof(f->reason), "%s", reply->reason);
	if (reply->err)
		assert_true(reply->error[0] != '\0');
	if (!http_reply_header(reply, "x-your-address-is", f->header, sizeof(f->header)))
		f->header[0] = '\0';
	event_base_loopbreak(f->base);
}

static struct http_call *start(struct fixture *f, const char *path, struct http_request req)
{
	char url[200];
	struct http_call *call = NULL;

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", f->port, path);
	req.url = url;
	assert_int_equal(http_start(f->client, &call, &req, on_done, f), 0);
	return call;
}

static void run(struct fixture *f)
{
	struct timeval limit = { 20, 0 };
	unsigned before = f->done;

	event_base_loopexit(f->base, &limit);
	event_base_dispatch(f->base);
	assert_int_equal(f->done, before + 1);
}

static void get(struct fixture *f, const char *path, struct http_request req)
{
	if (!req.max_bytes)
		req.max_bytes = 1000;
	start(f, path, req);
	run(f);
}

static void test_get(void **state)
{
	struct fixture *f = *state;

	get(f, "/plain", (struct http_request){ .http10 = true });
	assert_int_equal(f->err, 0);
	assert_int_equal(f->status, 200);
	assert_string_equal(f->body, "hello");
	assert_string_equal(f->reason, "OK");
	assert_string_equal(f->header, "192.0.2.7");
	get(f, "/plain", (struct http_request){ .max_bytes = 5 });
	assert_int_equal(f->err, 0);
	get(f, "/plain", (struct http_request){ .max_bytes = 4 });
	assert_int_equal(f->err, ERR_TOO_LONG);
	assert_int_equal(f->len, 0);
}

static void test_post(void **state)
{
	struct fixture *f = *state;
	static const struct http_request req = { .body = "descriptor", .body_len = 10, .http10 = true };

	get(f, "/post", req);
	assert_int_equal(f->err, 0);
	assert_int_equal(f->status, 400);
	assert_string_equal(f->reason, "Missing ? key");
	assert_string_equal(f->method_body, "descriptor");
	assert_false(f->expect);
}

static void test_bomb(void **state)
{
	struct fixture *f = *state;

	get(f, "/deflate", (struct http_request){ .compressed = true });
	assert_int_equal(f->err, 0);
	assert_int_equal(f->len, 100);
	get(f, "/bomb", (struct http_request){ .compressed = true, .max_bytes = 100000 });
	assert_int_equal(f->err, ERR_TOO_LONG);
	assert_in_range(f->len, 0, 100000);
	get(f, "/bomb", (struct http_request){ .compressed = true, .max_bytes = BOMB_LEN });
	assert_int_equal(f->err, 0);
	assert_int_equal(f->len, BOMB_LEN);
}

static void test_conditions(void **state)
{
	struct fixture *f = *state;
	struct addr source;

	get(f, "/old", (struct http_request){ .if_modified_since = 1795323649 });
	assert_int_equal(f->err, 0);
	assert_int_equal(f->status, 304);
	assert_true(f->conditional);
	get(f, "/redirect", (struct http_request){ 0 });
	assert_int_equal(f->status, 302);
	assert_int_equal(f->requests, 2);
	addr_parse_ip(&source, "127.0.0.3", 9);
	get(f, "/plain", (struct http_request){ .source = &source });
	assert_string_equal(f->peer, "127.0.0.3");
}

static void test_proxy_ignored(void **state)
{
	struct fixture *f = *state;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	get(f, "/plain", (struct http_request){ .http10 = true });
	assert_int_equal(f->err, 0);
	assert_int_equal(f->status, 200);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
}

static void test_failures(void **state)
{
	struct fixture *f = *state;
	struct http_request req = { .url = "http://127.0.0.1:1/", .max_bytes = 10 };
	struct http_call *call = NULL;

	assert_int_equal(http_start(f->client, &call, &req, on_done, f), 0);
	run(f);
	assert_int_equal(f->err, ERR_NETWORK);
	assert_int_equal(f->status, 0);
	get(f, "/hold", (struct http_request){ .total_timeout_ms = 200 });
	assert_int_equal(f->err, ERR_TIMEOUT);
	req.url = "file:///etc/passwd";
	if (http_start(f->client, &call, &req, on_done, f) == 0) {
		run(f);
		assert_true(f->err < 0);
		assert_int_equal(f->len, 0);
	}
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;
	struct http_request req = { .max_bytes = 1000 };
	struct http_call *held = start(f, "/hold", req), *other = start(f, "/plain", req);

	http_cancel(other);
	while (!f->held)
		event_base_loop(f->base, EVLOOP_ONCE);
	http_cancel(held);
	http_cancel(NULL);
	get(f, "/plain", req);
	assert_int_equal(f->done, 1);
	/* One that is under way when the client goes is cancelled with it. */
	f->held = NULL;
	start(f, "/hold", req);
	while (!f->held)
		event_base_loop(f->base, EVLOOP_ONCE);
}

static struct http_call *to_cancel;

static void on_chain(void *arg, const struct http_reply *reply)
{
	struct fixture *f = arg;

	assert_int_equal(reply->err, 0);
	http_cancel(to_cancel);
	to_cancel = NULL;
	start(f, "/plain", (struct http_request){ .max_bytes = 100 });
}

/* A callback may start one request and cancel another. */
static void test_chain(void **state)
{
	struct fixture *f = *state;
	struct http_request req = { .max_bytes = 100 };
	struct http_call *call;
	char url[100];

	to_cancel = start(f, "/hold", req);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/plain", f->port);
	req.url = url;
	assert_int_equal(http_start(f->client, &call, &req, on_chain, f), 0);
	run(f);
	assert_int_equal(f->status, 200);
	assert_null(to_cancel);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_get), T(test_post), T(test_bomb), T(test_conditions), T(test_proxy_ignored),
		T(test_failures), T(test_cancel), T(test_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
