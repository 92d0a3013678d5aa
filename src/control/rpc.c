#include "config.h"

#include <nonos/control.h>

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/json_set.h>
#include <nonos/mem.h>

#include "rpc.h"

static json_t *reply_new(json_t *id)
{
	json_t *reply = json_object();

	if (!reply)
		mem_fail();
	json_object_set_new(reply, "jsonrpc", json_string("2.0"));
	json_object_set(reply, "id", id ? id : json_null());
	return reply;
}

static json_t *reply_error(json_t *id, int code, const char *message)
{
	json_t *reply = reply_new(id);

	json_object_set_new(reply, "error", json_pack("{s:i, s:o}", "code", code, "message", json_sentence(message)));
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
	r = auth_check(call);
	if (r < 0)
		return r;
	call->err.code = CTL_INVALID_PARAMS;
	r = command_check(c, call->params, call->err.message);
	if (r < 0)
		return r;
	call->dry_run = c->flags & CMD_CHANGES && param_flag(call->params, "dry_run");
	call->err.code = CTL_INTERNAL;
	return run(call);
}

json_t *rpc_reply(const struct ctl_call *call, int r)
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
	return rpc_reply(&call, r);
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

char *rpc_line(json_t *reply)
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

/* -- lines -------------------------------------------------------------------------- */

char *ctl_answer(const struct ctl_commands *commands, struct ctl_session *session, const char *line, size_t len)
{
	json_t *request, *reply;

	if (len > CTL_LINE_MAX || !depth_is_ok(line, len))
		return rpc_line(reply_error(NULL, CTL_INVALID_REQUEST, "the request is too long or too deep"));
	request = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	if (!request)
		return rpc_line(reply_error(NULL, CTL_PARSE_ERROR, "the line is not JSON"));
	if (json_is_array(request))
		reply = answer_batch(commands, session, request);
	else
		reply = answer_one(commands, session, request, false);
	json_decref(request);
	return rpc_line(reply);
}
