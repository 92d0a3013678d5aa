/*
 * What keeps this relay from earning, or soon will: told by status and by
 * "rewards pending" while something can still be done about it.
 */
#include "config.h"

#include "settle_priv.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/genesis.h>
#include <nonos/mem.h>

#include "settle_evidence.h"

enum { LOOK_AHEAD_S = 7 * 86400, RISKS_MS = 10 * 1000, RISKS_TEST_MS = 1000 };

/* `at`: when it bites; 0: now. */
static void add(json_t *list, uint64_t at, const char *advice, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static void add(json_t *list, uint64_t at, const char *advice, const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "what", what, "do", advice,
					      "at", at ? json_integer((json_int_t)at) : json_null()));
}

static const char *tier_name(const struct genesis *g, int tier)
{
	return tier < 0 ? "no tier" : g->rewards.tiers[tier].name;
}

static void judge_stake(struct settle *s, json_t *list, const struct ledger_relay *relay)
{
	const struct genesis *g = ledger_genesis(s->ledger);
	char has[AMOUNT_TEXT_CAP], needs[AMOUNT_TEXT_CAP];

	amount_token_text(has, relay->stake);
	amount_token_text(needs, g->rewards.n_tiers ? g->rewards.tiers[0].stake : amount_u64(0));
	if (amount_is_zero(relay->stake))
		add(list, 0, "nonosctl stake deposit AMOUNT --days DAYS", "this relay has no stake, so it earns nothing");
	else if (relay->tier < 0)
		add(list, 0, "nonosctl stake deposit adds to it; nonosctl stake tiers lists what each tier needs",
		    "this relay's stake of %s tokens is below the %s of the lowest tier, so it earns nothing", has, needs);
}

/* What the stakes that are there now reach when locks have ended. */
static int judge_locks(struct settle *s, json_t *list, const struct ledger_relay *relay, const struct ledger_snapshot *now)
{
	const struct genesis *g = ledger_genesis(s->ledger);
	struct ledger_snapshot later = { .height = now->height, .time = now->time + LOOK_AHEAD_S };
	const struct ledger_relay *then;
	struct ledger_register *reg;
	int r = provider_register_at(s->provider, &reg, &later);

	if (r < 0)
		return r;
	then = ledger_register_find(reg, relay->relay_id);
	if (then && then->tier < relay->tier)
		add(list, later.time, "nonosctl stake deposit AMOUNT --days DAYS locks more before that",
		    "a lock ends within 7 days; then this relay falls from %s to %s", tier_name(g, relay->tier),
		    tier_name(g, then->tier));
	ledger_register_free(reg);
	return 0;
}

static void judge_uptime(json_t *list, const struct measured *m, const struct measured_relay *r)
{
	if (r->n_running < m->n_consensuses)
		add(list, (uint64_t)m->to, "the authorities test the OR port: nonosctl doctor, and look at the log",
		    "%" PRIu32 " of the %zu consensuses of this epoch list this relay Running; its credit falls with the square of that",
		    r->n_running, m->n_consensuses);
	if (r->n_running && r->weight == 0)
		add(list, 0, "a new relay gets a weight when the network's scanners have measured it",
		    "the network gives this relay the weight 0, so it earns nothing");
}

static int judge_measured(struct settle *s, json_t *list, const struct ledger_relay *relay, uint64_t now)
{
	const struct genesis *g = ledger_genesis(s->ledger);
	uint64_t epoch = genesis_epoch(g, now);
	struct settle_relay who;
	struct measured *m;
	int r = measure_read(s->measure, &m, (int64_t)genesis_epoch_start(g, epoch), (int64_t)genesis_epoch_start(g, epoch + 1));

	if (r < 0)
		return r;
	memcpy(who.relay_id, relay->relay_id, sizeof(who.relay_id));
	memcpy(who.fingerprint, relay->fingerprint, sizeof(who.fingerprint));
	switch (m->n_consensuses ? settle_match(m, &who) : SETTLE_COUNTED) {
	case SETTLE_COUNTED:
		if (measured_find(m, relay->fingerprint))
			judge_uptime(list, m, measured_find(m, relay->fingerprint));
		break;
	case SETTLE_NOT_RUNNING:
		add(list, (uint64_t)m->to, "nonosctl status and nonosctl doctor tell why",
		    "no consensus of this epoch lists this relay Running; an epoch without any pays nothing");
		break;
	case SETTLE_OTHER_IDENTITY:
		add(list, 0, "register it again: nonosctl relay register",
		    "the network knows this relay's fingerprint with another Ed25519 identity than the one registered");
		break;
	case SETTLE_MICRODESC_MISSING:
		break;		/* it comes with the next request */
	}
	measured_free(m);
	return 0;
}

static int judge(struct settle *s, json_t *list)
{
	struct ledger_snapshot now = settle_now(s->ledger);
	const struct ledger_relay *relay;
	struct ledger_register *reg;
	int r = provider_register_at(s->provider, &reg, &now);

	if (r < 0)
		return r;
	relay = ledger_register_find(reg, s->relay_id);
	if (!relay) {
		add(list, 0, "nonosctl relay register --key NAME", "this relay is not registered, so it earns nothing");
	} else {
		judge_stake(s, list, relay);
		r = judge_locks(s, list, relay, &now);
		if (r == 0 && s->measure)
			r = judge_measured(s, list, relay, now.time);
	}
	ledger_register_free(reg);
	return r;
}

json_t *settle_risks(struct settle *s)
{
	if (!s->ledger || !s->has_relay)
		return json_array();
	if (!s->risks || clock_now_ms() >= s->risks_ms) {
		json_decref(s->risks);
		s->risks = json_array();
		s->risks_ms = clock_now_ms() + (s->config->network == NETWORK_TEST ? RISKS_TEST_MS : RISKS_MS);
		if (judge(s, s->risks) < 0)
			add(s->risks, 0, "the log says more", "what this relay earns cannot be judged: the ledger cannot be read");
	}
	return json_incref(s->risks);
}
