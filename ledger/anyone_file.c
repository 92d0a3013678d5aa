/*
 * Rounds of the policy "anyone-1" as JSON: the shape in which the Anyone
 * network's reward process takes its configuration and scores.
 */
#include "config.h"

#include <nonos/anyone_rewards.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/doc_read.h>
#include <nonos/err.h>
#include <nonos/json_set.h>
#include <nonos/mem.h>

#define DIVIDER_MAX INT64_C(1000000000000000)
#define WEIGHT_MAX INT64_C(1000000000000000)	/* of a tier: as many as there can be relays add up */

static struct float64 of_integer(int64_t v)
{
	return v < 0 ? float64_sub((struct float64){ 0 }, float64_of_u64(-(uint64_t)v)) : float64_of_u64((uint64_t)v);
}

/* jansson reads fractions with strtod(), which rounds to the nearest double, whatever the locale. */
static int read_number(struct float64 *ret, const json_t *v)
{
	if (json_is_integer(v))
		*ret = of_integer(json_integer_value(v));
	else if (json_is_real(v))
		*ret = float64_of_double(json_real_value(v));
	else
		return ERR_MALFORMED;
	return 0;
}

static int read_between(struct float64 *ret, char *why, const char *where, const json_t *object, const char *name, int64_t low,
			int64_t high)
{
	struct float64 v;

	if (read_number(&v, json_object_get(object, name)) < 0 || float64_less(v, of_integer(low)) || float64_less(of_integer(high), v))
		return doc_fail(why, "%s.%s is missing, or not a number from %" PRId64 " to %" PRId64, where, name, low, high);
	*ret = v;
	return 0;
}

static int read_share(unsigned *ret, char *why, const char *where, const json_t *object, const char *name)
{
	uint64_t thousandths = 0;
	struct float64 share;

	if (read_between(&share, why, where, object, name, 0, 1) < 0)
		return ERR_MALFORMED;
	(void)float64_floor(&thousandths, float64_mul(share, of_integer(1000)));	/* at most 1000 */
	*ret = (unsigned)thousandths;
	return 0;
}

static int read_bool(bool *ret, char *why, const char *where, const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	if (!json_is_boolean(v))
		return doc_fail(why, "%s.%s is missing, or not true or false", where, name);
	*ret = json_is_true(v);
	return 0;
}

static int read_address(struct eth_addr *ret, char *why, const char *where, const char *text, size_t len)
{
	if (!text || eth_addr_parse(ret, text, len) < 0)
		return doc_fail(why, "%s: not an address, or one with a wrong checksum", where);
	return 0;
}

/* -- configuration ------------------------------------------------------------- */

/* An absent modifier or multiplier is a disabled one. */
static int is_enabled(bool *ret, char *why, const char *where, const json_t *object, const char *const *known)
{
	*ret = false;
	if (!object)
		return 0;
	if (doc_only(why, where, object, known) < 0)
		return ERR_MALFORMED;
	return read_bool(ret, why, where, object, "Enabled");
}

static int read_tiers(struct anyone_config *c, char *why, const json_t *tiers)
{
	const char *days;
	json_t *weight;

	if (!json_is_object(tiers) || json_object_size(tiers) > ANYONE_TIERS_MAX)
		return doc_fail(why, "config.Modifiers.Uptime.Tiers is missing, or has more than %d tiers", ANYONE_TIERS_MAX);
	json_object_foreach((json_t *)tiers, days, weight) {
		struct anyone_tier *t = &c->tiers[c->n_tiers++];
		struct amount n;

		if (amount_parse(&n, days, strlen(days)) < 0 || n.hi || read_number(&t->weight, weight) < 0 ||
		    float64_less(t->weight, of_integer(0)) || float64_less(of_integer(WEIGHT_MAX), t->weight))
			return doc_fail(why, "config.Modifiers.Uptime.Tiers: days and their weight are numbers from 0, a weight to %" PRId64,
					WEIGHT_MAX);
		t->days = n.lo;
	}
	return 0;
}

