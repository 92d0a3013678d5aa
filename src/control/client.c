#include "config.h"

#include <nonos/control.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

static int connect_to(int *ret_fd, const char *path, char *err, size_t err_cap)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const char *advice;
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		snprintf(err, err_cap, "%s is too long for a socket's path", path);
		return ERR_NETWORK;
	}
	memcpy(sun.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0) {
		*ret_fd = fd;
		return 0;
	}
	advice = errno == ENOENT || errno == ECONNREFUSED
		 ? "is nonosd running, and is this its control_socket (-s, NONOS_SOCKET)?"
		 : errno == EACCES ? "run as root, the daemon's user or a member of its group" : "try again";
	snprintf(err, err_cap, "cannot connect to %s: %s; %s", path, strerror(errno), advice);
	if (fd >= 0)
		close(fd);
	return ERR_NETWORK;
}

static int send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ERR_IO;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

struct ctl_client {
	int fd;
	char *path;			/* for messages */
	char *buf;
	size_t len, cap;		/* what was read and not looked at yet */
	char err[512];
};

static int client_fail(struct ctl_client *c, int r, const char *what)
{
	snprintf(c->err, sizeof(c->err), "%s", what);
	return r;
}

const char *ctl_client_error(const struct ctl_client *c)
{
	return c->err;
}

int ctl_client_open(struct ctl_client **ret, const char *path, char *err, size_t err_cap)
{
	struct ctl_client *c;
	int fd, r = connect_to(&fd, path, err, err_cap);

	if (r < 0)
		return r;
	c = mem_new(sizeof(*c));
	c->fd = fd;
	c->path = mem_strdup(path);
	*ret = c;
	return 0;
}

void ctl_client_free(struct ctl_client *c)
{
	if (!c)
		return;
	close(c->fd);
	free(c->path);
	free(c->buf);
	free(c);
}

/* -- reading ------------------------------------------------------------------------ */

/* Wait for something to read. ERR_AGAIN: `stop_fd` has. */
static int wait_input(const struct ctl_client *c, uint64_t deadline_us, int stop_fd)
{
	struct pollfd p[] = { { .fd = c->fd, .events = POLLIN }, { .fd = stop_fd, .events = POLLIN } };

	for (;;) {
		uint64_t now = clock_precise_us(), left_ms = deadline_us > now ? (deadline_us - now) / 1000 + 1 : 0;
		int n;

		if (deadline_us && left_ms == 0)
			return ERR_TIMEOUT;
		n = poll(p, stop_fd < 0 ? 1 : 2, !deadline_us ? -1 : left_ms > INT_MAX ? INT_MAX : (int)left_ms);
		if (n > 0 && stop_fd >= 0 && p[1].revents)
			return ERR_AGAIN;
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return ERR_SYSTEM;
	}
}

static int fill(struct ctl_client *c, uint64_t deadline_us, int stop_fd)
{
	ssize_t n;
	int r;

	if (c->len >= CTL_REPLY_MAX)
		return ERR_TOO_LONG;
	r = wait_input(c, deadline_us, stop_fd);
	if (r < 0)
		return r;
	if (c->len == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 65536;
		c->buf = mem_resize(c->buf, c->cap, 1);
	}
	n = read(c->fd, c->buf + c->len, c->cap - c->len);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0)
		return ERR_CLOSED;
	c->len += (size_t)n;
	return 0;
}

/* The next line as JSON, at most until `deadline_us`; 0: no limit. */
static int next_message(struct ctl_client *c, json_t **ret, uint64_t deadline_us, int stop_fd)
{
	size_t looked = 0, used;
	char *end;
	int r;

	while (!(end = c->len > looked ? memchr(c->buf + looked, '\n', c->len - looked) : NULL)) {
		looked = c->len;
		r = fill(c, deadline_us, stop_fd);
		if (r < 0)
			return r;
	}
	used = (size_t)(end - c->buf) + 1;
	*ret = json_loadb(c->buf, used, JSON_REJECT_DUPLICATES, NULL);
	memmove(c->buf, c->buf + used, c->len - used);
	c->len -= used;
	return *ret ? 0 : ERR_PROTOCOL;
}

