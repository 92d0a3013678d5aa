/*
 * The signed documents that this node holds, all of them verified: key
 * certificates, one consensus of each flavour, and the microdescriptors and
 * descriptors these list. It does no I/O: fetch.c and store.c bring it bytes
 * that it judges, offer.c and store.c carry on what it has.
 */
#ifndef RELAY_DIR_DIRCACHE_H
#define RELAY_DIR_DIRCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authority.h"
#include "consensus.h"
#include "dircert.h"
#include "dirtext.h"
#include "docset.h"

enum {
	/* An expired consensus is still better than none: clients use one for so long (dir-spec 3.4.1). */
	CONSENSUS_GRACE_S = 24 * 3600,
	/* One from the future means that our clock is slow; its signatures are as good. */
	CONSENSUS_EARLY_S = 24 * 3600,
};

struct dircache {
	const struct authority *authorities;	/* borrowed from the directory */
	size_t n_authorities;
	struct dircerts certs;
	struct consensus *consensus[FLAVOURS];
	struct consensus_verdict verdict[FLAVOURS];
	struct docset docs[FLAVOURS];	/* FLAVOUR_NS: descriptors; FLAVOUR_MICRODESC: microdescriptors */
};

void dircache_clear(struct dircache *dc);

/*
 * Verify a consensus and make it the current one of its flavour; takes over
 * the caller's reference on success only. ERR_EXISTS: not newer than what is
 * here. ERR_EXPIRED, ERR_NOT_YET, ERR_AUTH. ERR_NOT_FOUND: certificates are
 * missing, `ret->unknown` says whose; try again when there are more.
 */
int dircache_accept(struct dircache *dc, struct consensus *c, int64_t now, struct consensus_verdict *ret);

/* The newer consensus of the two flavours, or NULL. */
const struct consensus *dircache_latest(const struct dircache *dc);

/*
 * Take what is wanted from the next `max` texts of a batch. False when the
 * batch is at its end; counts add up over calls.
 */
struct dircache_taken {
	size_t added, bad, unwanted;
};

bool dircache_take_docs(struct dircache *dc, enum consensus_flavour flavour, struct dirtext *t, size_t max,
			struct dircache_taken *ret);

/* True when a certificate for every authority is here. */
bool dircache_certs_complete(const struct dircache *dc);

#endif
