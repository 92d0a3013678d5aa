/*
 * Uploads our descriptor to every authority (dir-spec 2.1) and finds out what
 * came of it. HTTP 200 proves nothing: an authority answers it to what it then
 * throws away. Only a consensus tells, so each new one is looked at.
 */
#include "config.h"

#include "directory_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <nonos/clock.h>
#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>

#include "dirtext.h"

enum {
	REPUBLISH_MS = 18 * 3600 * 1000,
	SETTLE_MS = 1000,		/* changes come in groups */
	GAP_MS = 60000, TEST_GAP_MS = 2000,
	/* Authorities throw away a change that they call cosmetic when it comes within two hours. */
	COSMETIC_MS = 125 * 60 * 1000,
	RELIST_MS = 3600 * 1000,
	REFUSED_MS = 600 * 1000, REFUSED_MAX_MS = 6 * 3600 * 1000, REFUSED_TEST_MS = 500,
	REPLY_MAX = 64 * 1024,
	DESCRIPTOR_MAX = 20000, EXTRAINFO_MAX = 50000,
};

void directory_publish(struct directory *d, const char *reason)
{
	struct publisher *p = &d->publisher;
	uint64_t now = clock_now_ms(), gap = d->test_network ? TEST_GAP_MS : GAP_MS;

	if (p->wanted)
		return;
	p->wanted = true;
	p->due_ms = now + SETTLE_MS;
	if (p->made_ms && p->due_ms < p->made_ms + gap)
		p->due_ms = p->made_ms + gap;
	snprintf(p->reason, sizeof(p->reason), "%s", reason);
}

/* The digest by which a consensus lists it: through the newline after "router-signature". */
static int descriptor_digest(uint8_t ret[SHA1_LEN], const char *text, size_t len)
{
	static const char last[] = "router-signature";
	const char *sig = dir_find_line(text, len, last), *nl;

	nl = sig ? memchr(sig, '\n', len - (size_t)(sig - text)) : NULL;
	if (!nl)
		return ERR_MALFORMED;
	sha1(ret, text, (size_t)(nl + 1 - text));
	return 0;
}

static void schedule_all(struct directory *d)
{
	for (size_t i = 0; i < d->n; i++) {
		struct dir_authority *peer = &d->peers[i];

		http_cancel(peer->upload);
		peer->upload = NULL;
		peer->upload_ms = clock_now_ms();
		peer->upload_failures = 0;
	}
}

/* Have the keeper make a descriptor, and take it. */
static void make_descriptor(struct directory *d)
{
	struct publisher *p = &d->publisher;
	char *desc = NULL, *extra = NULL;
	int r;

	p->wanted = false;
	r = d->hooks.make_descriptor ? d->hooks.make_descriptor(d->hooks.arg, &desc, &extra) : ERR_STATE;
	if (r == 0 && (strlen(desc) > DESCRIPTOR_MAX || (extra && strlen(extra) > EXTRAINFO_MAX)))
		r = ERR_TOO_LONG;
	if (r == 0)
		r = descriptor_digest(p->digest, desc, strlen(desc));
	if (r < 0) {
		log_info("There is no descriptor to publish now. error=\"%s\"", err_str(r));
		free(desc);
		free(extra);
		return;
	}
	log_notice("Our descriptor goes to the authorities. authorities=%zu reason=\"%s\"", d->n, p->reason);
	free(p->descriptor);
	free(p->extrainfo);
	p->descriptor = desc;
	p->extrainfo = extra;
	p->made_ms = clock_now_ms();
	p->made_at = clock_wall();
	schedule_all(d);
	offer_changed(d, DIR_DOC_OWN);
}

/* What the authority said: the status line's words, else the first line of the body. */
static void keep_message(struct dir_authority *peer, const struct http_reply *reply)
{
	const char *text = reply->err ? reply->error : reply->reason;
	size_t n = 0;

	if (!*text)
		text = (const char *)reply->body;
	for (; text[n] && text[n] != '\n' && text[n] != '\r' && n + 1 < sizeof(peer->message); n++)
		peer->message[n] = text[n] >= 0x20 && text[n] < 0x7f ? text[n] : '?';
	peer->message[n] = '\0';
}

/*
 * The same text is refused again unless the authority is set up otherwise
 * meanwhile: asked after ten minutes, then twice as late each time, up to
 * every six hours. A new descriptor goes up at once.
 */
static uint64_t refused_ms(const struct directory *d, unsigned failures)
{
	uint64_t base = d->test_network ? REFUSED_TEST_MS : REFUSED_MS, cap = d->test_network ? base * 32 : REFUSED_MAX_MS;
	uint64_t ms = base << (failures < 8 ? failures : 8);

	return ms < cap ? ms : cap;
}

