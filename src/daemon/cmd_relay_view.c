/* Methods that look at the relay's own work: relay.links, circuits, dns, bandwidth, exit-policy.test. */
#include "config.h"

#include "keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/directory_view.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/policy.h>

#include "answer.h"

enum { LINKS_SHOWN = 1000 };

/* -- questions to the workers ------------------------------------------------------- */

/* One call that waits for the workers' answers. */
struct looking {
	struct keeper *k;
	struct ctl_pending *pending;
	uint32_t id;
	json_t *o;
	size_t most;			/* rows wanted */
	struct link_row *rows;
	size_t n_rows;
	struct link_sum clients, unlisted;
	struct circuits_view circuits;
	struct dns_view dns;
	bool dns_seen;
	/* Build the answer from what has come. */
	void (*build)(struct looking *w);
};

static void looking_free(struct looking *w)
{
	json_decref(w->o);
	free(w->rows);
	free(w);
}

static void on_gone(void *arg)
{
	struct looking *w = arg;

	asks_cancel(w->k->asks, w->id);
	looking_free(w);
}

static void on_done(void *arg, unsigned asked, unsigned answered)
{
	struct looking *w = arg;

	w->build(w);
	put_number(w->o, "workers", asked);
	put_number(w->o, "workers_silent", asked - answered);
	ctl_pending_finish(w->pending, w->o);
	w->o = NULL;
	looking_free(w);
}

static int look(struct ctl_call *call, enum message_ask_kind kind, struct ask_sink *sink, struct looking *w)
{
	int r;

	w->k = call->arg;
	w->o = json_object();
	sink->done = on_done;
	sink->arg = w;
	r = asks_start(w->k->asks, &w->id, kind, sink);
	if (r < 0) {
		looking_free(w);
		return ctl_fail(call, r, CTL_NOT_NOW, r == ERR_LIMIT ? "too many such questions are under way; try again" :
				"no worker is ready; see \"status\"");
	}
	r = ctl_defer(&w->pending, call, on_gone, w);
	if (r < 0) {
		asks_cancel(w->k->asks, w->id);
		looking_free(w);
	}
	return r;
}

static struct looking *looking_new(void (*build)(struct looking *w))
{
	struct looking *w = mem_new(sizeof(*w));

	w->build = build;
	return w;
}

/* -- links ----------------------------------------------------------------------------- */

static uint32_t add_u32(uint32_t a, uint32_t b)
{
	return b > UINT32_MAX - a ? UINT32_MAX : a + b;
}

static void sum_add(struct link_sum *a, const struct link_sum *b)
{
	a->n = add_u32(a->n, b->n);
	a->read_mib = add_u32(a->read_mib, b->read_mib);
	a->written_mib = add_u32(a->written_mib, b->written_mib);
}

static void on_links(void *arg, const struct link_page *page)
{
	struct looking *w = arg;

	sum_add(&w->clients, &page->clients);
	sum_add(&w->unlisted, &page->unlisted);
	w->rows = mem_resize(w->rows, w->n_rows + page->n + 1, sizeof(*w->rows));
	memcpy(w->rows + w->n_rows, page->rows, page->n * sizeof(*w->rows));
	w->n_rows += page->n;
}

/* The busiest first. */
static int compare_rows(const void *a, const void *b)
{
	const struct link_row *x = a, *y = b;
	uint64_t sx = (uint64_t)x->read_mib + x->written_mib, sy = (uint64_t)y->read_mib + y->written_mib;

	if (sx != sy)
		return sx > sy ? -1 : 1;
	return memcmp(x->rsa_id, y->rsa_id, sizeof(x->rsa_id));
}

static void put_mib(json_t *o, const char *name, uint32_t mib)
{
	put_number(o, name, (uint64_t)mib << 20);
}

static json_t *row_json(const struct keeper *k, const struct link_row *row)
{
	char hex[41], nickname[20];
	json_t *o = json_object();

	hex_encode_upper(hex, row->rsa_id, sizeof(row->rsa_id));
	put_text(o, "fingerprint", hex);
	put_text(o, "nickname", k->directory && directory_nickname(k->directory, nickname, row->rsa_id) ? nickname : NULL);
	put_text(o, "opened_by", row->initiator ? "us" : "peer");
	put(o, "canonical", json_boolean(row->canonical));
	put_number(o, "version", row->version);
	put_number(o, "age_s", (uint64_t)row->age_min * 60);
	put_mib(o, "read_bytes", row->read_mib);
	put_mib(o, "written_bytes", row->written_mib);
	return o;
}

