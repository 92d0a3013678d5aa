/*
 * Making our server descriptor and extra-info document (dir-spec 2.1). The
 * order of items is that of tor; what must be there, authorities decide:
 * without TAP and ntor keys and their cross-certificates, a proto line,
 * bandwidths and a policy line nobody is listed.
 */
#include "config.h"

#include <nonos/keys.h>

#include <stdlib.h>
#include <string.h>

#include <nonos/bytes.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/family.h>
#include <nonos/mem.h>
#include <nonos/policy.h>
#include <nonos/secret.h>

#include "../keys_priv.h"
#include "descriptor.h"

/* The first proto line; what we do, no more. */
static const char proto_line[] =
	"Cons=1-2 Desc=1-2 DirCache=2 FlowCtrl=1-2 Link=4-5 LinkAuth=3 Microdesc=1-2 Relay=2-4";
static const char proto_line_nocache[] =
	"Cons=1-2 Desc=1-2 FlowCtrl=1-2 Link=4-5 LinkAuth=3 Microdesc=1-2 Relay=2-4";

enum {
	CONTACT_MAX = 1024,
	POLICY_MAX = 12000,
	BANDWIDTH_MAX = INT32_MAX,	/* bytes/s: fits a reader's 32 bits, with or without sign */
};

/* The end of the year 9999, the last that can be written. */
static const int64_t latest = 253402300799;

/* -- what is asked for ---------------------------------------------------------- */

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_nickname(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(s[i]))
			return false;
	return len >= 1 && len <= 19;
}

/* Length of the UTF-8 character at `p`, or 0. Neither overlong forms nor surrogates. */
static size_t utf8_len(const uint8_t *p)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
	uint32_t c = n > 1 ? p[0] & (0x7fu >> n) : p[0];

	for (size_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (n > 1 && (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)))
		return 0;
	return n;
}

/* One line of text: UTF-8, no control characters, something to see at its start. */
static bool is_line(const char *s)
{
	const uint8_t *p = (const uint8_t *)s;
	size_t len = strlen(s);

	if (len == 0 || len > CONTACT_MAX || *s == ' ')
		return false;
	while (*p) {
		size_t n = utf8_len(p);

		if (n == 0 || *p < 0x20 || *p == 0x7f || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0))
			return false;
		p += n;
	}
	return true;
}

/* "$" and 40 hex digits, or a nickname. */
static bool is_family_member(const char *s)
{
	uint8_t id[20];

	return *s == '$' ? hex_decode(id, sizeof(id), s + 1, strlen(s + 1)) == 0 : is_nickname(s, strlen(s));
}

static bool is_time(int64_t t)
{
	return t >= 0 && t <= latest;
}

static int facts_check(const struct descriptor_facts *f)
{
	if (!f->nickname || !is_nickname(f->nickname, strlen(f->nickname)))
		return ERR_RANGE;
	if (!f->platform || !is_line(f->platform) || (f->contact && !is_line(f->contact)))
		return ERR_RANGE;
	if (f->v4.family != ADDR_V4 || !f->v4.port)
		return ERR_RANGE;
	if (f->v6.family != ADDR_NONE && (f->v6.family != ADDR_V6 || !f->v6.port))
		return ERR_RANGE;
	if (!f->bandwidth_rate || !f->bandwidth_burst || !is_time(f->published))
		return ERR_RANGE;
	if (f->history_len && (!f->history_interval_s || !is_time(f->history_end)))
		return ERR_RANGE;
	for (size_t i = 0; f->family && f->family[i]; i++)
		if (!is_family_member(f->family[i]))
			return ERR_RANGE;
	return 0;
}

/* -- pieces --------------------------------------------------------------------- */

static void put_object(struct wr *w, const char *label, const void *data, size_t len)
{
	char text[PEM_CAP(RSA_PUB_DER_CAP)];

	wr_bytes(w, text, pem_encode(text, sizeof(text), label, data, len));
}

