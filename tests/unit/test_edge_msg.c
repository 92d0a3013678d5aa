#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>

#include "../../relay/edge_msg.h"
#include "../../relay/resolve.h"

#define BODY(text) (const uint8_t *)(text), sizeof(text) - 1

static struct addr ip(const char *text)
{
	struct addr a = { 0 };

	if (addr_parse_ip(&a, text, strlen(text)) < 0)
		fail_msg("%s", text);
	return a;
}

static void test_begin(void **state)
{
	struct begin b;
	struct addr a;

	(void)state;
	assert_int_equal(begin_parse(&b, BODY("WWW.Example.com:80\0")), 0);
	assert_string_equal(b.host, "www.example.com");
	assert_int_equal(b.port, 80);
	assert_int_equal(b.flags, 0);
	assert_int_equal(b.addr.family, ADDR_NONE);

	assert_int_equal(begin_parse(&b, BODY("a_b.example.:65535\0\0\0\0\5")), 0);
	assert_string_equal(b.host, "a_b.example");
	assert_int_equal(b.flags, BEGIN_IPV6_OK | BEGIN_IPV6_PREFERRED);
	assert_int_equal(begin_parse(&b, BODY("h:1\0\0\0\1")), 0);	/* three bytes are no flags */
	assert_int_equal(b.flags, 0);
	assert_int_equal(begin_parse(&b, BODY("h:1\0\0\0\0\2more")), 0);
	assert_int_equal(b.flags, BEGIN_IPV4_NOT_OK);

	assert_int_equal(begin_parse(&b, BODY("192.0.2.7:443\0")), 0);
	a = ip("192.0.2.7");
	assert_true(addr_ip_eq(&b.addr, &a));
	assert_int_equal(b.addr.port, 443);
	assert_string_equal(b.host, "");
	assert_int_equal(begin_parse(&b, BODY("[2001:DB8::7]:443\0")), 0);
	a = ip("2001:db8::7");
	assert_true(addr_ip_eq(&b.addr, &a));
	assert_int_equal(begin_parse(&b, BODY("[::ffff:192.0.2.7]:443\0")), 0);
	assert_int_equal(b.addr.family, ADDR_V4);
}

static void test_begin_bad(void **state)
{
	static const struct { const char *p; size_t len; } bad[] = {
#define BAD(text) { text, sizeof(text) - 1 }
		BAD(""), BAD("\0"), BAD("host:80"), BAD("host\0"), BAD(":80\0"), BAD("host:\0"), BAD("host:0\0"),
		BAD("host:65536\0"), BAD("host:080000\0"), BAD("host:8x\0"), BAD("host:-1\0"), BAD("host: 80\0"),
		BAD("ho st:80\0"), BAD("a..b:80\0"), BAD(".a:80\0"), BAD(".:80\0"), BAD("2001:db8::7:80\0"),
		BAD("[192.0.2.1]:80\0"), BAD("[2001:db8::7:80\0"), BAD("1.2.3:80\0"), BAD("300.1.1.1:80\0"),
		BAD("h\xc3\xa9:80\0"), BAD("x.onion:80\0"), BAD("X.ONION.:80\0"), BAD("x.exit:80\0"),
		BAD("a/b:80\0"), BAD("[fe80::1%eth0]:80\0"), BAD("\n:80\0"),
#undef BAD
	};
	char text[400] = "", label64[65];
	struct begin b;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (begin_parse(&b, (const uint8_t *)bad[i].p, bad[i].len) != ERR_MALFORMED)
			fail_msg("taken: %s", bad[i].p);
	memset(label64, 'a', 64);
	label64[64] = '\0';
	strcat(strcpy(text, label64), ":80");
	assert_int_equal(begin_parse(&b, (const uint8_t *)text, strlen(text) + 1), ERR_MALFORMED);
	strcat(strcpy(text, label64 + 1), ":80");
	assert_int_equal(begin_parse(&b, (const uint8_t *)text, strlen(text) + 1), 0);
	/* 253 characters are the longest name. */
	memset(text, 'a', 253);
	for (int i = 49; i < 250; i += 50)
		text[i] = '.';
	strcpy(text + 253, ":80");
	assert_int_equal(begin_parse(&b, (const uint8_t *)text, strlen(text) + 1), 0);
	memmove(text + 1, text, strlen(text) + 1);
	assert_int_equal(begin_parse(&b, (const uint8_t *)text, strlen(text) + 1), ERR_MALFORMED);
}

