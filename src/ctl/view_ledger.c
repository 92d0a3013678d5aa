/* Views of answers about money: amounts in tokens, times as dates. */
#include "config.h"

#include "view_ledger.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/amount.h>

#include "ctl.h"

#define COLUMNS(v) (v), sizeof(v) / sizeof((v)[0])

static const struct table_column history_columns[] = {
	{ "time", "WHEN", TABLE_TIME }, { "height", "HEIGHT", TABLE_NUMBER }, { "why", "WHY", TABLE_TEXT },
	{ "side", "SIDE", TABLE_TEXT }, { "amount", "TOKENS", TABLE_TOKENS }, { "balance", "THEN", TABLE_TOKENS },
};

static const struct table_column stake_columns[] = {
	{ "stake", "STAKE", TABLE_ID }, { "active", "TOKENS", TABLE_TOKENS }, { "lock_days", "DAYS", TABLE_NUMBER },
	{ "lock_ends", "LOCKED UNTIL", TABLE_TIME }, { "unbonding", "UNBONDING", TABLE_TOKENS },
	{ "unbonds_at", "PAID BACK", TABLE_TIME }, { "relay", "RELAY", TABLE_ID },
};

static const struct table_column relay_columns[] = {
	{ "relay", "RELAY", TABLE_ID }, { "stake", "STAKE OF ALL", TABLE_TOKENS }, { "tier", "TIER", TABLE_TEXT },
};

static const struct table_column tier_columns[] = {
	{ "tier", "TIER", TABLE_TEXT }, { "stake", "STAKE", TABLE_TOKENS }, { "days", "DAYS LOCKED", TABLE_NUMBER },
	{ "factor", "FACTOR", TABLE_TEXT },
};

static const struct table_column due_columns[] = {
	{ "relay", "RELAY", TABLE_ID }, { "due", "TOKENS", TABLE_TOKENS }, { "excluded", "WHY NOT", TABLE_TEXT },
	{ "payout", "GOES TO", TABLE_TEXT },
};

static const struct table_column claim_columns[] = {
	{ "time", "WHEN", TABLE_TIME }, { "epoch", "THROUGH EPOCH", TABLE_NUMBER }, { "amount", "TOKENS", TABLE_TOKENS },
	{ "cumulative", "IN ALL", TABLE_TOKENS }, { "state", "STATE", TABLE_TEXT }, { "entry", "ENTRY", TABLE_NUMBER },
};

static const struct table_column risk_columns[] = {
	{ "what", "RISK", TABLE_TEXT }, { "do", "WHAT HELPS", TABLE_TEXT }, { "at", "FROM", TABLE_TIME },
};

static const struct table_column epoch_columns[] = {
	{ "epoch", "EPOCH", TABLE_NUMBER }, { "ended", "ENDED", TABLE_TIME }, { "relay", "RELAY", TABLE_ID },
	{ "due", "TOKENS", TABLE_TOKENS },
};

static const struct table_column earned_columns[] = {
	{ "epoch", "EPOCH", TABLE_NUMBER }, { "ended", "ENDED", TABLE_TIME }, { "relay", "RELAY", TABLE_ID },
	{ "due", "TOKENS", TABLE_TOKENS }, { "state", "STATE", TABLE_TEXT },
};

static const struct table_column stage_columns[] = {
	{ "state", "STATE", TABLE_TEXT }, { "amount", "TOKENS", TABLE_TOKENS }, { "what", "WHAT IT IS", TABLE_TEXT },
};

const struct table table_epochs = { "epochs", COLUMNS(epoch_columns) };
const struct table table_earned = { "epochs", COLUMNS(earned_columns) };
static const struct table table_stages = { "stages", COLUMNS(stage_columns) };
const struct table table_due = { "due", COLUMNS(due_columns) };
const struct table table_claims = { "claims", COLUMNS(claim_columns) };
static const struct table table_risks = { "risks", COLUMNS(risk_columns) };
const struct table table_history = { "postings", COLUMNS(history_columns) };
const struct table table_stakes = { "stakes", COLUMNS(stake_columns) };
const struct table table_tiers = { NULL, COLUMNS(tier_columns) };
static const struct table table_relays = { "relays", COLUMNS(relay_columns) };

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

static bool is_amount(const char *name)
{
	static const char *const names[] = {
		"amount", "balance", "stake", "rewards", "total", "circulating", "addresses", "staked", "reserve", "treasury",
		"vault", "burnt", "active", "unbonding", "budget", "paid", "due", "pending", "claimed", "cumulative",
		"cumulativeAmount", "earned", "claimable", "submitted", "sum", NULL,
	};

	return is_one_of(name, names);
}

static bool is_time(const char *name)
{
	static const char *const names[] = {
		"time", "validUntil", "lock_ends", "locked_at", "unbonds_at", "from", "to", "deadline", "closes_at", "last_claim", NULL,
	};

	return is_one_of(name, names);
}

/* Times of messages are decimal strings. */
static long long time_value(const json_t *v)
{
	return json_is_string(v) ? strtoll(json_string_value(v), NULL, 10) : json_integer_value(v);
}

