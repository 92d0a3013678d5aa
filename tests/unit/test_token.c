/* Capability tokens: the chain of MACs, limits, hostile text, the daemon's list, a session's rights. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/clock.h>
#include <nonos/control.h>
#include <nonos/err.h>
#include <nonos/token.h>

enum { NOW = 1700000000 };

static const uint8_t key[TOKEN_KEY_LEN] = "0123456789abcdef0123456789abcde", id[TOKEN_ID_LEN] = "tokenid";
static const struct command status_row = { "status", COMMAND_DAEMON, 0, "", NULL, 0 };
static const struct command list_row = { "rewards.list", COMMAND_DAEMON, 0, "", NULL, 0 };
static const struct command create_row = { "token.create", COMMAND_DAEMON, CMD_CHANGES | CMD_OWNER, "", NULL, 0 };

static json_t *json(const char *text)
{
	json_t *v = json_loads(text, 0, NULL);

	if (!v)
		fail_msg("%s", text);
	return v;
}

static int restrict_by(struct token *t, const char *params)
{
	char why[COMMAND_WHY_CAP];
	json_t *p = json(params);
	int r = token_restrict(t, p, NOW, why);

	json_decref(p);
	return r;
}

static int permits(const struct token *t, const struct command *c, const char *params, int64_t now)
{
	char why[COMMAND_WHY_CAP];
	json_t *p = params ? json(params) : NULL;
	int r = token_permits(t, c, p, now, why);

	json_decref(p);
	return r;
}

static struct token make(const char *params)
{
	struct token t;

	token_new(&t, id, key);
	if (params)
		assert_int_equal(restrict_by(&t, params), 0);
	return t;
}

static void test_limits(void **state)
{
	static const struct {
		const char *limits, *params;
		const struct command *command;
		int64_t now;
		int want;
	} cases[] = {
		{ "{\"method\":[\"status\"]}", NULL, &status_row, NOW, 0 },
		{ "{\"method\":[\"status\"]}", NULL, &list_row, NOW, ERR_PERMISSION },
		{ "{\"method\":[\"status\",\"rewards.*\"]}", NULL, &list_row, NOW, 0 },
		{ "{\"method\":[\"*\"]}", NULL, &create_row, NOW, ERR_PERMISSION },
		{ "{\"method\":[\"token.*\"]}", NULL, &create_row, NOW, ERR_PERMISSION },
		{ "{\"valid_for\":60}", NULL, &status_row, NOW + 59, 0 },
		{ "{\"valid_for\":60}", NULL, &status_row, NOW + 60, ERR_EXPIRED },
		{ "{\"argument\":[\"epoch=5\"]}", "{\"epoch\":5}", &status_row, NOW, 0 },
		{ "{\"argument\":[\"epoch=5\"]}", "{\"epoch\":\"5\"}", &status_row, NOW, 0 },
		{ "{\"argument\":[\"epoch=5\"]}", "{\"epoch\":6}", &status_row, NOW, ERR_PERMISSION },
		{ "{\"argument\":[\"epoch=5\"]}", "{\"epoch\":55}", &status_row, NOW, ERR_PERMISSION },
		{ "{\"argument\":[\"epoch=5\"]}", NULL, &status_row, NOW, ERR_PERMISSION },
		{ "{\"argument\":[\"dry_run=true\"]}", "{\"dry_run\":true}", &status_row, NOW, 0 },
		{ "{\"argument\":[\"dry_run=true\"]}", "{\"dry_run\":false}", &status_row, NOW, ERR_PERMISSION },
		{ "{\"argument\":[\"list=a\"]}", "{\"list\":[\"a\",\"a\"]}", &status_row, NOW, 0 },
		{ "{\"argument\":[\"list=a\"]}", "{\"list\":[\"a\",\"b\"]}", &status_row, NOW, ERR_PERMISSION },
		{ "{\"argument\":[\"list=a\"]}", "{\"list\":[]}", &status_row, NOW, ERR_PERMISSION },
		{ "{\"argument\":[\"x=\"]}", "{\"x\":\"\"}", &status_row, NOW, 0 },
		{ "{\"argument\":[\"x=\"]}", "{\"x\":null}", &status_row, NOW, ERR_PERMISSION },
		{ "{\"argument\":[\"a=1\",\"b=2\"]}", "{\"a\":1}", &status_row, NOW, ERR_PERMISSION },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct token t = make(cases[i].limits);

		if (permits(&t, cases[i].command, cases[i].params, cases[i].now) != cases[i].want)
			fail_msg("%s with %s", cases[i].limits, cases[i].params ? cases[i].params : "nothing");
	}
}

/* Each link of the chain can only take away. */
static void test_attenuation(void **state)
{
	struct token t = make("{\"method\":[\"status\",\"version\"],\"rate\":60}"), weak = t, other;
	uint8_t wrong[TOKEN_KEY_LEN] = "0123456789abcdef0123456789abcdE";

	(void)state;
	assert_true(token_is_genuine(&t, key));
	assert_false(token_is_genuine(&t, wrong));
	assert_int_equal(restrict_by(&weak, "{\"method\":[\"*\"],\"rate\":100,\"valid_for\":5}"), 0);
	assert_true(token_is_genuine(&weak, key));
	assert_int_equal(permits(&weak, &status_row, NULL, NOW), 0);
	assert_int_equal(permits(&weak, &list_row, NULL, NOW), ERR_PERMISSION);
	assert_int_equal(token_rate(&weak), 60);
	assert_int_equal(token_expires(&weak), NOW + 5);
	/* Taking the limits away again, or swapping them, breaks the chain. */
	other = weak;
	other.limits_len = t.limits_len;
	assert_false(token_is_genuine(&other, key));
	other = weak;
	other.limits_len = 0;
	assert_false(token_is_genuine(&other, key));
	other = t;
	memmove(other.limits, t.limits + t.limits_len - 7, 7);
	memmove(other.limits + 7, t.limits, t.limits_len - 7);
	assert_false(token_is_genuine(&other, key));
	other = weak;
	memcpy(other.mac, t.mac, sizeof(other.mac));
	assert_false(token_is_genuine(&other, key));
}

