/*
 * What others say our address is. Only directory authorities have a voice
 * (in X-Your-Address-Is, or in NETINFO on a link to one), each one voice: its
 * latest. Two that agree are believed at once; one alone after nobody else
 * has spoken for a while.
 */
#ifndef DAEMON_OWN_ADDR_H
#define DAEMON_OWN_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/addr.h>

enum { OWN_ADDR_VOICES = 32, OWN_ADDR_ALONE_MS = 20000 };

struct own_addr_voice {
	uint8_t source[20];	/* fingerprint of the authority */
	struct addr addr;	/* port 0 */
	uint64_t since_ms;	/* when it began to say this */
};

struct own_addr {
	struct own_addr_voice voices[OWN_ADDR_VOICES];
	size_t n;
};

/* Take in what `source` says now. Sources beyond the table are not heard. */
void own_addr_add(struct own_addr *o, const struct addr *a, const uint8_t source[20], uint64_t now_ms);

/*
 * The address to believe, in *ret (port 0); false when nothing convinces.
 * `current` (or NULL) is what was believed so far: it is given up only
 * for one that two voices name and more voices name than name it.
 */
bool own_addr_choose(const struct own_addr *o, struct addr *ret, const struct addr *current, uint64_t now_ms);

#endif
