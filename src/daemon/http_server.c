#include "config.h"

#include "http_server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/socket_file.h>

enum { BACKLOG = 16 };

struct connection {
	struct http_exchange x;	/* first: http_answer() is given this */
	struct http_server *server;
	struct connection *next, **prev;
	struct bufferevent *bev;
	struct event *deadline;
	struct http_head head;
	char *body;
	bool has_head, waits, answered;
	bool ended;		/* the client sends no more */
};

struct http_server {
	struct event_base *base;
	const char *name;
	unsigned connections_max, client_max, time_s;
	size_t body_max;
	struct evconnlistener **listeners;
	size_t n_listeners;
	struct socket_file file;	/* once it is ours */
	struct connection *connections;
	unsigned n_connections;
	void (*request)(void *arg, struct http_exchange *x);
	void *arg;
};

/* -- requests (RFC 9112) ------------------------------------------------------ */

static bool starts_with(const char *text, size_t len, const char *word)
{
	return len >= strlen(word) && strncasecmp(text, word, strlen(word)) == 0;
}

/* The length in a Content-Length line: at most eight digits, so that nothing overflows. */
static int read_length(size_t *ret, const char *text, size_t len)
{
	size_t v = 0, digits = 0;

	while (len > 0 && *text == ' ') {
		text++;
		len--;
	}
	for (; digits < len && text[digits] >= '0' && text[digits] <= '9' && digits < 8; digits++)
		v = v * 10 + (size_t)(text[digits] - '0');
	if (digits == 0 || digits != len)
		return 400;
	*ret = v;
	return 200;
}

static int read_header(struct http_head *h, const char *line, size_t len, bool *has_length)
{
	size_t at = strlen("Content-Length:");

	if (!memchr(line, ':', len) || memchr(line, '\0', len))
		return 400;
	if (starts_with(line, len, "Transfer-Encoding:"))
		return 413;
	if (!starts_with(line, len, "Content-Length:"))
		return 200;
	if (*has_length)
		return 400;
	*has_length = true;
	return read_length(&h->body_len, line + at, len - at);
}

static int read_headers(struct http_head *h, const char *text, size_t len)
{
	bool has_length = false;

	while (len) {
		const char *end = memmem(text, len, "\r\n", 2);
		size_t n = end ? (size_t)(end - text) : 0;
		int status;

		if (!end)
			return 400;
		if (n == 0)
			return len == 2 ? 200 : 400;
		status = read_header(h, text, n, &has_length);
		if (status != 200)
			return status;
		text += n + 2;
		len -= n + 2;
	}
	return 400;
}

static enum http_method read_method(const char *text, size_t len)
{
	if (len == 3 && memcmp(text, "GET", 3) == 0)
		return HTTP_GET;
	return len == 4 && memcmp(text, "POST", 4) == 0 ? HTTP_POST : HTTP_OTHER;
}

/* "GET /metrics HTTP/1.1": cut it at its two spaces. */
static int read_line(struct http_head *h, const char *line, size_t len)
{
	const char *target = memchr(line, ' ', len), *version, *query;

	if (!target || target == line)
		return 400;
	h->method = read_method(line, (size_t)(target - line));
	target++;
	version = memchr(target, ' ', len - (size_t)(target - line));
	if (!version || version == target)
		return 400;
	h->path = target;
	h->path_len = (size_t)(version - target);
	version++;
	if ((size_t)(line + len - version) != 8 || memcmp(version, "HTTP/1.", 7) != 0 ||
	    (version[7] != '0' && version[7] != '1'))
		return 400;
	query = memchr(target, '?', h->path_len);
	if (query)
		h->path_len = (size_t)(query - target);
	return h->path_len == 0 || memchr(h->path, '\0', h->path_len) ? 400 : 200;
}

int http_head_parse(struct http_head *ret, const char *text, size_t len, size_t body_max)
{
	const char *end = memmem(text, len, "\r\n", 2);
	size_t line_len = end ? (size_t)(end - text) : 0;
	struct http_head h = { .body_len = 0 };
	int status;

	if (!end)
		return 400;
	status = read_line(&h, text, line_len);
	if (status == 200)
		status = read_headers(&h, end + 2, len - line_len - 2);
	if (status == 200 && h.body_len > (h.method == HTTP_POST ? body_max : 0))
		status = 413;
	if (status == 200)
		*ret = h;
	return status;
}

