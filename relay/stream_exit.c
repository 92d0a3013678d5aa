/*
 * Streams to the outside (tor-spec 6.2): BEGIN, name look-up, exit policy,
 * connect, and bytes both ways between a socket and DATA cells. What the
 * client sends is gathered while cells of one read are handled, and written
 * once, when the loop comes to the write event.
 */
#include "config.h"

#include "stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>

#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/policy.h>

#include "circuit.h"
#include "edge_msg.h"
#include "relay_priv.h"
#include "resolve.h"

enum { TARGETS_MAX = 8, WRITE_VECS = 16 };

/* Where a stream is to go; forgotten once it is connected. */
struct exit_target {
	struct begin begin;
	struct addr addr[TARGETS_MAX];	/* allowed, in the order of trying */
	size_t n, at;
};

static enum end_reason reason_of_errno(int e)
{
	switch (e) {
	case ECONNREFUSED:
		return END_CONNECTREFUSED;
	case ETIMEDOUT:
		return END_TIMEOUT;
	case ECONNRESET:
	case EPIPE:
		return END_CONNRESET;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
	case EACCES:
	case EPERM:
		return END_NOROUTE;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return END_RESOURCELIMIT;
	default:
		return END_MISC;
	}
}

/* -- socket to client */

void exit_pull(struct stream *s)
{
	struct edge *e = s->edge;
	uint32_t cells = flow_burst(&e->flow);
	size_t want;
	ssize_t n;

	if (!e->flow.cc && cells > s->package_window)
		cells = s->package_window;
	want = flow_burst_bytes(&e->flow, cells);
	n = recv(s->fd, stream_scratch, want, 0);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
		stream_update(s);
		return;
	}
	if (n <= 0) {
		stream_end(s, n == 0 ? END_DONE : reason_of_errno(errno));
		return;
	}
	e->relay->counters.exit_read_bytes += (uint64_t)n;
	if (stream_package(s, stream_scratch, (size_t)n) == 0)
		stream_update(s);
}

static void read_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	stream_pull(arg);
}

/* -- client to socket */

static void wait_writable(struct stream *s, bool on, int timeout_s)
{
	struct timeval tv = { .tv_sec = timeout_s };

	if (on)
		event_add(&s->write_event, timeout_s ? &tv : NULL);
	else if (s->write_on)
		event_del(&s->write_event);
	s->write_on = on;
}

