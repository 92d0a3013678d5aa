#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/amount.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read must be written back as the same text, or as one that reads to the same amount. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = (const char *)data;
	char out[AMOUNT_TEXT_CAP];
	uint8_t wide[UINT256_LEN];
	struct amount a, b;

	if (amount_parse(&a, text, len) == 0 &&
	    (amount_text(out, a) != len || memcmp(out, text, len) != 0 || uint256_parse(wide, text, len) < 0))
		abort();
	if (amount_token_parse(&a, text, len) == 0 &&
	    (amount_token_parse(&b, out, amount_token_text(out, a)) < 0 || amount_cmp(a, b) != 0))
		abort();
	if (uint256_parse(wide, text, len) == 0 && len > 78)
		abort();
	return 0;
}
