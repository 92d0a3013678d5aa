/*
 * OpenZeppelin's StandardMerkleTree over (address account, uint256 amount):
 * the tree of cumulative rewards that a contract's MerkleProof checks. A leaf
 * is hashed twice, so that no node can pass for one; leaves are sorted by hash
 * and laid from the back of an array of 2n - 1; a parent hashes its children in
 * ascending order, so that a proof is a list without sides.
 */
#ifndef LEDGER_STD_MERKLE_H
#define LEDGER_STD_MERKLE_H

#include <stddef.h>
#include <stdint.h>

#include <nonos/amount.h>
#include <nonos/eth_sig.h>
#include <nonos/keccak.h>

struct std_entry {
	struct eth_addr account;
	struct amount amount;
};

struct std_hash {
	uint8_t b[KECCAK256_LEN];
};

/* Owned by its maker. */
struct std_merkle;

void std_merkle_leaf(struct std_hash *ret, const struct std_entry *e);

/* ERR_RANGE for no entries. The entries are not kept. */
int std_merkle_new(struct std_merkle **ret, const struct std_entry *entries, size_t n);
void std_merkle_free(struct std_merkle *t);

/* Borrowed. */
const struct std_hash *std_merkle_root(const struct std_merkle *t);

/* All 2n - 1 hashes, the root first. Borrowed. */
const struct std_hash *std_merkle_nodes(const struct std_merkle *t, size_t *ret_n);

enum { STD_MERKLE_PROOF_MAX = 64 };

/* The proof of entry `index`, in the order of the array given; returns its length. */
size_t std_merkle_proof(struct std_hash ret[STD_MERKLE_PROOF_MAX], const struct std_merkle *t, size_t index);

/* 0 or ERR_AUTH, as MerkleProof.verify() of OpenZeppelin's contracts. */
int std_merkle_check(const struct std_hash *root, const struct std_entry *e, const struct std_hash *proof, size_t n);

#endif