static void test_text(void **state)
{
	struct token t = make("{\"method\":[\"status\"],\"valid_for\":60,\"rate\":5,\"argument\":[\"a=b\"]}"), back;
	char text[TOKEN_TEXT_CAP], changed[TOKEN_TEXT_CAP];
	size_t len;

	(void)state;
	token_text(text, &t);
	len = strlen(text);
	assert_int_equal(token_parse(&back, text, len), 0);
	assert_true(token_is_genuine(&back, key));
	assert_int_equal(back.limits_len, t.limits_len);
	for (size_t i = 0; i < len; i++) {
		assert_true(token_parse(&back, text, i) < 0 || !token_is_genuine(&back, key));
		memcpy(changed, text, len + 1);
		changed[i] = changed[i] == 'A' ? 'B' : 'A';
		assert_true(token_parse(&back, changed, len) < 0 || !token_is_genuine(&back, key));
	}
	assert_int_equal(token_parse(&back, "", 0), ERR_MALFORMED);
	assert_int_equal(token_parse(&back, "nonos1.", 7), ERR_UNSUPPORTED);
	assert_int_equal(token_parse(&back, "nonos2.AAAA", 11), ERR_MALFORMED);
	memset(changed, 'A', sizeof(changed));
	memcpy(changed, "nonos1.", 7);
	assert_true(token_parse(&back, changed, sizeof(changed)) < 0);
}

static void test_bad_limits(void **state)
{
	static const char *const cases[] = {
		"{\"method\":[\"Status\"]}", "{\"method\":[\"a b\"]}", "{\"method\":[\"\"]}", "{\"argument\":[\"=a\"]}",
		"{\"argument\":[\"a\"]}", "{\"argument\":[\"a=\\u0001\"]}", "{\"argument\":[5]}",
	};
	struct token t = make(NULL), same = t;
	char glob[256];
	int n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (restrict_by(&t, cases[i]) != ERR_MALFORMED)
			fail_msg("%s", cases[i]);
	assert_memory_equal(&t, &same, sizeof(t));
	/* What does not fit changes nothing either. */
	snprintf(glob, sizeof(glob), "{\"argument\":[\"a=%0200d\"]}", 0);
	while (restrict_by(&t, glob) == 0)
		n++;
	assert_int_equal(n, TOKEN_LIMITS_CAP / 205);
	assert_true(token_is_genuine(&t, key));
}

