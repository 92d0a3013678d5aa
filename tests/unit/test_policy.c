#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>
#include <nonos/policy.h>

static struct policy *parse(const char *text)
{
	struct policy *p = NULL;
	char err[200] = "";

	if (policy_parse(&p, text, err, sizeof(err)) < 0)
		fail_msg("%s: %s", text, err);
	return p;
}

static struct addr at(const char *text)
{
	struct addr a = { 0 };

	if (addr_parse(&a, text, strlen(text)) < 0)
		fail_msg("%s", text);
	return a;
}

static void check(const char *policy, const char *target, bool allowed)
{
	struct policy *p = parse(policy);
	struct addr a = at(target);

	if (policy_allows(p, &a) != allowed)
		fail_msg("\"%s\" and %s: expected %d", policy, target, allowed);
	policy_free(p);
}

static void test_match(void **state)
{
	(void)state;
	check("accept *:443, reject *:*", "192.0.2.1:443", true);
	check("accept *:443, reject *:*", "[2001:db8::1]:443", true);
	check("accept *:443, reject *:*", "192.0.2.1:80", false);
	check("accept *:443", "192.0.2.1:80", false);		/* the end accepts nothing */
	check("", "192.0.2.1:80", false);
	check("reject 10.0.0.0/8:*, accept *:*", "10.255.0.1:80", false);
	check("reject 10.0.0.0/8:*, accept *:*", "11.0.0.1:80", true);
	check("reject 10.0.0.0/255.128.0.0:*\naccept *:*", "10.128.0.1:80", true);
	check("reject 10.1.2.3/8, accept *", "10.9.9.9:1", false);	/* host bits, no ports */
	check("accept 1.2.3.4:80-90", "1.2.3.4:80", true);
	check("accept 1.2.3.4:80-90", "1.2.3.4:90", true);
	check("accept 1.2.3.4:80-90", "1.2.3.4:91", false);
	check("accept 1.2.3.4:80-90", "1.2.3.5:80", false);
	check("Accept *4:*", "1.2.3.4:5", true);
	check("accept *4:*", "[2001:db8::1]:5", false);
	check("accept *6:*", "1.2.3.4:5", false);
	check("accept6 *:80", "1.2.3.4:80", false);
	check("accept6 *:80", "[2001:db8::1]:80", true);
	check("reject6 [2001:db8::]/33:*, accept *:*", "[2001:db8:7fff::1]:80", false);
	check("reject6 [2001:db8::]/33:*, accept *:*", "[2001:db8:8000::1]:80", true);
	check("reject private:*, accept *:*", "127.0.0.1:80", false);
	check("reject private:*, accept *:*", "[::1]:80", false);
	check("reject private:*, accept *:*", "[fe80::1]:80", false);
	check("reject private:*, accept *:*", "1.2.3.4:80", true);
	check("reject6 private:*, accept *:*", "127.0.0.1:80", true);
	/* What a mapped address reaches is an IPv4 host. */
	check("reject private:*, accept *:*", "[::ffff:127.0.0.1]:80", false);
	check("reject 1.2.3.4:*, accept *:*", "[::ffff:1.2.3.4]:80", false);
	check("accept *6:*", "[::ffff:1.2.3.4]:80", false);
}

static void test_port_zero(void **state)
{
	struct policy *p = parse("accept *:*");
	struct addr a = at("1.2.3.4:1");

	(void)state;
	assert_true(policy_allows(p, &a));
	a.port = 0;
	assert_false(policy_allows(p, &a));
	a.family = ADDR_NONE;
	a.port = 1;
	assert_false(policy_allows(p, &a));
	policy_free(p);
}

static void test_bad_text(void **state)
{
	static const char *const bad[] = {
		"accept", "accept ", "allow *:80", "accept *:0", "accept *:65536", "accept *:90-80", "accept *:80-",
		"accept *:-80", "accept *:x", "accept 1.2.3:80", "accept 1.2.3.4/33:*", "accept 1.2.3.4/:*",
		"accept 1.2.3.4/255.0.255.0:*", "accept [::1]/129:*", "accept ::1:80", "accept [::1/64]:80",
		"accept6 1.2.3.4:*", "accept6 *4:*", "accept *:80 reject *:*", "reject *5:*", "accept *:", "accept :80",
		"accept [::1:80", "accept *:80,,x",
	};
	struct policy *p = (struct policy *)bad;
	char err[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err[0] = '\0';
		if (policy_parse(&p, bad[i], err, sizeof(err)) != ERR_MALFORMED)
			fail_msg("taken: %s", bad[i]);
		assert_ptr_equal(p, bad);
		assert_true(strlen(err) > 0);
		assert_int_equal(policy_parse(&p, bad[i], NULL, 0), ERR_MALFORMED);
	}
	p = parse(" accept *:80 ,, reject *:* ,\n");
	policy_free(p);
}

