/*
 * Asks the authorities for certificates, consensuses and what these list
 * (dir-spec 4). One request goes to one authority; which one is drawn among
 * those that are not being given a rest after a failure.
 */
#include "config.h"

#include "directory_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/rand.h>

#include "microdesc.h"

enum {
	CERTS_REPLY_MAX = 1024 * 1024,
	CERTS_PAUSE_MS = 3600 * 1000,
	CONSENSUS_TIMEOUT_MS = 600000,
	DOCS_TIMEOUT_MS = 120000,
};

/* An authority to ask that is not in `except` (bits) nor resting; -1: none now. */
static int choose_authority(const struct directory *d, uint32_t except)
{
	uint64_t now = clock_now_ms();
	int best = -1;
	unsigned n = 0;

	for (unsigned i = 0; i < d->n; i++) {
		if (except & 1u << i || d->peers[i].retry_ms > now)
			continue;
		if (rand_below(++n) == 0)
			best = (int)i;
	}
	return best;
}

/* Choose whom to ask next, into ask->who; false when nothing is due or nobody can be asked. */
static bool ask_next(const struct directory *d, struct asking *ask)
{
	int who;

	if (ask->call || clock_now_ms() < ask->due_ms)
		return false;
	who = choose_authority(d, ask->tried);
	if (who < 0 && ask->tried) {
		/* Whoever is left is resting: this round is over. */
		ask->tried = 0;
		ask->due_ms = clock_now_ms() + directory_backoff_ms(d, ask->rounds++);
	}
	if (who < 0)
		return false;
	ask->who = (unsigned)who;
	return true;
}

/* That authority did not have it: the next one soon, and after all of them a pause. */
static void ask_failed(const struct directory *d, struct asking *ask)
{
	ask->tried |= 1u << ask->who;
	if (ask->tried == (1u << d->n) - 1) {
		ask->tried = 0;
		ask->due_ms = clock_now_ms() + directory_backoff_ms(d, ask->rounds++);
	} else {
		ask->due_ms = clock_now_ms() + directory_backoff_ms(d, 0) / 10;
	}
}

static void ask_succeeded(struct asking *ask, uint64_t next_ms)
{
	ask->tried = 0;
	ask->rounds = 0;
	ask->due_ms = next_ms;
}

static int start_get(struct dir_authority *peer, struct http_call **ret, struct http_request *req,
		     const char *path, http_done_fn *done, void *arg)
{
	char *url = directory_url(peer, path);
	int r;

	req->url = url;
	r = http_start(peer->d->http, ret, req, done, arg);
	free(url);
	return r;
}

/* -- certificates --------------------------------------------------------- */

static void retry_pending(struct directory *d);

/* Whether some consensus carries signatures that cannot be judged yet; without one, all do. */
static bool certs_awaited(const struct directory *d)
{
	bool any = false;

	for (int i = 0; i < FLAVOURS; i++) {
		if (d->consensus[i].pending || (d->docs.consensus[i] && d->docs.verdict[i].unknown))
			return true;
		any = any || d->docs.consensus[i];
	}
	return !any;
}

static void certs_done(void *arg, const struct http_reply *reply)
{
	struct directory *d = arg;
	struct dir_authority *peer = &d->peers[d->certs.who];
	size_t added = 0, bad = 0;

	d->certs.call = NULL;
	directory_reply(peer, reply);
	if (!reply->err && reply->status == 200)
		added = dircerts_add(&d->docs.certs, d->authorities, d->n, (const char *)reply->body,
				     reply->body_len, clock_wall(), &bad);
	if (bad)
		log_limited(LOG_LEVEL_WARN, "An authority served key certificates that do not verify. authority=%s count=%zu",
			    peer->conf->name, bad);
	if (added) {
		/* If that was not all, another may have the rest. */
		ask_succeeded(&d->certs, clock_now_ms());
		d->certs.tried = 1u << d->certs.who;
		directory_new_certs(d);
		retry_pending(d);
	} else {
		ask_failed(d, &d->certs);
		/* No signature waits for one; an authority that has gone may never have one. */
		if (!certs_awaited(d) && d->certs.due_ms < clock_now_ms() + CERTS_PAUSE_MS)
			d->certs.due_ms = clock_now_ms() + CERTS_PAUSE_MS;
	}
	directory_kick(d);
}

