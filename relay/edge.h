/*
 * The end of a circuit: streams to the outside and to the directory cache,
 * name look-ups, and flow control (tor-spec 6.2 to 7.4, proposals 289, 324).
 * A circuit owns one edge from the moment its keys are known. Messages for
 * streams reach it from circuit_relay().
 */
#ifndef RELAY_EDGE_H
#define RELAY_EDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "relay_msg.h"

struct relay;
struct circuit;
struct edge;

/* `sendme_inc` is 0 when congestion control was not agreed: fixed windows. */
struct edge *edge_new(struct relay *r, struct circuit *c, uint8_t sendme_inc);

/* Close every stream; sends nothing to the client. Sockets are offered what waits for them once more. */
void edge_free(struct edge *e);

/*
 * A message for this hop: BEGIN, BEGIN_DIR, DATA, END, CONNECTED, RESOLVE,
 * SENDME, XON, XOFF. A negative result is a violation: the caller destroys
 * the circuit with DESTROY_PROTOCOL.
 */
int edge_handle(struct edge *e, const struct relay_msg *m);

/* The circuit's queue towards the client has fallen below CIRCUIT_QUEUE_LOW: read on. */
void edge_writable(struct edge *e);

/* Bytes held in stream buffers, and number of open streams. */
size_t edge_bytes(const struct edge *e);
size_t edge_streams(const struct edge *e);

#endif
