/* Links between two relays over real sockets: the whole handshake, both sides. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/crypto.h>
#include <nonos/keys.h>
#include <nonos/tls.h>

#include "../../relay/link.h"
#include "../../relay/link_handshake.h"
#include "../../relay/link_io.h"
#include "../../relay/relay_priv.h"

struct side {
	struct relay *relay;
	struct link_keys keys;
	struct addr addr;
	unsigned reached;
	struct addr seen;		/* what an authenticated peer saw us as */
};

static struct event_base *base;

static void on_reached(void *arg)
{
	((struct side *)arg)->reached++;
}

static void on_address(void *arg, const struct addr *ours, const uint8_t peer[20])
{
	(void)peer;
	((struct side *)arg)->seen = *ours;
}

static int listen_on(struct addr *ret, const char *ip)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;
	int fd;

	assert_int_equal(addr_parse_ip(&a, ip, strlen(ip)), 0);
	len = addr_to_sockaddr(&ss, &a);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0) {
		close(fd);
		return -1;
	}
	len = sizeof(ss);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr(ret, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static void make_keys(struct link_keys *ret)
{
	char dir[] = "/tmp/nonos-test-link-XXXXXX", command[64], error[256];
	struct relay_keys *keys;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(keys_open(&keys, dir, clock_wall(), error, sizeof(error)), 0);
	assert_int_equal(keys_make_link(ret, keys, clock_wall()), 0);
	keys_free(keys);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

/* False when this machine has no such address family. */
static bool side_start(struct side *s, const char *ip)
{
	struct relay_config config = {
		.allow_private = true, .exit_policy = "reject *:*",
		.limits = { .max_memory = 1 << 30, .links_per_addr = 3, .links_total = 100, .circuits_per_link = 10,
			    .handshake_queue = 10, .cells_per_circuit = 100, .streams_per_circuit = 10 },
	};
	struct relay_hooks hooks = { .reached = on_reached, .address_seen = on_address, .arg = s };
	int fd;

	memset(s, 0, sizeof(*s));
	fd = listen_on(&s->addr, ip);
	if (fd < 0)
		return false;
	if (s->addr.family == ADDR_V4)
		config.advertised_v4 = s->addr;
	else
		config.advertised_v6 = s->addr;
	make_keys(&s->keys);
	s->relay = relay_new(base, &hooks);
	assert_int_equal(relay_set_config(s->relay, &config), 0);
	assert_int_equal(relay_set_link_keys(s->relay, &s->keys), 0);
	assert_int_equal(relay_listen(s->relay, fd), 0);
	return true;
}

static struct link *dial(struct side *from, const struct side *to)
{
	struct link *l = link_new(from->relay, true, &to->addr);

	memcpy(l->peer_id.rsa_id, to->keys.rsa_id, 20);
	memcpy(l->peer_id.ed_id, to->keys.ed_id, 32);
	link_index_outgoing(l);
	return l;
}

static void go(struct side *from, struct link *l)
{
	uint64_t id = l->id;

	assert_int_equal(link_io_connect(l), 0);
	for (int i = 0; i < 2000; i++) {
		l = link_by_id(from->relay, id);
		if (!l || l->state == LINK_OPEN)
			break;
		event_base_loop(base, EVLOOP_ONCE);
	}
}

/* Let what is on its way arrive. */
static void settle(void)
{
	static const struct timeval wait = { 0, 50000 };

	event_base_loopexit(base, &wait);
	event_base_dispatch(base);
}

static void both_ways(const char *ip)
{
	struct side a, b;
	struct link *l, *in;
	uint64_t id;

	base = event_base_new();
	if (!side_start(&a, ip)) {
		event_base_free(base);
		skip();
	}
	assert_true(side_start(&b, ip));
	l = dial(&a, &b);
	id = l->id;
	go(&a, l);
	settle();
	l = link_by_id(a.relay, id);
	in = link_next(b.relay, NULL);
	assert_non_null(l);
	assert_non_null(in);
	assert_true(l->state == LINK_OPEN && in->state == LINK_OPEN);
	assert_true(l->authenticated && in->authenticated);
	assert_true(l->canonical && in->canonical);
	assert_int_equal(l->version, 5);
	assert_memory_equal(in->peer_id.rsa_id, a.keys.rsa_id, 20);
	assert_memory_equal(in->peer_id.ed_id, a.keys.ed_id, 32);
	assert_ptr_equal(link_find(b.relay, a.keys.rsa_id, a.keys.ed_id), in);
	assert_int_equal(b.reached, 1);
	assert_int_equal(a.reached, 0);
	assert_true(addr_ip_eq(&a.seen, &a.addr));
	assert_true(addr_ip_eq(&b.seen, &b.addr));
	/* Neither keeps anything of the handshake. */
	assert_null(l->hs);
	assert_null(in->hs);
	relay_free(a.relay);
	settle();
	assert_int_equal(link_count(b.relay), 0);
	relay_free(b.relay);
	event_base_free(base);
}

static void test_ipv4(void **state)
{
	(void)state;
	both_ways("127.0.0.1");
}

static void test_ipv6(void **state)
{
	(void)state;
	both_ways("::1");
}

static void test_wrong_identity(void **state)
{
	struct side a, b;
	struct link *l;

	(void)state;
	base = event_base_new();
	assert_true(side_start(&a, "127.0.0.1") && side_start(&b, "127.0.0.1"));
	for (int which = 0; which < 2; which++) {
		l = dial(&a, &b);
		if (which == 0)
			l->peer_id.ed_id[5] ^= 1;
		else
			l->peer_id.rsa_id[19] ^= 1;	/* not part of the index's hash */
		go(&a, l);
		settle();
		assert_int_equal(link_count(a.relay), 0);
		assert_int_equal(link_count(b.relay), 0);
	}
	/* No wish for an Ed25519 identity is fine. */
	l = dial(&a, &b);
	memset(l->peer_id.ed_id, 0, 32);
	go(&a, l);
	l = link_next(a.relay, NULL);
	assert_non_null(l);
	assert_int_equal(l->state, LINK_OPEN);
	assert_memory_equal(l->peer_id.ed_id, b.keys.ed_id, 32);
	relay_free(a.relay);
	relay_free(b.relay);
	event_base_free(base);
}

/* A link goes on with the credentials it started with when new ones come. */
static void test_new_credentials(void **state)
{
	struct link_keys fresh;
	struct side a, b;
	struct link *l;

	(void)state;
	base = event_base_new();
	assert_true(side_start(&a, "127.0.0.1") && side_start(&b, "127.0.0.1"));
	make_keys(&fresh);
	l = dial(&a, &b);
	assert_int_equal(link_io_connect(l), 0);
	while (link_count(b.relay) == 0)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(relay_set_link_keys(b.relay, &fresh), 0);
	while (l->state != LINK_OPEN) {
		event_base_loop(base, EVLOOP_ONCE);
		assert_ptr_equal(link_next(a.relay, NULL), l);	/* the old identity still answers */
	}
	/* A new link meets the new identity, and refuses it. */
	l = dial(&a, &b);
	go(&a, l);
	settle();
	assert_int_equal(link_count(a.relay), 1);
	relay_free(a.relay);
	relay_free(b.relay);
	event_base_free(base);
}

static int raw_connect(const struct addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&ss, a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && connect(fd, (struct sockaddr *)&ss, len) == 0);
	return fd;
}

static void test_silent_and_too_many(void **state)
{
	struct side a;
	int fd[4];
	char byte;

	(void)state;
	base = event_base_new();
	assert_true(side_start(&a, "127.0.0.1"));
	for (int i = 0; i < 4; i++)
		fd[i] = raw_connect(&a.addr);
	settle();
	/* The fourth from one address is closed at once. */
	assert_int_equal(link_count(a.relay), 3);
	assert_int_equal(a.relay->counters.links_refused, 1);
	assert_int_equal(recv(fd[3], &byte, 1, 0), 0);
	/* Bytes that are not TLS close the link. */
	assert_int_equal(send(fd[0], "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL), 18);
	settle();
	assert_int_equal(link_count(a.relay), 2);
	/* Silence closes it after a while. */
	clock_update();
	clock_set_manual(clock_now_ms() + LINK_HANDSHAKE_MS + 1, clock_wall());
	relay_tick(a.relay);
	settle();
	assert_int_equal(link_count(a.relay), 0);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
	relay_free(a.relay);
	event_base_free(base);
}

/* Our end of the connection to `peer`. */
static int fd_to(const struct addr *peer)
{
	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		struct addr a;

		if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0 &&
		    addr_from_sockaddr(&a, (struct sockaddr *)&ss, len) == 0 && addr_eq(&a, peer))
			return fd;
	}
	fail_msg("no connection to that address");
	return -1;
}

/* A responder that resets the connection right behind its NETINFO. */
static void test_lost_while_answering_netinfo(void **state)
{
	struct netinfo n = { .time = 1 };
	uint8_t body[CELL_BODY_LEN] = { 0 };
	struct cell cell = { .cmd = CELL_NETINFO, .body_len = sizeof(body), .body = body };
	struct side a, b;
	struct link *l;

	(void)state;
	base = event_base_new();
	assert_true(side_start(&a, "127.0.0.1") && side_start(&b, "127.0.0.1"));
	l = dial(&a, &b);
	assert_int_equal(link_io_connect(l), 0);
	while (l->state != LINK_VERSIONS)
		event_base_loop(base, EVLOOP_ONCE);
	link_set_state(l, LINK_VERSIONS, LINK_AUTH, "test");
	l->version = 5;
	l->authenticated = true;
	netinfo_build(body, sizeof(body), &n);
	shutdown(fd_to(&b.addr), SHUT_WR);
	assert_int_equal(link_hs_cell(l, &cell), 0);
	assert_int_equal(l->state, LINK_CLOSED);
	relay_free(a.relay);
	relay_free(b.relay);
	event_base_free(base);
}

/* A peer that reads nothing, and makes us answer: what is kept for it is bounded. */
static void test_unsent_is_bounded(void **state)
{
	static const uint8_t bytes[TLS_RECORD_MAX];
	struct side a, b;
	struct link *l;

	(void)state;
	base = event_base_new();
	assert_true(side_start(&a, "127.0.0.1") && side_start(&b, "127.0.0.1"));
	l = dial(&a, &b);
	go(&a, l);
	assert_int_equal(l->state, LINK_OPEN);
	for (int i = 0; i < 4096 && l->state == LINK_OPEN; i++) {
		link_io_send_raw(l, bytes, sizeof(bytes));
		assert_true(link_io_pending(l) < 1 << 20);
	}
	assert_int_equal(l->state, LINK_CLOSED);
	relay_free(a.relay);
	relay_free(b.relay);
	event_base_free(base);
}

/* An identity is made up in no time: it is no way around the limit of an address. */
static void test_too_many_authenticated(void **state)
{
	struct side a, b;

	(void)state;
	base = event_base_new();
	assert_true(side_start(&a, "127.0.0.1") && side_start(&b, "127.0.0.1"));
	for (int i = 0; i < 4; i++)
		go(&a, dial(&a, &b));
	settle();
	assert_int_equal(link_count(b.relay), 3);
	assert_int_equal(b.relay->counters.links_refused, 1);
	/* What is closed makes room. */
	link_close(link_next(b.relay, NULL), "test");
	settle();
	go(&a, dial(&a, &b));
	settle();
	assert_int_equal(link_count(b.relay), 3);
	relay_free(a.relay);
	relay_free(b.relay);
	event_base_free(base);
}

/* A peer that vanished without a word is found out by the system. */
static void test_keepalive(void **state)
{
	struct side a, b;
	int on = 0;
	socklen_t len = sizeof(on);

	(void)state;
	base = event_base_new();
	assert_true(side_start(&a, "127.0.0.1") && side_start(&b, "127.0.0.1"));
	go(&a, dial(&a, &b));
	assert_int_equal(getsockopt(fd_to(&b.addr), SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
	assert_true(on);
	relay_free(a.relay);
	relay_free(b.relay);
	event_base_free(base);
}

/* Without descriptors the listener rests until the next tick: no busy loop. */
static void test_no_descriptors(void **state)
{
	struct rlimit old, low;
	struct side a;
	int fd, next;

	(void)state;
	base = event_base_new();
	assert_true(side_start(&a, "127.0.0.1"));
	fd = raw_connect(&a.addr);
	next = dup(fd);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	settle();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(link_count(a.relay), 0);
	assert_false(event_pending(a.relay->listeners[0], EV_READ, NULL));
	relay_tick(a.relay);
	settle();
	assert_int_equal(link_count(a.relay), 1);
	close(fd);
	relay_free(a.relay);
	event_base_free(base);
}

/* -- token buckets; the clock is turned by hand, so these come last -------- */

enum { RATE = 1000000, FLOOD_CELLS = 20000, THREE = 3 };

/* Open links from `a` to `b` whose cells would take ten seconds each. */
static void flood_links(struct side *a, struct side *b, struct link *ret[THREE])
{
	base = event_base_new();
	assert_true(side_start(a, "127.0.0.1") && side_start(b, "127.0.0.1"));
	for (int i = 0; i < THREE; i++) {
		ret[i] = dial(a, b);
		go(a, ret[i]);
		assert_int_equal(ret[i]->state, LINK_OPEN);
	}
	settle();
	clock_update();
	clock_set_manual(clock_now_ms(), clock_wall());
	a->relay->config.limits.max_memory = 0;
	for (int i = 0; i < THREE; i++)
		for (int n = 0; n < FLOOD_CELLS; n++)
			link_send_control(ret[i], 0, CELL_PADDING, NULL, 0);
}

/* Pass time, and let what may move do so. */
static void pass_ms(struct relay *limited, uint64_t ms)
{
	clock_advance_ms(ms);
	link_io_unthrottle(limited);
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void test_write_rate(void **state)
{
	struct link *l[THREE];
	struct side a, b;
	uint64_t before, sent, due = RATE;

	(void)state;
	flood_links(&a, &b, l);
	before = a.relay->counters.written_bytes;
	bucket_init(&a.relay->write_bucket, RATE, RATE, clock_now_us());
	for (int i = 0; i < 300; i++, due += RATE / 1000)
		pass_ms(a.relay, 1);
	for (int i = 0; i < 100; i++, due += RATE / 50)
		pass_ms(a.relay, 20);
	sent = a.relay->counters.written_bytes - before;
	assert_in_range(sent, due / 100 * 95, due / 100 * 105);
	/* All links had their share of it. */
	for (int i = 0; i < THREE; i++)
		assert_true((FLOOD_CELLS - l[i]->n_queued) * CELL_LEN > due / THREE / 2);
	relay_free(a.relay);
	relay_free(b.relay);
	event_base_free(base);
}

static void test_read_rate(void **state)
{
	struct link *l[THREE];
	struct side a, b;
	uint64_t before, got, due = RATE;

	(void)state;
	flood_links(&a, &b, l);
	before = b.relay->counters.read_bytes;
	bucket_init(&b.relay->read_bucket, RATE, RATE, clock_now_us());
	for (int i = 0; i < 150; i++, due += RATE / 50)
		pass_ms(b.relay, 20);
	got = b.relay->counters.read_bytes - before;
	assert_in_range(got, due / 100 * 95, due / 100 * 105);
	/* None was left out: each has had a cell a short time ago. */
	for (struct link *in = NULL; (in = link_next(b.relay, in));)
		assert_true(clock_now_ms() - in->active_ms < 200);
	relay_free(a.relay);
	relay_free(b.relay);
	event_base_free(base);
}

static void test_netinfo(void **state)
{
	struct netinfo n = { .time = 1234, .n_own = 2 }, got;
	uint8_t body[CELL_BODY_LEN] = { 0 };
	size_t len;

	(void)state;
	assert_int_equal(addr_parse_ip(&n.other, "192.0.2.1", 9), 0);
	assert_int_equal(addr_parse_ip(&n.own[0], "192.0.2.2", 9), 0);
	assert_int_equal(addr_parse_ip(&n.own[1], "2001:db8::7", 11), 0);
	len = netinfo_build(body, sizeof(body), &n);
	assert_int_equal(netinfo_parse(&got, body, sizeof(body)), 0);
	assert_int_equal(got.time, 1234);
	assert_true(addr_ip_eq(&got.other, &n.other));
	assert_int_equal(got.n_own, 2);
	assert_true(addr_ip_eq(&got.own[1], &n.own[1]));
	for (size_t i = 0; i < len; i++)
		assert_true(netinfo_parse(&got, body, i) < 0);
	body[5] = 5;	/* an IPv4 address of five bytes */
	assert_true(netinfo_parse(&got, body, sizeof(body)) < 0);
	body[4] = 77;	/* an unknown type of any length is passed over, as far as it goes */
	body[5] = 4;
	assert_int_equal(netinfo_parse(&got, body, sizeof(body)), 0);
	assert_int_equal(got.other.family, ADDR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_netinfo),
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_wrong_identity),
		cmocka_unit_test(test_new_credentials),
		cmocka_unit_test(test_lost_while_answering_netinfo),
		cmocka_unit_test(test_unsent_is_bounded),
		cmocka_unit_test(test_too_many_authenticated),
		cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_silent_and_too_many),	/* from here on the clock stands */
		cmocka_unit_test(test_write_rate),
		cmocka_unit_test(test_read_rate),
	};

	if (crypto_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
