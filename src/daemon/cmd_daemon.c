/* Methods over the daemon as a whole: stop, reload. */
#include "config.h"

#include "keeper.h"

#include <string.h>

#include <nonos/conf_edit.h>
#include <nonos/err.h>
#include <nonos/log.h>

int cmd_drain(struct ctl_call *call)
{
	bool off = param_flag(call->params, "off");
	struct keeper *k = call->arg;
	struct relay_counters c;

	if (k->state != KEEPER_RUNNING)
		return ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "the relay is not running; see \"status\"");
	if (!call->dry_run) {
		k->drain_asked = !off;
		keeper_follow(k);
	}
	keeper_counters(k, &c);
	call->result = json_pack("{s:b, s:b, s:s, s:I, s:I}", "dry_run", call->dry_run, "drain", !off, "service",
				 keeper_service_str(k), "circuits", (json_int_t)c.circuits, "links", (json_int_t)c.links);
	return 0;
}

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

int cmd_log_level(struct ctl_call *call)
{
	struct keeper *k = call->arg;
	const char *wanted = param_text(call->params, "level");
	char err[256];

	call->result = json_pack("{s:b, s:s, s:s}", "dry_run", call->dry_run, "before",
				 config_text(k->config, OPTION_log_level), "level", wanted);
	if (call->dry_run)
		return 0;
	if (config_override(k->config, OPTION_log_level, wanted, err, sizeof(err)) < 0)
		return ctl_fail(call, ERR_RANGE, CTL_INVALID_PARAMS, "\"level\" %s", err);
	log_set_level(k->config->log_level);
	keeper_feed_log(k);
	return 0;
}

static int show_some(struct ctl_call *call, json_t *list, const json_t *names)
{
	const struct keeper *k = call->arg;
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name) {
		int id = option_by_name(json_string_value(name));

		if (id < 0)
			return ctl_fail(call, ERR_NOT_FOUND, CTL_INVALID_PARAMS,
					"there is no such option; \"nonosctl config explain\" lists them");
		json_array_append_new(list, config_json(k->config, (enum option_id)id));
	}
	return 0;
}

/* What the file says by now and a reload would do, beside what is in force. */
int cmd_config_show(struct ctl_call *call)
{
	const json_t *names = json_object_get(call->params, "option");
	struct keeper *k = call->arg;
	json_t *list = json_array(), *differs = NULL;
	char err[1024];

	for (int id = 0; id < OPTION_COUNT && !names; id++)
		json_array_append_new(list, config_json(k->config, (enum option_id)id));
	if (names && show_some(call, list, names) < 0) {
		json_decref(list);
		return ERR_NOT_FOUND;
	}
	if (keeper_reload(k, true, &differs, err, sizeof(err)) < 0)
		join_lines(err);
	else
		err[0] = '\0';
	call->result = json_pack("{s:s, s:o, s:o, s:o}", "file", k->config_path, "options", list, "file_differs",
				 differs ? differs : json_array(), "file_problem", err[0] ? json_string(err) : json_null());
	return 0;
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
