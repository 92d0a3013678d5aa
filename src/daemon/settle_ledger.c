/*
 * The ledger in the keeper. Objects that come within a few milliseconds are one
 * batch: each client gets its receipt when the batch is durable, or hears
 * that nothing of it was taken.
 */
#include "config.h"

#include "settle_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/genesis.h>
#include <nonos/json_set.h>
#include <nonos/log.h>
#include <nonos/mem.h>

#include "follow.h"
#include "settle_key.h"

enum {
	BATCH_MS = 10,			/* how long a batch stays open for others */
	BATCH_MAX = 512,
	RETRY_MS = 60 * 1000,
	BUSY_MS = 1000,
};

/* -- answers ------------------------------------------------------------------------------ */

static json_t *receipt_json(const struct ledger_receipt *r, bool already)
{
	json_t *o = json_pack("{s:I, s:I, s:b}", "index", (json_int_t)r->index, "time", (json_int_t)r->time, "already",
			      already);

	json_set_hex(o, "digest", r->digest, sizeof(r->digest));
	json_set_hex(o, "leaf", r->leaf, sizeof(r->leaf));
	return o;
}

/* -- the batch --------------------------------------------------------------------------- */

static void waiting_gone(void *arg)
{
	((struct settle_waiting *)arg)->pending = NULL;
}

static void answer_waiting(struct settle *s, int r)
{
	struct settle_waiting *w = s->waiting;

	s->waiting = NULL;
	s->waiting_end = &s->waiting;
	s->n_waiting = 0;
	while (w) {
		struct settle_waiting *next = w->next;

		if (w->pending && r == 0)
			ctl_pending_finish(w->pending, receipt_json(&w->receipt, false));
		else if (w->pending)
			ctl_pending_fail(w->pending, CTL_FAILED, "nothing was taken, submit it again later: %s",
					 ledger_error(s->ledger));
		free(w);
		w = next;
	}
}

static void tell_head(struct settle *s)
{
	struct ledger_head h;

	ledger_head(s->ledger, &h);
	settle_tell(s, "ledger.head", json_pack("{s:I, s:I}", "height", (json_int_t)h.size, "time", (json_int_t)h.time));
}

int settle_ledger_commit(struct settle *s)
{
	uint64_t began = clock_precise_us(), took;
	size_t n = s->n_waiting;
	int r = ledger_commit(s->ledger);

	evtimer_del(s->commit);
	took = (clock_precise_us() - began) / 1000;
	settle_problem_set(&s->ledger_problem, "Nothing can be written to the ledger", r < 0 ? ledger_error(s->ledger) : "");
	if (r == 0)
		log_debug("A batch of the journal is durable. objects=%zu took_ms=%llu", n, (unsigned long long)took);
	answer_waiting(s, r);
	if (r == 0)
		tell_head(s);
	return r;
}

void settle_ledger_failed(struct settle *s)
{
	/* It reports the failure again, to all who wait. */
	settle_ledger_commit(s);
}

static void on_commit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	clock_update();
	settle_ledger_commit(arg);
}

/* -- opening ----------------------------------------------------------------------------- */

static int read_genesis(struct genesis **ret, const char *path, char *why, size_t why_cap)
{
	char *text = NULL, reason[GENESIS_WHY_CAP];
	size_t len = 0;
	int r = settle_read_file(&text, &len, path, GENESIS_LEN_MAX, false);

	if (r < 0) {
		snprintf(why, why_cap, "%s cannot be read: %s. Option \"genesis\" names it.", path, err_str(r));
		return r;
	}
	r = genesis_read(ret, reason, text, len);
	if (r < 0)
		snprintf(why, why_cap, "%s is not a genesis document: %s.", path, reason);
	free(text);
	return r;
}

static int open_with(struct settle *s, const struct genesis *g, char why[LEDGER_WHY_CAP])
{
	const struct config *c = s->config;
	char *path = c->journal ? mem_strdup(c->journal) : mem_printf("%s/ledger.db", c->data_dir);
	struct ledger_options o = {
		.path = path, .mode = LEDGER_CREATE, .genesis = g, .key_path = c->journal_key,
	};
	int r = ledger_open(&s->ledger, &o, why);

	if (r == 0)
		s->provider = provider_embedded(s->ledger);
	if (r == 0)
		log_notice("The ledger is open. network=\"%s\" role=%s path=%s", g->name, s->writer ? "writer" : "follower",
			   path);
	free(path);
	return r;
}

