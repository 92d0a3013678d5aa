/* Votes, any text: what is read of them, and whose signature they carry. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include <nonos/crypto.h>

#include "../../relay/dir/dircert.h"
#include "../../relay/dir/vote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t own[20] = { 0xc2, 0xb8, 0xa9, 0x05, 0xd0, 0xd5, 0x87, 0x49, 0x1a, 0x53,
					 0x01, 0x74, 0xf8, 0x39, 0xe8, 0x28, 0x22, 0x81, 0xc6, 0xf6 };
	static const struct dircerts none;
	const char *text = (const char *)data;
	struct vote_view v;
	static bool ready;

	if (!ready && crypto_init() < 0)
		abort();
	ready = true;
	if (vote_read(&v, text, len, own) == 0 && (v.wfu_ppm > 1000000 || v.thresholds.guard_wfu_ppm > 1000000))
		abort();
	(void)vote_check(text, len, own, &none);
	return 0;
}
