#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>

#include "../../relay/cc.h"
#include "../../relay/flow.h"
#include "../../relay/relay_msg.h"
#include "../../relay/stream_table.h"

static void digest_of(uint8_t out[SENDME_DIGEST_LEN], uint32_t n)
{
	memset(out, 0, SENDME_DIGEST_LEN);
	memcpy(out, &n, sizeof(n));
}

static void send_cells(struct flow *f, uint32_t from, uint32_t to)
{
	uint8_t digest[SENDME_DIGEST_LEN];

	for (uint32_t i = from; i <= to; i++) {
		digest_of(digest, i);
		flow_sent(f, digest, i * 1000);
	}
}

static int sendme(struct flow *f, uint32_t n)
{
	uint8_t digest[SENDME_DIGEST_LEN], body[SENDME_V1_LEN];

	digest_of(digest, n);
	flow_sendme_build(body, digest);
	return flow_sendme(f, body, sizeof(body), false, false, 1000000 + n * 1000);
}

static void test_fixed(void **state)
{
	struct flow f;

	(void)state;
	flow_init(&f, NULL, 0);
	assert_int_equal(flow_room(&f), 1000);
	assert_int_equal(sendme(&f, 100), ERR_PROTOCOL);
	send_cells(&f, 1, 1000);
	assert_int_equal(flow_room(&f), 0);
	assert_int_equal(flow_burst(&f), 0);
	assert_int_equal(sendme(&f, 200), ERR_PROTOCOL);	/* out of order */
	assert_int_equal(sendme(&f, 99), ERR_PROTOCOL);
	for (uint32_t i = 1; i <= 10; i++)
		assert_int_equal(sendme(&f, i * 100), 0);
	assert_int_equal(flow_room(&f), 1000);
	assert_int_equal(sendme(&f, 1100), ERR_PROTOCOL);
	flow_clear(&f);
}

static void test_cc(void **state)
{
	struct cc_params p;
	struct flow f;

	(void)state;
	cc_params_default(&p);
	flow_init(&f, &p, 31);
	assert_int_equal(flow_room(&f), 124);
	send_cells(&f, 1, 124);
	assert_int_equal(flow_room(&f), 0);
	assert_int_equal(sendme(&f, 100), ERR_PROTOCOL);
	for (uint32_t i = 1; i <= 4; i++)
		assert_int_equal(sendme(&f, i * 31), 0);
	assert_true(flow_room(&f) > 124);
	assert_int_equal(sendme(&f, 155), ERR_PROTOCOL);
	flow_clear(&f);
	assert_int_equal(flow_bytes(&f), 0);
}

static void test_versions(void **state)
{
	uint8_t body[64] = { 1, 0, 40 };
	struct flow f;

	(void)state;
	flow_init(&f, NULL, 0);
	send_cells(&f, 1, 500);
	/* Without a digest only where that is allowed. */
	assert_int_equal(flow_sendme(&f, body, 0, false, false, 1), ERR_PROTOCOL);
	assert_int_equal(flow_sendme(&f, body, 0, true, false, 1), 0);
	assert_int_equal(flow_sendme(&f, (const uint8_t *)"\0junk", 5, true, false, 1), 0);
	/* A longer digest field counts by its first 20 bytes; a field longer than the body is wrong. */
	digest_of(body + 3, 300);
	assert_int_equal(flow_sendme(&f, body, 42, false, false, 1), ERR_PROTOCOL);
	assert_int_equal(flow_sendme(&f, body, 43, false, false, 1), 0);
	digest_of(body + 3, 400);
	body[2] = 19;
	assert_int_equal(flow_sendme(&f, body, 23, true, false, 1), ERR_PROTOCOL);
	body[2] = 20;
	body[0] = 2;
	assert_int_equal(flow_sendme(&f, body, 23, true, false, 1), ERR_PROTOCOL);
	body[0] = 1;
	assert_int_equal(flow_sendme(&f, body, 2, true, false, 1), ERR_PROTOCOL);
	assert_int_equal(flow_sendme(&f, body, 23, false, false, 1), 0);
	flow_clear(&f);
}

static void test_received(void **state)
{
	uint8_t digest[SENDME_DIGEST_LEN], body[SENDME_V1_LEN];
	struct cc_params p;
	struct flow f;

	(void)state;
	flow_init(&f, NULL, 0);
	for (int i = 1; i <= 1000; i++)
		assert_int_equal(flow_received(&f), i % 100 == 0);
	flow_clear(&f);
	cc_params_default(&p);
	flow_init(&f, &p, 31);
	for (int i = 1; i <= 310; i++)
		assert_int_equal(flow_received(&f), i % 31 == 0);
	flow_clear(&f);
	digest_of(digest, 0x04030201);
	flow_sendme_build(body, digest);
	assert_memory_equal(body, "\1\0\x14\1\2\3\4\0", 8);
}

