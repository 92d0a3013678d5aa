#include "config.h"

#include <nonos/merkle_log.h>

#include <stdbool.h>
#include <string.h>

#include <nonos/err.h>

enum { LEAF = 0x00, NODE = 0x01 };

void merkle_leaf(struct merkle_hash *ret, const void *data, size_t len)
{
	static const uint8_t first = LEAF;
	struct sha256_run run;

	sha256_run_init(&run);
	sha256_run_add(&run, &first, 1);
	sha256_run_add(&run, data, len);
	sha256_run_peek(&run, ret->b);
}

void merkle_node(struct merkle_hash *ret, const struct merkle_hash *left, const struct merkle_hash *right)
{
	uint8_t block[1 + 2 * SHA256_LEN] = { NODE };

	memcpy(block + 1, left->b, SHA256_LEN);
	memcpy(block + 1 + SHA256_LEN, right->b, SHA256_LEN);
	sha256(ret->b, block, sizeof(block));
}

void merkle_empty(struct merkle_hash *ret)
{
	sha256(ret->b, "", 0);
}

/* -- growing --------------------------------------------------------------------- */

void merkle_frontier_add(struct merkle_frontier *f, const struct merkle_hash *leaf)
{
	struct merkle_hash h = *leaf;
	unsigned level = 0;

	for (; f->size >> level & 1; level++)
		merkle_node(&h, &f->full[level], &h);
	f->full[level] = h;
	f->size++;
}

void merkle_frontier_root(struct merkle_hash *ret, const struct merkle_frontier *f)
{
	bool started = false;

	merkle_empty(ret);
	for (unsigned level = 0; level < 64; level++) {
		if (!(f->size >> level & 1))
			continue;
		if (started)
			merkle_node(ret, &f->full[level], ret);
		else
			*ret = f->full[level];
		started = true;
	}
}

/* -- proving --------------------------------------------------------------------- */

static int leaves_node(void *ctx, struct merkle_hash *ret, unsigned level, uint64_t index)
{
	struct merkle_hash left, right;

	if (level == 0) {
		*ret = ((const struct merkle_hash *)ctx)[index];
		return 0;
	}
	leaves_node(ctx, &left, level - 1, 2 * index);
	leaves_node(ctx, &right, level - 1, 2 * index + 1);
	merkle_node(ret, &left, &right);
	return 0;
}

struct merkle_source merkle_source_leaves(const struct merkle_hash *leaves)
{
	return (struct merkle_source){ .node = leaves_node, .ctx = (void *)leaves };
}

/* The largest power of two below `n`; n > 1. */
static uint64_t split(uint64_t n)
{
	return (uint64_t)1 << (63 - __builtin_clzll(n - 1));
}

/* The hash of the leaves from `low` up to `high`. A split leaves full subtrees on the left. */
static int range_hash(struct merkle_hash *ret, const struct merkle_source *s, uint64_t low, uint64_t high)
{
	uint64_t n = high - low, k;
	struct merkle_hash left, right;
	int r;

	if ((n & (n - 1)) == 0) {
		unsigned level = (unsigned)__builtin_ctzll(n);

		return s->node(s->ctx, ret, level, low >> level);
	}
	k = split(n);
	r = range_hash(&left, s, low, low + k);
	if (r == 0)
		r = range_hash(&right, s, low + k, high);
	if (r == 0)
		merkle_node(ret, &left, &right);
	return r;
}

static int add_range(struct merkle_proof *p, const struct merkle_source *s, uint64_t low, uint64_t high)
{
	return range_hash(&p->hashes[p->n++], s, low, high);
}

int merkle_root(struct merkle_hash *ret, const struct merkle_source *s, uint64_t size)
{
	struct merkle_hash root;
	int r = 0;

	if (size)
		r = range_hash(&root, s, 0, size);
	else
		merkle_empty(&root);
	if (r == 0)
		*ret = root;
	return r;
}

/* PATH of RFC 6962, 2.1.1, over the leaves from `low` up to `high`. */
static int path(struct merkle_proof *p, const struct merkle_source *s, uint64_t index, uint64_t low, uint64_t high)
{
	uint64_t middle;
	int r;

	if (high - low == 1)
		return 0;
	middle = low + split(high - low);
	if (index < middle) {
		r = path(p, s, index, low, middle);
		return r < 0 ? r : add_range(p, s, middle, high);
	}
	r = path(p, s, index, middle, high);
	return r < 0 ? r : add_range(p, s, low, middle);
}

