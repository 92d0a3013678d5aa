#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/bytes.h>
#include <nonos/clock.h>
#include <nonos/err.h>

#include "../../relay/edge_msg.h"
#include "../../relay/flow.h"
#include "../../relay/stream.h"
#include "edge_fakes.h"

/* -- a server on loopback, driven from the test */

static int listener = -1;
static uint16_t port;

static void server_open(int family)
{
	struct sockaddr_storage sa = { 0 };
	struct sockaddr_in *sin = (struct sockaddr_in *)&sa;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&sa;
	socklen_t len = sizeof(sa);

	if (listener >= 0)
		close(listener);
	listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0)
		skip();
	sa.ss_family = (sa_family_t)family;
	if (family == AF_INET)
		sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		sin6->sin6_addr = in6addr_loopback;
	if (bind(listener, (struct sockaddr *)&sa, family == AF_INET ? sizeof(*sin) : sizeof(*sin6)) < 0)
		skip();
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	port = ntohs(family == AF_INET ? sin->sin_port : sin6->sin6_port);
}

static void server_close(void)
{
	close(listener);
	listener = -1;
}

/* Turn the loop for a while, at most `ms`, until `done`. */
static bool run_until(bool (*done)(void), int ms)
{
	struct timeval tick = { .tv_usec = 2000 };

	for (int i = 0; i < ms / 2 + 1; i++) {
		if (done && done())
			return true;
		event_base_loopexit(fakes.relay.base, &tick);
		event_base_dispatch(fakes.relay.base);
		clock_update();
	}
	return done ? done() : true;
}

static void spin(void)
{
	run_until(NULL, 10);
}

static const struct sent *last(uint8_t cmd, uint16_t id)
{
	for (size_t i = fakes.n_sent; i-- > 0;)
		if (fakes.sent[i].cmd == cmd && fakes.sent[i].stream_id == id)
			return &fakes.sent[i];
	return NULL;
}

static size_t count(uint8_t cmd, uint16_t id)
{
	size_t n = 0;

	for (size_t i = 0; i < fakes.n_sent; i++)
		n += fakes.sent[i].cmd == cmd && fakes.sent[i].stream_id == id;
	return n;
}

static size_t data_len(uint16_t id)
{
	size_t n = 0;

	for (size_t i = 0; i < fakes.n_sent; i++)
		if (fakes.sent[i].cmd == RELAY_DATA && fakes.sent[i].stream_id == id)
			n += fakes.sent[i].len;
	return n;
}

static uint8_t end_reason(uint16_t id)
{
	const struct sent *s = last(RELAY_END, id);

	return s && s->len ? s->data[0] : 0;
}

static int begin(uint16_t id, const char *host, uint16_t to, int flags)
{
	uint8_t body[300];
	int n = snprintf((char *)body, sizeof(body) - 4, "%s:%u", host, to) + 1;

	if (flags >= 0) {
		memset(body + n, 0, 4);
		body[n + 3] = (uint8_t)flags;
		n += 4;
	}
	return fake_message(RELAY_BEGIN, id, body, (size_t)n);
}

static uint16_t waited_id;
static bool is_connected(void) { return last(RELAY_CONNECTED, waited_id) != NULL; }
static bool is_ended(void) { return last(RELAY_END, waited_id) != NULL; }

