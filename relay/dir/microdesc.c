#include "config.h"

#include "microdesc.h"

#include <stdbool.h>
#include <string.h>

#include <nonos/crypto.h>
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
