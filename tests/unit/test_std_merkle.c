#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>

#include "../../ledger/std_merkle.h"
#include "vectors.h"

static struct std_entry entry_of(const json_t *row)
{
	const char *address = json_string_value(json_array_get(row, 0)), *amount = json_string_value(json_array_get(row, 1));
	struct std_entry e;

	assert_int_equal(eth_addr_parse(&e.account, address, strlen(address)), 0);
	assert_int_equal(amount_parse(&e.amount, amount, strlen(amount)), 0);
	return e;
}

static void expect_hash(const struct std_hash *h, const json_t *text)
{
	char hex[67] = "0x";

	hex_encode(hex + 2, h->b, sizeof(h->b));
	assert_string_equal(hex, json_string_value(text));
}

static void check_proof(const struct std_merkle *t, const struct std_entry *e, size_t index, const json_t *want)
{
	struct std_hash proof[STD_MERKLE_PROOF_MAX];
	size_t n = std_merkle_proof(proof, t, index);
	struct std_entry other = *e;

	assert_int_equal(n, json_array_size(want));
	for (size_t i = 0; i < n; i++)
		expect_hash(&proof[i], json_array_get(want, i));
	assert_int_equal(std_merkle_check(std_merkle_root(t), e, proof, n), 0);
	other.amount.lo ^= 1;
	assert_int_equal(std_merkle_check(std_merkle_root(t), &other, proof, n), ERR_AUTH);
	if (n) {
		proof[n - 1].b[0] ^= 1;
		assert_int_equal(std_merkle_check(std_merkle_root(t), e, proof, n), ERR_AUTH);
		assert_int_equal(std_merkle_check(std_merkle_root(t), e, proof, n - 1), ERR_AUTH);
	}
}

static void check_case(const json_t *c)
{
	const json_t *values = json_object_get(c, "values"), *nodes = json_object_get(c, "tree"), *leaves = json_object_get(c, "leaves");
	size_t n = json_array_size(values), n_nodes;
	struct std_entry *entries = calloc(n, sizeof(*entries));
	const struct std_hash *tree;
	struct std_merkle *t;
	struct std_hash leaf;

	for (size_t i = 0; i < n; i++) {
		entries[i] = entry_of(json_array_get(values, i));
		std_merkle_leaf(&leaf, &entries[i]);
		expect_hash(&leaf, json_array_get(leaves, i));
	}
	assert_int_equal(std_merkle_new(&t, entries, n), 0);
	expect_hash(std_merkle_root(t), json_object_get(c, "root"));
	tree = std_merkle_nodes(t, &n_nodes);
	assert_int_equal(n_nodes, 2 * n - 1);
	for (size_t i = 0; i < json_array_size(nodes); i++)
		expect_hash(&tree[i], json_array_get(nodes, i));
	for (size_t i = 0; i < n; i++)
		check_proof(t, &entries[i], i, json_array_get(json_object_get(c, "proofs"), i));
	std_merkle_free(t);
	free(entries);
}

static void published_vectors(void **state)
{
	json_t *doc = vectors_load("merkle.json"), *c;
	size_t i;
	(void)state;

	json_array_foreach(json_object_get(doc, "cases"), i, c)
		check_case(c);
	assert_true(i >= 10);
	json_decref(doc);
}

/* Equal entries are two leaves; no entries are no tree. */
static void edges(void **state)
{
	struct std_entry twice[3] = { { .amount = { .lo = 5 } }, { .amount = { .lo = 5 } }, { .amount = { .lo = 6 } } };
	struct std_hash proof[STD_MERKLE_PROOF_MAX];
	struct std_merkle *t = NULL;
	(void)state;

	assert_int_equal(std_merkle_new(&t, twice, 0), ERR_RANGE);
	assert_null(t);
	assert_int_equal(std_merkle_new(&t, twice, 3), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(std_merkle_check(std_merkle_root(t), &twice[i], proof, std_merkle_proof(proof, t, i)), 0);
	std_merkle_free(t);
	std_merkle_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(published_vectors), cmocka_unit_test(edges) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