/* -- the daemon's list -------------------------------------------------------------- */

static int make_dir(void **state)
{
	char *dir = strdup("/tmp/nonos-token-XXXXXX");

	assert_non_null(mkdtemp(dir));
	*state = dir;
	return 0;
}

static int remove_dir(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", (char *)*state);
	assert_int_equal(system(command), 0);
	free(*state);
	return 0;
}

static void create(struct token_store *s, struct token *ret, const char *params, int64_t now)
{
	char why[COMMAND_WHY_CAP];
	json_t *p = json(params);

	if (token_store_create(s, ret, p, false, now, why) < 0)
		fail_msg("%s", why);
	json_decref(p);
}

static void path_of(char out[128], const char *dir, const char *name)
{
	snprintf(out, 128, "%s/%s", dir, name);
}

static void test_store(void **state)
{
	struct token_store *s = token_store_new(*state), *other;
	struct token t, weak, forged;
	char why[COMMAND_WHY_CAP], path[128];
	struct stat st;

	forged = make(NULL);
	assert_int_equal(token_store_check(s, &forged, NOW), ERR_AUTH);	/* no key yet, and none is made for that */
	path_of(path, *state, "control_token_key");
	assert_int_equal(stat(path, &st), -1);
	create(s, &t, "{\"method\":[\"status\"],\"valid_for\":100,\"name\":\"x\"}", NOW);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(token_store_check(s, &t, NOW), 0);
	assert_int_equal(token_store_check(s, &forged, NOW), ERR_AUTH);
	weak = t;
	assert_int_equal(restrict_by(&weak, "{\"rate\":3}"), 0);
	assert_int_equal(token_store_check(s, &weak, NOW), 0);
	assert_int_equal(token_store_check(s, &t, NOW + 100), ERR_EXPIRED);
	/* After a restart, too. */
	token_store_free(s);
	s = token_store_new(*state);
	assert_int_equal(token_store_check(s, &weak, NOW), 0);
	assert_int_equal(token_store_revoke(s, t.id, true, NOW, why), 0);
	assert_int_equal(token_store_check(s, &weak, NOW), 0);
	assert_int_equal(token_store_revoke(s, t.id, false, NOW, why), 0);
	assert_int_equal(token_store_revoke(s, t.id, false, NOW, why), ERR_NOT_FOUND);
	assert_int_equal(token_store_check(s, &weak, NOW), ERR_EXPIRED);
	assert_false(token_store_knows(s, &weak, NOW));
	other = token_store_new(*state);
	assert_int_equal(token_store_check(other, &weak, NOW), ERR_EXPIRED);
	token_store_free(other);
	token_store_free(s);
}

