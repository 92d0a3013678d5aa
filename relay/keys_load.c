/*
 * Reading and checking the key files of an identity, of our own or of one to be
 * imported. Nothing here writes.
 */
#include "config.h"

#include "keys_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/secret.h>

#include "dir/dirtext.h"
#include "key_file.h"

int opening_complain(const struct opening *o, int code, const char *fmt, ...)
{
	va_list ap;

	if (o->err_cap) {
		va_start(ap, fmt);
		vsnprintf(o->err, o->err_cap, fmt, ap);
		va_end(ap);
	}
	return code;
}

/* A sentence for a file that cannot be used. */
static int complain_file(const struct opening *o, int code, const char *name)
{
	const char *why = code == ERR_SYSTEM ? strerror(errno) : err_str(code);

	if (code == ERR_PERMISSION)
		return opening_complain(o, code, "%s/%s must be a regular file that only its owner can read (chmod 600)",
				o->path, name);
	return opening_complain(o, code, "cannot use the key file %s/%s: %s", o->path, name, why);
}

int signing_load(struct signing_key *ret, int dir, const uint8_t ed_id[32], bool is_private, int64_t now)
{
	struct signing_key s = { .secret = NULL };
	struct cert c;
	int r;

	r = key_load_secret(&s.secret, ED25519_EXPANDED_LEN, dir, "ed25519_signing_secret_key",
			    KEY_TAG_ED_SIGNING, is_private);
	if (r < 0)
		goto out;
	r = key_load_tagged(s.cert, sizeof(s.cert), &s.cert_len, dir, "ed25519_signing_cert",
			    KEY_TAG_ED_SIGNING_CERT);
	if (r < 0)
		goto out;
	r = cert_parse(&c, s.cert, s.cert_len);
	if (r < 0)
		goto out;
	r = cert_check(&c, CERT_SIGNING, ed_id, now);
	if (r < 0)
		goto out;
	/* Descriptors and CERTS cells show the identity by the extension (dir-spec 2.1.1). */
	ed25519_public(s.public_key, secret_data(s.secret));
	r = ERR_MISMATCH;
	if (!c.signed_with || memcmp(c.key, s.public_key, ED25519_PUB_LEN) != 0)
		goto out;
	s.expires = c.expires;
	*ret = s;
	return 0;
out:
	signing_wipe(&s);
	return r;
}

static int load_rsa_identity(struct opening *o)
{
	struct relay_keys *k = o->k;
	uint8_t der[RSA_PUB_DER_CAP];
	size_t len;
	int r;

	r = key_load_rsa(&k->rsa, o->dir, "secret_id_key", o->is_private);
	if (r == ERR_NOT_FOUND)
		return opening_complain(o, ERR_STATE,
				"%s holds an Ed25519 identity but no secret_id_key: restore it from a backup",
				o->path);
	if (r < 0)
		return complain_file(o, r, "secret_id_key");
	r = rsa_public_der(der, sizeof(der), &len, k->rsa);
	if (r < 0)
		return complain_file(o, r, "secret_id_key");
	sha1(k->rsa_id, der, len);
	sha256(k->rsa_id_sha256, der, len);
	return 0;
}

/* With neither master key file, the identity is what the signing certificate names. */
static int identity_from_cert(struct opening *o)
{
	uint8_t data[2 * CERT_CAP];
	struct cert c;
	size_t len;
	int r;

	r = key_load_tagged(data, sizeof(data), &len, o->dir, "ed25519_signing_cert", KEY_TAG_ED_SIGNING_CERT);
	if (r == ERR_NOT_FOUND)
		return opening_complain(o, ERR_STATE, "%s holds an RSA identity but no Ed25519 one; authorities know "
				"a relay by the pair: restore the ed25519 files from a backup, or move %s away "
				"to start as a new relay", o->path, o->path);
	if (r == 0)
		r = cert_parse(&c, data, len);
	if (r == 0 && !c.signed_with)
		r = ERR_MALFORMED;
	if (r < 0)
		return complain_file(o, r, "ed25519_signing_cert");
	memcpy(o->k->ed_id, c.signed_with, sizeof(o->k->ed_id));
	return 0;
}

static int load_master(struct opening *o)
{
	struct relay_keys *k = o->k;
	uint8_t public_key[ED25519_PUB_LEN + 1];
	size_t len = 0;
	int r;

	r = key_load_secret(&k->master, ED25519_EXPANDED_LEN, o->dir, "ed25519_master_id_secret_key",
			    KEY_TAG_ED_MASTER, o->is_private);
	if (r < 0 && r != ERR_NOT_FOUND)
		return complain_file(o, r, "ed25519_master_id_secret_key");
	if (k->master)
		ed25519_public(k->ed_id, secret_data(k->master));
	r = key_load_tagged(public_key, sizeof(public_key), &len, o->dir, "ed25519_master_id_public_key",
			    KEY_TAG_ED_MASTER_PUB);
	if (r == ERR_NOT_FOUND) {
		o->missing |= KEYS_PART_MASTER_PUBLIC;
		return k->master ? 0 : identity_from_cert(o);
	}
	if (r == 0 && len != ED25519_PUB_LEN)
		r = ERR_MALFORMED;
	if (r == 0 && k->master && memcmp(public_key, k->ed_id, ED25519_PUB_LEN) != 0)
		r = ERR_MISMATCH;
	if (r < 0)
		return complain_file(o, r, "ed25519_master_id_public_key");
	memcpy(k->ed_id, public_key, ED25519_PUB_LEN);
	return 0;
}

