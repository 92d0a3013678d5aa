#include "config.h"

#include <nonos/control.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/secret.h>
#include <nonos/socket_file.h>

enum {
	IDLE_S = 300,
	WRITE_S = 30,
	OUTPUT_PAUSE = 256 << 10,	/* beyond, the next request waits, and events are lost */
	OUTPUT_MAX = 8 << 20,		/* beyond, the client is dropped: late answers do not wait */
	OUTPUT_ALL_MAX = 64 << 20,	/* of all clients; beyond, so is the one who owes most */
	INPUT_MAX = 2 * CTL_LINE_MAX,
	TURN_US = 2000,			/* of answering before the rest of the daemon has its turn */
	ACCEPT_AT_ONCE = 64,		/* clients, likewise */
	ACCEPT_PAUSE_MS = 500,		/* when there are no descriptors */
	GROUPS_MAX = 256,
};

struct client {
	struct ctl_session session;	/* first: its hooks are given this */
	struct ctl_server *server;
	struct client *next, **prev;
	struct client *next_ready;	/* waits for its turn; a link of server->ready */
	struct bufferevent *bev;
	uid_t uid;
	bool is_ready;		/* in that list */
	bool closing;		/* close once what it asked is answered */
	bool doomed;		/* close at its turn */
};

/*
 * Clients with something to do wait in a line, and each has one request
 * answered before the next is looked at; after TURN_US the loop goes on with
 * other work. Callbacks and hooks never free a client, its turn does.
 */
struct ctl_server {
	struct event_base *base;
	struct socket_file file;
	gid_t group;		/* that may connect; -1: the daemon's own */
	struct evconnlistener *listener;
	const struct ctl_commands *commands;
	struct client *clients;
	unsigned n_clients, clients_max, n_pending;
	struct client *ready, **ready_end;
	unsigned n_accepted;	/* since the loop had its turn */
	struct event *turn, *accept_again;
};

