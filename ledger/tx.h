/*
 * Transactions of type 2 (EIP-1559), the kind that this program signs. Numbers
 * of 256 bits are big-endian words. On the wire a signature is yParity 0 or 1
 * and r and s as numbers, so a leading zero byte of r or s is dropped; here it
 * is the 65 bytes of <nonos/eth_sig.h>, r and s in full and v 27 or 28.
 */
#ifndef LEDGER_TX_H
#define LEDGER_TX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/amount.h>
#include <nonos/bytes.h>
#include <nonos/eth_sig.h>
#include <nonos/keccak.h>

enum { TX_LEN_MAX = 128 * 1024 };	/* what the usual nodes relay */

struct tx {
	uint64_t chain_id;
	uint64_t nonce;
	uint64_t gas;
	uint8_t max_priority_fee[UINT256_LEN];	/* wei per unit of gas */
	uint8_t max_fee[UINT256_LEN];
	uint8_t value[UINT256_LEN];		/* wei */
	bool creates;				/* a contract: there is no `to` */
	struct eth_addr to;
	const uint8_t *data;			/* borrowed */
	size_t data_len;
	const uint8_t *access;			/* items of the access list as RLP, see tx_wr_access(); borrowed */
	size_t access_len;
};

/* Append one item of an access list: `n` storage keys of 32 bytes. */
void tx_wr_access(struct wr *w, const struct eth_addr *account, const uint8_t *keys, size_t n);

/*
 * Write what is signed: 0x02 and the list of nine fields. This and the
 * functions below give ERR_RANGE for a priority fee above the fee or the nonce
 * 2^64 - 1 (EIP-2681), ERR_MALFORMED for an access list that is none,
 * ERR_TOO_LONG above TX_LEN_MAX or when `w` is full.
 */
int tx_write_unsigned(struct wr *w, const struct tx *t);

/* The hash to sign. */
int tx_digest(uint8_t ret[KECCAK256_LEN], const struct tx *t);

/* Write the signed transaction. ERR_MALFORMED if nobody can have made `sig`; the signer is not compared. */
int tx_write(struct wr *w, const struct tx *t, const uint8_t sig[ETH_SIG_LEN]);

/* Sign, and write the signed transaction. ERR_RANGE also for a secret that is none. */
int tx_sign(struct wr *w, const struct tx *t, const uint8_t secret[ETH_SECRET_LEN]);

/*
 * Decode a signed transaction, which fills `raw`, and recover who sent it.
 * ret->data and ret->access borrow from `raw`. ERR_UNSUPPORTED for another
 * type; a signature fails as with eth_sig_recover(), high s included. The hash
 * that names the transaction is keccak256() of `raw`.
 */
int tx_decode(struct tx *ret, uint8_t ret_sig[ETH_SIG_LEN], struct eth_addr *ret_sender,
	      const uint8_t *raw, size_t len);

#endif
