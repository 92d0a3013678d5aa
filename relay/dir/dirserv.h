/*
 * Answers directory requests over BEGIN_DIR from documents in memory
 * (dir-spec 6). Lives in the worker; documents are the keeper's sealed memfds
 * (directory.h), mapped read-only and checked once when they arrive.
 */
#ifndef RELAY_DIR_DIRSERV_H
#define RELAY_DIR_DIRSERV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/addr.h>

struct dirserv;
struct dir_reply;

enum {
	DIR_REQUEST_MAX = 16384,	/* bytes of HTTP request, headers included */
	DIR_ITEMS_MAX = 512,		/* digests or fingerprints in one URL */
};

struct dirserv *dirserv_new(void);
void dirserv_free(struct dirserv *s);

/*
 * Replace a document (enum dir_doc); the descriptor is closed. A bad one is refused and the old stays;
 * answers under way go on with the document they began with.
 */
int dirserv_set_document(struct dirserv *s, uint8_t kind, int fd);

/*
 * Does the newest consensus list this relay? True as long as there is none to tell, so
 * that a relay that starts treats relays as such.
 */
bool dirserv_lists(const struct dirserv *s, const uint8_t rsa_id[20]);

/*
 * Look at the bytes of a request so far. ERR_AGAIN: not whole yet. 0: *ret is
 * the answer, error answers (400, 404, 503, 304) included. ERR_TOO_LONG or
 * ERR_MALFORMED: not HTTP at all; close. `peer` is for X-Your-Address-Is; NULL
 * for a circuit that did not come from there directly.
 */
int dirserv_request(struct dirserv *s, struct dir_reply **ret, const char *request, size_t len,
		    const struct addr *peer);

/* Next bytes of the answer, at most `cap`; 0 at its end. Documents are pinned until freed. */
size_t dir_reply_read(struct dir_reply *r, uint8_t *out, size_t cap);
void dir_reply_free(struct dir_reply *r);

/* Its HTTP status. */
int dir_reply_status(const struct dir_reply *r);

/* Memory the answer holds beyond shared documents; it may change with each read. */
size_t dir_reply_bytes(const struct dir_reply *r);

#endif
