/* CREATE_FAST: two nonces, and secrecy from TLS alone (tor-spec 5.1.5). */
#include "config.h"

#include "handshake.h"

#include <string.h>

#include <nonos/err.h>
#include <nonos/rand.h>
#include <nonos/secret.h>

#include "handshake_priv.h"

enum { NONCE_LEN = 20, KH_LEN = 20 };

/* KDF-TOR over X | Y gives KH, then the circuit's keys (tor-spec 5.2.1). */
static void derive(uint8_t ret_kh[KH_LEN], struct circuit_keys *ret_keys,
		   const uint8_t x[NONCE_LEN], const uint8_t y[NONCE_LEN])
{
	uint8_t k0[2 * NONCE_LEN], k[KH_LEN + CIRCUIT_KEYS_LEN];

	memcpy(k0, x, NONCE_LEN);
	memcpy(k0 + NONCE_LEN, y, NONCE_LEN);
	kdf_tor(k, sizeof(k), k0, sizeof(k0));
	memcpy(ret_kh, k, KH_LEN);
	circuit_keys_set(ret_keys, k + KH_LEN);
	secret_wipe(k0, sizeof(k0));
	secret_wipe(k, sizeof(k));
}

void fast_server_answer(uint8_t reply[FAST_REPLY_LEN], struct circuit_keys *ret_keys,
			const uint8_t x[FAST_ONION_LEN], const uint8_t y[20])
{
	uint8_t kh[KH_LEN];

	derive(kh, ret_keys, x, y);
	memcpy(reply, y, NONCE_LEN);
	memcpy(reply + NONCE_LEN, kh, KH_LEN);
}

void fast_server(uint8_t reply[FAST_REPLY_LEN], struct circuit_keys *ret_keys,
		 const uint8_t x[FAST_ONION_LEN])
{
	uint8_t y[NONCE_LEN];

	rand_bytes(y, sizeof(y));
	fast_server_answer(reply, ret_keys, x, y);
	secret_wipe(y, sizeof(y));
}

int fast_client_finish(struct circuit_keys *ret_keys, const uint8_t x[FAST_ONION_LEN],
		       const uint8_t reply[FAST_REPLY_LEN])
{
	struct circuit_keys keys;
	uint8_t kh[KH_LEN];
	int r = ERR_AUTH;

	derive(kh, &keys, x, reply);
	if (!secret_eq(kh, reply + NONCE_LEN, KH_LEN))
		goto out;
	*ret_keys = keys;
	r = 0;
out:
	secret_wipe(&keys, sizeof(keys));
	secret_wipe(kh, sizeof(kh));
	return r;
}
