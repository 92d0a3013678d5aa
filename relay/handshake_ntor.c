/* The ntor handshake (tor-spec 5.1.4). Names of values follow the specification. */
#include "config.h"

#include "handshake.h"

#include <string.h>

#include <nonos/bytes.h>
#include <nonos/err.h>
#include <nonos/secret.h>

#include "handshake_priv.h"

#define PROTOID "ntor-curve25519-sha256-1"

enum {
	PROTOID_LEN = sizeof(PROTOID) - 1,
	ID_LEN = 20,
	KEY_LEN = X25519_LEN,
	SECRET_INPUT_LEN = 2 * KEY_LEN + ID_LEN + 3 * KEY_LEN + PROTOID_LEN,
	AUTH_INPUT_LEN = SHA256_LEN + ID_LEN + 3 * KEY_LEN + PROTOID_LEN + 6,
};

/* All that goes into the key derivation. The first two are secret. */
struct ntor_input {
	uint8_t xy[KEY_LEN];
	uint8_t xb[KEY_LEN];
	const uint8_t *id, *B, *X, *Y;	/* borrowed */
};

static void put_protoid(struct wr *w)
{
	wr_bytes(w, PROTOID, PROTOID_LEN);
}

static void secret_input(uint8_t out[SECRET_INPUT_LEN], const struct ntor_input *in)
{
	struct wr w = wr_init(out, SECRET_INPUT_LEN);

	wr_bytes(&w, in->xy, KEY_LEN);
	wr_bytes(&w, in->xb, KEY_LEN);
	wr_bytes(&w, in->id, ID_LEN);
	wr_bytes(&w, in->B, KEY_LEN);
	wr_bytes(&w, in->X, KEY_LEN);
	wr_bytes(&w, in->Y, KEY_LEN);
	put_protoid(&w);
}

static void auth_input(uint8_t out[AUTH_INPUT_LEN], const uint8_t verify[SHA256_LEN],
		       const struct ntor_input *in)
{
	struct wr w = wr_init(out, AUTH_INPUT_LEN);

	wr_bytes(&w, verify, SHA256_LEN);
	wr_bytes(&w, in->id, ID_LEN);
	wr_bytes(&w, in->B, KEY_LEN);
	wr_bytes(&w, in->Y, KEY_LEN);
	wr_bytes(&w, in->X, KEY_LEN);
	put_protoid(&w);
	wr_bytes(&w, "Server", 6);
}

/* AUTH, and the keys: HKDF-SHA256, of which KH and what follows is not used here (5.2.2). */
static void derive(uint8_t ret_auth[SHA256_LEN], struct circuit_keys *ret_keys,
		   const struct ntor_input *in)
{
	static const char t_mac[] = PROTOID ":mac", t_key[] = PROTOID ":key_extract",
			  t_verify[] = PROTOID ":verify", m_expand[] = PROTOID ":key_expand";
	uint8_t secret[SECRET_INPUT_LEN], auth[AUTH_INPUT_LEN];
	uint8_t verify[SHA256_LEN], keys[CIRCUIT_KEYS_LEN];

	secret_input(secret, in);
	hmac_sha256(verify, t_verify, sizeof(t_verify) - 1, secret, sizeof(secret));
	auth_input(auth, verify, in);
	hmac_sha256(ret_auth, t_mac, sizeof(t_mac) - 1, auth, sizeof(auth));
	hkdf_sha256(keys, sizeof(keys), t_key, sizeof(t_key) - 1, secret, sizeof(secret),
		    m_expand, sizeof(m_expand) - 1);
	circuit_keys_set(ret_keys, keys);
	secret_wipe(secret, sizeof(secret));
	secret_wipe(auth, sizeof(auth));
	secret_wipe(verify, sizeof(verify));
	secret_wipe(keys, sizeof(keys));
}

/*
 * An unknown identity or onion key is refused before any curve operation: both
 * are public, so the time tells nothing, and refusing stays cheap.
 */
