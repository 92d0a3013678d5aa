#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>

#include "../../relay/cell.h"

static void test_fixed(void **state)
{
	uint8_t buf[CELL_LEN + 1];
	struct cell c = { .cmd = 77 };

	(void)state;
	memset(buf, 0x5a, sizeof(buf));
	cell_put_head(buf, 0x80010203, CELL_RELAY_EARLY);
	assert_memory_equal(buf, "\x80\x01\x02\x03\x09\x5a", 6);
	for (size_t len = 0; len < CELL_LEN; len++) {
		assert_int_equal(cell_open(&c, buf, len), 0);
		assert_int_equal(c.cmd, 77);			/* untouched until whole */
	}
	assert_int_equal(cell_open(&c, buf, sizeof(buf)), CELL_LEN);
	assert_int_equal(c.circ_id, 0x80010203);
	assert_int_equal(c.cmd, CELL_RELAY_EARLY);
	assert_int_equal(c.body_len, CELL_BODY_LEN);
	assert_ptr_equal(c.body, buf + CELL_HEAD_LEN);
}

static void test_variable(void **state)
{
	static uint8_t buf[CELL_VAR_HEAD_LEN + CELL_VAR_BODY_MAX];
	static const uint16_t lens[] = { 0, 1, 509, 65535 };
	static const uint8_t cmds[] = { CELL_VERSIONS, CELL_VPADDING, CELL_CERTS, 255 };
	struct cell c;

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		size_t whole = CELL_VAR_HEAD_LEN + (size_t)lens[i];

		cell_put_head(buf, 0, cmds[i]);
		buf[5] = (uint8_t)(lens[i] >> 8);
		buf[6] = (uint8_t)lens[i];
		assert_int_equal(cell_open(&c, buf, CELL_HEAD_LEN), 0);
		assert_int_equal(cell_open(&c, buf, CELL_VAR_HEAD_LEN - 1), 0);
		assert_int_equal(cell_open(&c, buf, whole - 1), 0);
		assert_int_equal(cell_open(&c, buf, whole), whole);
		assert_int_equal(c.cmd, cmds[i]);
		assert_int_equal(c.circ_id, 0);
		assert_int_equal(c.body_len, lens[i]);
		assert_ptr_equal(c.body, buf + CELL_VAR_HEAD_LEN);
	}
}

/* Cells of both kinds follow each other without gaps. */
static void test_stream(void **state)
{
	uint8_t buf[3 * CELL_LEN];
	struct cell c;
	size_t at = 0;

	(void)state;
	memset(buf, 0, sizeof(buf));
	cell_put_head(buf, 1, CELL_RELAY);
	cell_put_head(buf + CELL_LEN, 0, CELL_NETINFO + 121);	/* 129: CERTS */
	buf[CELL_LEN + 6] = 3;
	cell_put_head(buf + CELL_LEN + 10, 0xffffffff, CELL_DESTROY);
	at += cell_open(&c, buf, sizeof(buf));
	assert_int_equal(at, CELL_LEN);
	at += cell_open(&c, buf + at, sizeof(buf) - at);
	assert_int_equal(at, CELL_LEN + 10);
	assert_int_equal(c.cmd, CELL_CERTS);
	at += cell_open(&c, buf + at, sizeof(buf) - at);
	assert_int_equal(at, 2 * CELL_LEN + 10);
	assert_int_equal(c.circ_id, 0xffffffff);
	assert_int_equal(cell_open(&c, buf + at, sizeof(buf) - at), 0);
}

static void test_create2(void **state)
{
	uint8_t body[CELL_BODY_LEN] = { 0, 3, 1, 0x2c };		/* type 3, 300 bytes */
	const uint8_t *data = NULL;
	uint16_t type = 0, len = 0;

	(void)state;
	assert_int_equal(create2_parse(&type, &data, &len, body, sizeof(body)), 0);
	assert_int_equal(type, HANDSHAKE_NTOR3);
	assert_int_equal(len, 300);
	assert_ptr_equal(data, body + 4);
	body[2] = 1, body[3] = 0xf9;				/* 505: up to the last byte */
	assert_int_equal(create2_parse(&type, &data, &len, body, sizeof(body)), 0);
	body[3] = 0xfa;
	assert_int_equal(create2_parse(&type, &data, &len, body, sizeof(body)), ERR_MALFORMED);
	assert_int_equal(len, 505);
	assert_int_equal(create2_parse(&type, &data, &len, body, 3), ERR_MALFORMED);
	assert_int_equal(create2_parse(&type, &data, &len, body, 0), ERR_MALFORMED);
}

static void test_created2(void **state)
{
	uint8_t body[CELL_BODY_LEN] = { 0, 64 };
	const uint8_t *data = NULL;
	uint16_t len = 0;

	(void)state;
	assert_int_equal(created2_parse(&data, &len, body, sizeof(body)), 0);
	assert_int_equal(len, 64);
	assert_ptr_equal(data, body + 2);
	assert_int_equal(created2_parse(&data, &len, body, 65), ERR_MALFORMED);
	assert_int_equal(created2_parse(&data, &len, body, 66), 0);
	assert_int_equal(created2_parse(&data, &len, body, 1), ERR_MALFORMED);
	body[0] = 2;
	assert_int_equal(created2_parse(&data, &len, body, sizeof(body)), ERR_MALFORMED);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(cell_cmd_str(CELL_PADDING), "PADDING");
	assert_string_equal(cell_cmd_str(CELL_AUTHORIZE), "AUTHORIZE");
	assert_string_equal(cell_cmd_str(13), "unknown");
	assert_string_equal(destroy_reason_str(DESTROY_DESTROYED), "destroyed");
	assert_string_equal(destroy_reason_str(200), "unknown");
	for (unsigned i = 0; i < 256; i++) {
		assert_non_null(cell_cmd_str((uint8_t)i));
		assert_non_null(destroy_reason_str((uint8_t)i));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixed), cmocka_unit_test(test_variable), cmocka_unit_test(test_stream),
		cmocka_unit_test(test_create2), cmocka_unit_test(test_created2), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
