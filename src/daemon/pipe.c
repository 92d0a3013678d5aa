#include "config.h"

#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

enum { FDS_READ_MAX = 4, FRAMES_PER_ROUND = 32 };

struct queued {
	struct queued *next;
	int fd;			/* owned duplicate, or -1 */
	size_t len;
	uint8_t data[];
};

struct pipe {
	int fd;
	enum message_direction incoming;
	struct pipe_hooks hooks;
	struct event *read_event, *write_event, *end_event;
	struct queued *head, **tail;
	size_t queued;
	int end_why;		/* 0: alive */
	uint8_t in[FRAME_MAX + 1];	/* one more, so that a frame too long is seen */
};

int pipe_pair(int ret_fds[2])
{
	int size = 4 * FRAME_MAX;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds) < 0)
		return ERR_SYSTEM;
	for (int i = 0; i < 2; i++)
		(void)!setsockopt(ret_fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

/* The hook may free the pipe, so it runs from the loop and not under a caller's feet. */
static void end_cb(evutil_socket_t fd, short what, void *arg)
{
	struct pipe *p = arg;

	(void)fd;
	(void)what;
	p->hooks.ended(p->hooks.arg, p->end_why);
}

static void pipe_end(struct pipe *p, int why)
{
	if (p->end_why)
		return;
	p->end_why = why;
	event_del(p->read_event);
	event_del(p->write_event);
	event_active(p->end_event, EV_TIMEOUT, 1);
}

/* Keep the first descriptor of a control message and close what else came. */
static unsigned take_fds(struct msghdr *mh, int *ret_fd)
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++, n++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (n == 0)
				*ret_fd = fd;
			else
				close(fd);
		}
	}
	return n;
}

static int handle_frame(struct pipe *p, size_t len, unsigned n_fds, int fd)
{
	struct frame f;
	int r = frame_parse(&f, p->in, len, p->incoming, n_fds);

	if (r < 0) {
		if (fd >= 0)
			close(fd);
		return r;
	}
	r = p->hooks.message(p->hooks.arg, &f, fd);
	if (f.row->flags & MSG_SECRET)
		secret_wipe(p->in, len);
	return r;
}

/* Read one frame: 0, ERR_AGAIN, or why the pipe ends. */
static int read_frame(struct pipe *p)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(FDS_READ_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = p->in, .iov_len = sizeof(p->in) };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf, .msg_controllen = sizeof(control.buf),
	};
	ssize_t n = recvmsg(p->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	unsigned n_fds;
	int fd = -1;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? ERR_AGAIN
		       : errno == ECONNRESET ? ERR_CLOSED : ERR_IO;
	n_fds = take_fds(&mh, &fd);
	if (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		if (fd >= 0)
			close(fd);
		return ERR_MALFORMED;
	}
	if (n == 0 && n_fds == 0)
		return ERR_CLOSED;
	return handle_frame(p, (size_t)n, n_fds, fd);
}

static void read_cb(evutil_socket_t sock, short what, void *arg)
{
	struct pipe *p = arg;

	(void)sock;
	(void)what;
	clock_update();
	for (int i = 0; i < FRAMES_PER_ROUND && !p->end_why; i++) {
		int r = read_frame(p);

		if (r == ERR_AGAIN)
			return;
		if (r < 0)
			pipe_end(p, r);
	}
}

/* Give one frame to the kernel: 0, ERR_AGAIN, ERR_CLOSED or ERR_IO. */
static int send_frame(struct pipe *p, const void *data, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { .buf = { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		mh.msg_control = control.buf;
		mh.msg_controllen = sizeof(control.buf);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
	}
	if (sendmsg(p->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 0;
	if (errno == EPIPE || errno == ECONNRESET)
		return ERR_CLOSED;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? ERR_AGAIN : ERR_IO;
}

static void queued_free(struct queued *q)
{
	if (q->fd >= 0)
		close(q->fd);
	secret_wipe(q->data, q->len);
	free(q);
}

static void queue_pop(struct pipe *p)
{
	struct queued *q = p->head;

	p->head = q->next;
	if (!p->head)
		p->tail = &p->head;
	p->queued--;
	queued_free(q);
}

static void write_cb(evutil_socket_t sock, short what, void *arg)
{
	struct pipe *p = arg;

	(void)sock;
	(void)what;
	clock_update();
	while (p->head) {
		int r = send_frame(p, p->head->data, p->head->len, p->head->fd);

		if (r == ERR_AGAIN)
			return;
		if (r < 0) {
			pipe_end(p, r);
			return;
		}
		queue_pop(p);
	}
	event_del(p->write_event);
}

static int queue_push(struct pipe *p, const uint8_t *data, size_t len, int fd)
{
	struct queued *q;

	if (p->queued >= PIPE_QUEUE_MAX)
		return ERR_LIMIT;
	q = mem_new(sizeof(*q) + len);
	q->len = len;
	memcpy(q->data, data, len);
	q->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0 && q->fd < 0) {
		queued_free(q);
		return ERR_SYSTEM;
	}
	*p->tail = q;
	p->tail = &q->next;
	p->queued++;
	event_add(p->write_event, NULL);
	return 0;
}

struct pipe *pipe_new(struct event_base *base, int fd, enum message_direction incoming,
		      const struct pipe_hooks *hooks)
{
	struct pipe *p = mem_new(sizeof(*p));

	p->fd = fd;
	p->incoming = incoming;
	p->hooks = *hooks;
	p->tail = &p->head;
	p->read_event = event_new(base, fd, EV_READ | EV_PERSIST, read_cb, p);
	p->write_event = event_new(base, fd, EV_WRITE | EV_PERSIST, write_cb, p);
	p->end_event = event_new(base, -1, 0, end_cb, p);
	if (!p->read_event || !p->write_event || !p->end_event)
		mem_fail();
	event_add(p->read_event, NULL);
	return p;
}

void pipe_free(struct pipe *p)
{
	if (!p)
		return;
	event_free(p->read_event);
	event_free(p->write_event);
	event_free(p->end_event);
	while (p->head)
		queue_pop(p);
	secret_wipe(p->in, sizeof(p->in));
	close(p->fd);
	free(p);
}

static enum message_direction opposite(enum message_direction d)
{
	switch (d) {
	case MSG_DOWN:
		return MSG_UP;
	case MSG_UP:
		return MSG_DOWN;
	case MSG_GIVE:
		return MSG_TAKE;
	case MSG_TAKE:
		return MSG_GIVE;
	}
	return d;
}

int pipe_send(struct pipe *p, enum message_type type, const void *payload, size_t len, int fd)
{
	const struct message_row *row = message_find((uint16_t)type);
	uint8_t out[FRAME_MAX];
	int r;

	if (p->end_why)
		return p->end_why;
	if (!row || row->direction != opposite(p->incoming) || len < row->min || len > row->max ||
	    row->fds != (fd >= 0))
		return ERR_RANGE;
	frame_header(out, row, (uint32_t)len);
	if (len)
		memcpy(out + FRAME_HEADER_LEN, payload, len);
	r = p->head ? ERR_AGAIN : send_frame(p, out, FRAME_HEADER_LEN + len, fd);
	if (r == ERR_AGAIN)
		r = queue_push(p, out, FRAME_HEADER_LEN + len, fd);
	if (row->flags & MSG_SECRET)
		secret_wipe(out, FRAME_HEADER_LEN + len);
	if (r < 0)
		pipe_end(p, r);
	return r;
}

size_t pipe_queued(const struct pipe *p)
{
	return p->queued;
}
