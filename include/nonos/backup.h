/*
 * A backup: the few files that make a relay itself (keys, keystores,
 * configuration), in one encrypted file. All of it is held in locked memory;
 * it is kilobytes. Integers are big-endian.
 *
 *   0   8  "NONOSBAK"
 *   8   2  version, 1
 *   10  1  KDF: 1 Argon2id, 2 scrypt
 *   11  1  cipher: 1 XChaCha20-Poly1305 as libsodium's secretstream
 *   12  4  passes, or n
 *   16  4  memory in KiB, or r
 *   20  4  lanes (1), or p
 *   24  16 salt
 *   40  24 header of the stream
 *   64  8  start of the SHA-256 of what precedes: damage here is told from ...
 *   72  32 HMAC-SHA256 of what precedes under the check key: ... a wrong pass phrase
 *   104    frames: 16 KiB of plaintext each and 17 bytes more; only the last one
 *          may be shorter, and is marked as the last
 *
 * The KDF gives 64 bytes, the key of the stream and the check key. The first
 * frame is bound to the 104 bytes before it. The plaintext is the number of
 * files (2), and for each: length of its name (1), name, mode (2), length (4),
 * bytes.
 */
#ifndef NONOS_BACKUP_H
#define NONOS_BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backup;
struct secret;

enum {
	BACKUP_NAME_MAX = 160,
	BACKUP_DEPTH_MAX = 3,		/* parts of a name */
	BACKUP_FILES_MAX = 1024,
	BACKUP_BYTES_MAX = 16 << 20,	/* of all files */
	BACKUP_SEALED_MAX = 20 << 20,	/* of the encrypted file */
	BACKUP_WHY_CAP = 160,
};

enum backup_kdf { BACKUP_ARGON2ID = 1, BACKUP_SCRYPT = 2 };

struct backup_cost {
	enum backup_kdf kdf;
	uint32_t a, b, c;		/* as above */
};

/* Argon2id with 3 passes over 256 MiB: about a second. */
extern const struct backup_cost backup_cost_usual;

struct backup_file {
	char name[BACKUP_NAME_MAX + 1];
	unsigned mode;			/* permission bits */
	const uint8_t *data;		/* borrowed from the backup */
	size_t len;
};

struct backup *backup_new(void);
void backup_free(struct backup *b);

/* Parts of letters, digits, '.', '-', '_', '@' and '+', joined by '/'; none begins with a dot. */
bool backup_name_is_good(const char *name);

/* Add a copy of a file. ERR_MALFORMED for the name, ERR_EXISTS, ERR_LIMIT. */
int backup_add(struct backup *b, const char *name, unsigned mode, const void *data, size_t len);

size_t backup_count(const struct backup *b);
void backup_get(struct backup_file *ret, const struct backup *b, size_t i);

/* ERR_NOT_FOUND */
int backup_find(struct backup_file *ret, const struct backup *b, const char *name);

/* Encrypt; *ret is malloc()ed. ERR_RANGE for a cost beyond the limits, ERR_LIMIT for want of memory. */
int backup_seal(uint8_t **ret, size_t *ret_len, const struct backup *b, const void *pass, size_t pass_len,
		const struct backup_cost *cost);

/*
 * Decrypt and check all of it. ERR_MALFORMED: no backup; ERR_UNSUPPORTED: of a later version;
 * ERR_RANGE: its KDF is beyond the limits; ERR_LIMIT: want of memory; ERR_AUTH: wrong pass
 * phrase; ERR_CRYPTO: damaged or cut short; ERR_PROTOCOL: rightly encrypted, but not by this
 * program. `why` is the sentence for it.
 */
int backup_open(struct backup **ret, char why[BACKUP_WHY_CAP], const uint8_t *sealed, size_t len, const void *pass,
		size_t pass_len);

/* The plaintext alone, hostile or not: what backup_open() reads after decryption. ERR_PROTOCOL. */
int backup_parse(struct backup **ret, const uint8_t *data, size_t len);

#endif