static int read_modifiers(struct anyone_config *c, char *why, const json_t *m)
{
	static const char network[] = "config.Modifiers.Network", hardware[] = "config.Modifiers.Hardware",
			  uptime[] = "config.Modifiers.Uptime", exit_bonus[] = "config.Modifiers.ExitBonus";
	const json_t *n = json_object_get(m, "Network"), *h = json_object_get(m, "Hardware"),
		     *u = json_object_get(m, "Uptime"), *e = json_object_get(m, "ExitBonus");

	if (doc_only(why, "config.Modifiers", m, DOC_MEMBERS("Network", "Hardware", "Uptime", "ExitBonus")) < 0 ||
	    doc_only(why, network, n, DOC_MEMBERS("Share")) < 0 ||
	    read_share(&c->network_share, why, network, n, "Share") < 0 ||
	    is_enabled(&c->hardware, why, hardware, h, DOC_MEMBERS("Enabled", "Share", "UptimeInfluence")) < 0 ||
	    is_enabled(&c->uptime, why, uptime, u, DOC_MEMBERS("Enabled", "Share", "Tiers")) < 0 ||
	    is_enabled(&c->exit, why, exit_bonus, e, DOC_MEMBERS("Enabled", "Share")) < 0)
		return ERR_MALFORMED;
	if (c->hardware && (read_share(&c->hardware_share, why, hardware, h, "Share") < 0 ||
			    read_share(&c->uptime_influence, why, hardware, h, "UptimeInfluence") < 0))
		return ERR_MALFORMED;
	if (c->uptime && (read_share(&c->uptime_share, why, uptime, u, "Share") < 0 ||
			  read_tiers(c, why, json_object_get(u, "Tiers")) < 0))
		return ERR_MALFORMED;
	if (c->exit && read_share(&c->exit_share, why, exit_bonus, e, "Share") < 0)
		return ERR_MALFORMED;
	if (c->network_share + c->hardware_share + c->uptime_share + c->exit_share > 1000)
		return doc_fail(why, "config.Modifiers: the shares are more than 1 together");
	return 0;
}

static int read_multipliers(struct anyone_config *c, char *why, const json_t *m)
{
	static const char family[] = "config.Multipliers.Family", location[] = "config.Multipliers.Location";
	const json_t *f = json_object_get(m, "Family"), *l = json_object_get(m, "Location");

	if (doc_only(why, "config.Multipliers", m, DOC_MEMBERS("Family", "Location")) < 0 ||
	    is_enabled(&c->family, why, family, f, DOC_MEMBERS("Enabled", "Offset", "Power")) < 0 ||
	    is_enabled(&c->location, why, location, l, DOC_MEMBERS("Enabled", "Offset", "Power", "Divider")) < 0)
		return ERR_MALFORMED;
	if (c->family && (read_between(&c->family_offset, why, family, f, "Offset", -1, 1) < 0 ||
			  read_between(&c->family_power, why, family, f, "Power", 0, FLOAT64_POW_MAX) < 0))
		return ERR_MALFORMED;
	if (c->location && (read_between(&c->location_offset, why, location, l, "Offset", 0, 1) < 0 ||
			    read_between(&c->location_power, why, location, l, "Power", 0, FLOAT64_POW_MAX) < 0 ||
			    read_between(&c->location_divider, why, location, l, "Divider", 1, DIVIDER_MAX) < 0))
		return ERR_MALFORMED;
	return 0;
}

static int operator_cmp(const void *a, const void *b)
{
	return memcmp(((const struct anyone_delegate *)a)->operator.b, ((const struct anyone_delegate *)b)->operator.b,
		      ETH_ADDR_LEN);
}

static int read_delegate(struct anyone_delegate *d, char *why, const char *operator, const json_t *row)
{
	const json_t *address = json_object_get(row, "Address");

	if (doc_only(why, "a row of config.Delegates", row, DOC_MEMBERS("Address", "Share")) < 0 ||
	    read_address(&d->operator, why, "config.Delegates", operator, strlen(operator)) < 0 ||
	    read_address(&d->delegate, why, "config.Delegates", json_string_value(address), json_string_length(address)) < 0)
		return ERR_MALFORMED;
	return read_share(&d->share, why, "config.Delegates", row, "Share");
}

static int read_delegates(struct anyone_config *c, char *why, const json_t *delegates)
{
	const char *operator;
	json_t *row;

	if (!delegates || (json_is_array(delegates) && json_array_size(delegates) == 0))
		return 0;	/* an empty table is also written as an empty array */
	if (!json_is_object(delegates))
		return doc_fail(why, "config.Delegates is not an object");
	c->delegates = mem_new_array(json_object_size(delegates) + 1, sizeof(*c->delegates));
	json_object_foreach((json_t *)delegates, operator, row)
		if (read_delegate(&c->delegates[c->n_delegates++], why, operator, row) < 0)
			return ERR_MALFORMED;
	qsort(c->delegates, c->n_delegates, sizeof(*c->delegates), operator_cmp);
	for (size_t i = 1; i < c->n_delegates; i++)
		if (operator_cmp(&c->delegates[i - 1], &c->delegates[i]) == 0)
			return doc_fail(why, "config.Delegates names an operator twice");
	return 0;
}

static int read_config(struct anyone_config *c, char *why, const json_t *config)
{
	if (doc_only(why, "config", config, DOC_MEMBERS("TokensPerSecond", "Modifiers", "Multipliers", "Delegates")) < 0 ||
	    doc_amount(&c->tokens_per_second, why, "config", config, "TokensPerSecond") < 0 ||
	    read_modifiers(c, why, json_object_get(config, "Modifiers")) < 0 ||
	    read_multipliers(c, why, json_object_get(config, "Multipliers")) < 0)
		return ERR_MALFORMED;
	return read_delegates(c, why, json_object_get(config, "Delegates"));
}

