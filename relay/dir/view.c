/* What the directory knows of this relay, for who asks; see nonos/directory_view.h. */
#include "config.h"

#include <nonos/directory_view.h>

#include <stdlib.h>
#include <string.h>

#include <nonos/encode.h>
#include <nonos/mem.h>

#include "directory_priv.h"
#include "microdesc.h"

/* -- descriptor ------------------------------------------------------------------- */

void directory_descriptor(const struct directory *d, struct descriptor_status *ret)
{
	const struct publisher *p = &d->publisher;
	const struct consensus *ns = d->docs.consensus[FLAVOUR_NS];
	const struct consensus_router *rt = ns ? consensus_find(ns, d->own_id) : NULL;

	*ret = (struct descriptor_status){
		.descriptor = p->descriptor, .extrainfo = p->extrainfo, .made = p->made_at, .due = p->wanted,
		.reason = p->reason, .digest_known = rt != NULL,
	};
	memcpy(ret->digest, p->digest, sizeof(ret->digest));
	ret->is_listed = rt && p->descriptor && memcmp(rt->digest, p->digest, sizeof(p->digest)) == 0;
}

/* -- weight ------------------------------------------------------------------------- */

size_t directory_weights(const struct directory *d, struct weight_sample *out, size_t cap)
{
	const struct weights *w = &d->weights;
	size_t n = w->n < cap ? w->n : cap;

	memcpy(out, w->v + (w->n - n), n * sizeof(*out));
	return n;
}

bool directory_nickname(const struct directory *d, char out[20], const uint8_t rsa_id[20])
{
	const struct consensus *c = dircache_latest(&d->docs);
	const struct consensus_router *rt = c ? consensus_find(c, rsa_id) : NULL;

	if (rt)
		consensus_nickname(out, c, rt);
	return rt && out[0];
}

/* -- family --------------------------------------------------------------------------- */

static struct span microdesc_of(const struct directory *d, const struct consensus_router *rt)
{
	const struct doc *doc = rt && rt->has_digest ? docset_find(&d->docs.docs[FLAVOUR_MICRODESC], rt->digest) : NULL;

	return doc && doc->text ? (struct span){ doc->text, doc->len } : (struct span){ NULL, 0 };
}

static void take_ids(struct family_view *v, struct span ours)
{
	struct dir_item it;
	struct span s;

	if (!microdesc_line(&it, ours, "family-ids"))
		return;
	while (v->n_ids < FAMILY_KEYS_MAX && dir_arg(&it, &s)) {
		char *out = v->ids[v->n_ids];
		size_t len = s.len < sizeof(v->ids[0]) ? s.len : sizeof(v->ids[0]) - 1;

		for (size_t i = 0; i < len; i++)
			out[i] = s.p[i] > 0x20 && s.p[i] < 0x7f ? s.p[i] : '?';
		out[len] = '\0';
		v->n_ids += s.len == len;
	}
}

static bool shares_id(const struct family_view *v, struct span theirs)
{
	for (size_t i = 0; i < v->n_ids; i++)
		if (microdesc_has_word(theirs, "family-ids", v->ids[i]))
			return true;
	return false;
}

static const char *dollar_id(char out[42], const uint8_t rsa_id[20])
{
	out[0] = '$';
	hex_encode_upper(out + 1, rsa_id, 20);
	return out;
}

static bool counts(const struct family_member *m)
{
	return m->by_id || (m->we_list && m->lists_us);
}

static void judge(struct family_view *v, const struct directory *d, const struct consensus *c, struct span ours,
		  const struct consensus_router *rt)
{
	struct span theirs = microdesc_of(d, rt);
	struct family_member m = { .flags = rt->flags, .weight = rt->weight };
	char id[42];

	m.we_list = microdesc_has_word(ours, "family", dollar_id(id, rt->rsa_id));
	if (theirs.p) {
		m.by_id = shares_id(v, theirs);
		m.lists_us = microdesc_has_word(theirs, "family", dollar_id(id, d->own_id));
	}
	if ((!m.by_id && !m.we_list && !m.lists_us) || v->n_members == FAMILY_VIEW_MAX)
		return;
	memcpy(m.rsa_id, rt->rsa_id, sizeof(m.rsa_id));
	consensus_nickname(m.nickname, c, rt);
	v->members[v->n_members++] = m;
}

/* Those that count first, then by weight. */
static int compare_members(const void *a, const void *b)
{
	const struct family_member *x = a, *y = b;

	if (counts(x) != counts(y))
		return counts(x) ? -1 : 1;
	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return memcmp(x->rsa_id, y->rsa_id, sizeof(x->rsa_id));
}

void directory_family(const struct directory *d, struct family_view *ret)
{
	const struct consensus *c = d->docs.consensus[FLAVOUR_MICRODESC];
	struct span ours = microdesc_of(d, c ? consensus_find(c, d->own_id) : NULL);

	memset(ret, 0, sizeof(*ret));
	ret->members = mem_new_array(FAMILY_VIEW_MAX, sizeof(*ret->members));
	if (!ours.p)
		return;
	ret->known = true;
	take_ids(ret, ours);
	for (size_t i = 0; i < c->n_routers; i++)
		if (memcmp(c->routers[i].rsa_id, d->own_id, sizeof(d->own_id)) != 0)
			judge(ret, d, c, ours, &c->routers[i]);
	qsort(ret->members, ret->n_members, sizeof(*ret->members), compare_members);
}
