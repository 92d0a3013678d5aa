#include "config.h"

#include <nonos/eth_sig.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <secp256k1.h>
#include <secp256k1_recovery.h>

#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/keccak.h>
#include <nonos/mem.h>
#include <nonos/rand.h>
#include <nonos/secret.h>

/* Half of the group's order: the largest s that is accepted (EIP-2). */
static const uint8_t half_order[32] = {
	0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
};

static secp256k1_context *made;

/* Randomising it blinds signing against side channels. */
static void make_context(void)
{
	uint8_t seed[32];

	made = secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);
	if (!made)
		mem_fail();
	rand_bytes(seed, sizeof(seed));
	if (!secp256k1_context_randomize(made, seed))
		abort();
	secret_wipe(seed, sizeof(seed));
}

/* One a process, made when it is first asked for, and never changed after that: threads share it. */
static const secp256k1_context *context(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_context);
	return made;
}

/* -- addresses ------------------------------------------------------------- */

bool eth_addr_eq(const struct eth_addr *a, const struct eth_addr *b)
{
	return memcmp(a->b, b->b, ETH_ADDR_LEN) == 0;
}

void eth_addr_text(char out[ETH_ADDR_TEXT_CAP], const struct eth_addr *a)
{
	uint8_t hash[KECCAK256_LEN];

	memcpy(out, "0x", 2);
	hex_encode(out + 2, a->b, ETH_ADDR_LEN);
	keccak256(hash, out + 2, 2 * ETH_ADDR_LEN);
	for (int i = 0; i < 2 * ETH_ADDR_LEN; i++) {
		int digit = i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4;

		if (digit >= 8 && out[2 + i] >= 'a')
			out[2 + i] = (char)(out[2 + i] - 'a' + 'A');
	}
}

/* Lower-case text carries no checksum, and neither does upper-case text. */
static bool has_one_case(const char *digits)
{
	bool lower = false, upper = false;

	for (int i = 0; i < 2 * ETH_ADDR_LEN; i++) {
		lower |= digits[i] >= 'a';
		upper |= digits[i] >= 'A' && digits[i] <= 'F';
	}
	return !lower || !upper;
}

int eth_addr_parse(struct eth_addr *ret, const char *text, size_t len)
{
	char good[ETH_ADDR_TEXT_CAP];
	struct eth_addr a;

	if (len != ETH_ADDR_TEXT_CAP - 1 || text[0] != '0' || text[1] != 'x' ||
	    hex_decode(a.b, ETH_ADDR_LEN, text + 2, len - 2) < 0)
		return ERR_MALFORMED;
	if (!has_one_case(text + 2)) {
		eth_addr_text(good, &a);
		if (memcmp(good, text, len) != 0)
			return ERR_MISMATCH;
	}
	*ret = a;
	return 0;
}

/* The last 20 bytes of the hash of the point's two coordinates. */
static void addr_of_pubkey(struct eth_addr *ret, const secp256k1_pubkey *key)
{
	uint8_t point[65], hash[KECCAK256_LEN];
	size_t len = sizeof(point);

	secp256k1_ec_pubkey_serialize(context(), point, &len, key, SECP256K1_EC_UNCOMPRESSED);
	keccak256(hash, point + 1, 64);
	memcpy(ret->b, hash + KECCAK256_LEN - ETH_ADDR_LEN, ETH_ADDR_LEN);
}

int eth_addr_of_secret(struct eth_addr *ret, const uint8_t secret[ETH_SECRET_LEN])
{
	secp256k1_pubkey key;

	if (!secp256k1_ec_pubkey_create(context(), &key, secret))
		return ERR_RANGE;
	addr_of_pubkey(ret, &key);
	return 0;
}

/* -- signatures ------------------------------------------------------------ */

int eth_sig_sign(uint8_t ret_sig[ETH_SIG_LEN], const uint8_t secret[ETH_SECRET_LEN],
		 const uint8_t digest[ETH_DIGEST_LEN])
{
	secp256k1_ecdsa_recoverable_signature sig;
	int id;

	if (!secp256k1_ecdsa_sign_recoverable(context(), &sig, digest, secret, NULL, NULL))
		return ERR_RANGE;
	secp256k1_ecdsa_recoverable_signature_serialize_compact(context(), ret_sig, &id, &sig);
	/* Ids 2 and 3, r above the order, happen once in 2^127 signatures. */
	if (id > 1)
		return ERR_RANGE;
	ret_sig[64] = (uint8_t)(27 + id);
	return 0;
}

int eth_sig_recover(struct eth_addr *ret, const uint8_t digest[ETH_DIGEST_LEN],
		    const uint8_t *sig, size_t sig_len)
{
	secp256k1_ecdsa_recoverable_signature parsed;
	secp256k1_pubkey key;

	if (sig_len != ETH_SIG_LEN || (sig[64] != 27 && sig[64] != 28) || memcmp(sig + 32, half_order, 32) > 0)
		return ERR_MALFORMED;
	if (!secp256k1_ecdsa_recoverable_signature_parse_compact(context(), &parsed, sig, sig[64] - 27))
		return ERR_MALFORMED;
	if (!secp256k1_ecdsa_recover(context(), &key, &parsed, digest))
		return ERR_AUTH;
	addr_of_pubkey(ret, &key);
	return 0;
}

int eth_sig_verify(const struct eth_addr *signer, const uint8_t digest[ETH_DIGEST_LEN],
		   const uint8_t *sig, size_t sig_len)
{
	struct eth_addr found;
	int r = eth_sig_recover(&found, digest, sig, sig_len);

	if (r < 0)
		return r;
	return eth_addr_eq(&found, signer) ? 0 : ERR_AUTH;
}
