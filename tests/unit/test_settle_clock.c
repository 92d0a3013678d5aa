/* Whether the writer's clock is believed: after a stop, after a jump, and what puts it right. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/clock.h>
#include <nonos/conf.h>
#include <nonos/log.h>
#include <nonos/mem.h>

#include "../../src/daemon/settle_priv.h"

#include "ledger_test.h"

enum { HOUR = 3600, DAY = 86400, KEEP = 14 * DAY };

struct lab {
	struct world *w;
	struct config config;
	struct settle settle;
};

static int lab_up(void **state)
{
	struct lab *l = mem_new(sizeof(*l));
	char err[MEASURE_ERR_CAP] = "";

	log_set_level(LOG_LEVEL_ERROR);
	l->w = world_new(world_genesis);
	l->config.genesis = l->w->dir;		/* there is one */
	l->config.clock_ahead = HOUR;
	l->config.clock_stop = 30 * DAY;
	l->settle = (struct settle){ .config = &l->config, .ledger = world_memory(l->w->dir, l->w->g), .writer = true };
	if (measure_open(&l->settle.measure, l->w->dir, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	clock_set_manual(1000, T0 + 10);
	assert_int_equal(submit(l->settle.ledger, transfer(l->settle.ledger, 0, 1, "1"), NULL), REFUSED_NOT);
	assert_int_equal(ledger_commit(l->settle.ledger), 0);
	*state = l;
	return 0;
}

static int lab_down(void **state)
{
	struct lab *l = *state;

	measure_close(l->settle.measure);
	ledger_close(l->settle.ledger);
	world_free(l->w);
	free(l);
	return 0;
}

static void consensus(struct lab *l, int64_t when)
{
	struct consensus_router rt = { .has_digest = true, .flags = FLAG_RUNNING, .weight = 1, .ip = { 10, 1, 1, 1 } };
	uint8_t digest[32] = { (uint8_t)(when / HOUR) };
	struct consensus_facts c = {
		.flavour = FLAVOUR_MICRODESC, .valid_after = when, .fresh_until = when + HOUR,
		.valid_until = when + 3 * HOUR, .digest = digest, .routers = &rt, .n_routers = 1,
	};

	assert_int_equal(measure_consensus(l->settle.measure, &c, KEEP), 0);
}

static bool is_believed(struct lab *l)
{
	enum refusal said;

	settle_clock_tick(&l->settle);
	said = submit(l->settle.ledger, transfer(l->settle.ledger, 0, 1, "1"), NULL);
	ledger_rollback(l->settle.ledger);
	assert_true(said == REFUSED_NOT || said == REFUSED_CLOCK);
	assert_int_equal(said == REFUSED_CLOCK, l->settle.clock_problem.text[0] != '\0');
	return said == REFUSED_NOT;
}

/* Who measures waits for a consensus of now: a clock may be wrong from the start, as in the hours' of a time zone. */
static void start_with_consensuses(void **state)
{
	struct lab *l = *state;

	consensus(l, T0);
	clock_set_manual(1000, T0 + 14 * HOUR);
	assert_false(is_believed(l));
	clock_advance_ms(600 * 1000);
	assert_false(is_believed(l));
	consensus(l, T0 + 14 * HOUR);
	assert_true(is_believed(l));
	clock_advance_ms(UINT64_C(1000) * 5 * HOUR);
	assert_true(is_believed(l));
}

/* Without one there is only the last entry. */
static void start_without(void **state)
{
	struct lab *l = *state;

	clock_set_manual(1000, T0 + 14 * HOUR);
	assert_true(is_believed(l));
}

/* The daemon whose place we take may still have the measurement. */
static void start_before_measurement(void **state)
{
	struct lab *l = *state;
	struct measure *m = l->settle.measure;

	consensus(l, T0);
	l->settle.measure = NULL;
	l->config.measure = true;
	clock_set_manual(1000, T0 + 14 * HOUR);
	assert_false(is_believed(l));
	l->settle.measure = m;
	assert_false(is_believed(l));
	consensus(l, T0 + 14 * HOUR);
	assert_true(is_believed(l));
}

static void long_stop(void **state)
{
	struct lab *l = *state;

	clock_set_manual(1000, T0 + 31 * DAY);
	assert_false(is_believed(l));
}

static void jump(void **state)
{
	struct ctl_session session = { .may_change = true };
	struct ctl_call call = { .session = &session, .dry_run = true };
	struct lab *l = *state;

	assert_true(is_believed(l));
	clock_set_manual(clock_now_ms(), T0 + 2 * HOUR);
	assert_false(is_believed(l));
	assert_int_equal(settle_clock(&l->settle, &call, true), 0);
	assert_int_equal(json_integer_value(json_object_get(call.result, "ahead_s")), 2 * HOUR - 10);
	json_decref(call.result);
	assert_false(is_believed(l));
	call.dry_run = false;
	assert_int_equal(settle_clock(&l->settle, &call, true), 0);
	assert_true(json_is_true(json_object_get(call.result, "believed")));
	json_decref(call.result);
	assert_true(is_believed(l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(start_with_consensuses, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(start_without, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(start_before_measurement, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(long_stop, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(jump, lab_up, lab_down),
	};

	return crypto_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