/* Open stream `id` to our server; returns the server's end. */
static int open_stream(uint16_t id, const char *host)
{
	int fd;

	assert_int_equal(begin(id, host, port, BEGIN_IPV6_OK), 0);
	waited_id = id;
	assert_true(run_until(is_connected, 2000));
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void wait_end(uint16_t id, enum end_reason reason)
{
	waited_id = id;
	assert_true(run_until(is_ended, 2000));
	assert_int_equal(end_reason(id), reason);
}

static size_t read_all(int fd, uint8_t *out, size_t cap)
{
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, out + len, cap - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	return len;
}

/* -- tests */

static void test_connect_and_data(void **state)
{
	uint8_t buf[64];
	int fd;

	(void)state;
	server_open(AF_INET);
	fakes_start("accept *:*", 0);
	fd = open_stream(7, "127.0.0.1");
	assert_int_equal(last(RELAY_CONNECTED, 7)->len, 8);
	assert_memory_equal(last(RELAY_CONNECTED, 7)->data, "\x7f\0\0\1\0\0\0\x3c", 8);

	assert_int_equal(fake_message(RELAY_DATA, 7, "hello", 5), 0);
	assert_int_equal(fake_message(RELAY_DATA, 7, " world", 6), 0);
	spin();
	assert_int_equal(read_all(fd, buf, sizeof(buf)), 11);
	assert_memory_equal(buf, "hello world", 11);

	assert_int_equal(send(fd, "answer", 6, 0), 6);
	spin();
	assert_int_equal(data_len(7), 6);
	assert_memory_equal(last(RELAY_DATA, 7)->data, "answer", 6);
	assert_int_equal(fakes.relay.counters.exit_read_bytes, 6);
	assert_int_equal(fakes.relay.counters.exit_written_bytes, 11);
	assert_int_equal(fakes.relay.counters.streams, 1);

	close(fd);
	wait_end(7, END_DONE);
	assert_int_equal(edge_streams(fakes.edge), 0);
	fakes_stop();
	server_close();
}

static void test_begin_refused(void **state)
{
	(void)state;
	fakes_start("reject 127.0.0.2:*, accept *:80, reject *:*", 0);
	/* Malformed: answered, not punished. */
	assert_int_equal(fake_message(RELAY_BEGIN, 1, "127.0.0.1:80", 12), 0);
	assert_int_equal(end_reason(1), END_TORPROTOCOL);
	/* By policy: address and TTL for a literal, the bare reason for a name. */
	assert_int_equal(begin(2, "127.0.0.2", 80, 0), 0);
	assert_int_equal(last(RELAY_END, 2)->len, 9);
	assert_memory_equal(last(RELAY_END, 2)->data, "\x04\x7f\0\0\2\0\0\0\x3c", 9);
	assert_int_equal(begin(3, "four", 81, 0), 0);
	assert_int_equal(last(RELAY_END, 3)->len, 1);
	assert_int_equal(end_reason(3), END_EXITPOLICY);
	assert_int_equal(fakes.n_queries, 0);		/* nobody was asked */
	assert_int_equal(begin(4, "[2001:db8::1]", 81, 0), 0);
	assert_int_equal(last(RELAY_END, 4)->len, 21);
	/* Names without an address, or without one of the wanted family. */
	assert_int_equal(begin(5, "nothing", 80, 0), 0);
	assert_int_equal(end_reason(5), END_RESOLVEFAILED);
	assert_int_equal(begin(6, "six", 80, 0), 0);
	assert_int_equal(end_reason(6), END_EXITPOLICY);
	assert_int_equal(begin(7, "busy", 80, 0), 0);
	assert_int_equal(end_reason(7), END_RESOLVEFAILED);
	/* The circuit starts at a client: we would be its only hop. */
	fakes.circuit.from_client = true;
	assert_int_equal(begin(8, "127.0.0.1", 80, 0), 0);
	assert_int_equal(end_reason(8), END_TORPROTOCOL);
	/* No stream has number 0. */
	assert_int_equal(begin(0, "127.0.0.1", 80, 0), ERR_PROTOCOL);
	assert_int_equal(fakes.relay.counters.streams_opened, 0);
	fakes_stop();
}

static void test_private_refused(void **state)
{
	(void)state;
	fakes_start("accept *:*", 0);
	fakes.relay.config.allow_private = false;
	assert_int_equal(begin(1, "127.0.0.1", 80, 0), 0);
	assert_int_equal(end_reason(1), END_EXITPOLICY);
	assert_int_equal(begin(2, "four", 80, 0), 0);
	assert_int_equal(end_reason(2), END_EXITPOLICY);
	assert_int_equal(begin(3, "[::ffff:127.0.0.1]", 80, BEGIN_IPV6_OK), 0);
	assert_int_equal(end_reason(3), END_EXITPOLICY);
	fakes_stop();
}

static void test_families(void **state)
{
	uint16_t dead;

	(void)state;
	server_open(AF_INET);
	dead = port;
	server_close();
	server_open(AF_INET6);
	fakes_start("accept *:*", 0);
	close(open_stream(1, "six"));
	assert_int_equal(last(RELAY_CONNECTED, 1)->len, 25);
	assert_memory_equal(last(RELAY_CONNECTED, 1)->data, "\0\0\0\0\x06", 5);
	assert_memory_equal(last(RELAY_CONNECTED, 1)->data + 20, "\1\0\0\0\x3c", 5);
	/* IPv4 first, where nobody listens; then the other address. */
	close(open_stream(2, "both"));
	assert_int_equal(last(RELAY_CONNECTED, 2)->len, 25);
	/* Refused by all. */
	assert_int_equal(begin(3, "four", dead, 0), 0);
	wait_end(3, END_CONNECTREFUSED);
	assert_int_equal(begin(4, "six", port, BEGIN_IPV4_NOT_OK), 0);
	assert_int_equal(end_reason(4), END_EXITPOLICY);
	fakes_stop();
	server_close();
}

static void test_optimistic_data(void **state)
{
	uint8_t buf[64];
	int fd;

	(void)state;
	server_open(AF_INET);
	fakes_start("accept *:*", 0);
	fakes.hold = true;
	assert_int_equal(begin(9, "four", port, -1), 0);
	assert_int_equal(fake_message(RELAY_DATA, 9, "early", 5), 0);
	assert_int_equal(fakes.n_sent, 0);
	fake_answer();
	assert_int_equal(fake_message(RELAY_DATA, 9, " bird", 5), 0);
	waited_id = 9;
	assert_true(run_until(is_connected, 2000));
	fd = accept(listener, NULL, NULL);
	spin();
	assert_int_equal(read_all(fd, buf, sizeof(buf)), 10);
	assert_memory_equal(buf, "early bird", 10);
	close(fd);
	fakes_stop();

	/* END and circuit death while the name is being looked up cancel the query. */
	fakes_start("accept *:*", 0);
	fakes.hold = true;
	assert_int_equal(begin(1, "four", port, 0), 0);
	assert_int_equal(begin(2, "four", port, 0), 0);
	assert_int_equal(fake_message(RELAY_END, 1, "\6", 1), 0);
	assert_int_equal(fakes.n_cancelled, 1);
	assert_int_equal(edge_streams(fakes.edge), 1);
	fakes_stop();
	server_close();
}

/* What the server sends arrives whole, in cells that obey both windows. */
static void test_fixed_windows(void **state)
{
	static uint8_t blob[900000], got[900000];
	size_t at = 0, put = 0, sendmes = 0, cells;
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(blob); i++)
		blob[i] = (uint8_t)(i * 31 + i / 255);
	server_open(AF_INET);
	fakes_start("accept *:*", 0);
	fd = open_stream(3, "127.0.0.1");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	fakes_forget();
	for (int round = 0; round < 3000 && at < sizeof(blob); round++) {
		ssize_t n = send(fd, blob + put, sizeof(blob) - put, MSG_NOSIGNAL);

		put += n > 0 ? (size_t)n : 0;
		run_until(NULL, 2);
		cells = count(RELAY_DATA, 3);
		/* 500 are allowed on the stream, and 50 more for each SENDME. */
		assert_true(cells <= STREAM_WINDOW + 50 * sendmes);
		if (cells < STREAM_WINDOW + 50 * sendmes)
			continue;
		assert_int_equal(fake_message(RELAY_SENDME, 3, "", 0), 0);
		sendmes++;
		if (sendmes % 2 == 0) {
			uint8_t body[SENDME_V1_LEN];
			size_t data_cells = 0, i = 0;

			/* The circuit's window: the digest of each hundredth DATA cell. */
			while (data_cells < sendmes / 2 * 100)
				data_cells += fakes.sent[i++].cmd == RELAY_DATA;
			flow_sendme_build(body, fakes.sent[i - 1].digest);
			assert_int_equal(fake_message(RELAY_SENDME, 0, body, sizeof(body)), 0);
		}
		at = data_len(3);
	}
	for (size_t i = 0, k = 0; i < fakes.n_sent; i++) {
		if (fakes.sent[i].cmd != RELAY_DATA)
			continue;
		memcpy(got + k, fakes.sent[i].data, fakes.sent[i].len);
		k += fakes.sent[i].len;
	}
	at = data_len(3);
	assert_true(at > 700000);
	assert_memory_equal(got, blob, at);
	/* A stream may not get more window than it began with. */
	while (fake_message(RELAY_SENDME, 3, "", 0) == 0)
		assert_true(++sendmes < 100);
	close(fd);
	fakes_stop();
	server_close();
}