static json_t *sum_json(const struct link_sum *s)
{
	json_t *o = json_object();

	put_number(o, "links", s->n);
	put_mib(o, "read_bytes", s->read_mib);
	put_mib(o, "written_bytes", s->written_mib);
	return o;
}

static void build_links(struct looking *w)
{
	size_t n = w->n_rows < w->most ? w->n_rows : w->most;
	json_t *list = json_array();

	if (w->n_rows)
		qsort(w->rows, w->n_rows, sizeof(*w->rows), compare_rows);
	for (size_t i = 0; i < n; i++)
		put_item(list, row_json(w->k, &w->rows[i]));
	put_number(w->o, "relays", w->n_rows);
	put(w->o, "clients", sum_json(&w->clients));
	put(w->o, "unlisted", sum_json(&w->unlisted));
	put(w->o, "links", list);
}

int cmd_relay_links(struct ctl_call *call)
{
	struct looking *w = looking_new(build_links);
	struct ask_sink sink = { .links = on_links };

	w->most = (size_t)param_integer(call->params, "most", LINKS_SHOWN);
	return look(call, ASK_LINKS, &sink, w);
}

/* -- circuits -------------------------------------------------------------------------- */

static void add_list(uint32_t *a, const uint32_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		a[i] = add_u32(a[i], b[i]);
}

static void on_circuits(void *arg, const struct circuits_view *v)
{
	struct circuits_view *all = &((struct looking *)arg)->circuits;

	add_list(all->states, v->states, VIEW_STATES);
	add_list(all->ages, v->ages, VIEW_AGES);
	add_list(all->queues, v->queues, VIEW_QUEUES);
	all->from_clients = add_u32(all->from_clients, v->from_clients);
	all->congestion_control = add_u32(all->congestion_control, v->congestion_control);
	all->queued_cells += v->queued_cells < UINT32_MAX ? v->queued_cells : UINT32_MAX;
}

static json_t *counts_json(const char *what, const char *const *names, const uint32_t *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *o = json_object();

		put_text(o, what, names[i]);
		put_number(o, "circuits", v[i]);
		put_item(list, o);
	}
	return list;
}

static void build_circuits(struct looking *w)
{
	static const char *const ages[VIEW_AGES] = {
		"below 10 s", "10 s to 1 min", "1 to 10 min", "10 min to 1 h", "1 h to 1 day", "above 1 day",
	};
	static const char *const queues[VIEW_QUEUES] = { "0", "1 to 9", "10 to 99", "100 to 999", "1000 and more" };
	const struct circuits_view *v = &w->circuits;
	const char *states[VIEW_STATES];
	uint32_t all = 0;

	for (size_t i = 0; i < VIEW_STATES; i++) {
		states[i] = relay_view_state(i);
		all = add_u32(all, v->states[i]);
	}
	put_number(w->o, "circuits", all);
	put_number(w->o, "from_clients", v->from_clients);
	put_number(w->o, "congestion_control", v->congestion_control);
	put_number(w->o, "queued_cells", v->queued_cells);
	put(w->o, "states", counts_json("state", states, v->states, VIEW_STATES));
	put(w->o, "ages", counts_json("age", ages, v->ages, VIEW_AGES));
	put(w->o, "queues", counts_json("cells", queues, v->queues, VIEW_QUEUES));
}

int cmd_relay_circuits(struct ctl_call *call)
{
	struct ask_sink sink = { .circuits = on_circuits };

	return look(call, ASK_CIRCUITS, &sink, looking_new(build_circuits));
}

/* -- names --------------------------------------------------------------------------------- */

static void server_add(struct dns_view *all, const struct dns_server *s)
{
	for (size_t i = 0; i < all->n; i++)
		if (addr_eq(&all->servers[i].addr, &s->addr)) {
			all->servers[i].down |= s->down;
			all->servers[i].failures = add_u32(all->servers[i].failures, s->failures);
			return;
		}
	if (all->n < DNS_SERVERS_MAX)
		all->servers[all->n++] = *s;
}

