/*
 * The relay's long-term keys: their schedule, what workers get of them, and
 * link credentials. Created and owned by the keeper. Files are keys_store.c.
 */
#include "config.h"

#include <nonos/keys.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/link_auth.h>
#include <nonos/rand.h>
#include <nonos/secret.h>

#include "key_file.h"
#include "keys_priv.h"

enum {
	DAY = 86400,
	CROSSCERT_LIFETIME_S = 180 * DAY,
	ID_CERT_LIFETIME_S = 365 * DAY,
};

void signing_wipe(struct signing_key *s)
{
	secret_free(s->secret);
	*s = (struct signing_key){ 0 };
}

void keys_free(struct relay_keys *k)
{
	if (!k)
		return;
	if (k->dir >= 0)
		close(k->dir);
	free(k->data_dir);
	rsa_free(k->rsa);
	rsa_free(k->tap);
	secret_free(k->master);
	secret_free(k->ntor);
	secret_free(k->ntor_old);
	signing_wipe(&k->signing);
	free(k);
}

const uint8_t *keys_rsa_id(const struct relay_keys *k)
{
	return k->rsa_id;
}

const uint8_t *keys_ed_id(const struct relay_keys *k)
{
	return k->ed_id;
}

bool keys_master_is_offline(const struct relay_keys *k)
{
	return !k->master;
}

int keys_sign_digest(uint8_t ret_sig[64], const struct relay_keys *k, const uint8_t digest[32])
{
	if (!k->master)
		return ERR_NOT_FOUND;
	ed25519_sign(ret_sig, secret_data(k->master), k->ed_id, digest, 32);
	return 0;
}

int64_t keys_signing_expires(const struct relay_keys *k)
{
	return k->signing.expires;
}

int64_t keys_onion_rotates(const struct relay_keys *k)
{
	return k->onion_since + KEYS_ONION_LIFETIME_S;
}

/* -- schedule --------------------------------------------------------------- */

int keys_make_signing(struct signing_key *ret, const struct secret *master, const uint8_t ed_id[ED25519_PUB_LEN],
		      int64_t expires)
{
	struct signing_key s = { .secret = secret_new(NULL, ED25519_EXPANDED_LEN) };
	const struct cert_request q = {
		.type = CERT_SIGNING, .key = s.public_key, .expires = expires,
		.signer_secret = secret_data(master), .signer_public = ed_id,
	};
	struct cert c;
	int r;

	ed25519_keygen(secret_data_mut(s.secret), s.public_key);
	r = cert_make(s.cert, sizeof(s.cert), &s.cert_len, &q);
	if (r == 0)
		r = cert_parse(&c, s.cert, s.cert_len);
	if (r < 0) {
		signing_wipe(&s);
		return r;
	}
	s.expires = c.expires;
	*ret = s;
	return 0;
}

int keys_make_onion(struct relay_keys *k, unsigned parts, int64_t now)
{
	if (parts & KEYS_PART_TAP) {
		struct rsa_key *tap;
		int r = rsa_generate(&tap, 8 * RSA1024_LEN);

		if (r < 0)
			return r;
		rsa_free(k->tap);
		k->tap = tap;
	}
	if (parts & KEYS_PART_NTOR) {
		secret_free(k->ntor);
		k->ntor = secret_new(NULL, X25519_LEN);
		x25519_keygen(secret_data_mut(k->ntor), k->ntor_public);
		k->onion_since = now;
	}
	return 0;
}

/*
 * On disk first, then in memory. The old ntor key is written before the new one
 * takes its place: whoever dies in between finds a pair of equal keys, or a TAP
 * key older than the ntor key, and both work.
 */
int keys_rotate_onion(struct relay_keys *k, int64_t now)
{
	struct relay_keys next = *k;
	int r;

	next.tap = NULL;
	next.ntor = NULL;
	next.ntor_old = k->ntor;
	r = keys_make_onion(&next, KEYS_PART_ONION, now);
	if (r == 0)
		r = key_save_rsa(k->dir, "secret_onion_key.old", k->tap);
	if (r == 0)
		r = keys_save(&next, k->dir, KEYS_PART_NTOR_OLD | KEYS_PART_ONION);
	if (r < 0) {
		rsa_free(next.tap);
		secret_free(next.ntor);
		return r;
	}
	rsa_free(k->tap);
	secret_free(k->ntor_old);
	*k = next;
	return 0;
}

