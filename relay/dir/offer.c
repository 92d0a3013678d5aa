/*
 * Hands documents to the workers when they changed (hooks.document): collected
 * for a moment, because batches of them arrive together, then built into a
 * sealed memfd. Consensuses are compressed here first, in slices.
 */
#include "config.h"

#include "directory_priv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/dir_doc.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>

#include "pack.h"

enum {
	SETTLE_MS = 250,
	BUSY_MS = 3000,			/* while more of the same is on its way */
	HOLD_MAX_MS = 60000,
};

static void arm(struct directory *d, unsigned ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	if (!evtimer_pending(d->offers.timer, NULL))
		evtimer_add(d->offers.timer, &tv);
}

static unsigned settle_ms(const struct directory *d)
{
	bool busy = fetch_docs_busy(d, FLAVOUR_NS) || fetch_docs_busy(d, FLAVOUR_MICRODESC);

	return busy && !d->test_network ? BUSY_MS : SETTLE_MS;
}

void offer_changed(struct directory *d, enum dir_doc kind)
{
	if (!d->cache && kind != DIR_DOC_OWN && kind != DIR_DOC_RELAYS)
		return;
	d->offers.dirty |= 1u << kind;
	arm(d, settle_ms(d));
}

/*
 * A client that gets a new consensus from us asks us next for what it lists,
 * so a consensus is held back for as long as that is on its way here, for
 * at most a tenth of its interval.
 */
void offer_hold(struct directory *d, const struct consensus *c)
{
	uint64_t hold = (uint64_t)consensus_interval(c) * 100;

	d->offers.hold_ms[c->flavour] = clock_now_ms() + (hold < HOLD_MAX_MS ? hold : HOLD_MAX_MS);
}

static void hand_over(struct directory *d, enum dir_doc kind, int r, int fd)
{
	if (r < 0) {
		log_error("A directory document cannot be handed to the workers. kind=%d error=\"%s\"", kind, err_str(r));
		return;
	}
	if (d->hooks.document)
		d->hooks.document(d->hooks.arg, kind, fd);
	close(fd);
}

static void build(struct directory *d, enum dir_doc kind, const struct dir_entry *entries, size_t n)
{
	const struct dir_doc_meta meta = { .kind = (uint8_t)kind, .last_modified = clock_wall() };
	int fd = -1, r = dir_doc_build(&fd, &meta, entries, n);

	hand_over(d, kind, r, fd);
}

static void build_certs(struct directory *d)
{
	const struct dircerts *set = &d->docs.certs;
	struct dir_entry entries[DIRCERTS_MAX];

	memset(entries, 0, sizeof(entries));
	for (size_t i = 0; i < set->n; i++) {
		memcpy(entries[i].key, set->certs[i]->identity, 20);
		memcpy(entries[i].key + 20, set->certs[i]->signing_digest, 20);
		entries[i].data = (const uint8_t *)set->certs[i]->text;
		entries[i].len = set->certs[i]->len;
	}
	build(d, DIR_DOC_CERTS, entries, set->n);
}

static void build_own(struct directory *d)
{
	const struct publisher *p = &d->publisher;
	struct dir_entry entries[2] = { { .key = "server" }, { .key = "extra" } };

	if (!p->descriptor)
		return;
	entries[0].data = (const uint8_t *)p->descriptor;
	entries[0].len = strlen(p->descriptor);
	entries[1].data = (const uint8_t *)p->extrainfo;
	entries[1].len = p->extrainfo ? strlen(p->extrainfo) : 0;
	build(d, DIR_DOC_OWN, entries, p->extrainfo ? 2 : 1);
}

/* Workers treat who is listed as a relay, and who only says so like a client. */
static void build_relays(struct directory *d)
{
	const struct consensus *c = dircache_latest(&d->docs);
	struct dir_entry *entries;

	if (!c)
		return;
	entries = mem_new_array(c->n_routers + 1, sizeof(*entries));
	for (size_t i = 0; i < c->n_routers; i++)
		memcpy(entries[i].key, c->routers[i].rsa_id, sizeof(c->routers[i].rsa_id));
	build(d, DIR_DOC_RELAYS, entries, c->n_routers);
	free(entries);
}

