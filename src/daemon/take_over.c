#include "config.h"

#include "take_over.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include <nonos/err.h>
#include <nonos/mem.h>

#include "hand_over.h"
#include "pipe.h"

enum { LISTENERS_MAX = 4096, SINGLE_KINDS = HAND_CONTROL + 1 };

enum stage {
	STAGE_ASKED,
	STAGE_GIVEN,		/* we have it all */
	STAGE_READY,		/* the word "done" is due */
	STAGE_DONE,
	STAGE_FAILED,		/* refused, or the connection ended */
};

struct take_over {
	struct event_base *base;
	struct event *timer;
	struct pipe *pipe;	/* NULL: ended */
	struct take_over_hooks hooks;
	enum stage stage;
	bool only_ask, have_state, have_all, timed_out;
	int end_why;		/* of the pipe, 0: it lives */
	pid_t pid;
	int pidfd;		/* -1: the kernel does not say who it is */
	struct message_state state;
	int single[SINGLE_KINDS];
	struct given_listener *listeners;
	size_t n_listeners;
	char refusal[512];	/* "" until there is one */
};

/* -- what is given --------------------------------------------------------------- */

static bool is_listening_tcp(struct addr *ret, int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss), int_len = sizeof(int);
	int type = 0, accepts = 0;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_len) == 0 && type == SOCK_STREAM &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &int_len) == 0 && accepts &&
	       getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	       addr_from_sockaddr(ret, (struct sockaddr *)&ss, len) == 0;
}

static int take_listener(struct take_over *t, int fd)
{
	struct given_listener l = { .fd = fd };

	if (t->n_listeners == LISTENERS_MAX || !is_listening_tcp(&l.addr, fd)) {
		close(fd);
		return ERR_MALFORMED;
	}
	t->listeners = mem_resize(t->listeners, t->n_listeners + 1, sizeof(*t->listeners));
	t->listeners[t->n_listeners++] = l;
	return 0;
}

static int take_socket(struct take_over *t, struct rd *r, int fd)
{
	uint8_t kind = rd_u8(r);

	if (kind == HAND_OR)
		return take_listener(t, fd);
	/* Of a later version, or twice. */
	if (kind >= SINGLE_KINDS || t->single[kind] >= 0)
		close(fd);
	else
		t->single[kind] = fd;
	return 0;
}

static int take_all(struct take_over *t)
{
	if (t->stage != STAGE_ASKED || !t->have_state)
		return ERR_PROTOCOL;
	t->stage = STAGE_GIVEN;
	t->have_all = true;
	return 0;
}

static int take_state(struct take_over *t, struct rd *r)
{
	int err = message_state_read(&t->state, r);

	if (err < 0)
		return err;
	t->have_state = true;
	return t->only_ask ? take_all(t) : 0;
}

static int take_done(struct take_over *t)
{
	if (t->stage != STAGE_READY)
		return ERR_PROTOCOL;
	t->stage = STAGE_DONE;
	t->hooks.done(t->hooks.arg, false);
	return 0;
}

static int take_counters(struct take_over *t, struct rd *r)
{
	char *text = mem_new(FRAME_PAYLOAD_MAX);
	int err = message_text_read(text, FRAME_PAYLOAD_MAX, r);

	if (err == 0 && (t->stage == STAGE_READY || t->stage == STAGE_DONE))
		t->hooks.counters(t->hooks.arg, text);
	free(text);
	return err;
}

static int on_message(void *arg, struct frame *f, int fd)
{
	struct take_over *t = arg;

	switch ((enum message_type)f->row->type) {
	case MSG_GIVE_STATE:
		return take_state(t, &f->payload);
	case MSG_GIVE_SOCKET:
		return take_socket(t, &f->payload, fd);
	case MSG_GIVE_ALL:
		return take_all(t);
	case MSG_GIVE_DONE:
		return take_done(t);
	case MSG_GIVE_REFUSED:
		return message_text_read(t->refusal, sizeof(t->refusal), &f->payload) < 0 ? ERR_MALFORMED : ERR_REFUSED;
	case MSG_GIVE_COUNTERS:
		return take_counters(t, &f->payload);
	default:
		return ERR_PROTOCOL;	/* frame_parse() lets none of these through */
	}
}

/* -- the end of the connection ----------------------------------------------------- */

/* A connection ends a moment before its process does. */
static bool other_is_dead(const struct take_over *t)
{
	struct pollfd p = { .fd = t->pidfd, .events = POLLIN };

	return t->pidfd >= 0 && poll(&p, 1, TAKE_OVER_DEATH_MS) == 1 && p.revents & POLLIN;
}

static void explain_end(struct take_over *t)
{
	if (t->refusal[0])
		return;
	snprintf(t->refusal, sizeof(t->refusal), "the connection to the running nonosd failed (%s)",
		 err_str(t->end_why));
}

static void on_ended(void *arg, int why)
{
	struct take_over *t = arg;
	enum stage stage = t->stage;

	t->end_why = why;
	pipe_free(t->pipe);
	t->pipe = NULL;
	if (stage == STAGE_DONE) {
		t->hooks.ended(t->hooks.arg);
		return;
	}
	t->stage = STAGE_FAILED;
	/* Before READY the caller is told by take_over_begin() or take_over_ready(). */
	if (stage != STAGE_READY)
		return;
	if (why == ERR_CLOSED && !t->refusal[0] && other_is_dead(t)) {
		t->stage = STAGE_DONE;
		t->hooks.done(t->hooks.arg, true);
		return;
	}
	explain_end(t);
	t->hooks.refused(t->hooks.arg, t->refusal);
}

/* -- the beginning ------------------------------------------------------------------ */

