/*
 * Ethereum accounts: addresses with their checksums (EIP-55) and recoverable
 * secp256k1 signatures. The only header over libsecp256k1. A signature has
 * one accepted form: 65 bytes r | s | v, v 27 or 28, s in the lower half of
 * the order (EIP-2). The twin with the higher s recovers to the same signer
 * and is refused, so that nobody can give a signed object a second name.
 */
#ifndef NONOS_ETH_SIG_H
#define NONOS_ETH_SIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ETH_ADDR_LEN = 20,
	ETH_ADDR_TEXT_CAP = 43,		/* "0x", 40 digits, NUL */
	ETH_DIGEST_LEN = 32,
	ETH_SECRET_LEN = 32,
	ETH_SIG_LEN = 65,
};

struct eth_addr {
	uint8_t b[ETH_ADDR_LEN];
};

bool eth_addr_eq(const struct eth_addr *a, const struct eth_addr *b);

/* "0x" and 40 digits in the mixed case of EIP-55. */
void eth_addr_text(char out[ETH_ADDR_TEXT_CAP], const struct eth_addr *a);

/*
 * Digits all of one case, or mixed as EIP-55 has them: ERR_MISMATCH when the
 * case is a checksum that fails, ERR_MALFORMED for anything else.
 */
int eth_addr_parse(struct eth_addr *ret, const char *text, size_t len);

/* The account of a secret key. ERR_RANGE when it is zero or not below the order. */
int eth_addr_of_secret(struct eth_addr *ret, const uint8_t secret[ETH_SECRET_LEN]);

/* Sign with the nonce of RFC 6979. ERR_RANGE for a secret that is none. */
int eth_sig_sign(uint8_t ret_sig[ETH_SIG_LEN], const uint8_t secret[ETH_SECRET_LEN],
		 const uint8_t digest[ETH_DIGEST_LEN]);

/*
 * Give the account that signed. ERR_MALFORMED when the length, v, r or s is not in the
 * accepted form, ERR_AUTH when no key can have made the signature.
 */
int eth_sig_recover(struct eth_addr *ret, const uint8_t digest[ETH_DIGEST_LEN],
		    const uint8_t *sig, size_t sig_len);

/* As eth_sig_recover(), and ERR_AUTH when the account is another one. */
int eth_sig_verify(const struct eth_addr *signer, const uint8_t digest[ETH_DIGEST_LEN],
		   const uint8_t *sig, size_t sig_len);

#endif
