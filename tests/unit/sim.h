/*
 * A network without sockets: relays joined by byte queues, a client's side of
 * circuits, and a clock turned by hand. For tests.
 */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/relay.h>

#include "../../relay/handshake.h"
#include "../../relay/link.h"
#include "../../relay/onion.h"
#include "../../relay/relay_msg.h"

enum { SIM_NODES = 4, SIM_HOPS = 8 };

struct sim_node {
	struct relay *relay;
	struct link_keys keys;
	uint8_t onion_secret[32], onion_public[32];
	struct addr addr;
};

struct sim {
	struct sim_node node[SIM_NODES];
	bool hold_links;		/* links that are dialled stay shut */
	struct sim_wire *wires;
};

/* One client circuit; cells that came for it wait in order. */
struct sim_client {
	struct sim *sim;
	struct link *link;		/* the first relay's end of the client's link */
	uint32_t circ_id;
	struct onion hop[SIM_HOPS];
	size_t hops;
	uint8_t path[SIM_HOPS];
	uint8_t sendme_inc;		/* as the last ntor-v3 hop agreed */
	bool destroyed;
	uint8_t destroy_reason;
};

/* A message that reached the client. */
struct sim_msg {
	bool is_relay;			/* else a bare cell: `cmd` is a cell command */
	uint8_t cmd;
	uint16_t stream_id;
	uint16_t len;
	uint8_t data[CELL_BODY_LEN];
	size_t hop;
	uint8_t digest[20];		/* the client's running digest: what its SENDME must carry */
};

void sim_start(struct sim *s);
void sim_stop(struct sim *s);

/* Move bytes until nothing moves. */
void sim_settle(struct sim *s);

/* Turn the clock and let every relay have its tick, second by second. */
void sim_wait(struct sim *s, unsigned seconds);

/* A client link and circuit to relay 0. */
void sim_client_open(struct sim_client *c, struct sim *s);
void sim_client_close(struct sim_client *c);

/* Send a raw cell; receive the next one for this circuit: false when none has come. */
void sim_client_cell(struct sim_client *c, uint8_t cmd, const uint8_t *body, size_t len);
bool sim_client_recv(struct sim_client *c, struct sim_msg *ret);

/* Handshakes: the first hop, and the next one (node number). Return 0 or an error. */
int sim_create(struct sim_client *c, uint16_t htype);
int sim_extend(struct sim_client *c, size_t node, uint16_t htype);

/* Send EXTEND2 for a target of the test's making, in RELAY_EARLY or not. */
void sim_send_extend2(struct sim_client *c, const struct extend_target *t, bool early);

/* Send a message to one hop. */
void sim_send(struct sim_client *c, size_t hop, uint8_t cmd, uint16_t stream_id, const void *data, size_t len);

/* Specifiers of a node, without handshake. */
void sim_target(const struct sim *s, size_t node, struct extend_target *ret);

#endif