static void view_value(FILE *out, const char *name, const json_t *v)
{
	const char *text = json_string_value(v);
	char tokens[AMOUNT_TEXT_CAP];
	struct amount a;
	bool number = json_is_integer(v) || (text && text[0] && text[strspn(text, "0123456789")] == '\0');

	if (text && is_amount(name) && amount_parse(&a, text, strlen(text)) == 0) {
		amount_token_text(tokens, a);
		fprintf(out, "%s token%s", tokens, strcmp(tokens, "1") == 0 ? "" : "s");
	} else if (number && is_time(name)) {
		view_time(out, time_value(v));
	} else if (json_is_integer(v) && strlen(name) > 2 && strcmp(name + strlen(name) - 2, "_s") == 0) {
		view_duration(out, json_integer_value(v));
	} else {
		view_scalar(out, v);
	}
}

/* A text of several lines, like a checkpoint, stands below its name. */
static void view_lines(FILE *out, const char *name, const char *text)
{
	fprintf(out, "%s:\n", name);
	while (*text) {
		size_t len = strcspn(text, "\n");
		char line[1024];

		snprintf(line, sizeof(line), "%.*s", (int)(len < sizeof(line) ? len : sizeof(line) - 1), text);
		fputs("  ", out);
		view_escaped(out, line);
		fputc('\n', out);
		text += len + (text[len] == '\n');
	}
}

static void view_members(FILE *out, const char *prefix, const json_t *o)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)o, name, v) {
		char full[128];

		snprintf(full, sizeof(full), "%s%s%s", prefix, prefix[0] ? "." : "", name);
		if (json_is_object(v)) {
			view_members(out, full, v);
			continue;
		}
		if (json_is_string(v) && strchr(json_string_value(v), '\n')) {
			view_lines(out, full, json_string_value(v));
			continue;
		}
		if (json_is_array(v))
			continue;
		fprintf(out, "%-31s ", full);
		view_value(out, name, v);
		fputc('\n', out);
	}
}

void view_money(FILE *out, const json_t *answer)
{
	view_members(out, "", answer);
}

static void view_signers(FILE *out, const char *title, const json_t *signers)
{
	const json_t *list = json_object_get(signers, "addresses"), *one;
	size_t i;

	fprintf(out, "\n%s: %lld of %zu must sign\n", title, (long long)json_integer_value(json_object_get(signers, "threshold")),
		json_array_size(list));
	json_array_foreach(list, i, one) {
		fputs("  ", out);
		view_scalar(out, one);
		fputc('\n', out);
	}
}

static void view_table(FILE *out, const struct table *t, const json_t *answer)
{
	if (json_array_size(json_object_get(answer, t->rows)) == 0)
		return;
	fputc('\n', out);
	table_print(out, t, answer, FORMAT_TABLE);
}

void view_genesis(FILE *out, const json_t *answer)
{
	static const struct table_column columns[] = {
		{ "name", "TIER", TABLE_TEXT }, { "stakeTokens", "STAKE", TABLE_NUMBER }, { "lockDays", "DAYS LOCKED", TABLE_NUMBER },
		{ "factorBp", "FACTOR, 1/10000", TABLE_NUMBER },
	};
	static const struct table tiers = { "tiers", COLUMNS(columns) };

	json_t *rest = json_copy((json_t *)(uintptr_t)answer);

	json_object_del(rest, "auditors");
	json_object_del(rest, "council");
	view_members(out, "", rest);
	json_decref(rest);
	view_table(out, &tiers, answer);
	view_signers(out, "auditors", json_object_get(answer, "auditors"));
	view_signers(out, "council", json_object_get(answer, "council"));
}

void view_stakes(FILE *out, const json_t *answer)
{
	view_members(out, "", answer);
	view_table(out, &table_stakes, answer);
	view_table(out, &table_relays, answer);
}

void view_due(FILE *out, const json_t *answer)
{
	view_members(out, "", answer);
	view_table(out, &table_due, answer);
	view_table(out, &table_risks, answer);
}

void view_claims(FILE *out, const json_t *answer)
{
	view_members(out, "", answer);
	view_table(out, &table_stages, answer);
	view_table(out, json_object_get(json_array_get(json_object_get(answer, "epochs"), 0), "state") ? &table_earned : &table_epochs,
		   answer);
	view_table(out, &table_claims, answer);
}

/* The sentences tell what the numbers of "terms" mean, so these come last. */
void view_explained(FILE *out, const json_t *answer)
{
	json_t *head = json_copy((json_t *)(uintptr_t)answer);
	const json_t *step;
	size_t i;

	json_object_del(head, "terms");
	view_members(out, "", head);
	json_decref(head);
	fputc('\n', out);
	json_array_foreach(json_object_get(answer, "steps"), i, step) {
		fprintf(out, "%2zu. ", i + 1);
		view_scalar(out, step);
		fputc('\n', out);
	}
	fputc('\n', out);
	view_members(out, "terms", json_object_get(answer, "terms"));
}
