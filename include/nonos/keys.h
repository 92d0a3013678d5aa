/*
 * The relay's long-term keys, in Tor's on-disk formats (keys/ below the data
 * directory), so that an operator moves an identity in and out unchanged.
 * Held by the keeper; workers get only what relay.h names.
 *
 *   secret_id_key                       RSA-1024 identity, PEM
 *   secret_onion_key, .old              RSA-1024 TAP key (dead weight that authorities demand)
 *   secret_onion_key_ntor, .old         curve25519 key pair, tagged
 *   ed25519_master_id_secret_key        tagged, expanded; may be absent (offline)
 *   ed25519_master_id_public_key        tagged
 *   ed25519_signing_secret_key          tagged, expanded
 *   ed25519_signing_cert                tagged certificate type 4
 *   onion_rotated                       when the ntor key it names took over; ours alone
 *   ../fingerprint, ../fingerprint-ed25519
 *
 * A master key under a passphrase (tor's ed25519_master_id_secret_key_encrypted)
 * is an offline one here. Each file is replaced whole or not at all, a new
 * directory likewise: whoever dies at any instant leaves an identity that opens.
 * Without onion_rotated, or when it names another key, the age of the onion keys
 * is that of the file secret_onion_key_ntor, as for an identity that tor made.
 */
#ifndef NONOS_KEYS_H
#define NONOS_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/crypto.h>
#include <nonos/relay.h>

struct relay_keys;
struct secret;
struct families;

/* Seconds of the schedule. */
enum {
	KEYS_SIGNING_LIFETIME_S = 30 * 86400,
	KEYS_SIGNING_RENEW_S = 2 * 86400,	/* renewed when less is left */
	KEYS_ONION_LIFETIME_S = 28 * 86400,
	KEYS_ONION_GRACE_S = 7 * 86400,
	KEYS_ONION_USED_S = 86400,
	KEYS_LINK_LIFETIME_S = 2 * 86400,
};

/*
 * Open the keys below `data_dir`, making what is missing: a directory without any
 * identity file gets a new identity; half an identity (only RSA, or only Ed25519),
 * or none beside the file `fingerprint` of one that was, is ERR_STATE and nothing is written. Secret files that others may read are refused
 * (ERR_PERMISSION). With the master key offline, a signing key past its time is
 * ERR_EXPIRED, a missing one ERR_NOT_FOUND; with it at hand either is made anew.
 * `ret_err` gets a sentence for the operator on failure.
 */
int keys_open(struct relay_keys **ret, const char *data_dir, int64_t now, char *ret_err, size_t err_cap);
void keys_free(struct relay_keys *k);

/*
 * Copy an identity from a tor or anon data directory (or its keys/) into `data_dir`.
 * Never overwrites one: ERR_EXISTS. Verifies everything before it writes anything.
 * ERR_BUSY while a tor runs from `from_dir`. What the identity may have anew (onion
 * keys, signing key) is made when it is missing. The source is not changed.
 */
int keys_import(const char *data_dir, const char *from_dir, int64_t now, char *ret_err, size_t err_cap);

/* Write ../fingerprint and ../fingerprint-ed25519: "NICKNAME ID". */
int keys_write_fingerprints(const struct relay_keys *k, const char *nickname);

const uint8_t *keys_rsa_id(const struct relay_keys *k);		/* 20 bytes */
const uint8_t *keys_ed_id(const struct relay_keys *k);		/* 32 bytes */
bool keys_master_is_offline(const struct relay_keys *k);

/*
 * Sign a digest of 32 bytes with the master identity key. Nothing else that this key signs has
 * that length. ERR_NOT_FOUND when the master key is offline.
 */
int keys_sign_digest(uint8_t ret_sig[64], const struct relay_keys *k, const uint8_t digest[32]);

int64_t keys_signing_expires(const struct relay_keys *k);	/* wall seconds */
int64_t keys_onion_rotates(const struct relay_keys *k);		/* wall seconds */

enum keys_change { KEYS_CHANGED_SIGNING = 1, KEYS_CHANGED_ONION = 2, KEYS_CHANGED_OLD_ONION = 4 };

/*
 * Do what is due at `now`: renew the signing key, rotate the onion keys (ntor and TAP
 * together, so that authorities take the new descriptor), forget the old one after its
 * grace. With the master key offline, a newer signing key and certificate that the
 * operator copied in are taken over instead, once less than KEYS_SIGNING_RENEW_S is
 * left. *ret_changed is a set of enum keys_change, also on failure.
 */
