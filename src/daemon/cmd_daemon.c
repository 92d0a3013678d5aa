/* Methods over the daemon as a whole: stop, reload. */
#include "config.h"

#include "keeper.h"

#include <string.h>

#include <nonos/err.h>

int cmd_stop(struct ctl_call *call)
{
	struct keeper *k = call->arg;

	call->result = json_pack("{s:b, s:i}", "dry_run", call->dry_run, "shutdown_wait_s",
				(int)k->config->shutdown_wait);
	if (!call->dry_run)
		keeper_stop(k, "control socket");
	return 0;
}

/* The complaints about a file are lines; an error message is one. */
static void join_lines(char *text)
{
	size_t len = strlen(text);

	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = ';';
}

int cmd_reload(struct ctl_call *call)
{
	json_t *changes;
	int r = keeper_reload(call->arg, call->dry_run, &changes, call->err.message, sizeof(call->err.message));

	if (r < 0) {
		call->err.code = CTL_FAILED;
		join_lines(call->err.message);
		return r;
	}
	call->result = json_pack("{s:b, s:o}", "dry_run", call->dry_run, "changes", changes);
	return 0;
}
