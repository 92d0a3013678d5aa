/* Parsing and verification of consensuses; see consensus.h. */
#include "config.h"

#include "consensus.h"

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/mem.h>

#include "dircert.h"
#include "dirtext.h"

/* The parts of a consensus, in the order in which they must come. */
enum section { SECTION_HEAD, SECTION_ROUTERS, SECTION_FOOTER };

struct parser {
	struct consensus *c;
	enum section section;
	unsigned seen;			/* header items that occur once */
	size_t routers_cap;
	bool router_has_flags;
};

enum { SEEN_STATUS = 1, SEEN_AFTER = 2, SEEN_FRESH = 4, SEEN_UNTIL = 8, SEEN_PARAMS = 16, SEEN_NEEDED = 15 };

static const struct {
	const char *name;
	uint32_t flag;
} flag_names[] = {
	{ "Authority", FLAG_AUTHORITY }, { "BadExit", FLAG_BAD_EXIT }, { "Exit", FLAG_EXIT },
	{ "Fast", FLAG_FAST }, { "Guard", FLAG_GUARD }, { "HSDir", FLAG_HSDIR },
	{ "MiddleOnly", FLAG_MIDDLE_ONLY }, { "NoEdConsensus", FLAG_NO_ED_CONSENSUS },
	{ "Running", FLAG_RUNNING }, { "Stable", FLAG_STABLE }, { "StaleDesc", FLAG_STALE_DESC },
	{ "V2Dir", FLAG_V2DIR }, { "Valid", FLAG_VALID },
};

enum { N_FLAGS = sizeof(flag_names) / sizeof(flag_names[0]) };

const char *relay_flags_str(char *out, size_t cap, uint32_t flags)
{
	size_t at = 0;

	if (cap == 0)
		return out;
	out[0] = '\0';
	for (size_t i = 0; i < N_FLAGS; i++) {
		size_t n = strlen(flag_names[i].name);

		if (!(flags & flag_names[i].flag) || at + n + 2 > cap)
			continue;
		if (at)
			out[at++] = ' ';
		memcpy(out + at, flag_names[i].name, n + 1);
		at += n;
	}
	return out;
}

uint32_t relay_flag_parse(struct span s)
{
	for (size_t i = 0; i < N_FLAGS; i++)
		if (span_eq(s, flag_names[i].name))
			return flag_names[i].flag;
	return 0;
}

/* "network-status-version 3 [flavour]" must be the very first line. */
static int take_version(struct parser *p, struct dir_item *it)
{
	struct span version, flavour;

	if (!dir_item_is(it, "network-status-version") || it->start != p->c->text)
		return ERR_MALFORMED;
	if (!dir_arg(it, &version) || !span_eq(version, "3"))
		return ERR_UNSUPPORTED;
	if (!dir_arg(it, &flavour) || span_eq(flavour, "ns"))
		p->c->flavour = FLAVOUR_NS;
	else if (span_eq(flavour, "microdesc"))
		p->c->flavour = FLAVOUR_MICRODESC;
	else
		return ERR_UNSUPPORTED;
	return 0;
}

static int take_once(struct parser *p, unsigned bit)
{
	if (p->seen & bit)
		return ERR_MALFORMED;
	p->seen |= bit;
	return 0;
}

static int take_time(struct parser *p, unsigned bit, struct dir_item *it, int64_t *ret)
{
	int r = take_once(p, bit);

	return r < 0 ? r : dir_arg_time(it, ret);
}

static int take_head(struct parser *p, struct dir_item *it)
{
	struct consensus *c = p->c;
	struct span word;

	if (dir_item_is(it, "valid-after"))
		return take_time(p, SEEN_AFTER, it, &c->valid_after);
	if (dir_item_is(it, "fresh-until"))
		return take_time(p, SEEN_FRESH, it, &c->fresh_until);
	if (dir_item_is(it, "valid-until"))
		return take_time(p, SEEN_UNTIL, it, &c->valid_until);
	if (dir_item_is(it, "vote-status")) {
		if (!dir_arg(it, &word) || !span_eq(word, "consensus"))
			return ERR_MALFORMED;
		return take_once(p, SEEN_STATUS);
	}
	if (dir_item_is(it, "params")) {
		c->params_at = (uint32_t)(it->args.p - c->text);
		c->params_len = (uint32_t)it->args.len;
		return take_once(p, SEEN_PARAMS);
	}
	return 0;
}

