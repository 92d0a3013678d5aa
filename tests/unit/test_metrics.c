/* Metrics as text, requests for them, and the counters behind them. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/err.h>

#include "../../relay/counters.h"
#include "../../src/daemon/metrics.h"

/* -- text --------------------------------------------------------------------- */

static void test_label(void **state)
{
	char out[32], small[6];

	(void)state;
	assert_string_equal(metrics_label(out, sizeof(out), "moria1"), "moria1");
	assert_string_equal(metrics_label(out, sizeof(out), "a\\b\"c\nd"), "a\\\\b\\\"c\\nd");
	assert_string_equal(metrics_label(out, sizeof(out), "\x01\x7f\xc3\xa4\r"), "?????");
	/* Cut, but never in the middle of an escape. */
	assert_string_equal(metrics_label(small, sizeof(small), "abcdefgh"), "abcd");
	assert_string_equal(metrics_label(small, sizeof(small), "abc\"\""), "abc\\\"");
	assert_string_equal(metrics_label(small, sizeof(small), "abcd\""), "abcd");
}

static const char *const states[] = { "starting", "running", NULL };

static char *format(const struct metrics_facts *f)
{
	struct evbuffer *out = evbuffer_new();
	char *text;
	size_t len;

	metrics_format(out, f);
	len = evbuffer_get_length(out);
	text = malloc(len + 1);
	assert_non_null(text);
	evbuffer_remove(out, text, len);
	text[len] = '\0';
	evbuffer_free(out);
	return text;
}

static void expect_line(const char *text, const char *line)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	if (!strstr(text, whole))
		fail_msg("no line: %s", line);
}

static void test_format(void **state)
{
	struct authority authority = { .name = "a\"b" };
	struct metrics_facts f = {
		.version = "1\\2", .openssl = "3", .libevent = "4", .states = states, .state = "running",
		.keeper = { .resident_bytes = 5, .cpu_us = 1000001 },
		.workers = { { .resident_bytes = 6, .restarts = 2, .ready = true, .sandbox = { .seccomp = true } } }, .n_workers = 1,
		.consensus = { .valid_after = 900, .listed = true, .flags = FLAG_FAST | FLAG_VALID },
		.authorities = { { .authority = &authority, .http_status = -3 } }, .n_authorities = 1,
	};
	char *text;

	(void)state;
	f.consensus_age = 100;
	f.weight = METRICS_NONE;
	f.counters.handshakes_bad[2] = 9;
	f.counters.cell_waits[0] = 10;
	f.counters.cell_waits[3] = 4;
	f.counters.cell_waits[COUNT_WAITS - 1] = 1;
	f.counters.cell_wait_ms = 20020;
	f.counters.exit_read_bytes = UINT64_MAX;
	text = format(&f);
	expect_line(text, "nonos_build_info{version=\"1\\\\2\",openssl=\"3\",libevent=\"4\"} 1");
	expect_line(text, "# TYPE nonos_handshakes_total counter");
	expect_line(text, "nonos_handshakes_total{outcome=\"failed\",type=\"ntor3\"} 9");
	expect_line(text, "nonos_cell_queue_seconds_bucket{le=\"0.001\"} 10");
	expect_line(text, "nonos_cell_queue_seconds_bucket{le=\"0.008\"} 14");
	expect_line(text, "nonos_cell_queue_seconds_bucket{le=\"16.384\"} 14");
	expect_line(text, "nonos_cell_queue_seconds_bucket{le=\"+Inf\"} 15");
	expect_line(text, "nonos_cell_queue_seconds_count 15");
	expect_line(text, "nonos_cell_queue_seconds_sum 20.020");
	expect_line(text, "nonos_bytes_total{where=\"exits\",direction=\"read\"} 18446744073709551615");
	expect_line(text, "nonos_state{state=\"starting\"} 0");
	expect_line(text, "nonos_state{state=\"running\"} 1");
	expect_line(text, "nonos_process_cpu_seconds_total{process=\"keeper\"} 1.000001");
	expect_line(text, "nonos_worker_restarts_total{process=\"worker-0\"} 2");
	expect_line(text, "nonos_consensus_age_seconds 100");
	expect_line(text, "nonos_sandbox{process=\"worker-0\",part=\"seccomp\"} 1");
	expect_line(text, "nonos_sandbox{process=\"keeper\",part=\"seccomp\"} 0");
	expect_line(text, "nonos_flag{flag=\"Fast\"} 1");
	expect_line(text, "nonos_flag{flag=\"Exit\"} 0");
	expect_line(text, "nonos_authority_upload_status{authority=\"a\\\"b\"} -3");
	/* Nothing is known of what never was. */
	assert_null(strstr(text, "nonos_authority_upload_timestamp_seconds{"));
	assert_null(strstr(text, "nonos_process_open_files{"));
	assert_null(strstr(text, "\nnonos_consensus_weight "));
	free(text);
}

