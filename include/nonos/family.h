/*
 * Families: an Ed25519 key that all relays of one operator share, and the
 * certificates by which each shows that it belongs (proposal 321; formats as of
 * tor 0.4.9). Key files are tor's own, so one family may mix tor and nonos:
 *
 *   NAME.secret_family_key	tagged, expanded; on every relay of the family
 *   NAME.public_family_id	the family's id as text
 *
 * Being in a family takes both sides: the family key signs the relay's Ed25519
 * identity, and the descriptor with that certificate is signed by the relay.
 */
#ifndef NONOS_FAMILY_H
#define NONOS_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FAMILY_ID_LEN = 32,
	FAMILY_ID_CAP = 44,		/* as text, with NUL */
	FAMILIES_MAX = 3,		/* in one descriptor: more, an authority may refuse */
	FAMILY_CERT_LIFETIME_S = 30 * 86400,
	FAMILY_NAME_MAX = 64,		/* characters of NAME */
};

/* The family's id, 43 characters of base64, as tor's FamilyId has it. ERR_MALFORMED. */
int family_id_parse(uint8_t ret[FAMILY_ID_LEN], const char *text);
const char *family_id_format(char out[FAMILY_ID_CAP], const uint8_t id[FAMILY_ID_LEN]);

/* The id of the key in the bytes of a key file. ERR_MALFORMED. */
int family_key_parse(uint8_t ret_id[FAMILY_ID_LEN], const uint8_t *file, size_t len);

/* The families that one relay is in, with their keys. */
struct families;

/*
 * Find the keys of `ids` (texts, NULL-terminated; NULL: none; "*": whatever is
 * there) among the *.secret_family_key files of `dir`. All of them must be there, at
 * most FAMILIES_MAX, and no file readable by others. `ret_err` gets a sentence for
 * the operator. ERR_NOT_FOUND, ERR_PERMISSION, ERR_MALFORMED, ERR_LIMIT, ERR_SYSTEM.
 */
int families_open(struct families **ret, const char *dir, const char *const *ids, char *ret_err, size_t err_cap);
void families_free(struct families *f);

size_t families_count(const struct families *f);			/* NULL: 0 */
const uint8_t *families_id(const struct families *f, size_t i);
const char *families_file(const struct families *f, size_t i);	/* the name of the key's file */

/* Certify `ed_id` as a relay of family `i` until `expires`, wall seconds. */
int families_certify(uint8_t *out, size_t cap, size_t *ret_len, const struct families *f, size_t i,
		     const uint8_t ed_id[32], int64_t expires);

/*
 * Check a family certificate for `ed_id` at `now`, and tell the family. ERR_MALFORMED,
 * ERR_UNSUPPORTED, ERR_MISMATCH, ERR_AUTH, ERR_EXPIRED.
 */
int family_cert_check(uint8_t ret_id[FAMILY_ID_LEN], const uint8_t *cert, size_t len, const uint8_t ed_id[32],
		      int64_t now);

/* Whether family_create() would do it; the same errors. */
int family_may_create(const char *dir, const char *name, char *ret_err, size_t err_cap);

/*
 * Make a family: NAME.secret_family_key (mode 0600) and NAME.public_family_id in
 * `dir`, which must exist. Never overwrites: ERR_EXISTS. ERR_RANGE for a name that is
 * not letters, digits, "-", "_" and "." (not first).
 */
int family_create(uint8_t ret_id[FAMILY_ID_LEN], const char *dir, const char *name, char *ret_err,
		  size_t err_cap);

/*
 * Copy the good family keys of a tor or anon key directory into another; what is there stays.
 * Returns how many were copied. *ret_bad counts those that could not be.
 */
size_t families_import(const char *to_dir, const char *from_dir, size_t *ret_bad);

/* The id of a key file by its path. The errors of reading, with a sentence. */
int family_read_id(uint8_t ret_id[FAMILY_ID_LEN], const char *path, char *ret_err, size_t err_cap);

#endif