static void test_random_cells(void **state)
{
	static uint8_t blob[RELAY_DATA_MAX * 300];
	size_t full = 0, part = 0;
	int fd;

	(void)state;
	server_open(AF_INET);
	fakes_start("accept *:*", 0);
	fd = open_stream(3, "127.0.0.1");
	assert_int_equal(send(fd, blob, sizeof(blob), 0), sizeof(blob));
	run_until(NULL, 60);
	for (size_t i = 0, n = 0; i < fakes.n_sent; i++) {
		if (fakes.sent[i].cmd != RELAY_DATA)
			continue;
		if (fakes.sent[i].len == RELAY_DATA_MAX)
			full++;
		else
			part++;
		if (++n % 100 == 0) {
			assert_true(part >= 1);	/* each increment has its unpredictable cell */
			part = 0;
		}
	}
	assert_true(full > 280);
	close(fd);
	fakes_stop();
	server_close();
}

/* Uploads: circuit SENDMEs with the digest of the hundredth cell, stream SENDMEs as the socket takes them. */
static void test_upload_sendmes(void **state)
{
	uint8_t cell[RELAY_DATA_MAX] = { 1 };
	const struct sent *s;
	int fd;

	(void)state;
	server_open(AF_INET);
	fakes_start("accept *:*", 0);
	fd = open_stream(5, "127.0.0.1");
	for (int i = 0; i < 99; i++)
		assert_int_equal(fake_message(RELAY_DATA, 5, cell, sizeof(cell)), 0);
	assert_int_equal(count(RELAY_SENDME, 0), 0);
	assert_int_equal(fake_message(RELAY_DATA, 5, cell, sizeof(cell)), 0);
	s = last(RELAY_SENDME, 0);
	assert_non_null(s);
	assert_int_equal(s->len, SENDME_V1_LEN);
	assert_memory_equal(s->data, "\1\0\x14\xd1", 4);
	assert_int_equal(count(RELAY_SENDME, 5), 0);	/* nothing is flushed yet */
	spin();
	assert_int_equal(count(RELAY_SENDME, 5), 2);
	close(fd);
	fakes_stop();
	server_close();
}

static void test_upload_window(void **state)
{
	uint8_t cell[RELAY_DATA_MAX] = { 1 };
	int r = 0, sent = 0;

	(void)state;
	fakes_start("accept *:*", 0);
	fakes.hold = true;
	assert_int_equal(begin(1, "four", 80, 0), 0);
	while (sent < 600 && r == 0) {
		r = fake_message(RELAY_DATA, 1, cell, sizeof(cell));
		sent += r == 0;
	}
	/* Nothing can be flushed, so the window is all there is. */
	assert_int_equal(sent, STREAM_WINDOW);
	assert_int_equal(r, ERR_PROTOCOL);
	assert_true(edge_bytes(fakes.edge) >= STREAM_WINDOW * RELAY_DATA_MAX);
	fakes_stop();
}

