#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/conf_edit.h>
#include <nonos/err.h>

static void expect_edit(const char *text, enum option_id id, const char *const *values, size_t n, const char *want)
{
	char *got;

	assert_int_equal(config_edit(&got, text, strlen(text), id, values, n), 0);
	assert_string_equal(got, want);
	free(got);
}

#define ONE(value) (const char *const[]){ value }, 1
#define TWO(a, b) (const char *const[]){ a, b }, 2
#define NONE NULL, 0

static void test_edit(void **state)
{
	(void)state;
	/* A value takes another's place; comments and white space stay. */
	expect_edit("[relay]\nnickname  =  a   # mine\n\n[node]\n", OPTION_nickname, ONE("b"),
		    "[relay]\nnickname  =  b   # mine\n\n[node]\n");
	/* The same key of another section is another option. */
	expect_edit("[node]\nnickname = a\n[relay]\nnickname = a\n", OPTION_nickname, ONE("b"),
		    "[node]\nnickname = a\n[relay]\nnickname = b\n");
	/* A new one goes to the end of its section, before the blank lines. */
	expect_edit("[relay]\nnickname = a\n\n[node]\n", OPTION_contact, ONE("me"),
		    "[relay]\nnickname = a\ncontact = me\n\n[node]\n");
	expect_edit("[relay]", OPTION_contact, ONE("me"), "[relay]\ncontact = me\n");
	/* Without its section, that is added. */
	expect_edit("[relay]\nnickname = a", OPTION_log_level, ONE("info"),
		    "[relay]\nnickname = a\n\n[node]\nlog_level = info\n");
	expect_edit("", OPTION_log_level, ONE("info"), "[node]\nlog_level = info\n");
	/* Repeated ones are replaced all together, where the first was. */
	expect_edit("[relay]\naddress = 1.1.1.1\nnickname = a\naddress = ::1\n", OPTION_address, ONE("2.2.2.2"),
		    "[relay]\naddress = 2.2.2.2\nnickname = a\n");
	expect_edit("[relay]\nnickname = a\n", OPTION_exit_policy, TWO("reject *:25", "accept *:*"),
		    "[relay]\nnickname = a\nexit_policy = reject *:25\nexit_policy = accept *:*\n");
	expect_edit("[relay]\nexit_policy = reject *:*\nnickname = a\n", OPTION_exit_policy, TWO("reject *:25", "accept *:*"),
		    "[relay]\nexit_policy = reject *:25\nexit_policy = accept *:*\nnickname = a\n");
	/* Taken out. */
	expect_edit("[relay]\ncontact = x # y\nnickname = a\n", OPTION_contact, NONE, "[relay]\nnickname = a\n");
	expect_edit("[relay]\n", OPTION_contact, NONE, "[relay]\n");
	/* Line ends of another world, and no line end at the end. */
	expect_edit("[relay]\r\nnickname = a\r\n", OPTION_nickname, ONE("b"), "[relay]\r\nnickname = b\r\n");
	expect_edit("[relay]\nnickname = a", OPTION_nickname, ONE("b"), "[relay]\nnickname = b");
}

static void test_values_that_do_not_fit(void **state)
{
	static const char *const bad[] = { "", " a", "a ", "a #b", "#b", "a\nb", "a\rb" };
	char *got = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(config_edit(&got, "[relay]\n", 8, OPTION_contact, &bad[i], 1), ERR_MALFORMED);
	assert_null(got);
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(option_by_name("nickname"), OPTION_nickname);
	assert_int_equal(option_by_name("relay.nickname"), OPTION_nickname);
	assert_int_equal(option_by_name("node.nickname"), -1);
	assert_int_equal(option_by_name("nick"), -1);
	assert_int_equal(option_by_name(""), -1);
	assert_int_equal(option_by_name("."), -1);
}

static void expect_migrated(const char *text, unsigned changes, const char *want)
{
	unsigned n;
	char *got;

	assert_int_equal(config_migrate(&got, &n, text, strlen(text), NULL, NULL), 0);
	assert_string_equal(got, want);
	assert_int_equal(n, changes);
	free(got);
}

static void test_migrate(void **state)
{
	unsigned n = 7;
	char *got = NULL;

	(void)state;
	expect_migrated("[relay]\nnickname = a\ndir_cache = no # why\n[directory]\nnetwork = tor\n", 2,
			"[relay]\nnickname = a\n[directory]\nnetwork = tor\ndir_cache = no\n\n[node]\nconfig_version = 2\n");
	/* What stands in the new place already is not overruled. */
	expect_migrated("[relay]\ndir_cache = no\n[directory]\ndir_cache = yes\n", 2,
			"[relay]\n[directory]\ndir_cache = yes\n\n[node]\nconfig_version = 2\n");
	expect_migrated("[node]\nconfig_version = 1\n", 1, "[node]\nconfig_version = 2\n");
	expect_migrated("[node]\nconfig_version = 2\n[relay]\ndir_cache = no\n", 0,
			"[node]\nconfig_version = 2\n[relay]\ndir_cache = no\n");
	assert_int_equal(config_migrate(&got, &n, "[node]\nconfig_version = 3\n", 26, NULL, NULL), ERR_UNSUPPORTED);
	assert_int_equal(config_migrate(&got, &n, "a\0b", 3, NULL, NULL), ERR_MALFORMED);
	assert_null(got);
}

/* Every kind of option has its words. */
static void test_explained(void **state)
{
	(void)state;
	for (int id = 0; id < OPTION_COUNT; id++) {
		json_t *o = option_json((enum option_id)id);

		assert_true(json_string_length(json_object_get(o, "kind")) > 0);
		assert_true(json_string_length(json_object_get(o, "form")) > 0);
		json_decref(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edit), cmocka_unit_test(test_values_that_do_not_fit),
		cmocka_unit_test(test_names), cmocka_unit_test(test_migrate), cmocka_unit_test(test_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
