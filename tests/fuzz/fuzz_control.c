/*
 * A client of the control socket: its lines one after the other, some answered
 * late, with and without rights, with and without a token.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/control.h>
#include <nonos/token.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { LATE_MAX = 4 };

static struct ctl_pending *late[LATE_MAX];
static struct token_store *tokens;

static int run(struct ctl_call *call)
{
	call->result = json_boolean(call->dry_run);
	return 0;
}

static void gone(void *arg)
{
	*(struct ctl_pending **)arg = NULL;
}

static int run_late(struct ctl_call *call)
{
	for (size_t i = 0; i < LATE_MAX; i++)
		if (!late[i])
			return ctl_defer(&late[i], call, gone, &late[i]);
	return ctl_fail(call, -1, CTL_NOT_NOW, "enough");
}

/* Ends what waits, in some way. */
static int run_end(struct ctl_call *call)
{
	for (size_t i = 0; i < LATE_MAX; i++) {
		if (!late[i])
			continue;
		ctl_pending_progress(late[i], i, 2, "going");
		if (i % 2)
			ctl_pending_finish(late[i], call->params ? json_deep_copy(call->params) : NULL);
		else
			ctl_pending_fail(late[i], CTL_FAILED, "no");
		late[i] = NULL;
	}
	return 0;
}

static int run_auth(struct ctl_call *call)
{
	return ctl_session_auth(call, tokens, param_text(call->params, "text"));
}

static int run_hear(struct ctl_call *call)
{
	return ctl_session_subscribe(call->session, json_object_get(call->params, "list"));
}

/* An answer is one line, whatever was asked. */
static void check_line(struct ctl_session *s, const char *line, size_t len)
{
	(void)s;
	if (memchr(line, '\n', len) != line + len - 1)
		abort();
}

static void feed(const struct ctl_commands *commands, struct ctl_session *session, const char *line, size_t len)
{
	char *reply = ctl_answer(commands, session, line, len), *event;

	if (reply)
		check_line(session, reply, strlen(reply));
	free(reply);
	if (!ctl_session_hears(session, "worker.ended"))
		return;
	event = ctl_event_line("worker.ended", json_object());
	ctl_session_event(session, event, strlen(event));
	free(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct command_arg args[] = {
		{ "text", KIND_TEXT, 1, 4096, 0, "TEXT", "" }, { "count", KIND_INTEGER, 0, 9, 0, "N", "" },
		{ "account", KIND_ADDRESS, 0, 0, 0, "ADDRESS", "" }, { "list", KIND_TEXT, 0, 64, ARG_REPEAT, "TEXT", "" },
		{ "hex", KIND_HEX, 0, 4, 0, "HEX", "" }, { "way", KIND_CHOICE, 0, 0, 0, "up|down", "" },
		{ "local", KIND_TEXT, 0, 9, ARG_LOCAL, "TEXT", "" }, { "amount", KIND_TOKENS, 0, 0, 0, "TOKENS", "" },
	};
	static const struct command_arg auth_args[] = { { "text", KIND_TEXT, 1, 4096, ARG_REQUIRED, "TOKEN", "" } };
	static const struct command rows[] = {
		{ "status", COMMAND_DAEMON, 0, "", args, 8 }, { "stop", COMMAND_DAEMON, CMD_CHANGES, "", NULL, 0 },
		{ "late", COMMAND_DAEMON, 0, "", NULL, 0 }, { "end", COMMAND_DAEMON, 0, "", args, 8 },
		{ "auth", COMMAND_DAEMON, CMD_PROTOCOL | CMD_AUTH, "", auth_args, 1 }, { "events", COMMAND_DAEMON, 0, "", args, 8 },
	};
	static const ctl_run_fn handlers[] = { run, run, run_late, run_end, run_auth, run_hear };
	static const struct ctl_commands commands = { rows, handlers, 6, NULL };
	struct ctl_session session = { .may_change = len & 1, .write = check_line };
	const char *p = (const char *)data, *end = p + len;

	tokens = token_store_new("/nonexistent");
	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t n = stop ? (size_t)(stop - p) : (size_t)(end - p);

		feed(&commands, &session, p, n);
		p += n + 1;
	}
	ctl_session_end(&session);
	for (size_t i = 0; i < LATE_MAX; i++)
		if (late[i])
			abort();
	token_store_free(tokens);
	return 0;
}
