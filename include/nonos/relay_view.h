/*
 * What a worker shows of its links, circuits and resolver when the operator
 * asks. What may be shown is decided here, once, for every reader behind it:
 *
 *   - a link to a relay that the consensus lists is a row of its own; all
 *     others, clients above all, are summed up and have no address or time;
 *   - of circuits there are counts over all links, never per link, so that no
 *     two links can be seen to grow by the same circuit;
 *   - bytes are a power of two of MiB, rounded down, as of the last full minute,
 *     ages whole minutes: traffic of one link cannot be followed into another.
 */
#ifndef NONOS_RELAY_VIEW_H
#define NONOS_RELAY_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/addr.h>

struct relay;

enum { LINK_ROWS_MAX = 256, VIEW_AGES = 6, VIEW_QUEUES = 5, VIEW_STATES = 4, DNS_SERVERS_MAX = 16 };

struct link_row {
	uint8_t rsa_id[20];
	bool initiator;			/* we opened it */
	bool canonical;			/* may be used for EXTEND by others */
	uint8_t version;		/* link protocol */
	uint32_t age_min;
	uint32_t read_mib, written_mib;
};

/* Links without rows, in sum. */
struct link_sum {
	uint32_t n;
	uint32_t read_mib, written_mib;
};

/* One step through the table of links; open ones alone. */
struct link_page {
	uint32_t next;			/* where to go on; 0: that was all */
	struct link_sum clients;	/* did not prove an identity */
	struct link_sum unlisted;	/* did, but the consensus does not list it */
	uint16_t n;
	struct link_row rows[LINK_ROWS_MAX];
};

/* The page that begins at `from`: 0, or `next` of the page before. */
void relay_link_page(const struct relay *r, uint32_t from, struct link_page *ret);

/* Ages below 10 s, a minute, 10 minutes, an hour, a day, and above; queues of 0, below 10, 100, 1000 cells, and above. */
struct circuits_view {
	uint32_t states[VIEW_STATES];	/* by relay_view_state() */
	uint32_t ages[VIEW_AGES];
	uint32_t queues[VIEW_QUEUES];	/* the longer of a circuit's two */
	uint32_t from_clients;		/* the others: from links that proved an identity */
	uint32_t congestion_control;	/* agreed on with us as the last hop */
	uint64_t queued_cells;
};

void relay_circuits_view(const struct relay *r, struct circuits_view *ret);

/* "new", "last hop", "extending", "joined". */
const char *relay_view_state(size_t i);

struct dns_server {
	struct addr addr;
	bool down;			/* did not answer, and was not back yet */
	uint32_t failures;		/* how often it went down */
};

struct dns_view {
	bool usable;			/* there is a resolver */
	uint32_t cached, pending;
	uint64_t cache_bytes;
	uint8_t n;
	struct dns_server servers[DNS_SERVERS_MAX];
};

void relay_dns_view(const struct relay *r, struct dns_view *ret);

#endif