static size_t output_len(const struct client *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

static void client_wake(struct client *c)
{
	static const struct timeval now = { 0 };
	struct ctl_server *s = c->server;

	if (c->is_ready)
		return;
	c->is_ready = true;
	c->next_ready = NULL;
	*s->ready_end = c;
	s->ready_end = &c->next_ready;
	event_add(s->turn, &now);
}

static void client_doom(struct client *c)
{
	c->doomed = true;
	c->session.topics[0] = '\0';
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	client_wake(c);
}

/* Not while it waits for its turn. */
static void client_free(struct client *c)
{
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->server->n_clients--;
	c->session.settled = NULL;
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

static bool peer_is_owner(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/*
 * The file's mode decides who may connect; its owner and group, who may change things. A group
 * that was only let in may look.
 */
static bool peer_may_change(const struct ctl_server *s, int fd, const struct ucred *peer)
{
	struct stat st;

	if (peer_is_owner(peer->uid))
		return true;
	return s->group == (gid_t)-1 && stat(s->file.path, &st) == 0 && st.st_mode & S_IWGRP && in_group(fd, peer->gid, st.st_gid);
}

/* One user must not keep the others out, nor all of them the operator. */
static bool has_place(const struct ctl_server *s, uid_t uid)
{
	unsigned reserved = s->clients_max / (CTL_CLIENTS_MAX / CTL_CLIENTS_RESERVED), n = 0;

	if (peer_is_owner(uid))
		return s->n_clients < s->clients_max;
	for (const struct client *c = s->clients; c; c = c->next)
		n += c->uid == uid;
	return s->n_clients < s->clients_max - reserved &&
	       n < s->clients_max / (CTL_CLIENTS_MAX / CTL_CLIENTS_OF_USER);
}

/* -- writing ------------------------------------------------------------------- */

/* Late answers and events are few for one client, but there are many clients. */
static void relieve(struct ctl_server *s)
{
	struct client *most = NULL;
	size_t sum = 0;

	for (struct client *c = s->clients; c; c = c->next) {
		if (c->doomed)
			continue;
		sum += output_len(c);
		if (!most || output_len(c) > output_len(most))
			most = c;
	}
	if (sum <= OUTPUT_ALL_MAX)
		return;
	log_limited(LOG_LEVEL_NOTICE, "Control clients do not read their answers; the one that owes most is dropped.");
	client_doom(most);
}

static void client_write(struct client *c, const char *line, size_t len)
{
	if (c->doomed)
		return;
	bufferevent_write(c->bev, line, len);
	if (output_len(c) > OUTPUT_MAX) {
		log_limited(LOG_LEVEL_NOTICE, "A control client does not read its answers and is dropped.");
		client_doom(c);
	} else if (output_len(c) > OUTPUT_PAUSE) {
		relieve(c->server);
	}
}

static void session_write(struct ctl_session *s, const char *line, size_t len)
{
	client_write((struct client *)s, line, len);
}

static bool session_has_room(const struct ctl_session *s)
{
	const struct client *c = (const struct client *)s;

	return !c->doomed && !c->closing && output_len(c) < OUTPUT_PAUSE;
}

static void session_settled(struct ctl_session *s)
{
	client_wake((struct client *)s);
}

/* -- a turn ---------------------------------------------------------------------- */

static void client_answer(struct client *c, const char *line, size_t len)
{
	char *reply = ctl_answer(c->server->commands, &c->session, line, len);

	if (!reply)
		return;
	client_write(c, reply, strlen(reply));
	mem_free_wiped(reply);		/* it may be a new token */
}

static void client_close_when_answered(struct client *c)
{
	c->closing = true;
	c->session.topics[0] = '\0';
	bufferevent_disable(c->bev, EV_READ);
	client_wake(c);
}

/* Answer one line, if there is one and the client reads. False: nothing more to do now. */
static bool client_step(struct client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t len;
	char *line;

	if (output_len(c) >= OUTPUT_PAUSE)
		return false;	/* write_cb() comes back here */
	line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);
	if (line) {
		client_answer(c, line, len);
		secret_wipe(line, len);	/* a token or a key may be in it */
		free(line);
		return true;
	}
	if (!c->closing && evbuffer_get_length(in) > CTL_LINE_MAX) {
		/* One answer says why, then the line's end is not waited for. */
		client_answer(c, "[[[[[[[[[", CTL_DEPTH_MAX + 1);
		client_close_when_answered(c);
	}
	return false;
}

static void client_turn(struct client *c)
{
	if (!c->doomed && client_step(c))
		client_wake(c);
	else if (c->doomed || (c->closing && output_len(c) == 0 && c->session.n_pending == 0))
		client_free(c);
}

static struct client *take_ready(struct ctl_server *s)
{
	struct client *c = s->ready;

	s->ready = c->next_ready;
	if (!s->ready)
		s->ready_end = &s->ready;
	c->is_ready = false;
	return c;
}

static void turn_cb(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval now = { 0 };
	struct ctl_server *s = arg;
	uint64_t end;

	(void)fd;
	(void)what;
	clock_update();
	end = clock_precise_us() + TURN_US;
	while (s->ready && clock_precise_us() < end)
		client_turn(take_ready(s));
	if (s->ready)
		event_add(s->turn, &now);
}

static void read_cb(struct bufferevent *bev, void *arg)
{
	(void)bev;
	client_wake(arg);
}

static void write_cb(struct bufferevent *bev, void *arg)
{
	(void)bev;
	client_wake(arg);
}

static void event_cb(struct bufferevent *bev, short what, void *arg)
{
	struct client *c = arg;

	/* Who waits for an answer or for events has nothing to say. */
	if (what & BEV_EVENT_TIMEOUT && what & BEV_EVENT_READING && (c->session.n_pending || c->session.topics[0]))
		bufferevent_enable(bev, EV_READ);
	/* A client may close its sending side and still wait for the answers. */
	else if (what & BEV_EVENT_EOF && !(what & BEV_EVENT_ERROR))
		client_close_when_answered(c);
	else
		client_doom(c);
}

/* -- accepting --------------------------------------------------------------------- */

static void client_new(struct ctl_server *s, int fd, const struct ucred *peer)
{
	static const struct timeval idle = { .tv_sec = IDLE_S }, write_wait = { .tv_sec = WRITE_S };
	struct client *c = mem_new(sizeof(*c));

	c->server = s;
	c->uid = peer->uid;
	c->session = (struct ctl_session){
		.may_change = peer_may_change(s, fd, peer), .write = session_write,
		.has_room = session_has_room, .settled = session_settled, .n_pending_all = &s->n_pending,
	};
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
	bufferevent_setwatermark(c->bev, EV_READ, 0, INPUT_MAX);
	bufferevent_set_timeouts(c->bev, &idle, &write_wait);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static void pause_accepting(struct ctl_server *s, unsigned ms)
{
	struct timeval tv = { .tv_usec = ms * 1000 };

	evconnlistener_disable(s->listener);
	event_add(s->accept_again, &tv);
}

static void accept_again_cb(evutil_socket_t fd, short what, void *arg)
{
	struct ctl_server *s = arg;

	(void)fd;
	(void)what;
	s->n_accepted = 0;
	evconnlistener_enable(s->listener);
}

static void accept_cb(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa, int sa_len,
		      void *arg)
{
	struct ctl_server *s = arg;
	struct ucred peer;
	socklen_t len = sizeof(peer);

	(void)listener;
	(void)sa;
	(void)sa_len;
	clock_update();
	if (++s->n_accepted >= ACCEPT_AT_ONCE)
		pause_accepting(s, 0);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && len == sizeof(peer) && has_place(s, peer.uid)) {
		client_new(s, fd, &peer);
		return;
	}
	log_limited(LOG_LEVEL_WARN, "Too many control clients; one was turned away.");
	close(fd);
}

/* Out of descriptors, most likely; who waits is still there to be accepted, so it would be tried at once. */
static void accept_error_cb(struct evconnlistener *listener, void *arg)
{
	(void)listener;
	log_limited(LOG_LEVEL_WARN, "The control socket cannot accept.");
	pause_accepting(arg, ACCEPT_PAUSE_MS);
}

/* -- the server -------------------------------------------------------------------- */

/* At most half of the descriptors that this process may have. */
static unsigned clients_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 2 >= CTL_CLIENTS_MAX)
		return CTL_CLIENTS_MAX;
	return (unsigned)limit.rlim_cur / 2;
}

