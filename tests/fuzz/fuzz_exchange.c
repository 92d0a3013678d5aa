/* The list of consensuses that another auditor gives: each row that is read is written again alike. */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../../src/daemon/exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_row(const json_t *row)
{
	int64_t when, again_when;
	uint8_t digest[32], again[32];
	json_t *out;

	if (exchange_read_row(&when, digest, row) < 0)
		return;
	out = exchange_row(when, digest);
	if (exchange_read_row(&again_when, again, out) < 0 || again_when != when)
		abort();
	json_decref(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	json_t *list = json_loadb((const char *)data, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(list, "consensuses"), i, row)
		try_row(row);
	json_decref(list);
	return 0;
}
