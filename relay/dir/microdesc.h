/*
 * Microdescriptors and server descriptors: cutting a stranger's batch into
 * single documents and naming each by its digest. What is in them is the
 * authorities' business: a document is taken because a verified consensus
 * lists its digest (dir-spec 4.2, 4.3).
 */
#ifndef RELAY_DIR_MICRODESC_H
#define RELAY_DIR_MICRODESC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/directory.h>

#include "dirtext.h"

enum { DIR_PIECE_MAX = 20000 };		/* bytes of one document */

struct dir_piece {
	struct span text;
	uint8_t digest[32];		/* SHA-256; of descriptors SHA-1, then zeros */
};

/*
 * Take the next document. What comes before the first is skipped.
 * ERR_NOT_FOUND at the end. ERR_MALFORMED, ERR_TOO_LONG: this piece is not one;
 * the reader is past it.
 */
int microdesc_next(struct dirtext *t, struct dir_piece *ret);

/* Take from a whole microdescriptor what it says of who runs the relay. ERR_MALFORMED: *ret is of no use. */
int microdesc_read(struct microdesc_facts *ret, const char *text, size_t len);

/*
 * The same for server descriptors. ERR_AUTH when the RSA signature does not fit
 * the key inside: the digest does not cover the signature, so a listed
 * digest alone would let a mangled one through.
 */
int srvdesc_next(struct dirtext *t, struct dir_piece *ret);

/*
 * The first line of a microdescriptor that begins with `keyword`: dir_arg() takes its words.
 * False when there is none.
 */
bool microdesc_line(struct dir_item *ret, struct span text, const char *keyword);

/* Does its line `keyword` have this word? Of "family" upper and lower case are one (dir-spec 2.1.1). */
bool microdesc_has_word(struct span text, const char *keyword, const char *word);

#endif
