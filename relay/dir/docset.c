#include "config.h"

#include "docset.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/mem.h>

#include "consensus.h"

void docset_clear(struct docset *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->docs[i].text);
	free(s->docs);
	*s = (struct docset){ 0 };
}

static int compare_doc(const void *a, const void *b)
{
	return memcmp(((const struct doc *)a)->digest, ((const struct doc *)b)->digest, 32);
}

struct doc *docset_find(const struct docset *s, const uint8_t digest[32])
{
	struct doc key;

	if (s->n == 0)
		return NULL;
	memcpy(key.digest, digest, sizeof(key.digest));
	return bsearch(&key, s->docs, s->n, sizeof(key), compare_doc);
}

/* Digests of the consensus, sorted, each once, into `docs`; returns how many. */
static size_t listed_docs(struct doc *docs, const struct consensus *c)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < c->n_routers; i++) {
		const struct consensus_router *rt = &c->routers[i];
		struct doc *d = &docs[n];

		if (!rt->has_digest)
			continue;
		memset(d, 0, sizeof(*d));
		memcpy(d->digest, rt->digest, sizeof(d->digest));
		memcpy(d->rsa_id, rt->rsa_id, sizeof(d->rsa_id));
		d->listed = true;
		d->last_listed = c->valid_after;
		n++;
	}
	if (n)
		qsort(docs, n, sizeof(*docs), compare_doc);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || compare_doc(&docs[kept - 1], &docs[i]) != 0)
			docs[kept++] = docs[i];
	return kept;
}

/* Whether what is not listed any more is worth keeping. */
static bool keep_old(const struct docset *s, const struct doc *old, int64_t now)
{
	return (old->text || old->named) && old->last_listed + DOCSET_KEEP_S > now && s->bytes <= DOCSET_BYTES_MAX;
}

static size_t count_named(const struct docset *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->docs[i].named;
	return n;
}

void docset_list(struct docset *s, const struct consensus *c)
{
	struct doc *docs = mem_new_array(c->n_routers + s->n, sizeof(*docs));
	size_t n_listed = listed_docs(docs, c), n = n_listed;
	struct docset fresh = { .docs = docs, .n = n_listed };

	s->n_missing = n_listed;
	for (size_t i = 0; i < s->n; i++) {
		struct doc *old = &s->docs[i], *now = docset_find(&fresh, old->digest);

		if (now) {
			now->text = old->text;
			now->len = old->len;
			now->busy = old->busy;
			s->n_missing -= old->text != NULL;
		} else if (keep_old(s, old, c->valid_after)) {
			docs[n] = *old;
			docs[n].listed = false;
			if (old->named)
				docs[n].asked = 0;
			n++;
		} else {
			s->bytes -= old->len;
			free(old->text);
		}
	}
	if (n > n_listed)
		qsort(docs, n, sizeof(*docs), compare_doc);
	free(s->docs);
	s->docs = docs;
	s->n = n;
	s->n_listed = n_listed;
	s->n_named = count_named(s);
}

int docset_name(struct docset *s, const uint8_t digest[32], int64_t now)
{
	struct doc *d = docset_find(s, digest);
	size_t at = 0;

	if (d && (d->text || d->listed || d->named))
		return ERR_EXISTS;
	if (s->n_named >= DOCSET_NAMED_MAX)
		return ERR_LIMIT;
	if (!d) {
		s->docs = mem_resize(s->docs, s->n + 1, sizeof(*s->docs));
		while (at < s->n && memcmp(s->docs[at].digest, digest, 32) < 0)
			at++;
		d = &s->docs[at];
		memmove(d + 1, d, (s->n - at) * sizeof(*d));
		memset(d, 0, sizeof(*d));
		memcpy(d->digest, digest, sizeof(d->digest));
		s->n++;
	}
	d->named = true;
	d->last_listed = now;
	s->n_named++;
	return 0;
}

static void set_text(struct docset *s, struct doc *d, const char *text, size_t len)
{
	d->text = mem_dup(text, len);
	d->len = (uint32_t)len;
	s->bytes += len;
}

int docset_put(struct docset *s, const uint8_t digest[32], const char *text, size_t len)
{
	struct doc *d = docset_find(s, digest);

	if (!d)
		return ERR_NOT_FOUND;
	if (d->text)
		return ERR_EXISTS;
	if (s->bytes + len > DOCSET_BYTES_MAX)
		return ERR_LIMIT;
	set_text(s, d, text, len);
	if (d->listed)
		s->n_missing--;
	if (d->named)
		s->n_named--;
	d->named = false;
	return 0;
}

size_t docset_want(struct docset *s, unsigned who, uint8_t (*ret)[32], size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n && n < cap; i++) {
		struct doc *d = &s->docs[i];

		if (!(d->listed || d->named) || d->text || d->busy || d->asked & 1u << who)
			continue;
		d->busy = true;
		memcpy(ret[n++], d->digest, sizeof(d->digest));
	}
	return n;
}

void docset_asked(struct docset *s, unsigned who, const uint8_t (*digests)[32], size_t n, bool answered)
{
	for (size_t i = 0; i < n; i++) {
		struct doc *d = docset_find(s, digests[i]);

		if (!d)
			continue;
		d->busy = false;
		if (answered && !d->text)
			d->asked |= 1u << who;
	}
}
