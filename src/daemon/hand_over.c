#include "config.h"

#include "hand_over.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/socket_file.h>

#include "pipe.h"

static const char file_name[] = "handover";

/* Where the one connection is. */
enum stage {
	STAGE_NONE,		/* there is none */
	STAGE_CONNECTED,	/* its TAKE_ASK is due */
	STAGE_GIVEN,		/* its TAKE_READY is due */
	STAGE_TAKEN,
};

struct hand_over {
	struct event_base *base;
	struct hand_over_hooks hooks;
	struct socket_file file;
	struct event *listener, *timer;
	struct pipe *pipe;
	enum stage stage;
	pid_t peer;
};

int hand_over_address(struct sockaddr_un *ret, int *ret_dir_fd, const char *data_dir)
{
	int fd = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", fd, file_name);
	*ret_dir_fd = fd;
	return 0;
}

/* -- one connection ------------------------------------------------------------ */

static void send_text(struct pipe *p, enum message_type type, const char *text)
{
	uint8_t buf[FRAME_PAYLOAD_MAX];
	struct wr w = wr_init(buf, sizeof(buf));

	message_text_write(&w, text);
	(void)pipe_send(p, type, buf, wr_len(&w), -1);
}

static void set_timer(struct hand_over *h, unsigned seconds)
{
	struct timeval tv = { .tv_sec = seconds };

	event_del(h->timer);
	if (seconds)
		event_add(h->timer, &tv);
}

/* The connection is over; what had stopped for it goes on. */
static void end_connection(struct hand_over *h, const char *why)
{
	enum stage stage = h->stage;

	set_timer(h, 0);
	pipe_free(h->pipe);
	h->pipe = NULL;
	h->stage = STAGE_NONE;
	if (h->listener)
		event_add(h->listener, NULL);
	if (stage == STAGE_GIVEN)
		h->hooks.given_up(h->hooks.arg, why);
}

void hand_over_refuse(struct hand_over *h, const char *why)
{
	if (!h || (h->stage != STAGE_CONNECTED && h->stage != STAGE_GIVEN))
		return;
	send_text(h->pipe, MSG_GIVE_REFUSED, why);
	end_connection(h, why);
}

static void timer_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	clock_update();
	hand_over_refuse(arg, "the new nonosd took too long");
}

static void send_state(struct hand_over *h)
{
	struct message_state *m = mem_new(sizeof(*m));
	uint8_t buf[4 * 1024];
	struct wr w = wr_init(buf, sizeof(buf));

	h->hooks.state(h->hooks.arg, m);
	m->version = HAND_OVER_VERSION;
	message_state_write(&w, m);
	(void)pipe_send(h->pipe, MSG_GIVE_STATE, buf, wr_len(&w), -1);
	free(m);
}

void hand_over_socket(struct hand_over *h, enum hand_socket kind, int fd)
{
	uint8_t payload = (uint8_t)kind;

	(void)pipe_send(h->pipe, MSG_GIVE_SOCKET, &payload, 1, fd);
}

void hand_over_counters(struct hand_over *h, const char *text)
{
	/* One that does not read gets fewer of them. */
	if (h && h->stage == STAGE_TAKEN && pipe_queued(h->pipe) == 0)
		send_text(h->pipe, MSG_GIVE_COUNTERS, text);
}

/* What is refused here ends by itself: the peer reads the sentence and goes. */
static int take_ask(struct hand_over *h, struct rd *r)
{
	struct message_hand_ask m;
	const char *why_not;

	if (h->stage != STAGE_CONNECTED || message_hand_ask_read(&m, r) < 0)
		return ERR_MALFORMED;
	if (m.flags & HAND_ASK_ONLY) {
		send_state(h);
		return 0;
	}
	why_not = m.version < HAND_OVER_VERSION ? "the new nonosd is older than this one and cannot take over from it"
		  : h->hooks.asked(h->hooks.arg);
	if (why_not) {
		send_text(h->pipe, MSG_GIVE_REFUSED, why_not);
		return 0;
	}
	h->stage = STAGE_GIVEN;
	set_timer(h, HAND_OVER_WAIT_S);
	send_state(h);
	h->hooks.give(h->hooks.arg);
	(void)pipe_send(h->pipe, MSG_GIVE_ALL, NULL, 0, -1);
	return 0;
}

