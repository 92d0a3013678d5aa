#include "config.h"

#include "metrics_server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>

enum { BACKLOG = 16 };

struct connection {
	struct metrics_server *server;
	struct connection *next, **prev;
	struct bufferevent *bev;
	struct event *deadline;
	bool answered;
	bool ended;		/* the client sends no more */
};

struct metrics_server {
	struct event_base *base;
	struct evconnlistener **listeners;
	size_t n_listeners;
	char *path;		/* of the socket file, once it is ours */
	dev_t dev;
	ino_t ino;
	struct connection *connections;
	unsigned n_connections;
	void (*format)(void *arg, struct evbuffer *out);
	void *arg;
};

/* -- requests (RFC 9112) ------------------------------------------------------ */

static bool starts_with(const char *text, size_t len, const char *word)
{
	return len >= strlen(word) && strncasecmp(text, word, strlen(word)) == 0;
}

/* Whether a header line says that a body follows. */
static bool announces_body(const char *line, size_t len)
{
	size_t at = strlen("Content-Length:");

	if (starts_with(line, len, "Transfer-Encoding:"))
		return true;
	if (!starts_with(line, len, "Content-Length:"))
		return false;
	while (at < len && (line[at] == ' ' || line[at] == '0'))
		at++;
	return at < len;
}

static int check_headers(const char *text, size_t len)
{
	while (len) {
		const char *end = memmem(text, len, "\r\n", 2);
		size_t n = end ? (size_t)(end - text) : len;

		if (!end || memchr(text, '\0', n))
			return 400;
		if (n == 0)
			return len == 2 ? 200 : 400;
		if (!memchr(text, ':', n))
			return 400;
		if (announces_body(text, n))
			return 413;
		text += n + 2;
		len -= n + 2;
	}
	return 400;
}

/* "GET /metrics HTTP/1.1": cut it at its two spaces. */
static int check_line(const char *line, size_t len)
{
	const char *target = memchr(line, ' ', len), *version;
	size_t target_len;

	if (!target || target == line)
		return 400;
	target++;
	version = memchr(target, ' ', len - (size_t)(target - line));
	if (!version || version == target)
		return 400;
	target_len = (size_t)(version - target);
	version++;
	if ((size_t)(line + len - version) != 8 || memcmp(version, "HTTP/1.", 7) != 0 ||
	    (version[7] != '0' && version[7] != '1'))
		return 400;
	if (target - line != 4 || memcmp(line, "GET", 3) != 0)
		return 405;
	if (memchr(target, '?', target_len))
		target_len = (size_t)((const char *)memchr(target, '?', target_len) - target);
	return target_len == 8 && memcmp(target, "/metrics", 8) == 0 ? 200 : 404;
}

int metrics_request(const char *text, size_t len)
{
	const char *end = memmem(text, len, "\r\n", 2);
	size_t line_len = end ? (size_t)(end - text) : 0;
	int status, headers;

	if (!end)
		return 400;
	status = check_line(text, line_len);
	if (status == 400)
		return status;
	headers = check_headers(end + 2, len - line_len - 2);
	return headers == 200 ? status : headers;
}

/* -- answers ------------------------------------------------------------------ */

static const char *status_text(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 413:
		return "Content Too Large";
	case 431:
		return "Request Header Fields Too Large";
	default:
		return "Bad Request";
	}
}

static void connection_free(struct connection *c)
{
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->server->n_connections--;
	event_free(c->deadline);
	bufferevent_free(c->bev);
	free(c);
}

static void answer(struct connection *c, int status)
{
	struct evbuffer *out = bufferevent_get_output(c->bev), *body = evbuffer_new();

	if (!body)
		mem_fail();
	c->answered = true;
	if (status == 200)
		c->server->format(c->server->arg, body);
	else
		evbuffer_add_printf(body, "%d %s; metrics are at /metrics, by GET.\n", status, status_text(status));
	evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
			    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
			    status, status_text(status),
			    status == 200 ? "text/plain; version=0.0.4; charset=utf-8" : "text/plain; charset=utf-8",
			    evbuffer_get_length(body), status == 405 ? "Allow: GET\r\n" : "");
	evbuffer_add_buffer(out, body);
	evbuffer_free(body);
}

static void read_cb(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct connection *c = arg;
	struct evbuffer_ptr end;
	size_t len;

	clock_update();
	if (c->answered) {
		/* What comes behind a request is nothing we answer. */
		evbuffer_drain(in, evbuffer_get_length(in));
		return;
	}
	end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	if (end.pos < 0) {
		if (evbuffer_get_length(in) >= METRICS_REQUEST_MAX)
			answer(c, 431);
		return;
	}
	len = (size_t)end.pos + 4;
	answer(c, len > METRICS_REQUEST_MAX ? 431 : metrics_request((const char *)evbuffer_pullup(in, (ssize_t)len), len));
	evbuffer_drain(in, evbuffer_get_length(in));
}

/*
 * The answer is written: tell the client so, and wait for its end, lest the kernel
 * throw the answer away with what the client still sends.
 */
static void write_cb(struct bufferevent *bev, void *arg)
{
	struct connection *c = arg;

	if (c->ended)
		connection_free(c);
	else if (c->answered)
		shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void event_cb(struct bufferevent *bev, short what, void *arg)
{
	struct connection *c = arg;

	/* A client that closed its half after the request still gets the answer. */
	c->ended = what & BEV_EVENT_EOF && evbuffer_get_length(bufferevent_get_output(bev));
	if (!c->ended)
		connection_free(c);
}

static void deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	connection_free(arg);
}

