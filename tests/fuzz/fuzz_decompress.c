/* The first byte chooses the coding; the result must stay within its bound. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include <nonos/compress.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum { MAX = 100000 };
	uint8_t *out;
	size_t out_len;

	if (len == 0)
		return 0;
	if (decompress_all(&out, &out_len, (enum coding)(data[0] % CODINGS), data + 1, len - 1, MAX) == 0) {
		if (out_len > MAX || out[out_len] != 0)
			abort();
		free(out);
	}
	return 0;
}
