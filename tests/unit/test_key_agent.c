#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>

#include "../../src/daemon/key_agent.h"

static unsigned n_gone;

static void count_gone(const struct eth_addr *addr)
{
	(void)addr;
	n_gone++;
}

static void time_runs_out(void **state)
{
	struct key_agent *a = key_agent_new();
	uint8_t one[32] = { [31] = 1 }, two[32] = { [31] = 2 }, zero[32] = { 0 };
	struct eth_addr x, y, z;
	uint64_t until;
	(void)state;

	assert_int_equal(key_agent_hold(a, &x, zero, 10, 1000), ERR_RANGE);
	assert_int_equal(key_agent_hold(a, &x, one, 0, 1000), ERR_RANGE);
	assert_int_equal(key_agent_hold(a, &x, one, KEY_AGENT_SECONDS_MAX + 1, 1000), ERR_RANGE);
	assert_int_equal(key_agent_hold(a, &x, one, 10, 1000), 0);
	assert_int_equal(key_agent_hold(a, &y, two, 20, 1000), 0);
	assert_false(eth_addr_eq(&x, &y));
	assert_memory_equal(key_agent_find(a, &x, 10999), one, 32);
	assert_null(key_agent_find(a, &x, 11000));
	assert_memory_equal(key_agent_find(a, &y, 11000), two, 32);
	assert_int_equal(key_agent_expire(a, 10999, count_gone), 0);
	assert_int_equal(key_agent_expire(a, 11000, count_gone), 1);
	assert_int_equal(n_gone, 1);
	assert_null(key_agent_find(a, &x, 1000));

	/* Unlocked again, it gets the new time, longer or shorter. */
	assert_int_equal(key_agent_hold(a, &z, two, 5, 12000), 0);
	assert_true(eth_addr_eq(&z, &y));
	assert_int_equal(key_agent_get(a, 0, &z, &until), 0);
	assert_int_equal(until, 17000);
	assert_int_equal(key_agent_get(a, 1, &z, &until), ERR_NOT_FOUND);
	assert_int_equal(key_agent_drop(a, &x), 0);
	assert_int_equal(key_agent_drop(a, &y), 1);
	key_agent_free(a);
}

static void so_many(void **state)
{
	struct key_agent *a = key_agent_new();
	uint8_t secret[32] = { 0 };
	struct eth_addr x;
	(void)state;

	for (int i = 1; i <= KEY_AGENT_MAX; i++) {
		secret[31] = (uint8_t)i;
		assert_int_equal(key_agent_hold(a, &x, secret, 10, 0), 0);
	}
	assert_int_equal(key_agent_hold(a, &x, secret, 20, 0), 0);
	secret[0] = 1;
	assert_int_equal(key_agent_hold(a, &x, secret, 10, 0), ERR_LIMIT);
	assert_int_equal(key_agent_drop(a, NULL), KEY_AGENT_MAX);
	assert_int_equal(key_agent_drop(a, NULL), 0);
	assert_int_equal(key_agent_hold(a, &x, secret, 10, 0), 0);
	key_agent_free(a);
	key_agent_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_runs_out),
		cmocka_unit_test(so_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