struct addr http_client(const struct sockaddr *sa, socklen_t len)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct addr a = { .family = ADDR_NONE };

	if (addr_from_sockaddr(&a, sa, len) < 0)
		return a;
	a.port = 0;
	if (a.family == ADDR_V6 && memcmp(a.ip, mapped, sizeof(mapped)) == 0) {
		a.family = ADDR_V4;
		memmove(a.ip, a.ip + 12, 4);
		memset(a.ip + 4, 0, 12);
	}
	if (addr_is_loopback(&a))
		return (struct addr){ .family = ADDR_NONE };
	if (a.family == ADDR_V6)
		memset(a.ip + 8, 0, 8);
	return a;
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
	case 409:
		return "Conflict";
	case 413:
		return "Content Too Large";
	case 422:
		return "Unprocessable Content";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	default:
		return "Bad Request";
	}
}

static void connection_free(struct connection *c)
{
	if (c->waits && c->x.gone)
		c->x.gone(&c->x);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->server->n_connections--;
	event_free(c->deadline);
	bufferevent_free(c->bev);
	free(c->x.path);
	free(c->body);
	free(c);
}

void http_answer(struct http_exchange *x, int status, const char *type, struct evbuffer *body)
{
	struct connection *c = (struct connection *)x;
	struct evbuffer *out = bufferevent_get_output(c->bev);

	c->waits = false;
	c->answered = true;
	if (status != 200 && evbuffer_get_length(body) == 0)
		evbuffer_add_printf(body, "%d %s\n", status, status_text(status));
	evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
			    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
			    status, status_text(status), type ? type : "text/plain; charset=utf-8",
			    evbuffer_get_length(body),
			    status != 405 ? "" : c->server->body_max ? "Allow: GET, POST\r\n" : "Allow: GET\r\n");
	evbuffer_add_buffer(out, body);
}

static size_t owes(const struct connection *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

size_t http_server_owes(const struct http_server *s)
{
	size_t len = 0;

	for (const struct connection *c = s->connections; c; c = c->next)
		len += owes(c);
	return len;
}

size_t http_client_owes(const struct http_exchange *x)
{
	size_t len = 0;

	for (const struct connection *c = ((const struct connection *)x)->server->connections; c; c = c->next)
		if (addr_eq(&c->x.client, &x->client))
			len += owes(c);
	return len;
}

static void answer_status(struct connection *c, int status)
{
	struct evbuffer *body = evbuffer_new();

	if (!body)
		mem_fail();
	http_answer(&c->x, status, NULL, body);
	evbuffer_free(body);
}

/* The request is whole: hand it over. */
static void hand_over(struct connection *c, struct evbuffer *in)
{
	c->body = mem_new(c->head.body_len + 1);
	evbuffer_remove(in, c->body, c->head.body_len);
	c->x.post = c->head.method == HTTP_POST;
	c->x.body = c->body;
	c->x.body_len = c->head.body_len;
	c->waits = true;
	if (c->head.method == HTTP_OTHER || (c->x.post && !c->server->body_max))
		answer_status(c, 405);
	else
		c->server->request(c->server->arg, &c->x);
}

/* True once the head is there and good. */
static bool take_head(struct connection *c, struct evbuffer *in)
{
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	size_t len = end.pos < 0 ? 0 : (size_t)end.pos + 4;
	int status;

	if (end.pos < 0 && evbuffer_get_length(in) < HTTP_HEAD_MAX)
		return false;
	status = end.pos < 0 || len > HTTP_HEAD_MAX
		 ? 431 : http_head_parse(&c->head, (const char *)evbuffer_pullup(in, (ssize_t)len), len, c->server->body_max);
	if (status == 200) {
		c->x.path = mem_strndup(c->head.path, c->head.path_len);
		c->head.path = NULL;
		evbuffer_drain(in, len);
	} else {
		answer_status(c, status);
	}
	return status == 200;
}

static void read_cb(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct connection *c = arg;

	clock_update();
	if (!c->has_head && !c->answered)
		c->has_head = take_head(c, in);
	if (c->has_head && !c->waits && !c->answered && evbuffer_get_length(in) >= c->head.body_len)
		hand_over(c, in);
	/* What comes behind a request is nothing we answer. */
	if (c->answered || c->waits)
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
	c->ended = what & BEV_EVENT_EOF && !(what & BEV_EVENT_ERROR) &&
		   (c->waits || evbuffer_get_length(bufferevent_get_output(bev)));
	if (!c->ended)
		connection_free(c);
}

static void deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	connection_free(arg);
}

