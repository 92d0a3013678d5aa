/*
 * Consensus parameters that the relay acts on: one table of name, range and
 * default (param-spec, proposal 324 section 6.5).
 */
#ifndef RELAY_DIR_PARAMS_H
#define RELAY_DIR_PARAMS_H

#include <stddef.h>

#include <nonos/relay.h>

/*
 * Fill `ret` from the arguments of a "params" line; what is absent or not a
 * number takes its default, what is out of range the nearest value in range.
 */
void net_params_parse(struct net_params *ret, const char *text, size_t len);

#endif