/* Bursts end where increments end, and know how much their cells can carry. */
static void test_bursts(void **state)
{
	static const uint8_t incs[] = { 0, 31, 1, 2, 50, 255 };

	(void)state;
	for (size_t k = 0; k < sizeof(incs); k++) {
		uint32_t inc = incs[k] ? incs[k] : 100, in_inc = 0, shorts = 0;
		uint8_t digest[SENDME_DIGEST_LEN] = { 0 };
		struct cc_params p;
		struct flow f;

		cc_params_default(&p);
		p.cwnd_init = 2000;
		flow_init(&f, &p, incs[k]);
		while (flow_room(&f) > 50) {
			uint32_t cells = flow_burst(&f);
			size_t bytes = flow_burst_bytes(&f, cells);

			assert_in_range(cells, 1, FLOW_BURST_MAX);
			assert_true(in_inc + cells <= inc);
			for (uint32_t i = 0; i < cells; i++) {
				size_t n = flow_cell_max(&f);

				assert_true(n == RELAY_DATA_MAX || n == RELAY_DATA_MAX - 20);
				shorts += n != RELAY_DATA_MAX;
				bytes -= n;
				flow_sent(&f, digest, 1);
			}
			assert_int_equal(bytes, 0);
			in_inc = (in_inc + cells) % inc;
			if (in_inc == 0) {
				assert_int_equal(shorts, 1);
				shorts = 0;
			}
		}
		flow_clear(&f);
	}
}

static void test_drain(void **state)
{
	enum { XOFF_AT = 500 * RELAY_DATA_MAX };
	const uint64_t s = 1000000;
	struct drain d = { 0 };
	struct cc_params p;

	(void)state;
	cc_params_default(&p);
	assert_int_equal(drain_queued(&d, &p, 1000, 1 * s), DRAIN_NOTHING);
	assert_int_equal(drain_written(&d, &p, 1000, 0, 1 * s), DRAIN_NOTHING);
	/* The clock starts at 32 cells; XOFF is said once, above 500. */
	assert_int_equal(drain_queued(&d, &p, 16000, 10 * s), DRAIN_NOTHING);
	assert_int_equal(drain_queued(&d, &p, XOFF_AT, 11 * s), DRAIN_NOTHING);
	assert_int_equal(drain_queued(&d, &p, XOFF_AT + 1, 11 * s), DRAIN_SEND_XOFF);
	assert_int_equal(drain_queued(&d, &p, XOFF_AT + 500, 11 * s), DRAIN_NOTHING);
	/* 500 cells in 2 s since the start are 124 kB/s; told when the queue is empty. */
	assert_int_equal(drain_written(&d, &p, 100000, 149500, 11 * s), DRAIN_NOTHING);
	assert_int_equal(drain_written(&d, &p, 149000, 500, 12 * s), DRAIN_NOTHING);
	assert_int_equal(drain_written(&d, &p, 500, 0, 12 * s), DRAIN_SEND_XON);
	assert_int_equal(d.told_kbps, 124);
	/* The next 500 cells drain in 1 s: (2 * 249 + 124) / 3 = 207, more than a quarter faster. */
	assert_int_equal(drain_queued(&d, &p, 200000, 20 * s), DRAIN_NOTHING);
	assert_int_equal(drain_written(&d, &p, 100000, 200000, 20 * s + s / 2), DRAIN_NOTHING);
	assert_int_equal(drain_written(&d, &p, 149000, 51000, 21 * s), DRAIN_SEND_XON);
	assert_int_equal(d.told_kbps, 207);
	/* About as fast as before: (2 * 220 + 207) / 3 = 215, no news. */
	assert_int_equal(drain_written(&d, &p, 249000, 51000, 21 * s + 1130000), DRAIN_NOTHING);
	assert_int_equal(d.rate_kbps, 215);
	/* Never anything left over: doubled for each 500 cells. */
	assert_int_equal(drain_written(&d, &p, 51000, 0, 23 * s), DRAIN_NOTHING);
	for (int i = 0; i < 3; i++)
		assert_int_equal(drain_written(&d, &p, 50000, 0, 23 * s), DRAIN_NOTHING);
	assert_int_equal(drain_written(&d, &p, 50000, 0, 23 * s), DRAIN_SEND_XON);
	assert_int_equal(d.told_kbps, 430);
	/* XOFF forgets the rate; what is not known is unlimited. */
	assert_int_equal(drain_queued(&d, &p, XOFF_AT + 1, 30 * s), DRAIN_SEND_XOFF);
	assert_int_equal(drain_written(&d, &p, 1000, 0, 30 * s), DRAIN_SEND_XON);
	assert_int_equal(d.told_kbps, 0);
}