static void on_dns(void *arg, const struct dns_view *v)
{
	struct looking *w = arg;

	w->dns.usable = (!w->dns_seen || w->dns.usable) && v->usable;
	w->dns_seen = true;
	w->dns.cached = add_u32(w->dns.cached, v->cached);
	w->dns.pending = add_u32(w->dns.pending, v->pending);
	w->dns.cache_bytes += v->cache_bytes < UINT32_MAX ? v->cache_bytes : UINT32_MAX;
	for (size_t i = 0; i < v->n; i++)
		server_add(&w->dns, &v->servers[i]);
}

static void build_dns(struct looking *w)
{
	const struct dns_view *v = &w->dns;
	json_t *list = json_array();
	struct relay_counters c;

	team_counters(w->k->team, &c);
	put(w->o, "usable", json_boolean(v->usable));
	put_number(w->o, "asked", c.dns_queries);
	put_number(w->o, "from_cache", c.dns_hits);
	put_number(w->o, "not_found", c.dns_not_found);
	put_number(w->o, "no_answer", c.dns_no_answer);
	put_number(w->o, "cached", v->cached);
	put_number(w->o, "cache_bytes", v->cache_bytes);
	put_number(w->o, "under_way", v->pending);
	for (size_t i = 0; i < v->n; i++) {
		json_t *o = json_object();

		put_addr(o, "address", &v->servers[i].addr);
		put_text(o, "state", v->servers[i].down ? "down" : "up");
		put_number(o, "failures", v->servers[i].failures);
		put_item(list, o);
	}
	put(w->o, "servers", list);
}

int cmd_relay_dns(struct ctl_call *call)
{
	struct ask_sink sink = { .dns = on_dns };

	return look(call, ASK_DNS, &sink, looking_new(build_dns));
}

/* -- bandwidth ------------------------------------------------------------------------------ */

static json_t *day_json(int64_t end, uint64_t read, uint64_t written, uint64_t read_peak, uint64_t write_peak)
{
	json_t *o = json_object();

	put_time(o, "until", end);
	put_number(o, "read_bytes", read);
	put_number(o, "written_bytes", written);
	put_number(o, "read_peak", read_peak);
	put_number(o, "write_peak", write_peak);
	return o;
}

/* Days as the descriptor has them: 24 hours each, the last one still running. */
static json_t *days_json(const struct bandwidth *b)
{
	json_t *list = json_array();

	for (size_t i = 0; i < b->n_days; i++) {
		size_t ago = b->n_days - i;
		uint64_t read_peak = ago < BANDWIDTH_DAYS ? b->read_peak[ago] : 0;
		uint64_t write_peak = ago < BANDWIDTH_DAYS ? b->write_peak[ago] : 0;

		put_item(list, day_json(b->day_end_s - (int64_t)ago * BANDWIDTH_DAY_S, b->read_days[i], b->write_days[i],
					read_peak, write_peak));
	}
	put_item(list, day_json(b->day_end_s, b->read_today, b->write_today, b->read_peak[0], b->write_peak[0]));
	return list;
}

int cmd_relay_bandwidth(struct ctl_call *call)
{
	const struct keeper *k = call->arg;
	const struct bandwidth *b = &k->bandwidth;
	json_t *o = json_object();

	put_number(o, "read_now", bandwidth_now(b->read_s));
	put_number(o, "written_now", bandwidth_now(b->write_s));
	put_number(o, "rate", k->rate);
	put_number(o, "burst", k->burst);
	put_number(o, "observed", bandwidth_observed(b));
	put_number(o, "published", k->published_observed);
	put(o, "days", days_json(b));
	call->result = o;
	return 0;
}

/* -- exit policy ---------------------------------------------------------------------------- */

/* What holds in the workers: relay_set_config() puts the same in front. */
static struct policy *policy_in_force(const struct keeper *k)
{
	struct policy *p = NULL;