static void test_circuit_sendme_forged(void **state)
{
	static uint8_t blob[RELAY_DATA_MAX * 110];
	uint8_t body[SENDME_V1_LEN + 2] = { 0 };
	size_t i = 0, data = 0;
	int fd;

	(void)state;
	server_open(AF_INET);
	fakes_start("accept *:*", 0);
	flow_sendme_build(body, body + 3);
	assert_int_equal(fake_message(RELAY_SENDME, 0, body, SENDME_V1_LEN), ERR_PROTOCOL);	/* not due */
	fd = open_stream(5, "127.0.0.1");
	assert_int_equal(send(fd, blob, sizeof(blob), 0), sizeof(blob));
	run_until(NULL, 40);
	assert_true(count(RELAY_DATA, 5) > 100);
	while (data < 100)
		data += fakes.sent[i++].cmd == RELAY_DATA;
	assert_int_equal(fake_message(RELAY_SENDME, 0, body, 0), ERR_PROTOCOL);		/* v0 after an exit stream */
	assert_int_equal(fake_message(RELAY_SENDME, 0, "\0", 1), ERR_PROTOCOL);
	assert_int_equal(fake_message(RELAY_SENDME, 0, "\2\0\0", 3), ERR_PROTOCOL);
	assert_int_equal(fake_message(RELAY_SENDME, 0, body, SENDME_V1_LEN), ERR_PROTOCOL);	/* wrong */
	flow_sendme_build(body, fakes.sent[i - 1].digest);
	assert_int_equal(fake_message(RELAY_SENDME, 0, body, SENDME_V1_LEN - 1), ERR_PROTOCOL);
	assert_int_equal(fake_message(RELAY_SENDME, 0, body, SENDME_V1_LEN), 0);
	assert_int_equal(fake_message(RELAY_SENDME, 0, body, SENDME_V1_LEN), ERR_PROTOCOL);	/* twice */
	close(fd);
	fakes_stop();
	server_close();
}

/* Streams take turns when there is less room than they have data. */
static void test_fair_turns(void **state)
{
	static uint8_t blob[150000];
	int fd[4];
	size_t least = SIZE_MAX, most = 0;

	(void)state;
	server_open(AF_INET);
	fakes_start("accept *:*", 31);
	for (uint16_t i = 0; i < 4; i++)
		fd[i] = open_stream((uint16_t)(i + 1), "127.0.0.1");
	for (int i = 0; i < 4; i++)
		assert_int_equal(send(fd[i], blob, sizeof(blob), 0), sizeof(blob));
	fakes_forget();
	for (int acked = 1; acked <= 24; acked++) {
		uint8_t body[SENDME_V1_LEN];
		int seen = 0;

		run_until(NULL, 4);
		clock_advance_ms(20);
		for (size_t i = 0; i < fakes.n_sent; i++) {
			seen += fakes.sent[i].cmd == RELAY_DATA;
			if (fakes.sent[i].cmd == RELAY_DATA && seen == acked * 31) {
				flow_sendme_build(body, fakes.sent[i].digest);
				assert_int_equal(fake_message(RELAY_SENDME, 0, body, sizeof(body)), 0);
				break;
			}
		}
	}
	for (uint16_t id = 1; id <= 4; id++) {
		size_t n = count(RELAY_DATA, id);

		least = n < least ? n : least;
		most = n > most ? n : most;
	}
	assert_true(least > 100);
	assert_true(most - least <= 3 * 31);	/* bursts are cut where increments end */
	for (int i = 0; i < 4; i++)
		close(fd[i]);
	fakes_stop();
	server_close();
}

static void test_blocked_circuit(void **state)
{
	static uint8_t blob[5000];
	int fd;

	(void)state;
	server_open(AF_INET);
	fakes_start("accept *:*", 0);
	fd = open_stream(5, "127.0.0.1");
	fakes.circuit.streams_blocked = true;
	assert_int_equal(send(fd, blob, sizeof(blob), 0), sizeof(blob));
	spin();
	assert_int_equal(data_len(5), 0);
	fakes.circuit.streams_blocked = false;
	edge_writable(fakes.edge);
	assert_int_equal(data_len(5), sizeof(blob));
	close(fd);
	fakes_stop();
	server_close();
}

