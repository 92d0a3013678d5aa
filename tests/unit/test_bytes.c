#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/addr.h>
#include <nonos/bytes.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/rand.h>

static void test_reader(void **state)
{
	static const uint8_t in[] = { 1, 2, 3, 4, 5, 6, 7 };
	struct rd r = rd_init(in, sizeof(in));

	(void)state;
	assert_int_equal(rd_u8(&r), 1);
	assert_int_equal(rd_u16(&r), 0x0203);
	assert_int_equal(rd_u32(&r), 0x04050607);
	assert_int_equal(rd_done(&r), 0);
	assert_int_equal(rd_u8(&r), 0);
	assert_int_equal(rd_done(&r), ERR_MALFORMED);

	r = rd_init(in, sizeof(in));
	assert_int_equal(rd_u64(&r), 0x0102030400000000);	/* short: zeros */
	assert_false(rd_ok(&r));
	assert_null(rd_take(&r, 0));				/* sticky */

	r = rd_init(in, sizeof(in));
	(void)rd_u8(&r);
	assert_int_equal(rd_done(&r), ERR_MALFORMED);		/* trailing bytes */
}

static void test_writer(void **state)
{
	uint8_t out[8];
	struct wr w = wr_init(out, sizeof(out));

	(void)state;
	wr_u16(&w, 0x0102);
	wr_printf(&w, "%s", "abcde");
	assert_int_equal(wr_len(&w), 7);
	assert_int_equal(wr_done(&w), 0);
	wr_u16(&w, 1);
	assert_int_equal(wr_done(&w), ERR_TOO_LONG);
	assert_int_equal(wr_len(&w), 7);
	assert_memory_equal(out, "\1\2abcde", 7);
}

static void test_base64(void **state)
{
	static const char *const rfc4648[][2] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
	};
	char text[32];
	uint8_t out[32];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(rfc4648) / sizeof(rfc4648[0]); i++) {
		const char *plain = rfc4648[i][0], *coded = rfc4648[i][1];

		base64_encode(text, plain, strlen(plain), true);
		assert_string_equal(text, coded);
		assert_int_equal(base64_decode(out, sizeof(out), &len, coded, strlen(coded)), 0);
		assert_int_equal(len, strlen(plain));
		assert_memory_equal(out, plain, len);
		base64_encode(text, plain, strlen(plain), false);
		assert_int_equal(base64_decode(out, sizeof(out), &len, text, strlen(text)), 0);
		assert_int_equal(len, strlen(plain));
	}
	assert_int_equal(base64_decode(out, sizeof(out), &len, "Zh", 2), ERR_MALFORMED);	/* stray bits */
	assert_int_equal(base64_decode(out, sizeof(out), &len, "Z", 1), ERR_MALFORMED);
	assert_int_equal(base64_decode(out, sizeof(out), &len, "Zg= ", 4), ERR_MALFORMED);
	assert_int_equal(base64_decode(out, 2, &len, "Zm9v", 4), ERR_TOO_LONG);
	assert_int_equal(base64_decode_exact(out, 4, "Zm9v", 4), ERR_MALFORMED);
}

static void test_pem(void **state)
{
	uint8_t in[200], out[200];
	char text[PEM_CAP(200)];
	size_t len, used;

	(void)state;
	rand_bytes(in, sizeof(in));
	for (size_t n = 0; n <= sizeof(in); n++) {
		size_t text_len = pem_encode(text, sizeof(text), "TEST", in, n);

		assert_true(text_len < sizeof(text));
		assert_int_equal(pem_decode(out, sizeof(out), &len, &used, "TEST", text, text_len), 0);
		assert_int_equal(len, n);
		assert_int_equal(used, text_len);
		assert_memory_equal(out, in, n);
		assert_int_equal(pem_decode(out, sizeof(out), &len, &used, "REST", text, text_len), ERR_MALFORMED);
		assert_int_equal(pem_decode(out, sizeof(out), &len, &used, "TEST", text, text_len - 8), ERR_MALFORMED);
	}
	strcpy(text, "-----BEGIN TEST-----\nZm9vYg\n-----END TEST-----\n");	/* unpadded */
	assert_int_equal(pem_decode(out, sizeof(out), &len, &used, "TEST", text, strlen(text)), 0);
	assert_int_equal(len, 4);
	assert_memory_equal(out, "foob", 4);
	strcpy(text, "-----BEGIN TEST-----\nZm9vY\n-----END TEST-----\n");
	assert_int_equal(pem_decode(out, sizeof(out), &len, &used, "TEST", text, strlen(text)), ERR_MALFORMED);
}

static void test_hex(void **state)
{
	uint8_t out[4];
	char text[9];

	(void)state;
	assert_int_equal(hex_decode(out, 4, "00ffA5a5", 8), 0);
	hex_encode(text, out, 4);
	assert_string_equal(text, "00ffa5a5");
	assert_int_equal(hex_decode(out, 4, "00ffA5a", 7), ERR_MALFORMED);
	assert_int_equal(hex_decode(out, 4, "00ffA5ag", 8), ERR_MALFORMED);
}

static void test_addr(void **state)
{
	static const char *const good[] = { "192.0.2.1:9001", "[2001:db8::1]:443" };
	static const char *const bad[] = { "", ":", "1.2.3.4", "1.2.3:5", "::1:9001", "1.2.3.4:0",
					   "1.2.3.4:65536", "1.2.3.4:1x", "[::1:5", "[1.2.3.4]:5" };
	static const char *const private[] = { "127.0.0.1", "10.1.2.3", "172.31.255.255", "192.168.0.1",
					       "169.254.1.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
					       "100.64.0.1", "::", "::1", "fe80::1", "fd00::1", "ff02::1",
					       "::ffff:127.0.0.1" };
	static const char *const public[] = { "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1",
					      "::ffff:8.8.8.8" };
	char text[ADDR_TEXT_CAP];
	struct addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(addr_parse(&a, good[i], strlen(good[i])), 0);
		assert_string_equal(addr_format(text, &a), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(addr_parse(&a, bad[i], strlen(bad[i])) < 0);
	for (size_t i = 0; i < sizeof(private) / sizeof(private[0]); i++) {
		assert_int_equal(addr_parse_ip(&a, private[i], strlen(private[i])), 0);
		if (!addr_is_private(&a))
			fail_msg("%s is private", private[i]);
	}
	for (size_t i = 0; i < sizeof(public) / sizeof(public[0]); i++) {
		assert_int_equal(addr_parse_ip(&a, public[i], strlen(public[i])), 0);
		if (addr_is_private(&a))
			fail_msg("%s is public", public[i]);
	}
}

static void test_rand(void **state)
{
	unsigned seen[7] = { 0 };
	uint8_t a[64], b[64];

	(void)state;
	for (int i = 0; i < 7000; i++)
		seen[rand_below(7)]++;
	for (int i = 0; i < 7; i++)
		assert_in_range(seen[i], 800, 1200);
	rand_fast(a, sizeof(a));
	rand_fast(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reader), cmocka_unit_test(test_writer), cmocka_unit_test(test_base64),
		cmocka_unit_test(test_pem), cmocka_unit_test(test_hex), cmocka_unit_test(test_addr),
		cmocka_unit_test(test_rand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
