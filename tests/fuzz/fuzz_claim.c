#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <nonos/epochs.h>
#include <nonos/jcs.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char why[GENESIS_WHY_CAP] = "";
	struct claim_verdict v;
	json_t *doc;
	int r;

	if (jcs_read(&doc, (const char *)data, len) < 0)
		return 0;
	r = claim_check(&v, why, doc, NULL);
	if (r < 0 && !why[0])
		abort();
	if (r == 0 && v.signers < v.threshold)
		abort();
	json_decref(doc);
	return 0;
}