static void test_xoff_xon_received(void **state)
{
	uint8_t xon[XON_LEN], xoff[XOFF_LEN];
	int fd;

	(void)state;
	xoff_build(xoff);
	xon_build(xon, 100);
	server_open(AF_INET);
	fakes_start("accept *:*", 31);
	fd = open_stream(5, "127.0.0.1");
	assert_int_equal(fake_message(RELAY_XOFF, 5, xoff, sizeof(xoff)), 0);
	assert_int_equal(send(fd, "stop", 4, 0), 4);
	spin();
	assert_int_equal(data_len(5), 0);
	assert_int_equal(fake_message(RELAY_XON, 5, xon, sizeof(xon)), 0);
	spin();
	assert_int_equal(data_len(5), 4);
	assert_int_equal(fake_message(RELAY_XON, 5, xon, 4), ERR_PROTOCOL);
	assert_int_equal(fake_message(RELAY_XOFF, 5, "\1", 1), ERR_PROTOCOL);
	assert_int_equal(fake_message(RELAY_SENDME, 5, "", 0), ERR_PROTOCOL);	/* no stream windows here */
	close(fd);
	fakes_stop();

	fakes_start("accept *:*", 0);
	fd = open_stream(5, "127.0.0.1");
	assert_int_equal(fake_message(RELAY_XOFF, 5, xoff, sizeof(xoff)), ERR_PROTOCOL);
	assert_int_equal(fake_message(RELAY_XON, 5, xon, sizeof(xon)), ERR_PROTOCOL);
	close(fd);
	fakes_stop();
	server_close();
}

static bool xon_came(void) { return last(RELAY_XON, waited_id) != NULL; }

/* A server that does not read: XOFF when more than cc_xoff_exit cells wait, XON when it read them. */
static void test_xoff_sent(void **state)
{
	static uint8_t sink[65536];
	uint8_t cell[RELAY_DATA_MAX] = { 0 };
	size_t cells = 0, got = 0;
	int fd;

	(void)state;
	server_open(AF_INET);
	fakes_start("accept *:*", 31);
	fd = open_stream(5, "127.0.0.1");
	while (!last(RELAY_XOFF, 5) && cells < 40000) {
		assert_int_equal(fake_message(RELAY_DATA, 5, cell, sizeof(cell)), 0);
		if (++cells % 200 == 0)
			run_until(NULL, 2);
	}
	assert_non_null(last(RELAY_XOFF, 5));
	assert_int_equal(last(RELAY_XOFF, 5)->len, 1);
	assert_true(edge_bytes(fakes.edge) > 500 * RELAY_DATA_MAX);
	assert_int_equal(count(RELAY_SENDME, 5), 0);
	assert_int_equal(count(RELAY_SENDME, 0), cells / 31);
	waited_id = 5;
	for (int i = 0; i < 2000 && !xon_came(); i++) {
		got += read_all(fd, sink, sizeof(sink));
		run_until(NULL, 1);
	}
	assert_true(xon_came());
	assert_int_equal(last(RELAY_XON, 5)->len, 5);
	assert_int_equal(count(RELAY_XOFF, 5), 1);
	got += read_all(fd, sink, sizeof(sink));
	assert_true(got > 0 && got <= cells * RELAY_DATA_MAX);
	close(fd);
	fakes_stop();
	server_close();
}

static void test_xoff_ignored(void **state)
{
	uint8_t cell[RELAY_DATA_MAX] = { 0 };
	size_t cells = 0;
	int r = 0;

	(void)state;
	fakes_start("accept *:*", 31);
	fakes.keep = false;
	fakes.hold = true;
	assert_int_equal(begin(5, "four", 80, 0), 0);
	while (r == 0 && cells++ < 20000)
		r = fake_message(RELAY_DATA, 5, cell, sizeof(cell));
	assert_int_equal(r, ERR_PROTOCOL);
	assert_int_equal(cells, STREAM_BUFFER_CELLS + 1);
	fakes_stop();
}

/* The client's END: what it sent before still reaches the server. */
static void test_end_lingers(void **state)
{
	static uint8_t sink[700000];
	uint8_t cell[RELAY_DATA_MAX] = { 7 };
	size_t got = 0;
	int fd;

	(void)state;
	server_open(AF_INET);
	fakes_start("accept *:*", 31);
	fd = open_stream(5, "127.0.0.1");
	for (int i = 0; i < 400; i++)
		assert_int_equal(fake_message(RELAY_DATA, 5, cell, sizeof(cell)), 0);
	assert_int_equal(fake_message(RELAY_END, 5, "\6", 1), 0);
	assert_int_equal(edge_streams(fakes.edge), 1);
	/* Its number is free at once. */
	close(open_stream(5, "127.0.0.1"));
	for (int i = 0; i < 500 && got < 400 * RELAY_DATA_MAX; i++) {
		got += read_all(fd, sink, sizeof(sink));
		run_until(NULL, 2);
	}
	assert_int_equal(got, 400 * RELAY_DATA_MAX);
	assert_int_equal(recv(fd, sink, 1, 0), 0);
	assert_null(last(RELAY_END, 5) && end_reason(5) != END_DONE ? "" : NULL);
	close(fd);
	fakes_stop();
	server_close();
}

/* Data with DESTROY right behind it. */
static void test_destroyed_after_data(void **state)
{
	uint8_t buf[16];
	int fd;

	(void)state;
	server_open(AF_INET);
	fakes_start("accept *:*", 0);
	fd = open_stream(5, "127.0.0.1");
	assert_int_equal(fake_message(RELAY_DATA, 5, "last words", 10), 0);
	fakes_stop();
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 10);
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 0);
	close(fd);
	server_close();
}

