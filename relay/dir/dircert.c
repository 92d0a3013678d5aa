#include "config.h"

#include "dircert.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/mem.h>

#include "authority.h"
#include "dirtext.h"

static const char first_keyword[] = "dir-key-certificate-version";

enum { SIG_CAP = 512 };			/* RSA of 4096 bits */

/* Each item of a certificate occurs once; this is which were seen. */
enum cert_item {
	CERT_VERSION, CERT_ADDRESS, CERT_FINGERPRINT, CERT_IDENTITY, CERT_PUBLISHED, CERT_EXPIRES,
	CERT_SIGNING, CERT_CROSSCERT, CERT_CERTIFICATION, CERT_ITEMS
};

static const char *const item_names[CERT_ITEMS] = {
	[CERT_VERSION] = first_keyword, [CERT_ADDRESS] = "dir-address", [CERT_FINGERPRINT] = "fingerprint",
	[CERT_IDENTITY] = "dir-identity-key", [CERT_PUBLISHED] = "dir-key-published",
	[CERT_EXPIRES] = "dir-key-expires", [CERT_SIGNING] = "dir-signing-key",
	[CERT_CROSSCERT] = "dir-key-crosscert", [CERT_CERTIFICATION] = "dir-key-certification",
};

struct cert_parts {
	struct dir_item items[CERT_ITEMS];
	unsigned seen;
};

/* Walk the items: first the version, last the certification, none twice. */
static int split_items(struct cert_parts *parts, const char *text, size_t len)
{
	struct dirtext t = dirtext_init(text, len);
	struct dir_item it;
	int r, last = -1;

	parts->seen = 0;
	while ((r = dirtext_next(&t, &it)) == 0) {
		int i = 0;

		while (i < CERT_ITEMS && !dir_item_is(&it, item_names[i]))
			i++;
		if ((last == -1) != (i == CERT_VERSION) || last == CERT_CERTIFICATION)
			return ERR_MALFORMED;
		last = i;
		if (i == CERT_ITEMS)
			continue;
		if (parts->seen & 1u << i)
			return ERR_MALFORMED;
		parts->seen |= 1u << i;
		parts->items[i] = it;
	}
	if (r != ERR_NOT_FOUND)
		return r;
	return last == CERT_CERTIFICATION &&
	       (parts->seen | 1u << CERT_ADDRESS) == (1u << CERT_ITEMS) - 1 ? 0 : ERR_MALFORMED;
}

/* An RSA public key object and the SHA-1 of its DER, by which Tor names keys. */
static int take_key(struct rsa_key **ret, uint8_t digest[SHA1_LEN], const struct dir_item *it)
{
	uint8_t der[RSA_PUB_DER_CAP];
	struct rsa_key *key;
	size_t len;
	int r;

	r = dir_object(it, "RSA PUBLIC KEY", der, sizeof(der), &len);
	if (r < 0)
		return ERR_MALFORMED;
	r = rsa_public_from_der(&key, der, len);
	if (r < 0)
		return ERR_MALFORMED;
	if (rsa_bits(key) < 1024) {
		rsa_free(key);
		return ERR_MALFORMED;
	}
	sha1(digest, der, len);
	*ret = key;
	return 0;
}

static int check_signature(const struct dir_item *it, const char *label, const struct rsa_key *key,
			   const uint8_t digest[SHA1_LEN])
{
	uint8_t sig[SIG_CAP];
	size_t len;

	if (dir_object(it, label, sig, sizeof(sig), &len) < 0)
		return ERR_MALFORMED;
	return rsa_verify_raw(key, sig, len, digest, SHA1_LEN) < 0 ? ERR_AUTH : 0;
}

/* The armour of the cross-certificate says "ID SIGNATURE" or just "SIGNATURE". */
static int check_crosscert(const struct dir_item *it, const struct rsa_key *signing,
			   const uint8_t identity[SHA1_LEN])
{
	int r = check_signature(it, "ID SIGNATURE", signing, identity);

	return r == ERR_MALFORMED ? check_signature(it, "SIGNATURE", signing, identity) : r;
}

/* Signed is everything through the newline after "dir-key-certification". */
static int check_certification(const struct cert_parts *parts, const char *text,
			       const struct rsa_key *identity_key)
{
	const struct dir_item *it = &parts->items[CERT_CERTIFICATION];
	uint8_t digest[SHA1_LEN];

	if (!it->object.p)
		return ERR_MALFORMED;
	sha1(digest, text, (size_t)(it->object.p - text));
	return check_signature(it, "SIGNATURE", identity_key, digest);
}

static int check_header(struct cert_parts *parts, struct dircert *c)
{
	struct span version;
	int r;

	if (!dir_arg(&parts->items[CERT_VERSION], &version) || !span_eq(version, "3"))
		return ERR_UNSUPPORTED;
	r = dir_arg_time(&parts->items[CERT_PUBLISHED], &c->published);
	if (r == 0)
		r = dir_arg_time(&parts->items[CERT_EXPIRES], &c->expires);
	if (r == 0)
		r = dir_arg_hex(&parts->items[CERT_FINGERPRINT], c->identity, sizeof(c->identity));
	return r;
}

