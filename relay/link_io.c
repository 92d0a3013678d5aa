/*
 * A link's socket. Reads up to IN_LEN bytes at once, opens the records in
 * memory and hands the cells on in place; flushing seals up to 31 cells to a
 * record and sends many records with one call. Owned by its link.
 */
#include "config.h"

#include "link_io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nonos/clock.h>
#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/tls.h>

#include "link.h"
#include "link_handshake.h"
#include "relay_priv.h"
#include "sched.h"

enum {
	IN_LEN = 128 * 1024,
	/* A cell that is not whole, then one record. */
	PLAIN_LEN = CELL_VAR_HEAD_LEN + CELL_VAR_BODY_MAX + TLS_RECORD_MAX,
	FLUSH_CELLS = 6 * CELLS_PER_RECORD,	/* sealed at once */
	FLUSH_LEN = 96 * 1024,			/* their ciphertext, and room to spare */
	CELL_COST = CELL_LEN + 4,		/* with its share of a record's overhead, rounded up */
	/* What a link takes at a time from a bucket that is not nearly full, and what makes it worth a turn. */
	QUANTUM = 16 * 1024, QUANTUM_LEAST = 2048,
	BUCKET_PLENTY = 4 * IN_LEN,
	NOTSENT_LOWAT = 128 * 1024,		/* the kernel's share of what waits */
	/* Cells are sealed when nothing waits; what comes on top are answers of TLS to a peer that does not read. */
	UNSENT_MAX = 2 * FLUSH_LEN,
	KEEPALIVE_IDLE_S = 300, KEEPALIVE_PROBE_S = 60, KEEPALIVE_PROBES = 5,
	ACCEPT_BURST = 64,
	LISTEN_BACKLOG = 4096,
	EXPORTER_LEN = 32,
};

static const char exporter_label[] = "EXPORTER FOR TOR TLS CLIENT BINDING AUTH0003";

struct link_scratch {
	uint8_t in[IN_LEN];
	uint8_t plain[PLAIN_LEN];
	uint8_t cells[CELLS_PER_RECORD * CELL_LEN];
	uint8_t out[FLUSH_LEN + TLS_RECORD_MAX + TLS_RECORD_OVERHEAD];
	struct tls_sink sink;		/* over `out`; empty between calls */
};

struct link_io {
	int fd;
	struct tls *tls;		/* made by the first byte, so that a silent connection costs little */
	struct event *read_ev, *write_ev;
	uint8_t *partial;		/* start of a cell that is not whole */
	size_t partial_len, partial_cap;
	uint8_t *unsent;		/* ciphertext the socket did not take */
	size_t unsent_len, unsent_at, unsent_cap;
	bool read_throttled, write_throttled;
};

struct link_scratch *link_scratch_new(void)
{
	return mem_new(sizeof(struct link_scratch));
}

void link_scratch_free(struct link_scratch *s)
{
	free(s);
}

static void link_read_cb(evutil_socket_t fd, short what, void *arg);
static void link_write_cb(evutil_socket_t fd, short what, void *arg);

/* -- throttling ---------------------------------------------------------- */

static void throttle_later(struct relay *r)
{
	static const struct timeval soon = { 0, 20000 };

	if (!evtimer_pending(r->throttle, NULL))
		evtimer_add(r->throttle, &soon);
}

/* What a link may take now, at most `most`; 0: it has to wait for the bucket. */
static size_t bucket_share(struct bucket *b, size_t most)
{
	uint64_t level, least;

	bucket_refill(b, clock_now_us());
	level = bucket_level(b);
	if (level >= BUCKET_PLENTY)
		return most;
	least = b->burst < QUANTUM_LEAST ? b->burst : QUANTUM_LEAST;
	if (level < least)
		return 0;
	most = most < QUANTUM ? most : QUANTUM;
	return level < most ? (size_t)level : most;
}

static void read_again(struct link *l)
{
	if (!l->io->read_throttled)
		return;
	l->io->read_throttled = false;
	event_add(l->io->read_ev, NULL);
}

