/*
 * Fetches the votes of the authorities when somebody wants to see them: one
 * after the other, as each is megabytes that are read at once and not kept.
 */
#include "config.h"

#include "directory_priv.h"

#include <stdlib.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>

#include "vote.h"

enum { VOTE_TIMEOUT_MS = 120000, TEST_VOTE_TIMEOUT_MS = 5000 };

static void next_vote(struct directory *d);

static void told(struct directory *d)
{
	struct votes *v = &d->votes;
	void (*done)(void *arg) = v->done;

	v->done = NULL;
	if (done)
		done(v->arg);
}

static void judge(struct directory *d, struct vote_of *v, const struct authority *a, const struct http_reply *reply)
{
	const char *text = (const char *)reply->body;
	int r;

	r = vote_check(text, reply->body_len, a->v3ident, &d->docs.certs);
	if (r == 0)
		r = vote_read(&v->vote, text, reply->body_len, d->own_id);
	v->good = r == 0;
	if (r < 0) {
		v->status = r;
		log_info("An authority's vote cannot be used. authority=%s error=\"%s\"", a->name, err_str(r));
	}
}

static void vote_done(void *arg, const struct http_reply *reply)
{
	struct directory *d = arg;
	struct votes *votes = &d->votes;
	struct dir_authority *peer = &d->peers[votes->who];
	struct vote_of *v = &votes->of[votes->who];

	votes->call = NULL;
	directory_reply(peer, reply);
	*v = (struct vote_of){ .fetched = clock_wall(), .status = reply->err ? reply->err : reply->status };
	if (!reply->err && reply->status == 200)
		judge(d, v, peer->conf, reply);
	votes->who++;
	next_vote(d);
}

/* Ask the next one that can be asked. */
static void next_vote(struct directory *d)
{
	struct votes *v = &d->votes;

	for (; v->who < d->n; v->who++) {
		struct dir_authority *peer = &d->peers[v->who];
		char *url = directory_url(peer, "/tor/status-vote/current/authority");
		struct http_request req;
		int r;

		directory_request(peer, &req);
		req.url = url;
		req.max_bytes = VOTE_LEN_MAX;
		req.total_timeout_ms = d->test_network ? TEST_VOTE_TIMEOUT_MS : VOTE_TIMEOUT_MS;
		r = http_start(d->http, &v->call, &req, vote_done, d);
		free(url);
		if (r == 0)
			return;
		v->of[v->who] = (struct vote_of){ .fetched = clock_wall(), .status = r };
	}
	v->busy = false;
	told(d);
}

/* Whether every vote at hand belongs to the consensus in use. */
static bool are_current(const struct directory *d)
{
	const struct consensus *c = dircache_latest(&d->docs);

	for (size_t i = 0; i < d->n; i++)
		if (!d->votes.of[i].good || !c || d->votes.of[i].vote.valid_after < c->valid_after)
			return false;
	return true;
}

int directory_fetch_votes(struct directory *d, void (*done)(void *arg), void *arg)
{
	struct votes *v = &d->votes;

	if (v->done)
		return ERR_BUSY;
	if (!v->busy && are_current(d))
		return ERR_EXISTS;
	if (!v->busy) {
		v->busy = true;
		v->who = 0;
		next_vote(d);
		if (!v->busy)
			return ERR_EXISTS;	/* none could even be asked: its row says why */
	}
	v->done = done;
	v->arg = arg;
	return 0;
}

void directory_votes_unwatch(struct directory *d, void *arg)
{
	if (d->votes.arg == arg)
		d->votes.done = NULL;
}

size_t directory_votes_pending(const struct directory *d)
{
	return d->votes.busy ? d->n - d->votes.who : 0;
}

size_t directory_votes(const struct directory *d, struct vote_status *out, size_t cap)
{
	size_t n = d->n < cap ? d->n : cap;

	for (size_t i = 0; i < n; i++) {
		const struct vote_of *v = &d->votes.of[i];

		out[i] = (struct vote_status){
			.authority = d->peers[i].conf, .fetched = v->fetched, .status = v->status,
			.good = v->good, .vote = v->vote,
		};
	}
	return n;
}

void votes_stop(struct directory *d)
{
	http_cancel(d->votes.call);
}
