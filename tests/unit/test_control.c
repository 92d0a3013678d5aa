#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>

#include <nonos/control.h>
#include <nonos/err.h>

static int runs;

static int run_ping(struct ctl_call *call)
{
	runs++;
	call->result = json_string("pong");
	return 0;
}

static int run_change(struct ctl_call *call)
{
	if (call->dry_run) {
		call->result = json_pack("{s:b}", "dry_run", 1);
		return 0;
	}
	return ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "not now");
}

/* What is left of a sentence in UTF-8 that did not fit. */
static int run_cut(struct ctl_call *call)
{
	return ctl_fail(call, ERR_STATE, CTL_FAILED, "caf\xc3");
}

static struct ctl_pending *late;
static unsigned gone;

static void on_gone(void *arg)
{
	(void)arg;
	gone++;
	late = NULL;
}

static int run_late(struct ctl_call *call)
{
	return ctl_defer(&late, call, on_gone, NULL);
}

static int run_hear(struct ctl_call *call)
{
	return ctl_session_subscribe(call->session, NULL);
}

static int run_give(struct ctl_call *call)
{
	call->result = call->params ? json_deep_copy(call->params) : NULL;
	return 0;
}

static const struct command_arg give_args[] = {
	{ "text", KIND_TEXT, 1, 8, ARG_POSITIONAL | ARG_REQUIRED, "TEXT", "Some text." },
	{ "count", KIND_INTEGER, -1, 7, 0, "N", "A number." },
	{ "loud", KIND_FLAG, 0, 0, 0, "", "A flag." },
	{ "account", KIND_ADDRESS, 0, 0, 0, "ADDRESS", "An account." },
	{ "data_hex", KIND_HEX, 2, 3, 0, "HEX", "Bytes." },
	{ "way", KIND_CHOICE, 0, 0, 0, "up|down", "A word." },
	{ "amount", KIND_TOKENS, 0, 0, 0, "TOKENS", "An amount." },
	{ "list", KIND_TEXT, 0, 4, ARG_REPEAT, "TEXT", "Texts." },
};

static const struct command rows[] = {
	{ "ping", COMMAND_DAEMON, 0, "", NULL, 0 }, { "change", COMMAND_DAEMON, CMD_CHANGES, "", NULL, 0 },
	{ "cut", COMMAND_DAEMON, 0, "", NULL, 0 }, { "late", COMMAND_DAEMON, 0, "", NULL, 0 },
	{ "give", COMMAND_DAEMON, 0, "", give_args, sizeof(give_args) / sizeof(give_args[0]) },
	{ "local", COMMAND_LOCAL, 0, "", NULL, 0 }, { "hear", COMMAND_DAEMON, 0, "", NULL, 0 },
};
static const ctl_run_fn handlers[] = { run_ping, run_change, run_cut, run_late, run_give, NULL, run_hear };
static const struct ctl_commands commands = { rows, handlers, 7, NULL };

static char written[1024];

static void keep_line(struct ctl_session *s, const char *line, size_t len)
{
	(void)s;
	snprintf(written + strlen(written), sizeof(written) - strlen(written), "%.*s", (int)len, line);
}

