/*
 * The ntor-v3 handshake (proposal 332), instantiated for circuits: SHA3-256,
 * SHAKE-256, AES-256-CTR. Names of values follow the proposal.
 */
#include "config.h"

#include "handshake.h"

#include <assert.h>
#include <string.h>

#include <nonos/bytes.h>
#include <nonos/err.h>
#include <nonos/secret.h>

#include "cell.h"
#include "handshake_priv.h"

#define PROTOID "ntor3-curve25519-sha3_256-1"
#define VERIFICATION "circuit extend"

enum {
	KEY_LEN = X25519_LEN,
	ID_LEN = ED25519_PUB_LEN,
	MAC_LEN = SHA3_256_LEN,
	ENC_KEY_LEN = 32,
	ONION_MAX = NTOR3_ONION_MIN + NTOR3_MSG_MAX,
	INPUT_CAP = 512 + CELL_BODY_LEN,	/* the longest hash input holds one message */
};

static void put_text(struct wr *w, const char *text)
{
	wr_bytes(w, text, strlen(text));
}

/* ENCAP(s): a length of 8 bytes, then s. */
static void put_encap(struct wr *w, const void *data, size_t len)
{
	wr_u64(w, len);
	wr_bytes(w, data, len);
}

/*
 * The input of one hash, MAC or key derivation: all three begin with their
 * tweak, ENCAP(PROTOID | name).
 */
static struct wr input_begin(uint8_t buf[INPUT_CAP], const char *tweak)
{
	struct wr w = wr_init(buf, INPUT_CAP);

	put_encap(&w, tweak, strlen(tweak));
	return w;
}

static void input_hash(uint8_t out[SHA3_256_LEN], const struct wr *w)
{
	assert(wr_done(w) == 0);
	sha3_256(out, w->start, wr_len(w));
}

static void input_stream(uint8_t *out, size_t len, const struct wr *w)
{
	assert(wr_done(w) == 0);
	shake256(out, len, w->start, wr_len(w));
}

/* ENC and DEC: AES-256-CTR with a counter of zero; each key is used once. */
static void crypt_once(uint8_t *out, const uint8_t key[ENC_KEY_LEN], const uint8_t *in, size_t len)
{
	struct aes_ctr *c = aes_ctr_new(key, ENC_KEY_LEN);

	aes_ctr_crypt(c, out, in, len);
	aes_ctr_free(c);
}

/* Keys of the client's message: ENC_K1, then MAC_K1. */
static void phase1_keys(uint8_t ret_keys[ENC_KEY_LEN + MAC_LEN], const struct ntor3_half *h)
{
	uint8_t buf[INPUT_CAP];
	struct wr w = input_begin(buf, PROTOID ":kdf_phase1");

	wr_bytes(&w, h->bx, KEY_LEN);
	wr_bytes(&w, h->id, ID_LEN);
	wr_bytes(&w, h->X, KEY_LEN);
	wr_bytes(&w, h->B, KEY_LEN);
	put_text(&w, PROTOID);
	put_encap(&w, h->verification, strlen(h->verification));
	input_stream(ret_keys, ENC_KEY_LEN + MAC_LEN, &w);
	secret_wipe(buf, sizeof(buf));
}

static void phase1_mac(uint8_t ret_mac[MAC_LEN], const uint8_t mac_key[MAC_LEN],
		       const struct ntor3_half *h, const uint8_t *encrypted, size_t len)
{
	uint8_t buf[INPUT_CAP];
	struct wr w = input_begin(buf, PROTOID ":msg_mac");

	put_encap(&w, mac_key, MAC_LEN);
	wr_bytes(&w, h->id, ID_LEN);
	wr_bytes(&w, h->B, KEY_LEN);
	wr_bytes(&w, h->X, KEY_LEN);
	wr_bytes(&w, encrypted, len);
	input_hash(ret_mac, &w);
	secret_wipe(buf, sizeof(buf));
}

/* What the second exchange yields. All secret. */
struct final {
	uint8_t verify[SHA3_256_LEN];
	uint8_t stream[ENC_KEY_LEN + NTOR3_KEYSTREAM_MAX];	/* ENC_KEY, KEYSTREAM */
};

