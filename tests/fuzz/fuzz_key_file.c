/* Key files: tagged ones of every kind, and PEM. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include <nonos/crypto.h>

#include "../../relay/cert.h"
#include "../../relay/key_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const tags[] = {
		KEY_TAG_ED_MASTER, KEY_TAG_ED_MASTER_PUB, KEY_TAG_ED_SIGNING, KEY_TAG_ED_SIGNING_CERT, KEY_TAG_NTOR,
	};
	static bool ready;
	const uint8_t *body;
	struct rsa_key *rsa;
	struct cert c;
	size_t body_len;

	if (!ready && crypto_init() < 0)
		abort();
	ready = true;
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		if (key_tagged_parse(&body, &body_len, tags[i], data, len) == 0)
			(void)cert_parse(&c, body, body_len);
	if (key_rsa_parse(&rsa, data, len) == 0)
		rsa_free(rsa);
	return 0;
}