bool keys_old_onion_in_use(const struct relay_keys *k, int64_t now)
{
	return k->ntor_old && now < k->onion_since + KEYS_ONION_USED_S;
}

static int forget_old_onion(struct relay_keys *k)
{
	int r;

	secret_free(k->ntor_old);
	k->ntor_old = NULL;
	r = file_remove_at(k->dir, "secret_onion_key_ntor.old");
	return r < 0 ? r : file_remove_at(k->dir, "secret_onion_key.old");
}

static int renew_signing(struct relay_keys *k, int64_t now)
{
	struct relay_keys next = *k;
	int r = keys_make_signing(&next.signing, k->master, k->ed_id, now + KEYS_SIGNING_LIFETIME_S);

	if (r < 0)
		return r;
	r = keys_save(&next, k->dir, KEYS_PART_SIGNING);
	signing_wipe(r < 0 ? &next.signing : &k->signing);
	if (r == 0)
		*k = next;
	return r;
}

/* With the master key elsewhere: has the operator brought a fresh signing key? */
static bool take_brought_signing(struct relay_keys *k, int64_t now)
{
	struct signing_key s;

	if (signing_load(&s, k->dir, k->ed_id, true, now) < 0)
		return false;
	if (s.expires <= k->signing.expires) {
		signing_wipe(&s);
		return false;
	}
	signing_wipe(&k->signing);
	k->signing = s;
	return true;
}

bool keys_take_signing(struct relay_keys *k, int64_t now, int *ret_changed)
{
	if (k->master || !take_brought_signing(k, now))
		return false;
	*ret_changed = KEYS_CHANGED_SIGNING;
	return true;
}

static int maintain_signing(struct relay_keys *k, int64_t now, int *changed)
{
	int r = 0;

	if (k->signing.expires - now >= KEYS_SIGNING_RENEW_S)
		return 0;
	if (k->master)
		r = renew_signing(k, now);
	else if (!take_brought_signing(k, now))
		return 0;
	if (r == 0)
		*changed |= KEYS_CHANGED_SIGNING;
	return r;
}

static int maintain_onion(struct relay_keys *k, int64_t now, int *changed)
{
	int r = 0;

	/* A clock that was ahead and has been set right must not put off the rotation. */
	if (k->onion_since > now)
		k->onion_since = now;
	if (now >= keys_onion_rotates(k)) {
		r = keys_rotate_onion(k, now);
		if (r == 0)
			*changed |= KEYS_CHANGED_ONION;
	} else if (k->ntor_old && now >= k->onion_since + KEYS_ONION_GRACE_S) {
		r = forget_old_onion(k);
		*changed |= KEYS_CHANGED_OLD_ONION;
	}
	return r;
}

int keys_maintain(struct relay_keys *k, int64_t now, int *ret_changed)
{
	int changed = 0;
	int signing = maintain_signing(k, now, &changed);
	int onion = maintain_onion(k, now, &changed);

	*ret_changed = changed;
	return signing < 0 ? signing : onion;
}

void keys_onion(struct onion_keys *ret, const struct relay_keys *k)
{
	*ret = (struct onion_keys){ .count = 1 };
	memcpy(ret->secret[0], secret_data(k->ntor), X25519_LEN);
	if (k->ntor_old) {
		memcpy(ret->secret[1], secret_data(k->ntor_old), X25519_LEN);
		ret->count = 2;
	}
}

/* -- link credentials ------------------------------------------------------- */

/* What CERTS bodies are put together from. */
struct link_certs {
	uint8_t *id_x509;
	size_t id_x509_len;
	uint8_t link[CERT_CAP], auth[CERT_CAP], cross[CROSSCERT_LEN];
	size_t link_len, auth_len, cross_len;
};