static struct dir_entry *add_entry(struct dir_entry *e, int prefix, const uint8_t *key, size_t len,
				   const struct doc *doc)
{
	if (prefix)
		e->key[0] = (uint8_t)prefix;
	memcpy(e->key + (prefix != 0), key, len);
	e->data = (const uint8_t *)doc->text;
	e->len = doc->len;
	return e + 1;
}

static void build_docs(struct directory *d, enum consensus_flavour flavour)
{
	const struct docset *set = &d->docs.docs[flavour];
	struct dir_entry *entries = mem_new_array(2 * set->n, sizeof(*entries)), *e = entries;

	for (size_t i = 0; i < set->n; i++) {
		const struct doc *doc = &set->docs[i];

		if (!doc->text)
			continue;
		if (flavour == FLAVOUR_MICRODESC) {
			e = add_entry(e, 0, doc->digest, 32, doc);
			continue;
		}
		e = add_entry(e, 'D', doc->digest, 20, doc);
		/* By fingerprint, the one that is listed now. */
		if (doc->listed)
			e = add_entry(e, 'F', doc->rsa_id, 20, doc);
	}
	build(d, docs_kind(flavour), entries, (size_t)(e - entries));
	free(entries);
}

static bool held_back(const struct directory *d, enum consensus_flavour flavour)
{
	return d->docs.docs[flavour].n_missing && fetch_docs_busy(d, flavour) &&
	       clock_now_ms() < d->offers.hold_ms[flavour];
}

/* Start compressing a consensus if one is due and none is at work. */
static void pack_next(struct directory *d)
{
	struct offers *o = &d->offers;

	for (int f = 0; f < FLAVOURS && !o->pack; f++) {
		enum dir_doc kind = consensus_kind((enum consensus_flavour)f);

		if (!(o->dirty & 1u << kind) || held_back(d, (enum consensus_flavour)f))
			continue;
		o->dirty &= ~(1u << kind);
		o->pack = pack_new(d->docs.consensus[f]);
		event_active(o->slice, EV_TIMEOUT, 0);
	}
}

static void on_slice(evutil_socket_t fd, short what, void *arg)
{
	struct directory *d = arg;
	struct offers *o = &d->offers;
	struct timeval soon = { 0, 0 };
	const struct consensus *c = pack_consensus(o->pack);
	int doc = -1, r;

	(void)fd;
	(void)what;
	if (!pack_step(o->pack)) {
		evtimer_add(o->slice, &soon);
		return;
	}
	/* Dropped when a newer one came meanwhile: that one is dirty. */
	if (c == d->docs.consensus[c->flavour]) {
		r = pack_build(&doc, o->pack, d->authorities, d->docs.verdict[c->flavour].good);
		hand_over(d, consensus_kind(c->flavour), r, doc);
	}
	pack_free(o->pack);
	o->pack = NULL;
	if (o->dirty)
		arm(d, 0);
}

static bool take_dirty(struct directory *d, enum dir_doc kind)
{
	bool dirty = d->offers.dirty & 1u << kind;

	d->offers.dirty &= ~(1u << kind);
	return dirty;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct directory *d = arg;

	(void)fd;
	(void)what;
	if (take_dirty(d, DIR_DOC_OWN))
		build_own(d);
	if (take_dirty(d, DIR_DOC_CERTS))
		build_certs(d);
	if (take_dirty(d, DIR_DOC_RELAYS))
		build_relays(d);
	for (int i = 0; i < FLAVOURS; i++) {
		enum consensus_flavour f = (enum consensus_flavour)i;

		if (take_dirty(d, docs_kind(f)))
			build_docs(d, f);
	}
	pack_next(d);
	if (d->offers.dirty && !d->offers.pack)
		arm(d, settle_ms(d));
}

void offer_init(struct directory *d)
{
	d->offers.timer = evtimer_new(d->base, on_timer, d);
	d->offers.slice = evtimer_new(d->base, on_slice, d);
	if (!d->offers.timer || !d->offers.slice)
		mem_fail();
}

void offer_stop(struct directory *d)
{
	event_free(d->offers.timer);
	event_free(d->offers.slice);
	pack_free(d->offers.pack);
}
