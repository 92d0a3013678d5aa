/* A follower, shared by the files that are it. */
#ifndef DAEMON_FOLLOW_PRIV_H
#define DAEMON_FOLLOW_PRIV_H

#include <nonos/checkpoint.h>
#include <nonos/http.h>
#include <nonos/tile_tree.h>

#include "follow.h"

enum { FOLLOW_URL_CAP = 700, FOLLOW_PROBLEM_CAP = 512, FOLLOW_TIMEOUT_MS = 30 * 1000 };

struct forward;

/* Evidence of the next entry: that of one at a time, because it can be long. */
struct beside {
	char *text;			/* NULL: not fetched yet */
	size_t len;
};

struct follow {
	struct ledger *ledger;
	struct http_client *http;
	char *url, *fork_path;
	struct note_key log;
	struct http_call *call;		/* of the mirroring; NULL: none */
	uint64_t next_ms;		/* when to ask again */
	uint32_t interval_s, ahead_s, failures;
	bool is_ahead;			/* the problem is an entry of a time that has not come yet */
	char problem[FOLLOW_PROBLEM_CAP];	/* "": none */
	int64_t contact;		/* wall seconds of the last good answer; 0: never */
	int64_t asked, current;		/* when the checkpoint at hand, and the last one reached, was asked for */

	char *note;			/* the checkpoint that is being followed; NULL: none */
	struct checkpoint target;
	uint64_t at;			/* entries applied */
	bool open;			/* some of them are not committed */
	char *bundle;
	size_t bundle_len;
	uint64_t bundle_first;
	struct beside beside;
	char refused[32];		/* why entry `at` was refused; "": none was */
	struct merkle_hash refused_leaf;
	struct tile_tree *tree;		/* of the writer, while a fork is looked into */
	struct tile tile;		/* of it, the one that is fetched */

	char *ours, *theirs;		/* the two checkpoints of a fork; NULL: none was seen */
	int64_t fork_found;
	struct forward *forwards;
	unsigned n_forwards;
};

/* -- follow.c -------------------------------------------------------------------------- */

/* Ask the writer for a path; of at most `max` bytes. */
void follow_fetch(struct follow *f, const char *path, size_t max, http_done_fn *done);

/* True for a whole answer with status 200; else the round has failed. `what`: for the sentence about that. */
bool follow_is_good(struct follow *f, const struct http_reply *reply, const char *what);

/* End the round: in failure, to be tried again later; or as it is. What was not committed is dropped. */
void follow_fail(struct follow *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void follow_end_round(struct follow *f);

/* Drop the entries at hand, and what of them is not committed. */
void follow_drop_entries(struct follow *f);

/* -- follow_fork.c ----------------------------------------------------------------------- */

/* The writer has signed another history than ours: keep both checkpoints, and take nothing more. */
void follow_caught(struct follow *f);

/* The fork that was caught before this start, if there was one. */
void follow_load_fork(struct follow *f);

/* The entries do not lead to the checkpoint: find out whose doing it is. */
void follow_look_into(struct follow *f);

/* -- follow_call.c ------------------------------------------------------------------------ */

void follow_end_calls(struct follow *f);

#endif
