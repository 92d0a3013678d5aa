#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/crypto.h>
#include <nonos/keystore.h>
#include <nonos/secret.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read can be written, and reads back as the same; cheap ones are opened too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char why[KEYSTORE_WHY_CAP], *text, *same;
	struct keystore k, again;
	struct secret *s;

	if (keystore_parse(&k, why, (const char *)data, len) < 0)
		return 0;
	text = keystore_text(&k);
	if (keystore_parse(&again, why, text, strlen(text)) < 0)
		abort();
	same = keystore_text(&again);
	if (strcmp(text, same) != 0)
		abort();
	free(text);
	free(same);
	if (crypto_init() < 0)
		abort();
	if ((uint64_t)k.cost.n * k.cost.r * k.cost.p <= 4096 && k.cost.rounds <= 64 &&
	    keystore_open(&s, &k, "x", 1) == 0)
		secret_free(s);
	return 0;
}