	if (policy_parse(&p, k->config->exit_policy ? k->config->exit_policy : "", NULL, 0) < 0)
		mem_fail();	/* it was parsed when the configuration was read */
	if (!k->config->allow_private_addresses) {
		policy_reject_private(p);
		if (k->v4.family)
			policy_reject_addr(p, &k->v4);
		if (k->v6.family)
			policy_reject_addr(p, &k->v6);
	}
	return p;
}

static bool would_allow(const char *rules, size_t len, const char *last, const struct addr *a)
{
	char *text = mem_printf("%.*s, %s", (int)len, rules, last);
	struct policy *p = NULL;
	bool yes = policy_parse(&p, text, NULL, 0) == 0 && policy_allows(p, a);

	policy_free(p);
	free(text);
	return yes;
}

/* The configured rule that decides: with the rules up to it, what comes after does not matter. */
static char *deciding_rule(const char *rules, const struct addr *a)
{
	const char *start = rules;

	while (*start) {
		size_t len = strcspn(start, ","), upto = (size_t)(start - rules) + len;

		if (would_allow(rules, upto, "accept *:*", a) == would_allow(rules, upto, "reject *:*", a)) {
			while (len && *start == ' ') {
				start++;
				len--;
			}
			return mem_strndup(start, len);
		}
		start += len + (start[len] == ',');
	}
	return NULL;
}

static const char *why_of(const struct keeper *k, const struct addr *a, bool allowed)
{
	const struct config *c = k->config;

	if (!allowed && !c->allow_private_addresses && addr_is_private(a))
		return "private addresses are never reached";
	if (!allowed && !c->allow_private_addresses && (addr_ip_eq(a, &k->v4) || addr_ip_eq(a, &k->v6)))
		return "this is an address of the relay itself";
	return "exit_policy";
}

/* "80", "443", "8000-8080": what of 1 to 65535 is let out to that address. */
static json_t *ports_json(const struct policy *p, struct addr a)
{
	json_t *list = json_array();
	uint32_t from = 0;

	for (uint32_t port = 1; port <= 65536; port++) {
		bool yes;

		a.port = (uint16_t)port;
		yes = port <= 65535 && policy_allows(p, &a);
		if (yes && !from)
			from = port;
		if (!yes && from) {
			char text[16];

			snprintf(text, sizeof(text), from == port - 1 ? "%u" : "%u-%u", from, port - 1);
			put_item(list, json_string(text));
			from = 0;
		}
	}
	return list;
}

static int parse_target(struct addr *ret, const char *text)
{
	size_t len = strlen(text);

	if (addr_parse(ret, text, len) == 0 && ret->port)
		return 0;
	if (addr_parse_ip(ret, text, len) < 0)
		return ERR_MALFORMED;
	ret->port = 0;
	return 0;
}

int cmd_relay_exit_policy_test(struct ctl_call *call)
{
	const struct keeper *k = call->arg;
	const char *text = param_text(call->params, "address");
	char ip[ADDR_TEXT_CAP], *rule;
	struct policy *p;
	struct addr a;
	bool allowed;
	json_t *o;

	if (parse_target(&a, text) < 0)
		return ctl_fail(call, ERR_MALFORMED, CTL_INVALID_PARAMS, "\"%s\" is not an address such as 192.0.2.1, "
				"192.0.2.1:443 or [2001:db8::1]:443; names are looked up by exits, not here", text);
	p = policy_in_force(k);
	o = json_object();
	put_text(o, "address", addr_format_ip(ip, &a));
	put(o, "port", a.port ? json_integer(a.port) : json_null());
	if (a.port) {
		const char *why;

		allowed = policy_allows(p, &a);
		why = why_of(k, &a, allowed);
		rule = strcmp(why, "exit_policy") == 0 && k->config->exit_policy ? deciding_rule(k->config->exit_policy, &a) : NULL;
		put(o, "allowed", json_boolean(allowed));
		put_text(o, "because", why);
		put_text(o, "rule", rule);
		free(rule);
	} else {
		json_t *ports = ports_json(p, a);

		put(o, "allowed", json_boolean(json_array_size(ports) > 0));
		put(o, "ports", ports);
	}
	/* Without an IPv6 address of its own a relay does not tell the network that it exits there. */
	put(o, "published", json_boolean(a.family == ADDR_V4 || k->v6.family == ADDR_V6));
	policy_free(p);
	call->result = o;
	return 0;
}
