#include "config.h"

#include "descriptor.h"

#include <string.h>

#include <nonos/addr.h>
#include <nonos/bytes.h>
#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/keys.h>

#include "../cert.h"

/* -- the shape of a document -------------------------------------------------- */

/* Items that may come at most once. Others are skipped (dir-spec 1.2). */
struct rule {
	const char *keyword;
	bool required;
	bool no_args;
};

enum server_field {
	S_ROUTER, S_IDENTITY, S_MASTER, S_BANDWIDTH, S_PUBLISHED, S_ONION_KEY, S_ONION_CROSSCERT,
	S_NTOR, S_NTOR_CROSSCERT, S_SIGNING_KEY, S_PROTO, S_SIG_ED, S_SIG_RSA,
	S_PLATFORM, S_FINGERPRINT, S_UPTIME, S_CONTACT, S_FAMILY, S_HIBERNATING, S_IPV6_POLICY,
	S_EXTRA_DIGEST, S_TUNNELLED, S_FIELDS
};

static const struct rule server_rules[S_FIELDS] = {
	[S_ROUTER] = { "router", true, false },
	[S_IDENTITY] = { "identity-ed25519", true, true },
	[S_MASTER] = { "master-key-ed25519", true, false },
	[S_BANDWIDTH] = { "bandwidth", true, false },
	[S_PUBLISHED] = { "published", true, false },
	[S_ONION_KEY] = { "onion-key", true, true },
	[S_ONION_CROSSCERT] = { "onion-key-crosscert", true, true },
	[S_NTOR] = { "ntor-onion-key", true, false },
	[S_NTOR_CROSSCERT] = { "ntor-onion-key-crosscert", true, false },
	[S_SIGNING_KEY] = { "signing-key", true, true },
	[S_PROTO] = { "proto", true, false },
	[S_SIG_ED] = { "router-sig-ed25519", true, false },
	[S_SIG_RSA] = { "router-signature", true, true },
	[S_PLATFORM] = { "platform", false, false },
	[S_FINGERPRINT] = { "fingerprint", false, false },
	[S_UPTIME] = { "uptime", false, false },
	[S_CONTACT] = { "contact", false, false },
	[S_FAMILY] = { "family", false, false },
	[S_HIBERNATING] = { "hibernating", false, false },
	[S_IPV6_POLICY] = { "ipv6-policy", false, false },
	[S_EXTRA_DIGEST] = { "extra-info-digest", false, false },
	[S_TUNNELLED] = { "tunnelled-dir-server", false, false },
};

enum extra_field { E_EXTRA_INFO, E_IDENTITY, E_PUBLISHED, E_SIG_ED, E_SIG_RSA, E_FIELDS };

static const struct rule extra_rules[E_FIELDS] = {
	[E_EXTRA_INFO] = { "extra-info", true, false },
	[E_IDENTITY] = { "identity-ed25519", true, true },
	[E_PUBLISHED] = { "published", true, false },
	[E_SIG_ED] = { "router-sig-ed25519", true, false },
	[E_SIG_RSA] = { "router-signature", true, true },
};

/* A document cut into its items; all borrowed. */
struct doc {
	const char *text;
	size_t len;			/* through the RSA signature */
	size_t rsa_len;			/* what that signs */
	size_t ed_len;			/* what the Ed25519 signature signs */
	unsigned policy_lines;
	size_t n_family_certs;
	struct dir_item family_certs[FAMILIES_MAX];
	struct dir_item items[S_FIELDS];	/* keyword.p NULL: not there */
};

/* Index of the rule for an item, or `n`. */
static size_t rule_find(const struct rule *rules, size_t n, const struct dir_item *it)
{
	size_t i = 0;

	while (i < n && !dir_item_is(it, rules[i].keyword))
		i++;
	return i;
}

/*
 * Rule 0 comes first, identity-ed25519 second, router-sig-ed25519 before
 * router-signature, which ends the document (dir-spec 2.1.1, 2.1.2).
 */
