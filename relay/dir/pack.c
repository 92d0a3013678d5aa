#include "config.h"

#include "pack.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/bytes.h>
#include <nonos/compress.h>
#include <nonos/dir_doc.h>
#include <nonos/mem.h>

#include "consensus.h"

enum { SLICE = 64 * 1024 };

static const enum coding codings[] = { CODING_DEFLATE, CODING_ZSTD };

enum { N_CODINGS = sizeof(codings) / sizeof(codings[0]) };

struct packed {
	uint8_t *p;
	size_t len, cap;
};

struct pack {
	struct consensus *c;
	size_t stage;			/* which coding; N_CODINGS: done */
	struct compressor *run;
	size_t at;			/* in the text */
	struct packed out[N_CODINGS];
};

struct pack *pack_new(struct consensus *c)
{
	struct pack *p = mem_new(sizeof(*p));

	p->c = consensus_ref(c);
	return p;
}

void pack_free(struct pack *p)
{
	if (!p)
		return;
	compress_free(p->run);
	for (size_t i = 0; i < N_CODINGS; i++)
		free(p->out[i].p);
	consensus_unref(p->c);
	free(p);
}

const struct consensus *pack_consensus(const struct pack *p)
{
	return p->c;
}

/* Compress `in` wholly, growing the output as it goes. */
static void add_slice(struct pack *p, struct rd *in, bool last)
{
	struct packed *out = &p->out[p->stage];
	size_t n, room;

	do {
		if (out->cap - out->len < SLICE / 2) {
			out->cap = out->cap ? out->cap * 2 : SLICE;
			out->p = mem_resize(out->p, out->cap, 1);
		}
		room = out->cap - out->len;
		n = compress_run(p->run, out->p + out->len, room, in, last);
		out->len += n;
	} while (n == room);
}

bool pack_step(struct pack *p)
{
	size_t n = p->c->len - p->at;
	bool last = n <= SLICE;
	struct rd in;

	if (p->stage == N_CODINGS)
		return true;
	if (!p->run)
		p->run = compress_new(codings[p->stage], EFFORT_STORE, p->c->len);
	if (!last)
		n = SLICE;
	in = rd_init(p->c->text + p->at, n);
	add_slice(p, &in, last);
	p->at += n;
	if (!last)
		return false;
	compress_free(p->run);
	p->run = NULL;
	p->at = 0;
	p->stage++;
	return p->stage == N_CODINGS;
}

int pack_build(int *ret_fd, const struct pack *p, const struct authority *authorities, unsigned signers)
{
	struct dir_entry entries[1 + N_CODINGS] = {
		{ .key = "plain", .data = (const uint8_t *)p->c->text, .len = p->c->len },
	};
	struct dir_doc_meta meta = {
		.kind = p->c->flavour == FLAVOUR_NS ? DIR_DOC_CONSENSUS_NS : DIR_DOC_CONSENSUS_MICRODESC,
		.valid_after = p->c->valid_after,
		.fresh_until = p->c->fresh_until,
		.valid_until = p->c->valid_until,
		.last_modified = p->c->valid_after,
	};

	for (size_t i = 0; i < N_CODINGS; i++) {
		struct dir_entry *e = &entries[1 + i];
		const char *name = coding_name(codings[i]);

		memcpy(e->key, name, strlen(name));
		e->data = p->out[i].p;
		e->len = p->out[i].len;
	}
	for (unsigned i = 0; i < AUTHORITIES_MAX; i++)
		if (signers & 1u << i)
			memcpy(meta.signers[meta.n_signers++], authorities[i].v3ident, 20);
	return dir_doc_build(ret_fd, &meta, entries, 1 + N_CODINGS);
}
