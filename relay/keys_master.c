/*
 * The Ed25519 master key where it is safe, away from the relay: making it, and
 * making the signing keys that a relay lives on for a while. In tor's files,
 * so that `tor --keygen` can go on where nonosctl began and the other way round.
 */
#include "config.h"

#include <nonos/keys.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <nonos/err.h>
#include <nonos/secret.h>

#include "key_file.h"
#include "keys_priv.h"

static const char secret_name[] = "ed25519_master_id_secret_key", public_name[] = "ed25519_master_id_public_key",
		  encrypted_name[] = "ed25519_master_id_secret_key_encrypted", rsa_name[] = "secret_id_key";

static bool exists(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The public file: 0 when it names `ed_id`, ERR_NOT_FOUND, ERR_MISMATCH, or what reading it gives. */
static int check_public(int dir, const uint8_t ed_id[ED25519_PUB_LEN])
{
	uint8_t found[ED25519_PUB_LEN + 1];
	size_t len;
	int r = key_load_tagged(found, sizeof(found), &len, dir, public_name, KEY_TAG_ED_MASTER_PUB);

	if (r < 0)
		return r;
	return len == ED25519_PUB_LEN && memcmp(found, ed_id, ED25519_PUB_LEN) == 0 ? 0 : ERR_MISMATCH;
}

int keys_master_save_public(int dir, const uint8_t ed_id[ED25519_PUB_LEN])
{
	int r = check_public(dir, ed_id);

	return r == ERR_NOT_FOUND ? key_save_tagged(dir, public_name, KEY_TAG_ED_MASTER_PUB, ed_id, ED25519_PUB_LEN) : r;
}

int keys_master_new(struct secret **ret, uint8_t ret_ed_id[ED25519_PUB_LEN], int dir)
{
	struct secret *s;
	uint8_t ed_id[ED25519_PUB_LEN];
	int r = 0;

	if (dir >= 0 && (exists(dir, secret_name) || exists(dir, public_name) || exists(dir, encrypted_name)))
		return ERR_EXISTS;
	s = secret_new(NULL, ED25519_EXPANDED_LEN);
	ed25519_keygen(secret_data_mut(s), ed_id);
	if (dir >= 0)
		r = key_save_tagged(dir, secret_name, KEY_TAG_ED_MASTER, secret_data(s), secret_len(s));
	if (r == 0 && dir >= 0)
		r = keys_master_save_public(dir, ed_id);
	if (r < 0) {
		secret_free(s);
		return r;
	}
	*ret = s;
	memcpy(ret_ed_id, ed_id, sizeof(ed_id));
	return 0;
}

int keys_master_load(struct secret **ret, uint8_t ret_ed_id[ED25519_PUB_LEN], int dir)
{
	struct secret *s = NULL;
	uint8_t ed_id[ED25519_PUB_LEN];
	int r = key_load_secret(&s, ED25519_EXPANDED_LEN, dir, secret_name, KEY_TAG_ED_MASTER, true);

	if (r == ERR_NOT_FOUND && exists(dir, encrypted_name))
		return ERR_UNSUPPORTED;
	if (r < 0)
		return r;
	ed25519_public(ed_id, secret_data(s));
	r = check_public(dir, ed_id);
	if (r < 0 && r != ERR_NOT_FOUND) {
		secret_free(s);
		return r;
	}
	*ret = s;
	memcpy(ret_ed_id, ed_id, sizeof(ed_id));
	return 0;
}

int keys_signing_renew(int64_t *ret_expires, int dir, const struct secret *master, unsigned days, int64_t now)
{
	uint8_t ed_id[ED25519_PUB_LEN];
	struct signing_key s;
	int r;

	if (days < 1 || days > KEYS_DAYS_MAX || secret_len(master) != ED25519_EXPANDED_LEN)
		return ERR_RANGE;
	ed25519_public(ed_id, secret_data(master));
	r = keys_master_save_public(dir, ed_id);
	if (r == 0)
		r = keys_make_signing(&s, master, ed_id, now + (int64_t)days * 86400);
	if (r < 0)
		return r;
	r = signing_save(dir, &s);
	if (r == 0)
		*ret_expires = s.expires;
	signing_wipe(&s);
	return r;
}

int keys_rsa_new(uint8_t ret_rsa_id[SHA1_LEN], int dir)
{
	uint8_t der[RSA_PUB_DER_CAP];
	struct rsa_key *k;
	size_t len;
	int r;

	if (exists(dir, rsa_name))
		return ERR_EXISTS;
	r = rsa_generate(&k, 8 * RSA1024_LEN);
	if (r < 0)
		return r;
	r = rsa_public_der(der, sizeof(der), &len, k);
	if (r == 0)
		r = key_save_rsa(dir, rsa_name, k);
	if (r == 0)
		sha1(ret_rsa_id, der, len);
	rsa_free(k);
	return r;
}
