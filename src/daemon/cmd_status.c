/* Methods that look: status, counters, version. */
#include "config.h"

#include "keeper.h"

int cmd_status(void *arg, bool dry_run, json_t **ret_result, struct ctl_error *err)
{
	(void)dry_run;
	(void)err;
	*ret_result = status_make(arg);
	return 0;
}

int cmd_counters(void *arg, bool dry_run, json_t **ret_result, struct ctl_error *err)
{
	(void)dry_run;
	(void)err;
	*ret_result = status_counters(arg);
	return 0;
}

int cmd_version(void *arg, bool dry_run, json_t **ret_result, struct ctl_error *err)
{
	(void)arg;
	(void)dry_run;
	(void)err;
	*ret_result = json_pack("{s:s}", "version", PACKAGE_VERSION);
	return 0;
}
