/*
 * Following the journal of another node over HTTP (C2SP tlog-tiles): fetch its
 * checkpoint, check that the writer signed it and that it continues what we
 * have, fetch the entries, replay them through the fold, and commit what
 * the checkpoint names. Entries of a time that has not come yet here have to wait. A writer that shows two histories is caught: both signed
 * checkpoints are kept in a file, and nothing more is taken from it until an
 * operator has removed that file.
 */
#ifndef DAEMON_FOLLOW_H
#define DAEMON_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include <nonos/ledger.h>

struct event_base;
struct follow;

struct follow_config {
	const char *url;		/* without a slash at the end; copied */
	const char *fork_path;		/* where a fork is kept; copied */
	uint32_t interval_s;
	uint32_t ahead_s;		/* how far ahead of our clock an entry may be */
};

/* `l` is borrowed, open for writing, without a key. */
struct follow *follow_new(struct event_base *base, struct ledger *l, const struct follow_config *c);
void follow_free(struct follow *f);	/* NULL is fine */

/* About once a second: asks for news when it is time. */
void follow_tick(struct follow *f, uint32_t interval_s, uint32_t ahead_s);

/* Entries are applied that no checkpoint covers yet: what the ledger says now may still be lost. */
bool follow_is_syncing(const struct follow *f);

/* Wall seconds at which the writer was asked for what is here now; 0: it has not answered yet, or not lately. */
int64_t follow_contact(const struct follow *f);

/* The writer was caught with two histories. */
bool follow_is_forked(const struct follow *f);

/* For status; the caller's. */
json_t *follow_status(const struct follow *f);

/* {"forked", "found", "ours", "theirs"}: the two signed checkpoints. The caller's. */
json_t *follow_fork(const struct follow *f);

/*
 * Hand `method` with `params` (borrowed) to the writer. `done` is called once, later: with the reply
 * ({"result"} or {"error"}), or NULL and a sentence; unless follow_free() or follow_forget() comes first.
 */
typedef void follow_done_fn(void *arg, const json_t *reply, const char *error);
int follow_call(struct follow *f, const char *method, json_t *params, follow_done_fn *done, void *arg);
void follow_forget(struct follow *f, void *arg);

#endif
