/*
 * What this relay lacks for each flag, judged from the consensus and from what
 * the authorities' votes say of it (dir-spec 3.4.2). Pure.
 */
#ifndef DAEMON_FLAG_ADVICE_H
#define DAEMON_FLAG_ADVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/directory_view.h>

struct flag_facts {
	bool listed;
	uint32_t flags;			/* enum relay_flag, of the consensus */
	bool dir_cache;			/* we offer V2Dir */
	bool is_exit;			/* exit_policy lets something out */
	const struct vote_status *votes;
	size_t n_votes;
};

struct flag_advice {
	const char *name;
	bool given;
	unsigned votes, voters;		/* how many give it, of those whose vote is here */
	char needs[320];		/* what is missing; "" when nothing, or not known */
	int64_t wait_s;			/* at least so long; -1: not a matter of time, or not known */
};

enum { FLAG_ADVICE_N = 8 };

void flag_advice(struct flag_advice ret[FLAG_ADVICE_N], const struct flag_facts *f);

#endif