static void put_secret_input(struct wr *w, const struct ntor3_half *h, const uint8_t xy[KEY_LEN],
			     const uint8_t Y[KEY_LEN])
{
	wr_bytes(w, xy, KEY_LEN);
	wr_bytes(w, h->bx, KEY_LEN);
	wr_bytes(w, h->id, ID_LEN);
	wr_bytes(w, h->B, KEY_LEN);
	wr_bytes(w, h->X, KEY_LEN);
	wr_bytes(w, Y, KEY_LEN);
	put_text(w, PROTOID);
	put_encap(w, h->verification, strlen(h->verification));
}

static void final_derive(struct final *f, size_t ks_len, const struct ntor3_half *h,
			 const uint8_t xy[KEY_LEN], const uint8_t Y[KEY_LEN])
{
	uint8_t buf[INPUT_CAP], seed[SHA3_256_LEN];
	struct wr w = input_begin(buf, PROTOID ":key_seed");

	assert(ks_len <= NTOR3_KEYSTREAM_MAX);
	put_secret_input(&w, h, xy, Y);
	input_hash(seed, &w);
	w = input_begin(buf, PROTOID ":verify");
	put_secret_input(&w, h, xy, Y);
	input_hash(f->verify, &w);
	w = input_begin(buf, PROTOID ":kdf_final");
	wr_bytes(&w, seed, sizeof(seed));
	input_stream(f->stream, ENC_KEY_LEN + ks_len, &w);
	secret_wipe(buf, sizeof(buf));
	secret_wipe(seed, sizeof(seed));
}

static void final_auth(uint8_t ret_auth[SHA3_256_LEN], const struct final *f,
		       const struct ntor3_half *h, const uint8_t Y[KEY_LEN],
		       const uint8_t client_mac[MAC_LEN], const uint8_t *encrypted, size_t len)
{
	uint8_t buf[INPUT_CAP];
	struct wr w = input_begin(buf, PROTOID ":auth_final");

	wr_bytes(&w, f->verify, sizeof(f->verify));
	wr_bytes(&w, h->id, ID_LEN);
	wr_bytes(&w, h->B, KEY_LEN);
	wr_bytes(&w, Y, KEY_LEN);
	wr_bytes(&w, h->X, KEY_LEN);
	wr_bytes(&w, client_mac, MAC_LEN);
	put_encap(&w, encrypted, len);
	put_text(&w, PROTOID "Server");
	input_hash(ret_auth, &w);
	secret_wipe(buf, sizeof(buf));
}

/* -- server -------------------------------------------------------------- */

/*
 * An unknown identity or onion key is refused before any curve operation: both
 * are public, so the time tells nothing, and refusing stays cheap.
 */
int ntor3_server_open(struct ntor3_half *half, uint8_t *msg, size_t *ret_msg_len,
		      const struct handshake_keys *keys, const char *verification,
		      const uint8_t *onion, size_t len)
{
	const uint8_t *id = onion, *B = id + ID_LEN, *X = B + KEY_LEN, *encrypted = X + KEY_LEN;
	uint8_t k1[ENC_KEY_LEN + MAC_LEN], mac[MAC_LEN];
	const struct x25519_key *b;
	size_t msg_len;
	int r = ERR_AUTH;

	if (len < NTOR3_ONION_MIN || len > ONION_MAX)
		return ERR_MALFORMED;
	msg_len = len - NTOR3_ONION_MIN;
	b = handshake_find_key(keys, B);
	if (!secret_eq(id, keys->ed_id, ID_LEN) || !b)
		return ERR_AUTH;
	*half = (struct ntor3_half){ .id = id, .B = B, .X = X, .verification = verification };
	if (x25519_key_exchange(half->bx, b, X) < 0)
		goto out;
	phase1_keys(k1, half);
	phase1_mac(mac, k1 + ENC_KEY_LEN, half, encrypted, msg_len);
	if (!secret_eq(mac, encrypted + msg_len, MAC_LEN))
		goto out;
	crypt_once(msg, k1, encrypted, msg_len);
	*ret_msg_len = msg_len;
	r = 0;
out:
	if (r < 0)
		secret_wipe(half, sizeof(*half));
	secret_wipe(k1, sizeof(k1));
	secret_wipe(mac, sizeof(mac));
	return r;
}

