/*
 * Directory streams (tor-spec 6.2.1): BEGIN_DIR opens one, its DATA is an HTTP
 * request, and the answer is read from the directory cache as windows allow.
 */
#include "config.h"

#include "stream.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/mem.h>

#include "circuit.h"
#include "counters.h"
#include "dir/dirserv.h"
#include "relay_priv.h"

void dir_clear(struct stream *s)
{
	if (s->kind != STREAM_DIR)
		return;
	event_del(&s->write_event);
	dir_reply_free(s->reply);
	free(s->request);
	s->reply = NULL;
	s->request = NULL;
	s->request_len = 0;
}

static void request_timeout_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	stream_end(arg, END_TIMEOUT);
}

/* Fill a burst from the answer, whatever the sizes of its pieces. */
static size_t fill(struct dir_reply *reply, uint8_t *out, size_t cap, bool *ret_end)
{
	size_t len = 0;

	while (len < cap) {
		size_t n = dir_reply_read(reply, out + len, cap - len);

		if (n == 0) {
			*ret_end = true;
			break;
		}
		len += n;
	}
	return len;
}

void dir_pull(struct stream *s)
{
	struct edge *e = s->edge;
	uint32_t cells = flow_burst(&e->flow);
	bool end = false;
	size_t len;

	if (!e->flow.cc && cells > s->package_window)
		cells = s->package_window;
	len = fill(s->reply, stream_scratch, flow_burst_bytes(&e->flow, cells), &end);
	e->relay->counters.dir_bytes += len;
	if (stream_package(s, stream_scratch, len) < 0)
		return;
	if (end) {
		stream_end(s, END_DONE);
		return;
	}
	stream_account(s);
	stream_update(s);
}

/* The client's DATA is consumed as it comes, so its window is always filled up again. */
static int consume(struct stream *s)
{
	return s->edge->flow.cc ? 0 : stream_flushed(s, 0);
}

static void request_append(struct stream *s, const struct relay_msg *m)
{
	s->request = mem_resize(s->request, s->request_len + m->len, 1);
	memcpy(s->request + s->request_len, m->data, m->len);
	s->request_len += m->len;
	stream_account(s);
}

int dir_data(struct stream *s, const struct relay_msg *m)
{
	struct relay *r = s->edge->relay;
	struct addr peer = circuit_prev_addr(s->edge->circuit);
	int e;

	if (consume(s) < 0 || s->reply)
		return 0;
	if (s->request_len + m->len > DIR_REQUEST_MAX) {
		stream_end(s, END_TORPROTOCOL);
		return 0;
	}
	request_append(s, m);
	e = dirserv_request(r->dirserv, &s->reply, (const char *)s->request, s->request_len, &peer);
	if (e == ERR_AGAIN)
		return 0;
	if (e < 0) {
		stream_end(s, END_TORPROTOCOL);
		return 0;
	}
	r->counters.dir_replies[count_dir_reply(dir_reply_status(s->reply))]++;
	event_del(&s->write_event);
	free(s->request);
	s->request = NULL;
	s->request_len = 0;
	stream_account(s);
	stream_pull(s);
	return 0;
}

int dir_begin(struct edge *e, const struct relay_msg *m)
{
	struct timeval tv = { .tv_sec = STREAM_REQUEST_S };
	struct relay *r = e->relay;
	struct stream *s;

	if (!r->config.dir_cache || !r->dirserv)
		return edge_refuse(e, m->stream_id, END_NOTDIRECTORY);
	if (edge_is_full(e))
		return edge_refuse(e, m->stream_id, END_RESOURCELIMIT);
	s = stream_new(e, STREAM_DIR, m->stream_id);
	event_assign(&s->write_event, r->base, -1, 0, request_timeout_cb, s);
	event_add(&s->write_event, &tv);
	s->state = STREAM_OPEN;
	r->counters.streams_opened++;
	(void)circuit_send(e->circuit, RELAY_CONNECTED, m->stream_id, NULL, 0, NULL);
	return 0;
}