static void test_answers(void **state)
{
	static const struct {
		const char *line;
		bool may_change;
		const char *answer;	/* NULL: none */
	} cases[] = {
		{ "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}", false,
		  "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"pong\"}\n" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"ping\",\"params\":{}}\r", false,
		  "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":\"pong\"}\n" },
		{ "{\"jsonrpc\":\"2.0\",\"method\":\"ping\"}", false, NULL },
		{ "{\"jsonrpc\":\"2.0\",\"method\":\"none\"}", false, NULL },
		{ "", false, "\"id\":null,\"error\":{\"code\":-32700" },
		{ "{", false, "-32700" },
		{ "5", false, "-32600" },
		{ "{\"id\":1,\"method\":\"ping\"}", false, "\"id\":1,\"error\":{\"code\":-32600" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", false, "-32600" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", false, "\"id\":null,\"error\":{\"code\":-32600" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}", false, "-32700" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"none\"}", false, "\"id\":1,\"error\":{\"code\":-32601" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":[1]}", false, "-32602" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"a\":1}}", false, "-32602" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"dry_run\":true}}", false, "-32602" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"change\",\"params\":{\"dry_run\":1}}", true, "-32602" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"change\"}", false, "-32001" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"change\"}", true,
		  "{\"code\":-32002,\"message\":\"not now\"}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"change\",\"params\":{\"dry_run\":true}}", true,
		  "\"result\":{\"dry_run\":true}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"cut\"}", false,
		  "\"error\":{\"code\":-32003,\"message\":\"caf?\"}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"local\"}", true, "-32601" },
		{ "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"late\"}]", true, "part of a batch" },
		{ "[]", false, "-32600" },
		{ "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"},3,{\"jsonrpc\":\"2.0\",\"method\":\"ping\"}]", false,
		  "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"pong\"},{\"jsonrpc\":\"2.0\",\"id\":null,\"error\"" },
		{ "[{\"jsonrpc\":\"2.0\",\"method\":\"ping\"}]", false, NULL },
		{ "[[[[[[[[[", false, "too deep" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":\"[[[[[[[[[[\\\"[[\",\"method\":\"ping\"}", false, "pong" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ctl_session session = { .may_change = cases[i].may_change, .write = keep_line };
		char *got = ctl_answer(&commands, &session, cases[i].line, strlen(cases[i].line));

		if (!got != !cases[i].answer || (got && !strstr(got, cases[i].answer)))
			fail_msg("%s gave %s", cases[i].line, got ? got : "nothing");
		if (got) {
			assert_int_equal(got[strlen(got) - 1], '\n');
			assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
		}
		free(got);
	}
}

/* Of all methods that there are: what changes something, or is the owner's, is not for everybody. */
static void test_rights(void **state)
{
	ctl_run_fn all[COMMAND_COUNT];
	const struct ctl_commands real = { commands_all(), all, COMMAND_COUNT, NULL };
	char line[256];

	(void)state;
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		all[i] = run_ping;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command *c = &real.v[i];
		struct ctl_session session = { .write = keep_line };
		char *got;

		snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{\"x\":1}}", c->words);
		got = ctl_answer(&real, &session, line, strlen(line));
		if (!strstr(got, c->flags & (CMD_CHANGES | CMD_OWNER) ? "-32001" : "-32602"))
			fail_msg("%s gave %s", c->words, got);
		free(got);
	}
}

/* Notifications get no answer but are carried out. */
static void test_notification_runs(void **state)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"method\":\"ping\"}";
	struct ctl_session session = { .write = keep_line };

	(void)state;
	runs = 0;
	assert_null(ctl_answer(&commands, &session, line, strlen(line)));
	assert_int_equal(runs, 1);
}

static void test_parameters(void **state)
{
	static const struct {
		const char *params, *answer;
	} cases[] = {
		{ "{\"text\":\"a\",\"count\":7,\"loud\":true,\"data_hex\":\"0x00FF\",\"way\":\"down\"}", "\"count\":7" },
		{ "{\"text\":\"a\",\"account\":\"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"}", "\"result\"" },
		{ "{\"text\":\"a\",\"account\":\"0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"}", "checksum" },
		{ "{\"text\":\"a\",\"list\":[\"b\",\"c\"],\"amount\":\"1.5\"}", "\"result\"" },
		{ "{}", "give needs \\\"text\\\"" },
		{ "{\"text\":\"\"}", "1 to 8 characters" },
		{ "{\"text\":\"123456789\"}", "1 to 8 characters" },
		{ "{\"text\":\"a\\nb\"}", "control characters" },
		{ "{\"text\":\"a\\u0000b\"}", "-32700" },
		{ "{\"text\":5}", "must be a text" },
		{ "{\"text\":\"a\",\"count\":8}", "from -1 to 7" },
		{ "{\"text\":\"a\",\"count\":1.5}", "from -1 to 7" },
		{ "{\"text\":\"a\",\"loud\":1}", "true or false" },
		{ "{\"text\":\"a\",\"data_hex\":\"00\"}", "2 to 3 bytes" },
		{ "{\"text\":\"a\",\"data_hex\":\"000\"}", "2 to 3 bytes" },
		{ "{\"text\":\"a\",\"data_hex\":\"zzzz\"}", "2 to 3 bytes" },
		{ "{\"text\":\"a\",\"way\":\"u\"}", "one of up|down" },
		{ "{\"text\":\"a\",\"way\":\"\"}", "one of up|down" },
		{ "{\"text\":\"a\",\"amount\":\"1e3\"}", "in tokens" },
		{ "{\"text\":\"a\",\"list\":\"b\"}", "must be a list" },
		{ "{\"text\":\"a\",\"list\":[1]}", "must be a text" },
		{ "{\"text\":\"a\",\"other\":1}", "no such parameter" },
	};
	char line[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ctl_session session = { .write = keep_line };
		char *got;

		snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"give\",\"params\":%s}", cases[i].params);
		got = ctl_answer(&commands, &session, line, strlen(line));
		if (!got || !strstr(got, cases[i].answer))
			fail_msg("%s gave %s", cases[i].params, got ? got : "nothing");
		free(got);
	}
}

