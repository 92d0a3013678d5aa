/* stake optimize. */
#include "config.h"

#include "ctl.h"

#include <string.h>

#include <nonos/rewards.h>

enum { NETWORK_FILE_MAX = 256 << 20 };

/* The network as it was in an epoch: from a file, or the daemon's last one. */
static int read_network(json_t **ret, const struct invocation *in)
{
	const char *path = param_text(in->params, "network");

	return path ? file_read_json(ret, path, NETWORK_FILE_MAX, false) :
		      daemon_call(ret, &in->options, "rewards.inputs", NULL);
}

static enum reward_role role_of(const char *text)
{
	if (text && strcmp(text, "exit") == 0)
		return REWARD_EXIT;
	return text && strcmp(text, "guard") == 0 ? REWARD_GUARD : REWARD_MIDDLE;
}

static int optimize(json_t **ret, const struct invocation *in, const char *where, const json_t *doc)
{
	const char *text = param_text(in->params, "amount");
	struct amount amount = { 0 };
	char why[REWARD_WHY_CAP] = "";
	struct reward_epoch *e;
	int r;

	if (amount_token_parse(&amount, text, strlen(text)) < 0)
		return complain(EXIT_USAGE, "\"%s\" is not an amount of tokens", text);
	if (reward_epoch_read(&e, why, doc) < 0)
		return complain(EXIT_REFUSED, "%s: %s", where, why);
	r = reward_compute(e, why);
	if (r == 0)
		r = stake_optimize(ret, why, e, amount, (uint64_t)param_integer(in->params, "weight", 0),
				   role_of(param_text(in->params, "role")));
	reward_epoch_free(e);
	return r < 0 ? complain(EXIT_REFUSED, "%s: %s", where, why) : EXIT_OK;
}

int local_stake_optimize(const struct invocation *in)
{
	const char *path = param_text(in->params, "network");
	json_t *doc, *answer;
	int r = read_network(&doc, in);

	if (r != EXIT_OK)
		return r;
	r = optimize(&answer, in, path ? path : "the daemon's last epoch", doc);
	json_decref(doc);
	return r == EXIT_OK ? print_answer(in, answer) : r;
}

/* -- the table --------------------------------------------------------------------------- */

static const struct table_column columns[] = {
	{ "tier", "tier", TABLE_TEXT }, { "lock_days", "lock days", TABLE_NUMBER }, { "relays", "relays", TABLE_NUMBER },
	{ "stake_each", "stake each", TABLE_TOKENS_4 }, { "epoch_due", "an epoch", TABLE_TOKENS_4 },
	{ "yearly", "a year", TABLE_TOKENS_4 }, { "yield_percent", "yield %", TABLE_NUMBER },
};
const struct table table_optimize = { "options", columns, sizeof(columns) / sizeof(columns[0]) };

void view_optimize(FILE *out, const json_t *answer)
{
	const json_t *sentence;
	size_t i;

	table_print(out, &table_optimize, answer, FORMAT_TABLE);
	fprintf(out, "\nAssumed:\n");
	json_array_foreach(json_object_get(answer, "assumptions"), i, sentence) {
		fputs("  - ", out);
		view_scalar(out, sentence);
		fputc('\n', out);
	}
}