static void put_time(struct wr *w, const char *keyword, int64_t when)
{
	char text[DIR_TIME_LEN + 1];

	dir_time_format(text, when);
	wr_printf(w, "%s %s", keyword, text);
}

static int put_rsa_key(struct wr *w, const char *keyword, const struct rsa_key *k)
{
	uint8_t der[RSA_PUB_DER_CAP];
	size_t len;
	int r = rsa_public_der(der, sizeof(der), &len, k);

	if (r < 0)
		return r;
	wr_printf(w, "%s\n", keyword);
	put_object(w, "RSA PUBLIC KEY", der, len);
	return 0;
}

static void put_identity(struct wr *w, const struct relay_keys *k)
{
	wr_printf(w, "identity-ed25519\n");
	put_object(w, "ED25519 CERT", k->signing.cert, k->signing.cert_len);
}

static int put_rsa_signature(struct wr *w, const char *label, const struct rsa_key *k,
			     const void *data, size_t len)
{
	uint8_t sig[RSA1024_LEN];
	size_t sig_len;
	int r = rsa_sign_raw(sig, sizeof(sig), &sig_len, k, data, len);

	if (r < 0)
		return r;
	put_object(w, label, sig, sig_len);
	return 0;
}

/* Both signatures over what was written so far. */
static int put_signatures(struct wr *w, const struct relay_keys *k)
{
	char text[BASE64_CAP(ED25519_SIG_LEN)];
	uint8_t digest[SHA256_LEN], sig[ED25519_SIG_LEN];
	struct sha256_run s;

	wr_printf(w, "router-sig-ed25519 ");
	sha256_run_init(&s);
	sha256_run_add(&s, DESCRIPTOR_ED_PREFIX, strlen(DESCRIPTOR_ED_PREFIX));
	sha256_run_add(&s, w->start, wr_len(w));
	sha256_run_peek(&s, digest);
	ed25519_sign(sig, secret_data(k->signing.secret), k->signing.public_key, digest, sizeof(digest));
	base64_encode(text, sig, sizeof(sig), false);
	wr_printf(w, "%s\nrouter-signature\n", text);
	sha1(digest, w->start, wr_len(w));
	return put_rsa_signature(w, "SIGNATURE", k->rsa, digest, SHA1_LEN);
}

/* -- extra-info ------------------------------------------------------------------ */

static void put_history(struct wr *w, const char *keyword, const struct descriptor_facts *f,
			const uint64_t *history)
{
	if (!history || !f->history_len)
		return;
	put_time(w, keyword, f->history_end);
	wr_printf(w, " (%u s)", f->history_interval_s);
	for (size_t i = 0; i < f->history_len; i++)
		wr_printf(w, "%c%llu", i ? ',' : ' ', (unsigned long long)history[i]);
	wr_printf(w, "\n");
}

static int put_extrainfo(struct wr *w, const struct relay_keys *k, const struct descriptor_facts *f)
{
	char hex[2 * SHA1_LEN + 1];

	hex_encode_upper(hex, k->rsa_id, sizeof(k->rsa_id));
	wr_printf(w, "extra-info %s %s\n", f->nickname, hex);
	put_identity(w, k);
	put_time(w, "published", f->published);
	wr_printf(w, "\n");
	put_history(w, "write-history", f, f->write_history);
	put_history(w, "read-history", f, f->read_history);
	return put_signatures(w, k);
}

/* -- server descriptor ------------------------------------------------------------ */

/* The first digest is of the signed part, the second of everything (dir-spec 2.1.1). */
static int put_extra_digest(struct wr *w, const char *extra, size_t len)
{
	char hex[2 * SHA1_LEN + 1], base64[BASE64_CAP(SHA256_LEN)];
	struct extrainfo_view e;
	int r = extrainfo_parse(&e, extra, len);

	if (r < 0)
		return r;
	hex_encode_upper(hex, e.sha1, sizeof(e.sha1));
	base64_encode(base64, e.sha256, sizeof(e.sha256), false);
	wr_printf(w, "extra-info-digest %s %s\n", hex, base64);
	return 0;
}

