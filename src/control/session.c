/*
 * What a client is owed: answers that take time, and the events that it has
 * subscribed to. The server (server.c) owns the session and writes its lines.
 */
#include "config.h"

#include <nonos/control.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/mem.h>

#include "rpc.h"

/* -- answers that take time ------------------------------------------------------- */

struct ctl_pending {
	struct ctl_session *session;
	struct ctl_pending *next, **prev;
	json_t *id;
	void (*gone)(void *arg);
	void *arg;
};

int ctl_defer(struct ctl_pending **ret, struct ctl_call *call, void (*gone)(void *arg), void *arg)
{
	struct ctl_session *s = call->session;
	struct ctl_pending *p;

	if (call->in_batch)
		return ctl_fail(call, ERR_STATE, CTL_INVALID_REQUEST, "%s takes time, so it cannot be part of a batch",
				call->command->words);
	if (s->n_pending >= CTL_PENDING_MAX)
		return ctl_fail(call, ERR_LIMIT, CTL_NOT_NOW, "%u requests of this client still wait for their answers",
				s->n_pending);
	if (s->n_pending_all && *s->n_pending_all >= CTL_PENDING_ALL)
		return ctl_fail(call, ERR_LIMIT, CTL_NOT_NOW, "%u requests of all clients wait for their answers; try again",
				*s->n_pending_all);
	p = mem_new(sizeof(*p));
	*p = (struct ctl_pending){ s, s->pending, &s->pending, call->id ? json_incref(call->id) : NULL, gone, arg };
	if (p->next)
		p->next->prev = &p->next;
	s->pending = p;
	s->n_pending++;
	if (s->n_pending_all)
		++*s->n_pending_all;
	call->pending = p;
	*ret = p;
	return 0;
}

static void pending_free(struct ctl_pending *p)
{
	*p->prev = p->next;
	if (p->next)
		p->next->prev = p->prev;
	p->session->n_pending--;
	if (p->session->n_pending_all)
		--*p->session->n_pending_all;
	json_decref(p->id);
	free(p);
}

static void session_send(struct ctl_session *s, json_t *message)
{
	char *line = rpc_line(message);

	s->write(s, line, strlen(line));
	free(line);
}

static void pending_answer(struct ctl_pending *p, const struct ctl_call *call, int r)
{
	struct ctl_session *s = p->session;
	json_t *reply = p->id ? rpc_reply(call, r) : NULL;

	if (!p->id)
		json_decref(call->result);
	pending_free(p);
	if (reply)
		session_send(s, reply);
	if (s->settled)
		s->settled(s);
}

void ctl_pending_finish(struct ctl_pending *p, json_t *result)
{
	struct ctl_call call = { .id = p->id, .result = result };

	pending_answer(p, &call, 0);
}

void ctl_pending_fail(struct ctl_pending *p, enum ctl_code code, const char *fmt, ...)
{
	struct ctl_call call = { .id = p->id, .err = { .code = code } };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(call.err.message, sizeof(call.err.message), fmt, ap);
	va_end(ap);
	pending_answer(p, &call, ERR_STATE);
}

void ctl_pending_progress(struct ctl_pending *p, uint64_t done, uint64_t total, const char *what)
{
	if (p->id)
		session_send(p->session, json_pack("{s:s, s:s, s:{s:O, s:I, s:I, s:s}}", "jsonrpc", "2.0", "method", "progress",
						   "params", "id", p->id, "done", (json_int_t)done, "total",
						   (json_int_t)total, "what", what));
}

void ctl_session_end(struct ctl_session *s)
{
	while (s->pending) {
		struct ctl_pending *p = s->pending;
		void (*gone)(void *arg) = p->gone;
		void *arg = p->arg;

		pending_free(p);
		if (gone)
			gone(arg);
	}
	auth_forget(s);
}

/* -- events --------------------------------------------------------------------------- */

bool ctl_glob_is_good(const char *glob)
{
	size_t len = strlen(glob);

	return len > 0 && len <= CTL_GLOB_MAX && strspn(glob, "abcdefghijklmnopqrstuvwxyz0123456789_-.*") == len;
}

/* On a mismatch the last star takes one character more: linear in glob times text. */
static bool glob_matches(const char *glob, size_t len, const char *text)
{
	size_t g = 0, star = len;
	const char *from = text;

	while (*text) {
		if (g < len && glob[g] == '*') {
			star = g++;
			from = text;
		} else if (g < len && glob[g] == *text) {
			g++;
			text++;
		} else if (star < len) {
			g = star + 1;
			text = ++from;
		} else {
			return false;
		}
	}
	while (g < len && glob[g] == '*')
		g++;
	return g == len;
}

bool ctl_globs_match(const char *globs, size_t len, const char *text)
{
	for (size_t i = 0, n; i < len; i += n + 1) {
		const char *end = memchr(globs + i, ' ', len - i);

		n = end ? (size_t)(end - globs) - i : len - i;
		if (n && glob_matches(globs + i, n, text))
			return true;
	}
	return false;
}

int ctl_session_subscribe(struct ctl_session *s, const json_t *topics)
{
	char text[CTL_TOPICS_CAP] = "";
	const json_t *item;
	size_t len = 0, i;

	json_array_foreach(topics, i, item) {
		const char *glob = json_string_value(item);

		if (!glob || !ctl_glob_is_good(glob))
			return ERR_MALFORMED;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s.*", len ? " " : "", glob, glob);
		if (len >= sizeof(text))
			return ERR_TOO_LONG;
	}
	memcpy(s->topics, topics ? text : "*", topics ? sizeof(text) : 2);
	return 0;
}

bool ctl_session_hears(const struct ctl_session *s, const char *topic)
{
	return s->topics[0] && auth_holds(s) && ctl_globs_match(s->topics, strlen(s->topics), topic);
}

char *ctl_event_line(const char *topic, json_t *data)
{
	return rpc_line(json_pack("{s:s, s:s, s:{s:s, s:I, s:o}}", "jsonrpc", "2.0", "method", "event", "params",
				  "topic", topic, "time", (json_int_t)clock_wall(), "data", data));
}

void ctl_session_event(struct ctl_session *s, const char *line, size_t len)
{
	if (s->has_room && !s->has_room(s)) {
		s->n_lost++;
		return;
	}
	if (s->n_lost) {
		session_send(s, json_pack("{s:s, s:s, s:{s:I}}", "jsonrpc", "2.0", "method", "lost", "params",
					  "events", (json_int_t)s->n_lost));
		s->n_lost = 0;
	}
	s->write(s, line, len);
}
