/*
 * The link handshake: VERSIONS, CERTS, AUTH_CHALLENGE, AUTHENTICATE, NETINFO
 * (tor-spec 4), both sides. Starts when TLS is open and ends in link_opened()
 * or in link_close(). Its state is freed as soon as the link is open.
 */
#ifndef RELAY_LINK_HANDSHAKE_H
#define RELAY_LINK_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

#include <nonos/addr.h>

#include "cell.h"

struct link;
struct link_hs;

/* TLS is open: begin. What the handshake binds to comes from link_io.h. */
void link_hs_start(struct link *l);
void link_hs_free(struct link_hs *hs);

/* Open the first cell, which has a 2-byte circuit id. Same results as cell_open(). */
size_t link_hs_open_versions(struct cell *ret, uint8_t *buf, size_t len);

/* Add an incoming cell's bytes to the transcript. */
void link_hs_record_in(struct link *l, const struct cell *cell, const uint8_t *bytes, size_t len);

/* A cell that came before LINK_OPEN. ERR_PROTOCOL when it must not come now. */
int link_hs_cell(struct link *l, const struct cell *cell);

/* Parsed NETINFO (tor-spec 4.5). */
struct netinfo {
	uint32_t time;
	struct addr other;		/* us, as the peer sees us */
	struct addr own[8];		/* the peer's own addresses, without ports */
	size_t n_own;
};
int netinfo_parse(struct netinfo *ret, const uint8_t *body, size_t len);
size_t netinfo_build(uint8_t *out, size_t cap, const struct netinfo *n);

#endif
