/* The resolver against a name server of our own on 127.0.0.1. */
#include "config.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>

#include <nonos/bytes.h>
#include <nonos/clock.h>
#include <nonos/err.h>

#include "../../relay/resolve.h"

/* -- the server */

enum { T_A = 1, T_PTR = 12, T_AAAA = 28, RCODE_FORMAT = 1, RCODE_NX = 3, NO_REPLY = 1000 };

static struct event_base *base;
static struct event *server_event;
static int server_fd = -1;
static struct addr server_addr;
static size_t n_asked;
static bool silent;

/* The name in a question, with dots, in lower case. */
static void read_name(struct rd *r, char *out, size_t cap)
{
	struct wr w = wr_init(out, cap - 1);
	uint8_t len;

	memset(out, 0, cap);
	while ((len = rd_u8(r))) {
		const uint8_t *label = rd_take(r, len);

		if (!label)
			return;
		wr_printf(&w, "%s%.*s", wr_len(&w) ? "." : "", len, (const char *)label);
	}
	for (char *p = out; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
}

static void put_record(struct wr *w, uint16_t type, uint32_t ttl, const void *data, size_t len)
{
	wr_u16(w, 0xc00c);		/* the question's name */
	wr_u16(w, type);
	wr_u16(w, 1);
	wr_u32(w, ttl);
	wr_u16(w, (uint16_t)len);
	wr_bytes(w, data, len);
}

/* Append the answers to `name`; returns their number, or a negative rcode. */
static int answers(struct wr *w, const char *name, uint16_t type)
{
	static const uint8_t six[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 9 }, mapped[16] = { [10] = 255, 255, 1, 2, 3, 4 };
	uint8_t four[4] = { 192, 0, 2, 1 };
	int n = 0;

	if (!strcmp(name, "broken.example"))
		return -RCODE_FORMAT;
	if (type == T_AAAA && !strcmp(name, "lame.example"))
		return NO_REPLY;
	if (type == T_A && (!strcmp(name, "lame.example") || !strcmp(name, "four.example") || !strcmp(name, "both.example"))) {
		put_record(w, T_A, 5, four, 4);
		return 1;
	}
	if (type == T_A && !strcmp(name, "many.example"))
		for (; n < 12; n++, four[3]++)
			put_record(w, T_A, 100000, four, 4);
	if (type == T_AAAA && (!strcmp(name, "both.example") || !strcmp(name, "six.example") ||
			       !strcmp(name, "many.example"))) {
		put_record(w, T_AAAA, 5, six, 16);
		return 1;
	}
	if (type == T_AAAA && !strcmp(name, "mapped.example")) {
		put_record(w, T_AAAA, 5, mapped, 16);
		return 1;
	}
	if (type == T_PTR && !strcmp(name, "1.2.0.192.in-addr.arpa")) {
		put_record(w, T_PTR, 5, "\4Back\7example\0", 14);
		return 1;
	}
	if (type == T_PTR && !strcmp(name, "2.2.0.192.in-addr.arpa")) {
		put_record(w, T_PTR, 5, "\4a\nb \7example\0", 14);
		return 1;
	}
	return n || strstr(name, ".example") ? n : -RCODE_NX;
}

static void server_cb(evutil_socket_t fd, short what, void *arg)
{
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	uint8_t in[600], out[1500];
	ssize_t len = recvfrom(fd, in, sizeof(in), 0, (struct sockaddr *)&from, &from_len);
	struct rd r = rd_init(in, len > 0 ? (size_t)len : 0);
	struct wr w = wr_init(out, sizeof(out));
	char name[300];
	uint16_t type;
	int n;

	(void)what;
	(void)arg;
	n_asked++;
	if (silent || len < 12)
		return;
	(void)rd_take(&r, 12);
	read_name(&r, name, sizeof(name));
	type = rd_u16(&r);
	(void)rd_u16(&r);
	wr_bytes(&w, in, 2);
	wr_u16(&w, 0x8180);
	wr_u16(&w, 1);
	wr_zero(&w, 6);
	wr_bytes(&w, in + 12, (size_t)(r.p - in) - 12);
	n = answers(&w, name, type);
	if (n == NO_REPLY)
		return;
	out[3] |= (uint8_t)(n < 0 ? -n : 0);
	out[7] = (uint8_t)(n < 0 ? 0 : n);
	assert_int_equal(wr_done(&w), 0);
	assert_true(sendto(fd, out, wr_len(&w), 0, (struct sockaddr *)&from, from_len) > 0);
}

static int setup(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);

	(void)state;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_true(server_fd >= 0);
	assert_int_equal(bind(server_fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(server_fd, (struct sockaddr *)&sin, &len), 0);
	assert_int_equal(addr_from_sockaddr(&server_addr, (struct sockaddr *)&sin, len), 0);
	base = event_base_new();
	server_event = event_new(base, server_fd, EV_READ | EV_PERSIST, server_cb, NULL);
	event_add(server_event, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	event_free(server_event);
	event_base_free(base);
	close(server_fd);
	return 0;
}

/* -- the client */

struct got {
	struct resolve_answer answer;
	int times;
};

static void got_cb(void *arg, const struct resolve_answer *answer)
{
	struct got *g = arg;

	g->answer = *answer;
	g->times++;
}

static struct resolver *start(void)
{
	char path[] = "/tmp/nonos-resolv-XXXXXX";
	struct resolver *r = NULL;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "nameserver 127.0.0.1\n", 21), 21);
	assert_int_equal(resolver_new(&r, base, path), 0);
	/* Instead of the file's, so that nobody but our own is ever asked. */
	assert_int_equal(resolver_add_nameserver(r, &server_addr, true), 0);
	unlink(path);
	close(fd);
	clock_set_manual(1000000, 1000);
	n_asked = 0;
	silent = false;
	return r;
}

