/* One line on the control socket. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/control.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int run(struct ctl_call *call)
{
	call->result = json_boolean(call->dry_run);
	return 0;
}

static int run_late(struct ctl_call *call)
{
	struct ctl_pending *p;

	return ctl_defer(&p, call, NULL, NULL);
}

static void drop(struct ctl_session *s, const char *line, size_t len)
{
	(void)s;
	(void)line;
	(void)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct command_arg args[] = {
		{ "text", KIND_TEXT, 1, 8, 0, "TEXT", "" }, { "count", KIND_INTEGER, 0, 9, 0, "N", "" },
		{ "account", KIND_ADDRESS, 0, 0, 0, "ADDRESS", "" }, { "list", KIND_HEX, 0, 4, ARG_REPEAT, "HEX", "" },
	};
	static const struct command rows[] = {
		{ "status", COMMAND_DAEMON, 0, "", args, 4 }, { "stop", COMMAND_DAEMON, CMD_CHANGES, "", NULL, 0 },
		{ "late", COMMAND_DAEMON, 0, "", NULL, 0 },
	};
	static const ctl_run_fn handlers[] = { run, run, run_late };
	static const struct ctl_commands commands = { rows, handlers, 3, NULL };
	struct ctl_session session = { .may_change = len & 1, .write = drop };
	char *reply = ctl_answer(&commands, &session, (const char *)data, len);

	ctl_session_end(&session);
	/* An answer is one line, whatever was asked. */
	if (reply && strchr(reply, '\n') != reply + strlen(reply) - 1)
		abort();
	free(reply);
	return 0;
}
