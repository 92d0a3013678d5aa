/*
 * The HTTP client; see http.h. libcurl's multi interface tells which sockets to
 * watch and when to be called next; libevent does both. A finished call is
 * taken out of libcurl before its callback runs, so callbacks may start and
 * cancel other calls.
 */
#include "config.h"

#include <nonos/http.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>
#include <event2/event.h>

#include <nonos/err.h>
#include <nonos/mem.h>

enum {
	HEADERS_MAX = 8192,		/* bytes kept of a reply's headers */
	REASON_CAP = 128,
	CONNECT_TIMEOUT_MS = 20000,
	TOTAL_TIMEOUT_MS = 60000,
	STALL_S = 20,
	STALL_BYTES = 256,
	SOCKETS_MAX = 32,		/* connections at a time */
};

struct http_call {
	struct http_client *client;
	struct http_call *next, *prev;
	CURL *easy;
	struct curl_slist *headers;
	http_done_fn *done;
	void *arg;
	char *request_body;
	uint8_t *body;
	size_t len, cap, max;
	bool too_long;
	char head[HEADERS_MAX];		/* header lines, each with its CRLF */
	size_t head_len;
	char reason[REASON_CAP];
	char error[CURL_ERROR_SIZE];
};

/* What is watched on one of libcurl's sockets. */
struct http_socket {
	struct http_client *client;
	curl_socket_t fd;
	struct event *ev;
};

struct http_client {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	struct http_call *calls;
};

static void call_free(struct http_call *call)
{
	struct http_client *c = call->client;

	if (call->prev)
		call->prev->next = call->next;
	else
		c->calls = call->next;
	if (call->next)
		call->next->prev = call->prev;
	if (call->easy) {
		curl_multi_remove_handle(c->multi, call->easy);
		curl_easy_cleanup(call->easy);
	}
	curl_slist_free_all(call->headers);
	free(call->request_body);
	free(call->body);
	free(call);
}

static int err_from_curl(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_FILESIZE_EXCEEDED:
		return ERR_TOO_LONG;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_WRITE_ERROR:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_PARTIAL_FILE:
		return ERR_PROTOCOL;
	case CURLE_PEER_FAILED_VERIFICATION:
		return ERR_AUTH;
	default:
		return ERR_NETWORK;
	}
}

/* The callback runs when libcurl has let go of the call; it may start others. */
static void call_finish(struct http_call *call, CURLcode code)
{
	struct http_reply reply = { .err = err_from_curl(code), .reason = call->reason, .call = call };
	long status = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(call->client->multi, call->easy);
	if (call->too_long)
		reply.err = ERR_TOO_LONG;
	reply.status = (int)status;
	reply.body = call->body ? call->body : (const uint8_t *)"";
	reply.body_len = call->len;
	reply.error = call->error[0] ? call->error : reply.err ? err_str(reply.err) : "";
	call->done(call->arg, &reply);
	curl_easy_cleanup(call->easy);
	call->easy = NULL;
	call_free(call);
}

static void collect_finished(struct http_client *c)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(c->multi, &left))) {
		CURLcode code = msg->data.result;
		char *call = NULL;

		if (msg->msg == CURLMSG_DONE && !curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call))
			call_finish((struct http_call *)(void *)call, code);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct http_client *c = arg;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect_finished(c);
}

static int timer_wanted(CURLM *multi, long ms, void *arg)
{
	struct http_client *c = arg;
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	(void)multi;
	if (ms < 0)
		evtimer_del(c->timer);
	else
		evtimer_add(c->timer, &tv);
	return 0;
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct http_client *c = ((struct http_socket *)arg)->client;
	int action = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
	int running;

	curl_multi_socket_action(c->multi, fd, action, &running);
	collect_finished(c);
}

