/* Views of answers about money, for the rows of `views` in call.c. */
#ifndef CTL_VIEW_LEDGER_H
#define CTL_VIEW_LEDGER_H

#include <stdio.h>

#include <jansson.h>

#include "table.h"

extern const struct table table_history, table_stakes, table_tiers, table_due, table_claims,
	table_epochs, table_earned;

/* A name and a value a line: amounts in tokens, times as dates; lists are left out. */
void view_money(FILE *out, const json_t *answer);

/* A genesis document: the same, then its tiers, and who must sign. */
void view_genesis(FILE *out, const json_t *answer);

/* The account, its stakes, and what the relays reach that they are on. */
void view_stakes(FILE *out, const json_t *answer);

/* An epoch and what each relay is due, with risks if there are some; a relay's terms and steps; epochs and claims. */
void view_due(FILE *out, const json_t *answer);
void view_explained(FILE *out, const json_t *answer);
void view_claims(FILE *out, const json_t *answer);

#endif
