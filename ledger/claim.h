/* Inside of claims: what an account earned and claimed, as the fold and the questions read it. */
#ifndef LEDGER_CLAIM_H
#define LEDGER_CLAIM_H

#include "epoch.h"

struct claim_row {
	uint64_t epoch;			/* the last one that paid the account */
	struct amount total, claimed;
};

/* ERR_NOT_FOUND when it has earned nothing. */
int claim_row(struct ledger *l, struct claim_row *ret, const struct eth_addr *account);

#endif
