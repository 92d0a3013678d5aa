/*
 * Link specifiers and the EXTEND2 body (tor-spec 5.1.2).
 */
#ifndef RELAY_LINKSPEC_H
#define RELAY_LINKSPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/addr.h>

/* The relay an EXTEND2 asks for. */
struct extend_target {
	struct addr v4;			/* family ADDR_NONE when absent */
	struct addr v6;
	bool has_rsa_id, has_ed_id;
	uint8_t rsa_id[20];
	uint8_t ed_id[32];		/* zero when absent */
	uint16_t htype;			/* any handshake type: the body is opaque */
	uint16_t hlen;
	const uint8_t *hdata;		/* borrowed from the message */
};

/*
 * Parse an EXTEND2 body. Unknown specifier types are skipped; the first
 * address of each family counts. ERR_MALFORMED for: no RSA identity, a
 * repeated RSA or Ed25519 identity, a wrong specifier length, no address, an
 * address with port 0, trailing specifier bytes, lengths past the end.
 */
int extend2_parse(struct extend_target *ret, const uint8_t *data, size_t len);

/* Write an EXTEND2 body (tests, self-test circuits). */
int extend2_build(uint8_t *out, size_t cap, size_t *ret_len, const struct extend_target *t);

#endif
