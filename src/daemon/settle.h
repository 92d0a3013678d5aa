/*
 * From what the network measured to what relays earn: the keeper's settle
 * keeps the measurement (measure.h) and the ledger (nonos/ledger.h). One
 * belongs to the keeper; it gets each consensus and ticks by itself. Whatever
 * fails here is told by status and the log, and never stops relaying.
 *
 * Writing to the disk happens in the keeper's loop. It delays no cell, which are
 * the workers' business, and is short: objects that come together share
 * one fsync.
 */
#ifndef DAEMON_SETTLE_H
#define DAEMON_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include <nonos/conf.h>
#include <nonos/control.h>
#include <nonos/directory.h>
#include <nonos/ledger.h>
#include <nonos/provider.h>

struct event_base;
struct settle;

/* `config` is borrowed; settle_use() changes it. */
struct settle *settle_new(struct event_base *base, const struct config *config);
void settle_free(struct settle *s);		/* NULL is fine */

/* From now on `config` is in force, and microdescriptors come from `directory` (NULL: from nowhere). */
void settle_use(struct settle *s, const struct config *config, struct directory *directory);

/* Tell `tell` what happens, rows "ledger.*" of events.def; it takes over `data`. */
void settle_watch(struct settle *s, void (*tell)(void *arg, const char *topic, json_t *data), void *arg);

/* Which relay this node is; what keeps it from earning is told from then on. */
void settle_relay_is(struct settle *s, const uint8_t relay_id[RELAY_ID_LEN]);

/* The methods of the control socket, borrowed: some are for whoever follows our journal. Before the first tick. */
void settle_use_commands(struct settle *s, const struct ctl_commands *commands);

/* How the clock stands to what is known of the time; `right`: the operator says that it is right. */
int settle_clock(struct settle *s, struct ctl_call *call, bool right);

/* The two checkpoints of a writer that was caught with two histories; the caller's. */
json_t *settle_fork(struct settle *s);

/* A hook of the directory. */
void settle_consensus(struct settle *s, const struct consensus_facts *c);

/* For status; the caller's. NULL, as long as another daemon is in our place, gives an empty object. */
json_t *settle_status(struct settle *s);

/* For metrics: few numbers of it, and no work. False where no ledger is configured. */
struct settle_numbers {
	bool problem;
	bool is_open;			/* the ledger is, and these are known: */
	uint64_t height;
	bool has_epochs;		/* and these */
	uint64_t epochs_closed, epochs_behind;
	bool follows, forked;
};

bool settle_numbers(struct settle *s, struct settle_numbers *ret);

/* -- for commands ------------------------------------------------------------------------- */

/*
 * The ledger, with nothing in it that could still be lost. NULL when there is none: the error of `call`
 * then says why and what to do.
 */
struct ledger *settle_ledger(struct settle *s, struct ctl_call *call);

/* What stands behind the ledger that settle_ledger() gave. */
struct provider *settle_provider(struct settle *s);

/* The ledger as it is now, by our clock: for what is asked of it at a time. */
struct ledger_snapshot settle_now(struct ledger *l);

/* What the ledger could not do, as the error of `call`; for "return settle_fail(...)". */
int settle_fail(struct ctl_call *call, struct ledger *l, int r);

/* Whether this node writes the journal. */
bool settle_is_writer(const struct settle *s);

/*
 * Submit an object, as JSON text, and answer `call` with its receipt once it is durable; with
 * dry_run, say that it would be taken. For "return settle_submit(...)".
 */
int settle_submit(struct settle *s, struct ctl_call *call, const char *object);

/*
 * As an auditor: answer `call` with our signature of the next EpochRoot, computed now. And as the
 * writer: take such a signature of another auditor, and close the epoch when it is the last one wanted.
 */
int settle_attestation(struct settle *s, struct ctl_call *call);
int settle_attest(struct settle *s, struct ctl_call *call, const json_t *attestation);

/* What the epoch that runs now has measured so far; after settle_ledger(). Sets the error of `call` on failure. */
struct evidence;
int settle_open_evidence(struct settle *s, struct ctl_call *call, struct evidence **ret);

/*
 * As a follower: up to which sum the account has handed claims to the writer that its journal here does not show yet;
 * zero when it shows them all.
 */
struct amount settle_claimed_elsewhere(const struct settle *s, const struct eth_addr *account);

/* What keeps this relay from earning, or soon will: [{"what", "do", "at"}]; the caller's. */
json_t *settle_risks(struct settle *s);

/*
 * The account that `call` names in parameter `name`, or the configured operator's;
 * for "if (r < 0) return r".
 */
int settle_account(struct settle *s, struct ctl_call *call, struct account *ret, const char *name);

#endif