/* Append "+ID-SIGNINGKEY" for each signature whose certificate is not here. */
static size_t missing_certs(const struct directory *d, const struct consensus *c, char *out, size_t at, size_t cap)
{
	char id[41], key[41], pair[84];

	for (size_t i = 0; c && i < c->n_sigs && at + 83 < cap; i++) {
		const struct consensus_sig *sig = &c->sigs[i];

		if (authority_find(d->authorities, d->n, sig->identity) < 0 ||
		    dircerts_find(&d->docs.certs, sig->identity, sig->signing_digest))
			continue;
		hex_encode_upper(id, sig->identity, sizeof(sig->identity));
		hex_encode_upper(key, sig->signing_digest, sizeof(sig->signing_digest));
		snprintf(pair, sizeof(pair), "%s-%s", id, key);
		/* The same authorities sign both flavours. */
		if (!at || !strstr(out, pair))
			at += (size_t)snprintf(out + at, cap - at, "%s%s", at ? "+" : "", pair);
	}
	return at;
}

/* What to ask for, or false when nothing is missing. */
static bool certs_path(const struct directory *d, char *path, size_t cap)
{
	char list[AUTHORITIES_MAX * 82 + 2];
	size_t at = 0;

	for (int f = 0; f < FLAVOURS; f++) {
		const struct consensus *c = d->consensus[f].pending ? d->consensus[f].pending : d->docs.consensus[f];

		at = missing_certs(d, c, list, at, sizeof(list));
	}
	if (at)
		snprintf(path, cap, "/tor/keys/fp-sk/%s.z", list);
	else if (!dircache_certs_complete(&d->docs))
		snprintf(path, cap, "/tor/keys/all.z");
	else
		return false;
	return true;
}

static void step_certs(struct directory *d)
{
	char path[AUTHORITIES_MAX * 82 + 40];
	struct http_request req;

	if (!certs_path(d, path, sizeof(path)) || !ask_next(d, &d->certs))
		return;
	directory_request(&d->peers[d->certs.who], &req);
	req.max_bytes = CERTS_REPLY_MAX;
	if (start_get(&d->peers[d->certs.who], &d->certs.call, &req, path, certs_done, d) < 0)
		ask_failed(d, &d->certs);
}

/* -- consensuses ---------------------------------------------------------- */

void fetch_schedule(struct directory *d, const struct consensus *c)
{
	struct consensus_fetch *f = &d->consensus[c->flavour];
	/* Nobody's mistake in a time may stop us for longer than this. */
	int64_t interval = consensus_interval(c) < 24 * 3600 ? consensus_interval(c) : 24 * 3600;
	int64_t until = c->fresh_until - clock_wall();
	/* Caches spread over the first half of the next interval (dir-spec 4.1). */
	int64_t spread_ms = interval * 1000 / (d->test_network ? 10 : 2), delay_ms;

	/* Our clock may be slow: it will not be fresh for longer than it is from now on. */
	if (until > interval)
		until = interval;
	/* One from the disk may be long past that time: then it is now. */
	delay_ms = until * 1000 + rand_below((uint32_t)spread_ms + 1);
	ask_succeeded(&f->ask, clock_now_ms() + (uint64_t)(delay_ms < 1000 ? 1000 : delay_ms));
}

static void set_pending(struct consensus_fetch *f, struct consensus *c, unsigned who)
{
	consensus_unref(f->pending);
	f->pending = c;
	f->pending_who = who;
}

/* A refused document is the authority's fault, or somebody's on the way: ask others for a while. */
static void refuse(struct consensus_fetch *f, struct dir_authority *peer, const char *why)
{
	log_limited(LOG_LEVEL_WARN, "A consensus was refused. authority=%s reason=\"%s\"", peer->conf->name, why);
	peer->retry_ms = clock_now_ms() + directory_backoff_ms(f->d, 1);
	ask_failed(f->d, &f->ask);
}

