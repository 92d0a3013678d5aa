/* Views of answers about money, for the rows of `views` in call.c. */
#ifndef CTL_VIEW_LEDGER_H
#define CTL_VIEW_LEDGER_H

#include <stdio.h>

#include <jansson.h>

#include "table.h"

extern const struct table table_history, table_stakes, table_tiers;

/* A name and a value a line: amounts in tokens, times as dates; lists are left out. */
void view_money(FILE *out, const json_t *answer);

/* The account, its stakes, and what the relays reach that they are on. */
void view_stakes(FILE *out, const json_t *answer);

#endif
