/*
 * How dirserv puts an answer together: stretches of documents, pinned by
 * reference, behind an HTTP head. Reading it is in dirserv.h.
 */
#ifndef RELAY_DIR_DIR_REPLY_H
#define RELAY_DIR_DIR_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/compress.h>

struct addr;
struct dir_map;
struct dir_reply;

struct dir_head {
	int status;
	enum coding coding;	/* for Content-Encoding, where there are documents */
	bool stored;		/* the documents are in this coding already */
	int64_t expires;	/* wall seconds */
	const struct addr *peer;	/* or NULL */
};

struct dir_reply *dir_reply_new(void);

/* Append `count` entries from position `first` on, unless just these are in it already. */
void dir_reply_add(struct dir_reply *r, struct dir_map *map, size_t first, size_t count);
bool dir_reply_is_empty(const struct dir_reply *r);

/* Write the head; from now on the answer can be read. Other than 200 drops the documents. */
void dir_reply_begin(struct dir_reply *r, const struct dir_head *head);

/* The same with a constant text for a body. */
void dir_reply_begin_text(struct dir_reply *r, const struct dir_head *head, const char *text);

#endif