static void test_resolve(void **state)
{
	static const char six[] = "B.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.IP6.arpa";
	struct resolve_request q;
	struct addr a;

	(void)state;
	assert_int_equal(resolve_parse(&q, BODY("Example.ORG\0")), 0);
	assert_int_equal(q.what, RESOLVE_FORWARD);
	assert_string_equal(q.host, "example.org");
	assert_int_equal(resolve_parse(&q, BODY("::1\0")), 0);
	assert_int_equal(q.what, RESOLVE_LITERAL);
	assert_int_equal(resolve_parse(&q, BODY("1.2.3.4\0ignored")), 0);
	assert_int_equal(q.what, RESOLVE_LITERAL);
	assert_int_equal(resolve_parse(&q, BODY("4.3.2.1.In-Addr.Arpa\0")), 0);
	assert_int_equal(q.what, RESOLVE_REVERSE);
	a = ip("1.2.3.4");
	assert_true(addr_ip_eq(&q.addr, &a));
	assert_int_equal(resolve_parse(&q, (const uint8_t *)six, sizeof(six)), 0);
	assert_int_equal(q.what, RESOLVE_REVERSE);
	a = ip("4321:0:1:2:3:4:567:89ab");		/* the example of RFC 3596, 2.5 */
	assert_true(addr_ip_eq(&q.addr, &a));

	assert_int_equal(resolve_parse(&q, BODY("")), ERR_MALFORMED);
	assert_int_equal(resolve_parse(&q, BODY("no nul")), ERR_MALFORMED);
	assert_int_equal(resolve_parse(&q, BODY("\0")), ERR_MALFORMED);
	assert_int_equal(resolve_parse(&q, BODY(".in-addr.arpa\0")), ERR_MALFORMED);
	assert_int_equal(resolve_parse(&q, BODY("3.2.1.in-addr.arpa\0")), ERR_MALFORMED);
	assert_int_equal(resolve_parse(&q, BODY("256.3.2.1.in-addr.arpa\0")), ERR_MALFORMED);
	assert_int_equal(resolve_parse(&q, (const uint8_t *)six + 2, sizeof(six) - 2), ERR_MALFORMED);
	assert_int_equal(resolve_parse(&q, BODY("x.onion\0")), ERR_MALFORMED);
}

static void test_build(void **state)
{
	struct resolve_answer answer = { .result = RESOLVE_OK, .n_addr = 2,
					 .addr = { ip("1.2.3.4"), ip("2001:db8::1") } };
	struct addr four = ip("1.2.3.4"), six = ip("2001:db8::1"), none = { 0 };
	uint8_t out[498];

	(void)state;
	assert_int_equal(connected_build(out, &four), 8);
	assert_memory_equal(out, "\1\2\3\4\0\0\0\x3c", 8);
	assert_int_equal(connected_build(out, &six), CONNECTED_MAX);
	assert_memory_equal(out, "\0\0\0\0\6\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\x3c", 25);
	assert_int_equal(end_policy_build(out, &none), 1);
	assert_int_equal(end_policy_build(out, &four), 9);
	assert_memory_equal(out, "\4\1\2\3\4\0\0\0\x3c", 9);
	assert_int_equal(end_policy_build(out, &six), END_MAX);

	assert_int_equal(resolved_build(out, sizeof(out), &answer), 10 + 22);
	assert_memory_equal(out, "\4\4\1\2\3\4\0\0\0\x3c\6\x10\x20\1", 14);
	answer.result = RESOLVE_TRANSIENT;
	assert_int_equal(resolved_build(out, sizeof(out), &answer), 2 + 24 + 4);
	assert_memory_equal(out, "\xf0\x18" "Error resolving hostname\0\0\0\x3c", 30);
	answer.result = RESOLVE_PERMANENT;
	(void)resolved_build(out, sizeof(out), &answer);
	assert_int_equal(out[0], 0xf1);
	answer = (struct resolve_answer){ .result = RESOLVE_OK, .name = "a.example" };
	assert_int_equal(resolved_build(out, sizeof(out), &answer), 2 + 9 + 4);
	assert_memory_equal(out, "\0\x09" "a.example\0\0\0\x3c", 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begin),	cmocka_unit_test(test_begin_bad),
		cmocka_unit_test(test_resolve), cmocka_unit_test(test_build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
