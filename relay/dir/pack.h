/*
 * A consensus being compressed for the workers, a slice at a time, so that the
 * keeper's loop is never held up for longer than one slice takes.
 */
#ifndef RELAY_DIR_PACK_H
#define RELAY_DIR_PACK_H

#include <stdbool.h>

struct consensus;
struct pack;

/* Takes a reference of its own. */
struct pack *pack_new(struct consensus *c);
void pack_free(struct pack *p);		/* NULL is fine */

const struct consensus *pack_consensus(const struct pack *p);

/* Compress the next slice; true when all is done. */
bool pack_step(struct pack *p);

/*
 * When done: build the document (dir_doc.h): "plain", "deflate" and "x-zstd".
 * Bit i of `signers` says that authorities[i] signed.
 */
struct authority;
int pack_build(int *ret_fd, const struct pack *p, const struct authority *authorities, unsigned signers);

#endif
