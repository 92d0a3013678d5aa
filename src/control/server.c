#include "config.h"

#include <nonos/control.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

enum { IDLE_S = 300, WRITE_S = 30, OUTPUT_MAX = 8 << 20, GROUPS_MAX = 256 };

struct client {
	struct ctl_session session;	/* first: session_write() is given this */
	struct ctl_server *server;
	struct client *next, **prev;
	struct bufferevent *bev;
	bool closing;		/* close once the output is written */
};

struct ctl_server {
	struct event_base *base;
	char *path;
	struct evconnlistener *listener;
	const struct ctl_commands *commands;
	struct client *clients;
	unsigned n_clients;
	dev_t dev;		/* of the socket file, so that only our own is removed */
	ino_t ino;
};

static void client_free(struct client *c)
{
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->server->n_clients--;
	ctl_session_end(&c->session);
	bufferevent_free(c->bev);
	free(c);
}

/* -- who is it --------------------------------------------------------------- */

static bool in_group(int fd, gid_t primary, gid_t wanted)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (primary == wanted)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(gid_t); i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

/* The file's mode decides who may connect; its owner and group, who may change things. */
static bool peer_may_change(int fd, const char *path)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct stat st;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || len != sizeof(peer))
		return false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	return stat(path, &st) == 0 && st.st_mode & S_IWGRP && in_group(fd, peer.gid, st.st_gid);
}

/* -- lines ------------------------------------------------------------------- */

/* An answer that took time. A client that does not read is found out by the write timeout. */
static void session_write(struct ctl_session *s, const char *line, size_t len)
{
	struct client *c = (struct client *)s;

	bufferevent_write(c->bev, line, len);
}

static void client_answer(struct client *c, const char *line, size_t len)
{
	char *reply = ctl_answer(c->server->commands, &c->session, line, len);

	if (!reply)
		return;
	bufferevent_write(c->bev, reply, strlen(reply));
	free(reply);
}

static void client_free_if_done(struct client *c)
{
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0 && c->session.n_pending == 0)
		client_free(c);
}

static void client_close_when_written(struct client *c)
{
	c->closing = true;
	bufferevent_disable(c->bev, EV_READ);
	client_free_if_done(c);
}

static void read_cb(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev), *out = bufferevent_get_output(bev);
	struct client *c = arg;
	size_t len;
	char *line;

	clock_update();
	while (evbuffer_get_length(out) < OUTPUT_MAX && (line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF))) {
		client_answer(c, line, len);
		free(line);
	}
	if (evbuffer_get_length(out) >= OUTPUT_MAX) {
		log_limited(LOG_LEVEL_NOTICE, "A control client does not read its answers and is dropped.");
		client_free(c);
	} else if (evbuffer_get_length(in) > CTL_LINE_MAX) {
		/* One answer says why, then the line's end is not waited for. */
		client_answer(c, "[[[[[[[[[", CTL_DEPTH_MAX + 1);
		client_close_when_written(c);
	}
}

static void write_cb(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	(void)bev;
	if (c->closing)
		client_free_if_done(c);
}

static void event_cb(struct bufferevent *bev, short what, void *arg)
{
	struct client *c = arg;

	(void)bev;
	/* A client may close its sending side and still wait for the answers. */
	if (what & BEV_EVENT_EOF && !(what & BEV_EVENT_ERROR))
		client_close_when_written(c);
	else
		client_free(c);
}

