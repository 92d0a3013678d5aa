#include "config.h"

#include "microdesc.h"

#include <string.h>
#include <strings.h>

#include <nonos/crypto.h>
#include <nonos/encode.h>
#include <nonos/err.h>

/* Cut from the next line that begins with `keyword` to the one after it. */
static int cut_piece(struct dirtext *t, const char *keyword, struct span *ret)
{
	const char *start = dir_find_line(t->p, (size_t)(t->end - t->p), keyword), *rest, *stop;

	if (!start) {
		t->p = t->end;
		return ERR_NOT_FOUND;
	}
	rest = memchr(start, '\n', (size_t)(t->end - start));
	stop = rest ? dir_find_line(rest + 1, (size_t)(t->end - rest - 1), keyword) : NULL;
	if (!stop)
		stop = t->end;
	t->p = stop;
	*ret = (struct span){ start, (size_t)(stop - start) };
	if (ret->len > DIR_PIECE_MAX)
		return ERR_TOO_LONG;
	return start[ret->len - 1] == '\n' && !memchr(start, '\0', ret->len) ? 0 : ERR_MALFORMED;
}

/* A microdescriptor begins with "onion-key" (dir-spec 3.3), and all of it is hashed. */
int microdesc_next(struct dirtext *t, struct dir_piece *ret)
{
	struct span text;
	int r = cut_piece(t, "onion-key", &text);

	if (r < 0)
		return r;
	ret->text = text;
	sha256(ret->digest, text.p, text.len);
	return 0;
}

/* -- who runs the relay ------------------------------------------------------------ */

/* "$" and a fingerprint, perhaps followed by "=" or "~" and a nickname (dir-spec 2.1.1); false for anything else. */
static bool member_id(uint8_t ret[20], struct span word)
{
	if (word.len > 0 && word.p[0] == '$') {
		word.p++;
		word.len--;
	}
	if (word.len > 40 && (word.p[40] == '=' || word.p[40] == '~'))
		word.len = 40;
	return word.len == 40 && hex_decode(ret, 20, word.p, 40) == 0;
}

/* Put `id` in its place among `n` ascending ones; returns how many there are then. */
static size_t insert_id(uint8_t *ids, size_t n, size_t max, const uint8_t *id, size_t len)
{
	size_t at = n;

	while (at > 0 && memcmp(ids + (at - 1) * len, id, len) > 0)
		at--;
	if (n == max || (at > 0 && memcmp(ids + (at - 1) * len, id, len) == 0))
		return n;
	memmove(ids + (at + 1) * len, ids + at * len, (n - at) * len);
	memcpy(ids + at * len, id, len);
	return n + 1;
}

static void take_members(struct microdesc_facts *f, struct dir_item *it)
{
	struct span word;
	uint8_t id[20];

	while (dir_arg(it, &word))
		if (member_id(id, word))
			f->n_members = insert_id(f->members[0], f->n_members, FAMILY_MEMBERS_MAX, id, sizeof(id));
}

static void take_keys(struct microdesc_facts *f, struct dir_item *it)
{
	struct span word;
	uint8_t id[SHA256_LEN];

	while (dir_arg(it, &word)) {
		sha256(id, word.p, word.len);
		f->n_keys = insert_id(f->keys[0], f->n_keys, FAMILY_KEYS_MAX, id, sizeof(id));
	}
}

static int take_ed_id(struct microdesc_facts *f, struct dir_item *it)
{
	struct span word;

	if (!dir_arg(it, &word) || !span_eq(word, "ed25519"))
		return 0;
	if (f->has_ed_id || dir_arg_base64(it, f->ed_id, sizeof(f->ed_id)) < 0)
		return ERR_MALFORMED;
	f->has_ed_id = true;
	return 0;
}

int microdesc_read(struct microdesc_facts *ret, const char *text, size_t len)
{
	struct dirtext t = dirtext_init(text, len);
	struct dir_item it;
	int r;

	memset(ret, 0, sizeof(*ret));
	while ((r = dirtext_next(&t, &it)) == 0) {
		if (dir_item_is(&it, "family"))
			take_members(ret, &it);
		else if (dir_item_is(&it, "family-ids"))
			take_keys(ret, &it);
		else if (dir_item_is(&it, "id"))
			r = take_ed_id(ret, &it);
		if (r < 0)
			return r;
	}
	return r == ERR_NOT_FOUND ? 0 : ERR_MALFORMED;
}

/* -- descriptors -------------------------------------------------------------------- */

static int check_rsa(const struct dir_item *key_item, const struct dir_item *sig_item,
		     const uint8_t digest[SHA1_LEN])
{
	uint8_t der[RSA_PUB_DER_CAP], sig[RSA1024_LEN];
	size_t der_len, sig_len;
	struct rsa_key *key;
	int r;

	if (dir_object(key_item, "RSA PUBLIC KEY", der, sizeof(der), &der_len) < 0 ||
	    dir_object(sig_item, "SIGNATURE", sig, sizeof(sig), &sig_len) < 0 ||
	    rsa_public_from_der(&key, der, der_len) < 0)
		return ERR_MALFORMED;
	r = rsa_verify_raw(key, sig, sig_len, digest, SHA1_LEN);
	rsa_free(key);
	return r < 0 ? ERR_AUTH : 0;
}

/* The digest runs from "router" through the newline after "router-signature". */
int srvdesc_next(struct dirtext *t, struct dir_piece *ret)
{
	struct dir_item it, key = { .start = NULL };
	uint8_t digest[32] = { 0 };
	struct dirtext lines;
	struct span text;
	bool signed_yet = false;
	int r = cut_piece(t, "router", &text);

	if (r < 0)
		return r;
	lines = dirtext_init(text.p, text.len);
	while ((r = dirtext_next(&lines, &it)) == 0) {
		if (signed_yet)
			return ERR_MALFORMED;
		if (dir_item_is(&it, "signing-key") && !key.start)
			key = it;
		signed_yet = dir_item_is(&it, "router-signature");
		if (signed_yet) {
			if (!it.object.p || !key.start)
				return ERR_MALFORMED;
			sha1(digest, text.p, (size_t)(it.object.p - text.p));
			r = check_rsa(&key, &it, digest);
			if (r < 0)
				return r;
		}
	}
	if (r != ERR_NOT_FOUND || !signed_yet)
		return ERR_MALFORMED;
	ret->text = text;
	memcpy(ret->digest, digest, sizeof(digest));
	return 0;
}

bool microdesc_line(struct dir_item *ret, struct span text, const char *keyword)
{
	const char *line = dir_find_line(text.p, text.len, keyword);
	struct dirtext t;

	if (!line)
		return false;
	t = dirtext_init(line, text.len - (size_t)(line - text.p));
	return dirtext_next(&t, ret) == 0;
}

bool microdesc_has_word(struct span text, const char *keyword, const char *word)
{
	bool any_case = strcmp(keyword, "family") == 0;
	size_t len = strlen(word);
	struct dir_item it;
	struct span s;

	if (!microdesc_line(&it, text, keyword))
		return false;
	while (dir_arg(&it, &s))
		if (s.len == len && (any_case ? strncasecmp(s.p, word, len) : strncmp(s.p, word, len)) == 0)
			return true;
	return false;
}