int ntor_server_answer(uint8_t *reply, size_t *ret_reply_len, struct circuit_keys *ret_keys,
		       const struct handshake_keys *keys, const uint8_t *onion, size_t len,
		       const uint8_t y[32], const uint8_t Y[32])
{
	const uint8_t *id = onion, *B = onion + ID_LEN, *X = B + KEY_LEN;
	const struct x25519_key *b;
	struct ntor_input in;
	int r = ERR_AUTH;

	if (len != NTOR_ONION_LEN)
		return ERR_MALFORMED;
	b = handshake_find_key(keys, B);
	if (!secret_eq(id, keys->rsa_id, ID_LEN) || !b)
		return ERR_AUTH;
	in = (struct ntor_input){ .id = id, .B = B, .X = X, .Y = Y };
	if (x25519_key_exchange(in.xb, b, X) < 0 || x25519(in.xy, y, X) < 0)
		goto out;
	derive(reply + KEY_LEN, ret_keys, &in);
	memcpy(reply, Y, KEY_LEN);
	*ret_reply_len = NTOR_REPLY_LEN;
	r = 0;
out:
	secret_wipe(&in, sizeof(in));
	return r;
}

int ntor_server(uint8_t *reply, size_t *ret_reply_len, struct circuit_keys *ret_keys,
		const struct handshake_keys *keys, const uint8_t *onion, size_t len)
{
	uint8_t y[KEY_LEN], Y[KEY_LEN];
	int r;

	x25519_keygen(y, Y);
	r = ntor_server_answer(reply, ret_reply_len, ret_keys, keys, onion, len, y, Y);
	secret_wipe(y, sizeof(y));
	return r;
}

void ntor_client_start_with(struct ntor_client *s, uint8_t onion[NTOR_ONION_LEN],
			    const uint8_t rsa_id[20], const uint8_t onion_key[32],
			    const uint8_t x[32], const uint8_t X[32])
{
	memcpy(s->rsa_id, rsa_id, sizeof(s->rsa_id));
	memcpy(s->onion_key, onion_key, sizeof(s->onion_key));
	memcpy(s->x, x, sizeof(s->x));
	memcpy(s->X, X, sizeof(s->X));
	memcpy(onion, rsa_id, ID_LEN);
	memcpy(onion + ID_LEN, onion_key, KEY_LEN);
	memcpy(onion + ID_LEN + KEY_LEN, X, KEY_LEN);
}

void ntor_client_start(struct ntor_client *s, uint8_t onion[NTOR_ONION_LEN],
		       const uint8_t rsa_id[20], const uint8_t onion_key[32])
{
	uint8_t x[KEY_LEN], X[KEY_LEN];

	x25519_keygen(x, X);
	ntor_client_start_with(s, onion, rsa_id, onion_key, x, X);
	secret_wipe(x, sizeof(x));
}

int ntor_client_finish(struct circuit_keys *ret_keys, struct ntor_client *s,
		       const uint8_t *reply, size_t len)
{
	struct ntor_input in = { .id = s->rsa_id, .B = s->onion_key, .X = s->X, .Y = reply };
	struct circuit_keys keys = { .df = { 0 } };
	uint8_t auth[SHA256_LEN];
	int r = ERR_AUTH;

	if (len != NTOR_REPLY_LEN) {
		r = ERR_MALFORMED;
		goto out;
	}
	if (x25519(in.xy, s->x, reply) < 0 || x25519(in.xb, s->x, s->onion_key) < 0)
		goto out;
	derive(auth, &keys, &in);
	if (!secret_eq(auth, reply + KEY_LEN, sizeof(auth)))
		goto out;
	*ret_keys = keys;
	r = 0;
out:
	secret_wipe(&in, sizeof(in));
	secret_wipe(&keys, sizeof(keys));
	secret_wipe(s, sizeof(*s));
	return r;
}
