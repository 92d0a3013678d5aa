#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/genesis.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A refusal says why; what is taken is the same network when it is read from its canonical text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char why[GENESIS_WHY_CAP] = "";
	struct genesis *g, *again;

	if (genesis_read(&g, why, (const char *)data, len) < 0) {
		if (!why[0] || !memchr(why, '\0', sizeof(why)))
			abort();
		return 0;
	}
	if (genesis_read(&again, why, g->text, g->text_len) < 0 || memcmp(g->hash, again->hash, sizeof(g->hash)) != 0 ||
	    g->text_len != again->text_len || memcmp(g->text, again->text, g->text_len) != 0)
		abort();
	genesis_free(again);
	genesis_free(g);
	return 0;
}
