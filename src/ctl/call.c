/* Asking the daemon, and printing answers. */
#include "config.h"

#include "ctl.h"

#include <stdarg.h>
#include <string.h>

#include <nonos/control.h>
#include <nonos/err.h>

/* Answers with a view of their own; the others are printed by view_any(). */
static const struct {
	enum command_id command;
	void (*view)(FILE *out, const json_t *answer);
} views[] = {
	{ COMMAND_ID_status, view_status },
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

static void print_view(const struct invocation *in, const json_t *answer)
{
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		if (&commands_all()[views[i].command] == in->command) {
			views[i].view(stdout, answer);
			return;
		}
	view_any(stdout, answer);
}

int print_answer(const struct invocation *in, json_t *answer)
{
	if (in->options.json) {
		json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
		putchar('\n');
	} else {
		print_view(in, answer);
	}
	json_decref(answer);
	return EXIT_OK;
}

int run_daemon_command(const struct invocation *in)
{
	json_t *result;
	int r = daemon_call(&result, &in->options, in->command->words, in->params);

	return r == EXIT_OK ? print_answer(in, result) : r;
}
