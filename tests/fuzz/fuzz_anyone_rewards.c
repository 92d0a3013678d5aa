#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <nonos/anyone_rewards.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Never more is paid than the round has, and the parts of a relay add up. */
static void check(const struct anyone_round *r)
{
	struct amount budget, sum;

	if (amount_mul(&budget, r->config.tokens_per_second, amount_u64(r->seconds)) == 0 &&
	    amount_cmp(r->total, budget) > 0)
		abort();
	for (size_t i = 0; i < r->n_relays; i++)
		if (amount_add(&sum, r->relays[i].operator_total, r->relays[i].delegate_total) < 0 ||
		    amount_cmp(sum, r->relays[i].total) != 0)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char why[ANYONE_WHY_CAP] = "";
	struct anyone_round *r;
	json_t *doc = json_loadb((const char *)data, len, JSON_REJECT_DUPLICATES, NULL);

	if (!doc)
		return 0;
	if (anyone_round_read(&r, why, doc) == 0) {
		if (anyone_compute(r) == 0) {
			check(r);
			json_decref(anyone_round_json(r));
		}
		anyone_round_free(r);
	} else if (!why[0]) {
		abort();
	}
	json_decref(doc);
	return 0;
}
