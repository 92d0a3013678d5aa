/*
 * The journal's Merkle tree (RFC 6962, 2.1): SHA-256, leaves and nodes told
 * apart by a first byte. A frontier takes leaves one by one and gives the root
 * at any time; proofs are made from a source of the hashes of full subtrees,
 * which is what tiles store; checks need nothing but their arguments.
 */
#ifndef NONOS_MERKLE_LOG_H
#define NONOS_MERKLE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include <nonos/crypto.h>

enum { MERKLE_PROOF_MAX = 65 };		/* hashes in a proof over a tree of any size */

struct merkle_hash {
	uint8_t b[SHA256_LEN];
};

void merkle_leaf(struct merkle_hash *ret, const void *data, size_t len);
void merkle_node(struct merkle_hash *ret, const struct merkle_hash *left, const struct merkle_hash *right);

/* The root of no leaves. */
void merkle_empty(struct merkle_hash *ret);

/* -- growing --------------------------------------------------------------------- */

/* What is left of a tree when only its root matters. Copyable; zeros are the empty tree. */
struct merkle_frontier {
	uint64_t size;
	struct merkle_hash full[64];	/* of 2^i leaves, where bit i of size is set */
};

void merkle_frontier_add(struct merkle_frontier *f, const struct merkle_hash *leaf);
void merkle_frontier_root(struct merkle_hash *ret, const struct merkle_frontier *f);

/* -- proving --------------------------------------------------------------------- */

/*
 * `node` gives the hash of the 2^level leaves from index * 2^level on; all
 * of them exist. Its errors pass through.
 */
struct merkle_source {
	int (*node)(void *ctx, struct merkle_hash *ret, unsigned level, uint64_t index);
	void *ctx;
};

/* A source over leaf hashes in memory, which stay the caller's. */
struct merkle_source merkle_source_leaves(const struct merkle_hash *leaves);

struct merkle_proof {
	struct merkle_hash hashes[MERKLE_PROOF_MAX];
	size_t n;
};

int merkle_root(struct merkle_hash *ret, const struct merkle_source *s, uint64_t size);

/* That leaf `index` is in the tree of `size` leaves. ERR_RANGE unless it can be. */
int merkle_inclusion(struct merkle_proof *ret, const struct merkle_source *s, uint64_t index, uint64_t size);

/* That the tree of `from` leaves is the start of the one of `to`; 0 < from <= to, else ERR_RANGE. */
int merkle_consistency(struct merkle_proof *ret, const struct merkle_source *s, uint64_t from, uint64_t to);

/* -- checking -------------------------------------------------------------------- */

/* 0, ERR_RANGE for an index that is not in the tree, or ERR_AUTH. (RFC 9162, 2.1.3.2) */
int merkle_check_inclusion(const struct merkle_hash *root, uint64_t size, const struct merkle_hash *leaf,
			   uint64_t index, const struct merkle_proof *p);

/*
 * 0, ERR_RANGE when `from` is above `to`, or ERR_AUTH: the log has two
 * histories. Every tree starts with the empty one. (RFC 9162, 2.1.4.2)
 */
int merkle_check_consistency(const struct merkle_hash *from_root, uint64_t from,
			     const struct merkle_hash *to_root, uint64_t to, const struct merkle_proof *p);

#endif
