/* The directory object: making it, its clock, and what it knows about authorities. */
#include "config.h"

#include <nonos/directory.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/rand.h>

#include "directory_priv.h"
#include "dirtext.h"
#include "microdesc.h"
#include "params.h"

enum { TICK_MS = 1000, TEST_TICK_MS = 250 };

static void arm_tick(struct directory *d, unsigned ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	evtimer_add(d->tick, &tv);
}

void directory_kick(struct directory *d)
{
	if (d->started)
		arm_tick(d, 0);
}

/* Say it once when the last consensus has run out, and once when that is over. */
static void check_expiry(struct directory *d)
{
	const struct consensus *c = dircache_latest(&d->docs);
	bool expired = c && c->valid_until < clock_wall();

	if (expired && !d->warned_expired)
		log_warn("The consensus has expired and no authority gave a newer one: check this machine's "
			 "clock and network. valid_until=%lld", (long long)c->valid_until);
	else if (!expired && d->warned_expired)
		log_notice("The consensus is current again.");
	d->warned_expired = expired;
}

/* Say it once when each has failed at its last try, and once when one answers again. */
static void check_reach(struct directory *d)
{
	bool all_failed = d->n > 0;

	for (size_t i = 0; i < d->n; i++)
		all_failed = all_failed && d->peers[i].last_fetch && d->peers[i].fetch_status < 0;
	if (all_failed && !d->told_unreachable)
		log_notice("No directory authority can be reached, so nobody learns of this relay. Check that this machine "
			   "may connect to their DirPorts (firewall, route, bind_address) and that network and "
			   "\"authority\" are right. authorities=%zu last_error=\"%s\"", d->n,
			   err_str(d->peers[0].fetch_status));
	else if (!all_failed && d->told_unreachable)
		log_notice("A directory authority answers again.");
	d->told_unreachable = all_failed;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct directory *d = arg;

	(void)fd;
	(void)what;
	clock_update();
	arm_tick(d, d->test_network ? TEST_TICK_MS : TICK_MS);
	if (d->loading && !store_load_step(d)) {
		arm_tick(d, 0);
		return;
	}
	if (dircerts_expire(&d->docs.certs, clock_wall()))
		directory_new_certs(d);
	check_expiry(d);
	check_reach(d);
	fetch_step(d);
	publish_step(d);
	store_step(d);
}

uint64_t directory_backoff_ms(const struct directory *d, unsigned failures)
{
	uint64_t base = d->test_network ? 1000 : 10000, cap = d->test_network ? 10000 : 600000;
	uint64_t ms = base << (failures > 8 ? 8 : failures);

	if (ms > cap)
		ms = cap;
	return ms - ms / 4 + rand_below((uint32_t)(ms / 2));
}

void directory_request(const struct dir_authority *peer, struct http_request *req)
{
	const struct addr *source = &peer->d->bind_v4;

	*req = (struct http_request){
		.http10 = true,
		.compressed = true,
		.source = source->family == peer->conf->dir.family ? source : NULL,
	};
}

char *directory_url(const struct dir_authority *peer, const char *path)
{
	char host[ADDR_TEXT_CAP];

	return mem_printf("http://%s%s", addr_format(host, &peer->conf->dir), path);
}

/* What every answer tells, whatever was asked: whether the authority is there, and our address. */
void directory_reply(struct dir_authority *peer, const struct http_reply *reply)
{
	struct directory *d = peer->d;
	char text[ADDR_TEXT_CAP];
	struct addr ours;

	peer->last_fetch = clock_wall();
	peer->fetch_status = reply->err ? reply->err : reply->status;
	if (reply->err) {
		peer->retry_ms = clock_now_ms() + directory_backoff_ms(d, peer->failures++);
		log_info("An authority did not answer. authority=%s error=\"%s\"", peer->conf->name, reply->error);
		return;
	}
	peer->failures = 0;
	if (reply->status >= 500)
		peer->retry_ms = clock_now_ms() + directory_backoff_ms(d, 0);
	if (d->hooks.address_seen && http_reply_header(reply, "X-Your-Address-Is", text, sizeof(text)) &&
	    addr_parse_ip(&ours, text, strlen(text)) == 0)
		d->hooks.address_seen(d->hooks.arg, &ours, peer->conf);
}

void directory_note_served(struct dir_authority *peer, const struct consensus *c)
{
	const struct consensus_router *rt = consensus_find(c, peer->d->own_id);

	if (c->valid_after < peer->consensus_valid_after)
		return;
	peer->consensus_valid_after = c->valid_after;
	peer->in_consensus = rt != NULL;
	peer->flags = rt ? rt->flags : 0;
	peer->weight = rt ? rt->weight : 0;
}