static void socket_unwatch(struct http_socket *s)
{
	if (!s)
		return;
	event_free(s->ev);
	free(s);
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http_client *c = arg;
	struct http_socket *s = socket_arg;
	short events = EV_PERSIST;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		socket_unwatch(s);
		curl_multi_assign(c->multi, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EV_READ;
	if (what & CURL_POLL_OUT)
		events |= EV_WRITE;
	if (!s) {
		s = mem_new(sizeof(*s));
		s->client = c;
		s->fd = fd;
	} else {
		event_free(s->ev);
	}
	s->ev = event_new(c->base, fd, events, on_socket, s);
	if (!s->ev)
		mem_fail();
	event_add(s->ev, NULL);
	curl_multi_assign(c->multi, fd, s);
	return 0;
}

struct http_client *http_client_new(struct event_base *base)
{
	static bool library_ready;
	struct http_client *c = mem_new(sizeof(*c));

	if (!library_ready && curl_global_init(CURL_GLOBAL_DEFAULT))
		mem_fail();
	library_ready = true;
	c->base = base;
	c->multi = curl_multi_init();
	c->timer = evtimer_new(base, on_timer, c);
	if (!c->multi || !c->timer)
		mem_fail();
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)SOCKETS_MAX);
	return c;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	while (c->calls)
		call_free(c->calls);
	curl_multi_cleanup(c->multi);
	event_free(c->timer);
	free(c);
}

void http_cancel(struct http_call *call)
{
	if (call)
		call_free(call);
}

/* Bytes arrive here decoded: a decompression bomb is cut off where it passes the limit. */
static size_t take_body(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	size_t len = size * n;

	if (len > call->max - call->len) {
		call->too_long = true;
		return 0;
	}
	if (call->len + len + 1 > call->cap) {
		size_t cap = call->cap ? call->cap * 2 : 4096;

		while (cap < call->len + len + 1)
			cap *= 2;
		call->body = mem_resize(call->body, cap, 1);
		call->cap = cap;
	}
	memcpy(call->body + call->len, data, len);
	call->len += len;
	call->body[call->len] = '\0';
	return len;
}

/* "HTTP/1.0 400 Some reason" */
static void take_status_line(struct http_call *call, const char *line, size_t len)
{
	const char *p = memchr(line, ' ', len), *end = line + len;
	size_t n = 0;

	p = p ? memchr(p + 1, ' ', (size_t)(end - p - 1)) : NULL;
	if (p)
		p++;
	while (p && p < end && n + 1 < sizeof(call->reason)) {
		if (*p == '\r' || *p == '\n')
			break;
		call->reason[n++] = *p >= 0x20 && *p < 0x7f ? *p : '?';
		p++;
	}
	call->reason[n] = '\0';
	call->head_len = 0;
}

static size_t take_header(char *line, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	size_t len = size * n;

	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		take_status_line(call, line, len);
	} else if (len <= sizeof(call->head) - call->head_len) {
		memcpy(call->head + call->head_len, line, len);
		call->head_len += len;
	}
	return len;
}

bool http_reply_header(const struct http_reply *reply, const char *name, char *out, size_t cap)
{
	const struct http_call *call = reply->call;
	const char *p = call->head, *end = call->head + call->head_len;
	size_t name_len = strlen(name);

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl ? nl : end;
		size_t n = 0;

		if ((size_t)(stop - p) > name_len && p[name_len] == ':' && strncasecmp(p, name, name_len) == 0) {
			for (p += name_len + 1; p < stop && (*p == ' ' || *p == '\t'); p++)
				;
			for (; p < stop && *p != '\r' && n + 1 < cap; p++)
				out[n++] = *p >= 0x20 && *p < 0x7f ? *p : '?';
			if (cap)
				out[n] = '\0';
			return true;
		}
		p = nl ? nl + 1 : end;
	}
	return false;
}

