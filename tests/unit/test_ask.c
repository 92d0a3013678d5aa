#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include <nonos/err.h>
#include <nonos/mem.h>

#include "../../src/daemon/ask.h"

enum { WORKERS = 3 };

struct world {
	struct event_base *base;
	struct asks *asks;
	bool ready[WORKERS];
	struct message_ask last[WORKERS];	/* what each was asked */
	unsigned n_asked[WORKERS];
	/* what came of it */
	unsigned pages, rows, circuits, servers, done, asked, answered;
	uint32_t clients;
};

static void on_send(void *arg, unsigned index, const struct message_ask *m)
{
	struct world *w = arg;

	w->last[index] = *m;
	w->n_asked[index]++;
}

static bool is_ready(void *arg, unsigned index)
{
	return ((struct world *)arg)->ready[index];
}

static void on_links(void *arg, const struct link_page *page)
{
	struct world *w = arg;

	w->pages++;
	w->rows += page->n;
	w->clients += page->clients.n;
}

static void on_circuits(void *arg, const struct circuits_view *v)
{
	((struct world *)arg)->circuits += v->states[3];
}

static void on_dns(void *arg, const struct dns_view *v)
{
	((struct world *)arg)->servers += v->n;
}

static void on_done(void *arg, unsigned asked, unsigned answered)
{
	struct world *w = arg;

	w->done++;
	w->asked = asked;
	w->answered = answered;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct asks_hooks hooks = { .send = on_send, .is_ready = is_ready, .n_workers = WORKERS, .arg = w };

	w->base = event_base_new();
	w->asks = asks_new(w->base, &hooks);
	w->ready[0] = w->ready[2] = true;
	*state = w;
	return w->base ? 0 : -1;
}

static int teardown(void **state)
{
	struct world *w = *state;

	asks_free(w->asks);
	event_base_free(w->base);
	free(w);
	return 0;
}

static int start(struct world *w, uint32_t *id, enum message_ask_kind kind)
{
	const struct ask_sink sink = {
		.links = on_links, .circuits = on_circuits, .dns = on_dns, .done = on_done, .arg = w,
	};

	return asks_start(w->asks, id, kind, &sink);
}

/* As it comes from the pipe: through the bytes. */
static int hand(struct world *w, unsigned index, enum message_type type, const struct wr *body)
{
	uint8_t *bytes = mem_new(FRAME_MAX);
	struct frame f;
	int r;

	assert_int_equal(wr_done(body), 0);
	frame_header(bytes, message_find((uint16_t)type), (uint32_t)wr_len(body));
	memcpy(bytes + FRAME_HEADER_LEN, body->start, wr_len(body));
	assert_int_equal(frame_parse(&f, bytes, FRAME_HEADER_LEN + wr_len(body), MSG_UP, 0), 0);
	r = asks_message(w->asks, index, &f);
	free(bytes);
	return r;
}

static int say_links(struct world *w, unsigned index, uint32_t id, uint32_t next, uint16_t n)
{
	uint8_t *buf = mem_new(FRAME_PAYLOAD_MAX);
	struct link_page *page = mem_new(sizeof(*page));
	struct wr body = wr_init(buf, FRAME_PAYLOAD_MAX);
	int r;

	page->next = next;
	page->n = n;
	page->clients.n = 5;
	message_links_write(&body, id, page);
	r = hand(w, index, MSG_LINKS, &body);
	free(page);
	free(buf);
	return r;
}

static int say_circuits(struct world *w, unsigned index, uint32_t id)
{
	const struct circuits_view v = { .states = { 0, 0, 0, 7 } };
	uint8_t buf[128];
	struct wr body = wr_init(buf, sizeof(buf));

	message_circuits_write(&body, id, &v);
	return hand(w, index, MSG_CIRCUITS, &body);
}

static void test_pages(void **state)
{
	struct world *w = *state;
	uint32_t id;

	assert_int_equal(start(w, &id, ASK_LINKS), 0);
	assert_int_equal(w->n_asked[0], 1);
	assert_int_equal(w->n_asked[1], 0);	/* not ready */
	assert_int_equal(w->n_asked[2], 1);
	assert_int_equal(w->last[0].kind, ASK_LINKS);
	assert_int_equal(say_links(w, 2, id, 0, 3), 0);
	assert_int_equal(say_links(w, 0, id, 256, LINK_ROWS_MAX), 0);
	assert_int_equal(w->n_asked[0], 2);
	assert_int_equal(w->last[0].from, 256);
	assert_int_equal(w->done, 0);
	assert_int_equal(say_links(w, 0, id, 0, 1), 0);
	assert_int_equal(w->done, 1);
	assert_int_equal(w->asked, 2);
	assert_int_equal(w->answered, 2);
	assert_int_equal(w->rows, LINK_ROWS_MAX + 4);
	assert_int_equal(w->clients, 15);
	/* Late: the question is over. */
	assert_int_equal(say_links(w, 0, id, 0, 1), 0);
	assert_int_equal(w->pages, 3);
}

