/*
 * The keeper's side of the directory: authorities, upload of our descriptor,
 * and the cache of signed documents (dir-spec). All network and disk work is
 * here; workers get finished documents as sealed memfds.
 */
#ifndef NONOS_DIRECTORY_H
#define NONOS_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/addr.h>
#include <nonos/relay.h>

struct event_base;
struct directory;

/* A directory authority, as configured. */
struct authority {
	char name[20];
	struct addr dir;		/* DirPort */
	uint16_t or_port;
	uint8_t v3ident[20];
	uint8_t fingerprint[20];
};

/*
 * Parse "NAME 127.0.0.1:7000 orport=5000 v3ident=HEX40 fingerprint=HEX40" (order of the
 * options free; fingerprints may have spaces removed only).
 */
int authority_parse(struct authority *ret, const char *text, char *ret_err, size_t err_cap);

/* Kinds of cached document handed to workers; the memfd's format is dirserv.h's. */
enum dir_doc {
	DIR_DOC_CONSENSUS_NS = 1,
	DIR_DOC_CONSENSUS_MICRODESC,
	DIR_DOC_MICRODESCS,
	DIR_DOC_DESCRIPTORS,
	DIR_DOC_CERTS,
	DIR_DOC_OWN,			/* own descriptor and extra-info */
	DIR_DOC_RELAYS,			/* fingerprints of the listed relays; not for clients */
	DIR_DOC_KINDS
};

/* Copied, what it points to included. */
struct directory_config {
	const struct authority *authorities;	/* 1 to 16, each v3ident once */
	size_t n_authorities;
	const char *cache_dir;		/* documents survive a restart here */
	bool cache;			/* fetch what clients ask a cache for; else only the consensus */
	bool microdescs;		/* fetch microdescriptors even when not a cache */
	bool test_network;		/* short voting intervals: poll by the consensus's own times */
	const struct addr *bind_v4;	/* outgoing address, or NULL */
};

/* The two flavours of a consensus: which documents of the relays it names. */
enum consensus_flavour { FLAVOUR_NS, FLAVOUR_MICRODESC, FLAVOURS };

/* What a consensus says of one relay. */
struct consensus_router {
	uint8_t rsa_id[20];
	uint8_t digest[32];	/* ns: SHA-1 of the descriptor, then zeros; microdesc: SHA-256 */
	bool has_digest;
	uint32_t flags;		/* enum relay_flag */
	uint32_t weight;	/* Bandwidth= of the "w" line */
	bool unmeasured;	/* fewer than three authorities measured it: Unmeasured=1 */
	uint32_t name_at;	/* of the nickname, in the text */
	uint8_t name_len;	/* 0: too long to be one */
	uint8_t ip[4];
	uint16_t or_port, dir_port;
};

/* A consensus that a majority of the authorities signed; all of it is borrowed. */
struct consensus_facts {
	enum consensus_flavour flavour;
	int64_t valid_after, fresh_until, valid_until;
	const uint8_t *digest;		/* SHA-256 of what was signed: the same whoever signed it */
	const struct consensus_router *routers;	/* ascending by rsa_id */
	size_t n_routers;
	const char *text;		/* the document, signatures included */
	size_t text_len;
};

struct directory_hooks {
	/* A document is new: a sealed memfd, which the callee dup()s or sends; the caller closes it. */
	void (*document)(void *arg, enum dir_doc kind, int fd);
	/* A newer valid consensus: its parameters. */
	void (*params)(void *arg, const struct net_params *params);
	/* Time to publish: make descriptor and extra-info (malloc()ed), or fail to skip. */
	int (*make_descriptor)(void *arg, char **ret_descriptor, char **ret_extrainfo);
	/* An authority's answer told our address (X-Your-Address-Is). */
	void (*address_seen)(void *arg, const struct addr *ours, const struct authority *by);
	/* An authority answered an upload, or did not: row `index` of directory_status(). May be NULL. */
	void (*uploaded)(void *arg, size_t index);
	/* What a consensus says of us changed (listed or not, flags, weight). */
	void (*listing)(void *arg);
	/* A newer consensus of either flavour was accepted; after a start also the one read from the cache. */
	void (*consensus)(void *arg, const struct consensus_facts *c);
	void *arg;
};

/* ERR_RANGE, ERR_EXISTS: the authorities are too many, none, or one is there twice. */
int directory_new(struct directory **ret, struct event_base *base, const struct directory_config *c,
		  const struct directory_hooks *hooks, const uint8_t own_rsa_id[20],
		  const uint8_t own_ed_id[32]);
