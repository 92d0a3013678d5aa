/* Transfer: an account pays another. */
#include "config.h"

#include "ledger_priv.h"

#include <nonos/err.h>

/* An amount that is to move: within the range of amounts, and not zero. */
int object_payment(struct ledger *l, struct amount *ret, const struct object *o)
{
	if (object_amount(ret, o, "amount") < 0)
		return ledger_refuse(l, REFUSED_AMOUNT_RANGE, "the amount is more than there can ever be");
	if (amount_is_zero(*ret))
		return ledger_refuse(l, REFUSED_ZERO_AMOUNT, "the amount is zero");
	return 0;
}

static int apply(struct ledger *l, const struct object *o)
{
	struct account from = account_of(ACCOUNT_ADDRESS, &o->signer), to = { .kind = ACCOUNT_ADDRESS };
	struct amount amount;
	int r = object_payment(l, &amount, o);

	object_address(&to.addr, o, "to");
	return r < 0 ? r : ledger_move(l, &from, &to, amount);
}

const struct fold_type fold_transfer = { .name = "Transfer", .flags = FOLD_NONCE | FOLD_UNTIL | FOLD_CLEAN, .apply = apply };
