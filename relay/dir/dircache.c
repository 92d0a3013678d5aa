#include "config.h"

#include "dircache.h"

#include <nonos/err.h>

#include "microdesc.h"

void dircache_clear(struct dircache *dc)
{
	for (int f = 0; f < FLAVOURS; f++) {
		consensus_unref(dc->consensus[f]);
		dc->consensus[f] = NULL;
		docset_clear(&dc->docs[f]);
	}
	dircerts_clear(&dc->certs);
}

int dircache_accept(struct dircache *dc, struct consensus *c, int64_t now, struct consensus_verdict *ret)
{
	struct consensus **slot = &dc->consensus[c->flavour];
	int r;

	if (*slot && (*slot)->valid_after >= c->valid_after)
		return ERR_EXISTS;
	if (c->valid_until + CONSENSUS_GRACE_S < now)
		return ERR_EXPIRED;
	if (c->valid_after > now + CONSENSUS_EARLY_S)
		return ERR_NOT_YET;
	r = consensus_verify(c, dc->authorities, dc->n_authorities, &dc->certs, now, ret);
	if (r < 0)
		return r;
	consensus_unref(*slot);
	*slot = c;
	dc->verdict[c->flavour] = *ret;
	docset_list(&dc->docs[c->flavour], c);
	return 0;
}

const struct consensus *dircache_latest(const struct dircache *dc)
{
	const struct consensus *ns = dc->consensus[FLAVOUR_NS], *md = dc->consensus[FLAVOUR_MICRODESC];

	if (!ns || !md)
		return md ? md : ns;
	return ns->valid_after > md->valid_after ? ns : md;
}

bool dircache_take_docs(struct dircache *dc, enum consensus_flavour flavour, struct dirtext *t, size_t max,
			struct dircache_taken *ret)
{
	int (*next)(struct dirtext *, struct dir_piece *) = flavour == FLAVOUR_NS ? srvdesc_next : microdesc_next;
	struct dir_piece piece;

	for (size_t i = 0; i < max; i++) {
		int r = next(t, &piece);

		if (r == ERR_NOT_FOUND)
			return false;
		if (r == 0)
			r = docset_put(&dc->docs[flavour], piece.digest, piece.text.p, piece.text.len);
		if (r == 0)
			ret->added++;
		else if (r == ERR_NOT_FOUND || r == ERR_EXISTS || r == ERR_LIMIT)
			ret->unwanted++;
		else
			ret->bad++;
	}
	return true;
}

bool dircache_certs_complete(const struct dircache *dc)
{
	for (size_t i = 0; i < dc->n_authorities; i++)
		if (!dircerts_newest(&dc->certs, dc->authorities[i].v3ident))
			return false;
	return true;
}
