/* Methods that look at what the network makes of this relay: relay.descriptor, flags, family. */
#include "config.h"

#include "keeper.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <nonos/directory_view.h>
#include <nonos/encode.h>
#include <nonos/err.h>

#include "answer.h"
#include "flag_advice.h"

enum { AUTHORITIES = 16, HISTORY = 24, VOTES_WAIT_S = 8 };

static int no_directory(struct ctl_call *call)
{
	return ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "this relay has no directory authorities: it is in no network");
}

/* -- relay.descriptor ------------------------------------------------------------------ */

static json_t *upload_json(const struct authority_status *s)
{
	json_t *o = json_object();

	put_text(o, "authority", s->authority->name);
	put_addr(o, "address", &s->authority->dir);
	put_time(o, "taken", s->last_upload);
	put(o, "http_status", json_integer(s->http_status));
	put_message(o, "message", s->message);
	put(o, "not_new", json_boolean(s->not_new));
	put(o, "in_consensus", json_boolean(s->in_consensus));
	return o;
}

static json_t *uploads_json(const struct keeper *k)
{
	struct authority_status rows[AUTHORITIES];
	size_t n = directory_status(k->directory, rows, AUTHORITIES);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		put_item(list, upload_json(&rows[i]));
	return list;
}

int cmd_relay_descriptor(struct ctl_call *call)
{
	const struct keeper *k = call->arg;
	struct descriptor_status s;
	char hex[41];
	json_t *o;

	if (!k->directory)
		return no_directory(call);
	directory_descriptor(k->directory, &s);
	hex_encode_upper(hex, s.digest, sizeof(s.digest));
	o = json_object();
	put_time(o, "made", s.made);
	put_text(o, "reason", s.descriptor ? s.reason : NULL);
	put_text(o, "waiting_for", keeper_waits_for(k));
	put(o, "due", json_boolean(s.due));
	put_text(o, "digest", s.descriptor ? hex : NULL);
	put(o, "in_consensus", s.digest_known ? json_boolean(s.is_listed) : json_null());
	put(o, "uploads", uploads_json(k));
	put_text(o, "descriptor", s.descriptor);
	put_text(o, "extra_info", s.extrainfo);
	call->result = o;
	return 0;
}

/* -- relay.flags ------------------------------------------------------------------------- */

static uint64_t share_ppm(const struct weight_sample *s)
{
	return s->listed && s->total ? s->weight * 1000000 / s->total : 0;
}

static json_t *sample_json(const struct weight_sample *s)
{
	json_t *o = json_object();

	put_time(o, "valid_after", s->valid_after);
	put(o, "listed", json_boolean(s->listed));
	put_number(o, "weight", s->weight);
	put_number(o, "share_ppm", share_ppm(s));
	put(o, "rank", s->rank ? json_integer(s->rank) : json_null());
	put_number(o, "relays", s->n_relays);
	put(o, "measured", s->listed ? json_boolean(!s->unmeasured) : json_null());
	return o;
}

static json_t *weights_json(const struct keeper *k, size_t cap)
{
	struct weight_sample *v = mem_new_array(cap, sizeof(*v));
	size_t n = directory_weights(k->directory, v, cap);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		put_item(list, sample_json(&v[i]));
	free(v);
	return list;
}

static json_t *thresholds_json(const struct vote_thresholds *t)
{
	json_t *o = json_object();

	put_number(o, "fast_speed", t->fast_speed);
	put_number(o, "stable_uptime_s", t->stable_uptime_s);
	put_number(o, "stable_mtbf_s", t->stable_mtbf_s);
	put_number(o, "guard_known_s", t->guard_tk_s);
	put_number(o, "guard_wfu_ppm", t->guard_wfu_ppm);
	put_number(o, "guard_bandwidth_with_exits", t->guard_bw_inc_exits);
	put_number(o, "guard_bandwidth_without_exits", t->guard_bw_exc_exits);
	return o;
}

