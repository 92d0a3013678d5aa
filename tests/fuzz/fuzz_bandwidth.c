/* The file that keeps the bandwidth history over a restart. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/daemon/bandwidth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char text[BANDWIDTH_TEXT_CAP];
	struct bandwidth b, again;
	size_t text_len;

	if (bandwidth_parse(&b, (const char *)data, len, 1800000000) < 0)
		return 0;
	bandwidth_update(&b, 1800000001, 1, 1);
	(void)bandwidth_observed(&b);
	/* What was taken in can be written and taken in again. */
	text_len = bandwidth_format(text, &b);
	if (bandwidth_parse(&again, text, text_len, 1800000001) < 0 || b.n_days != again.n_days)
		abort();
	return 0;
}
