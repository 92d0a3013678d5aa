/*
 * What the directory authorities measured: measure.db in the data directory
 * holds, per relay and consensus, weight, flags, network group and declared
 * family, as the consensuses of the microdescriptor flavour say it. (The other
 * flavour is made of the same votes and is not counted a second time.) In a real
 * network a consensus comes once an hour. The keeper's settle.c owns one; nothing
 * a relay says of its own traffic ever gets in: a weight that authorities did not
 * measure counts as 20 at most.
 *
 * A consensus is taken once, whenever and however often it is offered. One
 * that this node missed has no row: it counts neither for nor against anybody.
 * Two nodes that took the same consensuses read the same measurement, to the bit.
 *
 * An authority that says different things to others can get two consensuses of one time signed by a
 * majority. Then that with the lower digest counts, whichever came first: so nodes that got to
 * know both agree again.
 */
#ifndef DAEMON_MEASURE_H
#define DAEMON_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/directory.h>

struct measure;
struct measured_consensus;

enum {
	MEASURE_ERR_CAP = 512,
	MEASURE_DOCUMENTS_MAX = 1024,
	MEASURE_CONSENSUSES_MAX = 20000,	/* in one answer; the rest of a longer time is left out */
};

/* Open, or make, `data_dir`/measure.db. ERR_IO, ERR_STATE (a newer version's, or damaged); a sentence in `err`. */
int measure_open(struct measure **ret, const char *data_dir, char *err, size_t err_cap);
void measure_close(struct measure *m);		/* NULL is fine */

/*
 * Take a consensus in, and forget what is older than `keep_s` before it. ERR_UNSUPPORTED: not
 * the flavour that counts. ERR_EXISTS: taken already. ERR_MISMATCH: another one of that time was, with a lower digest.
 * ERR_IO: the disk; nothing of it was taken and it may be offered again.
 */
int measure_consensus(struct measure *m, const struct consensus_facts *c, int64_t keep_s);

/* -- documents, for other auditors --------------------------------------------------- */

/*
 * Keep the text of a consensus that was taken, unless it is there; forget those from before `from`. At most
 * MEASURE_DOCUMENTS_MAX, of which the oldest are wanted first.
 */
int measure_keep_document(struct measure *m, const struct consensus_facts *c, int64_t from);

/* As it is kept, compressed (CODING_ZSTD); malloc()ed. ERR_NOT_FOUND. */
int measure_document(struct measure *m, uint8_t **ret, size_t *ret_len, int64_t valid_after);

/* Those that are kept, with valid_after and digest, by time; free() it. */
int measure_documents(struct measure *m, struct measured_consensus **ret, size_t *ret_n);

/* Whether a consensus of that digest would be taken. */
bool measure_wants(struct measure *m, int64_t valid_after, const uint8_t digest[32]);

/*
 * Read the microdescriptors that are named and not known yet, as far as `find` has them (it
 * returns 0 or ERR_NOT_FOUND). *ret_missing is how many of the newest consensus stay unknown.
 */
int measure_microdescs(struct measure *m, int (*find)(void *arg, struct microdesc_facts *ret, const uint8_t digest[32]),
		       void *arg, size_t *ret_missing);

/* -- reading ------------------------------------------------------------------------ */

struct measured_consensus {
	int64_t valid_after, fresh_until;
	uint8_t digest[32];
	uint32_t n_relays;
	uint64_t weight;		/* of all that were Running */
	/*
	 * Of the one before it, at most as long ago as the time asked for is: its weight, and
	 * how much of that was of relays that are not Running in this one. 0 without one before.
	 */
	uint64_t before, vanished;
};

/* A relay over some consensuses. */
struct measured_relay {
	uint8_t rsa_id[20];
	uint32_t n_running;		/* consensuses that list it Running */
	uint32_t n_exit, n_guard;	/* of these, with Exit and without BadExit; else with Guard */
	uint64_t weight;		/* sum over these */
	/* As the last consensus says that lists it Running: */
	uint8_t network[2];		/* first half of its IPv4 address */
	uint8_t microdesc[32];
	bool has_microdesc;		/* one is named */
	bool known;			/* and read: what follows is known */
	bool has_ed_id;
	uint8_t ed_id[32];
	/* Ascending; parts of the owner's `blobs`. */
	const uint8_t *members, *keys;	/* 20 and 32 bytes each */
	size_t n_members, n_keys;
};

struct measured {
	int64_t from, to;
	struct measured_consensus *consensuses;	/* by time */
	size_t n_consensuses;
	struct measured_relay *relays;	/* ascending by rsa_id; all that any of them lists */
	size_t n_relays;
	void **blobs;
	size_t n_blobs;
};

/* What the consensuses with from <= valid_after < to say; microdescriptors count as they are known now. ERR_LIMIT: more than MEASURE_CONSENSUSES_MAX. */
int measure_read(struct measure *m, struct measured **ret, int64_t from, int64_t to);
void measured_free(struct measured *r);		/* NULL is fine */

const struct measured_relay *measured_find(const struct measured *r, const uint8_t rsa_id[20]);

/* The newest consensus. ERR_NOT_FOUND. */
int measure_newest(struct measure *m, struct measured_consensus *ret);

/* How many consensuses and relays there are, and since when. */
struct measure_status {
	uint64_t consensuses, relays;
	int64_t oldest, newest;		/* valid_after; 0: none */
};

int measure_status(struct measure *m, struct measure_status *ret);

#endif