int keys_maintain(struct relay_keys *k, int64_t now, int *ret_changed);

/*
 * True while clients may still use the onion keys before the current ones, which the next
 * rotation forgets: they go by a consensus for up to a day after the rotation.
 */
bool keys_old_onion_in_use(const struct relay_keys *k, int64_t now);

/*
 * With the master key offline: take over, at once, a signing key and certificate in the
 * keys directory that run longer than those in use. True when that happened.
 */
bool keys_take_signing(struct relay_keys *k, int64_t now, int *ret_changed);

/* Rotate the onion keys now, whatever their age. */
int keys_rotate_onion(struct relay_keys *k, int64_t now);

/* Make a fresh link certificate and authentication key, with their certificates. */
int keys_make_link(struct link_keys *ret, const struct relay_keys *k, int64_t now);

void keys_onion(struct onion_keys *ret, const struct relay_keys *k);

/* -- keys_master.c: the master key where it is safe, away from the relay --------- */

enum { KEYS_DAYS_MAX = 365 };

/*
 * Make a master key. *ret is its expanded form, *ret_ed_id the identity. With `dir` >= 0
 * it is written there in tor's files, ERR_EXISTS when there is one (or an encrypted one).
 */
int keys_master_new(struct secret **ret, uint8_t ret_ed_id[ED25519_PUB_LEN], int dir);

/*
 * Read one from tor's files in `dir`. ERR_NOT_FOUND; ERR_MISMATCH with its public file;
 * ERR_PERMISSION when others may read it; ERR_UNSUPPORTED when tor encrypted it.
 */
int keys_master_load(struct secret **ret, uint8_t ret_ed_id[ED25519_PUB_LEN], int dir);

/* Write the public file of an identity; ERR_MISMATCH, and nothing done, where there is another. */
int keys_master_save_public(int dir, const uint8_t ed_id[ED25519_PUB_LEN]);

/*
 * Make a signing key and its certificate in `dir`, for 1 to KEYS_DAYS_MAX days from `now`, in the
 * place of those there are. ERR_MISMATCH when `dir` has another identity.
 */
int keys_signing_renew(int64_t *ret_expires, int dir, const struct secret *master, unsigned days, int64_t now);

/* Make the RSA identity of a relay that never ran; ERR_EXISTS. */
int keys_rsa_new(uint8_t ret_rsa_id[SHA1_LEN], int dir);

/* -- server descriptor and extra-info (dir-spec 2.1) ------------------------ */

struct descriptor_facts {
	const char *nickname;
	const char *contact;		/* or NULL */
	const char *platform;
	struct addr v4, v6;		/* with OR ports */
	uint64_t bandwidth_rate, bandwidth_burst, bandwidth_observed;	/* bytes/s */
	uint64_t uptime_s;
	const char *exit_policy;	/* as configured */
	bool allow_private;		/* else private networks are rejected in front */
	bool dir_cache;			/* tunnelled-dir-server and DirCache=2 */
	const char *const *family;	/* "$HEX" or nicknames, NULL-terminated, or NULL */
	const struct families *families;	/* each certifies us; or NULL */
	bool hibernating;
	int64_t published;
	/* bandwidth history for extra-info: bytes per interval, oldest first */
	int64_t history_end;
	uint32_t history_interval_s;
	const uint64_t *read_history, *write_history;
	size_t history_len;
};

/*
 * Make the signed server descriptor and extra-info, malloc()ed NUL-terminated texts.
 * ERR_RANGE for facts that no authority would take: a nickname that is none, a
 * contact or platform that is not one line of printable UTF-8, no IPv4 address or port,
 * bandwidth 0, a family member that is neither. ERR_TOO_LONG beyond 20,000
 * and 50,000 bytes; the errors of policy_parse().
 */
int descriptor_make(char **ret_descriptor, char **ret_extrainfo, const struct relay_keys *k,
		    const struct descriptor_facts *f);

/*
 * Check one server descriptor: every item that authorities insist on, once and in its
 * place, both signatures, the certificate and both cross-certificates at `now`.
 * relay/dir/descriptor.h has the parsers.
 */
int descriptor_check(const char *text, size_t len, int64_t now);

#endif