static void test_too_many_rules(void **state)
{
	static const char rule[] = "accept *:80,";
	char *text = calloc(1, 3000 * sizeof(rule));
	struct policy *p;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < 3000; i++)
		strcpy(text + (size_t)i * (sizeof(rule) - 1), rule);
	assert_int_equal(policy_parse(&p, text, NULL, 0), ERR_MALFORMED);
	free(text);
}

static void test_own_and_private(void **state)
{
	struct policy *p = parse("accept *:*");
	struct addr own = at("1.2.3.4:9001"), other = at("1.2.3.4:80"), net = at("10.0.0.1:80");
	struct addr mapped = at("[::ffff:5.6.7.8]:1"), five = at("5.6.7.8:2"), none = { 0 };

	(void)state;
	assert_true(policy_allows(p, &other) && policy_allows(p, &net));
	policy_reject_private(p);
	assert_false(policy_allows(p, &net));
	assert_true(policy_allows(p, &other));
	policy_reject_addr(p, &own);
	assert_false(policy_allows(p, &other));		/* every port of it */
	policy_reject_addr(p, &mapped);
	assert_false(policy_allows(p, &five));
	policy_reject_addr(p, &none);
	five.ip[3]++;
	assert_true(policy_allows(p, &five));
	policy_free(p);
}

static void test_rejects_port(void **state)
{
	struct policy *p = parse("reject 10.0.0.0/8:*, accept 10.1.0.0/16:25, reject *:25, accept *4:80, accept *6:443");

	(void)state;
	assert_true(policy_rejects_port(p, ADDR_V4, 25));	/* the acceptance is dead */
	assert_false(policy_rejects_port(p, ADDR_V4, 80));
	assert_true(policy_rejects_port(p, ADDR_V6, 80));
	assert_true(policy_rejects_port(p, ADDR_V4, 443));
	assert_false(policy_rejects_port(p, ADDR_V6, 443));
	assert_false(policy_rejects_everything(p));
	policy_free(p);

	p = parse("accept 10.1.0.0/16:25, reject *:*");
	assert_false(policy_rejects_port(p, ADDR_V4, 25));
	policy_free(p);
}