static void accept_cb(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa, int sa_len, void *arg)
{
	static const struct timeval time = { .tv_sec = METRICS_TIME_S };
	struct metrics_server *s = arg;
	struct connection *c;

	(void)listener;
	(void)sa;
	(void)sa_len;
	if (s->n_connections >= METRICS_CONNECTIONS_MAX) {
		close(fd);
		return;
	}
	c = mem_new(sizeof(*c));
	c->server = s;
	c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	c->deadline = evtimer_new(s->base, deadline_cb, c);
	if (!c->bev || !c->deadline)
		mem_fail();
	c->next = s->connections;
	c->prev = &s->connections;
	if (c->next)
		c->next->prev = &c->next;
	s->connections = c;
	s->n_connections++;
	bufferevent_setcb(c->bev, read_cb, write_cb, event_cb, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, METRICS_REQUEST_MAX);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	evtimer_add(c->deadline, &time);
}

/* Out of descriptors, most likely: the listener stays, and tries again by itself. */
static void accept_error_cb(struct evconnlistener *listener, void *arg)
{
	(void)listener;
	(void)arg;
	log_limited(LOG_LEVEL_WARN, "The metrics server cannot accept.");
}

/* -- sockets ------------------------------------------------------------------ */

static int fail(const char *where, const char *what, int code, char *err, size_t err_cap)
{
	snprintf(err, err_cap, "Metrics on %s: %s.", where, what);
	return code;
}

static void add_listener(struct metrics_server *s, int fd)
{
	struct evconnlistener *l = evconnlistener_new(s->base, accept_cb, s,
						      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);

	if (!l)
		mem_fail();
	evconnlistener_set_error_cb(l, accept_error_cb);
	s->listeners = mem_resize(s->listeners, s->n_listeners + 1, sizeof(*s->listeners));
	s->listeners[s->n_listeners++] = l;
}

static int listen_port(struct metrics_server *s, const struct addr *a, char *err, size_t err_cap)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&ss, a);
	char text[ADDR_TEXT_CAP];
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, r;

	if (fd < 0)
		return fail(addr_format(text, a), strerror(errno), ERR_SYSTEM, err, err_cap);
	(void)!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, BACKLOG) < 0) {
		r = fail(addr_format(text, a), strerror(errno), ERR_NETWORK, err, err_cap);
		close(fd);
		return r;
	}
	add_listener(s, fd);
	return 0;
}

/* The lock on the data directory says that no other of ours runs; a foreign one that answers is left alone. */
static int remove_stale(const struct sockaddr_un *sun, char *err, size_t err_cap)
{
	struct stat st;
	int fd, r = 0;

	if (lstat(sun->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return fail(sun->sun_path, "something else has that name; move it away", ERR_EXISTS, err, err_cap);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(sun->sun_path, strerror(errno), ERR_SYSTEM, err, err_cap);
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 || errno == EAGAIN)
		r = fail(sun->sun_path, "another program answers there", ERR_BUSY, err, err_cap);
	else if (errno == ECONNREFUSED && unlink(sun->sun_path) < 0)
		r = fail(sun->sun_path, strerror(errno), ERR_IO, err, err_cap);
	close(fd);
	return r;
}

static int listen_path(struct metrics_server *s, const char *path, mode_t mode, char *err, size_t err_cap)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t mask;
	int fd, r;

	if (strlen(path) >= sizeof(sun.sun_path))
		return fail(path, "the path is too long for a socket", ERR_TOO_LONG, err, err_cap);
	memcpy(sun.sun_path, path, strlen(path));
	r = remove_stale(&sun, err, err_cap);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(path, strerror(errno), ERR_SYSTEM, err, err_cap);
	/* Closed to others until the mode is the wanted one. */
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (r < 0 || chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0) {
		r = fail(path, strerror(errno), ERR_SYSTEM, err, err_cap);
		close(fd);
		return r;
	}
	s->path = mem_strdup(path);
	if (lstat(path, &st) == 0) {
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
	add_listener(s, fd);
	return 0;
}

int metrics_server_new(struct metrics_server **ret, struct event_base *base, const struct metrics_place *place,
		       void (*format)(void *arg, struct evbuffer *out), void *arg, char *err, size_t err_cap)
{
	struct metrics_server *s = mem_new(sizeof(*s));
	int r = 0;

	s->base = base;
	s->format = format;
	s->arg = arg;
	for (size_t i = 0; r == 0 && i < place->n_addrs; i++)
		r = listen_port(s, &place->addrs[i], err, err_cap);
	if (r == 0 && place->path)
		r = listen_path(s, place->path, place->mode, err, err_cap);
	if (r < 0) {
		metrics_server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void metrics_server_free(struct metrics_server *s)
{
	struct stat st;

	if (!s)
		return;
	while (s->connections)
		connection_free(s->connections);
	for (size_t i = 0; i < s->n_listeners; i++)
		evconnlistener_free(s->listeners[i]);
	if (s->path && lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		(void)!unlink(s->path);
	free(s->listeners);
	free(s->path);
	free(s);
}
