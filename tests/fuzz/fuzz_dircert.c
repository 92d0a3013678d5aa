#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <nonos/crypto.h>

#include "../../relay/dir/dircert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static int ready;
	struct dircerts set = { .n = 0 };
	struct authority nobody = { .name = "x" };
	struct dircert *c;
	size_t bad;

	if (!ready && crypto_init() < 0)
		abort();
	ready = 1;
	if (dircert_parse(&c, (const char *)data, len) == 0)
		dircert_free(c);
	/* No certificate hashes to an identity of zeros. */
	if (dircerts_add(&set, &nobody, 1, (const char *)data, len, 0, &bad) != 0)
		abort();
	return 0;
}