static void close_listener(struct hand_over *h)
{
	int fd;

	if (!h->listener)
		return;
	fd = event_get_fd(h->listener);
	event_free(h->listener);
	close(fd);
	h->listener = NULL;
}

static int take_ready(struct hand_over *h)
{
	if (h->stage != STAGE_GIVEN)
		return ERR_PROTOCOL;
	set_timer(h, 0);
	h->stage = STAGE_TAKEN;
	close_listener(h);
	h->hooks.taken(h->hooks.arg, h->peer);
	(void)pipe_send(h->pipe, MSG_GIVE_DONE, NULL, 0, -1);
	return 0;
}

static int on_message(void *arg, struct frame *f, int fd)
{
	struct hand_over *h = arg;

	(void)fd;	/* no TAKE row has one */
	if (f->row->type == MSG_TAKE_ASK)
		return take_ask(h, &f->payload);
	return f->row->type == MSG_TAKE_READY ? take_ready(h) : ERR_PROTOCOL;
}

static void on_ended(void *arg, int why)
{
	end_connection(arg, why == ERR_CLOSED ? "it ended before it was ready" : err_str(why));
}

/* -- who connects --------------------------------------------------------------- */

static bool peer_is_ours(pid_t *ret_pid, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || len != sizeof(peer))
		return false;
	*ret_pid = peer.pid;
	return peer.uid == 0 || peer.uid == geteuid();
}

static void accept_cb(evutil_socket_t sock, short what, void *arg)
{
	struct pipe_hooks hooks = { .message = on_message, .ended = on_ended, .arg = arg };
	struct hand_over *h = arg;
	pid_t pid;
	int fd = accept4(sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	clock_update();
	if (fd < 0)
		return;
	if (!peer_is_ours(&pid, fd)) {
		log_limited(LOG_LEVEL_WARN, "Another user's program wanted to take over and was turned away.");
		close(fd);
		return;
	}
	h->stage = STAGE_CONNECTED;
	h->peer = pid;
	h->pipe = pipe_new(h->base, fd, MSG_TAKE, &hooks);
	set_timer(h, HAND_OVER_ASK_S);
	/* The next one waits in the socket until this one has failed. */
	event_del(h->listener);
}

/* -- life ------------------------------------------------------------------------ */

static int listen_on(int *ret_fd, const char *data_dir)
{
	struct sockaddr_un sun;
	int dir, fd, r = ERR_SYSTEM, saved;

	r = hand_over_address(&sun, &dir, data_dir);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The lock is ours, so whoever made this file is gone or has handed over to us. */
	(void)!unlinkat(dir, file_name, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 && listen(fd, 4) == 0)
		r = 0;
	else
		r = ERR_SYSTEM;
	saved = errno;
	close(dir);
	if (r < 0 && fd >= 0)
		close(fd);
	errno = saved;
	*ret_fd = fd;
	return r;
}

int hand_over_open(struct hand_over **ret, struct event_base *base, const char *data_dir,
		   const struct hand_over_hooks *hooks, char *err, size_t err_cap)
{
	struct hand_over *h;
	char *path;
	int fd;

	if (listen_on(&fd, data_dir) < 0) {
		snprintf(err, err_cap, "The socket %s/%s cannot be made: %s.", data_dir, file_name, strerror(errno));
		return ERR_SYSTEM;
	}
	h = mem_new(sizeof(*h));
	h->base = base;
	h->hooks = *hooks;
	path = mem_printf("%s/%s", data_dir, file_name);
	socket_file_init(&h->file, path);
	free(path);
	h->listener = event_new(base, fd, EV_READ | EV_PERSIST, accept_cb, h);
	h->timer = event_new(base, -1, 0, timer_cb, h);
	if (!h->listener || !h->timer)
		mem_fail();
	event_add(h->listener, NULL);
	*ret = h;
	return 0;
}

void hand_over_free(struct hand_over *h)
{
	if (!h)
		return;
	hand_over_refuse(h, "the old nonosd stops");
	pipe_free(h->pipe);
	/* Once it is handed over the name is another's. */
	if (h->listener)
		socket_file_remove(&h->file);
	close_listener(h);
	event_free(h->timer);
	socket_file_clear(&h->file);
	free(h);
}