/* An answer that takes time comes later; one whose client has gone is not written. */
static void test_late_answers(void **state)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"late\"}";
	struct ctl_session session = { .write = keep_line };

	(void)state;
	written[0] = '\0';
	assert_null(ctl_answer(&commands, &session, line, strlen(line)));
	assert_int_equal(session.n_pending, 1);
	ctl_pending_progress(late, 1, 2, "half");
	ctl_pending_finish(late, json_true());
	assert_string_equal(written, "{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":"
				     "{\"id\":\"a\",\"done\":1,\"total\":2,\"what\":\"half\"}}\n"
				     "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":true}\n");
	written[0] = '\0';
	assert_null(ctl_answer(&commands, &session, line, strlen(line)));
	ctl_pending_fail(late, CTL_FAILED, "no %d", 1);
	assert_non_null(strstr(written, "\"code\":-32003,\"message\":\"no 1\""));
	gone = 0;
	for (int i = 0; i < CTL_PENDING_MAX; i++)
		assert_null(ctl_answer(&commands, &session, line, strlen(line)));
	char *refused = ctl_answer(&commands, &session, line, strlen(line));
	assert_non_null(strstr(refused, "-32002"));
	free(refused);
	ctl_session_end(&session);
	assert_int_equal(gone, CTL_PENDING_MAX);
	assert_int_equal(session.n_pending, 0);
}

static void test_usage(void **state)
{
	char text[COMMAND_USAGE_CAP];

	(void)state;
	command_usage(text, &rows[4]);
	assert_string_equal(text, "give TEXT [--count N] [--loud] [--account ADDRESS] [--data-hex HEX] [--way up|down] "
				  "[--amount TOKENS] [--list TEXT...]");
}

/* What one name means must not depend on the command, and the words must lead to one row only. */
static void test_table(void **state)
{
	const struct command *all = commands_all();

	(void)state;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		assert_ptr_equal(command_find(all, COMMAND_COUNT, all[i].words), &all[i]);
		assert_true(strlen(all[i].words) < COMMAND_WORDS_CAP);
		for (size_t j = 0; j < all[i].n_args; j++)
			for (size_t k = 0; k < i; k++) {
				const struct command_arg *a = &all[i].args[j], *b = command_arg_find(&all[k], a->name);

				if (b && !((a->flags | b->flags) & ARG_POSITIONAL) && (a->kind == KIND_FLAG) != (b->kind == KIND_FLAG))
					fail_msg("--%s takes a value in one of %s and %s", a->name, all[i].words, all[k].words);
			}
	}
}

/* -- over a socket: the server in this process, the client in a child ------------- */

struct lab {
	struct event_base *base;
	struct ctl_server *server;
	char dir[32], path[64];
};

enum { FILES_MAX = 128 };

