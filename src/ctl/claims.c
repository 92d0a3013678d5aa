/*
 * rewards claim: what was earned as a bundle that proves it to anybody, in a file,
 * and, with a key, a RewardClaim in the journal, which moves it to the account.
 */
#include "config.h"

#include "object.h"

#include <string.h>

#include "sign.h"

#include <nonos/json_set.h>

static bool has_key(const struct invocation *in)
{
	return param_text(in->params, "key") || param_text(in->params, "key_file") || param_text(in->params, "cold");
}

/* Whose money: --account, else the key's, else (NULL) what the daemon has as the operator's. */
static int claimant(json_t **ret, const struct invocation *in)
{
	const char *named = param_text(in->params, "account");
	struct eth_addr a;
	int r;

	*ret = json_object();
	if (named) {
		json_object_set_new(*ret, "account", json_string(named));
		return EXIT_OK;
	}
	if (!has_key(in) || param_text(in->params, "cold"))
		return EXIT_OK;
	r = sign_address(&a, in);
	if (r == EXIT_OK)
		json_set_address(*ret, "account", &a);
	return r;
}

static int write_bundle(const struct invocation *in, json_t *account, const char *path)
{
	json_t *bundle;
	int r = daemon_call(&bundle, &in->options, "rewards.bundle", account);

	if (r != EXIT_OK)
		return r;
	if (!in->options.dry_run)
		r = file_create_json(path, bundle);
	json_decref(bundle);
	return r;
}

/* Sign and submit the claim; *ret_done is what the answer says of it. */
static int submit_claim(const struct invocation *in, json_t *account)
{
	const json_t *whose = json_object_get(account, "account");
	json_t *draft, *object, *fields;
	int r = daemon_call(&draft, &in->options, "rewards.draft", account);

	if (r != EXIT_OK)
		return r;
	object = json_incref(json_object_get(draft, "object"));
	json_decref(draft);
	fields = json_object();
	if (whose)
		json_object_set(fields, "recipient", (json_t *)(uintptr_t)whose);
	r = object_expect(object, "RewardClaim", fields);
	json_decref(fields);
	if (r == EXIT_OK)
		return object_finish(in, object);
	json_decref(object);
	return r;
}

int local_rewards_claim(const struct invocation *in)
{
	const char *out = param_text(in->params, "out");
	json_t *account = NULL, *answer;
	int r;

	if (!out && !has_key(in))
		return complain(EXIT_USAGE, "say what to do: --out FILE writes the proof of what was earned, and --key NAME or "
				"--key-file FILE claims it");
	r = claimant(&account, in);
	if (r == EXIT_OK && out)
		r = write_bundle(in, account, out);
	if (r == EXIT_OK && has_key(in)) {
		r = submit_claim(in, account);
	} else if (r == EXIT_OK) {
		r = daemon_call(&answer, &in->options, "rewards.claims", account);
		if (r == EXIT_OK) {
			json_object_set_new(answer, "file", json_string(out));
			json_object_set_new(answer, "dry_run", json_boolean(in->options.dry_run));
			r = print_answer(in, answer);
		}
	}
	json_decref(account);
	return r;
}
