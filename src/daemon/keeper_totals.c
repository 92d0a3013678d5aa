/*
 * What the relay has carried, kept over restarts (totals.h), and what follows from it and from the hour:
 * the rate in force, sleep until the next accounting period, and a drain that was asked for.
 */
#include "config.h"

#include "keeper.h"

#include <string.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>

#include "counters.h"

/* -- the journal ---------------------------------------------------------------- */

void keeper_totals_open(struct keeper *k)
{
	struct relay_counters c;
	int r = totals_open(&k->totals_file, &k->totals, k->config->data_dir);

	if (r == ERR_IO)
		log_warn("The totals in %s cannot be kept; they begin anew with each start.", k->config->data_dir);
	/* What the one before us has told is as new, or newer. */
	if (!k->past_told)
		team_set_past(k->team, &k->totals.counters);
	team_counters(k->team, &c);
	k->counted = c;
	k->totals_flushed_ms = clock_now_ms();
	config_rate(&k->rate, &k->burst, k->config, clock_wall());
}

void keeper_totals_save(struct keeper *k)
{
	struct relay_counters c;

	if (!k->totals_file)
		return;
	team_counters(k->team, &c);
	totals_update(&k->totals, &c, &k->config->accounting_start, clock_wall());
	k->totals_flushed_ms = clock_now_ms();
	if (totals_write(k->totals_file, &k->totals, true) < 0)
		log_warn("The totals cannot be saved in %s.", k->config->data_dir);
}

/* Nobody is shown a total that is not in the file: after whatever end they go on from there. */
static void count(struct keeper *k, const struct relay_counters *c)
{
	bool flush = clock_now_ms() - k->totals_flushed_ms >= TOTALS_FLUSH_MS;

	if (flush && k->totals_file) {
		keeper_totals_save(k);
		return;
	}
	totals_update(&k->totals, c, &k->config->accounting_start, clock_wall());
	if (k->totals_file && totals_write(k->totals_file, &k->totals, false) < 0)
		log_limited(LOG_LEVEL_WARN, "The totals cannot be written; is the disk full?");
}

void keeper_counters(const struct keeper *k, struct relay_counters *ret)
{
	team_counters(k->team, ret);
	counters_copy_totals(ret, &k->totals.counters);
}

/* -- the hour ---------------------------------------------------------------------- */

static void follow_schedule(struct keeper *k)
{
	uint64_t rate, burst;

	config_rate(&rate, &burst, k->config, clock_wall());
	if (rate == k->rate && burst == k->burst)
		return;
	k->rate = rate;
	k->burst = burst;
	if (!k->link)
		return;
	log_notice("Another rate is in force. bytes_per_s=%llu", (unsigned long long)rate);
	keeper_feed_config(k);
	keeper_publish(k, "bandwidth schedule");
}

/* -- withdrawing ------------------------------------------------------------------- */

enum accounting_state keeper_accounting(const struct keeper *k)
{
	return accounting_state(&k->totals.accounting, (enum accounting_rule)k->config->accounting_count,
				k->config->accounting_max);
}

static enum relay_drain wanted(const struct keeper *k)
{
	switch (keeper_accounting(k)) {
	case ACCOUNTING_HARD:
		return RELAY_DRAIN_SLEEP;
	case ACCOUNTING_SOFT:
		return RELAY_DRAIN_PAUSE;
	case ACCOUNTING_OFF:
	case ACCOUNTING_OPEN:
		break;
	}
	return k->drain_asked ? RELAY_DRAIN_PAUSE : RELAY_DRAIN_NONE;
}

static void log_withdrawn(const struct keeper *k)
{
	unsigned long long left_h = (unsigned long long)(k->totals.accounting.to_s - clock_wall()) / 3600;

	if (k->withdrawn == RELAY_DRAIN_SLEEP)
		log_notice("accounting_max is used up: links are closed until the next period. hours=%llu", left_h);
	else if (k->withdrawn == RELAY_DRAIN_PAUSE && !k->drain_asked)
		log_notice("accounting_max is nearly used up: no new circuits until the next period. hours=%llu", left_h);
	else if (k->withdrawn == RELAY_DRAIN_PAUSE)
		log_notice("No new circuits, as asked for; the open ones go on. \"nonosctl drain --off\" ends that.");
	else
		log_notice("Circuits are accepted again.");
}

void keeper_follow(struct keeper *k)
{
	enum relay_drain how = wanted(k);

	if (k->state != KEEPER_RUNNING || how == k->withdrawn)
		return;
	k->withdrawn = how;
	log_withdrawn(k);
	team_drain(k->team, how);
	event_service(k);
	keeper_publish(k, how == RELAY_DRAIN_NONE ? "no longer hibernating" : "hibernating");
}

const char *keeper_service_str(const struct keeper *k)
{
	if (k->withdrawn == RELAY_DRAIN_NONE)
		return "open";
	return keeper_accounting(k) >= ACCOUNTING_SOFT ? "hibernating" : "drained";
}

/* Each second. */
void keeper_count(struct keeper *k, const struct relay_counters *c)
{
	if (!keeper_may_write(k))
		return;
	count(k, c);
	follow_schedule(k);
	keeper_follow(k);
}