static void write_again(struct link *l)
{
	if (!l->io->write_throttled)
		return;
	l->io->write_throttled = false;
	sched_flush_later(l);
}

/* All links, from the one on whose turn the bucket ran dry: the busiest must not be first for ever. */
static void wake_from(struct relay *r, uint64_t turn, void (*wake)(struct link *))
{
	uint32_t start = (uint32_t)turn;

	for (int pass = 0; pass < 2; pass++)
		for (struct link *l = NULL; (l = link_next(r, l));)
			if (((uint32_t)l->id < start) == (pass == 1) && l->io && l->state != LINK_CLOSED)
				wake(l);
}

void link_io_unthrottle(struct relay *r)
{
	uint64_t read_turn = r->read_turn, write_turn = r->write_turn;

	r->read_turn = r->write_turn = 0;
	wake_from(r, read_turn, read_again);
	wake_from(r, write_turn, write_again);
}

/* -- sending ------------------------------------------------------------- */

/* Have the link's TLS write to the shared buffer, which is empty. */
static struct tls_sink *start_sink(struct link *l)
{
	struct link_scratch *s = l->relay->scratch;

	s->sink = (struct tls_sink){ .buf = s->out, .cap = sizeof(s->out) };
	tls_set_sink(l->io->tls, &s->sink);
	return &s->sink;
}

static void keep_unsent(struct link_io *io, const uint8_t *data, size_t len)
{
	if (io->unsent_at) {
		io->unsent_len -= io->unsent_at;
		memmove(io->unsent, io->unsent + io->unsent_at, io->unsent_len);
		io->unsent_at = 0;
	}
	if (io->unsent_len + len > io->unsent_cap) {
		io->unsent_cap = io->unsent_len + len;
		io->unsent = mem_resize(io->unsent, io->unsent_cap, 1);
	}
	memcpy(io->unsent + io->unsent_len, data, len);
	io->unsent_len += len;
}

static void count_written(struct link *l, uint64_t n)
{
	l->relay->counters.written_bytes += n;
	l->written_bytes += n;
}