static bool is_notification(const json_t *m)
{
	return json_is_string(json_object_get(m, "method")) && !json_object_get(m, "id");
}

static bool is_reply(const json_t *reply)
{
	const json_t *error = json_object_get(reply, "error");

	if (!json_is_object(reply))
		return false;
	if (error)
		return json_is_integer(json_object_get(error, "code")) &&
		       json_is_string(json_object_get(error, "message"));
	return json_object_get(reply, "result") != NULL;
}

/* -- asking ------------------------------------------------------------------------- */

static char *request_text(const char *method, json_t *params)
{
	json_t *request = json_pack("{s:s, s:i, s:s}", "jsonrpc", "2.0", "id", 1, "method", method);
	char *text;

	if (!request)
		mem_fail();
	if (params)
		json_object_set(request, "params", params);
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (!text)
		mem_fail();
	return text;
}

static int send_request(struct ctl_client *c, const char *method, json_t *params)
{
	char *request = request_text(method, params);
	size_t len = strlen(request);
	int r;

	request[len] = '\n';	/* in place of the NUL */
	r = send_all(c->fd, request, len + 1);
	secret_wipe(request, len);
	free(request);
	return r < 0 ? ERR_CLOSED : 0;
}

/* Every sign of life gives the daemon `timeout_ms` more. */
static int await_reply(struct ctl_client *c, json_t **ret, unsigned timeout_ms, ctl_note_fn note, void *arg)
{
	for (;;) {
		json_t *m;
		int r = next_message(c, &m, clock_precise_us() + (uint64_t)timeout_ms * 1000, -1);

		if (r < 0)
			return r;
		if (!is_notification(m)) {
			*ret = m;
			return 0;
		}
		if (note)
			note(arg, json_string_value(json_object_get(m, "method")), json_object_get(m, "params"));
		json_decref(m);
	}
}

/* The sentence for an error of the connection. */
static int explain(struct ctl_client *c, int r, unsigned timeout_ms)
{
	if (r == ERR_TIMEOUT)
		snprintf(c->err, sizeof(c->err), "no answer within %u ms; the daemon is busy or stuck, look at its log",
			 timeout_ms);
	else if (r == ERR_CLOSED)
		client_fail(c, r, "the daemon closed the connection; it may be stopping, or have too many clients");
	else if (r < 0)
		snprintf(c->err, sizeof(c->err), "what answers at %s is not nonosd", c->path);
	return r;
}

int ctl_client_call(struct ctl_client *c, json_t **ret, const char *method, json_t *params, unsigned timeout_ms,
		    ctl_note_fn note, void *arg)
{
	json_t *reply = NULL;
	/* Who was turned away may still find a reason to read. */
	int sent = send_request(c, method, params), r = await_reply(c, &reply, timeout_ms, note, arg);

	if (r == 0 && !is_reply(reply)) {
		json_decref(reply);
		r = ERR_PROTOCOL;
	}
	if (r < 0)
		return explain(c, sent < 0 ? sent : r, timeout_ms);
	*ret = reply;
	return 0;
}

int ctl_client_next(struct ctl_client *c, json_t **ret, uint64_t deadline_us, int stop_fd)
{
	json_t *m;
	int r = next_message(c, &m, deadline_us, stop_fd);

	if (r == 0 && !is_notification(m)) {
		json_decref(m);
		r = ERR_PROTOCOL;
	}
	if (r < 0)
		return r == ERR_TIMEOUT || r == ERR_AGAIN ? r : explain(c, r, 0);
	*ret = m;
	return 0;
}

int ctl_call(json_t **ret, const char *path, const char *method, json_t *params, unsigned timeout_ms,
	     char *err, size_t err_cap)
{
	struct ctl_client *c;
	int r = ctl_client_open(&c, path, err, err_cap);

	if (r < 0)
		return r;
	r = ctl_client_call(c, ret, method, params, timeout_ms, NULL, NULL);
	if (r < 0)
		snprintf(err, err_cap, "%s", c->err);
	ctl_client_free(c);
	return r;
}
