#include "config.h"

#include <nonos/note.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/bytes.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/mem.h>

static const char dash[] = "\xe2\x80\x94 ";	/* U+2014 and a blank start a signature line */

enum { TIME_LEN = 8, SIG_CAP = 4 + TIME_LEN + ED25519_SIG_LEN };

/* -- keys ------------------------------------------------------------------------ */

static bool name_is_good(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '+')
			return false;
	return len > 0 && len < NOTE_NAME_CAP;
}

int note_key_make(struct note_key *ret, const char *name, enum note_alg alg, const uint8_t public_key[ED25519_PUB_LEN])
{
	struct note_key k = { .alg = alg };
	uint8_t middle[2] = { '\n', (uint8_t)alg }, hash[SHA256_LEN];
	struct sha256_run run;

	if (!name_is_good(name, strlen(name)))
		return ERR_MALFORMED;
	memcpy(k.name, name, strlen(name));
	memcpy(k.public_key, public_key, sizeof(k.public_key));
	sha256_run_init(&run);
	sha256_run_add(&run, name, strlen(name));
	sha256_run_add(&run, middle, sizeof(middle));
	sha256_run_add(&run, public_key, ED25519_PUB_LEN);
	sha256_run_peek(&run, hash);
	memcpy(k.id, hash, sizeof(k.id));
	*ret = k;
	return 0;
}

int note_key_parse(struct note_key *ret, const char *text, size_t len)
{
	const char *plus = memchr(text, '+', len);
	size_t name_len = plus ? (size_t)(plus - text) : 0;
	uint8_t id[4], key[1 + ED25519_PUB_LEN];
	char name[NOTE_NAME_CAP] = "";
	struct note_key k;
	int r;

	if (!plus || !name_is_good(text, name_len) || len != name_len + 10 + BASE64_CAP(sizeof(key)) - 1 || plus[9] != '+' ||
	    hex_decode(id, sizeof(id), plus + 1, 8) < 0 ||
	    base64_decode_exact(key, sizeof(key), plus + 10, len - name_len - 10) < 0)
		return ERR_MALFORMED;
	if (key[0] != NOTE_ED25519 && key[0] != NOTE_COSIGNATURE)
		return ERR_UNSUPPORTED;
	memcpy(name, text, name_len);
	r = note_key_make(&k, name, key[0], key + 1);
	if (r < 0)
		return r;
	if (memcmp(k.id, id, sizeof(id)) != 0)
		return ERR_MISMATCH;
	*ret = k;
	return 0;
}

void note_key_text(char out[NOTE_VKEY_CAP], const struct note_key *k)
{
	uint8_t key[1 + ED25519_PUB_LEN] = { (uint8_t)k->alg };
	char id[9], base64[BASE64_CAP(sizeof(key))];

	memcpy(key + 1, k->public_key, ED25519_PUB_LEN);
	hex_encode(id, k->id, sizeof(k->id));
	base64_encode(base64, key, sizeof(key), true);
	snprintf(out, NOTE_VKEY_CAP, "%s+%s+%s", k->name, id, base64);
}

/* -- taking apart ---------------------------------------------------------------- */

