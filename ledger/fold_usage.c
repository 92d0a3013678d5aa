/*
 * UsageReceipt: the user of a module pays for it. The publisher gets its share
 * (60 % where genesis says so), floored; of the treasury's part the burn controller's
 * rate is burnt, of the rest a share goes to the contributors' vault.
 */
#include "config.h"

#include "ledger_state.h"

#include <inttypes.h>

#include <nonos/err.h>

static struct amount share(struct amount *rest, unsigned bp)
{
	struct amount part = amount_u64(0);

	/* bp is at most 10,000, so the part is at most the whole. */
	amount_muldiv(&part, NULL, *rest, amount_u64(bp), amount_u64(REWARD_BP));
	amount_sub(rest, *rest, part);
	return part;
}

static int split(struct ledger *l, const struct eth_addr *user, const struct eth_addr *publisher, struct amount amount)
{
	struct amount rest = amount, published = share(&rest, l->genesis->revenue.publisher_bp), burnt, vault;
	struct leg legs[5] = { { .account = account_of(ACCOUNT_ADDRESS, user), .amount = amount } };
	uint32_t ppm;
	int r = burn_rate(l, &ppm);

	if (r < 0)
		return r;
	burnt = burn_part(rest, ppm);
	amount_sub(&rest, rest, burnt);
	vault = share(&rest, l->genesis->revenue.vault_bp);
	legs[1] = (struct leg){ account_of(ACCOUNT_ADDRESS, publisher), true, published };
	legs[2] = (struct leg){ account_of(ACCOUNT_BURN, NULL), true, burnt };
	legs[3] = (struct leg){ account_of(ACCOUNT_VAULT, NULL), true, vault };
	legs[4] = (struct leg){ account_of(ACCOUNT_TREASURY, NULL), true, rest };
	return ledger_post(l, legs, 5);
}

static int apply(struct ledger *l, const struct object *o)
{
	uint64_t epoch = object_u64(o, "epoch"), now = genesis_epoch(l->genesis, fold_time(l));
	struct eth_addr publisher;
	struct amount amount;
	int r = object_payment(l, &amount, o);

	if (r < 0)
		return r;
	if (epoch > now)
		return ledger_refuse(l, REFUSED_EPOCH_RANGE, "it is for epoch %" PRIu64 ", and this is epoch %" PRIu64, epoch, now);
	object_address(&publisher, o, "publisher");
	return split(l, &o->signer, &publisher, amount);
}

const struct fold_type fold_usage = { .name = "UsageReceipt", .flags = FOLD_NONCE | FOLD_UNTIL | FOLD_CLEAN, .apply = apply };
