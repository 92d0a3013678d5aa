/* What the keeper tells the network about the relay, and what the network tells it. */
#include "config.h"

#include "keeper.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/process.h>

/* -- addresses ------------------------------------------------------------------ */

static bool is_wildcard(const struct addr *a)
{
	return secret_is_zero(a->ip, sizeof(a->ip));
}

static const struct addr *first_listener(const struct config *c, enum addr_family family)
{
	for (size_t i = 0; i < c->or_listen.n; i++)
		if (c->or_listen.v[i].family == family)
			return &c->or_listen.v[i];
	return NULL;
}

static const struct addr *configured(const struct config *c, enum addr_family family)
{
	for (size_t i = 0; i < c->address.n; i++)
		if (c->address.v[i].family == family)
			return &c->address.v[i];
	return NULL;
}

static bool may_advertise(const struct config *c, const struct addr *a)
{
	return !is_wildcard(a) && (c->allow_private_addresses || !addr_is_private(a));
}

/* Configured, else a listener's own, else (IPv4 alone) what authorities agree on. */
static struct addr choose_address(struct keeper *k, enum addr_family family, const char **source)
{
	const struct config *c = k->config;
	const struct addr *listener = first_listener(c, family), *fixed = configured(c, family);
	const struct addr *now = family == ADDR_V4 ? &k->v4 : &k->v6;
	bool found_before = strcmp(k->addr_source, "found out") == 0 && now->family != ADDR_NONE;
	struct addr a = { 0 };

	if (!listener)
		return a;
	if (fixed) {
		a = *fixed;
		*source = "configured";
	} else if (may_advertise(c, listener)) {
		a = *listener;
		*source = "listener";
	} else if (family == ADDR_V4) {
		if (!own_addr_choose(&k->own_addr, &a, found_before ? now : NULL, clock_now_ms()))
			a = found_before ? *now : (struct addr){ 0 };
		*source = a.family == ADDR_NONE ? "none" : "found out";
	}
	if (a.family != ADDR_NONE)
		a.port = listener->port;
	return a;
}

void keeper_update_address(struct keeper *k)
{
	const char *source = "none", *unused = "none";
	struct addr v4 = choose_address(k, ADDR_V4, &source);
	struct addr v6 = choose_address(k, ADDR_V6, &unused);

	if (addr_eq(&v4, &k->v4) && addr_eq(&v6, &k->v6)) {
		k->addr_source = source;
		return;
	}
	k->v4 = v4;
	k->v6 = v6;
	k->addr_source = source;
	if (v4.family == ADDR_NONE)
		log_notice("No address to advertise is known; authorities are asked for it.");
	else
		log_notice("Advertising an address. address=%s source=\"%s\"", log_addr(&k->v4), source);
	if (k->link)
		keeper_feed_config(k);
	keeper_publish(k, "address changed");
}

void keeper_address_seen(struct keeper *k, const struct addr *ours, const uint8_t source[20])
{
	if (ours->family != ADDR_V4 || !may_advertise(k->config, ours))
		return;
	own_addr_add(&k->own_addr, ours, source, clock_now_ms());
	keeper_update_address(k);
}

bool keeper_knows_authority(const struct keeper *k, const uint8_t rsa_id[20])
{
	for (size_t i = 0; i < k->config->authority.n; i++)
		if (memcmp(k->config->authority.v[i].fingerprint, rsa_id, 20) == 0)
			return true;
	return false;
}

/* -- the descriptor ------------------------------------------------------------- */

const char *keeper_waits_for(const struct keeper *k)
{
	if (!k->keys)
		return "keys";
	if (k->state == KEEPER_STARTING)
		return "workers";
	if (k->v4.family == ADDR_NONE)
		return "an address to advertise: set \"address\", or wait until authorities tell it";
	if (!k->config->publish)
		return "publish = yes";
	return NULL;
}

/* "nonos 0.1.0 on Linux": says what it is, and is not taken for a tor version. */
static const char *platform(void)
{
	static char text[128];
	struct utsname u;

	snprintf(text, sizeof(text), "nonos %s on %.32s", PACKAGE_VERSION, uname(&u) == 0 ? u.sysname : "Unix");
	return text;
}

/* Without a limit of its own a relay names one that it will not meet. */
static void advertised_rate(uint64_t *ret_rate, uint64_t *ret_burst, const struct config *c)
{
	enum { NO_LIMIT = 1 << 30 };

	config_rate(ret_rate, ret_burst, c, clock_wall());
	if (*ret_rate == 0)
		*ret_rate = NO_LIMIT;
	if (*ret_burst < *ret_rate)
		*ret_burst = *ret_rate;
}

/*
 * A relay that has carried nothing yet would get weight 0, and so never carry
 * anything: it says the least that bandwidth_rate may be, which any relay can do.
 */
static uint64_t advertised_observed(const struct keeper *k)
{
	enum { LEAST = 76800 };
	uint64_t observed = bandwidth_observed(&k->bandwidth);

	return observed > LEAST ? observed : LEAST;
}

int keeper_open_families(struct families **ret, const struct keeper *k, const struct config *c, char *err,
			 size_t err_cap)
{
	const char *set = k->config->family_key_dir;
	char *dir = set ? mem_strdup(set) : mem_printf("%s/keys", k->config->data_dir);
	int r = families_open(ret, dir, (const char *const *)c->family_id.v, err, err_cap);

	free(dir);
	return r;
}