int merkle_inclusion(struct merkle_proof *ret, const struct merkle_source *s, uint64_t index, uint64_t size)
{
	struct merkle_proof p = { .n = 0 };
	int r = index < size ? path(&p, s, index, 0, size) : ERR_RANGE;

	if (r == 0)
		*ret = p;
	return r;
}

/* SUBPROOF of RFC 6962, 2.1.2. `known`: the old tree is this very subtree, whose root its reader has. */
static int subproof(struct merkle_proof *p, const struct merkle_source *s, uint64_t from, uint64_t low,
		    uint64_t high, bool known)
{
	uint64_t middle;
	int r;

	if (from == high)
		return known ? 0 : add_range(p, s, low, high);
	middle = low + split(high - low);
	if (from <= middle) {
		r = subproof(p, s, from, low, middle, known);
		return r < 0 ? r : add_range(p, s, middle, high);
	}
	r = subproof(p, s, from, middle, high, false);
	return r < 0 ? r : add_range(p, s, low, middle);
}

int merkle_consistency(struct merkle_proof *ret, const struct merkle_source *s, uint64_t from, uint64_t to)
{
	struct merkle_proof p = { .n = 0 };
	int r = from > 0 && from <= to ? subproof(&p, s, from, 0, to, true) : ERR_RANGE;

	if (r == 0)
		*ret = p;
	return r;
}

/* -- checking -------------------------------------------------------------------- */

static bool same(const struct merkle_hash *a, const struct merkle_hash *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/*
 * A walk from a leaf to the root: the position of the node, and that of the
 * last node of its row.
 */
struct climb {
	uint64_t at, last;
};

/* Take one step. True when the next hash of the proof stands on the left of ours. */
static bool climb_left(struct climb *c)
{
	bool left = (c->at & 1) || c->at == c->last;

	/* The last node of a row may rise some rows alone. */
	if (left)
		while (!(c->at & 1) && c->at) {
			c->at >>= 1;
			c->last >>= 1;
		}
	c->at >>= 1;
	c->last >>= 1;
	return left;
}

int merkle_check_inclusion(const struct merkle_hash *root, uint64_t size, const struct merkle_hash *leaf,
			   uint64_t index, const struct merkle_proof *p)
{
	struct climb c = { .at = index, .last = size - 1 };
	struct merkle_hash h = *leaf;

	if (index >= size)
		return ERR_RANGE;
	for (size_t i = 0; i < p->n; i++) {
		if (c.last == 0)
			return ERR_AUTH;
		if (climb_left(&c))
			merkle_node(&h, &p->hashes[i], &h);
		else
			merkle_node(&h, &h, &p->hashes[i]);
	}
	return c.last == 0 && same(&h, root) ? 0 : ERR_AUTH;
}

int merkle_check_consistency(const struct merkle_hash *from_root, uint64_t from,
			     const struct merkle_hash *to_root, uint64_t to, const struct merkle_proof *p)
{
	struct climb c = { .at = from - 1, .last = to - 1 };
	bool whole = (from & (from - 1)) == 0;	/* then the old root is a node of the new tree */
	struct merkle_hash old, new, empty;

	merkle_empty(&empty);
	if (from > to)
		return ERR_RANGE;
	if (from == to || from == 0)
		return p->n == 0 && same(from_root, from ? to_root : &empty) ? 0 : ERR_AUTH;
	if (!whole && p->n == 0)
		return ERR_AUTH;
	while (c.at & 1) {
		c.at >>= 1;
		c.last >>= 1;
	}
	old = new = whole ? *from_root : p->hashes[0];
	for (size_t i = whole ? 0 : 1; i < p->n; i++) {
		if (c.last == 0)
			return ERR_AUTH;
		if (climb_left(&c)) {
			merkle_node(&old, &p->hashes[i], &old);
			merkle_node(&new, &p->hashes[i], &new);
		} else {
			merkle_node(&new, &new, &p->hashes[i]);
		}
	}
	return c.last == 0 && same(&old, from_root) && same(&new, to_root) ? 0 : ERR_AUTH;
}