static int connect_to(int *ret_fd, const char *data_dir, char *err, size_t err_cap)
{
	struct sockaddr_un sun;
	int dir, fd, r;

	r = hand_over_address(&sun, &dir, data_dir);
	if (r < 0) {
		snprintf(err, err_cap, "The directory %s cannot be opened: %s.", data_dir, strerror(errno));
		return r;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0) {
		close(dir);
		*ret_fd = fd;
		return 0;
	}
	r = errno == ENOENT || errno == ECONNREFUSED ? ERR_NOT_FOUND : ERR_SYSTEM;
	snprintf(err, err_cap, "The running nonosd cannot be asked at %s/handover: %s.", data_dir, strerror(errno));
	close(dir);
	if (fd >= 0)
		close(fd);
	return r;
}

/* Who answers must be the relay's user: else somebody else would give us sockets. */
static int check_peer(struct take_over *t, int fd, uid_t uid, char *err, size_t err_cap)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || len != sizeof(peer) ||
	    (peer.uid != 0 && peer.uid != geteuid() && peer.uid != uid)) {
		snprintf(err, err_cap, "What listens in data_dir is not a nonosd of this user; nothing was taken over.");
		return ERR_PERMISSION;
	}
	t->pid = peer.pid;
	/* Held from now on: a pid could become another process's. */
	t->pidfd = peer.pid > 0 ? pidfd_open(peer.pid, 0) : -1;
	return 0;
}

static void timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct take_over *t = arg;

	(void)fd;
	(void)what;
	t->timed_out = true;
}

static void ask(struct take_over *t)
{
	struct message_hand_ask m = { .version = HAND_OVER_VERSION, .flags = t->only_ask ? HAND_ASK_ONLY : 0 };
	uint8_t buf[16];
	struct wr w = wr_init(buf, sizeof(buf));

	message_hand_ask_write(&w, &m);
	(void)pipe_send(t->pipe, MSG_TAKE_ASK, buf, wr_len(&w), -1);
}

static int wait_for_all(struct take_over *t, char *err, size_t err_cap)
{
	struct timeval tv = { .tv_sec = TAKE_OVER_GIVE_MS / 1000 };

	event_add(t->timer, &tv);
	while (t->stage == STAGE_ASKED && !t->timed_out)
		event_base_loop(t->base, EVLOOP_ONCE);
	event_del(t->timer);
	/* If it died after that: take_over_ready() will say so. */
	if (t->have_all)
		return 0;
	if (t->stage == STAGE_ASKED) {
		snprintf(err, err_cap, "The running nonosd does not answer; nothing was taken over.");
		return ERR_TIMEOUT;
	}
	if (!t->refusal[0] && other_is_dead(t))
		return ERR_NOT_FOUND;
	explain_end(t);
	snprintf(err, err_cap, "The running nonosd does not hand over: %s.", t->refusal);
	return ERR_REFUSED;
}

int take_over_begin(struct take_over **ret, struct event_base *base, const char *data_dir, uid_t uid, bool only_ask,
		    char *err, size_t err_cap)
{
	struct pipe_hooks hooks = { .message = on_message, .ended = on_ended };
	struct take_over *t = mem_new(sizeof(*t));
	int fd = -1, r;

	t->base = base;
	t->only_ask = only_ask;
	t->pidfd = -1;
	memset(t->single, 0xff, sizeof(t->single));
	t->timer = event_new(base, -1, 0, timer_cb, t);
	if (!t->timer)
		mem_fail();
	r = connect_to(&fd, data_dir, err, err_cap);
	if (r == 0)
		r = check_peer(t, fd, uid, err, err_cap);
	if (r < 0)
		goto out;
	hooks.arg = t;
	t->pipe = pipe_new(base, fd, MSG_GIVE, &hooks);
	fd = -1;
	ask(t);
	r = wait_for_all(t, err, err_cap);
out:
	if (fd >= 0)
		close(fd);
	if (r < 0)
		take_over_free(t);
	else
		*ret = t;
	return r;
}

void take_over_free(struct take_over *t)
{
	if (!t)
		return;
	event_free(t->timer);
	pipe_free(t->pipe);
	for (size_t i = 0; i < SINGLE_KINDS; i++)
		if (t->single[i] >= 0)
			close(t->single[i]);
	for (size_t i = 0; i < t->n_listeners; i++)
		if (t->listeners[i].fd >= 0)
			close(t->listeners[i].fd);
	free(t->listeners);
	if (t->pidfd >= 0)
		close(t->pidfd);
	free(t);
}

const struct message_state *take_over_state(const struct take_over *t)
{
	return &t->state;
}

pid_t take_over_pid(const struct take_over *t)
{
	return t->pid;
}

struct given_listener *take_over_listeners(struct take_over *t, size_t *ret_n)
{
	*ret_n = t->n_listeners;
	return t->listeners;
}

int take_over_socket(struct take_over *t, enum hand_socket kind)
{
	int fd = t->single[kind];

	t->single[kind] = -1;
	return fd;
}

void take_over_ready(struct take_over *t, const struct take_over_hooks *hooks)
{
	t->hooks = *hooks;
	if (t->stage == STAGE_GIVEN) {
		t->stage = STAGE_READY;
		(void)pipe_send(t->pipe, MSG_TAKE_READY, NULL, 0, -1);
	} else if (t->stage == STAGE_FAILED && !t->refusal[0] && t->end_why == ERR_CLOSED && other_is_dead(t)) {
		t->stage = STAGE_DONE;
		t->hooks.done(t->hooks.arg, true);
	} else {
		explain_end(t);
		t->hooks.refused(t->hooks.arg, t->refusal);
	}
}

bool take_over_other_lives(const struct take_over *t)
{
	return t && t->pipe != NULL;
}