/* -- scores -------------------------------------------------------------------- */

static int read_relay(struct anyone_relay *relay, char *why, const char *id, const json_t *score)
{
	const json_t *address = json_object_get(score, "Address");

	if (strlen(id) != ANYONE_ID_LEN || strspn(id, "0123456789ABCDEF") != ANYONE_ID_LEN)
		return doc_fail(why, "scores: \"%.50s\" is not a fingerprint, 40 digits 0-9 and A-F", id);
	memcpy(relay->id, id, sizeof(relay->id));
	if (doc_only(why, id, score, DOC_MEMBERS("Address", "Network", "IsHardware", "UptimeStreak", "ExitBonus", "FamilySize",
						 "LocationSize")) < 0 ||
	    read_address(&relay->address, why, id, json_string_value(address), json_string_length(address)) < 0 ||
	    doc_u53(&relay->network, why, id, score, "Network", DOC_U53_MAX) < 0 ||
	    doc_u53(&relay->uptime_streak, why, id, score, "UptimeStreak", DOC_U53_MAX) < 0 ||
	    doc_u53(&relay->family_size, why, id, score, "FamilySize", DOC_U53_MAX) < 0 ||
	    doc_u53(&relay->location_size, why, id, score, "LocationSize", DOC_U53_MAX) < 0 ||
	    read_bool(&relay->hardware, why, id, score, "IsHardware") < 0)
		return ERR_MALFORMED;
	return read_bool(&relay->exit, why, id, score, "ExitBonus");
}

static int relay_cmp(const void *a, const void *b)
{
	return strcmp(((const struct anyone_relay *)a)->id, ((const struct anyone_relay *)b)->id);
}

static int read_scores(struct anyone_round *r, char *why, const json_t *scores)
{
	const char *id;
	json_t *score;

	if (!json_is_object(scores) || json_object_size(scores) > ANYONE_RELAYS_MAX)
		return doc_fail(why, "scores is missing, or has more than %d relays", ANYONE_RELAYS_MAX);
	r->relays = mem_new_array(json_object_size(scores) + 1, sizeof(*r->relays));
	json_object_foreach((json_t *)scores, id, score)
		if (read_relay(&r->relays[r->n_relays++], why, id, score) < 0)
			return ERR_MALFORMED;
	qsort(r->relays, r->n_relays, sizeof(*r->relays), relay_cmp);
	return 0;
}

int anyone_round_read(struct anyone_round **ret, char why[ANYONE_WHY_CAP], const json_t *doc)
{
	const char *policy = json_string_value(json_object_get(doc, "policy"));
	struct anyone_round *r = mem_new(sizeof(*r));

	if (doc_only(why, "the file", doc, DOC_MEMBERS("about", "policy", "config", "elapsedMs", "scores", "expect")) < 0)
		goto fail;
	if (json_object_get(doc, "policy") && (!policy || strcmp(policy, "anyone-1") != 0)) {
		doc_fail(why, "policy is not \"anyone-1\"");
		goto fail;
	}
	if (doc_u53(&r->elapsed_ms, why, "the file", doc, "elapsedMs", DOC_U53_MAX) < 0 ||
	    read_config(&r->config, why, json_object_get(doc, "config")) < 0 ||
	    read_scores(r, why, json_object_get(doc, "scores")) < 0)
		goto fail;
	*ret = r;
	return 0;
fail:
	anyone_round_free(r);
	return ERR_MALFORMED;
}

void anyone_round_free(struct anyone_round *r)
{
	if (!r)
		return;
	free(r->config.delegates);
	free(r->relays);
	free(r);
}

/* -- the result ---------------------------------------------------------------- */

json_t *anyone_relay_json(const struct anyone_relay *relay)
{
	json_t *o = json_object();

	json_set_amount(o, "Network", relay->network_due);
	json_set_amount(o, "Hardware", relay->hardware_due);
	json_set_amount(o, "Uptime", relay->uptime_due);
	json_set_amount(o, "ExitBonus", relay->exit_due);
	json_set_amount(o, "Total", relay->total);
	json_set_amount(o, "OperatorTotal", relay->operator_total);
	json_set_amount(o, "DelegateTotal", relay->delegate_total);
	json_object_set_new(o, "NetworkRating", json_integer((json_int_t)relay->rating));
	return o;
}

json_t *anyone_round_json(const struct anyone_round *r)
{
	json_t *o = json_object(), *relays = json_object();

	for (size_t i = 0; i < r->n_relays; i++)
		json_object_set_new(relays, r->relays[i].id, anyone_relay_json(&r->relays[i]));
	json_object_set_new(o, "seconds", json_integer((json_int_t)r->seconds));
	json_set_amount(o, "total", r->total);
	json_object_set_new(o, "relays", relays);
	return o;
}