/* Write what there is. Bytes taken, 0 when the socket is full, or -1 with errno. */
static ssize_t write_out(struct stream *s)
{
	struct evbuffer_iovec vecs[WRITE_VECS];
	struct msghdr msg = { .msg_iov = (struct iovec *)vecs };
	int n = evbuffer_peek(s->out, -1, NULL, vecs, WRITE_VECS);
	ssize_t written;

	msg.msg_iovlen = (size_t)(n > WRITE_VECS ? WRITE_VECS : n);
	written = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
	if (written < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
	evbuffer_drain(s->out, (size_t)written);
	s->edge->relay->counters.exit_written_bytes += (uint64_t)written;
	return written;
}

void exit_clear(struct stream *s)
{
	if (s->kind != STREAM_EXIT)
		return;
	/* What came just before DESTROY is owed to the server: one try, the kernel mostly takes it. */
	if (s->state >= STREAM_OPEN && stream_buffered(s))
		(void)write_out(s);
	if (s->fd >= 0) {
		event_del(&s->read_event);
		event_del(&s->write_event);
		close(s->fd);
		s->fd = -1;
	}
	if (s->out)
		evbuffer_free(s->out);
	s->out = NULL;
	free(s->target);
	s->target = NULL;
}

static void flush(struct stream *s)
{
	ssize_t n = stream_buffered(s) ? write_out(s) : 0;
	bool lingers = s->state == STREAM_LINGERING;
	size_t left;

	if (n < 0) {
		enum end_reason why = reason_of_errno(errno);

		evbuffer_drain(s->out, stream_buffered(s));	/* nobody will take it */
		stream_end(s, why);
		return;
	}
	left = stream_buffered(s);
	if (lingers && left == 0) {
		stream_free(s);
		return;
	}
	wait_writable(s, left > 0, lingers ? STREAM_LINGER_S : 0);
	(void)stream_flushed(s, (size_t)n);
}

int exit_data(struct stream *s, const struct relay_msg *m)
{
	int r;

	if (!s->out)
		s->out = evbuffer_new();
	if (!s->out || evbuffer_add(s->out, m->data, m->len) < 0)
		mem_fail();
	r = stream_received(s);
	if (r < 0)
		return r;
	/* Several cells arrive together; the event comes after the last of them. */
	if (s->state == STREAM_OPEN && !s->write_on)
		event_active(&s->write_event, EV_WRITE, 0);
	return 0;
}

void exit_linger(struct stream *s)
{
	s->state = STREAM_LINGERING;
	wait_writable(s, true, STREAM_LINGER_S);
}

/* -- connecting */

static void connect_next(struct stream *s, enum end_reason why);

static void connected(struct stream *s)
{
	struct exit_target *t = s->target;
	uint8_t body[CONNECTED_MAX];
	size_t len = connected_build(body, &t->addr[t->at - 1]);

	free(t);
	s->target = NULL;
	s->state = STREAM_OPEN;
	wait_writable(s, false, 0);
	s->edge->relay->counters.streams_opened++;
	if (circuit_send(s->edge->circuit, RELAY_CONNECTED, s->id, body, len, NULL) < 0)
		return;
	stream_update(s);
	flush(s);
}

static void write_cb(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;
	int err = 0;
	socklen_t len = sizeof(err);

	/* Libevent has taken the event out, unless it was event_active() that woke us. */
	s->write_on = event_pending(&s->write_event, EV_WRITE | EV_TIMEOUT, NULL) != 0;
	if (s->state == STREAM_LINGERING && (what & EV_TIMEOUT)) {
		stream_free(s);
		return;
	}
	if (s->state != STREAM_CONNECTING) {
		flush(s);
		return;
	}
	if (what & EV_TIMEOUT) {
		connect_next(s, END_TIMEOUT);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err)
		connect_next(s, reason_of_errno(err));
	else
		connected(s);
}

static void close_socket(struct stream *s)
{
	if (s->fd < 0)
		return;
	event_del(&s->write_event);
	s->write_on = false;
	close(s->fd);
	s->fd = -1;
}

static int start_connect(struct stream *s, const struct addr *a)
{
	struct event_base *base = s->edge->relay->base;
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&sa, a);

	s->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	/* Writes are gathered here already. */
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	event_assign(&s->read_event, base, s->fd, EV_READ | EV_PERSIST, read_cb, s);
	event_assign(&s->write_event, base, s->fd, EV_WRITE, write_cb, s);
	if (connect(s->fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)
		return -errno;
	/* At once or later, the socket becomes writable when it is connected. */
	wait_writable(s, true, STREAM_CONNECT_S);
	return 0;
}

/* Try the addresses that are left; `why` the last one failed is what the client learns. */
static void connect_next(struct stream *s, enum end_reason why)
{
	struct exit_target *t = s->target;

	s->state = STREAM_CONNECTING;
	while (t->at < t->n) {
		int r;

		close_socket(s);
		r = start_connect(s, &t->addr[t->at++]);
		if (r == 0)
			return;
		why = reason_of_errno(-r);
	}
	stream_end(s, why);
}

/* -- where to */

static bool family_wanted(const struct begin *b, uint8_t family)
{
	return family == ADDR_V4 ? !(b->flags & BEGIN_IPV4_NOT_OK) : (b->flags & BEGIN_IPV6_OK) != 0;
}

/* The policy already refuses own and, unless configured otherwise, private addresses. */
static bool exit_allowed(const struct relay *r, const struct addr *a)
{
	if (!r->policy || (!r->config.allow_private && addr_is_private(a)))
		return false;
	return policy_allows(r->policy, a);
}

static void add_targets(struct relay *r, struct exit_target *t, const struct resolve_answer *answer,
			uint8_t family)
{
	for (size_t i = 0; i < answer->n_addr && t->n < TARGETS_MAX; i++) {
		struct addr a = answer->addr[i];

		a.port = t->begin.port;
		if (a.family == family && family_wanted(&t->begin, family) && exit_allowed(r, &a))
			t->addr[t->n++] = a;
	}
}

static void refuse_policy(struct stream *s, const struct resolve_answer *answer)
{
	uint8_t body[END_MAX];
	struct addr none = { 0 };

	stream_end_body(s, body, end_policy_build(body, answer->n_addr ? &answer->addr[0] : &none));
}

static void resolved_cb(void *arg, const struct resolve_answer *answer)
{
	struct stream *s = arg;
	struct exit_target *t = s->target;
	bool six_first = (t->begin.flags & BEGIN_IPV6_PREFERRED) != 0;

	s->query = NULL;
	if (answer->result != RESOLVE_OK || answer->n_addr == 0) {
		stream_end(s, END_RESOLVEFAILED);
		return;
	}
	add_targets(s->edge->relay, t, answer, six_first ? ADDR_V6 : ADDR_V4);
	add_targets(s->edge->relay, t, answer, six_first ? ADDR_V4 : ADDR_V6);
	if (t->n == 0)
		refuse_policy(s, answer);
	else
		connect_next(s, END_MISC);
}

static void look_up(struct stream *s)
{
	struct resolve_query *q = NULL;
	int r = resolve_name(s->edge->relay->resolver, &q, s->target->begin.host, resolved_cb, s);

	/* Without a query the answer has come already, and the stream may be gone. */
	if (r < 0)
		stream_end(s, END_RESOLVEFAILED);
	else if (q)
		s->query = q;
}

/* Refuse without asking the DNS what no answer could change. */
static bool name_refused(const struct relay *r, const struct begin *b)
{
	bool four = family_wanted(b, ADDR_V4) && r->policy && !policy_rejects_port(r->policy, ADDR_V4, b->port);
	bool six = family_wanted(b, ADDR_V6) && r->policy && !policy_rejects_port(r->policy, ADDR_V6, b->port);

	return !four && !six;
}

static int refuse_begin(struct edge *e, uint16_t id, const struct addr *a)
{
	uint8_t body[END_MAX];

	e->relay->counters.streams_failed++;
	(void)circuit_send(e->circuit, RELAY_END, id, body, end_policy_build(body, a), NULL);
	return 0;
}

int exit_begin(struct edge *e, const struct relay_msg *m)
{
	struct begin b;
	struct stream *s;
	bool literal;

	/* A client that reaches us directly would make us a proxy of one hop. */
	if (begin_parse(&b, m->data, m->len) < 0 || e->circuit->from_client)
		return edge_refuse(e, m->stream_id, END_TORPROTOCOL);
	literal = b.addr.family != ADDR_NONE;
	if (literal ? !exit_allowed(e->relay, &b.addr) : name_refused(e->relay, &b))
		return refuse_begin(e, m->stream_id, &b.addr);
	if (edge_is_full(e))
		return edge_refuse(e, m->stream_id, END_RESOURCELIMIT);
	e->had_exit = true;
	s = stream_new(e, STREAM_EXIT, m->stream_id);
	s->target = mem_new(sizeof(*s->target));
	s->target->begin = b;
	if (literal) {
		s->target->addr[s->target->n++] = b.addr;
		connect_next(s, END_MISC);
	} else {
		look_up(s);
	}
	return 0;
}
