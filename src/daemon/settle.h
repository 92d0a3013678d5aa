/*
 * From what the network measured to what relays earn: the keeper's settle
 * keeps the measurement (measure.h). One belongs to the keeper; it gets each
 * consensus and ticks by itself. Whatever fails here is told by status and the log, and
 * never stops relaying.
 */
#ifndef DAEMON_SETTLE_H
#define DAEMON_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include <nonos/directory.h>

#include "conf.h"

struct event_base;
struct settle;

/* `config` is borrowed; settle_use() changes it. */
struct settle *settle_new(struct event_base *base, const struct config *config);
void settle_free(struct settle *s);		/* NULL is fine */

/* From now on `config` is in force, and microdescriptors come from `directory` (NULL: from nowhere). */
void settle_use(struct settle *s, const struct config *config, const struct directory *directory);

/* A hook of the directory. */
void settle_consensus(struct settle *s, const struct consensus_facts *c);

/* For status; the caller's. */
json_t *settle_status(struct settle *s);

#endif
