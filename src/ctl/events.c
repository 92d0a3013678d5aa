/* Commands that go on: the notifications of the daemon, a line each. */
#include "config.h"

#include "ctl.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <nonos/clock.h>
#include <nonos/control.h>
#include <nonos/err.h>

static void print_member(void *arg, const char *path, const json_t *v)
{
	const char *quote = json_is_string(v) ? "\"" : "";

	(void)arg;
	putchar(' ');
	view_escaped(stdout, path);
	printf("=%s", quote);
	view_scalar(stdout, v);
	fputs(quote, stdout);
}

static void print_event(const json_t *event, bool json)
{
	const char *topic = json_string_value(json_object_get(event, "topic"));

	if (json) {
		json_dumpf(event, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	} else {
		view_time(stdout, json_integer_value(json_object_get(event, "time")));
		fputs("  ", stdout);
		view_escaped(stdout, topic ? topic : "?");
		view_each("", json_object_get(event, "data"), print_member, NULL);
	}
	putchar('\n');
}

/* "lost" says what the daemon left out; it has no topic of its own. */
static json_t *event_of(json_t *notification)
{
	const char *method = json_string_value(json_object_get(notification, "method"));
	json_t *params = json_object_get(notification, "params");

	if (strcmp(method, "event") == 0)
		return json_incref(params);
	return json_pack("{s:s, s:I, s:O?}", "topic", method, "time", (json_int_t)time(NULL), "data", params);
}

/* Ctrl-C and SIGTERM come as something to read, so that none is missed between two waits. */
static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int follow(struct ctl_client *c, const struct invocation *in, int stop_fd)
{
	int64_t seconds = param_integer(in->params, "for", 0), count = param_integer(in->params, "count", 0);
	uint64_t end = seconds ? clock_precise_us() + (uint64_t)seconds * 1000000 : 0;

	while (!ferror(stdout)) {
		json_t *notification, *event;
		int r = ctl_client_next(c, &notification, end, stop_fd);

		if (r == ERR_TIMEOUT || r == ERR_AGAIN)
			return EXIT_OK;
		if (r < 0)
			return complain(EXIT_NO_ANSWER, "%s", ctl_client_error(c));
		event = event_of(notification);
		print_event(event, in->options.json);
		fflush(stdout);
		json_decref(event);
		json_decref(notification);
		if (count && --count == 0)
			return EXIT_OK;
	}
	return EXIT_REFUSED;	/* main() says why */
}

/* The parameters without those that the daemon does not know. */
static json_t *params_for_daemon(const struct invocation *in)
{
	json_t *params = json_copy(in->params);

	for (size_t i = 0; i < in->command->n_args; i++)
		if (in->command->args[i].flags & ARG_LOCAL)
			json_object_del(params, in->command->args[i].name);
	return params;
}

int run_stream(const struct invocation *in)
{
	struct ctl_client *c;
	json_t *params, *result;
	int stop_fd, r;

	if (!in->options.json && in->options.format != FORMAT_TEXT)
		return complain(EXIT_USAGE, "%s are printed as text, or with --json as one object a line", in->command->words);
	stop_fd = open_signals();
	if (stop_fd < 0)
		return complain(EXIT_REFUSED, "signals cannot be waited for: %s", strerror(errno));
	params = params_for_daemon(in);
	r = daemon_open(&c, &result, &in->options, in->command->words, params);
	json_decref(params);
	if (r == EXIT_OK) {
		json_decref(result);
		r = follow(c, in, stop_fd);
		ctl_client_free(c);
	}
	close(stop_fd);
	return r;
}