static unsigned connections_of(const struct http_server *s, const struct addr *client)
{
	unsigned n = 0;

	for (const struct connection *c = s->connections; c; c = c->next)
		n += addr_eq(&c->x.client, client);
	return n;
}

/* The oldest connection of the client that has most; *ret_n is how many. */
static struct connection *find_crowd(const struct http_server *s, unsigned *ret_n)
{
	struct connection *found = NULL;

	*ret_n = 0;
	for (struct connection *c = s->connections; c; c = c->next) {
		unsigned n = connections_of(s, &c->x.client);

		/* New ones stand in front. */
		if (n < *ret_n)
			continue;
		found = c;
		*ret_n = n;
	}
	return found;
}

/* A few strangers must not keep all others out: when all places are taken, who has most of them gives one up. */
static bool make_place(struct http_server *s, const struct addr *client)
{
	unsigned has = connections_of(s, client), most;
	struct connection *crowd;

	if (s->client_max && client->family != ADDR_NONE && has >= s->client_max)
		return false;
	if (s->n_connections < s->connections_max)
		return true;
	crowd = find_crowd(s, &most);
	if (most <= has + 1)
		return false;
	connection_free(crowd);
	return true;
}

static void accept_cb(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa, int sa_len, void *arg)
{
	struct http_server *s = arg;
	struct timeval time = { .tv_sec = s->time_s };
	struct addr client = http_client(sa, (socklen_t)sa_len);
	struct connection *c;

	(void)listener;
	if (!make_place(s, &client)) {
		close(fd);
		return;
	}
	c = mem_new(sizeof(*c));
	c->server = s;
	c->x.client = client;
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
	bufferevent_setwatermark(c->bev, EV_READ, 0, HTTP_HEAD_MAX + s->body_max);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	evtimer_add(c->deadline, &time);
}

/* Out of descriptors, most likely: the listener stays, and tries again by itself. */
static void accept_error_cb(struct evconnlistener *listener, void *arg)
{
	struct http_server *s = arg;

	(void)listener;
	log_limited(LOG_LEVEL_WARN, "%s: the server cannot accept.", s->name);
}

/* -- sockets ------------------------------------------------------------------ */

static int fail(const char *where, const char *what, int code, char *err, size_t err_cap)
{
	snprintf(err, err_cap, "%s: %s.", where, what);
	return code;
}

static void add_listener(struct http_server *s, int fd)
{
	struct evconnlistener *l = evconnlistener_new(s->base, accept_cb, s,
						      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);

	if (!l)
		mem_fail();
	evconnlistener_set_error_cb(l, accept_error_cb);
	s->listeners = mem_resize(s->listeners, s->n_listeners + 1, sizeof(*s->listeners));
	s->listeners[s->n_listeners++] = l;
}

static int listen_port(struct http_server *s, const struct addr *a, char *err, size_t err_cap)
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

static int listen_path(struct http_server *s, const char *path, mode_t mode, char *err, size_t err_cap)
{
	char why[256];
	int fd, r = socket_file_listen(&fd, path, mode, (gid_t)-1, BACKLOG, why, sizeof(why));

	if (r < 0)
		return fail(path, why, r, err, err_cap);
	socket_file_init(&s->file, path);
	add_listener(s, fd);
	return 0;
}

int http_server_new(struct http_server **ret, struct event_base *base, const struct http_place *place,
		    void (*request)(void *arg, struct http_exchange *x), void *arg, char *err, size_t err_cap)
{
	struct http_server *s = mem_new(sizeof(*s));
	char why[512] = "";
	int r = 0;

	*s = (struct http_server){ .base = base, .name = place->name, .connections_max = place->connections_max, .client_max = place->client_max,
				   .time_s = place->time_s, .body_max = place->body_max, .request = request, .arg = arg };
	for (size_t i = 0; r == 0 && i < place->n_addrs; i++)
		r = listen_port(s, &place->addrs[i], why, sizeof(why));
	if (r == 0 && place->path)
		r = listen_path(s, place->path, place->mode, why, sizeof(why));
	if (r < 0) {
		snprintf(err, err_cap, "%s on %s", place->name, why);
		http_server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	socket_file_remove(&s->file);
	while (s->connections)
		connection_free(s->connections);
	for (size_t i = 0; i < s->n_listeners; i++)
		evconnlistener_free(s->listeners[i]);
	free(s->listeners);
	socket_file_clear(&s->file);
	free(s);
}