static void write_file(const char *dir, const char *name, const char *text, mode_t mode)
{
	char path[128];
	FILE *f;

	path_of(path, dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

/* A list that cannot be read lets nobody in, and is not overwritten. */
static void test_bad_files(void **state)
{
	static const char *const lists[] = {
		"", "{", "[]", "{\"tokens\":5}", "{\"tokens\":[5]}", "{\"tokens\":[{\"id\":\"00\"}]}",
		"{\"tokens\":[{\"id\":\"0000000000000000\",\"name\":\"\",\"created\":-1,\"expires\":null,\"revoked\":null,\"limits\":[]}]}",
	};
	char why[COMMAND_WHY_CAP];
	struct token_store *s = token_store_new(*state);
	struct token t;
	json_t *p = json("{\"method\":[\"status\"]}"), *list;

	create(s, &t, "{\"method\":[\"status\"]}", NOW);
	token_store_free(s);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct token made;

		write_file(*state, "control_tokens.json", lists[i], 0600);
		s = token_store_new(*state);
		assert_true(token_store_check(s, &t, NOW) < 0);
		assert_int_equal(token_store_create(s, &made, p, false, NOW, why), ERR_MALFORMED);
		assert_null(token_store_list(s, why));
		token_store_free(s);
	}
	write_file(*state, "control_tokens.json", "{\"tokens\":[]}", 0644);
	s = token_store_new(*state);
	assert_int_equal(token_store_check(s, &t, NOW), ERR_PERMISSION);
	token_store_free(s);
	write_file(*state, "control_tokens.json", "{\"tokens\":[]}", 0600);
	s = token_store_new(*state);
	assert_int_equal(token_store_check(s, &t, NOW), ERR_AUTH);	/* not in the list */
	list = token_store_list(s, why);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	token_store_free(s);
	json_decref(p);
}

static void test_room(void **state)
{
	struct token_store *s = token_store_new(*state);
	char why[COMMAND_WHY_CAP];
	json_t *p = json("{\"method\":[\"a\"]}");
	struct token t, first, brief;

	create(s, &first, "{\"method\":[\"a\"]}", NOW);
	create(s, &brief, "{\"method\":[\"a\"],\"valid_for\":10}", NOW);
	for (int i = 2; i < TOKENS_MAX; i++)
		create(s, &t, "{\"method\":[\"a\"]}", NOW);
	assert_int_equal(token_store_create(s, &t, p, false, NOW, why), ERR_LIMIT);
	/* What has expired makes room, and then what was revoked. */
	create(s, &t, "{\"method\":[\"a\"]}", NOW + 10);
	assert_int_equal(token_store_create(s, &t, p, false, NOW + 10, why), ERR_LIMIT);
	assert_int_equal(token_store_revoke(s, first.id, false, NOW + 10, why), 0);
	create(s, &t, "{\"method\":[\"a\"]}", NOW + 10);
	assert_int_equal(token_store_check(s, &first, NOW + 10), ERR_AUTH);
	assert_int_equal(token_store_check(s, &t, NOW + 10), 0);
	json_decref(p);
	token_store_free(s);
}

static void test_rate(void **state)
{
	struct token_store *s = token_store_new(*state);
	struct token t, free_token;
	unsigned n = 0;

	create(s, &t, "{\"method\":[\"a\"],\"rate\":10}", NOW);
	for (int i = 0; i < 20; i++)
		n += token_store_count(s, &t, 60000, NOW) == 0;
	assert_int_equal(n, 10);
	/* Half a minute into the next one half of them still count. */
	for (int i = 0; i < 20; i++)
		n += token_store_count(s, &t, 150000, NOW) == 0;
	assert_int_equal(n, 15);
	for (int i = 0; i < 20; i++)
		n += token_store_count(s, &t, 600000, NOW) == 0;
	assert_int_equal(n, 25);
	create(s, &free_token, "{\"method\":[\"a\"]}", NOW);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(token_store_count(s, &free_token, 600000, NOW), 0);
	token_store_free(s);
}

/* -- a session ------------------------------------------------------------------------- */

static struct token_store *store;

static int run_auth(struct ctl_call *call)
{
	return ctl_session_auth(call, store, param_text(call->params, "token"));
}

static int run_yes(struct ctl_call *call)
{
	call->result = json_true();
	return 0;
}

static void drop(struct ctl_session *s, const char *line, size_t len)
{
	(void)s;
	(void)line;
	(void)len;
}

static void expect(struct ctl_session *session, const char *method, const char *params, const char *want)
{
	static const struct command_arg auth_args[] = { { "token", KIND_TEXT, 1, 4096, ARG_REQUIRED, "TOKEN", "" } };
	static const struct command rows[] = {
		{ "auth", COMMAND_DAEMON, CMD_PROTOCOL | CMD_AUTH, "", auth_args, 1 }, { "look", COMMAND_DAEMON, 0, "", NULL, 0 },
		{ "change", COMMAND_DAEMON, CMD_CHANGES, "", NULL, 0 },
		{ "token.create", COMMAND_DAEMON, CMD_CHANGES | CMD_OWNER, "", NULL, 0 },
		{ "inner", COMMAND_DAEMON, CMD_OWNER | CMD_PROTOCOL, "", NULL, 0 },
	};
	static const ctl_run_fn handlers[] = { run_auth, run_yes, run_yes, run_yes, run_yes };
	static const struct ctl_commands commands = { rows, handlers, 5, NULL };
	char line[TOKEN_TEXT_CAP + 128], *got;

	snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}", method, params);
	got = ctl_answer(&commands, session, line, strlen(line));
	if (!got || !strstr(got, want))
		fail_msg("%s %s gave %s", method, params, got ? got : "nothing");
	free(got);
}