static int make_descriptor(void *arg, char **ret_descriptor, char **ret_extrainfo)
{
	struct keeper *k = arg;
	const struct config *c = k->config;
	const struct bandwidth *b = &k->bandwidth;
	uint64_t rate, burst;
	struct descriptor_facts f = {
		.nickname = c->nickname, .contact = c->contact, .platform = platform(),
		.v4 = k->v4, .v6 = k->v6,
		.hibernating = k->withdrawn != RELAY_DRAIN_NONE,
		.bandwidth_observed = advertised_observed(k),
		.uptime_s = (clock_now_ms() - k->started_ms) / 1000,
		.exit_policy = c->exit_policy, .allow_private = c->allow_private_addresses,
		.dir_cache = c->dir_cache, .family = (const char *const *)c->family.v,
		.families = k->families,
		.published = clock_wall(),
		.history_end = bandwidth_history_end(b), .history_interval_s = BANDWIDTH_DAY_S,
		.read_history = b->read_days, .write_history = b->write_days, .history_len = b->n_days,
	};
	int r;

	if (k->state != KEEPER_RUNNING || keeper_waits_for(k))
		return ERR_STATE;
	advertised_rate(&rate, &burst, c);
	f.bandwidth_rate = rate;
	f.bandwidth_burst = burst;
	r = descriptor_make(ret_descriptor, ret_extrainfo, k->keys, &f);
	if (r < 0)
		log_error("The server descriptor cannot be made. error=\"%s\"", err_str(r));
	else
		k->published_observed = f.bandwidth_observed;
	return r;
}

void keeper_publish(struct keeper *k, const char *reason)
{
	if (k->directory && k->state == KEEPER_RUNNING && !keeper_waits_for(k))
		directory_publish(k->directory, reason);
}

void keeper_check_bandwidth(struct keeper *k)
{
	enum { INTERVAL_MS = 30 * 60 * 1000 };
	uint64_t now = advertised_observed(k), before = k->published_observed;

	if (before == 0 || (now < 2 * before && now > before / 2) ||
	    (k->bandwidth_told_ms && clock_now_ms() - k->bandwidth_told_ms < INTERVAL_MS))
		return;
	k->bandwidth_told_ms = clock_now_ms();
	keeper_publish(k, "bandwidth changed");
}

/* -- hooks of the directory ------------------------------------------------------- */

static void on_document(void *arg, enum dir_doc kind, int fd)
{
	struct keeper *k = arg;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0 || kind < 1 || kind >= DIR_DOC_KINDS) {
		log_error("A directory document cannot be kept: out of file descriptors.");
		if (copy >= 0)
			close(copy);
		return;
	}
	if (k->documents[kind] >= 0)
		close(k->documents[kind]);
	k->documents[kind] = copy;
	if (k->link)
		keeper_feed_document(k, kind);
}

static void on_params(void *arg, const struct net_params *params)
{
	struct keeper *k = arg;

	k->params = *params;
	k->have_params = true;
	if (k->link)
		keeper_feed_params(k);
}

static void on_address_seen(void *arg, const struct addr *ours, const struct authority *by)
{
	keeper_address_seen(arg, ours, by->fingerprint);
}

static void on_listing(void *arg)
{
	struct keeper *k = arg;
	struct consensus_status s;
	char flags[256];

	directory_consensus(k->directory, &s);
	if (s.listed)
		log_notice("The consensus lists this relay. flags=\"%s\" weight=%llu",
			   relay_flags_str(flags, sizeof(flags), s.flags), (unsigned long long)s.weight);
	else if (s.valid_after)
		log_notice("The consensus does not list this relay.");
	keeper_notify_status(k);
}

static void on_consensus(void *arg, const struct consensus_facts *c)
{
	settle_consensus(((struct keeper *)arg)->settle, c);
	event_consensus(arg, c);
}

int keeper_directory_start(struct keeper *k, char *err, size_t err_cap)
{
	const struct config *c = k->config;
	char *cache_dir = mem_printf("%s/cache", c->data_dir);
	struct directory_config dc = {
		.authorities = c->authority.v, .n_authorities = c->authority.n, .cache_dir = cache_dir,
		.cache = c->dir_cache, .microdescs = c->genesis && c->measure, .test_network = c->network == NETWORK_TEST,
		.bind_v4 = c->bind_address.n ? &c->bind_address.v[0] : NULL,
	};
	struct directory_hooks hooks = {
		.document = on_document, .params = on_params, .make_descriptor = make_descriptor,
		.address_seen = on_address_seen, .listing = on_listing, .consensus = on_consensus,
		.uploaded = event_upload, .arg = k,
	};
	int r;

	settle_relay_is(k->settle, keys_ed_id(k->keys));
	/* Only with publish = no in a test network: nobody to ask, nobody to tell. */
	if (c->authority.n == 0) {
		free(cache_dir);
		return 0;
	}
	r = process_make_dir(cache_dir, (uid_t)-1, (gid_t)-1, err, err_cap);

	if (r == 0) {
		r = directory_new(&k->directory, k->base, &dc, &hooks, keys_rsa_id(k->keys), keys_ed_id(k->keys));
		if (r < 0)
			snprintf(err, err_cap, "The directory cannot be set up: %s.", err_str(r));
	}
	if (r == 0) {
		settle_use(k->settle, c, k->directory);
		directory_start(k->directory);
	}
	free(cache_dir);
	return r;
}