/* Judge a parsed consensus; takes over the reference. */
static void take_consensus(struct consensus_fetch *f, struct consensus *c, unsigned who)
{
	struct directory *d = f->d;
	struct dir_authority *peer = &d->peers[who];
	const struct consensus *have = d->docs.consensus[c->flavour];
	struct consensus_verdict v = { 0 };
	int r = dircache_accept(&d->docs, c, clock_wall(), &v);

	if (r == 0) {
		directory_note_served(peer, c);
		set_pending(f, NULL, 0);
		if (v.unknown)
			d->certs.due_ms = 0;
		directory_new_consensus(d, c);
		return;
	}
	if (r == ERR_NOT_FOUND) {
		log_info("A consensus waits for key certificates. good=%u unknown=%u", v.n_good, v.n_unknown);
		set_pending(f, c, who);
		d->certs.due_ms = 0;
		ask_failed(f->d, &f->ask);
		return;
	}
	if (r == ERR_EXISTS && have->valid_after == c->valid_after && memcmp(have->sha256, c->sha256, 32) == 0) {
		/* Not new: this authority is not ready yet. */
		directory_note_served(peer, have);
		ask_failed(f->d, &f->ask);
	} else if (r == ERR_EXISTS) {
		refuse(f, peer, "older than, or at odds with, the one we have");
	} else {
		refuse(f, peer, r == ERR_AUTH ? "not signed by a majority" : err_str(r));
	}
	consensus_unref(c);
}

static void retry_pending(struct directory *d)
{
	for (int i = 0; i < FLAVOURS; i++) {
		struct consensus_fetch *f = &d->consensus[i];
		struct consensus *c = f->pending;

		f->pending = NULL;
		if (c)
			take_consensus(f, c, f->pending_who);
		c = d->docs.consensus[i];
		if (c && d->docs.verdict[i].unknown) {
			consensus_verify(c, d->authorities, d->n, &d->docs.certs, clock_wall(), &d->docs.verdict[i]);
			directory_note_signers(d, (enum consensus_flavour)i);
		}
	}
}

static void consensus_done(void *arg, const struct http_reply *reply)
{
	struct consensus_fetch *f = arg;
	struct directory *d = f->d;
	struct dir_authority *peer = &d->peers[f->ask.who];
	struct consensus *c;
	int r;

	f->ask.call = NULL;
	directory_reply(peer, reply);
	directory_kick(d);
	if (reply->err || reply->status != 200) {
		if (!reply->err && reply->status == 304 && d->docs.consensus[f->flavour])
			log_debug("An authority has no newer consensus. authority=%s", peer->conf->name);
		ask_failed(f->d, &f->ask);
		return;
	}
	r = consensus_parse(&c, (const char *)reply->body, reply->body_len);
	if (r == 0 && c->flavour != f->flavour) {
		consensus_unref(c);
		r = ERR_MISMATCH;
	}
	if (r < 0)
		refuse(f, peer, err_str(r));
	else
		take_consensus(f, c, f->ask.who);
}

static void step_consensus(struct directory *d, enum consensus_flavour flavour)
{
	struct consensus_fetch *f = &d->consensus[flavour];
	const struct consensus *have = d->docs.consensus[flavour];
	struct http_request req;

	if (!ask_next(d, &f->ask))
		return;
	directory_request(&d->peers[f->ask.who], &req);
	req.max_bytes = CONSENSUS_LEN_MAX;
	req.total_timeout_ms = CONSENSUS_TIMEOUT_MS;
	req.if_modified_since = have ? have->valid_after : 0;
	if (start_get(&d->peers[f->ask.who], &f->ask.call, &req,
		      flavour == FLAVOUR_NS ? "/tor/status-vote/current/consensus.z"
					    : "/tor/status-vote/current/consensus-microdesc.z",
		      consensus_done, f) < 0)
		ask_failed(f->d, &f->ask);
}

/* -- microdescriptors and descriptors -------------------------------------- */

static void docs_done(void *arg, const struct http_reply *reply)
{
	struct docs_fetch *job = arg;
	struct directory *d = job->d;
	struct dir_authority *peer = &d->peers[job->who];
	struct dircache_taken got = { 0 };
	bool answered = !reply->err && (reply->status == 200 || reply->status == 404);

	job->call = NULL;
	directory_reply(peer, reply);
	if (answered && reply->status == 200) {
		struct dirtext t = dirtext_init((const char *)reply->body, reply->body_len);

		/* Enough for any answer; the rest of a longer one is not worth the time. */
		dircache_take_docs(&d->docs, job->flavour, &t, 2 * DESCRIPTORS_PER_REQUEST, &got);
	}
	/* One that sends anything but what was asked for gets a rest, like one that fails. */
	if (got.bad) {
		log_limited(LOG_LEVEL_WARN, "An authority served documents that do not verify. authority=%s count=%zu",
			    peer->conf->name, got.bad);
		peer->retry_ms = clock_now_ms() + directory_backoff_ms(d, 1);
	}
	docset_asked(&d->docs.docs[job->flavour], job->who, (const uint8_t (*)[32])job->digests, job->n, answered);
	if (got.added) {
		offer_changed(d, docs_kind(job->flavour));
		store_changed(d, docs_kind(job->flavour));
	}
	directory_kick(d);
}

