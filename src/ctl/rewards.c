/* rewards compute. */
#include "config.h"

#include "ctl.h"

#include <nonos/anyone_rewards.h>

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

int local_rewards_compute(const struct invocation *in)
{
	const char *path = param_text(in->params, "file");
	char why[ANYONE_WHY_CAP];
	struct anyone_round *round;
	json_t *doc;
	int r = file_read_json(&doc, path, REWARDS_FILE_MAX, false);

	if (r != EXIT_OK)
		return r;
	if (anyone_round_read(&round, why, doc) < 0) {
		json_decref(doc);
		return complain(EXIT_REFUSED, "%s: %s", path, why);
	}
	json_decref(doc);
	if (anyone_compute(round) < 0)
		r = complain(EXIT_REFUSED, "%s: a rating or an amount leaves its range", path);
	else if (in->options.json)
		r = print_answer(in, anyone_round_json(round));
	else
		print_round(round);
	anyone_round_free(round);
	return r;
}
