/* genesis new, genesis show, genesis check: documents that networks start from. */
#include "config.h"

#include "ctl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/json_set.h>
#include <nonos/ledger.h>

int file_read_genesis(struct genesis **ret, bool *ret_canonical, const char *path)
{
	char why[GENESIS_WHY_CAP] = "", *text;
	size_t len, used;
	int r = file_read(&text, &len, path, GENESIS_LEN_MAX);

	if (r != EXIT_OK)
		return r;
	if (genesis_read(ret, why, text, len) < 0) {
		r = complain(EXIT_REFUSED, "%s: %s", path, why);
	} else {
		/* A line end behind the document does no harm. */
		used = len && text[len - 1] == '\n' ? len - 1 : len;
		*ret_canonical = used == (*ret)->text_len && memcmp(text, (*ret)->text, used) == 0;
	}
	free(text);
	return r;
}

/* What names the network, and what is signed for it. */
static json_t *identity(const struct genesis *g)
{
	json_t *answer = json_pack("{s:s}", "name", g->name);

	json_set_hex(answer, "hash", g->hash, sizeof(g->hash));
	json_set_address(answer, "verifyingContract", &g->contract);
	json_set_hex(answer, "domainSeparator", g->domain_separator, sizeof(g->domain_separator));
	return answer;
}

int local_genesis_check(const struct invocation *in)
{
	struct genesis *g;
	bool canonical;
	json_t *answer;
	int r = file_read_genesis(&g, &canonical, param_text(in->params, "file"));

	if (r != EXIT_OK)
		return r;
	answer = identity(g);
	json_object_set_new(answer, "valid", json_true());
	json_object_set_new(answer, "canonical", json_boolean(canonical));
	genesis_free(g);
	return print_answer(in, answer);
}

static void set_tokens(json_t *object, const char *name, struct amount a)
{
	char text[AMOUNT_TEXT_CAP];

	amount_token_text(text, a);
	json_object_set_new(object, name, json_string(text));
}

static json_t *tiers(const struct reward_params *p)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < p->n_tiers; i++) {
		json_t *row = json_pack("{s:s,s:i,s:i}", "name", p->tiers[i].name, "lockDays", (int)p->tiers[i].days, "factorBp",
					(int)p->tiers[i].factor_bp);

		set_tokens(row, "stakeTokens", p->tiers[i].stake);
		json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *signers(const struct genesis_signers *s)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < s->n; i++) {
		char text[ETH_ADDR_TEXT_CAP];

		eth_addr_text(text, &s->addrs[i]);
		json_array_append_new(rows, json_string(text));
	}
	return json_pack("{s:i,s:o}", "threshold", (int)s->threshold, "addresses", rows);
}

int local_genesis_show(const struct invocation *in)
{
	struct genesis *g;
	bool canonical;
	json_t *answer, *token = json_object();
	int r = file_read_genesis(&g, &canonical, param_text(in->params, "file"));

	if (r != EXIT_OK) {
		json_decref(token);
		return r;
	}
	answer = identity(g);
	json_object_set_new(answer, "time", json_integer((json_int_t)g->time));
	json_object_set_new(answer, "log", json_string(g->log));
	set_tokens(token, "supplyTokens", g->supply);
	set_tokens(token, "publicTokens", g->public_part);
	set_tokens(token, "reserveTokens", g->reserve);
	set_tokens(token, "burntTokens", g->burnt);
	json_object_set_new(answer, "token", token);
	json_object_set_new(answer, "allocations", json_integer((json_int_t)g->n_allocations));
	json_object_set(answer, "policy", json_object_get(g->doc, "policy"));
	json_object_set_new(answer, "epochSeconds", json_integer(g->rewards.epoch_s));
	json_object_set_new(answer, "reserveRateBp", json_integer(g->rewards.reserve_rate_bp));
	json_object_set_new(answer, "tiers", tiers(&g->rewards));
	json_object_set_new(answer, "unbondingSeconds", json_integer(g->unbonding_s));
	json_object_set(answer, "revenue", json_object_get(g->doc, "revenue"));
	json_object_set(answer, "burn", json_object_get(g->doc, "burn"));
	json_object_set_new(answer, "auditors", signers(&g->auditors));
	json_object_set_new(answer, "council", signers(&g->council));
	genesis_free(g);
	return print_answer(in, answer);
}

