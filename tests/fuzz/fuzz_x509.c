/* CERTS type 2: any bytes; a key that comes out is an RSA identity's. */
#include "config.h"

#include <stdlib.h>

#include <nonos/crypto.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t der[RSA_PUB_DER_CAP];
	struct rsa_key *k;
	size_t der_len;

	if (crypto_init() < 0)
		abort();
	/* The seeds are valid on this day in 2026. */
	if (x509_check_rsa_id_cert(&k, data, len, 1795000000) < 0)
		return 0;
	if (rsa_bits(k) != 1024 || rsa_public_der(der, sizeof(der), &der_len, k) < 0 || der_len != 140)
		abort();
	rsa_free(k);
	return 0;
}