static void test_half_closed(void **state)
{
	uint8_t cell[RELAY_DATA_MAX] = { 0 };
	int fd, late;

	(void)state;
	server_open(AF_INET);
	fakes_start("accept *:*", 0);
	fd = open_stream(5, "127.0.0.1");
	for (int i = 0; i < 20; i++)
		assert_int_equal(fake_message(RELAY_DATA, 5, cell, sizeof(cell)), 0);
	run_until(NULL, 20);
	close(fd);
	waited_id = 5;
	assert_true(run_until(is_ended, 1000));
	/* 480 cells of its window may still be under way; one more cannot. */
	for (late = 0; late < 1000 && fake_message(RELAY_DATA, 5, cell, sizeof(cell)) == 0; late++)
		;
	assert_int_equal(late, STREAM_WINDOW - 20);
	assert_int_equal(fake_message(RELAY_SENDME, 5, "", 0), ERR_PROTOCOL);	/* we had sent nothing */
	assert_int_equal(fake_message(RELAY_END, 5, "\6", 1), 0);
	/* Its entry is gone: cells for streams unknown are dropped. */
	assert_int_equal(fake_message(RELAY_DATA, 5, cell, sizeof(cell)), 0);
	assert_int_equal(fake_message(RELAY_SENDME, 5, "", 0), 0);
	fakes_stop();
	server_close();
}

static void test_half_closed_sendmes(void **state)
{
	static uint8_t blob[RELAY_DATA_MAX * 120];
	int fd;

	(void)state;
	server_open(AF_INET);
	fakes_start("accept *:*", 0);
	fd = open_stream(5, "127.0.0.1");
	assert_int_equal(send(fd, blob, sizeof(blob), 0), sizeof(blob));
	run_until(NULL, 20);
	close(fd);
	wait_end(5, END_DONE);
	assert_true(count(RELAY_DATA, 5) >= 120 && count(RELAY_DATA, 5) < 150);
	assert_int_equal(fake_message(RELAY_SENDME, 5, "", 0), 0);
	assert_int_equal(fake_message(RELAY_SENDME, 5, "", 0), 0);
	assert_int_equal(fake_message(RELAY_SENDME, 5, "", 0), ERR_PROTOCOL);
	/* The number may be used again. */
	close(open_stream(5, "127.0.0.1"));
	fakes_stop();
	server_close();
}

static void test_protocol_violations(void **state)
{
	int fd;

	(void)state;
	server_open(AF_INET);
	fakes_start("accept *:*", 0);
	fd = open_stream(5, "127.0.0.1");
	assert_int_equal(begin(5, "127.0.0.1", port, 0), ERR_PROTOCOL);	/* in use */
	assert_int_equal(fake_message(RELAY_CONNECTED, 5, "", 0), ERR_PROTOCOL);
	assert_int_equal(fake_message(RELAY_RESOLVED, 5, "", 0), ERR_PROTOCOL);
	assert_int_equal(fake_message(RELAY_DATA, 0, "", 0), ERR_PROTOCOL);
	assert_int_equal(fake_message(RELAY_END, 0, "", 0), ERR_PROTOCOL);
	assert_int_equal(fake_message(RELAY_DATA, 77, "", 0), 0);	/* unknown stream: dropped */
	assert_int_equal(fake_message(200, 5, "", 0), 0);		/* unknown command: dropped */
	assert_int_equal(fake_message(RELAY_END, 5, "", 0), 0);		/* without a reason: fine */
	assert_int_equal(edge_streams(fakes.edge), 0);
	close(fd);
	fakes_stop();
	server_close();
}

static void test_stream_limit(void **state)
{
	(void)state;
	fakes_start("accept *:*", 0);
	fakes.relay.config.limits.streams_per_circuit = 3;
	fakes.hold = true;
	assert_int_equal(begin(1, "four", 80, 0), 0);
	assert_int_equal(fake_message(RELAY_BEGIN_DIR, 2, "", 0), 0);
	assert_int_equal(fake_message(RELAY_RESOLVE, 3, "four", 5), 0);
	assert_int_equal(begin(4, "four", 80, 0), 0);
	assert_int_equal(end_reason(4), END_RESOURCELIMIT);
	assert_int_equal(fake_message(RELAY_BEGIN_DIR, 5, "", 0), 0);
	assert_int_equal(end_reason(5), END_RESOURCELIMIT);
	assert_int_equal(fake_message(RELAY_RESOLVE, 6, "four", 5), 0);
	assert_int_equal(last(RELAY_RESOLVED, 6)->data[0], 0xf0);
	assert_int_equal(fake_message(RELAY_END, 1, "\6", 1), 0);
	assert_int_equal(begin(7, "four", 80, 0), 0);
	assert_null(last(RELAY_END, 7));
	fakes_stop();
}

