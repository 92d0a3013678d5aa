/* rewards compute. */
#include "config.h"

#include "ctl.h"

#include <string.h>

#include <nonos/anyone_rewards.h>
#include <nonos/encode.h>
#include <nonos/rewards.h>

enum { REWARDS_FILE_MAX = 256 << 20 };

static void print_tokens(struct amount a)
{
	char text[AMOUNT_TEXT_CAP];

	amount_token_text(text, a);
	printf("  %-22s", text);
}

static void print_round(const struct anyone_round *r)
{
	char text[AMOUNT_TEXT_CAP];

	printf("%-*s  %-22s  %-22s  %-22s  %-22s  %-22s  %s\n", ANYONE_ID_LEN, "relay", "due", "network", "hardware", "uptime",
	       "exit", "to delegate");
	for (size_t i = 0; i < r->n_relays; i++) {
		const struct anyone_relay *relay = &r->relays[i];

		printf("%s", relay->id);
		print_tokens(relay->total);
		print_tokens(relay->network_due);
		print_tokens(relay->hardware_due);
		print_tokens(relay->uptime_due);
		print_tokens(relay->exit_due);
		amount_token_text(text, relay->delegate_total);
		printf("  %s\n", text);
	}
	amount_token_text(text, r->total);
	printf("\n%zu relays are due %s tokens for %llu seconds\n", r->n_relays, text, (unsigned long long)r->seconds);
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
		print_round(round);
	anyone_round_free(round);
	return r;
}

static void print_relay(const struct reward_epoch *e, const struct reward_relay *r)
{
	char id[2 * REWARD_ID_LEN + 1];

	hex_encode(id, r->id, REWARD_ID_LEN);
	printf("%s", id);
	print_tokens(r->due);
	if (r->excluded) {
		printf("  %s\n", reward_excluded_text(r->excluded));
		return;
	}
	printf("  %3u/%-3u  %-10s  %u.%04u", r->running, e->seen, e->params.tiers[r->tier].name, r->role_bp / REWARD_BP,
	       r->role_bp % REWARD_BP);
	if (amount_cmp(r->network_credit, e->limit) > 0)
		printf("  network diluted");
	if (amount_cmp(r->party_credit, e->limit) > 0)
		printf("  operator and family diluted");
	putchar('\n');
}

static void print_epoch(const struct reward_epoch *e)
{
	char text[AMOUNT_TEXT_CAP];

	printf("%-*s  %-22s  %-7s  %-10s  %s\n", 2 * REWARD_ID_LEN, "relay", "due", "running", "tier", "role");
	for (size_t i = 0; i < e->n_relays; i++)
		print_relay(e, &e->relays[i]);
	amount_token_text(text, e->paid);
	printf("\n%zu relays are due %s tokens for an epoch of %u seconds\n", e->n_relays, text, e->params.epoch_s);
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
		print_epoch(e);
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
