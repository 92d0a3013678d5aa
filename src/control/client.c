#include "config.h"

#include <nonos/control.h>

#include <errno.h>
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

/* Read up to a newline, at most until `deadline_us`. */
static int read_line(char **ret, size_t *ret_len, int fd, uint64_t deadline_us)
{
	size_t len = 0, cap = 65536;
	char *buf = mem_new(cap);
	int r = ERR_TOO_LONG;

	while (len < CTL_REPLY_MAX) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_precise_us();
		ssize_t n;

		r = ERR_TIMEOUT;
		if (now >= deadline_us || poll(&pfd, 1, (int)((deadline_us - now) / 1000) + 1) == 0)
			break;
		if (len == cap)
			buf = mem_resize(buf, cap *= 2, 1);
		n = read(fd, buf + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		r = ERR_CLOSED;
		if (n <= 0)
			break;
		len += (size_t)n;
		if (memchr(buf + len - (size_t)n, '\n', (size_t)n)) {
			*ret = buf;
			*ret_len = len;
			return 0;
		}
		r = ERR_TOO_LONG;
	}
	free(buf);
	return r;
}

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

static int exchange(json_t **ret, int fd, const char *request, unsigned timeout_ms)
{
	uint64_t deadline = clock_precise_us() + (uint64_t)timeout_ms * 1000;
	json_t *reply;
	char *line;
	size_t len;
	int r;

	if (send_all(fd, request, strlen(request)) < 0 || send_all(fd, "\n", 1) < 0)
		return ERR_CLOSED;
	r = read_line(&line, &len, fd, deadline);
	if (r < 0)
		return r;
	reply = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	free(line);
	if (!is_reply(reply)) {
		json_decref(reply);
		return ERR_PROTOCOL;
	}
	*ret = reply;
	return 0;
}

int ctl_call(json_t **ret, const char *path, const char *method, json_t *params, unsigned timeout_ms,
	     char *err, size_t err_cap)
{
	char *request;
	int fd, r;

	r = connect_to(&fd, path, err, err_cap);
	if (r < 0)
		return r;
	request = request_text(method, params);
	r = exchange(ret, fd, request, timeout_ms);
	free(request);
	close(fd);
	if (r == ERR_TIMEOUT)
		snprintf(err, err_cap, "no answer within %u ms; the daemon is busy or stuck, look at its log",
			 timeout_ms);
	else if (r == ERR_CLOSED)
		snprintf(err, err_cap, "the daemon closed the connection; it may be stopping, or have too many clients");
	else if (r < 0)
		snprintf(err, err_cap, "what answers at %s is not nonosd", path);
	return r;
}
