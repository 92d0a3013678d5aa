/*
 * Consensuses between auditors. All that sign an epoch must have taken the same ones; who was
 * away, or had no disk, when one was valid gets it from a fellow. Each keeps those of the epochs that are not
 * closed, and gives them out with the journal.
 */
#include "config.h"

#include "settle_priv.h"

#include <stdlib.h>

#include <nonos/clock.h>
#include <nonos/epochs.h>
#include <nonos/err.h>
#include <nonos/genesis.h>
#include <nonos/log.h>
#include <nonos/mem.h>

#include "exchange.h"
#include "journal_server.h"

enum { ASK_MS = 30 * 1000, ASK_TEST_MS = 2000 };

/* Alone there is nobody to agree with. */
static bool has_fellows(const struct settle *s)
{
	return s->ledger && s->measure && (s->auditor_key || s->writer) && ledger_genesis(s->ledger)->auditors.n > 1;
}

/* From the epoch before the next to be closed: what vanished at the first consensus of that is counted from there. */
static int kept_from(struct settle *s, int64_t *ret)
{
	const struct genesis *g = ledger_genesis(s->ledger);
	uint64_t next;
	int r = epoch_next(s->ledger, &next);

	if (r == 0)
		*ret = (int64_t)genesis_epoch_start(g, next) - (int64_t)g->rewards.epoch_s;
	return r;
}

void settle_exchange_keep(struct settle *s, const struct consensus_facts *c)
{
	int64_t from;

	if (has_fellows(s) && kept_from(s, &from) == 0 && measure_keep_document(s->measure, c, from) < 0)
		log_limited(LOG_LEVEL_WARN, "A consensus is not kept for other auditors; is the disk full?");
}

/* -- given out ------------------------------------------------------------------------------ */

static int give_list(void *arg, json_t **ret)
{
	struct measured_consensus *v = NULL;
	struct settle *s = arg;
	size_t n = 0;
	int r = s->measure ? measure_documents(s->measure, &v, &n) : ERR_NOT_FOUND;

	if (r < 0)
		return r;
	*ret = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(*ret, exchange_row(v[i].valid_after, v[i].digest));
	free(v);
	return 0;
}

static int give_document(void *arg, uint8_t **ret, size_t *ret_len, int64_t valid_after)
{
	struct settle *s = arg;

	return s->measure ? measure_document(s->measure, ret, ret_len, valid_after) : ERR_NOT_FOUND;
}

void settle_exchange_give(struct settle *s)
{
	struct journal_consensuses c = { .list = give_list, .read = give_document, .arg = s };

	journal_server_give(s->server, &c);
}

/* -- taken ---------------------------------------------------------------------------------- */

static bool wants(void *arg, int64_t valid_after, const uint8_t digest[32])
{
	struct settle *s = arg;
	int64_t from;

	return has_fellows(s) && kept_from(s, &from) == 0 && valid_after >= from && valid_after <= clock_wall() &&
	       measure_wants(s->measure, valid_after, digest);
}

/* A document that is judged. */
struct judged {
	struct settle *settle;
	bool wanted, taken;
};

static void take_good(void *arg, const struct consensus_facts *c)
{
	struct judged *j = arg;
	struct settle *s = j->settle;

	j->wanted = c->flavour == FLAVOUR_MICRODESC && wants(s, c->valid_after, c->digest);
	if (!j->wanted)
		return;
	settle_consensus(s, c);
	j->taken = s->measure && !measure_wants(s->measure, c->valid_after, c->digest);
	if (j->taken)
		log_notice("A consensus that was missed here came from another auditor. valid_after=%lld",
			   (long long)c->valid_after);
}

static int take(void *arg, const char *text, size_t len)
{
	struct settle *s = arg;
	struct judged j = { .settle = s };
	int r = s->directory ? directory_judge(s->directory, text, len, take_good, &j) : ERR_NOT_FOUND;

	if (r == 0 && !j.wanted)
		return ERR_MISMATCH;	/* signed, but not what its list said */
	/* Without the certificates of those who signed it can be judged later. */
	return r == ERR_NOT_FOUND ? 0 : r < 0 ? r : j.taken;
}

/* What was drafted without them is drafted anew. */
static void done(void *arg, size_t taken)
{
	struct settle *s = arg;

	if (!taken)
		return;
	settle_epoch_stop(s);
	s->attest_ms = 0;
}

/* The one that is followed, and those that are configured. */
static void ask(struct settle *s)
{
	const struct addr_list *places = &s->config->consensus_from;
	const char **urls = mem_new_array(places->n + 1, sizeof(*urls));
	char text[ADDR_TEXT_CAP];
	size_t n = 0;

	for (size_t i = 0; i < places->n; i++)
		urls[n++] = mem_printf("http://%s", addr_format(text, &places->v[i]));
	if (s->config->follow)
		urls[n++] = settle_follow_url(s->config);
	if (n)
		exchange_ask(s->exchange, urls, n);
	for (size_t i = 0; i < n; i++)
		free((char *)(uintptr_t)urls[i]);
	free(urls);
}

void settle_exchange_tick(struct settle *s)
{
	struct exchange_hooks hooks = { .wants = wants, .take = take, .done = done, .arg = s };
	uint64_t next;

	if (!has_fellows(s) || !s->directory || clock_now_ms() < s->exchange_ms)
		return;
	s->exchange_ms = clock_now_ms() + (s->config->network == NETWORK_TEST ? ASK_TEST_MS : ASK_MS);
	if (epoch_next(s->ledger, &next) < 0 ||
	    clock_wall() < (int64_t)genesis_epoch_start(ledger_genesis(s->ledger), next + 1))
		return;
	if (!s->exchange)
		s->exchange = exchange_new(s->base, &hooks);
	ask(s);
}

void settle_exchange_close(struct settle *s)
{
	exchange_free(s->exchange);
	s->exchange = NULL;
}
