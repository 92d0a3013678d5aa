/*
 * EXTEND2: find or open the link to the next hop, send CREATE2, wait for
 * CREATED2 (tor-spec 5.1.2, 5.3, 5.5). Part of a circuit in CIRCUIT_EXTENDING.
 */
#ifndef RELAY_CIRCUIT_EXTEND_H
#define RELAY_CIRCUIT_EXTEND_H

#include <stdbool.h>
#include <stdint.h>

#include "cell.h"
#include "relay_msg.h"

struct circuit;
struct link;

enum { CIRCUIT_EXTEND_MS = 60000 };	/* from EXTEND2 to CREATED2 */

/* What an extending circuit waits for; freed when it is joined or closed. */
struct circuit_extend {
	uint64_t waits_for;			/* link not open yet, or 0 */
	struct circuit *wait_next, *wait_prev;	/* that link's list */
	uint64_t deadline_ms;
	uint16_t create2_len;
	uint8_t create2[CELL_BODY_LEN];		/* type, length, data: as the client made it */
};

/*
 * Act on an EXTEND2. A negative result is a refusal: the caller closes the
 * circuit with *ret_reason.
 */
int circuit_extend(struct circuit *c, const struct relay_msg *m, uint8_t *ret_reason);

/* The link opened or failed: circuits that wait for it go on, or close. */
void circuit_extend_link_open(struct link *l);
void circuit_extend_link_failed(struct link *l);

/* Leave the link's list and free. NULL extend is fine. */
void circuit_extend_end(struct circuit *c);

/* Close circuits whose next hop did not answer in time. */
void circuit_extend_expire(struct circuit *c, uint64_t now_ms);

#endif
