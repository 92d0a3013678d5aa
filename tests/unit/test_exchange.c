/* Consensuses that other auditors give: who lies is left alone, and what does not prove itself is not taken. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include <nonos/addr.h>
#include <nonos/clock.h>
#include <nonos/compress.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>

#include "../../src/daemon/exchange.h"

enum { SOURCES = 2, T = 1795323600 };

struct fixture;

/* Another auditor. */
struct fellow {
	struct fixture *f;
	struct evhttp *server;
	char url[80];
	const char *list;		/* NULL: so many rows */
	int rows;
	bool broken, bomb;
	unsigned asked, gave;
};

struct fixture {
	struct event_base *base;
	struct fellow fellows[SOURCES];
	struct exchange *x;
	int64_t have[8];
	size_t n_have;
	int verdict;			/* of take() */
	bool done;
	size_t taken;
};

/* -- a fellow ----------------------------------------------------------------------- */

static void reply(struct evhttp_request *req, const void *data, size_t len)
{
	struct evbuffer *body = evbuffer_new();

	evbuffer_add(body, data, len);
	evhttp_send_reply(req, 200, "OK", body);
	evbuffer_free(body);
}

static void give_list(struct fellow *w, struct evhttp_request *req)
{
	json_t *rows = json_array(), *doc;
	uint8_t digest[32] = { 0 };
	char *text;

	w->asked++;
	for (int i = 0; i < w->rows; i++)
		json_array_append_new(rows, exchange_row(T + i, digest));
	doc = json_pack("{s:o}", "consensuses", rows);
	text = json_dumps(doc, 0);
	reply(req, w->list ? w->list : text, strlen(w->list ? w->list : text));
	free(text);
	json_decref(doc);
}

static void serve(struct evhttp_request *req, void *arg)
{
	static const char prefix[] = "/consensus/";
	const char *path = evhttp_request_get_uri(req);
	size_t len = 12, packed_len;
	struct fellow *w = arg;
	uint8_t *packed;
	char *text;

	if (strcmp(path, "/consensus") == 0) {
		give_list(w, req);
		return;
	}
	assert_int_equal(strncmp(path, prefix, strlen(prefix)), 0);
	w->gave++;
	if (w->bomb)
		len = EXCHANGE_TEXT_MAX + 1;
	text = mem_new(len);
	snprintf(text, len, "%s", path + strlen(prefix));
	compress_all(&packed, &packed_len, CODING_ZSTD, text, len);
	reply(req, packed, w->broken ? packed_len / 2 : packed_len);
	free(packed);
	free(text);
}

/* -- who asks ------------------------------------------------------------------------- */

static bool wants(void *arg, int64_t valid_after, const uint8_t digest[32])
{
	const struct fixture *f = arg;

	assert_int_equal(digest[31], 0);
	for (size_t i = 0; i < f->n_have; i++)
		if (f->have[i] == valid_after)
			return false;
	return valid_after > T;
}

static int take(void *arg, const char *text, size_t len)
{
	struct fixture *f = arg;

	assert_int_equal(len, 12);
	if (f->verdict <= 0)
		return f->verdict;
	f->have[f->n_have++] = atoll(text);
	return 1;
}

static void done(void *arg, size_t taken)
{
	struct fixture *f = arg;

	f->done = true;
	f->taken = taken;
}

static int setup(void **state)
{
	struct fixture *f = mem_new(sizeof(*f));
	const struct exchange_hooks hooks = { .wants = wants, .take = take, .done = done, .arg = f };

	log_set_level(LOG_LEVEL_ERROR);
	clock_set_manual(1000, T);
	f->base = event_base_new();
	f->verdict = 1;
	for (size_t i = 0; i < SOURCES; i++) {
		struct fellow *w = &f->fellows[i];
		struct evhttp_bound_socket *bound;
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		char text[ADDR_TEXT_CAP];
		struct addr a;

		w->f = f;
		w->rows = 3;
		w->server = evhttp_new(f->base);
		bound = evhttp_bind_socket_with_handle(w->server, "127.0.0.1", 0);
		assert_non_null(bound);
		getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&ss, &len);
		addr_from_sockaddr(&a, (struct sockaddr *)&ss, len);
		snprintf(w->url, sizeof(w->url), "http://%s", addr_format(text, &a));
		evhttp_set_gencb(w->server, serve, w);
	}
	f->x = exchange_new(f->base, &hooks);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	exchange_free(f->x);
	for (size_t i = 0; i < SOURCES; i++)
		evhttp_free(f->fellows[i].server);
	event_base_free(f->base);
	free(f);
	return 0;
}