/* Length of the UTF-8 character at `p`, 0 when it is none (Unicode, table 3-7). */
static size_t utf8_len(const unsigned char *p, size_t left)
{
	size_t len = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 :
		     *p >= 0xf0 && *p < 0xf5 ? 4 : 0;

	if (len == 0 || len > left)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
	    (*p == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

/* UTF-8 without control characters but line ends. */
static bool is_plain_text(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t step;

	for (size_t i = 0; i < len; i += step) {
		step = utf8_len(p + i, len - i);
		if (step == 0 || (p[i] < 0x20 && p[i] != '\n'))
			return false;
	}
	return true;
}

/* `line` is without its line end. */
static int parse_line(struct note_sig *ret, const char *line, size_t len)
{
	size_t start = sizeof(dash) - 1;
	const char *blank;

	if (len < start || memcmp(line, dash, start) != 0)
		return ERR_MALFORMED;
	ret->name = line + start;
	blank = memchr(ret->name, ' ', len - start);
	if (!blank)
		return ERR_MALFORMED;
	ret->name_len = (size_t)(blank - ret->name);
	ret->base64 = blank + 1;
	ret->base64_len = len - start - ret->name_len - 1;
	if (ret->name_len == 0 || memchr(ret->name, '+', ret->name_len) || ret->base64_len < 8 || ret->base64_len % 4)
		return ERR_MALFORMED;
	return 0;
}

/* The text ends at the last blank line: no signature line is empty. */
static size_t text_length(const char *data, size_t len)
{
	for (size_t i = len - 1; i > 1; i--)
		if (data[i - 1] == '\n' && data[i - 2] == '\n')
			return i - 1;
	return 0;
}

int note_parse(struct note *ret, const char *data, size_t len)
{
	struct note n = { .text = data };
	const char *p, *end = data + len, *eol;
	int r;

	if (len > NOTE_LEN_MAX)
		return ERR_TOO_LONG;
	if (len < 4 || end[-1] != '\n' || !is_plain_text(data, len))
		return ERR_MALFORMED;
	n.text_len = text_length(data, len);
	if (n.text_len == 0)
		return ERR_MALFORMED;
	for (p = data + n.text_len + 1; p < end; p = eol + 1) {
		eol = memchr(p, '\n', (size_t)(end - p));
		if (n.n_sigs == NOTE_SIGS_MAX)
			return ERR_TOO_LONG;
		r = parse_line(&n.sigs[n.n_sigs++], p, (size_t)(eol - p));
		if (r < 0)
			return r;
	}
	if (n.n_sigs == 0)
		return ERR_MALFORMED;
	*ret = n;
	return 0;
}

/* -- signatures ------------------------------------------------------------------ */

/* What a witness signs: the time it vouches for, then the text (C2SP tlog-cosignature). */
static char *cosigned_message(size_t *ret_len, uint64_t time_s, const char *text, size_t text_len)
{
	char head[64];
	size_t head_len = (size_t)snprintf(head, sizeof(head), "cosignature/v1\ntime %llu\n", (unsigned long long)time_s);
	char *m = mem_new(head_len + text_len);

	memcpy(m, head, head_len);
	memcpy(m + head_len, text, text_len);
	*ret_len = head_len + text_len;
	return m;
}

static int verify_sig(const struct note *n, const struct note_key *k, const uint8_t *sig, size_t len, uint64_t *ret_time_s)
{
	struct rd r = rd_init(sig, len);
	uint64_t time_s = k->alg == NOTE_COSIGNATURE ? rd_u64(&r) : 0;
	const uint8_t *ed = rd_take(&r, ED25519_SIG_LEN);
	size_t message_len;
	char *message;
	int err;

	if (rd_done(&r) < 0)
		return ERR_AUTH;
	if (k->alg == NOTE_ED25519) {
		err = ed25519_verify(k->public_key, ed, n->text, n->text_len);
	} else {
		message = cosigned_message(&message_len, time_s, n->text, n->text_len);
		err = ed25519_verify(k->public_key, ed, message, message_len);
		free(message);
	}
	if (err == 0 && ret_time_s)
		*ret_time_s = time_s;
	return err;
}

int note_verify(const struct note *n, const struct note_key *k, uint64_t *ret_time_s)
{
	size_t name_len = strlen(k->name), len;
	uint8_t sig[SIG_CAP], id[6];

	for (size_t i = 0; i < n->n_sigs; i++) {
		const struct note_sig *s = &n->sigs[i];

		if (s->name_len != name_len || memcmp(s->name, k->name, name_len) != 0)
			continue;
		/* The id is in the first characters; lines of another length than ours can be anyone's. */
		if (base64_decode(id, sizeof(id), &len, s->base64, 8) < 0 || len < 4 || memcmp(id, k->id, 4) != 0)
			continue;
		if (base64_decode(sig, sizeof(sig), &len, s->base64, s->base64_len) < 0)
			return ERR_AUTH;
		return verify_sig(n, k, sig + 4, len - 4, ret_time_s);
	}
	return ERR_NOT_FOUND;
}

size_t note_sign(char out[NOTE_LINE_CAP], const struct note_key *k, const uint8_t expanded[ED25519_EXPANDED_LEN],
		 const char *text, size_t text_len, uint64_t time_s)
{
	uint8_t sig[SIG_CAP], *ed;
	char base64[BASE64_CAP(SIG_CAP)], *message;
	struct wr w = wr_init(sig, sizeof(sig));
	size_t message_len;

	wr_bytes(&w, k->id, sizeof(k->id));
	if (k->alg == NOTE_COSIGNATURE) {
		wr_u64(&w, time_s);
		ed = wr_reserve(&w, ED25519_SIG_LEN);
		message = cosigned_message(&message_len, time_s, text, text_len);
		ed25519_sign(ed, expanded, k->public_key, message, message_len);
		free(message);
	} else {
		ed = wr_reserve(&w, ED25519_SIG_LEN);
		ed25519_sign(ed, expanded, k->public_key, text, text_len);
	}
	base64_encode(base64, sig, wr_len(&w), true);
	return (size_t)snprintf(out, NOTE_LINE_CAP, "%s%s %s\n", dash, k->name, base64);
}
