/*
 * What the directory knows of this relay, for an operator who asks: the
 * descriptor that is out, each authority's vote, weight and rank over the last
 * consensuses, and the family as the network sees it.
 */
#ifndef NONOS_DIRECTORY_VIEW_H
#define NONOS_DIRECTORY_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/directory.h>

/* -- our descriptor -------------------------------------------------------------- */

struct descriptor_status {
	const char *descriptor, *extrainfo;	/* borrowed; NULL: none made yet */
	int64_t made;			/* wall seconds */
	uint8_t digest[20];
	bool due;			/* a newer one will be made */
	const char *reason;		/* of the one made last; borrowed */
	bool digest_known;		/* a consensus that names descriptors is here, and lists us */
	bool is_listed;			/* and it names this very one */
};

void directory_descriptor(const struct directory *d, struct descriptor_status *ret);

/* -- weight ------------------------------------------------------------------------ */

enum { WEIGHTS_MAX = 168 };		/* a week of hourly consensuses */

struct weight_sample {
	int64_t valid_after;
	bool listed, unmeasured;
	uint32_t flags;			/* enum relay_flag */
	uint64_t weight, total;		/* ours, and of all relays */
	uint32_t rank, n_relays;	/* 1: the highest weight; 0: not listed */
};

/* The newest `cap` samples, oldest first; returns how many. Kept over a restart. */
size_t directory_weights(const struct directory *d, struct weight_sample *out, size_t cap);

/* -- votes --------------------------------------------------------------------------- */

/* "flag-thresholds" of a vote (dir-spec 3.4.1): what it takes, as this authority has it. */
struct vote_thresholds {
	uint64_t stable_uptime_s, stable_mtbf_s, guard_tk_s;
	uint64_t fast_speed, guard_bw_inc_exits, guard_bw_exc_exits;	/* bytes/s */
	uint32_t guard_wfu_ppm;
	bool enough_mtbf;		/* stable_mtbf_s counts, else stable_uptime_s */
};

/* One authority's vote, of which our own entry alone is kept. */
struct vote_view {
	int64_t valid_after;
	bool has_thresholds;
	struct vote_thresholds thresholds;
	bool measures;			/* it measures relays at all */
	bool listed;
	uint32_t flags;
	uint64_t bandwidth_kb;		/* as we advertise it */
	bool has_measured;
	uint64_t measured_kb;
	bool has_stats;
	uint32_t wfu_ppm;		/* share of the time that it saw us up */
	uint64_t tk_s, mtbf_s;		/* known for so long; mean time between failures */
};

struct vote_status {
	const struct authority *authority;
	int64_t fetched;		/* wall seconds; 0: never */
	int status;			/* HTTP status or enum err of the last try; 0: none */
	bool good;			/* it came, and the authority signed it */
	struct vote_view vote;		/* when `good` */
};

size_t directory_votes(const struct directory *d, struct vote_status *out, size_t cap);

/*
 * Ask each authority for its vote, one after the other: megabytes each, so only when
 * somebody wants to know. `done` comes once, from the loop. ERR_EXISTS: those at
 * hand are of the consensus in use; ERR_BUSY: under way already.
 */
int directory_fetch_votes(struct directory *d, void (*done)(void *arg), void *arg);

/* The fetching goes on, but nobody is told. */
void directory_votes_unwatch(struct directory *d, void *arg);

/* How many authorities are still to be asked. */
size_t directory_votes_pending(const struct directory *d);

/* The nickname of a listed relay; false when none is. */
bool directory_nickname(const struct directory *d, char out[20], const uint8_t rsa_id[20]);

/* -- family --------------------------------------------------------------------------- */

enum { FAMILY_VIEW_MAX = 1000 };

struct family_member {
	uint8_t rsa_id[20];
	char nickname[20];
	bool by_id;			/* shares a family id with us */
	bool we_list, lists_us;		/* lines "family", which count when mutual */
	uint32_t flags;
	uint64_t weight;
};

struct family_view {
	bool known;			/* our microdescriptor is here: a cache has it, once listed */
	size_t n_ids;
	char ids[FAMILY_KEYS_MAX][64];	/* words of our line "family-ids"; printable ASCII */
	size_t n_members;		/* ourselves left out; those that count first */
	struct family_member *members;	/* free() it */
};

void directory_family(const struct directory *d, struct family_view *ret);

#endif
