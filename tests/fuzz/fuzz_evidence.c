#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/rewards.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read is written again to the same bytes, or two hashes would name one evidence. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char why[REWARD_WHY_CAP] = "", *text;
	struct evidence *e;
	size_t text_len;

	if (evidence_read(&e, why, (const char *)data, len) < 0) {
		if (!why[0])
			abort();
		return 0;
	}
	if (evidence_write(&text, &text_len, why, e) < 0 || text_len != len || memcmp(text, data, len) != 0)
		abort();
	(void)evidence_state(e);
	free(text);
	evidence_free(e);
	return 0;
}