/* A round with both; returns how many were taken. */
static size_t ask(struct fixture *f)
{
	const char *const urls[SOURCES] = { f->fellows[0].url, f->fellows[1].url };

	f->done = false;
	exchange_ask(f->x, urls, SOURCES);
	for (int i = 0; i < 2000 && !f->done; i++)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_true(f->done);
	return f->taken;
}

static void test_takes_what_is_missing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f), 2);
	assert_int_equal(f->have[0], T + 1);
	assert_int_equal(f->have[1], T + 2);
	assert_int_equal(f->fellows[0].gave, 2);
	/* The second had nothing new, and neither has anybody now. */
	assert_int_equal(f->fellows[1].asked, 1);
	assert_int_equal(f->fellows[1].gave, 0);
	assert_int_equal(ask(f), 0);
	assert_int_equal(f->fellows[0].gave, 2);
}

/* Who gives rubbish is not asked again soon, and does not keep the others from being asked. */
static void expect_left_alone(struct fixture *f)
{
	assert_int_equal(ask(f), 2);
	assert_int_equal(f->fellows[0].asked, 1);
	assert_int_equal(f->fellows[1].gave, 2);
	ask(f);
	assert_int_equal(f->fellows[0].asked, 1);
	assert_int_equal(f->fellows[1].asked, 2);
	clock_advance_ms(11 * 60 * 1000);
	ask(f);
	assert_int_equal(f->fellows[0].asked, 2);
}

static void test_bad_lists(void **state)
{
	static const char *const lists[] = {
		"", "[]", "{\"consensuses\":1}", "{\"consensuses\":[1]}", "{\"consensuses\":[{\"validAfter\":\"1\"}]}",
		"{\"consensuses\":[{\"validAfter\":-1,\"sha256\":\"0x0000000000000000000000000000000000000000000000000000000000000000\"}]}",
		"{\"consensuses\":[{\"validAfter\":1795323601,\"sha256\":\"0x00\"}]}",
		"{\"consensuses\":[{\"validAfter\":1795323601,\"sha256\":\"0xzz00000000000000000000000000000000000000000000000000000000000000\"}]}",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		f->fellows[0].list = lists[i];
		f->fellows[0].asked = f->fellows[1].asked = f->fellows[1].gave = 0;
		f->n_have = 0;
		clock_advance_ms(11 * 60 * 1000);
		expect_left_alone(f);
		assert_int_equal(f->fellows[0].gave, 0);
	}
}

static void test_broken_document(void **state)
{
	struct fixture *f = *state;

	f->fellows[0].broken = true;
	expect_left_alone(f);
}

static void test_bomb(void **state)
{
	struct fixture *f = *state;

	f->fellows[0].bomb = true;
	expect_left_alone(f);
}

/* Not signed by a majority: no more from there. Not to be judged yet: asked again in the next round. */
static void test_verdicts(void **state)
{
	struct fixture *f = *state;

	f->verdict = 0;
	assert_int_equal(ask(f), 0);
	assert_int_equal(f->fellows[0].gave, 2);
	assert_int_equal(f->fellows[1].gave, 2);
	/* With many of those nobody keeps us busy, nor from asking the others. */
	f->fellows[0].rows = 1000;
	assert_int_equal(ask(f), 0);
	assert_int_equal(f->fellows[0].gave, 2 + 3);
	assert_int_equal(f->fellows[1].gave, 2 + 2);
	f->fellows[0].gave = f->fellows[1].gave = 2;
	f->verdict = ERR_AUTH;
	assert_int_equal(ask(f), 0);
	assert_int_equal(f->fellows[0].gave, 3);
	assert_int_equal(f->fellows[1].gave, 3);
	f->verdict = 1;
	assert_int_equal(ask(f), 0);
	assert_int_equal(f->fellows[0].asked, 3);
}

/* Nobody listens; and an end in the middle of a round. */
static void test_nobody(void **state)
{
	static const char *const urls[] = { "http://127.0.0.1:1", "no url" };
	struct fixture *f = *state;

	exchange_ask(f->x, urls, 2);
	for (int i = 0; i < 2000 && !f->done; i++)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_true(f->done);
	assert_int_equal(f->taken, 0);
	exchange_ask(f->x, (const char *const[]){ f->fellows[0].url }, 1);
}

int main(void)
{
#define T_(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T_(test_takes_what_is_missing), T_(test_bad_lists), T_(test_broken_document), T_(test_bomb), T_(test_verdicts),
		T_(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
