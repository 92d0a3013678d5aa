/* The journal among nodes: given out to others, or followed from the one that writes it. */
#include "config.h"

#include "settle_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/epochs.h>
#include <nonos/err.h>
#include <nonos/genesis.h>
#include <nonos/log.h>
#include <nonos/mem.h>

#include "follow.h"
#include "journal_server.h"

enum { RETRY_MS = 5000, ATTEST_MS = 2000, AGAIN_MS = 10000 };

static void open_server(struct settle *s)
{
	const struct addr_list *places = &s->config->journal_listen;
	char why[512] = "";

	if (!places->n || s->server || clock_now_ms() < s->server_retry_ms)
		return;
	s->server_retry_ms = clock_now_ms() + RETRY_MS;
	if (journal_server_new(&s->server, s->base, places->v, places->n, s->ledger, s->commands, !s->writer, why,
			       sizeof(why)) == 0) {
		settle_exchange_give(s);
		log_notice("The journal is given out.");
	}
	settle_problem_set(&s->server_problem, "The journal is not given out", why);
}

char *settle_follow_url(const struct config *c)
{
	char *url = mem_strdup(c->follow);

	while (url[0] && url[strlen(url) - 1] == '/')
		url[strlen(url) - 1] = '\0';
	return url;
}

static void open_follow(struct settle *s)
{
	char *fork_path = mem_printf("%s/ledger-fork.json", s->config->data_dir), *url = settle_follow_url(s->config);
	struct follow_config c = { .url = url, .fork_path = fork_path, .interval_s = s->config->follow_interval,
				   .ahead_s = s->config->follow_ahead };

	s->follow = follow_new(s->base, s->ledger, &c);
	free(url);
	free(fork_path);
}

/* -- a follower that is an auditor --------------------------------------------------------- */

static const char not_attested[] = "This auditor's signature is not handed over";

static void on_attested(void *arg, const json_t *reply, const char *error)
{
	const json_t *failure = json_object_get(reply, "error");
	struct settle *s = arg;

	s->attest_waits = false;
	if (json_object_get(reply, "result")) {
		/* Again later, as long as the epoch is not closed: a writer that restarts has forgotten it. */
		s->attest_ms = clock_now_ms() + AGAIN_MS;
		settle_problem_set(&s->epoch_problem, not_attested, "");
		log_info("The root of an epoch was attested. epoch=%llu", (unsigned long long)s->attesting);
	} else if (!reply || json_integer_value(json_object_get(failure, "code")) != CTL_NOT_NOW) {
		settle_problem_set(&s->epoch_problem, not_attested,
				   reply ? json_string_value(json_object_get(failure, "message")) : error);
	}
}

static void hand_over(struct settle *s, const json_t *attestation)
{
	char *text = json_dumps(attestation, JSON_COMPACT);
	json_t *params = text ? json_pack("{s:s}", "attestation", text) : NULL;

	s->attest_waits = params && follow_call(s->follow, "ledger.attest", params, on_attested, s) == 0;
	json_decref(params);
	free(text);
}

/* Only with the whole journal up to the end of the epoch is the register at that time known. */
static void attest(struct settle *s)
{
	char why[LEDGER_WHY_CAP];
	json_t *attestation;
	uint64_t epoch;
	int r;

	if (!s->auditor_key || !s->measure || s->attest_waits || clock_now_ms() < s->attest_ms)
		return;
	s->attest_ms = clock_now_ms() + ATTEST_MS;
	if (epoch_next(s->ledger, &epoch) < 0 ||
	    follow_contact(s->follow) <= (int64_t)genesis_epoch_start(ledger_genesis(s->ledger), epoch + 1))
		return;
	r = settle_epoch_attestation(s, &attestation, &s->attesting, why);
	if (r == ERR_NOT_YET)
		return;
	if (r < 0) {
		settle_problem_set(&s->epoch_problem, not_attested, why[0] ? why : err_str(r));
		return;
	}
	hand_over(s, attestation);
	json_decref(attestation);
}

void settle_share_tick(struct settle *s)
{
	if (!s->ledger)
		return;
	open_server(s);
	settle_exchange_tick(s);
	if (s->config->follow && !s->writer && !s->follow)
		open_follow(s);
	if (!s->follow)
		return;
	follow_tick(s->follow, s->config->follow_interval, s->config->follow_ahead);
	attest(s);
}