/* The header is over: what must have been there, was; and the times make sense. */
static int end_head(struct parser *p)
{
	const struct consensus *c = p->c;

	if ((p->seen & SEEN_NEEDED) != SEEN_NEEDED)
		return ERR_MALFORMED;
	return c->valid_after < c->fresh_until && c->fresh_until < c->valid_until ? 0 : ERR_MALFORMED;
}

static struct consensus_router *new_router(struct parser *p)
{
	struct consensus *c = p->c;

	if (c->n_routers == p->routers_cap) {
		p->routers_cap = p->routers_cap ? p->routers_cap * 2 : 64;
		c->routers = mem_resize(c->routers, p->routers_cap, sizeof(*c->routers));
	}
	memset(&c->routers[c->n_routers], 0, sizeof(*c->routers));
	return &c->routers[c->n_routers++];
}

static int take_ip(struct dir_item *it, uint8_t ip[4])
{
	char text[INET_ADDRSTRLEN];
	struct span s;

	if (!dir_arg(it, &s) || s.len >= sizeof(text))
		return ERR_MALFORMED;
	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	return inet_pton(AF_INET, text, ip) == 1 ? 0 : ERR_MALFORMED;
}

/* "r" nickname identity [digest] date time IP ORPort DirPort; no digest in the microdesc flavour. */
static int take_router(struct parser *p, struct dir_item *it)
{
	struct consensus_router *rt = new_router(p);
	uint64_t or_port, dir_port;
	int64_t published;
	struct span nickname;

	p->router_has_flags = false;
	if (!dir_arg(it, &nickname) || dir_arg_base64(it, rt->rsa_id, sizeof(rt->rsa_id)) < 0)
		return ERR_MALFORMED;
	rt->name_at = (uint32_t)(nickname.p - p->c->text);
	rt->name_len = nickname.len <= 19 ? (uint8_t)nickname.len : 0;
	if (p->c->flavour == FLAVOUR_NS) {
		if (dir_arg_base64(it, rt->digest, SHA1_LEN) < 0)
			return ERR_MALFORMED;
		rt->has_digest = true;
	}
	if (dir_arg_time(it, &published) < 0 || take_ip(it, rt->ip) < 0 ||
	    dir_arg_u64(it, &or_port, 65535) < 0 || dir_arg_u64(it, &dir_port, 65535) < 0)
		return ERR_MALFORMED;
	rt->or_port = (uint16_t)or_port;
	rt->dir_port = (uint16_t)dir_port;
	/* Sorted, none twice: consensus_find() relies on it. */
	if (p->c->n_routers > 1 && memcmp(rt[-1].rsa_id, rt->rsa_id, sizeof(rt->rsa_id)) >= 0)
		return ERR_MALFORMED;
	return 0;
}

static int take_flags(struct parser *p, struct consensus_router *rt, struct dir_item *it)
{
	struct span word;

	if (p->router_has_flags)
		return ERR_MALFORMED;
	p->router_has_flags = true;
	while (dir_arg(it, &word))
		rt->flags |= relay_flag_parse(word);
	return 0;
}

static int take_weight(struct consensus_router *rt, struct dir_item *it)
{
	static const char prefix[] = "Bandwidth=";
	size_t n = sizeof(prefix) - 1;
	struct span word;
	uint64_t v;

	while (dir_arg(it, &word)) {
		if (span_eq(word, "Unmeasured=1"))
			rt->unmeasured = true;
		if (word.len <= n || memcmp(word.p, prefix, n) != 0)
			continue;
		if (span_u64((struct span){ word.p + n, word.len - n }, &v, UINT32_MAX) < 0)
			return ERR_MALFORMED;
		rt->weight = (uint32_t)v;
	}
	return 0;
}

