#include "config.h"

#include <nonos/control.h>

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/mem.h>

static json_t *reply_new(json_t *id)
{
	json_t *reply = json_object();

	if (!reply)
		mem_fail();
	json_object_set_new(reply, "jsonrpc", json_string("2.0"));
	json_object_set(reply, "id", id ? id : json_null());
	return reply;
}

/* A message cut in the middle of a character is not UTF-8, which JSON has to be. */
static json_t *message_json(const char *message)
{
	json_t *text = json_string(message);
	char *plain;

	if (text)
		return text;
	plain = mem_strdup(message);
	for (char *p = plain; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	text = json_string(plain);
	free(plain);
	return text;
}

static json_t *reply_error(json_t *id, int code, const char *message)
{
	json_t *reply = reply_new(id);

	json_object_set_new(reply, "error", json_pack("{s:i, s:o}", "code", code, "message", message_json(message)));
	return reply;
}

/* jansson recurses; a line of brackets must not choose how deep. */
static bool depth_is_ok(const char *line, size_t len)
{
	bool in_string = false;
	unsigned depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = line[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			if (++depth > CTL_DEPTH_MAX)
				return false;
		} else if ((c == ']' || c == '}') && depth > 0) {
			depth--;
		}
	}
	return true;
}

int ctl_fail(struct ctl_call *call, int r, enum ctl_code code, const char *fmt, ...)
{
	va_list ap;

	call->err.code = code;
	va_start(ap, fmt);
	vsnprintf(call->err.message, sizeof(call->err.message), fmt, ap);
	va_end(ap);
	return r;
}

static int run_command(const struct ctl_commands *commands, struct ctl_call *call, const char *method)
{
	const struct command *c = command_find(commands->v, commands->n, method);
	ctl_run_fn run = c ? commands->run[c - commands->v] : NULL;
	int r;

	if (!run)
		return ctl_fail(call, ERR_NOT_FOUND, CTL_UNKNOWN_METHOD, "there is no such method");
	call->command = c;
	call->err.code = CTL_INVALID_PARAMS;
	r = command_check(c, call->params, call->err.message);
	if (r < 0)
		return r;
	if (c->flags & (CMD_CHANGES | CMD_OWNER) && !call->session->may_change)
		return ctl_fail(call, ERR_PERMISSION, CTL_FORBIDDEN,
				"%s needs root, the daemon's user, or the group of the control socket", c->words);
	call->dry_run = c->flags & CMD_CHANGES && param_flag(call->params, "dry_run");
	call->err.code = CTL_INTERNAL;
	return run(call);
}

/* The reply to a request that was carried out; takes over call->result. */
static json_t *reply_to(const struct ctl_call *call, int r)
{
	json_t *reply;

	if (r < 0) {
		json_decref(call->result);
		return reply_error(call->id, call->err.code, call->err.message[0] ? call->err.message : err_str(r));
	}
	reply = reply_new(call->id);
	json_object_set_new(reply, "result", call->result ? call->result : json_null());
	return reply;
}

/* Answer one request object; NULL when there is nothing to say, or not yet. */
static json_t *answer_one(const struct ctl_commands *commands, struct ctl_session *session, json_t *request,
			  bool in_batch)
{
	struct ctl_call call = {
		.arg = commands->arg, .params = json_object_get(request, "params"), .session = session,
		.id = json_object_get(request, "id"), .in_batch = in_batch, .err = { .code = CTL_INTERNAL },
	};
	const char *version = json_string_value(json_object_get(request, "jsonrpc"));
	const char *method = json_string_value(json_object_get(request, "method"));
	int r;

	if (call.id && !json_is_string(call.id) && !json_is_number(call.id) && !json_is_null(call.id))
		return reply_error(NULL, CTL_INVALID_REQUEST, "\"id\" must be a string or a number");
	if (!version || strcmp(version, "2.0") != 0 || !method)
		return reply_error(call.id, CTL_INVALID_REQUEST,
				   "a request is an object with \"jsonrpc\": \"2.0\" and \"method\"");
	r = run_command(commands, &call, method);
	if (call.pending)
		return NULL;
	if (!call.id) {
		json_decref(call.result);
		return NULL;
	}
	return reply_to(&call, r);
}

static json_t *answer_batch(const struct ctl_commands *commands, struct ctl_session *session, json_t *batch)
{
	json_t *replies, *request, *reply;
	size_t i;

	if (json_array_size(batch) == 0 || json_array_size(batch) > CTL_BATCH_MAX)
		return reply_error(NULL, CTL_INVALID_REQUEST, "a batch has 1 to 32 requests");
	replies = json_array();
	json_array_foreach(batch, i, request) {
		reply = answer_one(commands, session, request, true);
		if (reply)
			json_array_append_new(replies, reply);
	}
	if (json_array_size(replies) == 0) {
		json_decref(replies);
		return NULL;
	}
	return replies;
}

static char *dump_line(json_t *reply)
{
	size_t flags = JSON_COMPACT | JSON_ENSURE_ASCII, len;
	char *text;

	if (!reply)
		return NULL;
	len = json_dumpb(reply, NULL, 0, flags);
	text = mem_new(len + 2);
	json_dumpb(reply, text, len, flags);
	text[len] = '\n';
	json_decref(reply);
	return text;
}

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
	p = mem_new(sizeof(*p));
	*p = (struct ctl_pending){ s, s->pending, &s->pending, call->id ? json_incref(call->id) : NULL, gone, arg };
	if (p->next)
		p->next->prev = &p->next;
	s->pending = p;
	s->n_pending++;
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
	json_decref(p->id);
	free(p);
}

static void session_send(struct ctl_session *s, json_t *message)
{
	char *line = dump_line(message);

	s->write(s, line, strlen(line));
	free(line);
}

static void pending_answer(struct ctl_pending *p, const struct ctl_call *call, int r)
{
	struct ctl_session *s = p->session;
	json_t *reply = p->id ? reply_to(call, r) : NULL;

	if (!p->id)
		json_decref(call->result);
	pending_free(p);
	if (reply)
		session_send(s, reply);
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
}

/* -- lines -------------------------------------------------------------------------- */

char *ctl_answer(const struct ctl_commands *commands, struct ctl_session *session, const char *line, size_t len)
{
	json_t *request, *reply;

	if (len > CTL_LINE_MAX || !depth_is_ok(line, len))
		return dump_line(reply_error(NULL, CTL_INVALID_REQUEST, "the request is too long or too deep"));
	request = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	if (!request)
		return dump_line(reply_error(NULL, CTL_PARSE_ERROR, "the line is not JSON"));
	if (json_is_array(request))
		reply = answer_batch(commands, session, request);
	else
		reply = answer_one(commands, session, request, false);
	json_decref(request);
	return dump_line(reply);
}