static void test_rejects_everything(void **state)
{
	static const struct { const char *text; bool yes; } rows[] = {
		{ "", true }, { "reject *:*", true }, { "reject *:*, accept *:*", true },
		{ "reject *:1-99, reject *:100-65535, accept *:*", true },
		{ "reject *4:*, reject *6:*, accept *:*", true },
		{ "reject *4:*, accept *:*", false }, { "reject *:1-65534, accept *:*", false },
		{ "accept 10.0.0.0/8:80", false }, { "reject 10.0.0.0/8:*, accept 10.2.0.0/16:80", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy *p = parse(rows[i].text);

		if (policy_rejects_everything(p) != rows[i].yes)
			fail_msg("%s", rows[i].text);
		policy_free(p);
	}
}

static void check_lines(const char *policy, bool private_rejected, const char *expected)
{
	struct policy *p = parse(policy);
	char out[4096];

	if (private_rejected)
		policy_reject_private(p);
	assert_int_equal(policy_descriptor_lines(out, sizeof(out), p), 0);
	assert_string_equal(out, expected);
	assert_int_equal(policy_descriptor_lines(out, strlen(expected), p), ERR_TOO_LONG);
	assert_int_equal(policy_descriptor_lines(out, strlen(expected) + 1, p), 0);
	policy_free(p);
}

static void test_descriptor_lines(void **state)
{
	(void)state;
	check_lines("", false, "reject *:*\n");
	check_lines("accept *:*", false, "accept *:*\n");
	check_lines("accept *:*, reject *:80", false, "accept *:*\n");
	check_lines("accept *:443,accept 1.2.3.4/24:80-90,reject6 *:*,reject [::]/8:*,accept 4.3.2.1:1-65535",
		    false, "accept *:443\naccept 1.2.3.0/24:80-90\naccept 4.3.2.1:*\nreject *:*\n");
	check_lines("accept *4:80, accept *6:443", false, "accept *:80\nreject *:*\n");
	check_lines("accept *:*", true,
		    "reject 0.0.0.0/8:*\nreject 10.0.0.0/8:*\nreject 100.64.0.0/10:*\nreject 127.0.0.0/8:*\n"
		    "reject 169.254.0.0/16:*\nreject 172.16.0.0/12:*\nreject 192.0.0.0/24:*\nreject 192.0.2.0/24:*\n"
		    "reject 192.168.0.0/16:*\nreject 198.18.0.0/15:*\nreject 198.51.100.0/24:*\n"
		    "reject 203.0.113.0/24:*\naccept *:*\n");
}

/* The examples and edges of dir-spec 3.4.1 and 3.8.2. */
static void test_summary(void **state)
{
	static const struct { const char *policy, *v4, *v6; } rows[] = {
		{ "accept *:*", "accept 1-65535", "accept 1-65535" },
		{ "reject *:*", "reject 1-65535", "reject 1-65535" },
		{ "", "reject 1-65535", "reject 1-65535" },
		{ "accept *:80, accept *:443", "accept 80,443", "accept 80,443" },
		{ "accept *:80-88, accept *:89-100", "accept 80-100", "accept 80-100" },
		{ "accept *:20, accept *:21", "accept 20-21", "accept 20-21" },
		{ "accept *:443, accept *:80, accept *:80", "accept 80,443", "accept 80,443" },
		{ "reject *:25, accept *:*", "reject 25", "reject 25" },
		{ "accept *4:80, accept *6:443", "accept 80", "accept 443" },
		/* Private networks do not matter; two /8 are still "most", one address more is not. */
		{ "reject private:*, accept *:*", "accept 1-65535", "accept 1-65535" },
		{ "reject 10.1.0.0/16:*, accept *:*", "accept 1-65535", "accept 1-65535" },
		{ "reject 1.0.0.0/8:*, reject 2.0.0.0/8:*, accept *:*", "accept 1-65535", "accept 1-65535" },
		{ "reject 1.0.0.0/8:*, reject 2.0.0.0/8:*, reject 3.0.0.0:*, accept *:*", "reject 1-65535",
		  "accept 1-65535" },
		{ "reject 1.0.0.0/7:80, reject 3.0.0.0:80, accept *:*", "reject 80", "accept 1-65535" },
		{ "reject 16.0.0.0/4:*, accept *:80", "reject 1-65535", "accept 80" },
		/* Accepting a part of the Internet is not listed. */
		{ "accept 1.2.3.0/24:80, reject *:*", "reject 1-65535", "reject 1-65535" },
		{ "accept 0.0.0.0/1:80, accept 128.0.0.0/1:80", "reject 1-65535", "reject 1-65535" },
		{ "reject [2000::]/6:*, accept *:*", "accept 1-65535", "reject 1-65535" },
		{ "reject [2001:1::]/32:*, accept *:*", "accept 1-65535", "accept 1-65535" },
		/* Ties choose accept: both lists are 7 characters. */
		{ "accept *:1-32767", "accept 1-32767", "accept 1-32767" },
		{ "accept *:10000-65535", "reject 1-9999", "reject 1-9999" },
	};
	char out[POLICY_SUMMARY_CAP];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy *p = parse(rows[i].policy);

		assert_int_equal(policy_summary(out, sizeof(out), p, ADDR_V4), 0);
		if (strcmp(out, rows[i].v4))
			fail_msg("\"%s\" IPv4: %s", rows[i].policy, out);
		assert_int_equal(policy_summary(out, sizeof(out), p, ADDR_V6), 0);
		if (strcmp(out, rows[i].v6))
			fail_msg("\"%s\" IPv6: %s", rows[i].policy, out);
		policy_free(p);
	}
}

static void test_summary_long(void **state)
{
	char text[20 * 1000] = "", out[POLICY_SUMMARY_CAP], last[16];
	size_t len = 0;
	struct policy *p;

	(void)state;
	for (int port = 10001; port < 11001; port += 2)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "accept *:%d,", port);
	p = parse(text);
	assert_int_equal(policy_summary(out, sizeof(out), p, ADDR_V4), 0);
	/* "accept " and 165 ports of 5 digits with a comma between make 996; one more would be 1002. */
	assert_int_equal(strlen(out), 996);
	snprintf(last, sizeof(last), ",%d", 10001 + 2 * 164);
	assert_string_equal(out + strlen(out) - 6, last);
	assert_int_equal(policy_summary(out, 100, p, ADDR_V4), ERR_TOO_LONG);
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),		 cmocka_unit_test(test_port_zero),
		cmocka_unit_test(test_bad_text),	 cmocka_unit_test(test_too_many_rules),
		cmocka_unit_test(test_own_and_private),	 cmocka_unit_test(test_rejects_port),
		cmocka_unit_test(test_rejects_everything), cmocka_unit_test(test_descriptor_lines),
		cmocka_unit_test(test_summary),		 cmocka_unit_test(test_summary_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
