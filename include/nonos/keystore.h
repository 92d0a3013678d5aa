/*
 * Operator keys at rest: Ethereum keystore files, version 3 (Web3 Secret
 * Storage). A secp256k1 key is encrypted with AES-128-CTR under a key made
 * of a pass phrase, and a Keccak-256 MAC tells whether that was the right one.
 * We write scrypt; PBKDF2 is read too, as other wallets may have written it.
 *
 * A directory of keystores is any directory of such files. Ours are NAME.json;
 * files of other wallets work under the name they have.
 */
#ifndef NONOS_KEYSTORE_H
#define NONOS_KEYSTORE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/eth_sig.h>

struct secret;

enum {
	KEYSTORE_FILE_MAX = 16384,
	KEYSTORE_SALT_MAX = 64,
	KEYSTORE_IV_LEN = 16,
	KEYSTORE_MAC_LEN = 32,
	KEYSTORE_SECRET_MIN = 16,	/* some wallets left out leading zero bytes */
	KEYSTORE_ID_CAP = 37,		/* UUID and NUL */
	KEYSTORE_NAME_MAX = 64,
	KEYSTORE_WHY_CAP = 128,
	KEYSTORE_FILES_MAX = 1024,	/* in one directory */
};

enum keystore_kdf { KEYSTORE_SCRYPT, KEYSTORE_PBKDF2 };

/* What one guess at the pass phrase costs. */
struct keystore_cost {
	uint32_t n, r, p;		/* scrypt */
	uint32_t rounds;		/* PBKDF2 */
};

/* n = 2^18, r = 8, p = 1: 256 MiB and about a second. */
extern const struct keystore_cost keystore_cost_usual;

/* A file's contents. Nothing in it is secret but to who knows the pass phrase. */
struct keystore {
	char id[KEYSTORE_ID_CAP];	/* "" when the file has none */
	bool has_address;		/* the file may leave it out */
	struct eth_addr address;
	enum keystore_kdf kdf;
	struct keystore_cost cost;
	uint8_t salt[KEYSTORE_SALT_MAX];
	size_t salt_len;
	uint8_t iv[KEYSTORE_IV_LEN];
	uint8_t sealed[ETH_SECRET_LEN];
	size_t sealed_len;
	uint8_t mac[KEYSTORE_MAC_LEN];
};

/*
 * Read a file's text. ERR_MALFORMED; ERR_UNSUPPORTED for another version, cipher
 * or KDF; ERR_RANGE for a KDF beyond the limits of <nonos/kdf.h>. `why` says what is wrong with it.
 */
int keystore_parse(struct keystore *ret, char why[KEYSTORE_WHY_CAP], const char *text, size_t len);

/* Write the text of a file, malloc()ed and ended by NUL. */
char *keystore_text(const struct keystore *k);

/* Encrypt a key. ERR_RANGE for one that is none or a cost beyond the limits; ERR_LIMIT for want of memory. */
int keystore_seal(struct keystore *ret, const uint8_t secret[ETH_SECRET_LEN], const void *pass, size_t pass_len,
		  const struct keystore_cost *cost);

/*
 * Decrypt to *ret, ETH_SECRET_LEN bytes. ERR_AUTH for a wrong pass phrase (or damage, which
 * looks the same); ERR_MISMATCH when the key is not of the address that the file
 * names; ERR_RANGE when what was encrypted is no key; ERR_LIMIT for want of memory.
 */
int keystore_open(struct secret **ret, const struct keystore *k, const void *pass, size_t pass_len);

/* -- directories ------------------------------------------------------------- */

/* One file found. */
struct keystore_entry {
	char file[NAME_MAX + 1];
	char name[NAME_MAX + 1];	/* without ".json" */
	struct keystore k;
	int error;			/* 0, or why `k` is empty */
	char why[KEYSTORE_WHY_CAP];
};

/*
 * Open a directory, or with `make` create it and what leads there, mode 0700.
 * ERR_NOT_FOUND; ERR_PERMISSION when others may write to it; ERR_SYSTEM with errno.
 */
int keystore_dir_open(int *ret_dir, const char *path, bool make);

/* A name for a new key: letters, digits, '-' and '_', not like an address. */
bool keystore_name_is_good(const char *name);

/*
 * List the keystores, sorted by name; *ret is malloc()ed. Other files are left
 * out, but those named *.json that cannot be read stay, with their error.
 * ERR_LIMIT for too many files.
 */
int keystore_list(struct keystore_entry **ret, size_t *ret_n, int dir);

/*
 * Find one by name, file name or address. ERR_NOT_FOUND; ERR_EXISTS when
 * several have that address; the errors of reading it, with `why`.
 */
int keystore_find(struct keystore_entry *ret, char why[KEYSTORE_WHY_CAP], int dir, const char *name);

/* Write a new file NAME.json; ERR_EXISTS rather than replace one. ERR_SYSTEM with errno. */
int keystore_save_new(int dir, const char *name, const struct keystore *k);

/* Replace the file of an entry (another pass phrase). The old or the new one is whole at any time. */
int keystore_save_again(int dir, const struct keystore_entry *e, const struct keystore *k);

#endif
