/* CERTS and AUTH_CHALLENGE bodies, as a responder's and as an initiator's. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include <nonos/crypto.h>
#include <nonos/link_auth.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* Of the link that one seed was captured from. */
	static const uint8_t tls_sha256[32] = {
		0xfe, 0x4b, 0x1a, 0xd9, 0xe9, 0xb1, 0x2e, 0xc9, 0xb0, 0xa1, 0x0f, 0xbb, 0xa7, 0x18, 0x28, 0xa8,
		0x90, 0x29, 0x4f, 0x7a, 0xf9, 0x2b, 0xa8, 0x2b, 0xfa, 0xb9, 0x6e, 0x50, 0x98, 0x9a, 0x0a, 0xef,
	};
	static bool ready;
	struct peer_identity id;
	bool type3;

	if (!ready && crypto_init() < 0)
		abort();
	ready = true;
	(void)certs_check_responder(&id, data, len, tls_sha256, 1795323200);
	(void)certs_check_initiator(&id, data, len, 1795323200);
	(void)auth_challenge_parse(&type3, data, len);
	return 0;
}