/* With the master key at hand a signing key that cannot be used is simply made anew. */
static int load_signing(struct opening *o)
{
	int r = signing_load(&o->k->signing, o->dir, o->k->ed_id, o->is_private, o->now);

	if (r == 0)
		return 0;
	if (r == ERR_PERMISSION || r == ERR_SYSTEM)
		return complain_file(o, r, "ed25519_signing_secret_key");
	if (o->k->master) {
		o->missing |= KEYS_PART_SIGNING;
		return 0;
	}
	return opening_complain(o, r, "the signing key in %s %s and the master key is not here to make another: where the "
			"master key is kept run \"nonosctl key master renew\" (or tor --keygen), then copy ed25519_signing_secret_key and "
			"ed25519_signing_cert into %s", o->path,
			r == ERR_EXPIRED ? "has expired" : r == ERR_NOT_FOUND ? "is missing" :
			"does not fit its certificate or the identity", o->path);
}

/* curve25519 key pair: secret, then public. */
static int load_ntor(struct secret **ret, uint8_t ret_public[X25519_LEN], const struct opening *o, const char *name)
{
	struct secret *pair;
	int r;

	r = key_load_secret(&pair, 2 * X25519_LEN, o->dir, name, KEY_TAG_NTOR, o->is_private);
	if (r < 0)
		return r;
	x25519_public(ret_public, secret_data(pair));
	if (memcmp(ret_public, secret_data(pair) + X25519_LEN, X25519_LEN) == 0)
		*ret = secret_new(secret_data(pair), X25519_LEN);
	else
		r = ERR_MISMATCH;
	secret_free(pair);
	return r;
}

/*
 * When the ntor key in use took over: what onion_rotated says, if it speaks of
 * this key; else the time the file was written, as for keys that tor made.
 * Never in the future, which would put off the next rotation.
 */
static int64_t load_onion_since(const struct opening *o)
{
	char file[128], key[BASE64_CAP(X25519_LEN)];
	int64_t since = o->now;
	struct stat st;
	size_t len;

	if (fstatat(o->dir, "secret_onion_key_ntor", &st, 0) == 0)
		since = st.st_mtim.tv_sec;
	base64_encode(key, o->k->ntor_public, X25519_LEN, false);
	if (file_read_at((uint8_t *)file, sizeof(file), &len, o->dir, "onion_rotated", false) == 0 &&
	    len == DIR_TIME_LEN + 1 + strlen(key) + 1 &&
	    memcmp(file + DIR_TIME_LEN + 1, key, strlen(key)) == 0)
		(void)dir_time_parse(&since, file, DIR_TIME_LEN);
	return since < o->now ? since : o->now;
}

static int load_onion(struct opening *o)
{
	struct relay_keys *k = o->k;
	uint8_t old_public[X25519_LEN];
	int r;

	r = key_load_rsa(&k->tap, o->dir, "secret_onion_key", o->is_private);
	if (r == ERR_NOT_FOUND)
		o->missing |= KEYS_PART_TAP;
	else if (r < 0)
		return complain_file(o, r, "secret_onion_key");
	r = load_ntor(&k->ntor, k->ntor_public, o, "secret_onion_key_ntor");
	if (r == ERR_NOT_FOUND)
		o->missing |= KEYS_PART_NTOR;
	else if (r < 0)
		return complain_file(o, r, "secret_onion_key_ntor");
	else
		k->onion_since = load_onion_since(o);
	r = load_ntor(&k->ntor_old, old_public, o, "secret_onion_key_ntor.old");
	if (r < 0 && r != ERR_NOT_FOUND)
		return complain_file(o, r, "secret_onion_key_ntor.old");
	/* The trace of a rotation that did not come to its end. */
	if (k->ntor_old && k->ntor && memcmp(old_public, k->ntor_public, X25519_LEN) == 0) {
		secret_free(k->ntor_old);
		k->ntor_old = NULL;
	}
	return 0;
}

int opening_load(struct opening *o)
{
	int r;

	r = load_rsa_identity(o);
	if (r == 0)
		r = load_master(o);
	if (r == 0)
		r = load_signing(o);
	if (r == 0)
		r = load_onion(o);
	return r;
}