/* The circuit dies under the stream's feet while it sends. */
static void test_circuit_dies(void **state)
{
	static uint8_t blob[100000];
	int fd;

	(void)state;
	server_open(AF_INET);
	for (size_t after = 1; after < 40; after += 3) {
		fakes_start("accept *:*", after % 2 ? 31 : 0);
		fd = open_stream(5, "127.0.0.1");
		fakes.fail_after = after;
		assert_int_equal(send(fd, blob, sizeof(blob), 0), sizeof(blob));
		for (int i = 0; i < 120; i++)
			assert_int_equal(fake_message(RELAY_DATA, 5, blob, RELAY_DATA_MAX), 0);
		spin();
		close(fd);
		spin();
		assert_int_equal(fakes.circuit.state, CIRCUIT_CLOSED);
		fakes_stop();
	}
	server_close();
}

static void test_reset(void **state)
{
	static const struct linger now = { .l_onoff = 1 };
	int fd;

	(void)state;
	server_open(AF_INET);
	fakes_start("accept *:*", 0);
	fd = open_stream(5, "127.0.0.1");
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(fd);
	wait_end(5, END_CONNRESET);
	fakes_stop();
	server_close();
}

static void test_resolve(void **state)
{
	const struct sent *s;

	(void)state;
	fakes_start("accept *:*", 0);
	assert_int_equal(fake_message(RELAY_RESOLVE, 1, "both", 5), 0);
	s = last(RELAY_RESOLVED, 1);
	assert_int_equal(s->len, 10 + 22);
	assert_memory_equal(s->data, "\x04\x04\x7f\0\0\1\0\0\0\x3c\x06\x10", 12);
	assert_int_equal(fake_message(RELAY_RESOLVE, 2, "nowhere", 8), 0);
	assert_int_equal(last(RELAY_RESOLVED, 2)->data[0], 0xf1);
	assert_int_equal(fake_message(RELAY_RESOLVE, 3, "broken", 7), 0);
	assert_int_equal(last(RELAY_RESOLVED, 3)->data[0], 0xf0);
	assert_int_equal(fake_message(RELAY_RESOLVE, 4, "4.3.2.1.in-addr.arpa", 21), 0);
	s = last(RELAY_RESOLVED, 4);
	assert_int_equal(s->len, 2 + 12 + 4);
	assert_memory_equal(s->data, "\0\x0c" "back.example", 14);
	assert_int_equal(fakes.n_queries, 4);
	assert_int_equal(fake_message(RELAY_RESOLVE, 5, "1.2.3.4", 8), 0);
	assert_memory_equal(last(RELAY_RESOLVED, 5)->data, "\x04\x04\1\2\3\4\0\0\0\x3c", 10);
	assert_int_equal(fake_message(RELAY_RESOLVE, 6, "no nul", 6), 0);
	assert_int_equal(last(RELAY_RESOLVED, 6)->data[0], 0xf1);
	assert_int_equal(fakes.n_queries, 4);
	assert_int_equal(fakes.relay.counters.resolves, 6);
	assert_int_equal(edge_streams(fakes.edge), 0);
	fakes_stop();

	/* Inside names stay inside. */
	fakes_start("accept *:*", 0);
	fakes.relay.config.allow_private = false;
	assert_int_equal(fake_message(RELAY_RESOLVE, 1, "four", 5), 0);
	assert_int_equal(last(RELAY_RESOLVED, 1)->data[0], 0xf1);
	assert_int_equal(fake_message(RELAY_RESOLVE, 2, "mixed", 6), 0);
	assert_memory_equal(last(RELAY_RESOLVED, 2)->data, "\x04\x04\x09\x09\x09\x09", 6);
	assert_int_equal(last(RELAY_RESOLVED, 2)->len, 10);
	assert_int_equal(fake_message(RELAY_RESOLVE, 3, "1.0.0.127.in-addr.arpa", 23), 0);
	assert_int_equal(last(RELAY_RESOLVED, 3)->data[0], 0xf1);
	assert_int_equal(fakes.n_queries, 2);
	fakes_stop();

	/* No exit, no look-ups. */
	fakes_start("reject *:*", 0);
	assert_int_equal(fake_message(RELAY_RESOLVE, 1, "four", 5), 0);
	assert_int_equal(last(RELAY_RESOLVED, 1)->data[0], 0xf1);
	assert_int_equal(fakes.n_queries, 0);
	fakes_stop();
}

static void check_dir_data(uint16_t id, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < fakes.n_sent; i++) {
		if (fakes.sent[i].cmd != RELAY_DATA || fakes.sent[i].stream_id != id)
			continue;
		for (size_t k = 0; k < fakes.sent[i].len; k++, at++)
			if (fakes.sent[i].data[k] != fake_dir_byte(at))
				fail_msg("byte %zu", at);
	}
	assert_int_equal(at, len);
}

