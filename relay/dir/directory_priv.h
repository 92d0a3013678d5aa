/*
 * Inside of the directory (nonos/directory.h). One struct directory belongs to
 * the keeper; directory.c makes it and lets it tick, and these do the work:
 *
 *   fetch.c    asks the authorities for what dircache.c lacks
 *   publish.c  uploads our descriptor and watches whether it is listed
 *   offer.c    hands documents that changed to the workers
 *   store.c    keeps documents on disk
 *   votes.c    fetches what each authority says of us, when asked to
 *   view.c     tells what is known of us
 *
 * Time: deadlines are monotonic milliseconds, so a jump of the wall clock can
 * shift no more than the one deadline that was computed just before it.
 */
#ifndef RELAY_DIR_DIRECTORY_PRIV_H
#define RELAY_DIR_DIRECTORY_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/directory.h>
#include <nonos/http.h>

#include "authority.h"
#include "dircache.h"
#include "weights.h"

struct event;

enum { MICRODESCS_PER_REQUEST = 92, DESCRIPTORS_PER_REQUEST = 96, DOC_JOBS = 4 };

/* An authority as we have met it. */
struct dir_authority {
	struct directory *d;
	unsigned index;
	const struct authority *conf;

	uint64_t retry_ms;		/* not asked before, after failures */
	unsigned failures;
	int64_t last_fetch;
	int fetch_status;

	/* The newest verified consensus that it signed or served, and what that says of us. */
	int64_t consensus_valid_after;
	bool in_consensus;
	uint32_t flags;
	uint64_t weight;

	struct http_call *upload;
	uint64_t upload_ms;		/* when to upload; 0: it has what we have */
	unsigned upload_failures;
	int64_t last_upload;
	int http_status;
	char message[128];
	bool not_new;
};

/* Something that one authority after another is asked for until one has it. */
struct asking {
	struct http_call *call;
	unsigned who;
	uint32_t tried;			/* authorities that failed in this round */
	unsigned rounds;		/* that have failed; the pause after each is longer */
	uint64_t due_ms;
};

struct consensus_fetch {
	struct directory *d;
	enum consensus_flavour flavour;
	struct asking ask;
	struct consensus *pending;	/* waits for certificates */
	unsigned pending_who;
};

struct docs_fetch {
	struct directory *d;
	enum consensus_flavour flavour;
	struct http_call *call;		/* NULL: this slot is free */
	unsigned who;
	uint8_t digests[DESCRIPTORS_PER_REQUEST][32];
	size_t n;
};

struct publisher {
	bool wanted;
	uint64_t due_ms;		/* when to make the next descriptor */
	char reason[96];
	char *descriptor, *extrainfo;	/* what we last made, or NULL */
	uint8_t digest[20];
	uint64_t made_ms;
	int64_t made_at;
	uint64_t relist_ms;		/* no re-upload for not being listed before this */
	unsigned relists;
};

/* An authority's vote as it came last. */
struct vote_of {
	int64_t fetched;
	int status;
	bool good;
	struct vote_view vote;
};

struct votes {
	struct http_call *call;
	bool busy;
	unsigned who;			/* being asked */
	struct vote_of of[AUTHORITIES_MAX];
	void (*done)(void *arg);	/* NULL: nobody waits */
	void *arg;
};

struct pack;

struct offers {
	struct event *timer, *slice;
	unsigned dirty;			/* bit per enum dir_doc */
	uint64_t hold_ms[FLAVOURS];	/* wait so long for what the consensus lists */
	struct pack *pack;		/* a consensus being compressed */
	enum consensus_flavour packing;
};

struct loading;

struct directory {
	struct event_base *base;
	struct http_client *http;
	struct directory_hooks hooks;
	struct authority *authorities;
	struct dir_authority *peers;
	size_t n;
	char *cache_dir;
	bool cache, microdescs, test_network, started;
	struct addr bind_v4;		/* ADDR_NONE: any */
	uint8_t own_id[20];
	struct event *tick;

	struct dircache docs;
	struct consensus_fetch consensus[FLAVOURS];
	struct asking certs;
	struct docs_fetch jobs[DOC_JOBS];
	bool warned_expired, told_unreachable;

	struct publisher publisher;
	struct offers offers;
	struct votes votes;
	struct weights weights;

	unsigned unsaved;		/* bit per enum dir_doc */
	uint64_t save_ms;
	struct loading *loading;	/* while the cache is read from disk */

	/* What the latest consensus says of us, as last told to hooks.listing. */
	bool listed;
	uint32_t listed_flags;
	uint64_t listed_weight;
};

/* directory.c */
void directory_kick(struct directory *d);		/* tick soon */
uint64_t directory_backoff_ms(const struct directory *d, unsigned failures);
void directory_request(const struct dir_authority *peer, struct http_request *req);
void directory_reply(struct dir_authority *peer, const struct http_reply *reply);
/* The URL of `path` at an authority; free() it. */
char *directory_url(const struct dir_authority *peer, const char *path);
/* A new consensus is in the cache: tell everybody. */
void directory_new_consensus(struct directory *d, const struct consensus *c);
void directory_new_certs(struct directory *d);
/* Who signed, judged again when there are more certificates. */
void directory_note_signers(struct directory *d, enum consensus_flavour flavour);
void directory_note_served(struct dir_authority *peer, const struct consensus *c);

/* fetch.c */
void fetch_init(struct directory *d);
void fetch_step(struct directory *d);
void fetch_schedule(struct directory *d, const struct consensus *c);
void fetch_stop(struct directory *d);
bool fetch_docs_busy(const struct directory *d, enum consensus_flavour flavour);

/* publish.c */
void publish_step(struct directory *d);
void publish_consensus(struct directory *d, const struct consensus *c);
void publish_stop(struct directory *d);

/* votes.c */
void votes_stop(struct directory *d);

/* offer.c */
void offer_init(struct directory *d);
void offer_changed(struct directory *d, enum dir_doc kind);
void offer_hold(struct directory *d, const struct consensus *c);
void offer_stop(struct directory *d);

/* store.c */
void store_load(struct directory *d);
/* Go on loading; true when done. */
bool store_load_step(struct directory *d);
void store_changed(struct directory *d, enum dir_doc kind);
void store_step(struct directory *d);
void store_stop(struct directory *d);

static inline enum dir_doc docs_kind(enum consensus_flavour f)
{
	return f == FLAVOUR_NS ? DIR_DOC_DESCRIPTORS : DIR_DOC_MICRODESCS;
}

static inline enum dir_doc consensus_kind(enum consensus_flavour f)
{
	return f == FLAVOUR_NS ? DIR_DOC_CONSENSUS_NS : DIR_DOC_CONSENSUS_MICRODESC;
}

#endif