static void auth(struct ctl_session *session, const struct token *t, const char *want)
{
	char text[TOKEN_TEXT_CAP], params[TOKEN_TEXT_CAP + 32];

	token_text(text, t);
	snprintf(params, sizeof(params), "{\"token\":\"%s\"}", text);
	expect(session, "auth", params, want);
}

/* With a token a session has the token's rights: more than its user's, or fewer. */
static void test_session(void **state)
{
	struct ctl_session session = { .write = drop }, owner = { .may_change = true, .write = drop };
	struct token t, forged = make(NULL);
	char why[COMMAND_WHY_CAP];

	clock_set_manual(1000000, NOW);
	store = token_store_new(*state);
	create(store, &t, "{\"method\":[\"change\",\"token.*\"],\"valid_for\":100,\"rate\":4}", NOW);
	expect(&session, "change", "{}", "-32001");
	expect(&session, "look", "{}", "true");
	expect(&session, "inner", "{}", "-32001");
	auth(&session, &forged, "did not make that token");
	expect(&session, "look", "{}", "true");		/* nothing changed */
	expect(&session, "auth", "{\"token\":\"nonsense\"}", "-32001");
	auth(&session, &t, "\"result\":null");
	expect(&session, "change", "{}", "\"result\":true");
	expect(&session, "look", "{}", "does not allow look");
	expect(&session, "inner", "{}", "does not allow inner");
	auth(&owner, &t, "\"result\":null");
	expect(&owner, "look", "{}", "does not allow look");
	expect(&owner, "token.create", "{}", "not with a token");
	for (int i = 0; i < 3; i++)
		expect(&owner, "change", "{}", "\"result\":true");
	expect(&session, "change", "{}", "4 calls a minute");
	assert_int_equal(ctl_session_subscribe(&session, NULL), 0);
	assert_true(ctl_session_hears(&session, "links"));
	assert_int_equal(token_store_revoke(store, t.id, false, NOW, why), 0);
	assert_false(ctl_session_hears(&session, "links"));
	expect(&session, "change", "{}", "expired or was revoked");
	ctl_session_end(&session);
	ctl_session_end(&owner);
	token_store_free(store);
}

static void test_duration(void **state)
{
	static const struct {
		const char *text;
		int64_t want;		/* negative: an error */
	} cases[] = {
		{ "30", 30 }, { "30 s", 30 }, { "30s", 30 }, { "90 min", 5400 }, { "2 days", 172800 }, { "1 week", 604800 },
		{ "", ERR_MALFORMED }, { "s", ERR_MALFORMED }, { "-1", ERR_MALFORMED }, { "1 year", ERR_MALFORMED },
		{ "1 s ", ERR_MALFORMED }, { "99999999999999999999", ERR_RANGE }, { "9223372036854775807 weeks", ERR_RANGE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t v = 7;
		int r = command_duration_parse(&v, cases[i].text);

		if (cases[i].want < 0 ? r != cases[i].want || v != 7 : r != 0 || v != cases[i].want)
			fail_msg("\"%s\" gave %d and %lld", cases[i].text, r, (long long)v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits), cmocka_unit_test(test_attenuation), cmocka_unit_test(test_text),
		cmocka_unit_test(test_bad_limits), cmocka_unit_test(test_duration),
		cmocka_unit_test_setup_teardown(test_store, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_bad_files, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_room, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_rate, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_session, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