/* Send; what the socket does not take is kept behind what it did not take before. */
static int send_bytes(struct link *l, const uint8_t *data, size_t len)
{
	struct link_io *io = l->io;
	ssize_t n = 0;

	if (io->unsent_len == io->unsent_at && len) {
		n = send(io->fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return ERR_CLOSED;
		n = n < 0 ? 0 : n;
		count_written(l, (uint64_t)n);
	}
	if ((size_t)n == len)
		return 0;
	if (link_io_pending(l) + len - (size_t)n > UNSENT_MAX)
		return ERR_LIMIT;
	keep_unsent(io, data + n, len - (size_t)n);
	return 0;
}

static int send_unsent(struct link *l)
{
	struct link_io *io = l->io;
	ssize_t n;

	if (io->unsent_at == io->unsent_len)
		return 0;
	n = send(io->fd, io->unsent + io->unsent_at, io->unsent_len - io->unsent_at, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return ERR_CLOSED;
	count_written(l, (uint64_t)n);
	io->unsent_at += (size_t)n;
	if (io->unsent_at == io->unsent_len) {
		free(io->unsent);
		io->unsent = NULL;
		io->unsent_len = io->unsent_at = io->unsent_cap = 0;
	}
	return 0;
}

/* Send what TLS has written. It is paid for now, whenever the socket takes it. */
static int send_sink(struct link *l)
{
	struct tls_sink *sink = &l->relay->scratch->sink;
	size_t len = sink->len;

	sink->len = 0;
	bucket_take(&l->relay->write_bucket, len);
	if (len && send_bytes(l, sink->buf, len) < 0)
		return ERR_CLOSED;
	if (link_io_pending(l))
		event_add(l->io->write_ev, NULL);
	return 0;
}

size_t link_io_pending(const struct link *l)
{
	return l->io ? l->io->unsent_len - l->io->unsent_at : 0;
}

void link_io_send_raw(struct link *l, const uint8_t *data, size_t len)
{
	if (!l->io || l->state == LINK_CLOSED)
		return;
	start_sink(l);
	while (len) {
		size_t n = len < TLS_RECORD_MAX ? len : TLS_RECORD_MAX;

		if (tls_write(l->io->tls, data, n) < 0) {
			link_close(l, "TLS write failed");
			return;
		}
		data += n;
		len -= n;
	}
	if (send_sink(l) < 0)
		link_close(l, "connection lost");
}

/* How many cells the link may seal now; with none it waits for its turn. */
static size_t write_allowance(struct link *l)
{
	struct relay *r = l->relay;
	size_t cells, share;

	if (l->io->write_throttled)
		return 0;
	share = bucket_share(&r->write_bucket, FLUSH_CELLS * CELL_COST);
	if (share == 0) {
		l->io->write_throttled = true;
		if (!r->write_turn)
			r->write_turn = l->id;
		throttle_later(r);
		return 0;
	}
	cells = share / CELL_COST;
	return cells ? cells : 1;	/* a bucket smaller than a cell */
}

/* Seal cells into the sink, up to `most` of those that wait; send them. */
static int link_seal_cells(struct link *l, size_t most)
{
	struct relay *r = l->relay;
	size_t n;

	start_sink(l);
	for (; most; most -= n) {
		n = sched_fill(l, r->scratch->cells, most < CELLS_PER_RECORD ? most : CELLS_PER_RECORD);
		if (n == 0)
			break;
		if (tls_write(l->io->tls, r->scratch->cells, n * CELL_LEN) < 0)
			return ERR_CRYPTO;
	}
	return send_sink(l);
}

void link_io_flush(struct link *l)
{
	struct link_io *io = l->io;

	if (!io || l->state == LINK_CLOSED || l->state == LINK_CONNECTING)
		return;
	if (send_unsent(l) < 0) {
		link_close(l, "connection lost");
		return;
	}
	if (!link_io_pending(l) && l->state == LINK_OPEN && l->n_queued) {
		size_t most = write_allowance(l);

		if (most == 0)
			return;
		if (link_seal_cells(l, most) < 0) {
			link_close(l, "connection lost");
			return;
		}
	}
	l->active_ms = clock_now_ms();
	if (link_io_pending(l) || l->n_queued)
		event_add(io->write_ev, NULL);
}

static void link_write_cb(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)what;
	clock_update();
	if (l->state == LINK_CONNECTING) {
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
			link_close(l, "connection refused");
			return;
		}
		link_set_state(l, LINK_CONNECTING, LINK_TLS, "connected");
		event_add(l->io->read_ev, NULL);
		link_read_cb(fd, 0, l);		/* sends ClientHello */
		return;
	}
	link_io_flush(l);
}

/* -- reading ------------------------------------------------------------- */

static int handshake_step(struct link *l)
{
	int r;

	start_sink(l);
	r = tls_handshake(l->io->tls);
	if (r == ERR_CRYPTO)
		log_debug("A TLS handshake failed. link=%llu peer=%s error=\"%s\"", (unsigned long long)l->id,
			  log_addr(&l->peer), tls_error_str());
	if (send_sink(l) < 0)
		return ERR_CLOSED;
	if (r == 0)
		link_hs_start(l);
	return r;
}

static int keep_partial(struct link *l, const uint8_t *data, size_t len)
{
	struct link_io *io = l->io;
	size_t most = l->state == LINK_OPEN ? CELL_VAR_HEAD_LEN + CELL_VAR_BODY_MAX
					    : CELL_VAR_HEAD_LEN + LINK_VAR_HANDSHAKE_MAX;

	if (len > most)
		return ERR_TOO_LONG;
	/* Usually part of a fixed-length cell: one buffer of that size stays with the link. */
	if (len > io->partial_cap || (io->partial_cap > CELL_LEN && len <= CELL_LEN)) {
		io->partial_cap = len > CELL_LEN ? len : CELL_LEN;
		io->partial = mem_resize(io->partial, io->partial_cap, 1);
	}
	memcpy(io->partial, data, len);
	io->partial_len = len;
	return 0;
}

