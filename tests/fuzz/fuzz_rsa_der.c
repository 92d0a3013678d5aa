/* RSA keys: whatever is taken has one encoding, the one that was read, and can be used. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/crypto.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void use_public(const uint8_t *der, size_t len)
{
	uint8_t again[RSA_PUB_DER_CAP], sig[512] = { 1, 2, 3 };
	struct rsa_key *k;
	size_t again_len;

	if (rsa_public_from_der(&k, der, len) < 0)
		return;
	if (rsa_bits(k) < 1024 || rsa_bits(k) > 4096)
		abort();
	if (rsa_public_der(again, sizeof(again), &again_len, k) < 0 ||
	    again_len != len || memcmp(again, der, len) != 0)
		abort();
	if (rsa_verify_raw(k, sig, (rsa_bits(k) + 7) / 8, "x", 1) == 0)
		abort();
	rsa_free(k);
}

static void use_private(const uint8_t *der, size_t len)
{
	uint8_t again[4096], sig[512];
	struct rsa_key *k;
	size_t again_len, sig_len;

	if (rsa_private_from_der(&k, der, len) < 0)
		return;
	if (rsa_private_der(again, sizeof(again), &again_len, k) < 0 ||
	    again_len != len || memcmp(again, der, len) != 0)
		abort();
	if (rsa_sign_raw(sig, sizeof(sig), &sig_len, k, "x", 1) < 0 ||
	    rsa_verify_raw(k, sig, sig_len, "x", 1) < 0)
		abort();
	rsa_free(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (crypto_init() < 0)
		abort();
	use_public(data, len);
	use_private(data, len);
	return 0;
}