void settle_share_close(struct settle *s)
{
	journal_server_free(s->server);
	follow_free(s->follow);
	settle_exchange_close(s);
	s->attest_waits = false;
	s->server = NULL;
	s->follow = NULL;
}

void settle_share_status(struct settle *s, json_t *o)
{
	json_object_set_new(o, "given_out", json_boolean(s->server != NULL));
	if (s->server_problem.text[0])
		json_object_set_new(o, "server_problem", settle_problem_json(&s->server_problem));
	json_object_set_new(o, "follow", s->follow ? follow_status(s->follow) : json_null());
}

void settle_use_commands(struct settle *s, const struct ctl_commands *commands)
{
	s->commands = commands;
}

/* -- what the writer answers ------------------------------------------------------------ */

static void forward_gone(void *arg)
{
	struct settle_forward *w = arg;

	follow_forget(w->settle->follow, w);
	free(w);
}

/* What of a call is told by "rewards claims" until the journal comes back with it. */
static struct settle_sent claim_of(const struct ctl_call *call)
{
	json_t *object = json_loads(call->dry_run || !param_text(call->params, "object") ? "" : param_text(call->params, "object"),
				    JSON_REJECT_DUPLICATES, NULL);
	const json_t *m = json_object_get(object, "message");
	const char *type = param_text(object, "primaryType"), *whose = param_text(m, "recipient");
	const char *amount = param_text(m, "cumulativeAmount");
	struct settle_sent sent = { .known = false };

	sent.known = type && strcmp(type, "RewardClaim") == 0 && whose && amount &&
		     eth_addr_parse(&sent.account, whose, strlen(whose)) == 0 &&
		     amount_parse(&sent.cumulative, amount, strlen(amount)) == 0;
	json_decref(object);
	return sent;
}

static void keep_claim(struct settle_forward *w, const json_t *receipt)
{
	const json_t *index = json_object_get(receipt, "index");

	if (!w->claim.known || !json_is_integer(index) || json_integer_value(index) < 0)
		return;
	w->settle->sent = w->claim;
	w->settle->sent.index = (uint64_t)json_integer_value(index);
}

struct amount settle_claimed_elsewhere(const struct settle *s, const struct eth_addr *account)
{
	struct ledger_head h = { .size = 0 };

	if (s->ledger)
		ledger_head(s->ledger, &h);
	if (!s->sent.known || s->sent.index < h.size || !eth_addr_eq(&s->sent.account, account))
		return amount_u64(0);
	return s->sent.cumulative;
}

static void on_answer(void *arg, const json_t *reply, const char *error)
{
	struct settle_forward *w = arg;
	json_t *result = json_object_get(reply, "result");

	keep_claim(w, result);
	if (!reply)
		ctl_pending_fail(w->pending, CTL_FAILED, "it is not known whether the writer took it: %s. The same signed object "
				 "may be handed over again; before another one is made, look for it with \"nonosctl ledger history\"",
				 error);
	else if (result)
		ctl_pending_finish(w->pending, json_incref(result));
	else
		ctl_pending_fail(w->pending, CTL_FAILED, "%s",
				 json_string_value(json_object_get(json_object_get(reply, "error"), "message")));
	free(w);
}

int settle_forward(struct settle *s, struct ctl_call *call)
{
	json_t *params = call->params ? json_deep_copy(call->params) : json_object();
	struct settle_forward *w;
	int r;

	if (!s->follow) {
		json_decref(params);
		return ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "this node does not write the journal, and follows no other: set "
				"\"follow\" in section [ledger]");
	}
	w = mem_new(sizeof(*w));
	w->settle = s;
	w->claim = claim_of(call);
	r = ctl_defer(&w->pending, call, forward_gone, w);
	if (r < 0) {
		free(w);
	} else if (follow_call(s->follow, call->command->words, params, on_answer, w) < 0) {
		ctl_pending_fail(w->pending, CTL_NOT_NOW, "too much is being handed to the writer; try again");
		free(w);
	}
	json_decref(params);
	return r;
}

json_t *settle_fork(struct settle *s)
{
	return s && s->follow ? follow_fork(s->follow) : json_pack("{s:b}", "forked", 0);
}
