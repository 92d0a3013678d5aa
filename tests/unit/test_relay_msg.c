#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>
#include <nonos/rand.h>

#include "../../relay/cell.h"
#include "../../relay/relay_msg.h"

static bool all_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

static void test_layout(void **state)
{
	static const uint8_t head[] = { 2, 0, 0, 0xbe, 0xef, 0, 0, 0, 0, 0, 5 };
	uint8_t body[CELL_BODY_LEN];

	(void)state;
	memset(body, 0xff, sizeof(body));
	relay_msg_build(body, RELAY_DATA, 0xbeef, (const uint8_t *)"hello", 5);
	assert_memory_equal(body, head, sizeof(head));
	assert_memory_equal(body + RELAY_HEAD_LEN, "hello\0\0\0\0", 9);
	assert_false(all_zero(body + 20, 32));
}

static void test_round_trip(void **state)
{
	uint8_t body[CELL_BODY_LEN], data[RELAY_DATA_MAX], digest[20];

	(void)state;
	rand_bytes(data, sizeof(data));
	for (size_t len = 0; len <= RELAY_DATA_MAX; len++) {
		struct relay_msg m = { .digest = digest };

		relay_msg_build(body, RELAY_CONNECTED, (uint16_t)len, data, len);
		assert_int_equal(relay_msg_parse(&m, body), 0);
		assert_int_equal(m.cmd, RELAY_CONNECTED);
		assert_int_equal(m.stream_id, len);
		assert_int_equal(m.len, len);
		assert_memory_equal(m.data, data, len);
		assert_ptr_equal(m.digest, digest);
	}
}

/* Four zeros come first, as many as there is room for; what follows is never the same twice. */
static void test_padding(void **state)
{
	uint8_t a[CELL_BODY_LEN], b[CELL_BODY_LEN], data[RELAY_DATA_MAX];

	(void)state;
	memset(data, 0xff, sizeof(data));
	for (size_t len = 0; len <= RELAY_DATA_MAX; len++) {
		size_t at = RELAY_HEAD_LEN + len, room = RELAY_DATA_MAX - len;

		memset(a, 0xff, sizeof(a));
		relay_msg_build(a, RELAY_DATA, 1, data, len);
		relay_msg_build(b, RELAY_DATA, 1, data, len);
		assert_true(all_zero(a + at, room < 4 ? room : 4));
		if (room >= 4 + 16)
			assert_memory_not_equal(a + at + 4, b + at + 4, room - 4);
	}
	relay_msg_build(a, RELAY_SENDME, 0, NULL, 0);
	assert_int_equal(a[9], 0);
	assert_int_equal(a[10], 0);
}

static void test_bad_length(void **state)
{
	uint8_t body[CELL_BODY_LEN] = { RELAY_DATA };
	struct relay_msg m = { .cmd = 99, .stream_id = 9 };

	(void)state;
	body[9] = 1, body[10] = 0xf2;				/* 498 */
	assert_int_equal(relay_msg_parse(&m, body), 0);
	assert_int_equal(m.len, RELAY_DATA_MAX);
	m.cmd = 99;
	body[10] = 0xf3;
	assert_int_equal(relay_msg_parse(&m, body), ERR_MALFORMED);
	assert_int_equal(m.cmd, 99);
	body[9] = 0xff, body[10] = 0xff;
	assert_int_equal(relay_msg_parse(&m, body), ERR_MALFORMED);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(relay_cmd_str(RELAY_BEGIN_DIR), "BEGIN_DIR");
	assert_string_equal(relay_cmd_str(RELAY_XON), "XON");
	assert_string_equal(relay_cmd_str(40), "unknown");
	assert_string_equal(end_reason_str(END_EXITPOLICY), "exit policy");
	assert_string_equal(end_reason_str(0), "unknown");
	for (unsigned i = 0; i < 256; i++) {
		assert_non_null(relay_cmd_str((uint8_t)i));
		assert_non_null(end_reason_str((uint8_t)i));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout), cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_padding), cmocka_unit_test(test_bad_length),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
