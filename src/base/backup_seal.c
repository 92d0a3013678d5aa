/* Backups encrypted and decrypted; the form is in <nonos/backup.h>. */
#include "config.h"

#include <nonos/backup.h>

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include <nonos/bytes.h>
#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/kdf.h>
#include <nonos/mem.h>
#include <nonos/rand.h>
#include <nonos/secret.h>

#include "backup_priv.h"

static const char magic[8] = { 'N', 'O', 'N', 'O', 'S', 'B', 'A', 'K' };

enum {
	FORMAT_VERSION = 1,
	CIPHER = 1,
	SALT_LEN = 16,
	STREAM_HEADER_LEN = 24,
	SUM_AT = 64, SUM_LEN = 8,
	MAC_AT = 72,
	HEAD_LEN = 104,
	KEY_LEN = 32,
	FRAME_LEN = 16384,
	FRAME_EXTRA = 17,
};

_Static_assert(STREAM_HEADER_LEN == crypto_secretstream_xchacha20poly1305_HEADERBYTES, "as in the format");
_Static_assert(FRAME_EXTRA == crypto_secretstream_xchacha20poly1305_ABYTES, "as in the format");
_Static_assert(KEY_LEN == crypto_secretstream_xchacha20poly1305_KEYBYTES, "as in the format");
_Static_assert((int)SALT_LEN == (int)KDF_ARGON2_SALT_LEN, "as in the format");

const struct backup_cost backup_cost_usual = { .kdf = BACKUP_ARGON2ID, .a = 3, .b = 256 << 10, .c = 1 };

struct head {
	struct backup_cost cost;
	uint8_t salt[SALT_LEN];
	uint8_t stream[STREAM_HEADER_LEN];
};

static int derive(struct secret **ret, const struct head *h, const void *pass, size_t pass_len)
{
	struct secret *keys = secret_new(NULL, 2 * KEY_LEN);
	uint8_t *out = secret_data_mut(keys);
	const struct backup_cost *c = &h->cost;
	int r = ERR_RANGE;

	if (c->kdf == BACKUP_SCRYPT)
		r = kdf_scrypt(out, 2 * KEY_LEN, pass, pass_len, h->salt, SALT_LEN, c->a, c->b, c->c);
	else if (c->c == 1)
		r = kdf_argon2id(out, 2 * KEY_LEN, pass, pass_len, h->salt, c->a, c->b);
	if (r < 0)
		secret_free(keys);
	else
		*ret = keys;
	return r;
}

/* -- the head ------------------------------------------------------------------ */

static void sum(uint8_t out[SUM_LEN], const uint8_t *head)
{
	uint8_t digest[SHA256_LEN];

	sha256(digest, head, SUM_AT);
	memcpy(out, digest, SUM_LEN);
}

static void write_head(uint8_t out[HEAD_LEN], const struct head *h, const struct secret *keys)
{
	struct wr w = wr_init(out, HEAD_LEN);

	wr_bytes(&w, magic, sizeof(magic));
	wr_u16(&w, FORMAT_VERSION);
	wr_u8(&w, (uint8_t)h->cost.kdf);
	wr_u8(&w, CIPHER);
	wr_u32(&w, h->cost.a);
	wr_u32(&w, h->cost.b);
	wr_u32(&w, h->cost.c);
	wr_bytes(&w, h->salt, SALT_LEN);
	wr_bytes(&w, h->stream, STREAM_HEADER_LEN);
	sum(out + SUM_AT, out);
	hmac_sha256(out + MAC_AT, secret_data(keys) + KEY_LEN, KEY_LEN, out, MAC_AT);
}

static int complain(char why[BACKUP_WHY_CAP], int code, const char *sentence)
{
	snprintf(why, BACKUP_WHY_CAP, "%s", sentence);
	return code;
}

static int read_head(struct head *ret, char why[BACKUP_WHY_CAP], const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	const uint8_t *found = rd_take(&r, sizeof(magic));
	uint8_t expected[SUM_LEN];
	struct head h;
	unsigned version, cipher;

	if (!found || memcmp(found, magic, sizeof(magic)) != 0)
		return complain(why, ERR_MALFORMED, "it is not a backup made by nonosctl");
	version = rd_u16(&r);
	if (version != FORMAT_VERSION && rd_ok(&r))
		return complain(why, ERR_UNSUPPORTED, "it is of another version than this program reads");
	h.cost.kdf = rd_u8(&r);
	cipher = rd_u8(&r);
	h.cost.a = rd_u32(&r);
	h.cost.b = rd_u32(&r);
	h.cost.c = rd_u32(&r);
	rd_copy(&r, h.salt, SALT_LEN);
	rd_copy(&r, h.stream, STREAM_HEADER_LEN);
	rd_take(&r, HEAD_LEN - SUM_AT + FRAME_EXTRA);
	if (!rd_ok(&r))
		return complain(why, ERR_CRYPTO, "it is cut short");
	sum(expected, data);
	if (memcmp(expected, data + SUM_AT, SUM_LEN) != 0)
		return complain(why, ERR_CRYPTO, "it is damaged: its first bytes are not as they were written");
	if ((h.cost.kdf != BACKUP_ARGON2ID && h.cost.kdf != BACKUP_SCRYPT) || cipher != CIPHER)
		return complain(why, ERR_UNSUPPORTED, "it is encrypted in a way that this program does not know");
	*ret = h;
	return 0;
}

