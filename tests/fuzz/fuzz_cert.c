/* Ed25519 certificates and cross-certificates: any bytes, with a fixed key and time. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include <nonos/crypto.h>

#include "../../relay/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t other[32];
	static struct rsa_key *rsa;
	struct cert c;

	if (!rsa && (crypto_init() < 0 || rsa_generate(&rsa, 1024) < 0))
		abort();
	if (cert_parse(&c, data, len) == 0) {
		/* What a parser lends has to lie inside its input. */
		if (c.key < data || c.key + 32 > data + len)
			abort();
		if (c.signed_with && (c.signed_with < data || c.signed_with + 32 > data + len))
			abort();
		(void)cert_check(&c, (enum cert_type)c.type, c.signed_with ? c.signed_with : other, 1795323200);
	}
	if (len >= 32)
		(void)crosscert_check(data, len, rsa, data, 1795323200);
	return 0;
}
