/*
 * Reading an authority's vote (dir-spec 3.4.1) for what it says of one relay.
 * Parsers borrow, allocate nothing and log nothing.
 */
#ifndef RELAY_DIR_VOTE_H
#define RELAY_DIR_VOTE_H

#include <nonos/directory_view.h>

struct dircerts;

enum { VOTE_LEN_MAX = 32 * 1024 * 1024 };

/* ERR_MALFORMED, ERR_UNSUPPORTED (no vote, or of another version). */
int vote_read(struct vote_view *ret, const char *text, size_t len, const uint8_t rsa_id[20]);

/*
 * Did the authority with this v3 identity sign the whole vote? ERR_MALFORMED; ERR_NOT_FOUND: by
 * nobody of that identity, or with a key that no certificate here is for; ERR_AUTH.
 */
int vote_check(const char *text, size_t len, const uint8_t v3ident[20], const struct dircerts *certs);

#endif