static CURLcode set_transport(CURL *e, const struct http_request *req)
{
	char source[ADDR_TEXT_CAP + 8], ip[ADDR_TEXT_CAP];
	CURLcode r = CURLE_OK;

#if LIBCURL_VERSION_NUM >= 0x075500
	r |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	r |= curl_easy_setopt(e, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	r |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	r |= curl_easy_setopt(e, CURLOPT_PROXY, "");
	r |= curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
	r |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	r |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
			      (long)(req->connect_timeout_ms ? req->connect_timeout_ms : CONNECT_TIMEOUT_MS));
	r |= curl_easy_setopt(e, CURLOPT_TIMEOUT_MS,
			      (long)(req->total_timeout_ms ? req->total_timeout_ms : TOTAL_TIMEOUT_MS));
	r |= curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES);
	r |= curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)(req->stall_s ? req->stall_s : STALL_S));
	if (req->source) {
		snprintf(source, sizeof(source), "host!%s", addr_format_ip(ip, req->source));
		r |= curl_easy_setopt(e, CURLOPT_INTERFACE, source);
	}
	return r;
}

static CURLcode set_message(CURL *e, struct http_call *call, const struct http_request *req)
{
	CURLcode r = CURLE_OK;

	r |= curl_easy_setopt(e, CURLOPT_URL, req->url);
	r |= curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
			      (long)(req->http10 ? CURL_HTTP_VERSION_1_0 : CURL_HTTP_VERSION_1_1));
	r |= curl_easy_setopt(e, CURLOPT_FORBID_REUSE, req->http10 ? 1L : 0L);
	r |= curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, req->http10 ? 1L : 0L);
	r |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, call->headers);
	if (req->compressed)
		r |= curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "deflate, gzip");
	if (req->if_modified_since) {
		r |= curl_easy_setopt(e, CURLOPT_TIMECONDITION, (long)CURL_TIMECOND_IFMODSINCE);
		r |= curl_easy_setopt(e, CURLOPT_TIMEVALUE_LARGE, (curl_off_t)req->if_modified_since);
	}
	if (req->body) {
		r |= curl_easy_setopt(e, CURLOPT_POST, 1L);
		r |= curl_easy_setopt(e, CURLOPT_POSTFIELDS, call->request_body);
		r |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
	}
	return r;
}

static CURLcode set_callbacks(CURL *e, struct http_call *call)
{
	CURLcode r = CURLE_OK;

	r |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
	r |= curl_easy_setopt(e, CURLOPT_WRITEDATA, call);
	r |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header);
	r |= curl_easy_setopt(e, CURLOPT_HEADERDATA, call);
	r |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, call->error);
	r |= curl_easy_setopt(e, CURLOPT_PRIVATE, call);
	return r;
}

static void add_header(struct http_call *call, const char *line)
{
	struct curl_slist *list = curl_slist_append(call->headers, line);

	if (!list)
		mem_fail();
	call->headers = list;
}

static void make_headers(struct http_call *call, const struct http_request *req)
{
	char line[256];

	for (const char *const *h = req->headers; h && *h; h++)
		add_header(call, *h);
	if (!req->body)
		return;
	/* An authority does not know "100 Continue"; nothing waits for one. */
	add_header(call, "Expect:");
	snprintf(line, sizeof(line), "Content-Type:%s%s", req->content_type ? " " : "",
		 req->content_type ? req->content_type : "");
	add_header(call, line);
}

int http_start(struct http_client *c, struct http_call **ret, const struct http_request *req,
	       http_done_fn *done, void *arg)
{
	struct http_call *call = mem_new(sizeof(*call));

	call->client = c;
	call->next = c->calls;
	if (c->calls)
		c->calls->prev = call;
	c->calls = call;
	call->done = done;
	call->arg = arg;
	call->max = req->max_bytes;
	call->easy = curl_easy_init();
	if (!call->easy)
		mem_fail();
	if (req->body)
		call->request_body = mem_dup(req->body, req->body_len);
	make_headers(call, req);
	if (set_transport(call->easy, req) || set_message(call->easy, call, req) ||
	    set_callbacks(call->easy, call) || curl_multi_add_handle(c->multi, call->easy)) {
		call_free(call);
		return ERR_MALFORMED;
	}
	*ret = call;
	return 0;
}