static void accept_cb(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa, int sa_len,
		      void *arg)
{
	static const struct timeval idle = { .tv_sec = IDLE_S }, write_wait = { .tv_sec = WRITE_S };
	struct ctl_server *s = arg;
	struct client *c;

	(void)listener;
	(void)sa;
	(void)sa_len;
	clock_update();
	if (s->n_clients >= CTL_CLIENTS_MAX) {
		log_limited(LOG_LEVEL_WARN, "Too many control clients; one was turned away.");
		close(fd);
		return;
	}
	c = mem_new(sizeof(*c));
	c->server = s;
	c->session.may_change = peer_may_change(fd, s->path);
	c->session.write = session_write;
	c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev)
		mem_fail();
	c->prev = &s->clients;
	c->next = s->clients;
	if (c->next)
		c->next->prev = &c->next;
	s->clients = c;
	s->n_clients++;
	bufferevent_setcb(c->bev, read_cb, write_cb, event_cb, c);
	bufferevent_set_timeouts(c->bev, &idle, &write_wait);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* Out of descriptors, most likely: the listener stays, and tries again by itself. */
static void accept_error_cb(struct evconnlistener *listener, void *arg)
{
	(void)listener;
	(void)arg;
	log_limited(LOG_LEVEL_WARN, "The control socket cannot accept.");
}

/* -- the socket file ---------------------------------------------------------- */

static int fail(const char *path, const char *what, int code, char *err, size_t err_cap)
{
	snprintf(err, err_cap, "Control socket %s: %s.", path, what);
	return code;
}

/* What errno says, and what to do about it. */
static int fail_errno(const char *path, char *err, size_t err_cap)
{
	bool denied = errno == EACCES || errno == EPERM;
	char what[160];

	snprintf(what, sizeof(what), "%s%s", strerror(errno),
		 denied ? "; give its directory to the user the daemon runs as, or choose another control_socket" : "");
	(void)fail(path, what, ERR_SYSTEM, err, err_cap);
	return ERR_SYSTEM;
}

/* Remove the file of a daemon that is gone; leave one that answers. */
static int remove_stale(const struct sockaddr_un *sun, char *err, size_t err_cap)
{
	int fd, r = 0;
	struct stat st;

	if (lstat(sun->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return fail(sun->sun_path, "something else has that name; move it away", ERR_EXISTS, err, err_cap);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail_errno(sun->sun_path, err, err_cap);
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 || errno == EAGAIN)
		r = fail(sun->sun_path, "another daemon answers there; stop it, or choose another control_socket",
			 ERR_BUSY, err, err_cap);
	else if (errno == ECONNREFUSED && unlink(sun->sun_path) < 0)
		r = fail_errno(sun->sun_path, err, err_cap);
	close(fd);
	return r;
}

static int bind_socket(int *ret_fd, const char *path, mode_t mode, char *err, size_t err_cap)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
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
		return fail_errno(path, err, err_cap);
	/* Closed to others until the mode is the wanted one. */
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (r < 0 || chmod(path, mode) < 0 || listen(fd, CTL_CLIENTS_MAX) < 0) {
		r = fail_errno(path, err, err_cap);
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int ctl_server_new(struct ctl_server **ret, struct event_base *base, const char *path, mode_t mode,
		   const struct ctl_commands *commands, char *err, size_t err_cap)
{
	struct ctl_server *s;
	struct stat st;
	int fd = -1, r;

	r = bind_socket(&fd, path, mode, err, err_cap);
	if (r < 0)
		return r;
	s = mem_new(sizeof(*s));
	s->base = base;
	s->path = mem_strdup(path);
	s->commands = commands;
	if (lstat(path, &st) == 0) {
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
	s->listener = evconnlistener_new(base, accept_cb, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
					 0, fd);
	if (!s->listener)
		mem_fail();
	evconnlistener_set_error_cb(s->listener, accept_error_cb);
	*ret = s;
	return 0;
}

void ctl_server_free(struct ctl_server *s)
{
	struct stat st;

	if (!s)
		return;
	while (s->clients) {
		struct bufferevent *bev = s->clients->bev;

		evbuffer_write(bufferevent_get_output(bev), bufferevent_getfd(bev));
		client_free(s->clients);
	}
	evconnlistener_free(s->listener);
	if (lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		(void)!unlink(s->path);
	free(s->path);
	free(s);
}
