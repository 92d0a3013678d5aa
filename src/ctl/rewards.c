/* rewards compute. */
#include "config.h"

#include "ctl.h"

#include <string.h>

#include <nonos/anyone_rewards.h>
#include <nonos/encode.h>
#include <nonos/rewards.h>

enum { REWARDS_FILE_MAX = 256 << 20 };

static const struct table_column round_columns[] = {
	{ "relay", "relay", TABLE_ID }, { "Total", "due", TABLE_TOKENS }, { "Network", "network", TABLE_TOKENS },
	{ "Hardware", "hardware", TABLE_TOKENS }, { "Uptime", "uptime", TABLE_TOKENS }, { "ExitBonus", "exit", TABLE_TOKENS },
	{ "DelegateTotal", "to delegate", TABLE_TOKENS },
};

static const struct table_column epoch_columns[] = {
	{ "relay", "relay", TABLE_ID }, { "due", "due", TABLE_TOKENS }, { "running", "running", TABLE_NUMBER },
	{ "tier", "tier", TABLE_TEXT }, { "roleBp", "role bp", TABLE_NUMBER }, { "diluted", "diluted", TABLE_TEXT },
	{ "excluded", "why not", TABLE_TEXT },
};

/* The relays, which JSON has by their ids, as rows. Takes over the answer. */
static void print_relays(const struct invocation *in, const struct table_column *columns, size_t n_columns, json_t *answer)
{
	const struct table t = { NULL, columns, n_columns };
	json_t *rows = json_array(), *relay, *row;
	const char *id;

	json_object_foreach(json_object_get(answer, "relays"), id, relay) {
		row = json_copy(relay);
		json_object_set_new(row, "relay", json_string(id));
		json_array_append_new(rows, row);
	}
	table_print(stdout, &t, rows, in->options.format == FORMAT_TEXT ? FORMAT_TABLE : in->options.format);
	json_decref(rows);
	json_decref(answer);
}

static void print_sum(const struct invocation *in, size_t relays, struct amount total, const char *what, unsigned long long seconds)
{
	char text[AMOUNT_TEXT_CAP];

	if (in->options.format != FORMAT_TEXT)
		return;
	amount_token_text(text, total);
	printf("\n%zu relays are due %s tokens for %s%llu seconds\n", relays, text, what, seconds);
}

static void print_round(const struct invocation *in, const struct anyone_round *r)
{
	print_relays(in, round_columns, sizeof(round_columns) / sizeof(round_columns[0]), anyone_round_json(r));
	print_sum(in, r->n_relays, r->total, "", r->seconds);
}

static int compute_round(const struct invocation *in, const char *path, const json_t *doc)
{
	char why[ANYONE_WHY_CAP];
	struct anyone_round *round;
	int r = EXIT_OK;

	if (anyone_round_read(&round, why, doc) < 0)
		return complain(EXIT_REFUSED, "%s: %s", path, why);
	if (anyone_compute(round) < 0)
		r = complain(EXIT_REFUSED, "%s: a rating or an amount leaves its range", path);
	else if (in->options.json)
		r = print_answer(in, anyone_round_json(round));
	else
		print_round(in, round);
	anyone_round_free(round);
	return r;
}

/* Which of its groups are above the limit, so that a relay's credit counts less. */
static void set_diluted(json_t *relay, const struct reward_epoch *e, const struct reward_relay *r)
{
	bool network = amount_cmp(r->network_credit, e->limit) > 0, party = amount_cmp(r->party_credit, e->limit) > 0;

	if (!r->excluded && (network || party))
		json_object_set_new(relay, "diluted", json_string(network && party ? "network, operator and family" : network ? "network" :
								  "operator and family"));
}

static void print_epoch(const struct invocation *in, const struct reward_epoch *e)
{
	json_t *answer = reward_epoch_json(e), *relays = json_object_get(answer, "relays");
	char id[2 * REWARD_ID_LEN + 1];

	for (size_t i = 0; i < e->n_relays; i++) {
		hex_encode(id, e->relays[i].id, REWARD_ID_LEN);
		set_diluted(json_object_get(relays, id), e, &e->relays[i]);
	}
	print_relays(in, epoch_columns, sizeof(epoch_columns) / sizeof(epoch_columns[0]), answer);
	print_sum(in, e->n_relays, e->paid, "an epoch of ", e->params.epoch_s);
}

static int compute_epoch(const struct invocation *in, const char *path, const json_t *doc)
{
	char why[REWARD_WHY_CAP];
	struct reward_epoch *e;
	int r = EXIT_OK;

	if (reward_epoch_read(&e, why, doc) < 0)
		return complain(EXIT_REFUSED, "%s: %s", path, why);
	if (reward_compute(e, why) < 0)
		r = complain(EXIT_REFUSED, "%s: %s", path, why);
	else if (in->options.json)
		r = print_answer(in, reward_epoch_json(e));
	else
		print_epoch(in, e);
	reward_epoch_free(e);
	return r;
}

/* A round without "policy" is one of the Anyone network's own process. */
int local_rewards_compute(const struct invocation *in)
{
	const char *path = param_text(in->params, "file"), *policy;
	json_t *doc;
	int r = file_read_json(&doc, path, REWARDS_FILE_MAX, false);

	if (r != EXIT_OK)
		return r;
	policy = json_string_value(json_object_get(doc, "policy"));
	if (policy && strcmp(policy, "nonos-1") == 0)
		r = compute_epoch(in, path, doc);
	else
		r = compute_round(in, path, doc);
	json_decref(doc);
	return r;
}
