/* Padding negotiation, of a link and of a circuit. */
#include "config.h"

#include <stdlib.h>

#include "../../relay/pad.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t out[PAD_ANSWER_LEN];
	struct pad_negotiate p;

	if (pad_negotiate_parse(&p, data, len, PAD_LOW_MS, PAD_HIGH_MS) == 0) {
		uint32_t ms = pad_next_ms(p.low_ms, p.high_ms);

		if (ms < p.low_ms || ms > p.high_ms || p.low_ms < 1500 || data[0] != 0)
			abort();
	}
	if (pad_circuit_answer(out, data, len) == 0 && (len != 8 || out[1] != data[1] || out[3] != data[2]))
		abort();
	return 0;
}
