#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>

#include "../../relay/cell.h"
#include "../../relay/pad.h"

static void test_link_negotiate(void **state)
{
	static const struct {
		const char *bytes;
		int result;
		bool start;
		uint16_t low, high;
	} cells[] = {
		{ "\0\2\0\0\0\0", 0, true, 1500, 9500 },		/* as the network has it */
		{ "\0\2\x23\x28\x36\xb0", 0, true, 9000, 14000 },	/* reduced */
		{ "\0\2\x00\x01\x00\x02", 0, true, 1500, 9500 },
		{ "\0\2\xff\xff\x00\x00", 0, true, 65535, 65535 },	/* high below low */
		{ "\0\1\0\0\0\0", 0, false, 1500, 9500 },
		{ "\1\2\0\0\0\0", ERR_UNSUPPORTED, false, 0, 0 },
		{ "\0\0\0\0\0\0", ERR_UNSUPPORTED, false, 0, 0 },
		{ "\0\3\0\0\0\0", ERR_UNSUPPORTED, false, 0, 0 },
	};
	uint8_t body[CELL_BODY_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
		struct pad_negotiate p = { .low_ms = 1 };

		memset(body, 0xaa, sizeof(body));
		memcpy(body, cells[i].bytes, 6);
		assert_int_equal(pad_negotiate_parse(&p, body, sizeof(body), 1500, 9500), cells[i].result);
		if (cells[i].result < 0) {
			assert_int_equal(p.low_ms, 1);
			continue;
		}
		assert_int_equal(p.start, cells[i].start);
		assert_int_equal(p.low_ms, cells[i].low);
		assert_int_equal(p.high_ms, cells[i].high);
		for (size_t n = 0; n < 6; n++)
			assert_int_equal(pad_negotiate_parse(&p, body, n, 1500, 9500), ERR_MALFORMED);
	}
}

static void test_network_bounds(void **state)
{
	static const uint8_t start[] = { 0, 2, 0x07, 0xd0, 0x0b, 0xb8 };	/* 2000 to 3000 */
	struct pad_negotiate p;

	(void)state;
	assert_int_equal(pad_negotiate_parse(&p, start, sizeof(start), 1000, 9000), 0);
	assert_true(p.start && p.low_ms == 2000 && p.high_ms == 9000);
	assert_int_equal(pad_negotiate_parse(&p, start, sizeof(start), 2500, 2600), 0);
	assert_true(p.start && p.low_ms == 2500 && p.high_ms == 3000);
	assert_int_equal(pad_negotiate_parse(&p, start, sizeof(start), 0, 0), 0);
	assert_false(p.start);
}

/* max(X, X) over 8000 ms: mean 5332.8 (padding-spec 2.3); the bounds are kept. */
static void test_next(void **state)
{
	enum { N = 20000 };
	uint64_t sum = 0;

	(void)state;
	for (int i = 0; i < N; i++) {
		uint32_t ms = pad_next_ms(1500, 9500);

		assert_in_range(ms, 1500, 9499);
		sum += ms - 1500;
	}
	assert_in_range(sum / N, 5250, 5415);		/* six standard errors */
	assert_int_equal(pad_next_ms(9000, 9000), 9000);
	assert_int_equal(pad_next_ms(9000, 100), 9000);
	assert_int_equal(pad_next_ms(65534, 65535), 65534);
}

static void test_circuit_answer(void **state)
{
	uint8_t ask[8] = { 0, 2, 1, 0xff, 0xde, 0xad, 0xbe, 0xef }, out[PAD_ANSWER_LEN] = { 9 };

	(void)state;
	assert_int_equal(pad_circuit_answer(out, ask, sizeof(ask)), 0);
	assert_memory_equal(out, "\0\2\2\1\xde\xad\xbe\xef", 8);	/* start: error */
	ask[1] = 1, ask[2] = 77;
	assert_int_equal(pad_circuit_answer(out, ask, sizeof(ask)), 0);
	assert_memory_equal(out, "\0\1\1\x4d\xde\xad\xbe\xef", 8);	/* stop: done */
	out[0] = 9;
	for (size_t n = 0; n < sizeof(ask); n++)
		assert_int_equal(pad_circuit_answer(out, ask, n), ERR_MALFORMED);
	ask[1] = 3;
	assert_int_equal(pad_circuit_answer(out, ask, sizeof(ask)), ERR_UNSUPPORTED);
	ask[1] = 2, ask[0] = 1;
	assert_int_equal(pad_circuit_answer(out, ask, sizeof(ask)), ERR_UNSUPPORTED);
	assert_int_equal(out[0], 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_negotiate),
		cmocka_unit_test(test_network_bounds), cmocka_unit_test(test_next),
		cmocka_unit_test(test_circuit_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
