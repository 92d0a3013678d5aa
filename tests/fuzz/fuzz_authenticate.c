/* AUTHENTICATE bodies against a fixed context and key; a seed fits them. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include <nonos/crypto.h>
#include <nonos/link_auth.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t zero[32];
	static uint8_t secret[64], public[32];
	static bool ready;
	const struct auth_context a = { zero, zero, zero, zero, zero, zero, zero, zero };

	if (!ready) {
		if (crypto_init() < 0)
			abort();
		ed25519_expand(secret, zero);
		ed25519_public(public, secret);
		ready = true;
	}
	(void)authenticate_check(data, len, &a, public);
	return 0;
}