/* -- frames ------------------------------------------------------------------------ */

/* The state holds keys. */
static crypto_secretstream_xchacha20poly1305_state *state_of(struct secret *s)
{
	return (void *)secret_data_mut(s);
}

static struct secret *state_new(void)
{
	return secret_new(NULL, sizeof(crypto_secretstream_xchacha20poly1305_state));
}

static void push_frames(uint8_t *out, struct secret *state, const uint8_t head[HEAD_LEN], const uint8_t *data, size_t len)
{
	for (size_t at = 0; ; at += FRAME_LEN) {
		size_t left = len - at, n = left < FRAME_LEN ? left : FRAME_LEN;
		bool last = left <= FRAME_LEN;

		crypto_secretstream_xchacha20poly1305_push(state_of(state), out, NULL, data + at, n, at ? NULL : head,
							   at ? 0 : HEAD_LEN,
							   last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0);
		out += n + FRAME_EXTRA;
		if (last)
			return;
	}
}

static size_t frames_len(size_t len)
{
	size_t frames = len ? (len + FRAME_LEN - 1) / FRAME_LEN : 1;

	return len + frames * FRAME_EXTRA;
}

/* `out` has room for all. */
static int pull_frames(uint8_t *out, size_t *ret_len, char why[BACKUP_WHY_CAP], struct secret *state,
		       const uint8_t *sealed, size_t len)
{
	const uint8_t *p = sealed + HEAD_LEN, *end = sealed + len;
	unsigned char tag = 0;
	size_t done = 0;

	while (p < end) {
		size_t n = (size_t)(end - p) < FRAME_LEN + FRAME_EXTRA ? (size_t)(end - p) : FRAME_LEN + FRAME_EXTRA;
		unsigned long long got;

		if (n < FRAME_EXTRA ||
		    crypto_secretstream_xchacha20poly1305_pull(state_of(state), out + done, &got, &tag, p, n,
							       done ? NULL : sealed, done ? 0 : HEAD_LEN) < 0)
			return complain(why, ERR_CRYPTO, "the pass phrase is right, but the file is damaged or cut short");
		done += (size_t)got;
		p += n;
		if (tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL)
			break;
	}
	if (tag != crypto_secretstream_xchacha20poly1305_TAG_FINAL)
		return complain(why, ERR_CRYPTO, "the pass phrase is right, but the file is cut short");
	if (p != end)
		return complain(why, ERR_CRYPTO, "something was added behind its end");
	*ret_len = done;
	return 0;
}

/* -- public ------------------------------------------------------------------------------ */

int backup_seal(uint8_t **ret, size_t *ret_len, const struct backup *b, const void *pass, size_t pass_len,
		const struct backup_cost *cost)
{
	struct head h = { .cost = *cost };
	struct secret *keys, *state, *text;
	uint8_t *out;
	size_t len;
	int r;

	rand_bytes(h.salt, sizeof(h.salt));
	r = derive(&keys, &h, pass, pass_len);
	if (r < 0)
		return r;
	text = backup_text(b);
	len = HEAD_LEN + frames_len(secret_len(text));
	out = mem_new(len);
	state = state_new();
	crypto_secretstream_xchacha20poly1305_init_push(state_of(state), h.stream, secret_data(keys));
	write_head(out, &h, keys);
	push_frames(out + HEAD_LEN, state, out, secret_data(text), secret_len(text));
	secret_free(state);
	secret_free(keys);
	secret_free(text);
	*ret = out;
	*ret_len = len;
	return 0;
}

static int open_frames(struct backup **ret, char why[BACKUP_WHY_CAP], const struct head *h, const struct secret *keys,
		       const uint8_t *sealed, size_t len)
{
	struct secret *state = state_new(), *text = secret_new(NULL, len);
	size_t text_len;
	int r = ERR_CRYPTO;

	if (crypto_secretstream_xchacha20poly1305_init_pull(state_of(state), h->stream, secret_data(keys)) == 0)
		r = pull_frames(secret_data_mut(text), &text_len, why, state, sealed, len);
	if (r == 0) {
		r = backup_parse(ret, secret_data(text), text_len);
		if (r < 0)
			complain(why, r, "what it holds is not what nonosctl puts there");
	}
	secret_free(state);
	secret_free(text);
	return r;
}

int backup_open(struct backup **ret, char why[BACKUP_WHY_CAP], const uint8_t *sealed, size_t len, const void *pass,
		size_t pass_len)
{
	uint8_t expected[SHA256_LEN];
	struct secret *keys;
	struct head h;
	int r = read_head(&h, why, sealed, len);

	if (r < 0)
		return r;
	if (len > BACKUP_SEALED_MAX)
		return complain(why, ERR_LIMIT, "it is larger than a backup can be");
	r = derive(&keys, &h, pass, pass_len);
	if (r == ERR_LIMIT)
		return complain(why, r, "there is not enough memory to make its key");
	if (r < 0)
		return complain(why, r, "making its key costs more than is allowed");
	hmac_sha256(expected, secret_data(keys) + KEY_LEN, KEY_LEN, sealed, MAC_AT);
	if (secret_eq(expected, sealed + MAC_AT, sizeof(expected)))
		r = open_frames(ret, why, &h, keys, sealed, len);
	else
		r = complain(why, ERR_AUTH, "wrong pass phrase");
	secret_free(keys);
	return r;
}
