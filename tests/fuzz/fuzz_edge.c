/*
 * Sequences of relay messages, of what servers do, and of circuit events. Streams go to a
 * listener of our own on loopback.
 */
#include "config.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nonos/bytes.h>
#include <nonos/clock.h>

#include "../../relay/flow.h"
#include "../unit/edge_fakes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { SERVERS = 4, OPS_MAX = 400, SENT_MAX = 6000 };

static int listener = -1;
static uint16_t port;
static int servers[SERVERS];
static size_t n_servers;
static uint8_t zeros[20000];

static void server_open(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(listener, 64) < 0 ||
	    getsockname(listener, (struct sockaddr *)&sin, &len) < 0)
		abort();
	port = ntohs(sin.sin_port);
}

/* With a reset: thousands of connections a second must not linger. */
static void server_drop(int fd)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void servers_accept(void)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if (n_servers < SERVERS)
			servers[n_servers++] = fd;
		else
			server_drop(fd);
	}
}

static int do_begin(struct rd *r)
{
	static const char *const hosts[] = { "127.0.0.1", "four", "both", "nothing" };
	uint16_t id = rd_u8(r) % 8;
	char body[64];
	int n = snprintf(body, sizeof(body), "%s:%u", hosts[rd_u8(r) % 4], port);

	return fake_message(RELAY_BEGIN, id, body, (size_t)n + 1);
}

static int do_message(struct rd *r)
{
	static const uint8_t cmds[] = { RELAY_DATA, RELAY_END, RELAY_SENDME, RELAY_XOFF, RELAY_XON, RELAY_BEGIN_DIR,
					RELAY_RESOLVE, RELAY_CONNECTED, RELAY_DROP };
	uint8_t cmd = cmds[rd_u8(r) % sizeof(cmds)];
	uint16_t id = rd_u8(r) % 8;
	size_t len = rd_u8(r) * 2 % (RELAY_DATA_MAX + 1);
	const uint8_t *body;

	if (len > rd_left(r))
		len = rd_left(r);
	body = rd_take(r, len);
	return fake_message(cmd, id, body ? body : zeros, body ? len : 0);
}

/* Many DATA cells at once. */
static int do_flood(struct rd *r)
{
	uint16_t id = rd_u8(r) % 8;
	int n = rd_u8(r) * 3, e = 0;

	while (n-- > 0 && e == 0)
		e = fake_message(RELAY_DATA, id, zeros, RELAY_DATA_MAX);
	return e;
}

/* The SENDME that is due for the `*acked`th increment. */
static int do_sendme(size_t *acked, size_t inc)
{
	uint8_t body[SENDME_V1_LEN];
	size_t seen = 0;

	for (size_t i = 0; i < fakes.n_sent; i++) {
		seen += fakes.sent[i].cmd == RELAY_DATA;
		if (fakes.sent[i].cmd != RELAY_DATA || seen != (*acked + 1) * inc)
			continue;
		(*acked)++;
		flow_sendme_build(body, fakes.sent[i].digest);
		if (fake_message(RELAY_SENDME, 0, body, sizeof(body)) < 0)
			abort();	/* an honest one is always taken */
		return 0;
	}
	return 0;
}

static void server_act(struct rd *r)
{
	uint8_t what = rd_u8(r);
	static uint8_t sink[65536];
	size_t i;

	servers_accept();
	if (n_servers == 0)
		return;
	i = what % n_servers;
	switch (what >> 6) {
	case 0:
		(void)recv(servers[i], sink, sizeof(sink), 0);
		break;
	case 1:
		shutdown(servers[i], SHUT_WR);
		break;
	case 2:
		(void)send(servers[i], zeros, sizeof(zeros), MSG_NOSIGNAL);
		break;
	case 3:
		server_drop(servers[i]);
		servers[i] = servers[--n_servers];
		break;
	}
}

static int step(struct rd *r, size_t *acked, size_t inc)
{
	switch (rd_u8(r) % 10) {
	case 0:
		return do_begin(r);
	case 1:
		return do_message(r);
	case 2:
		return do_flood(r);
	case 3:
		return do_sendme(acked, inc);
	case 4:
		server_act(r);
		return 0;
	case 5:
		fake_answer();
		return 0;
	case 6:
		fakes.circuit.streams_blocked = !fakes.circuit.streams_blocked;
		if (!fakes.circuit.streams_blocked)
			edge_writable(fakes.edge);
		return 0;
	case 7:
		clock_advance_ms(rd_u8(r) * 100);
		return 0;
	case 8:
		fakes.fail_after = rd_u8(r);
		return 0;
	default:
		event_base_loop(fakes.relay.base, EVLOOP_NONBLOCK);
		return 0;
	}
}

static void check(size_t acked, size_t inc)
{
	size_t data = 0, bytes = edge_bytes(fakes.edge);

	for (size_t i = 0; i < fakes.n_sent; i++)
		data += fakes.sent[i].cmd == RELAY_DATA;
	if (inc == CIRC_WINDOW_INC && data > CIRC_WINDOW + acked * inc)
		abort();
	/* What is counted stays below what windows allow, and does not wrap. */
	if (bytes > 200u << 20 || edge_streams(fakes.edge) > 100)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	size_t acked = 0, inc;
	uint8_t mode = rd_u8(&r);
	char policy[64];

	if (listener < 0)
		server_open();
	clock_set_manual(1000, 1000);
	snprintf(policy, sizeof(policy), "accept 127.0.0.1:%u", port);
	fakes_start(policy, mode & 1 ? 31 : 0);
	inc = mode & 1 ? 31 : CIRC_WINDOW_INC;
	fakes.hold = (mode & 2) != 0;
	fakes.dir_piece = 1 + (mode >> 2) * 50;
	for (int i = 0; i < OPS_MAX && rd_left(&r) && fakes.n_sent < SENT_MAX; i++)
		if (step(&r, &acked, inc) < 0 || fakes.circuit.state == CIRCUIT_CLOSED)
			break;
	check(acked, inc);
	while (n_servers)
		server_drop(servers[--n_servers]);
	fakes_stop();
	servers_accept();
	while (n_servers)
		server_drop(servers[--n_servers]);
	event_base_loop(fakes.relay.base, EVLOOP_NONBLOCK);
	fakes_drop_held();
	return 0;
}