static int take_router_item(struct parser *p, struct dir_item *it)
{
	struct consensus_router *rt;

	if (dir_item_is(it, "r"))
		return take_router(p, it);
	rt = &p->c->routers[p->c->n_routers - 1];
	if (dir_item_is(it, "s"))
		return take_flags(p, rt, it);
	if (dir_item_is(it, "w"))
		return take_weight(rt, it);
	if (dir_item_is(it, "m") && p->c->flavour == FLAVOUR_MICRODESC) {
		if (rt->has_digest || dir_arg_base64(it, rt->digest, SHA256_LEN) < 0)
			return ERR_MALFORMED;
		rt->has_digest = true;
	}
	return 0;
}

/* "directory-signature" [algorithm] identity signing-key-digest, then the signature. */
static int take_signature(struct parser *p, struct dir_item *it)
{
	static const char keyword[] = "directory-signature ";
	struct consensus *c = p->c;
	struct consensus_sig *sig;
	struct dir_item rest = *it;
	struct span word;

	if (!it->object.p || it->start[sizeof(keyword) - 2] != ' ')
		return ERR_MALFORMED;
	/* Signed is everything through the space after the first keyword. */
	if (!c->signed_len)
		c->signed_len = (size_t)(it->start - c->text) + sizeof(keyword) - 1;
	if (c->n_sigs == CONSENSUS_SIGS_MAX || !dir_arg(&rest, &word))
		return ERR_MALFORMED;
	sig = &c->sigs[c->n_sigs];
	sig->sha256 = span_eq(word, "sha256");
	if (sig->sha256 || span_eq(word, "sha1"))
		*it = rest;
	else if (word.len != 2 * SHA1_LEN)
		return 0;	/* an algorithm we do not know */
	if (dir_arg_hex(it, sig->identity, SHA1_LEN) < 0 || dir_arg_hex(it, sig->signing_digest, SHA1_LEN) < 0)
		return ERR_MALFORMED;
	sig->object_at = (uint32_t)(it->object.p - c->text);
	sig->object_len = (uint32_t)it->object.len;
	c->n_sigs++;
	return 0;
}

static int take_footer(struct parser *p, struct dir_item *it)
{
	if (dir_item_is(it, "directory-signature"))
		return take_signature(p, it);
	/* Signatures come last: nothing after the first may be anything else. */
	if (p->c->signed_len || dir_item_is(it, "r"))
		return ERR_MALFORMED;
	return 0;
}

static int enter_section(struct parser *p, const struct dir_item *it)
{
	enum section next = p->section;

	if (dir_item_is(it, "directory-footer") || dir_item_is(it, "directory-signature"))
		next = SECTION_FOOTER;
	else if (p->section == SECTION_HEAD && dir_item_is(it, "r"))
		next = SECTION_ROUTERS;
	if (p->section == SECTION_HEAD && next != SECTION_HEAD) {
		int r = end_head(p);

		if (r < 0)
			return r;
	}
	p->section = next;
	return 0;
}

static int take_item(struct parser *p, struct dir_item *it)
{
	int r = enter_section(p, it);

	if (r < 0)
		return r;
	switch (p->section) {
	case SECTION_HEAD:
		return take_head(p, it);
	case SECTION_ROUTERS:
		return take_router_item(p, it);
	case SECTION_FOOTER:
		return take_footer(p, it);
	}
	return ERR_STATE;
}

static int parse_text(struct parser *p)
{
	struct dirtext t = dirtext_init(p->c->text, p->c->len);
	struct dir_item it;
	int r;

	r = dirtext_next(&t, &it);
	if (r < 0)
		return ERR_MALFORMED;
	r = take_version(p, &it);
	while (r == 0) {
		r = dirtext_next(&t, &it);
		if (r == 0)
			r = take_item(p, &it);
	}
	if (r != ERR_NOT_FOUND)
		return r == ERR_UNSUPPORTED ? r : ERR_MALFORMED;
	return p->c->signed_len ? 0 : ERR_MALFORMED;
}