/* With an auditor's key that genesis does not name this node could attest what nobody counts. */
static int open_auditor(struct settle *s, const struct genesis *g, char *why, size_t why_cap)
{
	const struct config *c = s->config;
	char address[ETH_ADDR_TEXT_CAP];
	int r;

	if (!c->auditor_key || s->auditor_key)
		return 0;
	r = settle_key_read(&s->auditor_key, &s->auditor, c->auditor_key, c->auditor_password_file, why, why_cap);
	if (r < 0)
		return r;
	for (size_t i = 0; i < g->auditors.n; i++)
		if (eth_addr_eq(&g->auditors.addrs[i], &s->auditor))
			return 0;
	eth_addr_text(address, &s->auditor);
	snprintf(why, why_cap, "\"auditor_key\" is the key of %s, which genesis does not name as an auditor.", address);
	secret_free(s->auditor_key);
	s->auditor_key = NULL;
	return ERR_MISMATCH;
}

void settle_ledger_open(struct settle *s)
{
	char why[LEDGER_WHY_CAP] = "";
	struct genesis *g = NULL;
	int r;

	if (!s->config->genesis || s->ledger || (s->ledger_retry_ms && clock_now_ms() < s->ledger_retry_ms))
		return;
	s->ledger_retry_ms = clock_now_ms() + RETRY_MS;
	s->writer = s->config->journal_key != NULL;
	r = read_genesis(&g, s->config->genesis, why, sizeof(why));
	if (r == 0)
		r = open_auditor(s, g, why, sizeof(why));
	if (r == 0)
		r = settle_claim_open(s, why, sizeof(why));
	if (r == 0)
		r = open_with(s, g, why);
	settle_problem_set(&s->ledger_problem, "The ledger is not open; this is tried again", r < 0 ? why : "");
	genesis_free(g);
	settle_clock_tick(s);
	/* A daemon whose place we take lets go of it soon. */
	if (r == ERR_BUSY)
		s->ledger_retry_ms = clock_now_ms() + BUSY_MS;
	if (r == 0 && !s->commit) {
		s->commit = evtimer_new(s->base, on_commit, s);
		if (!s->commit)
			mem_fail();
	}
}

void settle_ledger_close(struct settle *s)
{
	settle_epoch_stop(s);
	settle_share_close(s);
	if (s->ledger && s->waiting)
		settle_ledger_commit(s);
	if (s->commit)
		event_free(s->commit);
	s->commit = NULL;
	provider_free(s->provider);
	s->provider = NULL;
	ledger_close(s->ledger);
	s->ledger = NULL;
	secret_free(s->auditor_key);
	s->auditor_key = NULL;
	secret_free(s->claim_key);
	s->claim_key = NULL;
}

/* -- for commands ------------------------------------------------------------------------- */

bool settle_is_writer(const struct settle *s)
{
	return s->writer;
}

struct ledger *settle_ledger(struct settle *s, struct ctl_call *call)
{
	if (!s) {
		ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "another daemon has the ledger until this one has taken its place");
		return NULL;
	}
	if (!s->config->genesis) {
		ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "this node has no ledger: set \"genesis\" in section [ledger], "
			 "then restart");
		return NULL;
	}
	settle_ledger_open(s);
	if (!s->ledger) {
		ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "the ledger is not open: %s", s->ledger_problem.text);
		return NULL;
	}
	if (s->follow && follow_is_syncing(s->follow)) {
		ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "the journal is being fetched; \"nonosctl status\" tells how far it is");
		return NULL;
	}
	if (s->waiting && settle_ledger_commit(s) < 0) {
		ctl_fail(call, ERR_IO, CTL_FAILED, "the ledger cannot be written: %s", s->ledger_problem.text);
		return NULL;
	}
	return s->ledger;
}

struct provider *settle_provider(struct settle *s)
{
	return s->provider;
}

/* Whether the answer can wait for others, or everything happens at once. */
static bool may_wait(const struct ctl_call *call)
{
	return call->session && call->id && !call->in_batch;
}

static int wait_for_commit(struct settle *s, struct ctl_call *call, const struct ledger_receipt *receipt)
{
	static const struct timeval soon = { .tv_usec = BATCH_MS * 1000 };
	struct settle_waiting *w;
	int r;

	if (!may_wait(call)) {
		r = settle_ledger_commit(s);
		if (r < 0)
			return ctl_fail(call, r, CTL_FAILED, "it was not taken, submit it again later: %s",
					s->ledger_problem.text);
		call->result = receipt_json(receipt, false);
		return 0;
	}
	w = mem_new(sizeof(*w));
	w->receipt = *receipt;
	*s->waiting_end = w;
	s->waiting_end = &w->next;
	s->n_waiting++;
	r = ctl_defer(&w->pending, call, waiting_gone, w);
	if (s->n_waiting >= BATCH_MAX)
		settle_ledger_commit(s);
	else if (!evtimer_pending(s->commit, NULL))
		evtimer_add(s->commit, &soon);
	return r;
}