/* Open records until all that came in is used up. */
static int open_records(struct link *l)
{
	uint8_t *plain = l->relay->scratch->plain;
	struct link_io *io = l->io;
	size_t have = io->partial_len;
	int r;

	if (have)
		memcpy(plain, io->partial, have);
	io->partial_len = 0;
	for (;;) {
		size_t got = 0, used;

		start_sink(l);
		r = tls_read(io->tls, plain + have, TLS_RECORD_MAX, &got);
		if (send_sink(l) < 0)	/* a KeyUpdate is answered */
			return ERR_CLOSED;
		if (r < 0)
			break;
		have += got;
		used = link_open_cells(l, plain, have);
		if (l->state == LINK_CLOSED)
			return 0;
		have -= used;
		memmove(plain, plain + used, have);
		if (have > PLAIN_LEN - TLS_RECORD_MAX)
			return ERR_TOO_LONG;
	}
	if (r != ERR_AGAIN)
		return r;
	return have ? keep_partial(l, plain, have) : 0;
}

static int take_ciphertext(struct link *l, const uint8_t *data, size_t len)
{
	int r;

	if (!l->io->tls)
		l->io->tls = l->initiator ? tls_new_client(l->creds->tls) : tls_new_server(l->creds->tls);
	tls_feed(l->io->tls, data, len);
	if (!tls_is_open(l->io->tls)) {
		r = handshake_step(l);
		if (r < 0)
			return r == ERR_AGAIN ? 0 : r;
		if (l->state == LINK_CLOSED)
			return 0;
	}
	return open_records(l);
}

/* How much to read now: what the buffer holds, or what the read bucket still allows. */
static size_t read_allowance(struct link *l)
{
	struct relay *r = l->relay;
	size_t share = bucket_share(&r->read_bucket, IN_LEN);

	if (share == 0) {
		l->io->read_throttled = true;
		if (!r->read_turn)
			r->read_turn = l->id;
		event_del(l->io->read_ev);
		throttle_later(r);
	}
	return share;
}

static void link_read_cb(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;
	struct relay *relay = l->relay;
	ssize_t n = 0;
	int r;

	clock_update();
	if (what & EV_READ) {
		size_t most = read_allowance(l);

		if (most == 0)
			return;
		n = recv(fd, relay->scratch->in, most, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			link_close(l, n == 0 ? "closed by the peer" : "connection lost");
			return;
		}
		relay->counters.read_bytes += (uint64_t)n;
		l->read_bytes += (uint64_t)n;
		bucket_take(&relay->read_bucket, (uint64_t)n);
	}
	r = take_ciphertext(l, relay->scratch->in, (size_t)n);
	if (r < 0)
		link_close(l, r == ERR_CLOSED ? "closed by the peer" : "bad TLS or cell bytes");
}

/* -- life ---------------------------------------------------------------- */

static void set_option(int fd, int level, int name, int value)
{
	(void)!setsockopt(fd, level, name, &value, sizeof(value));
}

static void set_options(int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT);
	/* A link with circuits has no idle timeout: without probes a peer that vanished keeps them for ever. */
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_PROBE_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

static void io_attach(struct link *l, int fd)
{
	struct link_io *io = mem_new(sizeof(*io));

	set_options(fd);
	io->fd = fd;
	io->read_ev = event_new(l->relay->base, fd, EV_READ | EV_PERSIST, link_read_cb, l);
	io->write_ev = event_new(l->relay->base, fd, EV_WRITE, link_write_cb, l);
	if (!io->read_ev || !io->write_ev)
		mem_fail();
	l->io = io;
}

int link_io_connect(struct link *l)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&ss, &l->peer);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return ERR_SYSTEM;
	if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS) {
		close(fd);
		return ERR_NETWORK;
	}
	io_attach(l, fd);
	event_add(l->io->write_ev, NULL);
	return 0;
}

