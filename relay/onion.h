/*
 * The onion layer of one hop (tor-spec 5.5 and 6.1): AES-128-CTR both ways and the two
 * running SHA-1 digests. Owned by a circuit.
 */
#ifndef RELAY_ONION_H
#define RELAY_ONION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handshake.h"

struct onion {
	struct aes_ctr *forward, *backward;
	struct sha1_run forward_digest, backward_digest;
};

/* Take the keys over; the caller wipes its copy. */
void onion_init(struct onion *o, const struct circuit_keys *keys);
void onion_clear(struct onion *o);

/*
 * Peel our layer off a cell that travels away from the client: `out` gets 509
 * bytes (may be `in`). Return true when the message is for us; `ret_digest`
 * then holds the running digest (20 bytes) and the digest field of `out` is
 * as it came. On false nothing about the digest has changed.
 */
bool onion_peel(struct onion *o, uint8_t *out, const uint8_t *in, uint8_t ret_digest[20]);

/* Add our layer to a cell from the next hop on its way to the client. */
void onion_wrap(struct onion *o, uint8_t *out, const uint8_t *in);

/*
 * Finish a message of our own in `body` (relay_msg_build()): fill in the
 * digest, then add the layer. `ret_digest`, when not NULL, gets the running
 * digest, which a SENDME for this cell must carry.
 */
void onion_originate(struct onion *o, uint8_t *body, uint8_t ret_digest[20]);

/* The client's side of one hop, for tests and self-test circuits. */
void onion_client_send(struct onion *o, uint8_t *body);		/* innermost hop: digest, then layer */
void onion_client_layer(struct onion *o, uint8_t *body);	/* every hop before it */
bool onion_client_peel(struct onion *o, uint8_t *body);		/* true when from this hop */

#endif