static void test_facts(void **state)
{
	struct metrics_facts f;
	char *text;

	(void)state;
	memset(&f, 0xff, sizeof(f));
	metrics_facts_init(&f);
	assert_int_equal(f.weight, METRICS_NONE);
	assert_int_equal(f.n_authorities, 0);
	f.version = f.openssl = f.libevent = "1";
	f.states = states;
	f.state = "running";
	f.signing_expires = -5;
	text = format(&f);
	expect_line(text, "nonos_key_expiry_timestamp_seconds{key=\"signing\"} -5");
	assert_null(strstr(text, "key=\"onion\""));
	expect_line(text, "# TYPE nonos_consensus_weight gauge");
	assert_null(strstr(text, "\nnonos_consensus_weight "));
	free(text);
}

/* -- places in rows -------------------------------------------------------------- */

static void test_places(void **state)
{
	struct relay_counters c = { 0 };
	struct pool_cell cell = { .queued_ms = UINT32_MAX - 4 };
	uint8_t body[2] = { 0, HANDSHAKE_NTOR3 };

	(void)state;
	assert_string_equal(relay_count_name(LIST_COMMANDS, count_command(CELL_PADDING_NEGOTIATE)), "padding_negotiate");
	assert_string_equal(relay_count_name(LIST_COMMANDS, count_command(CELL_VPADDING)), "vpadding");
	assert_string_equal(relay_count_name(LIST_COMMANDS, count_command(CELL_AUTHENTICATE)), "authenticate");
	assert_string_equal(relay_count_name(LIST_COMMANDS, count_command(13)), "other");
	assert_string_equal(relay_count_name(LIST_COMMANDS, count_command(255)), "other");
	assert_string_equal(relay_count_name(LIST_DESTROYS, count_destroy(12)), "no_such_service");
	assert_string_equal(relay_count_name(LIST_DESTROYS, count_destroy(255)), "other");
	assert_string_equal(relay_count_name(LIST_ENDS, count_end(14)), "not_directory");
	assert_string_equal(relay_count_name(LIST_ENDS, count_end(15)), "other");
	assert_string_equal(relay_count_name(LIST_HANDSHAKES, count_handshake(CELL_CREATE_FAST, body)), "fast");
	assert_string_equal(relay_count_name(LIST_HANDSHAKES, count_handshake(CELL_CREATE2, body)), "ntor3");
	body[0] = 1;
	assert_string_equal(relay_count_name(LIST_HANDSHAKES, count_handshake(CELL_CREATE2, body)), "other");
	for (uint32_t ms = 1; ms < 16384; ms++) {
		/* Below its upper end, and not below that of the bucket before. */
		double end = strtod(relay_count_name(LIST_WAITS, count_wait(ms)), NULL);

		assert_true(ms / 1000.0 < end && ms / 1000.0 >= end / 2);
	}
	assert_int_equal(count_wait(0), 0);
	assert_int_equal(count_wait(16384), COUNT_WAITS - 1);
	assert_int_equal(count_wait(UINT32_MAX), COUNT_WAITS - 1);
	/* The clock's 32 bits may run over in between. */
	cell.bytes[CELL_HEAD_LEN - 1] = CELL_RELAY;
	count_cell_out(&c, &cell, 3);
	assert_int_equal(c.cell_wait_ms, 8);
	assert_int_equal(c.cell_waits[4], 1);
	assert_int_equal(c.commands_out[CELL_RELAY], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_label),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_places),
	};

	clock_update();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
