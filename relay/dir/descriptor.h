/*
 * Reading server descriptors and extra-info documents (dir-spec 2.1). Texts are
 * borrowed, nothing is allocated. Making them is descriptor_make() in
 * nonos/keys.h, whole verification descriptor_check() there.
 */
#ifndef RELAY_DIR_DESCRIPTOR_H
#define RELAY_DIR_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/family.h>

#include "dirtext.h"

enum {
	DESCRIPTOR_MAX = 20000,		/* bytes, as authorities have it (dir-spec 2.1) */
	EXTRAINFO_MAX = 50000,
};

/* What both kinds of document begin with in their signatures by Ed25519. */
#define DESCRIPTOR_ED_PREFIX "Tor router descriptor signature v1"

struct descriptor_view {
	struct span text;		/* from "router" through the signature */
	struct span nickname;
	uint8_t rsa_id[20];		/* SHA-1 of the key in "signing-key" */
	uint8_t ed_id[32];		/* of "master-key-ed25519" */
	uint8_t digest[20];		/* SHA-1 of the signed part */
	int64_t published;		/* wall seconds */
	bool has_extra;			/* extra-info-digest is there */
	bool has_extra_sha256;
	uint8_t extra_sha1[20], extra_sha256[32];
	size_t n_families;		/* as its family-cert items claim */
	uint8_t families[FAMILIES_MAX][FAMILY_ID_LEN];
};

/*
 * Find what names a descriptor, at the start of a text that may hold more.
 * The shape of the document is checked (every item that has to be there, once,
 * and in its place), signatures are not. ERR_MALFORMED, ERR_TOO_LONG.
 */
int descriptor_parse(struct descriptor_view *ret, const char *text, size_t len);

struct extrainfo_view {
	struct span text;
	struct span nickname;
	uint8_t rsa_id[20];		/* as the document claims */
	uint8_t sha1[20];		/* of the signed part */
	uint8_t sha256[32];		/* of all of it */
	int64_t published;
};

int extrainfo_parse(struct extrainfo_view *ret, const char *text, size_t len);

/*
 * Check an extra-info document against the (checked) descriptor that names it:
 * digests, identity, time of publication, both signatures. ERR_MISMATCH, ERR_AUTH,
 * ERR_EXPIRED, ERR_MALFORMED.
 */
int extrainfo_check(const char *text, size_t len, const char *descriptor, size_t descriptor_len, int64_t now);

#endif