static int lab_up(void **state)
{
	struct lab *l = calloc(1, sizeof(*l));
	struct rlimit limit, few;
	char err[256];

	getrlimit(RLIMIT_NOFILE, &limit);
	few = (struct rlimit){ FILES_MAX, limit.rlim_max };
	setrlimit(RLIMIT_NOFILE, &few);

	strcpy(l->dir, "/tmp/nonos-ctl-XXXXXX");
	assert_non_null(mkdtemp(l->dir));
	snprintf(l->path, sizeof(l->path), "%s/sock", l->dir);
	l->base = event_base_new();
	if (ctl_server_new(&l->server, l->base, l->path, 0640, (gid_t)-1, &commands, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	setrlimit(RLIMIT_NOFILE, &limit);
	*state = l;
	return 0;
}

static int lab_down(void **state)
{
	struct lab *l = *state;
	struct stat st;

	ctl_server_free(l->server);
	assert_int_equal(lstat(l->path, &st), -1);	/* its file went with it */
	event_base_free(l->base);
	rmdir(l->dir);
	free(l);
	return 0;
}

/* Run the loop until the child is done; its exit status. */
static int serve(struct lab *l, pid_t pid)
{
	static const struct timeval step = { .tv_usec = 10000 };
	int status;

	for (int i = 0; i < 2000; i++) {
		event_base_loopexit(l->base, &step);
		event_base_dispatch(l->base);
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
	}
	return 254;
}

static void test_call(void **state)
{
	struct lab *l = *state;
	struct stat st;
	pid_t pid;

	assert_int_equal(stat(l->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	pid = fork();
	if (pid == 0) {
		char err[256];
		json_t *reply;

		if (ctl_call(&reply, l->path, "ping", NULL, 5000, err, sizeof(err)) < 0)
			_exit(1);
		_exit(strcmp(json_string_value(json_object_get(reply, "result")), "pong") == 0 ? 0 : 2);
	}
	assert_int_equal(serve(l, pid), 0);
}

static int connect_raw(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		_exit(9);
	return fd;
}

static size_t read_all(int fd, char *out, size_t cap)
{
	size_t len = 0;
	ssize_t n;

	while (len < cap - 1 && (n = read(fd, out + len, cap - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	return len;
}

/* Requests split anywhere and several at once are answered in order. */
static void test_framing(void **state)
{
	static const char two[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n"
				  "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\n";
	struct lab *l = *state;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = connect_raw(l->path);
		char got[512];

		for (size_t i = 0; i < strlen(two); i += 7) {
			size_t n = strlen(two) - i < 7 ? strlen(two) - i : 7;

			if (write(fd, two + i, n) != (ssize_t)n)
				_exit(1);
			usleep(1000);
		}
		shutdown(fd, SHUT_WR);
		read_all(fd, got, sizeof(got));
		_exit(strcmp(got, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"pong\"}\n"
				  "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":\"pong\"}\n") == 0 ? 0 : 2);
	}
	assert_int_equal(serve(l, pid), 0);
}

/* A line without end is refused and the connection closed. */
static void test_endless_line(void **state)
{
	struct lab *l = *state;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = connect_raw(l->path);
		char block[4096], got[512];

		memset(block, ' ', sizeof(block));
		for (int i = 0; i < 40; i++)
			if (send(fd, block, sizeof(block), MSG_NOSIGNAL) < 0)
				break;
		read_all(fd, got, sizeof(got));
		_exit(strstr(got, "-32600") ? 0 : 2);
	}
	assert_int_equal(serve(l, pid), 0);
}

/* The limit is half of what the server could open when it started: lab_up() saw to that. */
static void test_too_many_clients(void **state)
{
	struct lab *l = *state;
	pid_t pid = fork();

	if (pid == 0) {
		int fds[FILES_MAX / 2 + 1];
		char c;

		for (int i = 0; i <= FILES_MAX / 2; i++)
			fds[i] = connect_raw(l->path);
		_exit(read(fds[FILES_MAX / 2], &c, 1) == 0 ? 0 : 1);
	}
	assert_int_equal(serve(l, pid), 0);
}

/*
 * Many lines at once, and a line that never ends, wait for nobody: another's
 * question is answered long before the flood is.
 */
static void test_fairness(void **state)
{
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
	struct lab *l = *state;
	pid_t pid = fork();

	if (pid == 0) {
		int flood = connect_raw(l->path), half = connect_raw(l->path), other = connect_raw(l->path);
		char got[512];
		ssize_t n;

		if (write(half, ask, 20) != 20)
			_exit(1);
		fcntl(flood, F_SETFL, O_NONBLOCK);
		for (int i = 0; i < 100000 && write(flood, ask, sizeof(ask) - 1) > 0; i++)
			;
		for (int i = 0; i < 100; i++) {
			if (write(other, ask, sizeof(ask) - 1) < 0)
				_exit(2);
			n = read(other, got, sizeof(got));
			if (n <= 0 || got[n - 1] != '\n')
				_exit(3);
		}
		/* The flood is answered, too, once it is read. */
		fcntl(flood, F_SETFL, 0);
		shutdown(flood, SHUT_WR);
		for (n = 1; n > 0; n = read(flood, got, sizeof(got)))
			;
		_exit(n < 0 ? 4 : 0);
	}
	assert_int_equal(serve(l, pid), 0);
}

/* -- events -------------------------------------------------------------------------- */

static void test_globs(void **state)
{
	static const struct {
		const char *globs, *text;
		bool match;
	} cases[] = {
		{ "status", "status", true }, { "status", "statu", false }, { "status", "statuses", false },
		{ "rewards.*", "rewards.list", true }, { "rewards.*", "rewards", false }, { "*", "", true },
		{ "*", "a.b", true }, { "a*b*c", "axxbyyc", true }, { "a*b*c", "axxbyy", false }, { "a**", "a", true },
		{ "x status", "status", true }, { "x  status ", "status", true }, { "", "", false }, { " ", "", false },
		{ "*.list", "token.list", true }, { "*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (ctl_globs_match(cases[i].globs, strlen(cases[i].globs), cases[i].text) != cases[i].match)
			fail_msg("\"%s\" and \"%s\"", cases[i].globs, cases[i].text);
	assert_true(ctl_glob_is_good("a_b-2.*"));
	assert_false(ctl_glob_is_good(""));
	assert_false(ctl_glob_is_good("A"));
	assert_false(ctl_glob_is_good("a b"));
	assert_false(ctl_glob_is_good("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

static bool room;

static bool has_room(const struct ctl_session *s)
{
	(void)s;
	return room;
}

static void send_event(struct ctl_session *s, const char *topic)
{
	char *line = ctl_event_line(topic, json_pack("{s:i}", "n", 1));

	if (ctl_session_hears(s, topic))
		ctl_session_event(s, line, strlen(line));
	free(line);
}

/* Who is too slow is told how much it missed. */
static void test_lost_events(void **state)
{
	struct ctl_session s = { .write = keep_line, .has_room = has_room };
	json_t *topics = json_pack("[s, s]", "worker", "dir*.upload");

	(void)state;
	room = true;
	written[0] = '\0';
	send_event(&s, "worker.exit");
	assert_int_equal(ctl_session_subscribe(&s, topics), 0);
	send_event(&s, "links");
	send_event(&s, "directory.consensus");
	assert_string_equal(written, "");
	send_event(&s, "worker.exit");
	assert_non_null(strstr(written, "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"topic\":\"worker.exit\",\"time\":"));
	assert_non_null(strstr(written, ",\"data\":{\"n\":1}}}\n"));
	room = false;
	written[0] = '\0';
	send_event(&s, "worker");
	send_event(&s, "directory.upload");
	assert_string_equal(written, "");
	room = true;
	send_event(&s, "directory.upload");
	assert_ptr_equal(strstr(written, "{\"jsonrpc\":\"2.0\",\"method\":\"lost\",\"params\":{\"events\":2}}\n"), written);
	assert_non_null(strstr(written, "directory.upload"));
	json_array_append_new(topics, json_string("bad topic"));
	assert_int_equal(ctl_session_subscribe(&s, topics), ERR_MALFORMED);
	assert_true(ctl_session_hears(&s, "worker"));	/* what it had stays */
	json_array_clear(topics);
	assert_int_equal(ctl_session_subscribe(&s, topics), 0);
	assert_false(ctl_session_hears(&s, "worker"));
	for (int i = 0; i < 10; i++)
		json_array_append_new(topics, json_string("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	assert_int_equal(ctl_session_subscribe(&s, topics), ERR_TOO_LONG);
	assert_int_equal(ctl_session_subscribe(&s, NULL), 0);
	assert_true(ctl_session_hears(&s, "anything.at.all"));
	json_decref(topics);
}

static void publish_cb(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = { .tv_usec = 1000 };
	struct lab *l = arg;

	(void)fd;
	(void)what;
	ctl_publish(l->server, "links", json_pack("{s:i}", "n", 7));
	event_base_once(l->base, -1, EV_TIMEOUT, publish_cb, l, &soon);
}

/* Events reach who subscribed; one who never reads them does no harm. */
static void test_events(void **state)
{
	static const struct timeval soon = { .tv_usec = 1000 };
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hear\"}\n";
	struct lab *l = *state;
	pid_t pid;

	ctl_publish(NULL, "links", json_object());
	ctl_publish(l->server, "links", json_object());
	assert_false(ctl_has_listener(l->server, "links"));
	event_base_once(l->base, -1, EV_TIMEOUT, publish_cb, l, &soon);
	pid = fork();
	if (pid == 0) {
		int deaf = connect_raw(l->path), fd = connect_raw(l->path);
		char got[4096];
		size_t lines = 0;

		if (write(deaf, ask, sizeof(ask) - 1) < 0 || write(fd, ask, sizeof(ask) - 1) < 0)
			_exit(1);
		while (lines < 100) {
			ssize_t n = read(fd, got, sizeof(got) - 1);

			if (n <= 0)
				_exit(2);
			got[n] = '\0';
			if (lines == 0 && !strstr(got, "\"result\":null"))
				_exit(3);
			for (ssize_t i = 0; i < n; i++)
				lines += got[i] == '\n';
		}
		_exit(strstr(got, "\"topic\":\"links\"") ? 0 : 4);
	}
	assert_int_equal(serve(l, pid), 0);
}

/* A client that hangs up while its answer is being made is closed when the answer is there. */
static void test_late_and_gone(void **state)
{
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"late\"}\n";
	static const char note[] = "{\"jsonrpc\":\"2.0\",\"method\":\"late\"}\n";
	static const struct timeval step = { .tv_usec = 20000 };
	struct lab *l = *state;

	for (int i = 0; i < 2; i++) {
		int fd = connect_raw(l->path);
		char got[512];

		late = NULL;
		assert_true(write(fd, i ? note : ask, strlen(i ? note : ask)) > 0);
		shutdown(fd, SHUT_WR);
		event_base_loopexit(l->base, &step);
		event_base_dispatch(l->base);
		assert_non_null(late);
		ctl_pending_finish(late, json_true());
		event_base_loopexit(l->base, &step);
		event_base_dispatch(l->base);
		read_all(fd, got, sizeof(got));		/* to its end: the server has closed it */
		assert_int_equal(strstr(got, "\"result\":true") != NULL, i == 0);
		close(fd);
	}
}

/* A second daemon must not take the socket of a living one, nor remove other files. */
static void test_socket_file(void **state)
{
	struct lab *l = *state;
	struct ctl_server *second;
	char err[256], other[80];
	int fd;
	FILE *f;

	assert_int_equal(ctl_server_new(&second, l->base, l->path, 0600, (gid_t)-1, &commands, err, sizeof(err)), ERR_BUSY);
	assert_non_null(strstr(err, "another program"));

	snprintf(other, sizeof(other), "%s/file", l->dir);
	f = fopen(other, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(ctl_server_new(&second, l->base, other, 0600, (gid_t)-1, &commands, err, sizeof(err)), ERR_EXISTS);
	assert_int_equal(unlink(other), 0);

	/* A dead daemon's socket file is replaced. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", other);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	assert_int_equal(ctl_server_new(&second, l->base, other, 0600, (gid_t)-1, &commands, err, sizeof(err)), 0);
	ctl_server_free(second);
}

static void test_no_daemon(void **state)
{
	char err[256];
	json_t *reply;

	(void)state;
	assert_int_equal(ctl_call(&reply, "/nonexistent/sock", "ping", NULL, 100, err, sizeof(err)), ERR_NETWORK);
	assert_non_null(strstr(err, "is nonosd running"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers), cmocka_unit_test(test_notification_runs), cmocka_unit_test(test_rights),
		cmocka_unit_test(test_parameters), cmocka_unit_test(test_late_answers),
		cmocka_unit_test(test_usage), cmocka_unit_test(test_table),
		cmocka_unit_test_setup_teardown(test_call, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_framing, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_endless_line, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_too_many_clients, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_fairness, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_events, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_late_and_gone, lab_up, lab_down),
		cmocka_unit_test(test_globs), cmocka_unit_test(test_lost_events),
		cmocka_unit_test_setup_teardown(test_socket_file, lab_up, lab_down),
		cmocka_unit_test(test_no_daemon),
	};

	signal(SIGPIPE, SIG_IGN);	/* as the daemon does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