static struct ctl_server *server_on(struct event_base *base, int fd, const char *path, gid_t group,
				    const struct ctl_commands *commands)
{
	struct ctl_server *s = mem_new(sizeof(*s));

	s->base = base;
	socket_file_init(&s->file, path);
	s->group = group;
	s->commands = commands;
	s->clients_max = clients_max();
	s->ready_end = &s->ready;
	s->turn = event_new(base, -1, 0, turn_cb, s);
	s->accept_again = event_new(base, -1, 0, accept_again_cb, s);
	if (!s->turn || !s->accept_again)
		mem_fail();
	s->listener = evconnlistener_new(base, accept_cb, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
					 0, fd);
	if (!s->listener)
		mem_fail();
	evconnlistener_set_error_cb(s->listener, accept_error_cb);
	return s;
}

int ctl_server_new(struct ctl_server **ret, struct event_base *base, const char *path, mode_t mode, gid_t group,
		   const struct ctl_commands *commands, char *err, size_t err_cap)
{
	char why[256];
	int fd, r;

	r = socket_file_listen(&fd, path, mode, group, CTL_CLIENTS_MAX, why, sizeof(why));
	if (r < 0) {
		snprintf(err, err_cap, "Control socket %s: %s.", path, why);
		return r;
	}
	*ret = server_on(base, fd, path, group, commands);
	return 0;
}

int ctl_server_fd(const struct ctl_server *s)
{
	return evconnlistener_get_fd(s->listener);
}

void ctl_server_adopt(struct ctl_server **ret, struct event_base *base, int fd, const char *path, mode_t mode,
		      gid_t group, const struct ctl_commands *commands)
{
	if (socket_file_set_mode(path, mode, group) < 0)
		log_warn("Mode and group of the control socket cannot be set. path=%s error=\"%s\"", path, strerror(errno));
	*ret = server_on(base, fd, path, group, commands);
}

static void server_end(struct ctl_server *s)
{
	while (s->clients) {
		struct evbuffer *out = bufferevent_get_output(s->clients->bev);

		/* The bufferevent keeps its output to itself until then. */
		evbuffer_unfreeze(out, 1);
		evbuffer_write(out, bufferevent_getfd(s->clients->bev));
		client_free(s->clients);
	}
	event_free(s->turn);
	event_free(s->accept_again);
	evconnlistener_free(s->listener);
	socket_file_clear(&s->file);
	free(s);
}

void ctl_server_release(struct ctl_server *s)
{
	if (s)
		server_end(s);
}

void ctl_server_free(struct ctl_server *s)
{
	if (!s)
		return;
	socket_file_remove(&s->file);
	server_end(s);
}

/* -- events ------------------------------------------------------------------------- */

bool ctl_has_listener(const struct ctl_server *s, const char *topic)
{
	for (const struct client *c = s ? s->clients : NULL; c; c = c->next)
		if (ctl_session_hears(&c->session, topic))
			return true;
	return false;
}

void ctl_publish(struct ctl_server *s, const char *topic, json_t *data)
{
	char *line;

	if (!ctl_has_listener(s, topic)) {
		json_decref(data);
		return;
	}
	line = ctl_event_line(topic, data);
	for (struct client *c = s->clients; c; c = c->next)
		if (ctl_session_hears(&c->session, topic))
			ctl_session_event(&c->session, line, strlen(line));
	free(line);
}
