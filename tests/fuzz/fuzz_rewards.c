#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <nonos/rewards.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* All of the budget is paid, or none, and none to a relay without credit. */
static void check(const struct reward_epoch *e)
{
	struct amount sum = { 0 };

	for (size_t i = 0; i < e->n_relays; i++)
		if (amount_add(&sum, sum, e->relays[i].due) < 0 ||
		    (e->relays[i].excluded && !amount_is_zero(e->relays[i].due)))
			abort();
	if (amount_cmp(sum, e->paid) != 0 || (!amount_is_zero(sum) && amount_cmp(sum, e->budget) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char why[REWARD_WHY_CAP] = "";
	struct reward_epoch *e;
	json_t *doc = json_loadb((const char *)data, len, JSON_REJECT_DUPLICATES, NULL);

	if (!doc)
		return 0;
	if (reward_epoch_read(&e, why, doc) == 0) {
		if (reward_compute(e, why) == 0) {
			check(e);
			json_decref(reward_epoch_json(e));
		}
		reward_epoch_free(e);
	} else if (!why[0]) {
		abort();
	}
	json_decref(doc);
	return 0;
}