/* -- genesis new --------------------------------------------------------------------------- */

/* Replace the signers of `name` by what the option lists, if it does. */
static void set_signers(json_t *doc, const json_t *params, const char *name, const char *threshold)
{
	const json_t *list = json_object_get(params, name);

	if (list)
		json_object_set_new(doc, name, json_pack("{s:I,s:O}", "threshold", (json_int_t)param_integer(params, threshold, 1),
							 "addresses", list));
}

static json_t *document(const json_t *params, const char *log)
{
	const char *holder = param_text(params, "holder");
	struct eth_addr first;
	json_t *doc, *rewards;

	clock_update();
	if (eth_addr_parse(&first, holder, strlen(holder)) < 0)
		return NULL;
	doc = genesis_usual(param_text(params, "name"), (uint64_t)param_integer(params, "time", clock_wall()), &first, &first, log);
	set_signers(doc, params, "auditors", "auditor_threshold");
	set_signers(doc, params, "council", "council_threshold");
	rewards = json_object_get(doc, "rewards");
	if (json_object_get(params, "epoch_seconds"))
		json_object_set(rewards, "epochSeconds", json_object_get(params, "epoch_seconds"));
	if (json_object_get(params, "unbonding_seconds"))
		json_object_set(doc, "unbondingSeconds", json_object_get(params, "unbonding_seconds"));
	return doc;
}

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

int local_genesis_new(const struct invocation *in)
{
	const char *path = param_text(in->params, "file"), *origin = param_text(in->params, "origin"), *key = param_text(in->params, "key");
	bool made = !is_there(key);
	char log[GENESIS_LOG_CAP], why[LEDGER_WHY_CAP], *text;
	struct genesis *g = NULL;
	json_t *doc, *answer;
	size_t len;
	int r;

	if (is_there(path))
		return complain(EXIT_REFUSED, "%s is there already; a genesis document is never overwritten", path);
	if (in->options.dry_run && made)
		return complain(EXIT_REFUSED, "%s: no such key; the document names it, and --dry-run makes none", key);
	if (ledger_key(log, key, origin ? origin : param_text(in->params, "name"), why) < 0)
		return complain(EXIT_REFUSED, "%s", why);
	doc = document(in->params, log);
	if (!doc || jcs_write(&text, &len, doc) < 0) {
		json_decref(doc);
		return complain(EXIT_REFUSED, "these values make no genesis document: the name must be text, the holder an address");
	}
	json_decref(doc);
	if (genesis_read(&g, why, text, len) < 0)
		r = complain(EXIT_REFUSED, "%s", why);
	else
		r = in->options.dry_run ? EXIT_OK : file_create(path, text, len, 0644);
	free(text);
	if (r != EXIT_OK) {
		genesis_free(g);
		return r;
	}
	answer = identity(g);
	json_object_set_new(answer, "file", json_string(path));
	json_object_set_new(answer, "written", json_boolean(!in->options.dry_run));
	json_object_set_new(answer, "key", json_string(key));
	json_object_set_new(answer, "key_made", json_boolean(made));
	if (!in->options.dry_run)
		json_object_set_new(answer, "next", json_sprintf("in section [ledger] of nonosd.conf: \"genesis = %s\" on every node, "
								 "\"journal_key = %s\" on the one that writes, and auditor_key on each "
								 "auditor's, without whom no epoch pays", path, key));
	genesis_free(g);
	return print_answer(in, answer);
}
