/* The authorities shipped in contrib/networks: each line whole, each authority once. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/addr.h>
#include <nonos/directory.h>

enum { MAX = 16 };

static bool authorities_clash(const struct authority *a, const struct authority *b)
{
	return memcmp(a->v3ident, b->v3ident, 20) == 0 || memcmp(a->fingerprint, b->fingerprint, 20) == 0 ||
	       strcmp(a->name, b->name) == 0 || addr_ip_eq(&a->dir, &b->dir);
}

static size_t load(struct authority *out, const char *name)
{
	static const char key[] = "authority = ";
	const char *vectors = getenv("TEST_VECTORS");
	char path[4096], line[512], err[128];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/../../contrib/networks/%s", vectors ? vectors : "tests/vectors", name);
	f = fopen(path, "r");
	if (!f)
		fail_msg("cannot open %s", path);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		assert_memory_equal(line, key, sizeof(key) - 1);
		assert_true(n < MAX);
		if (authority_parse(&out[n], line + sizeof(key) - 1, err, sizeof(err)) < 0)
			fail_msg("%s: %s: %s", name, line, err);
		assert_false(addr_is_private(&out[n].dir));
		for (size_t i = 0; i < n; i++)
			assert_false(authorities_clash(&out[i], &out[n]));
		n++;
	}
	fclose(f);
	return n;
}

static void test_tor(void **state)
{
	struct authority a[MAX];

	(void)state;
	assert_int_equal(load(a, "tor.conf"), 9);
}

static void test_anyone(void **state)
{
	struct authority a[MAX];
	size_t n = load(a, "anyone.conf");

	(void)state;
	assert_int_equal(n, 7);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(a[i].dir.port, 9230);
		assert_int_equal(a[i].or_port, 9201);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_tor), cmocka_unit_test(test_anyone) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
