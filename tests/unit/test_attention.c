#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/daemon/attention.h"

enum { NOW = 1000000 };

/* A relay with which all is well; each case below puts other members in their place. */
static const char good[] =
	"{\"state\": \"running\", \"waiting_for\": null, \"uptime_s\": 5000, \"reached\": true,"
	" \"memory_bytes\": 10, \"max_memory\": 1000,"
	" \"keys\": {\"signing_expires\": 3000000, \"master_offline\": false},"
	" \"consensus\": {\"valid_after\": 999000, \"fresh_until\": 1002600, \"valid_until\": 1009800,"
	"  \"listed\": true, \"flags\": [\"Fast\", \"Running\"]},"
	" \"directory\": [{\"name\": \"a1\", \"http_status\": 200, \"last_upload\": 990000, \"fetch_status\": 200, \"last_fetch\": 999990},"
	"  {\"name\": \"a2\", \"http_status\": 200, \"last_upload\": 990000, \"fetch_status\": 200, \"last_fetch\": 999990}],"
	" \"workers\": [{\"index\": 0, \"state\": \"ready\", \"restarts\": 0,"
	"  \"sandbox\": {\"no_new_privs\": true, \"landlock\": 3, \"seccomp\": true}}],"
	" \"counters\": {\"dns_queries\": 100, \"dns_hits\": 50, \"dns_no_answer\": 2}}";

static json_t *status_with(const char *other)
{
	json_t *s = json_loads(good, 0, NULL), *changes = json_loads(other, 0, NULL);

	assert_non_null(s);
	if (!changes)
		fail_msg("%s is not JSON", other);
	json_object_update(s, changes);
	json_decref(changes);
	return s;
}