/* "/tor/micro/d/<base64>-<base64>.z" or "/tor/server/d/<hex>+<hex>.z" */
static void docs_path(const struct docs_fetch *job, char *out, size_t cap)
{
	bool micro = job->flavour == FLAVOUR_MICRODESC;
	size_t at = (size_t)snprintf(out, cap, "%s", micro ? "/tor/micro/d/" : "/tor/server/d/");
	char name[64];

	for (size_t i = 0; i < job->n; i++) {
		if (micro)
			base64_encode(name, job->digests[i], 32, false);
		else
			hex_encode_upper(name, job->digests[i], 20);
		at += (size_t)snprintf(out + at, cap - at, "%s%s", i ? micro ? "-" : "+" : "", name);
	}
	snprintf(out + at, cap - at, ".z");
}

/* Fill the job with what some authority may have; false when nothing is left to ask for. */
static bool fill_job(struct directory *d, struct docs_fetch *job, enum consensus_flavour flavour)
{
	size_t cap = flavour == FLAVOUR_NS ? DESCRIPTORS_PER_REQUEST : MICRODESCS_PER_REQUEST;
	uint32_t tried = 0;
	int who;

	if (d->docs.docs[flavour].n_missing == 0 && d->docs.docs[flavour].n_named == 0)
		return false;
	while ((who = choose_authority(d, tried)) >= 0) {
		job->n = docset_want(&d->docs.docs[flavour], (unsigned)who, job->digests, cap);
		job->who = (unsigned)who;
		job->flavour = flavour;
		if (job->n)
			return true;
		tried |= 1u << who;
	}
	return false;
}

static void step_docs(struct directory *d, enum consensus_flavour flavour)
{
	for (size_t i = 0; i < DOC_JOBS; i++) {
		struct docs_fetch *job = &d->jobs[i];
		char path[DESCRIPTORS_PER_REQUEST * 44 + 40];
		struct http_request req;

		if (job->call)
			continue;
		if (!fill_job(d, job, flavour))
			return;
		docs_path(job, path, sizeof(path));
		directory_request(&d->peers[job->who], &req);
		req.max_bytes = job->n * DIR_PIECE_MAX;
		req.total_timeout_ms = DOCS_TIMEOUT_MS;
		if (start_get(&d->peers[job->who], &job->call, &req, path, docs_done, job) < 0)
			docset_asked(&d->docs.docs[flavour], job->who, (const uint8_t (*)[32])job->digests,
				     job->n, true);
	}
}

bool fetch_docs_busy(const struct directory *d, enum consensus_flavour flavour)
{
	for (size_t i = 0; i < DOC_JOBS; i++)
		if (d->jobs[i].call && d->jobs[i].flavour == flavour)
			return true;
	return false;
}

/* -- */

void fetch_init(struct directory *d)
{
	for (int i = 0; i < FLAVOURS; i++) {
		d->consensus[i].d = d;
		d->consensus[i].flavour = (enum consensus_flavour)i;
	}
	for (size_t i = 0; i < DOC_JOBS; i++)
		d->jobs[i].d = d;
}

void fetch_step(struct directory *d)
{
	step_certs(d);
	step_consensus(d, FLAVOUR_MICRODESC);
	if (d->cache)
		step_consensus(d, FLAVOUR_NS);
	/* Clients wait for microdescriptors; descriptors are for the few that ask. */
	if (d->microdescs)
		step_docs(d, FLAVOUR_MICRODESC);
	if (d->cache)
		step_docs(d, FLAVOUR_NS);
}

void fetch_stop(struct directory *d)
{
	http_cancel(d->certs.call);
	for (int i = 0; i < FLAVOURS; i++) {
		http_cancel(d->consensus[i].ask.call);
		consensus_unref(d->consensus[i].pending);
	}
	for (size_t i = 0; i < DOC_JOBS; i++)
		http_cancel(d->jobs[i].call);
}