static void spin(int ms)
{
	struct timeval tv = { .tv_usec = ms * 1000 };

	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

static void wait_for(const struct got *g)
{
	for (int i = 0; i < 600 && !g->times; i++)
		spin(5);
	assert_int_equal(g->times, 1);
}

static struct got ask(struct resolver *r, const char *name)
{
	struct resolve_query *q;
	struct got g = { 0 };

	assert_int_equal(resolve_name(r, &q, name, got_cb, &g), 0);
	wait_for(&g);
	return g;
}

static bool is_ip(const struct addr *a, const char *text)
{
	struct addr b;

	return addr_parse_ip(&b, text, strlen(text)) == 0 && addr_ip_eq(a, &b);
}

static void test_names(void **state)
{
	struct resolver *r = start();
	struct got g;

	(void)state;
	g = ask(r, "four.example");
	assert_int_equal(g.answer.result, RESOLVE_OK);
	assert_int_equal(g.answer.n_addr, 1);
	assert_true(is_ip(&g.answer.addr[0], "192.0.2.1"));
	assert_int_equal(g.answer.ttl_s, 60);		/* not the 5 of the record */
	g = ask(r, "both.example");
	assert_int_equal(g.answer.n_addr, 2);
	assert_true(is_ip(&g.answer.addr[0], "192.0.2.1"));
	assert_true(is_ip(&g.answer.addr[1], "2001:db8::9"));
	g = ask(r, "six.example");
	assert_int_equal(g.answer.n_addr, 1);
	assert_true(is_ip(&g.answer.addr[0], "2001:db8::9"));
	g = ask(r, "many.example");
	assert_int_equal(g.answer.n_addr, 8);
	assert_true(is_ip(&g.answer.addr[6], "192.0.2.7"));
	assert_true(is_ip(&g.answer.addr[7], "2001:db8::9"));
	g = ask(r, "mapped.example");
	assert_int_equal(g.answer.n_addr, 1);
	assert_true(is_ip(&g.answer.addr[0], "1.2.3.4"));
	g = ask(r, "empty.example");
	assert_int_equal(g.answer.result, RESOLVE_PERMANENT);
	g = ask(r, "no.such.name");
	assert_int_equal(g.answer.result, RESOLVE_PERMANENT);
	g = ask(r, "broken.example");
	assert_int_equal(g.answer.result, RESOLVE_TRANSIENT);
	resolver_free(r);
}

static void test_without_asking(void **state)
{
	struct resolver *r = start();
	struct got g;
	char line[256];
	bool has_localhost = false;
	FILE *hosts = fopen("/etc/hosts", "r");

	(void)state;
	g = ask(r, "192.0.2.55");
	assert_true(is_ip(&g.answer.addr[0], "192.0.2.55"));
	while (hosts && fgets(line, sizeof(line), hosts))
		has_localhost |= !strncmp(line, "127.0.0.1", 9) && strstr(line, "localhost");
	if (hosts)
		fclose(hosts);
	if (has_localhost) {
		g = ask(r, "localhost");
		assert_int_equal(g.answer.result, RESOLVE_OK);
		assert_true(is_ip(&g.answer.addr[0], "127.0.0.1"));
	}
	assert_int_equal(n_asked, 0);
	resolver_free(r);
}

static void test_ptr(void **state)
{
	struct resolver *r = start();
	struct addr a = { .family = ADDR_V4, .ip = { 192, 0, 2, 1 } };
	struct addr six = { .family = ADDR_V6, .ip = { 0x20, 1 } }, none = { 0 };
	struct resolve_query *q;
	struct got g = { 0 };

	(void)state;
	assert_int_equal(resolve_ptr(r, &q, &a, got_cb, &g), 0);
	wait_for(&g);
	assert_int_equal(g.answer.result, RESOLVE_OK);
	assert_string_equal(g.answer.name, "back.example");
	/* A name that is none is not passed on. */
	a.ip[3] = 2;
	memset(&g, 0, sizeof(g));
	assert_int_equal(resolve_ptr(r, &q, &a, got_cb, &g), 0);
	wait_for(&g);
	assert_int_equal(g.answer.result, RESOLVE_PERMANENT);
	assert_string_equal(g.answer.name, "");
	memset(&g, 0, sizeof(g));
	assert_int_equal(resolve_ptr(r, &q, &six, got_cb, &g), 0);
	wait_for(&g);
	assert_int_equal(g.answer.result, RESOLVE_PERMANENT);
	assert_int_equal(resolve_ptr(r, &q, &none, got_cb, &g), ERR_UNSUPPORTED);
	/* Kept apart from names, and kept. */
	n_asked = 0;
	a.ip[3] = 1;
	memset(&g, 0, sizeof(g));
	assert_int_equal(resolve_ptr(r, &q, &a, got_cb, &g), 0);
	assert_int_equal(g.times, 1);
	assert_string_equal(g.answer.name, "back.example");
	assert_int_equal(n_asked, 0);
	resolver_free(r);
}

static void test_cache(void **state)
{
	struct resolver *r = start();
	struct got g[3] = { 0 };
	struct resolve_query *q[3];
	size_t bytes = resolver_bytes(r);

	(void)state;
	/* Three ask at once, one look-up is made: A and AAAA. One of them goes away. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(resolve_name(r, &q[i], "both.example", got_cb, &g[i]), 0);
		assert_non_null(q[i]);
	}
	resolve_cancel(q[1]);
	wait_for(&g[0]);
	assert_int_equal(g[1].times, 0);
	assert_int_equal(g[2].times, 1);
	assert_int_equal(n_asked, 2);
	assert_true(resolver_bytes(r) > bytes);
	clock_advance_ms(59000);
	assert_int_equal(ask(r, "both.example").answer.n_addr, 2);
	assert_int_equal(n_asked, 2);
	clock_advance_ms(1000);
	assert_int_equal(ask(r, "both.example").answer.n_addr, 2);
	assert_int_equal(n_asked, 4);
	/* What does not exist is remembered, what failed is not. */
	(void)ask(r, "no.such.name");
	(void)ask(r, "no.such.name");
	assert_int_equal(n_asked, 6);
	(void)ask(r, "broken.example");
	(void)ask(r, "broken.example");
	assert_int_equal(n_asked, 10);
	clock_advance_ms(60000);
	(void)ask(r, "192.0.2.1");
	(void)ask(r, "broken.example");
	assert_int_equal(resolver_bytes(r), bytes);
	resolver_free(r);
}

/* One family's answer does not come: the other is good enough after a second. */
static void test_half_answer(void **state)
{
	struct resolver *r = start();
	struct got g;

	(void)state;
	g = ask(r, "lame.example");
	assert_int_equal(g.answer.result, RESOLVE_OK);
	assert_int_equal(g.answer.n_addr, 1);
	resolver_free(r);
}

static void test_limits(void **state)
{
	struct resolver *r = start();
	static struct got g[RESOLVE_CACHE_MAX + 200];
	struct resolve_query *q;
	size_t most, bytes = resolver_bytes(r);
	char name[32];

	(void)state;
	memset(g, 0, sizeof(g));
	/* More names than are kept, in portions that the server's socket can hold. */
	for (int i = 0; i < RESOLVE_CACHE_MAX + 200; i++) {
		snprintf(name, sizeof(name), "n%04d.example", i);
		assert_int_equal(resolve_name(r, &q, name, got_cb, &g[i]), 0);
		if (i % 50 == 49 || i == RESOLVE_CACHE_MAX + 199)
			wait_for(&g[i]);
	}
	most = (resolver_bytes(r) - bytes) / RESOLVE_CACHE_MAX;
	assert_true(most < 1200);
	n_asked = 0;
	(void)ask(r, "n4295.example");
	assert_int_equal(n_asked, 0);
	(void)ask(r, "n0000.example");
	assert_true(n_asked > 0);
	resolver_free(r);

	r = start();
	silent = true;
	memset(g, 0, sizeof(g));
	for (int i = 0; i < RESOLVE_PENDING_MAX; i++) {
		snprintf(name, sizeof(name), "n%04d.example", i);
		assert_int_equal(resolve_name(r, &q, name, got_cb, &g[i]), 0);
	}
	assert_int_equal(resolve_name(r, &q, "one.too.many", got_cb, &g[0]), ERR_LIMIT);
	assert_null(q);
	assert_int_equal(resolve_name(r, &q, "n0000.example", got_cb, &g[0]), 0);	/* joins */
	resolver_free(r);
	spin(50);
	for (int i = 0; i < RESOLVE_PENDING_MAX; i++)
		assert_int_equal(g[i].times, 0);
}

/* Freed with a look-up under way: no callback, nothing left behind. */
static void test_free_pending(void **state)
{
	struct resolver *r = start();
	struct addr a = { .family = ADDR_V4, .ip = { 192, 0, 2, 1 } };
	struct resolve_query *q;
	struct got g = { 0 };

	(void)state;
	silent = true;
	assert_int_equal(resolve_name(r, &q, "four.example", got_cb, &g), 0);
	assert_int_equal(resolve_ptr(r, &q, &a, got_cb, &g), 0);
	spin(10);
	resolver_free(r);
	spin(20);
	assert_int_equal(g.times, 0);
	resolver_free(NULL);
	resolve_cancel(NULL);
	assert_int_equal(resolve_name(NULL, &q, "four.example", got_cb, &g), ERR_STATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	cmocka_unit_test(test_without_asking),
		cmocka_unit_test(test_ptr),	cmocka_unit_test(test_cache),
		cmocka_unit_test(test_half_answer),
		cmocka_unit_test(test_limits),	cmocka_unit_test(test_free_pending),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