void directory_note_signers(struct directory *d, enum consensus_flavour flavour)
{
	const struct consensus *c = d->docs.consensus[flavour];

	for (unsigned i = 0; c && i < d->n; i++)
		if (d->docs.verdict[flavour].good & 1u << i)
			directory_note_served(&d->peers[i], c);
}

static void update_listing(struct directory *d)
{
	const struct consensus *c = dircache_latest(&d->docs);
	const struct consensus_router *rt = c ? consensus_find(c, d->own_id) : NULL;
	uint32_t flags = rt ? rt->flags : 0;
	uint64_t weight = rt ? rt->weight : 0;

	if (d->listed == (rt != NULL) && d->listed_flags == flags && d->listed_weight == weight)
		return;
	d->listed = rt != NULL;
	d->listed_flags = flags;
	d->listed_weight = weight;
	if (d->hooks.listing)
		d->hooks.listing(d->hooks.arg);
}

static void note_weight(struct directory *d, const struct consensus *c)
{
	int r;

	if (!weights_add(&d->weights, c, d->own_id) || !d->cache_dir)
		return;
	r = weights_save(&d->weights, d->cache_dir);
	if (r < 0)
		log_limited(LOG_LEVEL_WARN, "The weights of the last consensuses cannot be kept in %s. error=\"%s\"",
			    d->cache_dir, err_str(r));
}

static void load_weights(struct directory *d)
{
	int r = d->cache_dir ? weights_load(&d->weights, d->cache_dir) : ERR_NOT_FOUND;

	if (r < 0 && r != ERR_NOT_FOUND)
		log_warn("The file %s/weights is not used and begins anew. error=\"%s\"", d->cache_dir, err_str(r));
}

static void tell_params(struct directory *d, const struct consensus *c)
{
	struct net_params params;

	net_params_parse(&params, c->text + c->params_at, c->params_len);
	if (d->hooks.params)
		d->hooks.params(d->hooks.arg, &params);
}

static struct consensus_facts facts_of(const struct consensus *c)
{
	return (struct consensus_facts){
		.flavour = c->flavour,
		.valid_after = c->valid_after, .fresh_until = c->fresh_until, .valid_until = c->valid_until,
		.digest = c->sha256,
		.routers = c->routers, .n_routers = c->n_routers,
		.text = c->text, .text_len = c->len,
	};
}

static void tell_consensus(struct directory *d, const struct consensus *c)
{
	const struct consensus_facts facts = facts_of(c);

	if (d->hooks.consensus)
		d->hooks.consensus(d->hooks.arg, &facts);
}

int directory_judge(const struct directory *d, const char *text, size_t len,
		    void (*good)(void *arg, const struct consensus_facts *c), void *arg)
{
	struct consensus_verdict verdict;
	struct consensus_facts facts;
	struct consensus *c;
	int r = consensus_parse(&c, text, len);

	if (r < 0)
		return r;
	r = consensus_verify(c, d->authorities, d->n, &d->docs.certs, clock_wall(), &verdict);
	if (r == 0) {
		facts = facts_of(c);
		good(arg, &facts);
	}
	consensus_unref(c);
	return r;
}

void directory_new_consensus(struct directory *d, const struct consensus *c)
{
	char when[DIR_TIME_LEN + 1];

	dir_time_format(when, c->valid_after);
	log_info("A new consensus. flavour=%s valid_after=\"%s\" relays=%zu signatures=%u/%zu",
		 c->flavour == FLAVOUR_NS ? "ns" : "microdesc", when, c->n_routers,
		 d->docs.verdict[c->flavour].n_good, d->n);
	if (c->valid_after > clock_wall() + consensus_interval(c))
		log_limited(LOG_LEVEL_WARN, "The newest consensus is from the future: this machine's clock "
			    "seems to be slow. valid_after=\"%s\"", when);
	fetch_schedule(d, c);
	directory_note_signers(d, c->flavour);
	offer_changed(d, DIR_DOC_RELAYS);
	offer_hold(d, c);
	offer_changed(d, consensus_kind(c->flavour));
	store_changed(d, consensus_kind(c->flavour));
	/* Documents that were unlisted may have gone. */
	offer_changed(d, docs_kind(c->flavour));
	if (c->flavour == FLAVOUR_MICRODESC)
		tell_params(d, c);
	note_weight(d, c);
	update_listing(d);
	publish_consensus(d, c);
	tell_consensus(d, c);
}

int directory_microdesc(const struct directory *d, struct microdesc_facts *ret, const uint8_t digest[32])
{
	const struct doc *doc = docset_find(&d->docs.docs[FLAVOUR_MICRODESC], digest);

	return doc && doc->text ? microdesc_read(ret, doc->text, doc->len) : ERR_NOT_FOUND;
}

