/* Asking the daemon, and printing answers. */
#include "config.h"

#include "ctl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/control.h>
#include <nonos/secret.h>

#include "view_ledger.h"
#include "view_relay.h"

static const struct table_column doctor_columns[] = {
	{ "check", "check", TABLE_TEXT }, { "result", "result", TABLE_TEXT }, { "detail", "detail", TABLE_TEXT },
	{ "fix", "fix", TABLE_TEXT },
};
static const struct table doctor_table = { "checks", doctor_columns, 4 };

static const struct table_column key_columns[] = {
	{ "name", "name", TABLE_TEXT }, { "address", "address", TABLE_TEXT }, { "kdf.name", "kdf", TABLE_TEXT },
	{ "error", "error", TABLE_TEXT },
};
static const struct table_column backup_columns[] = {
	{ "name", "name", TABLE_TEXT }, { "mode", "mode", TABLE_TEXT }, { "bytes", "size", TABLE_BYTES },
};
static const struct table backup_table = { "files", backup_columns, 3 };
static const struct table_column unlocked_columns[] = {
	{ "address", "address", TABLE_TEXT }, { "seconds", "for", TABLE_DURATION },
};
static const struct table unlocked_table = { "keys", unlocked_columns, 2 };
static const struct table key_table = { "keys", key_columns, 4 };

/*
 * How an answer is shown: by its own view, as the table that --format also wants, or
 * by both. The others are printed by view_any(), and as tables of what they hold.
 */
static const struct {
	enum command_id command;
	void (*view)(FILE *out, const json_t *answer);
	const struct table *table;
} views[] = {
	{ COMMAND_ID_metrics, view_metrics, NULL },
	{ COMMAND_ID_status, view_status, NULL }, { COMMAND_ID_config_show, view_config, NULL },
	{ COMMAND_ID_token_create, view_token, NULL },
	{ COMMAND_ID_token_list, NULL, &token_table },
	{ COMMAND_ID_token_restrict, view_token, NULL },
	{ COMMAND_ID_config_explain, view_options, NULL }, { COMMAND_ID_init, view_init, NULL },
	{ COMMAND_ID_doctor, view_doctor, &doctor_table },
	{ COMMAND_ID_ledger_clock, view_money, NULL },
	{ COMMAND_ID_ledger_head, view_money, NULL }, { COMMAND_ID_ledger_balance, view_money, NULL },
	{ COMMAND_ID_ledger_history, NULL, &table_history }, { COMMAND_ID_ledger_supply, view_money, NULL },
	{ COMMAND_ID_ledger_proof, view_money, NULL }, { COMMAND_ID_ledger_submit, view_money, NULL },
	{ COMMAND_ID_transfer, view_money, NULL }, { COMMAND_ID_stake_deposit, view_money, NULL },
	{ COMMAND_ID_ledger_verify, view_money, NULL }, { COMMAND_ID_ledger_export, view_money, NULL },
	{ COMMAND_ID_ledger_import, view_money, NULL },
	{ COMMAND_ID_genesis_new, view_money, NULL }, { COMMAND_ID_genesis_check, view_money, NULL },
	{ COMMAND_ID_genesis_show, view_genesis, NULL },
	{ COMMAND_ID_stake_release, view_money, NULL }, { COMMAND_ID_relay_register, view_money, NULL },
	{ COMMAND_ID_stake_status, view_stakes, &table_stakes },
	{ COMMAND_ID_stake_tiers, NULL, &table_tiers },
	{ COMMAND_ID_rewards_epoch, view_due, &table_due }, { COMMAND_ID_rewards_pending, view_due, &table_due },
	{ COMMAND_ID_rewards_explain, view_explained, NULL }, { COMMAND_ID_rewards_claims, view_claims, &table_claims },
	{ COMMAND_ID_rewards_claim, view_claims, &table_claims },
	{ COMMAND_ID_rewards_relay, view_claims, &table_epochs }, { COMMAND_ID_rewards_history, view_claims, &table_earned },
	{ COMMAND_ID_stake_optimize, view_optimize, &table_optimize },
	{ COMMAND_ID_ledger_policy_simulate, view_simulate, &table_simulate },
	{ COMMAND_ID_dao_tally, view_tally, NULL },
	{ COMMAND_ID_key_list, NULL, &key_table }, { COMMAND_ID_backup_list, NULL, &backup_table },
	{ COMMAND_ID_relay_descriptor, view_descriptor, &table_uploads },
	{ COMMAND_ID_relay_flags, view_flags, &table_flags },
	{ COMMAND_ID_relay_links, view_links, &table_links },
	{ COMMAND_ID_relay_circuits, view_circuits, &table_states },
	{ COMMAND_ID_relay_family, view_family, &table_members },
	{ COMMAND_ID_relay_bandwidth, view_bandwidth, &table_days },
	{ COMMAND_ID_relay_dns, view_dns, &table_servers },
	{ COMMAND_ID_relay_exit_policy_test, view_exit_policy, NULL },
	{ COMMAND_ID_family_new, view_family_key, NULL }, { COMMAND_ID_family_show, view_family_key, NULL },
	{ COMMAND_ID_key_unlocked, NULL, &unlocked_table },
};

int complain(enum exit_code status, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fputs("nonosctl: ", stderr);
	view_escaped(stderr, text);
	fputc('\n', stderr);
	return status;
}

/* -- asking ------------------------------------------------------------------------ */