void directory_free(struct directory *d);

/*
 * Load the cache from disk, then follow the consensus. Returns soon: certificates and
 * consensuses are read here, the rest from the loop. A consensus is used, and offered to
 * workers, until a newer one replaces it; on disk it counts for a day after its time, as
 * long as clients use one.
 */
void directory_start(struct directory *d);

/*
 * Upload our descriptor to every authority soon (a minute's worth of changes goes up
 * together); repeats every 18 hours, after a pause to authorities that have not got it, and
 * more and more rarely when a majority took it in time and the consensus still does not list
 * us. `reason` is for the log.
 */
void directory_publish(struct directory *d, const char *reason);

/*
 * Judge a consensus that somebody else kept, of any time: `good` is called when a majority of the authorities
 * signed it. Nothing else is made of it. ERR_MALFORMED, ERR_TOO_LONG, ERR_UNSUPPORTED, ERR_AUTH; ERR_NOT_FOUND: it cannot
 * be judged without certificates that are not here.
 */
int directory_judge(const struct directory *d, const char *text, size_t len,
		    void (*good)(void *arg, const struct consensus_facts *c), void *arg);

enum relay_flag {
	FLAG_AUTHORITY = 1 << 0, FLAG_BAD_EXIT = 1 << 1, FLAG_EXIT = 1 << 2, FLAG_FAST = 1 << 3,
	FLAG_GUARD = 1 << 4, FLAG_HSDIR = 1 << 5, FLAG_MIDDLE_ONLY = 1 << 6, FLAG_NO_ED_CONSENSUS = 1 << 7,
	FLAG_RUNNING = 1 << 8, FLAG_STABLE = 1 << 9, FLAG_STALE_DESC = 1 << 10, FLAG_V2DIR = 1 << 11,
	FLAG_VALID = 1 << 12,
};

/*
 * For status: one row per authority. All authorities that agree sign the same
 * consensus, so none is asked for a copy of its own just to see whether it
 * lists us: what is told of an authority is what the newest consensus says that
 * carries its valid signature or came from it. One that stopped signing keeps
 * its last row, with the time of that consensus.
 */
struct authority_status {
	const struct authority *authority;
	int64_t last_upload;		/* that it took; wall seconds, 0 never */
	int http_status;		/* of the last upload: 0 none, negative enum err on failure */
	char message[128];		/* what it said, or the error; printable ASCII */
	bool not_new;			/* X-Descriptor-Not-New */
	int64_t last_fetch;		/* last answer or failure, uploads included */
	int fetch_status;		/* of that: HTTP status or enum err */
	bool cert_known;
	int64_t consensus_valid_after;	/* of the consensus meant above; 0 none */
	bool in_consensus;		/* whether that lists us */
	uint32_t flags;			/* enum relay_flag, when listed there */
	uint64_t weight;		/* consensus weight, when listed */
};

struct consensus_status {
	int64_t valid_after, fresh_until, valid_until;	/* 0: none */
	bool listed;
	uint32_t flags;
	uint64_t weight;
	uint32_t n_relays;
	uint32_t n_microdescs, n_microdescs_missing;	/* of a cache */
};

size_t directory_status(const struct directory *d, struct authority_status *out, size_t cap);
void directory_consensus(const struct directory *d, struct consensus_status *ret);

enum { FAMILY_MEMBERS_MAX = 512, FAMILY_KEYS_MAX = 16 };

/* What a microdescriptor says of who runs the relay (dir-spec 3.3). */
struct microdesc_facts {
	bool has_ed_id;
	uint8_t ed_id[32];
	/* Ascending, each once. */
	size_t n_members, n_keys;
	uint8_t members[FAMILY_MEMBERS_MAX][20];	/* of "family"; nicknames say nothing and are left out */
	uint8_t keys[FAMILY_KEYS_MAX][32];	/* SHA-256 of each word of "family-ids" */
};

/* Read the microdescriptor with this digest, if it is here. ERR_NOT_FOUND, ERR_MALFORMED. */
int directory_microdesc(const struct directory *d, struct microdesc_facts *ret, const uint8_t digest[32]);

/*
 * Want a microdescriptor that the latest consensus may not list any more: authorities still have those of some
 * days. It is asked for, for a day, when microdescriptors are fetched at all.
 */
void directory_want_microdesc(struct directory *d, const uint8_t digest[32]);

/* "Fast Guard Running ..." of a flag set, into `out`. */
const char *relay_flags_str(char *out, size_t cap, uint32_t flags);

#endif