static void put_vote(json_t *o, const struct vote_view *v)
{
	put_time(o, "valid_after", v->valid_after);
	put(o, "listed", json_boolean(v->listed));
	put(o, "flags", status_flags(v->flags));
	put_number(o, "advertised_kb", v->bandwidth_kb);
	put(o, "measures", json_boolean(v->measures));
	put(o, "measured_kb", v->has_measured ? json_integer((json_int_t)v->measured_kb) : json_null());
	put(o, "up_ppm", v->has_stats ? json_integer(v->wfu_ppm) : json_null());
	put(o, "known_s", v->has_stats ? json_integer((json_int_t)v->tk_s) : json_null());
	put(o, "mtbf_s", v->has_stats ? json_integer((json_int_t)v->mtbf_s) : json_null());
	put(o, "thresholds", v->has_thresholds ? thresholds_json(&v->thresholds) : json_null());
}

static json_t *vote_json(const struct vote_status *s, const struct authority_status *row)
{
	json_t *o = json_object();

	put_text(o, "authority", s->authority->name);
	put_time(o, "signed_consensus", row->consensus_valid_after);
	put(o, "consensus_lists", json_boolean(row->in_consensus));
	put_time(o, "fetched", s->fetched);
	put(o, "status", json_integer(s->status));
	put(o, "vote", json_boolean(s->good));
	if (s->good)
		put_vote(o, &s->vote);
	return o;
}

static json_t *advice_json(const struct keeper *k, const struct consensus_status *cs, const struct vote_status *votes,
			   size_t n)
{
	const struct config *c = k->config;
	struct flag_facts facts = {
		.listed = cs->listed, .flags = cs->flags, .dir_cache = c->dir_cache,
		.is_exit = c->exit_policy && strstr(c->exit_policy, "accept"), .votes = votes, .n_votes = n,
	};
	struct flag_advice advice[FLAG_ADVICE_N];
	json_t *list = json_array();

	flag_advice(advice, &facts);
	for (size_t i = 0; i < FLAG_ADVICE_N; i++) {
		const struct flag_advice *a = &advice[i];
		json_t *o = json_object();

		put_text(o, "flag", a->name);
		put(o, "given", json_boolean(a->given));
		put_number(o, "votes", a->votes);
		put_number(o, "voters", a->voters);
		put_text(o, "needs", a->needs[0] ? a->needs : NULL);
		put(o, "wait_s", a->wait_s < 0 ? json_null() : json_integer(a->wait_s));
		put_item(list, o);
	}
	return list;
}

static json_t *flags_json(const struct keeper *k, size_t history)
{
	struct authority_status rows[AUTHORITIES];
	struct vote_status votes[AUTHORITIES];
	size_t n = directory_votes(k->directory, votes, AUTHORITIES);
	json_t *o = json_object(), *list = json_array();
	struct consensus_status cs;
	struct weight_sample now = { .listed = false };

	directory_status(k->directory, rows, AUTHORITIES);
	directory_consensus(k->directory, &cs);
	directory_weights(k->directory, &now, 1);
	put_time(o, "valid_after", cs.valid_after);
	put(o, "listed", json_boolean(cs.listed));
	put(o, "flags", status_flags(cs.listed ? cs.flags : 0));
	put_number(o, "weight", cs.listed ? cs.weight : 0);
	put_number(o, "share_ppm", share_ppm(&now));
	put(o, "rank", now.rank ? json_integer(now.rank) : json_null());
	put_number(o, "relays", cs.n_relays);
	put(o, "measured", cs.listed ? json_boolean(!now.unmeasured) : json_null());
	put(o, "missing", advice_json(k, &cs, votes, n));
	for (size_t i = 0; i < n; i++)
		put_item(list, vote_json(&votes[i], &rows[i]));
	put(o, "authorities", list);
	put_number(o, "votes_pending", directory_votes_pending(k->directory));
	put(o, "trend", weights_json(k, history));
	return o;
}

/* A call that waits for votes, but no longer than a client does. */
struct waiting {
	struct keeper *k;
	struct ctl_pending *pending;
	struct event *timer;
	size_t history;
};

static void waiting_end(struct waiting *w)
{
	directory_votes_unwatch(w->k->directory, w);
	event_free(w->timer);
	free(w);
}