static unsigned long long clip(uint64_t bandwidth)
{
	return bandwidth < BANDWIDTH_MAX ? bandwidth : BANDWIDTH_MAX;
}

static void put_head(struct wr *w, const struct relay_keys *k, const struct descriptor_facts *f)
{
	char ip[ADDR_TEXT_CAP], hex[2 * SHA1_LEN + 1], id[BASE64_CAP(ED25519_PUB_LEN)];

	wr_printf(w, "router %s %s %u 0 0\n", f->nickname, addr_format_ip(ip, &f->v4), f->v4.port);
	put_identity(w, k);
	base64_encode(id, k->ed_id, sizeof(k->ed_id), false);
	wr_printf(w, "master-key-ed25519 %s\n", id);
	if (f->v6.family == ADDR_V6)
		wr_printf(w, "or-address %s\n", addr_format(ip, &f->v6));
	wr_printf(w, "platform %s\nproto %s\n", f->platform,
		  f->dir_cache ? proto_line : proto_line_nocache);
	put_time(w, "published", f->published);
	wr_printf(w, "\nfingerprint");
	hex_encode_upper(hex, k->rsa_id, sizeof(k->rsa_id));
	for (size_t i = 0; i < 2 * SHA1_LEN; i += 4)
		wr_printf(w, " %.4s", hex + i);
	wr_printf(w, "\nuptime %llu\nbandwidth %llu %llu %llu\n", (unsigned long long)f->uptime_s,
		  clip(f->bandwidth_rate), clip(f->bandwidth_burst), clip(f->bandwidth_observed));
	if (f->hibernating)
		wr_printf(w, "hibernating 1\n");
}

/* The ntor key, as an Ed25519 key, certifies the identity (dir-spec, appendix C). */
static int put_ntor_crosscert(struct wr *w, const struct relay_keys *k, int64_t published)
{
	uint8_t secret[ED25519_EXPANDED_LEN], public_key[ED25519_PUB_LEN], cert[CERT_CAP];
	const struct cert_request q = {
		.type = CERT_NTOR, .key = k->ed_id, .expires = published + KEYS_ONION_LIFETIME_S,
		.signer_secret = secret, .signer_public = public_key,
	};
	size_t len;
	int sign, r;

	ed25519_from_x25519(secret, public_key, &sign, secret_data(k->ntor));
	r = cert_make(cert, sizeof(cert), &len, &q);
	secret_wipe(secret, sizeof(secret));
	if (r < 0)
		return r;
	wr_printf(w, "ntor-onion-key-crosscert %d\n", sign);
	put_object(w, "ED25519 CERT", cert, len);
	return 0;
}

static int put_keys(struct wr *w, const struct relay_keys *k, const struct descriptor_facts *f)
{
	char ntor[BASE64_CAP(X25519_LEN)];
	uint8_t both[20 + 32];
	int r;

	r = put_rsa_key(w, "onion-key", k->tap);
	if (r == 0)
		r = put_rsa_key(w, "signing-key", k->rsa);
	if (r < 0)
		return r;
	memcpy(both, k->rsa_id, 20);
	memcpy(both + 20, k->ed_id, 32);
	wr_printf(w, "onion-key-crosscert\n");
	r = put_rsa_signature(w, "CROSSCERT", k->tap, both, sizeof(both));
	if (r == 0)
		r = put_ntor_crosscert(w, k, f->published);
	if (r < 0)
		return r;
	base64_encode(ntor, k->ntor_public, sizeof(k->ntor_public), false);
	wr_printf(w, "ntor-onion-key %s\n", ntor);
	return 0;
}