/* What a worker that somebody took over may try. */
static void test_hostile_worker(void **state)
{
	struct world *w = *state;
	uint32_t id;

	assert_int_equal(start(w, &id, ASK_LINKS), 0);
	assert_int_equal(say_circuits(w, 0, id), ERR_MALFORMED);	/* another kind */
	assert_int_equal(say_links(w, 1, id, 0, 0), ERR_MALFORMED);	/* was not asked */
	assert_int_equal(say_links(w, 7, id, 0, 0), ERR_MALFORMED);
	assert_int_equal(say_links(w, 0, id, 10, 1), 0);
	assert_int_equal(say_links(w, 0, id, 10, 1), ERR_MALFORMED);	/* goes nowhere */
	assert_int_equal(say_links(w, 0, id, 9, 1), ERR_MALFORMED);	/* goes back */
	assert_int_equal(say_links(w, 2, id, 0, 0), 0);
	assert_int_equal(say_links(w, 2, id, 0, 0), ERR_MALFORMED);	/* twice */
	assert_int_equal(w->done, 0);
}

/* Pages without end are cut, and the worker counts as one that did not tell all. */
static void test_bounded(void **state)
{
	struct world *w = *state;
	uint32_t id, next = 1;

	w->ready[2] = false;
	assert_int_equal(start(w, &id, ASK_LINKS), 0);
	while (w->done == 0 && next < 100000)
		assert_int_equal(say_links(w, 0, id, next++, LINK_ROWS_MAX), 0);
	assert_int_equal(w->done, 1);
	assert_int_equal(w->answered, 0);
	assert_true(w->rows <= ASK_ROWS_MAX);
}

static void test_silent_worker(void **state)
{
	struct world *w = *state;
	uint32_t id;

	assert_int_equal(start(w, &id, ASK_CIRCUITS), 0);
	assert_int_equal(say_circuits(w, 2, id), 0);
	event_base_dispatch(w->base);		/* ends with the timer */
	assert_int_equal(w->done, 1);
	assert_int_equal(w->asked, 2);
	assert_int_equal(w->answered, 1);
	assert_int_equal(w->circuits, 7);
	assert_int_equal(say_circuits(w, 0, id), 0);
	assert_int_equal(w->circuits, 7);
}

static void test_limits(void **state)
{
	struct world *w = *state;
	uint32_t ids[ASKS_MAX], id;

	for (size_t i = 0; i < ASKS_MAX; i++)
		assert_int_equal(start(w, &ids[i], ASK_DNS), 0);
	assert_int_equal(start(w, &id, ASK_DNS), ERR_LIMIT);
	asks_cancel(w->asks, ids[3]);
	asks_cancel(w->asks, ids[3]);
	assert_int_equal(start(w, &id, ASK_DNS), 0);
	w->ready[0] = w->ready[2] = false;
	asks_cancel(w->asks, id);
	assert_int_equal(start(w, &id, ASK_DNS), ERR_STATE);
}

static void test_dns(void **state)
{
	struct dns_view v = {
		.usable = true, .cached = 3, .pending = 1, .cache_bytes = 500, .n = 1,
		.servers = { { .addr = { .family = ADDR_V4, .port = 53, .ip = { 127, 0, 0, 1 } }, .down = true,
			       .failures = 9 } },
	};
	uint8_t buf[512];
	struct wr body = wr_init(buf, sizeof(buf));
	struct world *w = *state;
	uint32_t id;

	w->ready[2] = false;
	assert_int_equal(start(w, &id, ASK_DNS), 0);
	message_dns_write(&body, id, &v);
	assert_int_equal(hand(w, 0, MSG_DNS, &body), 0);
	assert_int_equal(w->servers, 1);
	assert_int_equal(w->done, 1);
	v.servers[0].addr.family = ADDR_NONE;
	body = wr_init(buf, sizeof(buf));
	message_dns_write(&body, id, &v);
	assert_int_equal(hand(w, 0, MSG_DNS, &body), ERR_MALFORMED);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(test_pages), T(test_hostile_worker), T(test_bounded), T(test_silent_worker), T(test_limits), T(test_dns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