int consensus_parse(struct consensus **ret, const char *text, size_t len)
{
	struct parser p = { .section = SECTION_HEAD };
	struct consensus *c;
	int r;

	if (len > CONSENSUS_LEN_MAX)
		return ERR_TOO_LONG;
	c = mem_new(sizeof(*c));
	c->refs = 1;
	c->text = mem_dup(text, len);
	c->len = len;
	c->sigs = mem_new_array(CONSENSUS_SIGS_MAX, sizeof(*c->sigs));
	p.c = c;
	r = parse_text(&p);
	if (r < 0) {
		consensus_unref(c);
		return r;
	}
	sha1(c->sha1, c->text, c->signed_len);
	sha256(c->sha256, c->text, c->signed_len);
	*ret = c;
	return 0;
}

struct consensus *consensus_ref(struct consensus *c)
{
	c->refs++;
	return c;
}

void consensus_unref(struct consensus *c)
{
	if (!c || --c->refs)
		return;
	free(c->routers);
	free(c->sigs);
	free(c->text);
	free(c);
}

void consensus_nickname(char out[20], const struct consensus *c, const struct consensus_router *rt)
{
	memcpy(out, c->text + rt->name_at, rt->name_len);
	out[rt->name_len] = '\0';
}

int64_t consensus_interval(const struct consensus *c)
{
	return c->fresh_until - c->valid_after;
}

static int compare_router(const void *key, const void *elem)
{
	const struct consensus_router *rt = elem;

	return memcmp(key, rt->rsa_id, sizeof(rt->rsa_id));
}

const struct consensus_router *consensus_find(const struct consensus *c, const uint8_t rsa_id[20])
{
	if (c->n_routers == 0)
		return NULL;
	return bsearch(rsa_id, c->routers, c->n_routers, sizeof(*c->routers), compare_router);
}

static int check_sig(const struct consensus *c, const struct consensus_sig *sig, const struct rsa_key *key)
{
	struct dir_item it = { .object = { c->text + sig->object_at, sig->object_len } };
	uint8_t raw[512];
	size_t len;

	if (dir_object(&it, "SIGNATURE", raw, sizeof(raw), &len) < 0)
		return ERR_AUTH;
	return rsa_verify_raw(key, raw, len, sig->sha256 ? c->sha256 : c->sha1,
			      sig->sha256 ? SHA256_LEN : SHA1_LEN);
}

int consensus_verify(const struct consensus *c, const struct authority *authorities, size_t n_authorities,
		     const struct dircerts *certs, int64_t now, struct consensus_verdict *ret)
{
	struct consensus_verdict v = { 0 };

	for (size_t i = 0; i < c->n_sigs; i++) {
		const struct consensus_sig *sig = &c->sigs[i];
		int who = authority_find(authorities, n_authorities, sig->identity);
		const struct dircert *cert;

		/* A stranger's, or a second one of somebody who counts already. */
		if (who < 0 || v.good & 1u << who)
			continue;
		cert = dircerts_find(certs, sig->identity, sig->signing_digest);
		if (!cert || cert->expires <= now)
			v.unknown |= 1u << who;
		else if (check_sig(c, sig, cert->signing_key) == 0)
			v.good |= 1u << who;
		else
			v.bad |= 1u << who;
	}
	v.unknown &= ~v.good;
	v.n_good = (unsigned)__builtin_popcount(v.good);
	v.n_unknown = (unsigned)__builtin_popcount(v.unknown);
	*ret = v;
	if (v.n_good > n_authorities / 2)
		return 0;
	return v.n_good + v.n_unknown > n_authorities / 2 ? ERR_NOT_FOUND : ERR_AUTH;
}
