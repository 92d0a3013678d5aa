#include "config.h"

#include <nonos/control.h>

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

static const struct ctl_command *command_find(const struct ctl_commands *commands, const char *method)
{
	for (size_t i = 0; i < commands->n; i++)
		if (strcmp(commands->v[i].method, method) == 0)
			return &commands->v[i];
	return NULL;
}

/* The one parameter there is: "dry_run", for methods that change something. */
static int read_params(bool *ret_dry_run, const struct ctl_command *c, const json_t *params,
		       struct ctl_error *err)
{
	const char *name;
	json_t *value;

	*ret_dry_run = false;
	err->code = CTL_INVALID_PARAMS;
	if (!params)
		return 0;
	if (!json_is_object(params)) {
		snprintf(err->message, sizeof(err->message), "params must be an object with named values");
		return ERR_MALFORMED;
	}
	json_object_foreach((json_t *)(uintptr_t)params, name, value) {
		if (!(c->flags & CTL_CHANGES) || strcmp(name, "dry_run") != 0) {
			snprintf(err->message, sizeof(err->message), "%s takes %s", c->method,
				 c->flags & CTL_CHANGES ? "\"dry_run\" alone" : "no parameters");
			return ERR_MALFORMED;
		}
		if (!json_is_boolean(value)) {
			snprintf(err->message, sizeof(err->message), "\"dry_run\" must be true or false");
			return ERR_MALFORMED;
		}
		*ret_dry_run = json_is_true(value);
	}
	return 0;
}

static int run_command(const struct ctl_commands *commands, bool may_change, const char *method,
		       const json_t *params, json_t **ret_result, struct ctl_error *err)
{
	const struct ctl_command *c = command_find(commands, method);
	bool dry_run;
	int r;

	if (!c) {
		err->code = CTL_UNKNOWN_METHOD;
		snprintf(err->message, sizeof(err->message), "there is no such method");
		return ERR_NOT_FOUND;
	}
	r = read_params(&dry_run, c, params, err);
	if (r < 0)
		return r;
	if (c->flags & CTL_CHANGES && !may_change) {
		err->code = CTL_FORBIDDEN;
		snprintf(err->message, sizeof(err->message),
			 "%s needs root, the daemon's user, or the group of the control socket", c->method);
		return ERR_PERMISSION;
	}
	err->code = CTL_INTERNAL;
	return c->run(commands->arg, dry_run, ret_result, err);
}

/* Answer one request object; NULL for a notification, which gets none. */
static json_t *answer_one(const struct ctl_commands *commands, bool may_change, json_t *request)
{
	json_t *id = json_object_get(request, "id"), *result = NULL, *reply;
	const char *version = json_string_value(json_object_get(request, "jsonrpc"));
	const char *method = json_string_value(json_object_get(request, "method"));
	struct ctl_error err = { .code = CTL_INTERNAL };
	int r;

	if (id && !json_is_string(id) && !json_is_number(id) && !json_is_null(id))
		return reply_error(NULL, CTL_INVALID_REQUEST, "\"id\" must be a string or a number");
	if (!version || strcmp(version, "2.0") != 0 || !method)
		return reply_error(id, CTL_INVALID_REQUEST,
				   "a request is an object with \"jsonrpc\": \"2.0\" and \"method\"");
	r = run_command(commands, may_change, method, json_object_get(request, "params"), &result, &err);
	if (!id) {
		json_decref(result);
		return NULL;
	}
	if (r < 0)
		return reply_error(id, err.code, err.message[0] ? err.message : err_str(r));
	reply = reply_new(id);
	json_object_set_new(reply, "result", result ? result : json_null());
	return reply;
}

static json_t *answer_batch(const struct ctl_commands *commands, bool may_change, json_t *batch)
{
	json_t *replies, *request, *reply;
	size_t i;

	if (json_array_size(batch) == 0 || json_array_size(batch) > CTL_BATCH_MAX)
		return reply_error(NULL, CTL_INVALID_REQUEST, "a batch has 1 to 32 requests");
	replies = json_array();
	json_array_foreach(batch, i, request) {
		reply = answer_one(commands, may_change, request);
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

char *ctl_answer(const struct ctl_commands *commands, bool may_change, const char *line, size_t len)
{
	json_t *request, *reply;

	if (len > CTL_LINE_MAX || !depth_is_ok(line, len))
		return dump_line(reply_error(NULL, CTL_INVALID_REQUEST, "the request is too long or too deep"));
	request = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	if (!request)
		return dump_line(reply_error(NULL, CTL_PARSE_ERROR, "the line is not JSON"));
	if (json_is_array(request))
		reply = answer_batch(commands, may_change, request);
	else
		reply = answer_one(commands, may_change, request);
	json_decref(request);
	return dump_line(reply);
}
