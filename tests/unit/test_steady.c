/*
 * Once a circuit stands, a cell costs no allocation: counted at the calls of
 * this program's own objects (linked with --wrap) and of libcrypto.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "sim.h"

enum { WARM_UP = 200, CELLS = 5000 };

static size_t allocations;

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *p, size_t len);
void *__real_reallocarray(void *p, size_t n, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *p, size_t len);
void *__wrap_reallocarray(void *p, size_t n, size_t len);

void *__wrap_malloc(size_t len)
{
	allocations++;
	return __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
	allocations++;
	return __real_calloc(n, len);
}

void *__wrap_realloc(void *p, size_t len)
{
	allocations++;
	return __real_realloc(p, len);
}

void *__wrap_reallocarray(void *p, size_t n, size_t len)
{
	allocations++;
	return __real_reallocarray(p, n, len);
}

static void *crypto_malloc(size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	allocations++;
	return __real_malloc(len);
}

static void *crypto_realloc(void *p, size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	allocations++;
	return __real_realloc(p, len);
}

static void crypto_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

/* A cell out to the third hop, and one of the first hop's own that comes back. */
static void round_trip(struct sim_client *c)
{
	static const uint8_t start_machine[8] = { 0, 2, 1, 0 };
	struct sim_msg m;

	sim_send(c, 2, RELAY_DROP, 0, NULL, 0);
	sim_send(c, 2, RELAY_PADDING_NEGOTIATE, 0, start_machine, sizeof(start_machine));
	assert_true(sim_client_recv(c, &m));
	assert_true(m.is_relay && m.hop == 2 && m.cmd == RELAY_PADDING_NEGOTIATED);
	assert_false(sim_client_recv(c, &m));
}

static void test_no_allocation_per_cell(void **state)
{
	static const uint16_t types[] = { HANDSHAKE_NTOR, HANDSHAKE_NTOR3 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct sim_client c;
		struct sim s;
		size_t before;

		sim_start(&s);
		sim_client_open(&c, &s);
		assert_int_equal(sim_create(&c, types[i]), 0);
		assert_int_equal(sim_extend(&c, 1, types[i]), 0);
		assert_int_equal(sim_extend(&c, 2, types[i]), 0);
		for (int n = 0; n < WARM_UP; n++)
			round_trip(&c);
		before = allocations;
		for (int n = 0; n < CELLS; n++)
			round_trip(&c);
		assert_int_equal(allocations - before, 0);
		assert_true(before > 0);	/* the counter counts */
		sim_client_close(&c);
		sim_stop(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_no_allocation_per_cell) };

	if (!CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
