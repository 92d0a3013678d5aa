/*
 * The inside of struct relay_keys, for keys.c (schedule, link credentials),
 * keys_load.c (reading files), keys_store.c (writing them, import) and
 * dir/descriptor_make.c (signing).
 */
#ifndef RELAY_KEYS_PRIV_H
#define RELAY_KEYS_PRIV_H

#include <nonos/crypto.h>
#include <nonos/keys.h>

#include "cert.h"

struct secret;

/* The medium-term Ed25519 key and what the master key says of it. */
struct signing_key {
	struct secret *secret;		/* expanded, 64 bytes; NULL: there is none */
	uint8_t public_key[ED25519_PUB_LEN];
	uint8_t cert[2 * CERT_CAP];
	size_t cert_len;
	int64_t expires;		/* wall seconds */
};

struct relay_keys {
	int dir;			/* of keys/; -1: nowhere yet */
	char *data_dir;
	struct rsa_key *rsa;
	uint8_t rsa_id[20], rsa_id_sha256[32];
	struct secret *master;		/* expanded, 64 bytes; NULL: offline */
	uint8_t ed_id[ED25519_PUB_LEN];
	struct signing_key signing;
	struct rsa_key *tap;
	struct secret *ntor;		/* 32 bytes */
	struct secret *ntor_old;	/* the one before, in its grace; or NULL */
	uint8_t ntor_public[X25519_LEN];
	int64_t onion_since;		/* wall seconds of the last rotation */
};

/* What of the keys has to be written: a set. */
enum keys_part {
	KEYS_PART_RSA = 1,
	KEYS_PART_MASTER = 2,
	KEYS_PART_MASTER_PUBLIC = 4,
	KEYS_PART_SIGNING = 8,
	KEYS_PART_TAP = 16,
	KEYS_PART_NTOR = 32,
	KEYS_PART_NTOR_OLD = 64,
	KEYS_PART_ONION = KEYS_PART_TAP | KEYS_PART_NTOR,
	KEYS_PART_ALL = 127,
};

/* Write parts to their files in the directory `dir`; ERR_SYSTEM with errno. */
int keys_save(const struct relay_keys *k, int dir, unsigned parts);

/* One opening or import on its way, and where its complaint goes. */
struct opening {
	struct relay_keys *k;
	int dir;		/* read from here */
	const char *path;	/* its name, for sentences */
	bool is_private;	/* insist on files that others cannot read */
	unsigned missing;	/* set of enum keys_part to be made */
	int64_t now;
	char *err;
	size_t err_cap;
};

/* Put a sentence where the operator sees it, and return `code`. */
int opening_complain(const struct opening *o, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Fill o->k from the files; what may be made anew goes to o->missing. */
int opening_load(struct opening *o);

/* Read signing key and certificate. ERR_NOT_FOUND, ERR_MISMATCH, ERR_EXPIRED and those of reading. */
int signing_load(struct signing_key *ret, int dir, const uint8_t ed_id[32], bool is_private, int64_t now);
void signing_wipe(struct signing_key *s);

/* Write both files; ERR_SYSTEM with errno. */
int signing_save(int dir, const struct signing_key *s);

/* Make a signing key, certified by the master key until `expires`. */
int keys_make_signing(struct signing_key *ret, const struct secret *master, const uint8_t ed_id[ED25519_PUB_LEN],
		      int64_t expires);

/* Put new onion keys in place of the current ones, in memory. */
int keys_make_onion(struct relay_keys *k, unsigned parts, int64_t now);

#endif
