/* A relay with two onion keys, for tests of handshakes; the older one is in second place. After cmocka.h. */
#ifndef TESTS_HANDSHAKE_TEST_H
#define TESTS_HANDSHAKE_TEST_H

#include <nonos/crypto.h>
#include <nonos/rand.h>

#include "../../relay/handshake_priv.h"

static struct handshake_keys keys;
static struct x25519_key *onion_keys[2];

static int setup(void **state)
{
	uint8_t secret[32], public[32];

	(void)state;
	if (crypto_init() < 0)
		return -1;
	rand_bytes(keys.rsa_id, sizeof(keys.rsa_id));
	rand_bytes(keys.ed_id, sizeof(keys.ed_id));
	for (int i = 0; i < 2; i++) {
		x25519_keygen(secret, public);
		keys.onion[i] = onion_keys[i] = x25519_key_new(secret);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	x25519_key_free(onion_keys[0]);
	x25519_key_free(onion_keys[1]);
	return 0;
}

#endif