int ntor3_server_answer(uint8_t *reply, size_t *ret_reply_len, uint8_t *ret_ks, size_t ks_len,
			const struct ntor3_half *half, const uint8_t client_mac[32],
			const uint8_t y[32], const uint8_t Y[32], const uint8_t *msg, size_t msg_len)
{
	uint8_t *auth = reply + KEY_LEN, *encrypted = auth + SHA3_256_LEN;
	uint8_t xy[KEY_LEN];
	struct final f;
	int r = ERR_AUTH;

	if (msg_len > NTOR3_MSG_MAX)
		return ERR_TOO_LONG;
	if (x25519(xy, y, half->X) < 0)
		goto out;
	final_derive(&f, ks_len, half, xy, Y);
	memcpy(reply, Y, KEY_LEN);
	crypt_once(encrypted, f.stream, msg, msg_len);
	final_auth(auth, &f, half, Y, client_mac, encrypted, msg_len);
	memcpy(ret_ks, f.stream + ENC_KEY_LEN, ks_len);
	*ret_reply_len = NTOR3_REPLY_MIN + msg_len;
	r = 0;
out:
	secret_wipe(xy, sizeof(xy));
	secret_wipe(&f, sizeof(f));
	return r;
}

/* What the client asks for, cut down to what is on offer; and the reply's message for it. */
static int agree(struct circuit_params *p, uint8_t *ret_msg, size_t cap, size_t *ret_msg_len,
		 const uint8_t *msg, size_t msg_len)
{
	struct circuit_params asked;
	int r = ntor3_ext_parse_request(&asked, msg, msg_len);

	if (r < 0)
		return r;
	p->congestion_control = p->congestion_control && p->sendme_inc && asked.congestion_control;
	if (!p->congestion_control)
		p->sendme_inc = 0;
	return ntor3_ext_build_response(ret_msg, cap, ret_msg_len, p);
}

int ntor3_server(uint8_t *reply, size_t *ret_reply_len, struct circuit_keys *ret_keys,
		 struct circuit_params *params, const struct handshake_keys *keys,
		 const uint8_t *onion, size_t len)
{
	uint8_t msg[NTOR3_MSG_MAX], answer[HANDSHAKE_REPLY_CAP - NTOR3_REPLY_MIN], ks[CIRCUIT_KEYS_LEN];
	uint8_t y[KEY_LEN], Y[KEY_LEN];
	struct circuit_params agreed = *params;
	size_t msg_len, answer_len;
	struct ntor3_half half;
	int r = ntor3_server_open(&half, msg, &msg_len, keys, VERIFICATION, onion, len);

	if (r < 0)
		return r;
	r = agree(&agreed, answer, sizeof(answer), &answer_len, msg, msg_len);
	if (r < 0)
		goto out;
	x25519_keygen(y, Y);
	r = ntor3_server_answer(reply, ret_reply_len, ks, sizeof(ks), &half, onion + len - MAC_LEN,
				y, Y, answer, answer_len);
	if (r < 0)
		goto out;
	circuit_keys_set(ret_keys, ks);
	*params = agreed;
out:
	secret_wipe(&half, sizeof(half));
	secret_wipe(msg, sizeof(msg));
	secret_wipe(ks, sizeof(ks));
	secret_wipe(y, sizeof(y));
	return r;
}

/* -- client -------------------------------------------------------------- */

static struct ntor3_half client_half(const struct ntor3_client *s, const char *verification)
{
	struct ntor3_half h = {
		.id = s->ed_id, .B = s->onion_key, .X = s->X, .verification = verification,
	};

	memcpy(h.bx, s->bx, sizeof(h.bx));
	return h;
}