static void test_rules(void **state)
{
	static const struct {
		const char *other, *severity, *what;
	} cases[] = {
		{ "{}", NULL, NULL },
		{ "{\"waiting_for\": \"an address\"}", "problem", "waits for an address" },
		{ "{\"waiting_for\": \"an address\", \"uptime_s\": 60}", NULL, NULL },
		{ "{\"reached\": false}", "warning", "no other relay has connected" },
		{ "{\"reached\": false, \"uptime_s\": 100}", NULL, NULL },
		{ "{\"consensus\": {\"valid_until\": null}}", "problem", "there is no consensus" },
		{ "{\"consensus\": {\"valid_until\": 999400}}", "problem", "out of date since 10 minutes" },
		{ "{\"consensus\": {\"valid_after\": 999000, \"fresh_until\": 1002600, \"valid_until\": 1009800, \"listed\": false}}",
		  "warning", "does not list this relay" },
		{ "{\"consensus\": {\"valid_after\": 991000, \"fresh_until\": 994600, \"valid_until\": 1009800, \"listed\": false}}",
		  NULL, NULL },
		{ "{\"consensus\": {\"valid_until\": 1009800, \"flags\": [\"BadExit\"]}}", "problem", "bad exit" },
		{ "{\"consensus\": {\"valid_until\": 1009800, \"flags\": [\"MiddleOnly\"]}}", "warning", "middle of circuits" },
		{ "{\"consensus\": {\"valid_until\": 1009800, \"flags\": [\"StaleDesc\", 5]}}", "warning", "copy of the descriptor" },
		{ "{\"directory\": [{\"name\": \"a1\", \"http_status\": 400}, {\"name\": \"a2\", \"http_status\": 200}]}", "warning",
		  "1 of 2 authorities did not take the descriptor: a1" },
		{ "{\"directory\": [{\"name\": \"a1\", \"http_status\": -5}, {\"name\": \"a2\", \"http_status\": 503}]}", "problem",
		  "2 of 2 authorities did not take the descriptor: a1, a2" },
		{ "{\"keys\": {\"signing_expires\": 1360000, \"master_offline\": true}}", "warning", "expires in 100 hours" },
		{ "{\"keys\": {\"signing_expires\": 1360000, \"master_offline\": false}}", NULL, NULL },
		{ "{\"keys\": {\"signing_expires\": 1072000, \"master_offline\": true}}", "problem", "expires in 20 hours" },
		{ "{\"keys\": {\"signing_expires\": 999999, \"master_offline\": true}}", "problem", "has expired" },
		{ "{\"memory_bytes\": 950}", "warning", "memory is at 95 %" },
		{ "{\"memory_bytes\": 1950}", "problem", "memory is at 195 %" },
		{ "{\"workers\": [{\"index\": 3, \"state\": \"ready\", \"restarts\": 2}]}", "warning",
		  "worker 3 had to be started again 2 times" },
		{ "{\"workers\": [{\"state\": \"ready\", \"sandbox\": {\"landlock\": 0, \"seccomp\": true}}]}", "warning", "not fully confined" },
		{ "{\"workers\": [{\"state\": \"starting\", \"sandbox\": {\"landlock\": 0, \"seccomp\": false}}]}", NULL, NULL },
		{ "{\"ledger\": {\"problem\": \"disk full\", \"do\": \"make room\"}}", "problem", "ledger: disk full" },
		{ "{\"ledger\": {\"follow\": {\"url\": \"http://x\", \"problem\": \"timeout\", \"forked\": false}}}", "warning",
		  "http://x is not followed: timeout" },
		{ "{\"ledger\": {\"follow\": {\"url\": \"u\", \"problem\": \"two histories\", \"forked\": true}}}", "problem", "two histories" },
		{ "{\"consensus\": 5, \"directory\": {}, \"workers\": \"x\", \"keys\": [], \"counters\": null}", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *s = status_with(cases[i].other), *list = attention_make(s, NOW), *row = json_array_get(list, 0);
		char *shown = json_dumps(list, 0);

		if (json_array_size(list) != (cases[i].what ? 1 : 0))
			fail_msg("%s gives %s", cases[i].other, shown);
		if (row && (strcmp(json_string_value(json_object_get(row, "severity")), cases[i].severity) != 0 ||
			    !strstr(json_string_value(json_object_get(row, "what")), cases[i].what) ||
			    json_string_length(json_object_get(row, "do")) == 0))
			fail_msg("%s gives %s", cases[i].other, shown);
		free(shown);
		json_decref(list);
		json_decref(s);
	}
}

/* Problems stand before warnings. */
static void test_order(void **state)
{
	json_t *s = status_with("{\"reached\": false, \"memory_bytes\": 2000}"), *list = attention_make(s, NOW);

	(void)state;
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "severity")), "problem");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "severity")), "warning");
	json_decref(list);
	json_decref(s);
}

static void expect_health(const char *other, const char *name, const char *health)
{
	json_t *s = status_with(other), *list = dependencies_make(s, NOW), *d = NULL;
	size_t i;

	json_array_foreach(list, i, d)
		if (strcmp(json_string_value(json_object_get(d, "name")), name) == 0)
			break;
	if (!d || strcmp(json_string_value(json_object_get(d, "health")), health) != 0)
		fail_msg("%s: %s is not %s", other, name, health);
	json_decref(list);
	json_decref(s);
}

static void test_dependencies(void **state)
{
	(void)state;
	expect_health("{}", "consensus", "ok");
	expect_health("{}", "authority a1", "ok");
	expect_health("{}", "name servers", "ok");
	expect_health("{\"consensus\": {\"valid_until\": 999999}}", "consensus", "failing");
	expect_health("{\"consensus\": {}}", "consensus", "unknown");
	expect_health("{\"directory\": [{\"name\": \"x\", \"fetch_status\": -22, \"last_fetch\": 5}]}", "authority x", "failing");
	expect_health("{\"directory\": [{\"name\": \"x\", \"fetch_status\": 404, \"last_fetch\": 5}]}", "authority x", "ok");
	expect_health("{\"directory\": [{\"name\": \"x\"}]}", "authority x", "unknown");
	expect_health("{\"counters\": {\"dns_queries\": 100, \"dns_hits\": 50, \"dns_no_answer\": 40}}", "name servers", "failing");
	expect_health("{\"counters\": {}}", "name servers", "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules), cmocka_unit_test(test_order), cmocka_unit_test(test_dependencies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
