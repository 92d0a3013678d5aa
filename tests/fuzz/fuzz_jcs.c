#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/jcs.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What the reader takes, the writer can write, and the reader then finds canonical and equal. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	json_t *value, *again;
	char *text;
	size_t text_len;
	int r;

	if (jcs_read(&value, (const char *)data, len) < 0)
		return 0;
	if (jcs_write(&text, &text_len, value) < 0 || jcs_read_canonical(&again, text, text_len) < 0 ||
	    !json_equal(value, again))
		abort();
	json_decref(again);
	r = jcs_read_canonical(&again, (const char *)data, len);
	if ((r == 0) != (text_len == len && memcmp(text, data, len) == 0))
		abort();
	if (r == 0)
		json_decref(again);
	json_decref(value);
	free(text);
	return 0;
}