static int put_policy(struct wr *w, const struct descriptor_facts *f)
{
	char *lines = mem_new(POLICY_MAX), summary[1024];
	struct policy *p = NULL;
	int r;

	r = policy_parse(&p, f->exit_policy ? f->exit_policy : "", NULL, 0);
	if (r < 0)
		goto out;
	/* What we refuse anyway, said in public: our own addresses and private ones. */
	if (!f->allow_private && !policy_rejects_everything(p)) {
		policy_reject_addr(p, &f->v4);
		if (f->v6.family == ADDR_V6)
			policy_reject_addr(p, &f->v6);
		policy_reject_private(p);
	}
	r = policy_descriptor_lines(lines, POLICY_MAX, p);
	if (r < 0)
		goto out;
	wr_bytes(w, lines, strlen(lines));
	/* Without an IPv6 address of our own there is no way out over IPv6. */
	if (f->v6.family == ADDR_V6) {
		r = policy_summary(summary, sizeof(summary), p, ADDR_V6);
		if (r == 0 && strcmp(summary, "reject 1-65535") != 0)
			wr_printf(w, "ipv6-policy %s\n", summary);
	}
out:
	policy_free(p);
	free(lines);
	return r;
}

static void put_family(struct wr *w, const struct descriptor_facts *f)
{
	if (!f->family || !f->family[0])
		return;
	wr_printf(w, "family");
	for (size_t i = 0; f->family[i]; i++)
		wr_printf(w, " %s", f->family[i]);
	wr_printf(w, "\n");
}

/* A fresh certificate in each descriptor, so that none grows old (proposal 321). */
static int put_family_certs(struct wr *w, const struct relay_keys *k, const struct descriptor_facts *f)
{
	for (size_t i = 0; i < families_count(f->families); i++) {
		uint8_t cert[CERT_CAP];
		size_t len;
		int r = families_certify(cert, sizeof(cert), &len, f->families, i, k->ed_id,
					 f->published + FAMILY_CERT_LIFETIME_S);

		if (r < 0)
			return r;
		wr_printf(w, "family-cert\n");
		put_object(w, "FAMILY CERT", cert, len);
	}
	return 0;
}

static int put_descriptor(struct wr *w, const struct relay_keys *k, const struct descriptor_facts *f,
			  const char *extra, size_t extra_len)
{
	int r;

	put_head(w, k, f);
	r = put_extra_digest(w, extra, extra_len);
	if (r == 0)
		r = put_keys(w, k, f);
	if (r < 0)
		return r;
	put_family(w, f);
	r = put_family_certs(w, k, f);
	if (r < 0)
		return r;
	if (f->contact)
		wr_printf(w, "contact %s\n", f->contact);
	r = put_policy(w, f);
	if (r < 0)
		return r;
	if (f->dir_cache)
		wr_printf(w, "tunnelled-dir-server\n");
	return put_signatures(w, k);
}

int descriptor_make(char **ret_descriptor, char **ret_extrainfo, const struct relay_keys *k,
		    const struct descriptor_facts *f)
{
	char *text = mem_new(DESCRIPTOR_MAX), *extra = mem_new(EXTRAINFO_MAX);
	struct wr w = wr_init(text, DESCRIPTOR_MAX), we = wr_init(extra, EXTRAINFO_MAX);
	int r;

	r = facts_check(f);
	if (r < 0)
		goto out;
	r = put_extrainfo(&we, k, f);
	if (r == 0)
		r = wr_done(&we);
	if (r < 0)
		goto out;
	r = put_descriptor(&w, k, f, extra, wr_len(&we));
	if (r == 0)
		r = wr_done(&w);
	if (r < 0)
		goto out;
	*ret_descriptor = mem_strndup(text, wr_len(&w));
	*ret_extrainfo = mem_strndup(extra, wr_len(&we));
out:
	free(text);
	free(extra);
	return r;
}
