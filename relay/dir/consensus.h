/*
 * A network-status consensus (dir-spec 3.4.1, 3.9), either flavour: its text,
 * kept once, and a compact table of the routers in it. consensus_parse() makes
 * one from a stranger's bytes; it says nothing about who signed until
 * consensus_verify() has been asked. Counted references: the directory
 * holds one, a running compression another.
 */
#ifndef RELAY_DIR_CONSENSUS_H
#define RELAY_DIR_CONSENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/directory.h>

#include "authority.h"
#include "dirtext.h"

struct dircerts;

enum {
	CONSENSUS_LEN_MAX = 16 * 1024 * 1024,
	CONSENSUS_SIGS_MAX = 4 * AUTHORITIES_MAX,
};

struct consensus_sig {
	uint8_t identity[20];
	uint8_t signing_digest[20];
	bool sha256;
	uint32_t object_at, object_len;		/* in the text */
};

struct consensus {
	unsigned refs;
	enum consensus_flavour flavour;
	char *text;
	size_t len;
	size_t signed_len;			/* the first so many bytes are signed */
	uint8_t sha1[20], sha256[32];		/* of those */
	int64_t valid_after, fresh_until, valid_until;
	uint32_t params_at, params_len;		/* the "params" line's arguments */
	struct consensus_router *routers;	/* ascending by rsa_id */
	size_t n_routers;
	struct consensus_sig *sigs;
	size_t n_sigs;
};

/* Copy and parse `text`. ERR_MALFORMED, ERR_TOO_LONG, ERR_UNSUPPORTED (another flavour or version). */
int consensus_parse(struct consensus **ret, const char *text, size_t len);
struct consensus *consensus_ref(struct consensus *c);
void consensus_unref(struct consensus *c);

/* The enum relay_flag of a name; 0 for one that is not known. */
uint32_t relay_flag_parse(struct span s);

/* The nickname of a router in it. */
void consensus_nickname(char out[20], const struct consensus *c, const struct consensus_router *rt);

/* Seconds from one consensus to the next. */
int64_t consensus_interval(const struct consensus *c);

/* The router with this fingerprint, or NULL. */
const struct consensus_router *consensus_find(const struct consensus *c, const uint8_t rsa_id[20]);

/* What came of the signature of each configured authority. */
struct consensus_verdict {
	uint32_t good;		/* bit i: authority i signed */
	uint32_t bad;		/* a signature is there and is wrong */
	uint32_t unknown;	/* signed with a key for which no certificate is known */
	unsigned n_good, n_unknown;
};

/*
 * 0 when more than half of the authorities signed, judged by unexpired
 * certificates. ERR_NOT_FOUND: not yet, but with certificates for the
 * signatures that are `unknown` it might be. ERR_AUTH: no.
 */
int consensus_verify(const struct consensus *c, const struct authority *authorities, size_t n_authorities,
		     const struct dircerts *certs, int64_t now, struct consensus_verdict *ret);

#endif