/* "what: 5 of 10 (50 %)" on one line of a terminal. */
static void show_progress(void *arg, const char *method, const json_t *params)
{
	json_int_t done = json_integer_value(json_object_get(params, "done"));
	json_int_t total = json_integer_value(json_object_get(params, "total"));
	const char *what = json_string_value(json_object_get(params, "what"));
	bool *shown = arg;

	if (strcmp(method, "progress") != 0 || !isatty(STDERR_FILENO))
		return;
	*shown = true;
	fputs("\r\033[K", stderr);
	view_escaped(stderr, what ? what : "");
	if (total > 0 && done >= 0 && done <= total)
		fprintf(stderr, ": %lld of %lld (%d %%)", (long long)done, (long long)total,
			(int)(100.0 * (double)done / (double)total));
	else if (done > 0)
		fprintf(stderr, ": %lld", (long long)done);
	fflush(stderr);
}

/* Show the token, if there is one: from then on its rights are all we have. */
static int show_token(struct ctl_client *c, const struct ctl_options *o, bool silent)
{
	json_t *reply = NULL, *params, *error;
	char *token = NULL;
	int r = token_find(&token, o);

	if (r != EXIT_OK || !token)
		return r;
	params = json_pack("{s:s}", "token", token);
	if (!params)
		r = complain(EXIT_USAGE, "the token is not text");
	else if (ctl_client_call(c, &reply, "auth", params, o->timeout_s * 1000, NULL, NULL) < 0)
		r = silent ? EXIT_NO_ANSWER : complain(EXIT_NO_ANSWER, "%s", ctl_client_error(c));
	json_decref(params);
	secret_wipe(token, strlen(token));
	free(token);
	error = json_object_get(reply, "error");
	if (error)
		r = silent ? EXIT_REFUSED : complain(EXIT_REFUSED, "%s", json_string_value(json_object_get(error, "message")));
	json_decref(reply);
	return r;
}

static int call_daemon(json_t **ret_result, struct ctl_client *c, const struct ctl_options *o, const char *method,
		       json_t *params)
{
	json_t *reply, *error;
	bool shown = false;
	int r = ctl_client_call(c, &reply, method, params, o->timeout_s * 1000, show_progress, &shown);

	if (shown)
		fputs("\r\033[K", stderr);
	if (r < 0)
		return complain(EXIT_NO_ANSWER, "%s", ctl_client_error(c));
	error = json_object_get(reply, "error");
	if (error)
		complain(EXIT_REFUSED, "%s", json_string_value(json_object_get(error, "message")));
	else
		*ret_result = json_incref(json_object_get(reply, "result"));
	json_decref(reply);
	return error ? EXIT_REFUSED : EXIT_OK;
}

int daemon_open(struct ctl_client **ret, json_t **ret_result, const struct ctl_options *o, const char *method,
		json_t *params)
{
	struct ctl_client *c;
	char err[512];
	int r;

	if (ctl_client_open(&c, o->socket, err, sizeof(err)) < 0)
		return complain(EXIT_NO_DAEMON, "%s", err);
	r = show_token(c, o, false);
	if (r == EXIT_OK)
		r = call_daemon(ret_result, c, o, method, params);
	if (r == EXIT_OK)
		*ret = c;
	else
		ctl_client_free(c);
	return r;
}

int daemon_call(json_t **ret_result, const struct ctl_options *o, const char *method, json_t *params)
{
	struct ctl_client *c;
	int r = daemon_open(&c, ret_result, o, method, params);

	if (r == EXIT_OK)
		ctl_client_free(c);
	return r;
}

bool daemon_ask(json_t **ret_result, const struct ctl_options *o, const char *method, json_t *params)
{
	json_t *reply = NULL, *result;
	struct ctl_client *c;
	char err[512];

	if (ctl_client_open(&c, o->socket, err, sizeof(err)) < 0)
		return false;
	if (show_token(c, o, true) == EXIT_OK)
		(void)ctl_client_call(c, &reply, method, params, o->timeout_s * 1000, NULL, NULL);
	ctl_client_free(c);
	result = json_object_get(reply, "result");
	if (result)
		*ret_result = json_incref(result);
	json_decref(reply);
	return result;
}

/* -- printing ---------------------------------------------------------------------- */

static void print_view(const struct invocation *in, const json_t *answer)
{
	void (*view)(FILE *out, const json_t *answer) = NULL;
	const struct table *table = NULL;

	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		if (&commands_all()[views[i].command] == in->command) {
			view = views[i].view;
			table = views[i].table;
		}
	if (in->options.format != FORMAT_TEXT || (table && !view))
		table_print(stdout, table, answer, in->options.format);
	else
		(view ? view : view_any)(stdout, answer);
}

/* One object; with jsonl the items of a list, one a line. */
static void print_json(const json_t *answer, enum output_format format)
{
	const size_t flags = JSON_ENSURE_ASCII | JSON_ENCODE_ANY;
	const json_t *item;
	size_t i;

	if (format == FORMAT_JSON || !json_is_array(answer)) {
		json_dumpf(answer, stdout, flags | (format == FORMAT_JSON ? JSON_INDENT(2) : JSON_COMPACT));
		putchar('\n');
		return;
	}
	json_array_foreach(answer, i, item) {
		json_dumpf(item, stdout, flags | JSON_COMPACT);
		putchar('\n');
	}
}

int print_answer(const struct invocation *in, json_t *answer)
{
	if (in->options.json)
		print_json(answer, in->options.format);
	else
		print_view(in, answer);
	json_decref(answer);
	return EXIT_OK;
}

int run_daemon_command(const struct invocation *in)
{
	json_t *result;
	int r = daemon_call(&result, &in->options, in->command->words, in->params);

	return r == EXIT_OK ? print_answer(in, result) : r;
}
