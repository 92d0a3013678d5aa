#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/rand.h>

#include "../../relay/pool.h"

enum { MANY = 5000 };

/* Cells are handed out once each, whatever the order they come back in. */
static void test_each_cell_is_one_owner_s(void **state)
{
	static struct pool_cell *cells[MANY];
	struct pool *p = pool_new();

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		cells[i] = pool_get(p);
		memset(cells[i]->bytes, 0xaa, sizeof(cells[i]->bytes));
		cells[i]->queued_ms = i;
	}
	for (int round = 0; round < 20000; round++) {
		uint32_t i = rand_below(MANY);

		assert_int_equal(cells[i]->queued_ms, i);
		pool_put(p, cells[i]);
		cells[i] = pool_get(p);
		cells[i]->queued_ms = i;
		if (round % 1000 == 0)
			pool_trim(p);
	}
	assert_int_equal(pool_used_bytes(p), MANY * sizeof(struct pool_cell));
	for (uint32_t i = 0; i < MANY; i++) {
		assert_int_equal(cells[i]->queued_ms, i);
		pool_put(p, cells[i]);
	}
	assert_int_equal(pool_used_bytes(p), 0);
	pool_free(p);
}

static void test_trim_gives_memory_back(void **state)
{
	struct pool *p = pool_new();
	struct cell_queue q = { 0 };
	size_t most, one;

	(void)state;
	cell_queue_push(&q, pool_get(p));
	one = pool_held_bytes(p);
	for (int i = 1; i < MANY; i++)
		cell_queue_push(&q, pool_get(p));
	most = pool_held_bytes(p);
	assert_true(most >= MANY * sizeof(struct pool_cell) && most > 10 * one);
	assert_int_equal(q.count, MANY);
	cell_queue_clear(&q, p);
	assert_int_equal(q.count, 0);
	assert_int_equal(pool_held_bytes(p), most);
	pool_trim(p);
	assert_int_equal(pool_held_bytes(p), one);
	pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_cell_is_one_owner_s),
		cmocka_unit_test(test_trim_gives_memory_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