static void waiting_answer(void *arg)
{
	struct waiting *w = arg;

	ctl_pending_finish(w->pending, flags_json(w->k, w->history));
	waiting_end(w);
}

static void waiting_gone(void *arg)
{
	waiting_end(arg);
}

static void waiting_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	waiting_answer(arg);
}

static int wait_for_votes(struct ctl_call *call, size_t history)
{
	static const struct timeval most = { .tv_sec = VOTES_WAIT_S };
	struct waiting *w = mem_new(sizeof(*w));
	int r;

	w->k = call->arg;
	w->history = history;
	w->timer = evtimer_new(w->k->base, waiting_timeout, w);
	if (!w->timer)
		mem_fail();
	r = directory_fetch_votes(w->k->directory, waiting_answer, w);
	if (r < 0)
		goto out;
	r = ctl_defer(&w->pending, call, waiting_gone, w);
	if (r < 0)
		goto out;
	evtimer_add(w->timer, &most);
	return 0;
out:
	waiting_end(w);
	return r;
}

int cmd_relay_flags(struct ctl_call *call)
{
	size_t history = (size_t)param_integer(call->params, "history", HISTORY);
	struct keeper *k = call->arg;
	int r = ERR_EXISTS;

	if (!k->directory)
		return no_directory(call);
	if (param_flag(call->params, "votes"))
		r = wait_for_votes(call, history);
	if (r == ERR_BUSY)
		return ctl_fail(call, r, CTL_NOT_NOW, "somebody else is fetching the votes just now; try again in a moment");
	if (r == ERR_EXISTS) {		/* those at hand are current */
		call->result = flags_json(k, history);
		r = 0;
	}
	return r;
}

/* -- relay.family -------------------------------------------------------------------------- */

static json_t *own_family_json(const struct families *f, size_t i)
{
	char id[FAMILY_ID_CAP];
	json_t *o = json_object();

	put_text(o, "id", family_id_format(id, families_id(f, i)));
	put_text(o, "key_file", families_file(f, i));
	return o;
}

static json_t *member_json(const struct family_member *m)
{
	char hex[41];
	json_t *o = json_object();

	hex_encode_upper(hex, m->rsa_id, sizeof(m->rsa_id));
	put_text(o, "fingerprint", hex);
	put_message(o, "nickname", m->nickname);
	put(o, "same_id", json_boolean(m->by_id));
	put(o, "we_list", json_boolean(m->we_list));
	put(o, "lists_us", json_boolean(m->lists_us));
	put(o, "counts", json_boolean(m->by_id || (m->we_list && m->lists_us)));
	put_number(o, "weight", m->weight);
	put(o, "flags", status_flags(m->flags));
	return o;
}

/* What the network knows, from the microdescriptors that a cache has. */
static void put_network(json_t *o, const struct keeper *k)
{
	json_t *ids = json_array(), *members = json_array();
	struct family_view v = { .known = false };

	if (k->directory)
		directory_family(k->directory, &v);
	for (size_t i = 0; i < v.n_ids; i++)
		put_item(ids, json_string(v.ids[i]));
	for (size_t i = 0; i < v.n_members; i++)
		put_item(members, member_json(&v.members[i]));
	free(v.members);
	put(o, "known", json_boolean(v.known));
	put_text(o, "unknown_because", v.known ? NULL : !k->directory ? "there are no directory authorities" :
		 !k->config->dir_cache ? "dir_cache = no: this relay keeps no microdescriptors" :
		 "the consensus does not list this relay yet, or its microdescriptor has not come");
	put(o, "network_ids", ids);
	put(o, "members", members);
}

int cmd_relay_family(struct ctl_call *call)
{
	const struct keeper *k = call->arg;
	json_t *o = json_object(), *own = json_array(), *listed = json_array();

	for (size_t i = 0; i < families_count(k->families); i++)
		put_item(own, own_family_json(k->families, i));
	for (size_t i = 0; i < k->config->family.n; i++)
		put_item(listed, json_string(k->config->family.v[i]));
	put(o, "families", own);
	put(o, "family_lines", listed);
	put_network(o, k);
	call->result = o;
	return 0;
}
