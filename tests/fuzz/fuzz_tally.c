#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <nonos/tally.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The quorum's part is no more than the whole, nor those who voted more than those who are counted. */
static void check(const struct tally_input *in, const struct tally_result *r)
{
	if (amount_cmp(r->quorum_power, r->total_power) > 0 || r->voters > r->represented || r->represented > in->n_voters)
		abort();
	for (uint32_t k = 0; k < r->n_options; k++)
		if (amount_cmp(r->sums[k], r->total_power) > 0)
			abort();
	if (r->closes < in->rules.closes || r->extended != (r->closes != in->rules.closes) || r->n_rejected > in->n_log)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	json_t *doc = json_loadb((const char *)data, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	char why[TALLY_WHY_CAP] = "";
	struct tally_result *r;
	struct tally_input *in;

	if (!doc)
		return 0;
	if (tally_input_read(&in, why, doc) == 0) {
		if (tally_compute(&r, why, in) == 0) {
			check(in, r);
			json_decref(tally_result_json(r));
			tally_result_free(r);
		} else if (!why[0]) {
			abort();
		}
		tally_input_free(in);
	} else if (!why[0]) {
		abort();
	}
	json_decref(doc);
	return 0;
}