static int check_place(const struct dir_item *it, size_t rule, unsigned position, bool after_ed)
{
	bool is_end = dir_item_is(it, "router-signature");

	if ((rule == 0) != (position == 0) || after_ed != is_end)
		return ERR_MALFORMED;
	return (dir_item_is(it, "identity-ed25519")) == (position == 1) ? 0 : ERR_MALFORMED;
}

static int take_item(struct doc *d, const struct rule *rules, size_t i, const struct dir_item *it)
{
	if (d->items[i].keyword.p || (rules[i].no_args && it->args.len))
		return ERR_MALFORMED;
	d->items[i] = *it;
	return 0;
}

/* The one item that may come several times; more than this authorities refuse (proposal 321). */
static int take_family_cert(struct doc *d, const struct dir_item *it)
{
	if (d->n_family_certs == FAMILIES_MAX || it->args.len || !it->object.p)
		return ERR_MALFORMED;
	d->family_certs[d->n_family_certs++] = *it;
	return 0;
}

/* Both signatures cover the text from its start: how much of it? */
static int measure(struct doc *d, const struct dir_item *ed, const struct dir_item *rsa)
{
	if (!rsa->object.p || !ed->args.len || ed->keyword.p[ed->keyword.len] != ' ')
		return ERR_MALFORMED;
	d->ed_len = (size_t)(ed->start - d->text) + ed->keyword.len + 1;
	d->rsa_len = (size_t)(rsa->object.p - d->text);
	d->len = (size_t)(rsa->object.p + rsa->object.len - d->text);
	return 0;
}

static int doc_cut(struct doc *d, const struct rule *rules, size_t n_rules, size_t max,
		   const char *text, size_t len)
{
	struct dirtext t = dirtext_init(text, len < max ? len : max);
	struct dir_item it, ed = { .start = NULL };
	bool is_end = false;

	*d = (struct doc){ .text = text };
	for (unsigned position = 0; !is_end; position++) {
		int r = dirtext_next(&t, &it);
		size_t i;

		if (r < 0)
			return len > max ? ERR_TOO_LONG : ERR_MALFORMED;
		if (position == 0 && it.start != text)
			return ERR_MALFORMED;
		i = rule_find(rules, n_rules, &it);
		r = check_place(&it, i, position, ed.start != NULL);
		if (r == 0 && i < n_rules)
			r = take_item(d, rules, i, &it);
		if (r == 0 && dir_item_is(&it, "family-cert"))
			r = take_family_cert(d, &it);
		if (r < 0)
			return r;
		d->policy_lines += dir_item_is(&it, "accept") || dir_item_is(&it, "reject");
		if (dir_item_is(&it, "router-sig-ed25519"))
			ed = it;
		is_end = dir_item_is(&it, "router-signature");
	}
	for (size_t i = 0; i < n_rules; i++)
		if (rules[i].required && !d->items[i].keyword.p)
			return ERR_MALFORMED;
	return measure(d, &ed, &it);
}

static int server_cut(struct doc *d, const char *text, size_t len)
{
	int r = doc_cut(d, server_rules, S_FIELDS, DESCRIPTOR_MAX, text, len);

	/* Authorities list nobody without a policy line. */
	return r < 0 ? r : d->policy_lines ? 0 : ERR_MALFORMED;
}

/* -- fields -------------------------------------------------------------------- */

static int nickname_parse(struct dir_item *it, struct span *ret)
{
	struct span s;

	if (!dir_arg(it, &s) || s.len > 19)
		return ERR_MALFORMED;
	for (size_t i = 0; i < s.len; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
		      (s.p[i] >= '0' && s.p[i] <= '9')))
			return ERR_MALFORMED;
	*ret = s;
	return 0;
}

/* nickname, IPv4 address, OR port, SOCKS port, directory port */
static int router_parse(struct span *ret_nickname, const struct dir_item *router)
{
	struct dir_item it = *router;
	uint64_t or_port, unused;
	struct span ip;
	struct addr a;

	if (nickname_parse(&it, ret_nickname) < 0 || !dir_arg(&it, &ip) ||
	    addr_parse_ip(&a, ip.p, ip.len) < 0 || a.family != ADDR_V4 ||
	    dir_arg_u64(&it, &or_port, 65535) < 0 || dir_arg_u64(&it, &unused, 65535) < 0 ||
	    dir_arg_u64(&it, &unused, 65535) < 0)
		return ERR_MALFORMED;
	return or_port ? 0 : ERR_MALFORMED;
}