static int refused(struct settle *s, struct ctl_call *call, int r, const struct ledger_receipt *receipt,
		   const struct ledger_refusal *why)
{
	if (r == ERR_REFUSED && why->code == REFUSED_DUPLICATE) {
		call->result = receipt_json(receipt, true);
		return 0;
	}
	if (r == ERR_REFUSED)
		return ctl_fail(call, r, CTL_FAILED, "refused: %s: %s", refusal_name(why->code), why->why);
	settle_ledger_failed(s);
	return ctl_fail(call, r, CTL_FAILED, "it was not taken, submit it again later: %s", ledger_error(s->ledger));
}

static int submit_text(struct settle *s, struct ledger_receipt *ret, struct ledger_refusal *ret_refusal, const char *text)
{
	json_t *object;
	int r = ledger_object_read(&object, ret_refusal, text, strlen(text));

	if (r < 0)
		return r;
	r = provider_submit(s->provider, ret, ret_refusal, object);
	json_decref(object);
	return r;
}

/* Of what was taken before: it may still be in the open batch. */
static int make_final(struct settle *s, const struct ledger_receipt *receipt)
{
	enum finality f = FINALITY_UNKNOWN;
	int r = provider_finality(s->provider, &f, receipt);

	return r == 0 && f == FINALITY_PENDING ? settle_ledger_commit(s) : r;
}

int settle_submit(struct settle *s, struct ctl_call *call, const char *object)
{
	struct ledger_receipt receipt = { 0 };
	struct ledger_refusal why = { 0 };
	struct ledger *l;
	int r;

	/* A dry run must not take others with it. */
	if (!s || call->dry_run || !s->ledger || !may_wait(call)) {
		l = settle_ledger(s, call);
		if (!l)
			return ERR_STATE;
	}
	if (!s->writer)
		return settle_forward(s, call);
	r = submit_text(s, &receipt, &why, object);
	if (r == ERR_REFUSED && why.code == REFUSED_DUPLICATE && make_final(s, &receipt) < 0)
		return ctl_fail(call, ERR_IO, CTL_FAILED, "it was not taken: %s", s->ledger_problem.text);
	if (r < 0)
		return refused(s, call, r, &receipt, &why);
	if (!call->dry_run)
		return wait_for_commit(s, call, &receipt);
	ledger_rollback(s->ledger);
	call->result = receipt_json(&receipt, false);
	json_object_set_new(call->result, "dry_run", json_true());
	return 0;
}

struct ledger_snapshot settle_now(struct ledger *l)
{
	struct ledger_head h;

	ledger_head(l, &h);
	return (struct ledger_snapshot){ .height = h.size, .time = (uint64_t)clock_wall() };
}

int settle_fail(struct ctl_call *call, struct ledger *l, int r)
{
	if (r == ERR_IO)
		return ctl_fail(call, r, CTL_FAILED, "the ledger cannot be read: %s", ledger_error(l));
	return ctl_fail(call, r, CTL_FAILED, "the ledger says: %s", err_str(r));
}

int settle_account(struct settle *s, struct ctl_call *call, struct account *ret, const char *name)
{
	const char *text = param_text(call->params, name);
	int r;

	if (!text && !s->config->operator)
		return ctl_fail(call, ERR_NOT_FOUND, CTL_INVALID_PARAMS, "say which account, or set \"operator\" in section "
				"[ledger]");
	if (!text)
		text = s->config->operator;
	r = account_parse(ret, text, strlen(text));
	return r < 0 ? ctl_fail(call, r, CTL_INVALID_PARAMS, "\"%s\" is no account: an address, reserve, vault, treasury, "
				"burn, stake:ADDRESS or rewards:ADDRESS", text) : 0;
}

/* -- telling ------------------------------------------------------------------------------ */

void settle_ledger_status(struct settle *s, json_t *o)
{
	json_object_set_new(o, "on", json_boolean(s->config->genesis != NULL));
	if (s->ledger) {
		const struct genesis *g = ledger_genesis(s->ledger);
		struct ledger_head h;

		ledger_head(s->ledger, &h);
		json_object_set_new(o, "network", json_string(g->name));
		json_object_set_new(o, "role", json_string(s->writer ? "writer" : "follower"));
		json_object_set_new(o, "height", json_integer((json_int_t)h.size));
		json_object_set_new(o, "head_time", json_integer((json_int_t)h.time));
		settle_epoch_status(s, o);
	}
	if (s->auditor_key)
		json_set_address(o, "auditor", &s->auditor);
}