int dircert_parse(struct dircert **ret, const char *text, size_t len)
{
	struct rsa_key *identity_key = NULL;
	uint8_t identity[SHA1_LEN];
	struct cert_parts parts;
	struct dircert *c;
	int r;

	if (len > DIRCERT_LEN_MAX)
		return ERR_TOO_LONG;
	r = split_items(&parts, text, len);
	if (r < 0)
		return r;
	c = mem_new(sizeof(*c));
	r = check_header(&parts, c);
	if (r < 0)
		goto out;
	r = take_key(&identity_key, identity, &parts.items[CERT_IDENTITY]);
	if (r < 0)
		goto out;
	r = take_key(&c->signing_key, c->signing_digest, &parts.items[CERT_SIGNING]);
	if (r < 0)
		goto out;
	r = memcmp(identity, c->identity, sizeof(identity)) == 0 ? 0 : ERR_AUTH;
	if (r == 0)
		r = check_crosscert(&parts.items[CERT_CROSSCERT], c->signing_key, identity);
	if (r == 0)
		r = check_certification(&parts, text, identity_key);
	if (r < 0)
		goto out;
	c->text = mem_dup(text, len);
	c->len = len;
	*ret = c;
	c = NULL;
out:
	rsa_free(identity_key);
	dircert_free(c);
	return r;
}

void dircert_free(struct dircert *c)
{
	if (!c)
		return;
	rsa_free(c->signing_key);
	free(c->text);
	free(c);
}

void dircerts_clear(struct dircerts *set)
{
	for (size_t i = 0; i < set->n; i++)
		dircert_free(set->certs[i]);
	set->n = 0;
}

static void set_remove(struct dircerts *set, size_t i)
{
	dircert_free(set->certs[i]);
	set->certs[i] = set->certs[--set->n];
}

/* Insert; when the authority has its share already, the oldest gives way. */
static bool set_insert(struct dircerts *set, struct dircert *c)
{
	size_t count = 0, oldest = 0;

	for (size_t i = 0; i < set->n; i++) {
		if (memcmp(set->certs[i]->identity, c->identity, 20) != 0)
			continue;
		if (count++ == 0 || set->certs[i]->published < set->certs[oldest]->published)
			oldest = i;
	}
	if (count >= DIRCERTS_PER_AUTHORITY) {
		if (set->certs[oldest]->published >= c->published)
			return false;
		set_remove(set, oldest);
	}
	if (set->n == DIRCERTS_MAX)
		return false;
	set->certs[set->n++] = c;
	return true;
}

static int add_one(struct dircerts *set, const struct authority *authorities, size_t n_authorities,
		   const char *text, size_t len, int64_t now)
{
	struct dircert *c;
	int r = dircert_parse(&c, text, len);

	if (r < 0)
		return r;
	if (c->expires <= now)
		r = ERR_EXPIRED;
	else if (authority_find(authorities, n_authorities, c->identity) < 0)
		r = ERR_NOT_FOUND;
	else if (dircerts_find(set, c->identity, c->signing_digest) || !set_insert(set, c))
		r = ERR_EXISTS;
	if (r < 0)
		dircert_free(c);
	return r;
}

size_t dircerts_add(struct dircerts *set, const struct authority *authorities, size_t n_authorities,
		    const char *text, size_t len, int64_t now, size_t *ret_bad)
{
	const char *p = dir_find_line(text, len, first_keyword), *end = text + len;
	size_t added = 0, bad = 0;

	/* Each costs three RSA operations, so a text with too many is not read to its end. */
	for (size_t i = 0; p && i < DIRCERTS_MAX; i++) {
		const char *rest = p + sizeof(first_keyword) - 1;
		const char *nl = memchr(rest, '\n', (size_t)(end - rest));
		const char *next = nl ? dir_find_line(nl + 1, (size_t)(end - nl - 1), first_keyword) : NULL;
		int r = add_one(set, authorities, n_authorities, p, (size_t)((next ? next : end) - p), now);

		if (r == 0)
			added++;
		else if (r != ERR_EXPIRED && r != ERR_EXISTS && r != ERR_NOT_FOUND)
			bad++;
		p = next;
	}
	*ret_bad = bad;
	return added;
}

size_t dircerts_expire(struct dircerts *set, int64_t now)
{
	size_t gone = 0;

	for (size_t i = set->n; i-- > 0;) {
		if (set->certs[i]->expires <= now) {
			set_remove(set, i);
			gone++;
		}
	}
	return gone;
}

const struct dircert *dircerts_find(const struct dircerts *set, const uint8_t identity[20],
				    const uint8_t signing_digest[20])
{
	for (size_t i = 0; i < set->n; i++)
		if (memcmp(set->certs[i]->identity, identity, 20) == 0 &&
		    memcmp(set->certs[i]->signing_digest, signing_digest, 20) == 0)
			return set->certs[i];
	return NULL;
}

const struct dircert *dircerts_newest(const struct dircerts *set, const uint8_t identity[20])
{
	const struct dircert *best = NULL;

	for (size_t i = 0; i < set->n; i++)
		if (memcmp(set->certs[i]->identity, identity, 20) == 0 &&
		    (!best || set->certs[i]->published > best->published))
			best = set->certs[i];
	return best;
}
