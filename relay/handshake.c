/* What the circuit handshakes share; see handshake_priv.h. */
#include "config.h"

#include "handshake_priv.h"

#include <string.h>

#include <nonos/secret.h>

void circuit_keys_set(struct circuit_keys *k, const uint8_t raw[CIRCUIT_KEYS_LEN])
{
	memcpy(k->df, raw, sizeof(k->df));
	memcpy(k->db, raw + 20, sizeof(k->db));
	memcpy(k->kf, raw + 40, sizeof(k->kf));
	memcpy(k->kb, raw + 56, sizeof(k->kb));
}

const struct x25519_key *handshake_find_key(const struct handshake_keys *keys,
					    const uint8_t public_key[X25519_LEN])
{
	uintptr_t found = 0;

	for (size_t i = 0; i < sizeof(keys->onion) / sizeof(keys->onion[0]); i++) {
		const struct x25519_key *k = keys->onion[i];
		uintptr_t mask;

		if (!k)
			continue;
		mask = 0 - (uintptr_t)secret_eq(x25519_key_public(k), public_key, X25519_LEN);
		found = (found & ~mask) | ((uintptr_t)k & mask);
	}
	return (const struct x25519_key *)found;
}
