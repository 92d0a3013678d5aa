/*
 * Typed data (EIP-712): what every signature over money, stakes, votes and
 * releases is made on. The types are rows of ledger/nonos-eip712.json, which
 * is built into the program: there is one encoder, and no code for any one
 * type. In JSON integers are decimal strings (or numbers up to 2^53 - 1) and
 * bytes are hex with "0x".
 */
#ifndef NONOS_TYPED_H
#define NONOS_TYPED_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include <nonos/eth_sig.h>
#include <nonos/keccak.h>

/* One row of the schema. It lives as long as the process. */
struct typed_type;

/* Room for the sentence that says what is wrong with a document. */
enum { TYPED_WHY_CAP = 256 };

struct typed_hashes {
	uint8_t type_hash[KECCAK256_LEN];
	uint8_t struct_hash[KECCAK256_LEN];
	uint8_t domain_separator[KECCAK256_LEN];
	uint8_t digest[KECCAK256_LEN];		/* what is signed */
	bool has_signer;			/* the type names the field that must have signed */
	struct eth_addr signer;
};

/* Return the type called `name`, or NULL. The domain is not one of them. */
const struct typed_type *typed_find(const char *name);

const char *typed_name(const struct typed_type *t);

/* The text that the type hash is made of: the type, then those it refers to, by name. */
const char *typed_encoding(const struct typed_type *t);

/* "types" as wallets want them with a message of `t`: the domain's, its own, and those it refers to. */
json_t *typed_types(const struct typed_type *t);

/*
 * Hash `doc`: {"domain", "primaryType", "message"}, and perhaps "types", which
 * must then be those of the schema. Nothing may be missing, unknown or out of
 * its range: ERR_MALFORMED, with the reason in `why`.
 */
int typed_hash(struct typed_hashes *ret, char why[TYPED_WHY_CAP], const json_t *doc);

/* Hash a message of `t`, or a domain, alone. Errors as above. */
int typed_struct_hash(uint8_t ret[KECCAK256_LEN], char why[TYPED_WHY_CAP], const struct typed_type *t,
		      const json_t *message);
int typed_domain_separator(uint8_t ret[KECCAK256_LEN], char why[TYPED_WHY_CAP], const json_t *domain);

/* What is signed: keccak256(0x19 0x01 | domain separator | struct hash). */
void typed_digest(uint8_t ret[KECCAK256_LEN], const uint8_t domain_separator[KECCAK256_LEN],
		  const uint8_t struct_hash[KECCAK256_LEN]);

#endif