static int bandwidth_check(const struct dir_item *bandwidth)
{
	struct dir_item it = *bandwidth;
	uint64_t rate, burst, observed;

	if (dir_arg_u64(&it, &rate, UINT64_MAX) < 0 || dir_arg_u64(&it, &burst, UINT64_MAX) < 0 ||
	    dir_arg_u64(&it, &observed, UINT64_MAX) < 0)
		return ERR_MALFORMED;
	return rate && burst ? 0 : ERR_MALFORMED;
}

static int extra_digest_parse(struct descriptor_view *v, const struct dir_item *digest)
{
	struct dir_item it = *digest;

	if (!it.keyword.p)
		return 0;
	if (dir_arg_hex(&it, v->extra_sha1, sizeof(v->extra_sha1)) < 0)
		return ERR_MALFORMED;
	v->has_extra = true;
	v->has_extra_sha256 = it.args.len > 0;
	if (v->has_extra_sha256 && dir_arg_base64(&it, v->extra_sha256, sizeof(v->extra_sha256)) < 0)
		return ERR_MALFORMED;
	return 0;
}

static int key_object(uint8_t der[RSA_PUB_DER_CAP], size_t *ret_len, const struct dir_item *it)
{
	return dir_object(it, "RSA PUBLIC KEY", der, RSA_PUB_DER_CAP, ret_len);
}

/* Whose certificates the descriptor shows; whether they are good, families_check() tells. */
static int families_fill(struct descriptor_view *v, const struct doc *d)
{
	for (size_t i = 0; i < d->n_family_certs; i++) {
		uint8_t buf[2 * CERT_CAP];
		struct cert c;
		size_t len;

		if (dir_object(&d->family_certs[i], "FAMILY CERT", buf, sizeof(buf), &len) < 0 ||
		    cert_parse(&c, buf, len) < 0 || !c.signed_with)
			return ERR_MALFORMED;
		memcpy(v->families[v->n_families++], c.signed_with, FAMILY_ID_LEN);
	}
	return 0;
}

static int view_fill(struct descriptor_view *ret, const struct doc *d)
{
	struct descriptor_view v = { .text = { d->text, d->len } };
	struct dir_item master = d->items[S_MASTER], published = d->items[S_PUBLISHED];
	uint8_t der[RSA_PUB_DER_CAP];
	size_t der_len;

	if (router_parse(&v.nickname, &d->items[S_ROUTER]) < 0 ||
	    bandwidth_check(&d->items[S_BANDWIDTH]) < 0 ||
	    dir_arg_base64(&master, v.ed_id, sizeof(v.ed_id)) < 0 ||
	    dir_arg_time(&published, &v.published) < 0 ||
	    extra_digest_parse(&v, &d->items[S_EXTRA_DIGEST]) < 0 || families_fill(&v, d) < 0 ||
	    key_object(der, &der_len, &d->items[S_SIGNING_KEY]) < 0)
		return ERR_MALFORMED;
	sha1(v.rsa_id, der, der_len);
	sha1(v.digest, d->text, d->rsa_len);
	*ret = v;
	return 0;
}

int descriptor_parse(struct descriptor_view *ret, const char *text, size_t len)
{
	struct doc d;
	int r = server_cut(&d, text, len);

	return r < 0 ? r : view_fill(ret, &d);
}

/* -- signatures ------------------------------------------------------------------ */

static int cert_object(struct cert *ret, uint8_t buf[2 * CERT_CAP], const struct dir_item *it)
{
	size_t len;
	int r = dir_object(it, "ED25519 CERT", buf, 2 * CERT_CAP, &len);

	return r < 0 ? r : cert_parse(ret, buf, len);
}

