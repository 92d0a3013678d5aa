/* Methods over the daemon as a whole: stop, reload. */
#include "config.h"

#include "keeper.h"

#include <string.h>

#include <nonos/err.h>

int cmd_stop(void *arg, bool dry_run, json_t **ret_result, struct ctl_error *err)
{
	struct keeper *k = arg;

	(void)err;
	*ret_result = json_pack("{s:b, s:i}", "dry_run", dry_run, "shutdown_wait_s",
				(int)k->config->shutdown_wait);
	if (!dry_run)
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

int cmd_reload(void *arg, bool dry_run, json_t **ret_result, struct ctl_error *err)
{
	json_t *changes;
	int r = keeper_reload(arg, dry_run, &changes, err->message, sizeof(err->message));

	if (r < 0) {
		err->code = CTL_FAILED;
		join_lines(err->message);
		return r;
	}
	*ret_result = json_pack("{s:b, s:o}", "dry_run", dry_run, "changes", changes);
	return 0;
}
