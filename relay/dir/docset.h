/*
 * The microdescriptors, or the server descriptors, that a cache holds or
 * wants: a table sorted by digest. A verified consensus says which digests
 * are listed; only those are ever taken in, so a stranger cannot make it grow.
 * What a later consensus no longer lists is kept for a day, for clients that
 * still use the earlier one (dir-spec 4.2); and what such a one had listed can be wanted by name for a day.
 */
#ifndef RELAY_DIR_DOCSET_H
#define RELAY_DIR_DOCSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct consensus;

enum {
	DOCSET_BYTES_MAX = 64 * 1024 * 1024,	/* beyond, what is not listed goes */
	DOCSET_KEEP_S = 24 * 3600,
	DOCSET_NAMED_MAX = 4096,		/* wanted by name at a time */
};

struct doc {
	uint8_t digest[32];
	uint8_t rsa_id[20];		/* of the router that listed it */
	char *text;			/* NULL: wanted, not here */
	uint32_t len;
	uint32_t asked;			/* bit i: authority i did not have it, under this consensus */
	bool busy;			/* a request is under way */
	bool listed;			/* by the latest consensus */
	bool named;			/* wanted, though it is not listed */
	int64_t last_listed;		/* valid-after of the last that did, or when it was named */
};

struct docset {
	struct doc *docs;		/* ascending by digest */
	size_t n;
	size_t n_listed, n_missing;
	size_t n_named;			/* that are not here */
	size_t bytes;
};

void docset_clear(struct docset *s);

/* A new consensus: its digests are listed now, and may be asked of everybody again. */
void docset_list(struct docset *s, const struct consensus *c);

/* Want a document that the latest consensus does not list. ERR_EXISTS: it is here, or wanted. ERR_LIMIT. */
int docset_name(struct docset *s, const uint8_t digest[32], int64_t now);

struct doc *docset_find(const struct docset *s, const uint8_t digest[32]);

/*
 * Take in a text; copied. ERR_NOT_FOUND: not wanted, ERR_EXISTS: here already,
 * ERR_LIMIT: DOCSET_BYTES_MAX is reached.
 */
int docset_put(struct docset *s, const uint8_t digest[32], const char *text, size_t len);

/*
 * Choose up to `cap` digests to ask authority `who` for and mark them busy;
 * those it did not have are left out. Returns how many.
 */
size_t docset_want(struct docset *s, unsigned who, uint8_t (*ret)[32], size_t cap);

/*
 * The request is over. `answered`: what has not come, this authority does not
 * have; otherwise it may be asked again.
 */
void docset_asked(struct docset *s, unsigned who, const uint8_t (*digests)[32], size_t n, bool answered);

#endif
