/* How the answers of relay.* and family.* are shown. */
#ifndef CTL_VIEW_RELAY_H
#define CTL_VIEW_RELAY_H

#include <stdio.h>

#include <jansson.h>

#include "table.h"

extern const struct table table_links, table_uploads, table_flags, table_members, table_days, table_servers,
	table_states;

void view_descriptor(FILE *out, const json_t *a);
void view_flags(FILE *out, const json_t *a);
void view_links(FILE *out, const json_t *a);
void view_circuits(FILE *out, const json_t *a);
void view_family(FILE *out, const json_t *a);
void view_bandwidth(FILE *out, const json_t *a);
void view_dns(FILE *out, const json_t *a);
void view_exit_policy(FILE *out, const json_t *a);
void view_family_key(FILE *out, const json_t *a);

#endif
