/* Asking the daemon, and printing answers. */
#include "config.h"

#include "ctl.h"

#include <stdarg.h>
#include <string.h>

#include <nonos/control.h>
#include <nonos/err.h>

/*
 * How an answer is shown: by its own view, as the table that --format also wants, or
 * by both. The others are printed by view_any(), and as tables of what they hold.
 */
static const struct {
	enum command_id command;
	void (*view)(FILE *out, const json_t *answer);
	const struct table *table;
} views[] = {
	{ COMMAND_ID_status, view_status, NULL }, { COMMAND_ID_config_show, view_config, NULL },
	{ COMMAND_ID_config_explain, view_options, NULL }, { COMMAND_ID_init, view_init, NULL },
};

int complain(enum exit_code status, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fputs("nonosctl: ", stderr);
	view_escaped(stderr, text);
	fputc('\n', stderr);
	return status;
}

int daemon_call(json_t **ret_result, const struct ctl_options *o, const char *method, json_t *params)
{
	json_t *reply, *error;
	char err[512];
	int r = ctl_call(&reply, o->socket, method, params, o->timeout_s * 1000, err, sizeof(err));

	if (r < 0)
		return complain(r == ERR_NETWORK ? EXIT_NO_DAEMON : EXIT_NO_ANSWER, "%s", err);
	error = json_object_get(reply, "error");
	if (error)
		complain(EXIT_REFUSED, "%s", json_string_value(json_object_get(error, "message")));
	else
		*ret_result = json_incref(json_object_get(reply, "result"));
	json_decref(reply);
	return error ? EXIT_REFUSED : EXIT_OK;
}

bool daemon_ask(json_t **ret_result, const struct ctl_options *o, const char *method, json_t *params)
{
	json_t *reply, *result;
	char err[512];

	if (ctl_call(&reply, o->socket, method, params, o->timeout_s * 1000, err, sizeof(err)) < 0)
		return false;
	result = json_object_get(reply, "result");
	if (result)
		*ret_result = json_incref(result);
	json_decref(reply);
	return result;
}

static void print_view(const struct invocation *in, const json_t *answer)
{
	void (*view)(FILE *out, const json_t *answer) = NULL;
	const struct table *table = NULL;

	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		if (&commands_all()[views[i].command] == in->command) {
			view = views[i].view;
			table = views[i].table;
		}
	if (in->options.format != FORMAT_TEXT || (table && !view))
		table_print(stdout, table, answer, in->options.format);
	else
		(view ? view : view_any)(stdout, answer);
}

/* One object; with jsonl the items of a list, one a line. */
static void print_json(const json_t *answer, enum output_format format)
{
	const size_t flags = JSON_ENSURE_ASCII | JSON_ENCODE_ANY;
	const json_t *item;
	size_t i;

	if (format == FORMAT_JSON || !json_is_array(answer)) {
		json_dumpf(answer, stdout, flags | (format == FORMAT_JSON ? JSON_INDENT(2) : JSON_COMPACT));
		putchar('\n');
		return;
	}
	json_array_foreach(answer, i, item) {
		json_dumpf(item, stdout, flags | JSON_COMPACT);
		putchar('\n');
	}
}

int print_answer(const struct invocation *in, json_t *answer)
{
	if (in->options.json)
		print_json(answer, in->options.format);
	else
		print_view(in, answer);
	json_decref(answer);
	return EXIT_OK;
}

int run_daemon_command(const struct invocation *in)
{
	json_t *result;
	int r = daemon_call(&result, &in->options, in->command->words, in->params);

	return r == EXIT_OK ? print_answer(in, result) : r;
}