static void upload_done(void *arg, const struct http_reply *reply)
{
	struct dir_authority *peer = arg;
	struct directory *d = peer->d;
	char not_new[8];

	peer->upload = NULL;
	directory_reply(peer, reply);
	peer->http_status = reply->err ? reply->err : reply->status;
	keep_message(peer, reply);
	if (!reply->err && reply->status == 200) {
		peer->last_upload = clock_wall();
		peer->not_new = http_reply_header(reply, "X-Descriptor-Not-New", not_new, sizeof(not_new)) &&
				strcasecmp(not_new, "yes") == 0;
		peer->upload_ms = 0;
		peer->upload_failures = 0;
		log_info("An authority took our descriptor. authority=%s not_new=%d", peer->conf->name, peer->not_new);
	} else {
		bool refused = !reply->err && reply->status >= 400 && reply->status < 500;

		if (refused)
			log_limited(LOG_LEVEL_WARN, "An authority refused our descriptor. authority=%s message=\"%s\"",
				    peer->conf->name, peer->message);
		peer->upload_ms = clock_now_ms() + (refused ? refused_ms(d, peer->upload_failures) :
						    directory_backoff_ms(d, peer->upload_failures));
		peer->upload_failures++;
	}
	if (d->hooks.uploaded)
		d->hooks.uploaded(d->hooks.arg, (size_t)(peer - d->peers));
	directory_kick(d);
}

static void start_upload(struct dir_authority *peer)
{
	struct directory *d = peer->d;
	const struct publisher *p = &d->publisher;
	char *url = directory_url(peer, "/tor/");
	char *body = mem_printf("%s%s", p->descriptor, p->extrainfo ? p->extrainfo : "");
	struct http_request req;

	directory_request(peer, &req);
	req.url = url;
	req.body = body;
	req.body_len = strlen(body);
	req.max_bytes = REPLY_MAX;
	if (http_start(d->http, &peer->upload, &req, upload_done, peer) < 0)
		peer->upload_ms = clock_now_ms() + directory_backoff_ms(d, peer->upload_failures++);
	free(body);
	free(url);
}

void publish_step(struct directory *d)
{
	struct publisher *p = &d->publisher;
	uint64_t now = clock_now_ms();

	if (p->made_ms && now - p->made_ms >= REPUBLISH_MS)
		directory_publish(d, "18 hours have passed");
	if (p->wanted && now >= p->due_ms)
		make_descriptor(d);
	for (size_t i = 0; i < d->n; i++) {
		struct dir_authority *peer = &d->peers[i];

		if (peer->upload_ms && !peer->upload && now >= peer->upload_ms)
			start_upload(peer);
	}
}

/* How many authorities took our present descriptor in time for this consensus. */
static size_t had_in_time(const struct directory *d, const struct consensus *c)
{
	/* Votes are cast before a consensus becomes valid; one interval is more than enough. */
	int64_t limit = c->valid_after - consensus_interval(c);
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		n += d->peers[i].upload_ms == 0 && d->peers[i].last_upload >= d->publisher.made_at &&
		     d->peers[i].last_upload <= limit;
	return n;
}

/* Publish again because of what a consensus says, more and more rarely. */
static void publish_again(struct directory *d, const struct consensus *c, const char *reason)
{
	struct publisher *p = &d->publisher;
	uint64_t wait = (uint64_t)consensus_interval(c) * 2000, now = clock_now_ms();

	if (now < p->relist_ms)
		return;
	if (!d->test_network && wait < RELIST_MS)
		wait = RELIST_MS;
	p->relist_ms = now + (wait << (p->relists < 3 ? p->relists : 3));
	p->relists++;
	log_warn("Our descriptor has to go up again. reason=\"%s\"", reason);
	directory_publish(d, reason);
}

void publish_consensus(struct directory *d, const struct consensus *c)
{
	const struct consensus_router *rt = consensus_find(c, d->own_id);
	struct publisher *p = &d->publisher;

	if (!p->made_ms || had_in_time(d, c) <= d->n / 2)
		return;
	if (!rt) {
		publish_again(d, c, "a majority took our descriptor, but the consensus does not list us");
	} else if (rt->flags & FLAG_STALE_DESC) {
		publish_again(d, c, "the consensus calls our descriptor stale");
	} else if (c->flavour == FLAVOUR_NS && memcmp(rt->digest, p->digest, sizeof(p->digest)) != 0) {
		/* They kept an earlier one, taking the change for a cosmetic one. */
		if (clock_now_ms() - p->made_ms > COSMETIC_MS)
			publish_again(d, c, "the consensus lists an earlier descriptor of ours");
	} else {
		p->relists = 0;
	}
}

void publish_stop(struct directory *d)
{
	for (size_t i = 0; i < d->n; i++)
		http_cancel(d->peers[i].upload);
	free(d->publisher.descriptor);
	free(d->publisher.extrainfo);
}
