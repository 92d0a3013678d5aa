/* The file of weights: what is taken is written the same way again. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../relay/dir/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct weights w, again;
	static char text[WEIGHTS_TEXT_MAX], second[WEIGHTS_TEXT_MAX];
	size_t n;

	w.n = again.n = 0;
	if (weights_parse(&w, (const char *)data, len) < 0)
		return 0;
	n = weights_format(text, &w);
	if (weights_parse(&again, text, n) < 0 || weights_format(second, &again) != n || memcmp(text, second, n) != 0)
		abort();
	return 0;
}
