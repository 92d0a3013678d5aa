/*
 * A link: one connection that carries cells between two relays, or a client and
 * us (tor-spec 3 and 4). Created by an accepted connection or by an EXTEND2;
 * owned by the relay. Bytes come from link_io.c, the handshake is in
 * link_handshake.c; cells go to circuits from here.
 */
#ifndef RELAY_LINK_H
#define RELAY_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include <nonos/addr.h>
#include <nonos/link_auth.h>

#include "cell.h"
#include "circ_table.h"
#include "pool.h"

struct relay;
struct circuit;
struct circuit_end;
struct link_io;
struct link_hs;
struct link_creds;
struct extend_target;

enum link_state {
	LINK_CONNECTING,	/* we connect; TCP is not through */
	LINK_TLS,		/* TLS handshake */
	LINK_VERSIONS,		/* the peer's VERSIONS is due */
	LINK_AUTH,		/* CERTS to NETINFO */
	LINK_OPEN,
	LINK_CLOSED,		/* freed by the loop */
	LINK_STATES
};

enum {
	LINK_HANDSHAKE_MS = 30000,	/* from the first byte to LINK_OPEN */
	LINK_DIAL_MS = 15000,		/* the same, when we connect */
	LINK_IDLE_MS = 300000,		/* without circuits */
	LINK_MOVED_MS = 5000,		/* the same, while another process takes over: enough to send a CREATE */
	LINK_VAR_HANDSHAKE_MAX = 8192,	/* body of a variable-length cell before LINK_OPEN */
	LINK_CONTROL_MAX = 4096,	/* cells of `control` that wait: beyond, CREATEs go unanswered */
};

struct link {
	struct relay *relay;
	uint64_t id;
	enum link_state state;
	bool initiator;			/* we connected */
	bool authenticated;		/* the peer proved peer_id */
	bool canonical;			/* the peer says it lives at the address it is connected by */
	bool counted;			/* in the limiter's books for `peer`: anyone can make up an identity, so relays are too */
	bool padding_wanted;		/* a client asked for link padding */
	uint16_t pad_low_ms, pad_high_ms;
	uint16_t version;		/* link protocol, 0 before VERSIONS */
	struct addr peer;		/* TCP address of the other side */
	struct peer_identity peer_id;	/* wanted (initiator) or proved */
	struct circ_table circs;
	struct cell_queue control;	/* DESTROY and padding: before any circuit's cells */
	struct circuit_end *ring;	/* ends with cells, next in turn first; a circle */
	struct circuit *waiting;	/* circuits that extend here, by extend->wait_next */
	struct link_creds *creds;
	struct link_hs *hs;		/* while the handshake goes on */
	struct link_io *io;		/* NULL in simulations */
	bool flush_due;			/* in the relay's list of links to flush */
	struct link *flush_next;
	struct link *hash_next;		/* chain of the identity index */
	struct link *dead_next;
	uint64_t created_ms, active_ms;	/* made; last cell either way */
	uint64_t used_ms;		/* last seen with circuits */
	uint64_t pad_from_ms, pad_due_ms;	/* padding is due if it stays as silent as it was at `from` */
	size_t held;			/* bytes, while memory.c counts */
	uint64_t read_bytes, written_bytes;	/* TLS included */
	struct {
		uint32_t read_mib, written_mib;	/* as of the last full minute (relay_view.h) */
	} shown;
	uint32_t n_queued;		/* cells waiting in all queues of this link */
};

/* The links of a relay: by id, and by RSA identity once that is proved. */
struct link_table;
struct link_table *link_table_new(void);
void link_table_free(struct link_table *t);
size_t link_count(const struct relay *r);

/* Make a link and enter it; its transport is up to the caller. */
struct link *link_new(struct relay *r, bool initiator, const struct addr *peer);
struct link *link_by_id(const struct relay *r, uint64_t id);

/* Each link in turn; start with NULL. Closing the one returned is allowed. */
struct link *link_next(const struct relay *r, const struct link *after);

/* The first link at or after this slot; the low half of its id is the slot after it. */
struct link *link_from(const struct relay *r, uint32_t slot);

/* Walk the state table; asserts that the move is legal. `why` is for the log. */
void link_set_state(struct link *l, enum link_state from, enum link_state to, const char *why);

/* Enter an outgoing link under the identity it looks for (peer_id). */
void link_index_outgoing(struct link *l);

/* The handshake is over: index by identity, let waiting circuits go on. */
void link_opened(struct link *l);

/*
 * Mark closed: its circuits are destroyed on their other side, waiting ones
 * fail. The struct lives until the end of the round.
 */
void link_close(struct link *l, const char *why);
void link_free(struct link *l);

/* The peer proved an identity, and the consensus lists it: anybody can make one up. */
bool link_is_relay(const struct link *l);

/* An open, canonical link to these identities, or NULL. An all-zero ed_id matches any. */
struct link *link_find(const struct relay *r, const uint8_t rsa_id[20], const uint8_t ed_id[32]);

/*
 * A link to these identities that we dialled at this very address, open or on
 * its way (tor-spec 5.3.1). At no other: an address that somebody made up must
 * not keep others waiting.
 */
struct link *link_find_dialled(const struct relay *r, const uint8_t rsa_id[20],
			       const uint8_t ed_id[32], const struct addr *a);

/*
 * Take the whole cells off the front of `buf` and act on them. Return how many
 * bytes were used; the rest is the start of a cell. Stops when the link closes.
 */
size_t link_open_cells(struct link *l, uint8_t *buf, size_t len);

/* Act on one cell. ERR_PROTOCOL: the link must be closed. */
int cell_dispatch(struct link *l, struct cell *cell);

/* Queue a fixed-length cell of the link itself (DESTROY, PADDING). `body` may be NULL. */
void link_send_control(struct link *l, uint32_t circ_id, uint8_t cmd, const uint8_t *body, size_t len);
void link_send_destroy(struct link *l, uint32_t circ_id, uint8_t reason);

/* A circuit id that is free on this link, with our side's top bit (tor-spec 5.1.1); 0 when none is found. */
uint32_t link_new_circ_id(struct link *l);

#endif