void directory_want_microdesc(struct directory *d, const uint8_t digest[32])
{
	if (d->microdescs && docset_name(&d->docs.docs[FLAVOUR_MICRODESC], digest, clock_wall()) == 0)
		directory_kick(d);
}

void directory_new_certs(struct directory *d)
{
	offer_changed(d, DIR_DOC_CERTS);
	store_changed(d, DIR_DOC_CERTS);
}

static int copy_authorities(struct directory *d, const struct directory_config *c)
{
	if (c->n_authorities == 0 || c->n_authorities > AUTHORITIES_MAX)
		return ERR_RANGE;
	for (size_t i = 0; i < c->n_authorities; i++)
		if (authority_find(c->authorities, i, c->authorities[i].v3ident) >= 0)
			return ERR_EXISTS;
	d->n = c->n_authorities;
	d->authorities = mem_dup(c->authorities, d->n * sizeof(*d->authorities));
	d->peers = mem_new_array(d->n, sizeof(*d->peers));
	for (unsigned i = 0; i < d->n; i++) {
		d->peers[i].d = d;
		d->peers[i].index = i;
		d->peers[i].conf = &d->authorities[i];
	}
	return 0;
}

int directory_new(struct directory **ret, struct event_base *base, const struct directory_config *c,
		  const struct directory_hooks *hooks, const uint8_t own_rsa_id[20],
		  const uint8_t own_ed_id[32])
{
	struct directory *d = mem_new(sizeof(*d));
	int r = copy_authorities(d, c);

	/* A consensus names relays by their RSA fingerprint alone. */
	(void)own_ed_id;
	if (r < 0) {
		free(d);
		return r;
	}
	d->base = base;
	d->hooks = *hooks;
	d->cache = c->cache;
	d->microdescs = c->cache || c->microdescs;
	d->test_network = c->test_network;
	d->cache_dir = c->cache_dir ? mem_strdup(c->cache_dir) : NULL;
	if (c->bind_v4)
		d->bind_v4 = *c->bind_v4;
	memcpy(d->own_id, own_rsa_id, sizeof(d->own_id));
	d->docs.authorities = d->authorities;
	d->docs.n_authorities = d->n;
	d->http = http_client_new(base);
	d->tick = evtimer_new(base, on_tick, d);
	if (!d->tick)
		mem_fail();
	fetch_init(d);
	offer_init(d);
	*ret = d;
	return 0;
}

void directory_free(struct directory *d)
{
	if (!d)
		return;
	store_stop(d);
	fetch_stop(d);
	publish_stop(d);
	votes_stop(d);
	offer_stop(d);
	http_client_free(d->http);
	event_free(d->tick);
	dircache_clear(&d->docs);
	free(d->peers);
	free(d->authorities);
	free(d->cache_dir);
	free(d);
}

void directory_start(struct directory *d)
{
	d->started = true;
	load_weights(d);
	store_load(d);
	directory_kick(d);
}

size_t directory_status(const struct directory *d, struct authority_status *out, size_t cap)
{
	size_t n = d->n < cap ? d->n : cap;

	for (size_t i = 0; i < n; i++) {
		const struct dir_authority *p = &d->peers[i];

		out[i] = (struct authority_status){
			.authority = p->conf,
			.last_upload = p->last_upload,
			.http_status = p->http_status,
			.not_new = p->not_new,
			.last_fetch = p->last_fetch,
			.fetch_status = p->fetch_status,
			.cert_known = dircerts_newest(&d->docs.certs, p->conf->v3ident) != NULL,
			.consensus_valid_after = p->consensus_valid_after,
			.in_consensus = p->in_consensus,
			.flags = p->flags,
			.weight = p->weight,
		};
		memcpy(out[i].message, p->message, sizeof(out[i].message));
	}
	return n;
}

void directory_consensus(const struct directory *d, struct consensus_status *ret)
{
	const struct consensus *c = dircache_latest(&d->docs);
	const struct docset *md = &d->docs.docs[FLAVOUR_MICRODESC];

	*ret = (struct consensus_status){ 0 };
	if (!c)
		return;
	ret->valid_after = c->valid_after;
	ret->fresh_until = c->fresh_until;
	ret->valid_until = c->valid_until;
	ret->listed = d->listed;
	ret->flags = d->listed_flags;
	ret->weight = d->listed_weight;
	ret->n_relays = (uint32_t)c->n_routers;
	if (d->cache) {
		ret->n_microdescs = (uint32_t)(md->n_listed - md->n_missing);
		ret->n_microdescs_missing = (uint32_t)md->n_missing;
	}
}