static void test_dir(void **state)
{
	(void)state;
	fakes_start("reject *:*", 0);
	fakes.circuit.from_client = true;	/* one hop is fine here */
	assert_int_equal(fake_message(RELAY_BEGIN_DIR, 4, "junk", 4), 0);
	assert_int_equal(last(RELAY_CONNECTED, 4)->len, 0);
	assert_int_equal(fake_message(RELAY_DATA, 4, "GET / HTTP/1.0\r\n", 16), 0);
	assert_int_equal(data_len(4), 0);
	assert_int_equal(fake_message(RELAY_DATA, 4, "\r\n", 2), 0);
	check_dir_data(4, 20000);
	assert_int_equal(end_reason(4), END_DONE);
	/* Cells are full whatever the pieces, but for the last and one in each increment. */
	assert_true(count(RELAY_DATA, 4) <= 20000 / RELAY_DATA_MAX + 3);
	assert_int_equal(fakes.relay.counters.dir_replies[0], 1);
	assert_int_equal(fakes.relay.counters.dir_bytes, 20000);

	assert_int_equal(fake_message(RELAY_BEGIN_DIR, 5, "", 0), 0);
	assert_int_equal(fake_message(RELAY_DATA, 5, "X", 1), 0);
	assert_int_equal(end_reason(5), END_TORPROTOCOL);
	/* Too long a request. */
	assert_int_equal(fake_message(RELAY_BEGIN_DIR, 6, "", 0), 0);
	for (int i = 0; i < 40 && !last(RELAY_END, 6); i++) {
		uint8_t cell[RELAY_DATA_MAX];

		memset(cell, 'a', sizeof(cell));
		assert_int_equal(fake_message(RELAY_DATA, 6, cell, sizeof(cell)), 0);
	}
	assert_int_equal(end_reason(6), END_TORPROTOCOL);
	fakes.relay.config.dir_cache = false;
	assert_int_equal(fake_message(RELAY_BEGIN_DIR, 7, "", 0), 0);
	assert_int_equal(end_reason(7), END_NOTDIRECTORY);
	fakes_stop();
}

/* A long answer stops at the windows; old clients' empty SENDMEs carry it on. */
static void test_dir_windows(void **state)
{
	static const char get[] = "GET / HTTP/1.0\r\n\r\n";

	(void)state;
	fakes_start("reject *:*", 0);
	fakes.dir_len = 700 * RELAY_DATA_MAX;
	assert_int_equal(fake_message(RELAY_BEGIN_DIR, 4, "", 0), 0);
	assert_int_equal(fake_message(RELAY_BEGIN_DIR, 8, "", 0), 0);
	assert_int_equal(fake_message(RELAY_DATA, 4, get, sizeof(get) - 1), 0);
	assert_int_equal(count(RELAY_DATA, 4), STREAM_WINDOW);
	assert_int_equal(fake_message(RELAY_DATA, 8, get, sizeof(get) - 1), 0);
	assert_int_equal(count(RELAY_DATA, 8), STREAM_WINDOW);		/* the circuit's window is used up */
	assert_int_equal(fake_message(RELAY_SENDME, 4, "", 0), 0);
	assert_int_equal(count(RELAY_DATA, 4), STREAM_WINDOW);
	assert_int_equal(fake_message(RELAY_SENDME, 0, "", 0), 0);
	assert_int_equal(count(RELAY_DATA, 4), STREAM_WINDOW + 50);
	for (int i = 0; i < 4; i++)
		assert_int_equal(fake_message(RELAY_SENDME, 4, "", 0), 0);
	assert_int_equal(count(RELAY_DATA, 4), STREAM_WINDOW + 100);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fake_message(RELAY_SENDME, 0, "", 0), 0);
	check_dir_data(4, fakes.dir_len);
	assert_int_equal(end_reason(4), END_DONE);
	fakes_stop();

	/* With the circuit's queue full nothing is sent until it drains. */
	fakes_start("reject *:*", 31);
	fakes.circuit.streams_blocked = true;
	assert_int_equal(fake_message(RELAY_BEGIN_DIR, 4, "", 0), 0);
	assert_int_equal(fake_message(RELAY_DATA, 4, get, sizeof(get) - 1), 0);
	assert_int_equal(count(RELAY_DATA, 4), 0);
	fakes.circuit.streams_blocked = false;
	edge_writable(fakes.edge);
	check_dir_data(4, 20000);
	fakes_stop();
}

static int teardown(void **state)
{
	(void)state;
	event_base_free(fakes.relay.base);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect_and_data), cmocka_unit_test(test_begin_refused),
		cmocka_unit_test(test_private_refused),	 cmocka_unit_test(test_families),
		cmocka_unit_test(test_optimistic_data),	 cmocka_unit_test(test_fixed_windows),
		cmocka_unit_test(test_random_cells),	 cmocka_unit_test(test_upload_sendmes),
		cmocka_unit_test(test_upload_window),	 cmocka_unit_test(test_circuit_sendme_forged),
		cmocka_unit_test(test_fair_turns),	 cmocka_unit_test(test_blocked_circuit),
		cmocka_unit_test(test_xoff_xon_received), cmocka_unit_test(test_xoff_sent),
		cmocka_unit_test(test_xoff_ignored),	 cmocka_unit_test(test_end_lingers),
		cmocka_unit_test(test_destroyed_after_data),
		cmocka_unit_test(test_half_closed),	 cmocka_unit_test(test_half_closed_sendmes),
		cmocka_unit_test(test_protocol_violations), cmocka_unit_test(test_stream_limit),
		cmocka_unit_test(test_circuit_dies),	 cmocka_unit_test(test_reset),
		cmocka_unit_test(test_resolve),		 cmocka_unit_test(test_dir),
		cmocka_unit_test(test_dir_windows),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
