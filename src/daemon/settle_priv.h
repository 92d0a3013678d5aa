/*
 * Inside of settle: settle.c has its life and the measurement, settle_ledger.c
 * the journal and who waits for it, settle_clock.c the time that it gets, settle_epoch.c closes epochs,
 * settle_exchange.c gets consensuses from other auditors, settle_claim.c claims what was earned, settle_risk.c
 * says what keeps a relay from earning.
 */
#ifndef DAEMON_SETTLE_PRIV_H
#define DAEMON_SETTLE_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/ledger.h>
#include <nonos/secret.h>

#include "measure.h"
#include "settle.h"

struct event;

/* What is wrong and what to do about it, said once; "": nothing. */
struct settle_problem {
	char text[LEDGER_WHY_CAP + 256];
};

/* Somebody whose object is in the open batch. */
struct settle_waiting {
	struct settle_waiting *next;
	struct ctl_pending *pending;	/* NULL: the client has gone */
	struct ledger_receipt receipt;
};

struct settle {
	struct event_base *base;
	const struct config *config;	/* borrowed */
	struct directory *directory;	/* borrowed; NULL: none */
	struct event *tick;

	struct measure *measure;	/* NULL: off, or see measure_problem */
	struct settle_problem measure_problem;
	uint64_t measure_retry_ms, microdescs_ms;
	size_t microdescs_missing;
	struct consensus_facts *unmeasured;	/* oldest first: what came while the measurement could not be written */
	size_t n_unmeasured;

	struct ledger *ledger;		/* NULL: none, or see ledger_problem */
	struct provider *provider;	/* what stands behind it; there when it is */
	bool writer;			/* we hold the journal's key */
	struct settle_problem ledger_problem, clock_problem;
	uint64_t ledger_retry_ms;
	struct event *commit;		/* ends the open batch */
	struct settle_waiting *waiting, **waiting_end;	/* in the order of coming; the latter, where the next goes */
	size_t n_waiting;

	json_t *draft;			/* the next EpochRoot, while it waits for signatures; or NULL */
	uint64_t draft_epoch, draft_ms, epoch_retry_ms;
	struct settle_problem epoch_problem;
	uint64_t lacking_epoch, lacking_ms;	/* since when microdescriptors of which epoch are waited for */

	const struct ctl_commands *commands;	/* borrowed; for those who hand objects over */
	struct journal_server *server;	/* NULL: the journal is not given out */
	struct settle_problem server_problem;
	uint64_t server_retry_ms;
	struct follow *follow;		/* NULL: this node follows nobody */
	uint64_t attest_ms;		/* when to try to attest again */
	uint64_t attesting;		/* the epoch that is being handed over */
	bool attest_waits;		/* for the writer's answer */
	struct exchange *exchange;	/* NULL: none yet */
	uint64_t exchange_ms;		/* when to ask other auditors again */

	struct secret *auditor_key;	/* NULL: this node attests nothing */
	struct eth_addr auditor;

	struct secret *claim_key;	/* NULL: nothing is claimed by itself */
	struct eth_addr claimant;
	uint64_t claim_ms;		/* of the next look */
	struct settle_problem claim_problem;

	void (*tell)(void *arg, const char *topic, json_t *data);	/* settle_watch() */
	void *tell_arg;

	/* As a follower: the last claim that the writer took from here; entry `index` may not have come back yet. */
	struct settle_sent {
		struct eth_addr account;
		struct amount cumulative;
		uint64_t index;
		bool known;
	} sent;

	bool has_relay;			/* the keys of this node's relay are known: */
	uint8_t relay_id[RELAY_ID_LEN];
	json_t *risks;			/* as last judged, or NULL */
	uint64_t risks_ms;		/* until then it is good */
};

/* A call that the writer answers for us. */
struct settle_forward {
	struct settle *settle;
	struct ctl_pending *pending;
	struct settle_sent claim;	/* what is handed over, when it is one */
};

/* Say a problem in the log when it is new, and its end; `what` does not work because of it. */
void settle_problem_set(struct settle_problem *p, const char *what, const char *text);
json_t *settle_problem_json(const struct settle_problem *p);

/* -- settle_ledger.c -------------------------------------------------------------------- */

/* Open the ledger if there is to be one and it is not open. */
void settle_ledger_open(struct settle *s);
void settle_ledger_close(struct settle *s);

/* Make the open batch durable, and answer who waits for it. */
int settle_ledger_commit(struct settle *s);

/* After an error of the ledger that is no refusal: the open batch has gone. */
void settle_ledger_failed(struct settle *s);

/* For who watches; takes over `data`. */
void settle_tell(struct settle *s, const char *topic, json_t *data);

/* For status: adds to `o`. */
void settle_ledger_status(struct settle *s, json_t *o);

/* -- settle_clock.c --------------------------------------------------------------------- */

/* Look whether the clock is to be believed; first when the ledger has been opened. */
void settle_clock_tick(struct settle *s);

/* -- settle_share.c --------------------------------------------------------------------- */

/* Give the journal out, and follow, as the configuration wants it and the ledger is open. */
void settle_share_tick(struct settle *s);
void settle_share_close(struct settle *s);

/* For status: adds to `o`. */
void settle_share_status(struct settle *s, json_t *o);

/* As a follower: have the writer answer `call`. */
int settle_forward(struct settle *s, struct ctl_call *call);

/* The URL that is followed, without a slash at its end; free() it. */
char *settle_follow_url(const struct config *c);

/* -- settle_exchange.c ------------------------------------------------------------------ */

/* A consensus was taken: keep it for other auditors, if there are any. */
void settle_exchange_keep(struct settle *s, const struct consensus_facts *c);

/* The journal's server gives them out. */
void settle_exchange_give(struct settle *s);

/* Ask for what was missed, as long as an epoch that has ended is not closed. */
void settle_exchange_tick(struct settle *s);
void settle_exchange_close(struct settle *s);

/* -- settle_epoch.c --------------------------------------------------------------------- */

/* Close what can be closed. */
void settle_epoch_tick(struct settle *s);
void settle_epoch_stop(struct settle *s);

/*
 * As an auditor: sign the root of the next epoch, *ret_epoch, which is set in any case. ERR_NOT_YET: it still runs, or may still be
 * measured; other errors with a sentence.
 */
int settle_epoch_attestation(struct settle *s, json_t **ret, uint64_t *ret_epoch, char why[LEDGER_WHY_CAP]);

/* Of an open ledger: how many epochs are closed, and how many of those that are over are not. */
int settle_epochs(struct settle *s, uint64_t *ret_closed, uint64_t *ret_behind);

/* For status, of an open ledger: adds to `o`. */
void settle_epoch_status(struct settle *s, json_t *o);

/* -- settle_claim.c --------------------------------------------------------------------- */

/* Read the claimant's key, if there is to be one. `why` gets a sentence on failure. */
int settle_claim_open(struct settle *s, char *why, size_t why_cap);

/* Claim what is due. */
void settle_claim_tick(struct settle *s);

#endif
