/*
 * Key certificates of directory authorities (dir-spec 3.1): the long-term
 * identity, known by its configured fingerprint, vouches for the key that
 * signs consensuses. The directory owns one set, and it holds only
 * certificates that were verified.
 */
#ifndef RELAY_DIR_DIRCERT_H
#define RELAY_DIR_DIRCERT_H

#include <stddef.h>
#include <stdint.h>

#include <nonos/directory.h>

struct rsa_key;

enum {
	DIRCERT_LEN_MAX = 64 * 1024,
	DIRCERTS_PER_AUTHORITY = 4,	/* the newest are kept */
	DIRCERTS_MAX = 64,
};

struct dircert {
	uint8_t identity[20];		/* v3 identity: SHA-1 of the identity key */
	uint8_t signing_digest[20];	/* SHA-1 of the signing key */
	int64_t published, expires;
	struct rsa_key *signing_key;
	char *text;
	size_t len;
};

/*
 * Parse and verify one certificate that fills the whole of `text`. The time is
 * not looked at. ERR_MALFORMED, ERR_AUTH (a signature or fingerprint is wrong).
 */
int dircert_parse(struct dircert **ret, const char *text, size_t len);
void dircert_free(struct dircert *c);

struct dircerts {
	struct dircert *certs[DIRCERTS_MAX];
	size_t n;
};

void dircerts_clear(struct dircerts *set);

/*
 * Take the certificates of `authorities` out of a text that holds any number.
 * Those of strangers, expired ones and those already here are skipped.
 * Returns how many were added; *ret_bad counts those that were refused.
 */
size_t dircerts_add(struct dircerts *set, const struct authority *authorities, size_t n_authorities,
		    const char *text, size_t len, int64_t now, size_t *ret_bad);

/* Drop what has expired; returns how many. */
size_t dircerts_expire(struct dircerts *set, int64_t now);

const struct dircert *dircerts_find(const struct dircerts *set, const uint8_t identity[20],
				    const uint8_t signing_digest[20]);

/* The one published last, or NULL. */
const struct dircert *dircerts_newest(const struct dircerts *set, const uint8_t identity[20]);

#endif