/* The certificate names `ed_id`; the signing key in it signed the document. */
static int check_ed(const struct doc *d, const struct dir_item *identity, const struct dir_item *sig_item,
		    const uint8_t ed_id[32], int64_t now)
{
	uint8_t buf[2 * CERT_CAP], sig[ED25519_SIG_LEN], digest[SHA256_LEN];
	struct dir_item it = *sig_item;
	struct sha256_run s;
	struct cert c;
	int r;

	r = cert_object(&c, buf, identity);
	if (r < 0)
		return r;
	if (!c.signed_with || dir_arg_base64(&it, sig, sizeof(sig)) < 0)
		return ERR_MALFORMED;
	r = cert_check(&c, CERT_SIGNING, ed_id, now);
	if (r < 0)
		return r;
	sha256_run_init(&s);
	sha256_run_add(&s, DESCRIPTOR_ED_PREFIX, strlen(DESCRIPTOR_ED_PREFIX));
	sha256_run_add(&s, d->text, d->ed_len);
	sha256_run_peek(&s, digest);
	return ed25519_verify(c.key, sig, digest, sizeof(digest));
}

/* A key object as a key of 1024 bits. */
static int rsa_object(struct rsa_key **ret, const struct dir_item *it)
{
	uint8_t der[RSA_PUB_DER_CAP];
	struct rsa_key *k;
	size_t len;
	int r;

	r = key_object(der, &len, it);
	if (r == 0)
		r = rsa_public_from_der(&k, der, len);
	if (r < 0)
		return r;
	if (rsa_bits(k) != 8 * RSA1024_LEN) {
		rsa_free(k);
		return ERR_RANGE;
	}
	*ret = k;
	return 0;
}

/* Did the key in `key_item` sign `data`, as the object of `sig_item` says? */
static int check_rsa(const struct dir_item *key_item, const struct dir_item *sig_item, const char *label,
		     const void *data, size_t len)
{
	uint8_t sig[RSA1024_LEN];
	struct rsa_key *k = NULL;
	size_t sig_len;
	int r;

	r = dir_object(sig_item, label, sig, sizeof(sig), &sig_len);
	if (r == 0)
		r = rsa_object(&k, key_item);
	if (r < 0)
		return r;
	r = rsa_verify_raw(k, sig, sig_len, data, len);
	rsa_free(k);
	return r;
}

/* The TAP key vouches for both identities. More than these 52 bytes nobody signs. */
static int check_onion_crosscert(const struct doc *d, const struct descriptor_view *v)
{
	uint8_t both[20 + 32];

	memcpy(both, v->rsa_id, 20);
	memcpy(both + 20, v->ed_id, 32);
	return check_rsa(&d->items[S_ONION_KEY], &d->items[S_ONION_CROSSCERT], "CROSSCERT", both, sizeof(both));
}

/* So does the ntor key, as an Ed25519 key whose sign bit the line tells. */
static int check_ntor_crosscert(const struct doc *d, const struct descriptor_view *v, int64_t now)
{
	struct dir_item ntor = d->items[S_NTOR], cross = d->items[S_NTOR_CROSSCERT];
	uint8_t key[X25519_LEN], signer[ED25519_PUB_LEN], buf[2 * CERT_CAP];
	struct cert c;
	uint64_t bit;
	int r;

	if (dir_arg_base64(&ntor, key, sizeof(key)) < 0 || dir_arg_u64(&cross, &bit, 1) < 0)
		return ERR_MALFORMED;
	r = cert_object(&c, buf, &cross);
	if (r < 0)
		return r;
	r = ed25519_public_from_x25519(signer, key, (int)bit);
	if (r < 0)
		return r;
	if (memcmp(c.key, v->ed_id, sizeof(v->ed_id)) != 0)
		return ERR_MISMATCH;
	return cert_check(&c, CERT_NTOR, signer, now);
}

/* "fingerprint", where it is given: ten groups of four digits. */
static int check_fingerprint(const struct dir_item *fingerprint, const struct descriptor_view *v)
{
	struct dir_item it = *fingerprint;

	if (!it.keyword.p)
		return 0;
	for (int i = 0; i < 10; i++) {
		uint8_t two[2];

		if (dir_arg_hex(&it, two, 2) < 0)
			return ERR_MALFORMED;
		if (memcmp(two, v->rsa_id + 2 * i, 2) != 0)
			return ERR_MISMATCH;
	}
	return 0;
}

