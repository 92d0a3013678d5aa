#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/bytes.h>
#include <nonos/err.h>

#include "../../relay/linkspec.h"

static uint8_t buf[600];
static struct wr w;

static void begin(uint8_t count)
{
	w = wr_init(buf, sizeof(buf));
	wr_u8(&w, count);
}

/* A specifier whose body is `fill` repeated. */
static void spec(uint8_t type, uint8_t len, uint8_t fill)
{
	uint8_t *p;

	wr_u8(&w, type);
	wr_u8(&w, len);
	p = wr_reserve(&w, len);
	assert_non_null(p);
	memset(p, fill, len);
}

static int end(struct extend_target *t)
{
	wr_u16(&w, 2);
	wr_u16(&w, 4);
	wr_bytes(&w, "skin", 4);
	assert_int_equal(wr_done(&w), 0);
	return extend2_parse(t, buf, wr_len(&w));
}

static void test_all(void **state)
{
	struct extend_target t;

	(void)state;
	begin(4);
	spec(0, 6, 0x11);
	spec(2, 20, 0x22);
	spec(3, 32, 0x33);
	spec(1, 18, 0x44);
	assert_int_equal(end(&t), 0);
	assert_int_equal(t.v4.family, ADDR_V4);
	assert_int_equal(t.v4.port, 0x1111);
	assert_memory_equal(t.v4.ip, "\x11\x11\x11\x11\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(t.v6.family, ADDR_V6);
	assert_int_equal(t.v6.port, 0x4444);
	assert_int_equal(t.v6.ip[15], 0x44);
	assert_true(t.has_rsa_id && t.has_ed_id);
	assert_int_equal(t.rsa_id[19], 0x22);
	assert_int_equal(t.ed_id[31], 0x33);
	assert_int_equal(t.htype, 2);
	assert_int_equal(t.hlen, 4);
	assert_memory_equal(t.hdata, "skin", 4);
}

static void test_accepted(void **state)
{
	struct extend_target t;

	(void)state;
	begin(2);			/* no Ed25519 identity */
	spec(0, 6, 1);
	spec(2, 20, 1);
	assert_int_equal(end(&t), 0);
	assert_false(t.has_ed_id);
	assert_int_equal(t.v6.family, ADDR_NONE);
	for (size_t i = 0; i < sizeof(t.ed_id); i++)
		assert_int_equal(t.ed_id[i], 0);
	begin(2);			/* IPv6 alone */
	spec(2, 20, 1);
	spec(1, 18, 1);
	assert_int_equal(end(&t), 0);
	assert_int_equal(t.v4.family, ADDR_NONE);
	begin(5);			/* unknown types, and a second IPv4 */
	spec(200, 0, 0);
	spec(0, 6, 1);
	spec(4, 255, 9);
	spec(0, 6, 2);
	spec(2, 20, 1);
	assert_int_equal(end(&t), 0);
	assert_int_equal(t.v4.port, 0x0101);
}

static void test_refused(void **state)
{
	static const struct {
		const char *what;
		uint8_t n, type[3], len[3], fill[3];
	} bad[] = {
		{ "no specifier", 0, { 0 }, { 0 }, { 0 } },
		{ "no address", 1, { 2 }, { 20 }, { 1 } },
		{ "no RSA identity", 2, { 0, 3 }, { 6, 32 }, { 1, 1 } },
		{ "two RSA identities", 3, { 0, 2, 2 }, { 6, 20, 20 }, { 1, 1, 2 } },
		{ "the same RSA identity twice", 3, { 0, 2, 2 }, { 6, 20, 20 }, { 1, 1, 1 } },
		{ "two Ed25519 identities", 3, { 2, 3, 3 }, { 20, 32, 32 }, { 1, 1, 1 } },
		{ "port 0", 2, { 0, 2 }, { 6, 20 }, { 0, 1 } },
		{ "port 0 in IPv6", 2, { 1, 2 }, { 18, 20 }, { 0, 1 } },
		{ "port 0 in a second IPv4", 3, { 0, 0, 2 }, { 6, 6, 20 }, { 1, 0, 1 } },
		{ "short IPv4", 2, { 0, 2 }, { 5, 20 }, { 1, 1 } },
		{ "long IPv4", 2, { 0, 2 }, { 7, 20 }, { 1, 1 } },
		{ "short IPv6", 2, { 1, 2 }, { 17, 20 }, { 1, 1 } },
		{ "long IPv6", 2, { 1, 2 }, { 19, 20 }, { 1, 1 } },
		{ "short RSA identity", 2, { 0, 2 }, { 6, 19 }, { 1, 1 } },
		{ "long RSA identity", 2, { 0, 2 }, { 6, 21 }, { 1, 1 } },
		{ "short Ed25519 identity", 3, { 0, 2, 3 }, { 6, 20, 31 }, { 1, 1, 1 } },
		{ "long Ed25519 identity", 3, { 0, 2, 3 }, { 6, 20, 33 }, { 1, 1, 1 } },
		{ "empty IPv4", 2, { 0, 2 }, { 0, 20 }, { 1, 1 } },
	};
	struct extend_target t = { .htype = 7 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin(bad[i].n);
		for (uint8_t k = 0; k < bad[i].n; k++)
			spec(bad[i].type[k], bad[i].len[k], bad[i].fill[k]);
		if (end(&t) != ERR_MALFORMED)
			fail_msg("accepted: %s", bad[i].what);
		assert_int_equal(t.htype, 7);		/* outputs keep their value */
	}
	begin(3);			/* says three, has two */
	spec(0, 6, 1);
	spec(2, 20, 1);
	assert_int_equal(end(&t), ERR_MALFORMED);
}

/* Every shortening and every trailing byte is an error. */
static void test_cut(void **state)
{
	struct extend_target t;
	size_t len;

	(void)state;
	begin(3);
	spec(0, 6, 1);
	spec(2, 20, 1);
	spec(3, 32, 1);
	assert_int_equal(end(&t), 0);
	len = wr_len(&w);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(extend2_parse(&t, buf, n), ERR_MALFORMED);
	buf[len] = 0;
	assert_int_equal(extend2_parse(&t, buf, len + 1), ERR_MALFORMED);
}

static void test_build(void **state)
{
	struct extend_target a = { .has_rsa_id = true, .htype = 3, .hlen = 9,
				   .hdata = (const uint8_t *)"handshake" }, b;
	uint8_t out[498];
	size_t len = 0;

	(void)state;
	assert_int_equal(addr_parse(&a.v4, "192.0.2.7:9001", 14), 0);
	memset(a.rsa_id, 0xa1, sizeof(a.rsa_id));
	for (int full = 0; full < 2; full++) {
		if (full) {
			assert_int_equal(addr_parse(&a.v6, "[2001:db8::7]:443", 17), 0);
			a.has_ed_id = true;
			memset(a.ed_id, 0xb2, sizeof(a.ed_id));
		}
		assert_int_equal(extend2_build(out, sizeof(out), &len, &a), 0);
		assert_int_equal(out[0], full ? 4 : 2);
		assert_int_equal(extend2_parse(&b, out, len), 0);
		assert_true(addr_eq(&a.v4, &b.v4));
		assert_int_equal(b.v6.family, a.v6.family);
		assert_memory_equal(a.v6.ip, b.v6.ip, 16);
		assert_memory_equal(a.rsa_id, b.rsa_id, 20);
		assert_memory_equal(a.ed_id, b.ed_id, 32);
		assert_int_equal(b.htype, 3);
		assert_memory_equal(b.hdata, "handshake", 9);
		for (size_t cap = 0; cap < len; cap++)
			assert_int_equal(extend2_build(out, cap, &(size_t){ 0 }, &a), ERR_TOO_LONG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all), cmocka_unit_test(test_accepted), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cut), cmocka_unit_test(test_build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