static bool may_accept(struct relay *r, const struct addr *peer)
{
	if (!r->creds || r->draining == RELAY_DRAIN_STOP || r->draining == RELAY_DRAIN_SLEEP)
		return false;
	if (link_count(r) >= r->config.limits.links_total) {
		r->counters.refusals[REFUSED_LINKS_TOTAL]++;
		return false;
	}
	if (!limiter_link(r->limiter, peer, clock_now_us())) {
		r->counters.refusals[REFUSED_LINK_RATE]++;
		return false;
	}
	if (limiter_link_open(r->limiter, peer) < 0) {
		r->counters.refusals[REFUSED_LINKS_PER_ADDRESS]++;
		return false;
	}
	return true;
}

static void accept_one(struct relay *r, int fd, const struct sockaddr *sa, socklen_t sa_len)
{
	struct addr peer;
	struct link *l;

	if (addr_from_sockaddr(&peer, sa, sa_len) < 0 || !may_accept(r, &peer)) {
		r->counters.links_refused++;
		close(fd);
		return;
	}
	l = link_new(r, false, &peer);
	l->counted = true;
	io_attach(l, fd);
	event_add(l->io->read_ev, NULL);
}

/* A listener that cannot accept stays readable: it rests until the next tick. */
static void rest_listeners(struct relay *r)
{
	for (size_t i = 0; i < r->n_listeners; i++)
		event_del(r->listeners[i]);
}

void link_io_wake_listeners(struct relay *r)
{
	for (size_t i = 0; i < r->n_listeners; i++)
		event_add(r->listeners[i], NULL);
}

static void accept_cb(evutil_socket_t listener, short what, void *arg)
{
	struct relay *r = arg;

	(void)what;
	clock_update();
	for (int i = 0; i < ACCEPT_BURST; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		int fd = accept4(listener, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE) {
				rest_listeners(r);
				log_limited(LOG_LEVEL_WARN, "No file descriptors are left for new links: raise the limit (LimitNOFILE).");
			}
			return;
		}
		accept_one(r, fd, (struct sockaddr *)&ss, len);
	}
}

int link_io_listen(struct relay *r, int fd)
{
	struct event *ev;

	if (listen(fd, LISTEN_BACKLOG) < 0)
		return ERR_SYSTEM;
	ev = event_new(r->base, fd, EV_READ | EV_PERSIST, accept_cb, r);
	if (!ev)
		mem_fail();
	r->listeners = mem_resize(r->listeners, r->n_listeners + 1, sizeof(*r->listeners));
	r->listeners[r->n_listeners++] = ev;
	event_add(ev, NULL);
	return 0;
}

void link_io_close_listeners(struct relay *r)
{
	for (size_t i = 0; i < r->n_listeners; i++) {
		int fd = event_get_fd(r->listeners[i]);

		event_free(r->listeners[i]);
		close(fd);
	}
	free(r->listeners);
	r->listeners = NULL;
	r->n_listeners = 0;
}

void link_io_close(struct link *l)
{
	struct link_io *io = l->io;

	if (!io)
		return;
	event_del(io->read_ev);
	event_del(io->write_ev);
	if (io->tls && tls_is_open(io->tls) && !link_io_pending(l)) {
		struct tls_sink *sink = start_sink(l);

		tls_shutdown(io->tls);
		(void)!send(io->fd, sink->buf, sink->len, MSG_NOSIGNAL);
		sink->len = 0;
	}
	close(io->fd);
	io->fd = -1;
}

void link_io_free(struct link_io *io)
{
	if (!io)
		return;
	tls_free(io->tls);
	event_free(io->read_ev);
	event_free(io->write_ev);
	free(io->partial);
	free(io->unsent);
	free(io);
}

/* -- what the handshake binds to ----------------------------------------- */

int link_io_responder_cert(const struct link *l, uint8_t out[32])
{
	if (!l->io)
		return ERR_STATE;
	if (l->initiator)
		return tls_peer_cert_sha256(l->io->tls, out);
	memcpy(out, tls_ctx_cert_sha256(l->creds->tls), SHA256_LEN);
	return 0;
}

int link_io_export(const struct link *l, uint8_t out[32], const uint8_t cid[32])
{
	if (!l->io)
		return ERR_STATE;
	return tls_export(l->io->tls, out, EXPORTER_LEN, exporter_label, cid, SHA256_LEN);
}
