/* One line on the control socket. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/control.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int run(void *arg, bool dry_run, json_t **ret_result, struct ctl_error *err)
{
	(void)arg;
	(void)err;
	*ret_result = json_boolean(dry_run);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct ctl_command rows[] = { { "status", 0, run }, { "stop", CTL_CHANGES, run } };
	static const struct ctl_commands commands = { rows, 2, NULL };
	char *reply = ctl_answer(&commands, len & 1, (const char *)data, len);

	/* An answer is one line, whatever was asked. */
	if (reply && strchr(reply, '\n') != reply + strlen(reply) - 1)
		abort();
	free(reply);
	return 0;
}