/* The TLS key and certificate. Not before a day of the last month: its date tells nothing. */
static int make_tls(struct link_keys *ret, int64_t now)
{
	int64_t start = (now / DAY - 1 - rand_below(30)) * DAY;
	uint8_t *key = NULL, *cert = NULL;
	size_t key_len = 0, cert_len = 0;
	int r;

	r = x509_make_link_cert(&key, &key_len, &cert, &cert_len, start, (90 + rand_below(275)) * DAY);
	if (r < 0)
		return r;
	r = ERR_TOO_LONG;
	if (key_len > sizeof(ret->tls_key) || cert_len > sizeof(ret->tls_cert))
		goto out;
	memcpy(ret->tls_key, key, key_len);
	memcpy(ret->tls_cert, cert, cert_len);
	ret->tls_key_len = (uint16_t)key_len;
	ret->tls_cert_len = (uint16_t)cert_len;
	r = 0;
out:
	secret_wipe(key, key_len);
	free(key);
	free(cert);
	return r;
}

static int certify(uint8_t out[CERT_CAP], size_t *ret_len, const struct relay_keys *k,
		   enum cert_type type, const uint8_t key[32], int64_t now)
{
	int64_t expires = now + KEYS_LINK_LIFETIME_S;
	const struct cert_request q = {
		.type = type, .key = key,
		.expires = expires < k->signing.expires ? expires : k->signing.expires,
		.signer_secret = secret_data(k->signing.secret),
		.signer_public = k->signing.public_key,
	};

	return cert_make(out, CERT_CAP, ret_len, &q);
}

static int make_certs(struct link_certs *c, const struct link_keys *l, const struct relay_keys *k, int64_t now)
{
	uint8_t digest[SHA256_LEN];
	int r;

	sha256(digest, l->tls_cert, l->tls_cert_len);
	r = certify(c->link, &c->link_len, k, CERT_LINK, digest, now);
	if (r == 0)
		r = certify(c->auth, &c->auth_len, k, CERT_AUTH, l->auth_public, now);
	if (r == 0)
		r = crosscert_make(c->cross, sizeof(c->cross), &c->cross_len, k->rsa, k->ed_id,
				   now + CROSSCERT_LIFETIME_S);
	if (r == 0)
		r = x509_make_rsa_id_cert(&c->id_x509, &c->id_x509_len, k->rsa, (now / DAY - 1) * DAY,
					  ID_CERT_LIFETIME_S);
	return r;
}

static int put_certs(uint8_t *out, uint16_t *ret_len, const struct relay_keys *k,
		     const struct link_certs *c, bool responder)
{
	const struct certs_entry entries[] = {
		{ CERT_X509_ID, c->id_x509, c->id_x509_len },
		{ CERT_SIGNING, k->signing.cert, k->signing.cert_len },
		responder ? (struct certs_entry){ CERT_LINK, c->link, c->link_len } :
			    (struct certs_entry){ CERT_AUTH, c->auth, c->auth_len },
		{ CERT_CROSS, c->cross, c->cross_len },
	};
	size_t len;
	int r;

	r = certs_build(out, LINK_CERTS_CAP, &len, entries, sizeof(entries) / sizeof(entries[0]));
	if (r == 0)
		*ret_len = (uint16_t)len;
	return r;
}

int keys_make_link(struct link_keys *ret, const struct relay_keys *k, int64_t now)
{
	struct link_keys l = { .auth_secret = { 0 } };
	struct link_certs c = { .id_x509 = NULL };
	int r;

	if (k->signing.expires < now)
		return ERR_EXPIRED;
	memcpy(l.rsa_id, k->rsa_id, sizeof(l.rsa_id));
	memcpy(l.rsa_id_sha256, k->rsa_id_sha256, sizeof(l.rsa_id_sha256));
	memcpy(l.ed_id, k->ed_id, sizeof(l.ed_id));
	ed25519_keygen(l.auth_secret, l.auth_public);
	r = make_tls(&l, now);
	if (r < 0)
		goto out;
	r = make_certs(&c, &l, k, now);
	if (r < 0)
		goto out;
	r = put_certs(l.responder_certs, &l.responder_certs_len, k, &c, true);
	if (r < 0)
		goto out;
	r = put_certs(l.initiator_certs, &l.initiator_certs_len, k, &c, false);
	if (r < 0)
		goto out;
	*ret = l;
out:
	secret_wipe(&l, sizeof(l));
	free(c.id_x509);
	return r;
}