static int families_check(const struct doc *d, const struct descriptor_view *v, int64_t now)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->n_family_certs; i++) {
		uint8_t buf[2 * CERT_CAP], id[FAMILY_ID_LEN];
		size_t len;

		r = dir_object(&d->family_certs[i], "FAMILY CERT", buf, sizeof(buf), &len);
		if (r == 0)
			r = family_cert_check(id, buf, len, v->ed_id, now);
	}
	return r;
}

int descriptor_check(const char *text, size_t len, int64_t now)
{
	struct descriptor_view v;
	struct doc d;
	int r;

	r = server_cut(&d, text, len);
	if (r == 0)
		r = view_fill(&v, &d);
	for (size_t i = d.len; r == 0 && i < len; i++)
		if (text[i] != '\n')
			r = ERR_MALFORMED;
	if (r == 0)
		r = check_fingerprint(&d.items[S_FINGERPRINT], &v);
	if (r == 0)
		r = check_ed(&d, &d.items[S_IDENTITY], &d.items[S_SIG_ED], v.ed_id, now);
	if (r == 0)
		r = check_ntor_crosscert(&d, &v, now);
	if (r == 0)
		r = check_rsa(&d.items[S_SIGNING_KEY], &d.items[S_SIG_RSA], "SIGNATURE", v.digest, sizeof(v.digest));
	if (r == 0)
		r = check_onion_crosscert(&d, &v);
	if (r == 0)
		r = families_check(&d, &v, now);
	return r;
}

/* -- extra-info -------------------------------------------------------------------- */

static int extra_fill(struct extrainfo_view *ret, const struct doc *d)
{
	struct extrainfo_view v = { .text = { d->text, d->len } };
	struct dir_item name = d->items[E_EXTRA_INFO], published = d->items[E_PUBLISHED];

	if (nickname_parse(&name, &v.nickname) < 0 || dir_arg_hex(&name, v.rsa_id, sizeof(v.rsa_id)) < 0 ||
	    dir_arg_time(&published, &v.published) < 0)
		return ERR_MALFORMED;
	sha1(v.sha1, d->text, d->rsa_len);
	sha256(v.sha256, d->text, d->len);
	*ret = v;
	return 0;
}

int extrainfo_parse(struct extrainfo_view *ret, const char *text, size_t len)
{
	struct doc d;
	int r = doc_cut(&d, extra_rules, E_FIELDS, EXTRAINFO_MAX, text, len);

	return r < 0 ? r : extra_fill(ret, &d);
}

static bool extra_fits(const struct extrainfo_view *e, const struct descriptor_view *v)
{
	return v->has_extra && memcmp(e->sha1, v->extra_sha1, sizeof(e->sha1)) == 0 &&
	       (!v->has_extra_sha256 || memcmp(e->sha256, v->extra_sha256, sizeof(e->sha256)) == 0) &&
	       memcmp(e->rsa_id, v->rsa_id, sizeof(e->rsa_id)) == 0 && e->published == v->published;
}

int extrainfo_check(const char *text, size_t len, const char *descriptor, size_t descriptor_len, int64_t now)
{
	struct descriptor_view v;
	struct extrainfo_view e;
	struct doc d, server;
	int r;

	r = server_cut(&server, descriptor, descriptor_len);
	if (r == 0)
		r = view_fill(&v, &server);
	if (r == 0)
		r = doc_cut(&d, extra_rules, E_FIELDS, EXTRAINFO_MAX, text, len);
	if (r == 0)
		r = extra_fill(&e, &d);
	if (r < 0)
		return r;
	if (!extra_fits(&e, &v))
		return ERR_MISMATCH;
	r = check_ed(&d, &d.items[E_IDENTITY], &d.items[E_SIG_ED], v.ed_id, now);
	if (r < 0)
		return r;
	return check_rsa(&server.items[S_SIGNING_KEY], &d.items[E_SIG_RSA], "SIGNATURE", e.sha1, sizeof(e.sha1));
}
