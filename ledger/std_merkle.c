#include "config.h"

#include "std_merkle.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/mem.h>

struct std_merkle {
	struct std_hash *nodes;
	size_t *place;			/* of each entry, in nodes */
	size_t n;			/* entries */
};

static int hash_cmp(const struct std_hash *a, const struct std_hash *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

/* keccak256(keccak256(abi.encode(account, amount))): two words, zeros in front. */
void std_merkle_leaf(struct std_hash *ret, const struct std_entry *e)
{
	uint8_t words[64] = { 0 };

	memcpy(words + 12, e->account.b, ETH_ADDR_LEN);
	amount_store(words + 48, e->amount);
	keccak256(ret->b, words, sizeof(words));
	keccak256(ret->b, ret->b, sizeof(ret->b));
}

static void hash_pair(struct std_hash *ret, const struct std_hash *a, const struct std_hash *b)
{
	struct std_hash pair[2] = { *a, *b };

	if (hash_cmp(a, b) > 0) {
		pair[0] = *b;
		pair[1] = *a;
	}
	keccak256(ret->b, pair, sizeof(pair));
}

struct leaf {
	struct std_hash hash;
	size_t index;
};

static int leaf_cmp(const void *a, const void *b)
{
	const struct leaf *x = a, *y = b;
	int r = hash_cmp(&x->hash, &y->hash);

	return r ? r : x->index < y->index ? -1 : x->index > y->index;
}

int std_merkle_new(struct std_merkle **ret, const struct std_entry *entries, size_t n)
{
	struct std_merkle *t;
	struct leaf *leaves;

	if (n == 0 || n > SIZE_MAX / 4)
		return ERR_RANGE;
	t = mem_new(sizeof(*t));
	leaves = mem_new_array(n, sizeof(*leaves));
	t->n = n;
	t->nodes = mem_new_array(2 * n - 1, sizeof(*t->nodes));
	t->place = mem_new_array(n, sizeof(*t->place));
	for (size_t i = 0; i < n; i++) {
		std_merkle_leaf(&leaves[i].hash, &entries[i]);
		leaves[i].index = i;
	}
	qsort(leaves, n, sizeof(*leaves), leaf_cmp);
	for (size_t i = 0; i < n; i++) {
		t->nodes[2 * n - 2 - i] = leaves[i].hash;
		t->place[leaves[i].index] = 2 * n - 2 - i;
	}
	for (size_t i = n - 1; i-- > 0; )
		hash_pair(&t->nodes[i], &t->nodes[2 * i + 1], &t->nodes[2 * i + 2]);
	free(leaves);
	*ret = t;
	return 0;
}

void std_merkle_free(struct std_merkle *t)
{
	if (!t)
		return;
	free(t->nodes);
	free(t->place);
	free(t);
}

const struct std_hash *std_merkle_root(const struct std_merkle *t)
{
	return &t->nodes[0];
}

const struct std_hash *std_merkle_nodes(const struct std_merkle *t, size_t *ret_n)
{
	*ret_n = 2 * t->n - 1;
	return t->nodes;
}

size_t std_merkle_proof(struct std_hash ret[STD_MERKLE_PROOF_MAX], const struct std_merkle *t, size_t index)
{
	size_t n = 0;

	for (size_t at = t->place[index]; at > 0; at = (at - 1) / 2)
		ret[n++] = t->nodes[at % 2 ? at + 1 : at - 1];
	return n;
}

int std_merkle_check(const struct std_hash *root, const struct std_entry *e, const struct std_hash *proof, size_t n)
{
	struct std_hash h;

	std_merkle_leaf(&h, e);
	for (size_t i = 0; i < n; i++)
		hash_pair(&h, &h, &proof[i]);
	return hash_cmp(&h, root) == 0 ? 0 : ERR_AUTH;
}
