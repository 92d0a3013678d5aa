/* The keeper's state as JSON: what nonosctl and scripts see. */
#include "config.h"

#include "keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/clock.h>
#include <nonos/directory_view.h>
#include <nonos/encode.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/process.h>

#include "answer.h"
#include "attention.h"

/* "Fast Guard Running" as a list. */
json_t *status_flags(uint32_t flags)
{
	char text[256], *rest, *word;
	json_t *list = json_array();

	relay_flags_str(text, sizeof(text), flags);
	rest = text;
	while ((word = strsep(&rest, " ")))
		if (*word)
			json_array_append_new(list, json_string(word));
	return list;
}

static json_t *sandbox_json(const struct sandbox_state *s)
{
	json_t *o = json_object();

	put(o, "no_new_privs", json_boolean(s->no_new_privs));
	put_number(o, "landlock", s->landlock);
	put(o, "seccomp", json_boolean(s->seccomp));
	return o;
}

static json_t *workers_json(const struct keeper *k)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < team_size(k->team); i++) {
		struct member_status m;
		json_t *o = json_object();

		team_status(k->team, i, &m);
		put_number(o, "index", m.index);
		put(o, "pid", m.pid ? json_integer(m.pid) : json_null());
		put_text(o, "state", member_state_str(m.state));
		put_number(o, "restarts", m.restarts);
		put_number(o, "links", m.counters->links);
		put_number(o, "circuits", m.counters->circuits);
		put_number(o, "streams", m.counters->streams);
		put_number(o, "memory_bytes", m.counters->memory_bytes);
		put(o, "sandbox", sandbox_json(&m.sandbox));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *authority_json(const struct authority_status *s)
{
	json_t *o = json_object();
	char v3ident[41];

	hex_encode_upper(v3ident, s->authority->v3ident, 20);
	put_text(o, "name", s->authority->name);
	put_text(o, "v3ident", v3ident);
	put_addr(o, "address", &s->authority->dir);
	put_time(o, "last_upload", s->last_upload);
	put(o, "http_status", json_integer(s->http_status));
	put_message(o, "message", s->message);
	put(o, "not_new", json_boolean(s->not_new));
	put_time(o, "last_fetch", s->last_fetch);
	put(o, "fetch_status", json_integer(s->fetch_status));
	put(o, "certificate", json_boolean(s->cert_known));
	put_time(o, "consensus_valid_after", s->consensus_valid_after);
	put(o, "in_consensus", json_boolean(s->in_consensus));
	put(o, "flags", status_flags(s->in_consensus ? s->flags : 0));
	put_number(o, "weight", s->in_consensus ? s->weight : 0);
	return o;
}

static json_t *directory_json(const struct keeper *k)
{
	size_t n = k->config->authority.n;
	struct authority_status *rows = mem_new_array(n, sizeof(*rows));
	json_t *list = json_array();

	if (k->directory)
		n = directory_status(k->directory, rows, n);
	else
		n = 0;
	for (size_t i = 0; i < n && i < k->config->authority.n; i++)
		json_array_append_new(list, authority_json(&rows[i]));
	free(rows);
	return list;
}

static json_t *share_json(const struct weight_sample *s)
{
	return s->listed && s->total ? json_integer((json_int_t)(s->weight * 1000000 / s->total)) : json_null();
}

/* Weight says little by itself: the share of all, the rank, and the share so many consensuses ago. */
static void put_share(json_t *o, const struct keeper *k)
{
	enum { BACK = 24 };
	struct weight_sample v[BACK] = { { .listed = false } };
	size_t n = k->directory ? directory_weights(k->directory, v, BACK) : 0;
	const struct weight_sample *now = &v[n ? n - 1 : 0];

	put(o, "share_ppm", share_json(now));
	put(o, "share_before_ppm", n > 1 ? share_json(&v[0]) : json_null());
	put(o, "rank", now->rank ? json_integer(now->rank) : json_null());
}

static json_t *consensus_json(const struct keeper *k)
{
	struct consensus_status s = { 0 };
	json_t *o = json_object();

	if (k->directory)
		directory_consensus(k->directory, &s);
	put_time(o, "valid_after", s.valid_after);
	put_time(o, "fresh_until", s.fresh_until);
	put_time(o, "valid_until", s.valid_until);
	put(o, "listed", json_boolean(s.listed));
	put(o, "flags", status_flags(s.listed ? s.flags : 0));
	put_number(o, "weight", s.listed ? s.weight : 0);
	put_share(o, k);
	put_number(o, "relays", s.n_relays);
	put_number(o, "microdescriptors", s.n_microdescs);
	put_number(o, "microdescriptors_missing", s.n_microdescs_missing);
	return o;
}

static json_t *keys_json(const struct keeper *k)
{
	json_t *o = json_object();

	put_time(o, "signing_expires", keys_signing_expires(k->keys));
	put_time(o, "onion_rotates", keys_onion_rotates(k->keys));
	put(o, "master_offline", json_boolean(keys_master_is_offline(k->keys)));
	return o;
}

static json_t *addresses_json(const struct keeper *k)
{
	json_t *o = json_object();

	put_addr(o, "ipv4", &k->v4);
	put_addr(o, "ipv6", &k->v6);
	put_text(o, "source", k->addr_source);
	return o;
}

static json_t *direction_json(uint64_t read, uint64_t written)
{
	json_t *o = json_object();

	put_number(o, "read", read);
	put_number(o, "written", written);
	return o;
}

/* Oldest first; the last is today. */
static json_t *days_json(const struct totals *t)
{
	json_t *list = json_array();

	for (size_t i = 0; i < t->n_days; i++) {
		json_t *o = direction_json(t->days[i].read, t->days[i].written);
		uint32_t date = t->days[i].date;
		char text[32];

		snprintf(text, sizeof(text), "%04u-%02u-%02u", (unsigned)(date / 10000), (unsigned)(date / 100 % 100),
			 (unsigned)(date % 100));
		put_text(o, "date", text);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *bandwidth_json(const struct keeper *k)
{
	json_t *o = json_object();

	put_number(o, "rate", k->rate);
	put_number(o, "burst", k->burst);
	put(o, "scheduled", json_boolean(k->rate != k->config->bandwidth_rate));
	put_number(o, "observed", bandwidth_observed(&k->bandwidth));
	put(o, "now", direction_json(bandwidth_now(k->bandwidth.read_s), bandwidth_now(k->bandwidth.write_s)));
	put(o, "days", days_json(&k->totals));
	return o;
}

static const char *problem_of_accounting(enum accounting_state state)
{
	switch (state) {
	case ACCOUNTING_OFF:
	case ACCOUNTING_OPEN:
		return NULL;
	case ACCOUNTING_SOFT:
		return "accounting_max is nearly used up, so new circuits are refused until the next period";
	case ACCOUNTING_HARD:
		return "accounting_max is used up, so the relay sleeps until the next period";
	}
	return NULL;
}

static json_t *accounting_json(const struct keeper *k)
{
	static const char *const states[] = {
		[ACCOUNTING_OFF] = "off", [ACCOUNTING_OPEN] = "open", [ACCOUNTING_SOFT] = "soft", [ACCOUNTING_HARD] = "hard",
	};
	const struct accounting *a = &k->totals.accounting;
	uint64_t max = k->config->accounting_max, used;
	enum accounting_state state = keeper_accounting(k);
	json_t *o = json_object();

	used = accounting_used(a, (enum accounting_rule)k->config->accounting_count);
	put_text(o, "state", states[state]);
	put_number(o, "max", max);
	put_text(o, "count", config_text(k->config, OPTION_accounting_count));
	put_number(o, "used", used);
	put(o, "left", max ? json_integer((json_int_t)(used < max ? max - used : 0)) : json_null());
	put_number(o, "read", a->read);
	put_number(o, "written", a->written);
	put_time(o, "from", a->from_s);
	put_time(o, "until", a->to_s);
	put_text(o, "problem", problem_of_accounting(state));
	put_text(o, "do", problem_of_accounting(state) ? "raise accounting_max if the provider allows more, or wait" : NULL);
	return o;
}

/* {"ntor": 5, "fast": 0, ...} */
static void put_list(json_t *o, const char *name, const uint64_t *values, enum count_list list, size_t n)
{
	json_t *parts = json_object();

	for (size_t i = 0; i < n; i++)
		put_number(parts, relay_count_name(list, i), values[i]);
	put(o, name, parts);
}

json_t *status_counters(struct keeper *k)
{
	struct relay_counters c;
	json_t *o = json_object();

	keeper_counters(k, &c);
#define TOTAL(field, labels) put_number(o, #field, c.field);
#define TOTALS(field, list, labels, key) put_list(o, #field, c.field, LIST_##list, COUNT_##list);
#define GAUGE(field, labels) put_number(o, #field, c.field);
#define GAUGES(field, list, labels, key) put_list(o, #field, c.field, LIST_##list, COUNT_##list);
#define HISTOGRAM(field, sum_ms) \
	put_list(o, #field, c.field, LIST_WAITS, COUNT_WAITS); put_number(o, #sum_ms, c.sum_ms);
#define TOTAL_SUM(field) put_number(o, #field, c.field);
#define GAUGE_SUM(field) put_number(o, #field, c.field);
#include <nonos/metrics.def>
	return o;
}

static void put_identity(json_t *o, const struct keeper *k)
{
	char rsa[41], ed[BASE64_CAP(32)];

	hex_encode_upper(rsa, keys_rsa_id(k->keys), 20);
	base64_encode(ed, keys_ed_id(k->keys), 32, false);
	put_text(o, "nickname", k->config->nickname);
	put_text(o, "fingerprint", rsa);
	put_text(o, "ed25519", ed);
}

/* The values an operator looks at first, at the top level. */
static void put_headline(json_t *o, const json_t *counters)
{
	static const char *const names[] = {
		"links", "circuits", "streams", "read_bytes", "written_bytes", "queued_bytes",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		json_object_set(o, names[i], json_object_get(counters, names[i]));
}

/* What max_memory bounds: all processes, the keeper among them. */
static uint64_t memory_of_all(const struct keeper *k, const json_t *counters)
{
	uint64_t workers = (uint64_t)json_integer_value(json_object_get(counters, "memory_bytes"));

	return k->one_process ? process_memory() : workers + process_memory();
}

json_t *status_make(struct keeper *k)
{
	json_t *o = json_object(), *counters = status_counters(k);
	const char *waits = keeper_waits_for(k);

	put_text(o, "version", PACKAGE_VERSION);
	put_identity(o, k);
	put_text(o, "state", keeper_state_str(k->state));
	put_text(o, "service", keeper_service_str(k));
	put_text(o, "waiting_for", k->state >= KEEPER_DRAINING ? NULL : waits);
	put_number(o, "uptime_s", (clock_now_ms() - k->started_ms) / 1000);
	put_number(o, "pid", (uint64_t)getpid());
	put(o, "one_process", json_boolean(k->one_process));
	put(o, "sandbox", sandbox_json(&k->sandbox));
	put(o, "workers", workers_json(k));
	put_headline(o, counters);
	put_number(o, "memory_bytes", memory_of_all(k, counters));
	put_number(o, "max_memory", config_max_memory(k->config));
	put(o, "addresses", addresses_json(k));
	put(o, "reached", json_boolean(k->reached));
	put(o, "bandwidth", bandwidth_json(k));
	put(o, "accounting", accounting_json(k));
	put(o, "keys", keys_json(k));
	put(o, "directory", directory_json(k));
	put(o, "consensus", consensus_json(k));
	put(o, "ledger", settle_status(k->settle));
	put(o, "counters", counters);
	put(o, "dependencies", dependencies_make(o, clock_wall()));
	put(o, "attention", attention_make(o, clock_wall()));
	return o;
}

/* Two lines, so that none is cut. What stands in lists is in their sums, too. */
void status_log_counters(struct keeper *k)
{
	struct relay_counters c;
	char text[4096], *half;
	size_t len = 0;

	keeper_counters(k, &c);
#define ADD(name) \
	len += (size_t)snprintf(text + len, sizeof(text) - len, " " #name "=%llu", (unsigned long long)c.name);
#define TOTAL(field, labels) ADD(field)
#define GAUGE(field, labels) ADD(field)
#define TOTAL_SUM(field) ADD(field)
#define GAUGE_SUM(field) ADD(field)
#include <nonos/metrics.def>
#undef ADD
	half = strchr(text + len / 2, ' ');
	*half = '\0';
	log_notice("Counters since the start.%s", text);
	log_notice("Counters since the start. %s", half + 1);
}