static void test_xon_xoff(void **state)
{
	uint8_t xon[XON_LEN], xoff[XOFF_LEN];
	uint32_t kbps = 5;

	(void)state;
	xoff_build(xoff);
	xon_build(xon, 0x01020304);
	assert_memory_equal(xoff, "\0", 1);
	assert_memory_equal(xon, "\0\1\2\3\4", 5);
	assert_int_equal(xoff_parse(xoff, 1), 0);
	assert_int_equal(xoff_parse(xoff, 0), ERR_MALFORMED);
	assert_int_equal(xoff_parse((const uint8_t *)"\1", 1), ERR_PROTOCOL);
	assert_int_equal(xon_parse(&kbps, xon, 4), ERR_MALFORMED);
	assert_int_equal(xon_parse(&kbps, (const uint8_t *)"\1\0\0\0\0", 5), ERR_PROTOCOL);
	assert_int_equal(kbps, 5);
	assert_int_equal(xon_parse(&kbps, xon, 5), 0);
	assert_int_equal(kbps, 0x01020304);
}

/* The table against a plain array, with ids that collide. */
static void test_table(void **state)
{
	static uint8_t model[65536];
	struct stream_table t = { 0 };
	struct half_stream half = { .data = 3 };
	uint32_t x = 1;
	size_t used = 0, halves = 0;

	(void)state;
	assert_null(stream_table_find(&t, 1));
	for (int i = 0; i < 200000; i++) {
		uint16_t id;
		struct stream_slot *slot;

		x = x * 1664525 + 1013904223;
		id = (uint16_t)((x >> 16) % 700 * 93);
		slot = stream_table_find(&t, id);
		assert_int_equal(slot ? slot->kind : SLOT_FREE, model[id]);
		if (slot && slot->kind == SLOT_STREAM)
			assert_int_equal((uintptr_t)slot->stream, id + 1u);
		switch (x >> 8 & 3) {
		case 0:
		case 1:
			if (model[id] == SLOT_STREAM)
				break;
			stream_table_add(&t, id, (struct stream *)(uintptr_t)(id + 1u));
			used += model[id] == SLOT_FREE;
			halves -= model[id] == SLOT_HALF;
			model[id] = SLOT_STREAM;
			break;
		case 2:
			if (model[id] != SLOT_STREAM || halves == HALF_MAX)
				break;
			stream_table_half(&t, id, &half);
			model[id] = SLOT_HALF;
			halves++;
			break;
		case 3:
			stream_table_remove(&t, id);
			used -= model[id] != SLOT_FREE;
			halves -= model[id] == SLOT_HALF;
			model[id] = SLOT_FREE;
			break;
		}
		assert_int_equal(t.used, used);
		assert_int_equal(t.halves, halves);
	}
	assert_true(t.cap <= 2048);
	stream_table_clear(&t);
	assert_int_equal(stream_table_bytes(&t), 0);
}

static void test_table_forgets(void **state)
{
	struct stream_table t = { 0 };
	struct half_stream half = { .data = 3 };

	(void)state;
	stream_table_add(&t, 9, (struct stream *)&t);
	for (uint16_t id = 10; id < 10 + HALF_MAX + 1; id++) {
		stream_table_add(&t, id, (struct stream *)&t);
		stream_table_half(&t, id, &half);
	}
	assert_int_equal(t.halves, 0);
	assert_int_equal(t.used, 1);
	assert_non_null(stream_table_find(&t, 9));
	assert_null(stream_table_find(&t, 10));
	stream_table_remove(&t, 9);
	assert_int_equal(t.cap, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixed),	 cmocka_unit_test(test_cc),
		cmocka_unit_test(test_versions), cmocka_unit_test(test_received),
		cmocka_unit_test(test_bursts),	 cmocka_unit_test(test_drain),
		cmocka_unit_test(test_xon_xoff), cmocka_unit_test(test_table),
		cmocka_unit_test(test_table_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
