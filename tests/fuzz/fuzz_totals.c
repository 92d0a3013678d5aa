/* The file of totals, with a right sum at its end so that what is before it is read. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/crypto.h>
#include <nonos/encode.h>

#include "../../src/daemon/totals.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char text[TOTALS_TEXT_CAP], again[TOTALS_TEXT_CAP];
	static struct totals t;
	uint8_t sum[SHA256_LEN];

	if (len > TOTALS_TEXT_CAP - 128)
		return 0;
	memcpy(text, data, len);
	sha256(sum, data, len);
	memcpy(text + len, "end ", 4);
	hex_encode(text + len + 4, sum, sizeof(sum));
	memcpy(text + len + 4 + 2 * SHA256_LEN, "\n", 2);
	if (totals_parse(&t, text, len + 5 + 2 * SHA256_LEN) < 0)
		return 0;
	/* What was read can be written and read again. */
	len = totals_format(again, &t);
	if (totals_parse(&t, again, len) < 0)
		abort();
	return 0;
}
