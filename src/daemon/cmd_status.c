/* Methods that look: status, counters, version. */
#include "config.h"

#include "keeper.h"

int cmd_status(struct ctl_call *call)
{
	call->result = status_make(call->arg);
	return 0;
}

int cmd_counters(struct ctl_call *call)
{
	call->result = status_counters(call->arg);
	return 0;
}

int cmd_version(struct ctl_call *call)
{
	call->result = json_pack("{s:s}", "version", PACKAGE_VERSION);
	return 0;
}