int ntor3_client_start_with(struct ntor3_client *s, uint8_t *onion, size_t cap, size_t *ret_len,
			    const uint8_t ed_id[32], const uint8_t onion_key[32],
			    const uint8_t *msg, size_t msg_len, const char *verification,
			    const uint8_t x[32], const uint8_t X[32])
{
	uint8_t k1[ENC_KEY_LEN + MAC_LEN], *encrypted = onion + ID_LEN + 2 * KEY_LEN;
	struct ntor3_half half;
	int r = ERR_CRYPTO;

	if (msg_len > NTOR3_MSG_MAX || cap < NTOR3_ONION_MIN + msg_len)
		return ERR_TOO_LONG;
	memcpy(s->ed_id, ed_id, sizeof(s->ed_id));
	memcpy(s->onion_key, onion_key, sizeof(s->onion_key));
	memcpy(s->x, x, sizeof(s->x));
	memcpy(s->X, X, sizeof(s->X));
	r = x25519(s->bx, s->x, s->onion_key);
	half = client_half(s, verification);
	if (r < 0)
		goto out;
	phase1_keys(k1, &half);
	memcpy(onion, ed_id, ID_LEN);
	memcpy(onion + ID_LEN, onion_key, KEY_LEN);
	memcpy(onion + ID_LEN + KEY_LEN, X, KEY_LEN);
	crypt_once(encrypted, k1, msg, msg_len);
	phase1_mac(s->msg_mac, k1 + ENC_KEY_LEN, &half, encrypted, msg_len);
	memcpy(encrypted + msg_len, s->msg_mac, MAC_LEN);
	*ret_len = NTOR3_ONION_MIN + msg_len;
out:
	if (r < 0)
		secret_wipe(s, sizeof(*s));
	secret_wipe(&half, sizeof(half));
	secret_wipe(k1, sizeof(k1));
	return r;
}

int ntor3_client_start(struct ntor3_client *s, uint8_t *onion, size_t cap, size_t *ret_len,
		       const uint8_t ed_id[32], const uint8_t onion_key[32],
		       const uint8_t *msg, size_t msg_len)
{
	uint8_t x[KEY_LEN], X[KEY_LEN];
	int r;

	x25519_keygen(x, X);
	r = ntor3_client_start_with(s, onion, cap, ret_len, ed_id, onion_key, msg, msg_len,
				    VERIFICATION, x, X);
	secret_wipe(x, sizeof(x));
	return r;
}

int ntor3_client_finish_with(uint8_t *ret_ks, size_t ks_len, uint8_t *ret_msg, size_t cap,
			     size_t *ret_msg_len, struct ntor3_client *s,
			     const uint8_t *reply, size_t len, const char *verification)
{
	const uint8_t *Y = reply, *auth = Y + KEY_LEN, *encrypted = auth + SHA3_256_LEN;
	struct ntor3_half half = client_half(s, verification);
	uint8_t xy[KEY_LEN], expected[SHA3_256_LEN];
	size_t msg_len = len - NTOR3_REPLY_MIN;
	struct final f;
	int r = ERR_AUTH;

	if (len < NTOR3_REPLY_MIN || msg_len > NTOR3_MSG_MAX) {
		r = ERR_MALFORMED;
		goto out;
	}
	if (msg_len > cap) {
		r = ERR_TOO_LONG;
		goto out;
	}
	if (x25519(xy, s->x, Y) < 0)
		goto out;
	final_derive(&f, ks_len, &half, xy, Y);
	final_auth(expected, &f, &half, Y, s->msg_mac, encrypted, msg_len);
	if (!secret_eq(expected, auth, sizeof(expected)))
		goto out;
	crypt_once(ret_msg, f.stream, encrypted, msg_len);
	memcpy(ret_ks, f.stream + ENC_KEY_LEN, ks_len);
	*ret_msg_len = msg_len;
	r = 0;
out:
	secret_wipe(&half, sizeof(half));
	secret_wipe(xy, sizeof(xy));
	secret_wipe(&f, sizeof(f));
	secret_wipe(expected, sizeof(expected));
	secret_wipe(s, sizeof(*s));
	return r;
}

int ntor3_client_finish(struct circuit_keys *ret_keys, uint8_t *ret_msg, size_t cap,
			size_t *ret_msg_len, struct ntor3_client *s,
			const uint8_t *reply, size_t len)
{
	uint8_t ks[CIRCUIT_KEYS_LEN];
	int r = ntor3_client_finish_with(ks, sizeof(ks), ret_msg, cap, ret_msg_len, s, reply, len,
					 VERIFICATION);

	if (r < 0)
		return r;
	circuit_keys_set(ret_keys, ks);
	secret_wipe(ks, sizeof(ks));
	return 0;
}
