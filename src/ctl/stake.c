/* stake deposit, stake release; and the views of stakes. */
#include "config.h"

#include "object.h"

#include <string.h>

#include <nonos/json_set.h>

/* "0x" and lower-case digits of a checked parameter. */
static json_t *hex_json(const char *text)
{
	return json_sprintf("0x%s", text + (strncmp(text, "0x", 2) == 0 ? 2 : 0));
}

/* The relay of the daemon that we talk to. */
static int own_relay(json_t **ret, const struct invocation *in)
{
	json_t *head;
	int r = daemon_call(&head, &in->options, "ledger.head", NULL);

	if (r != EXIT_OK)
		return r;
	*ret = json_incref(json_object_get(head, "relay_id"));
	json_decref(head);
	return *ret ? EXIT_OK : complain(EXIT_NO_ANSWER, "the daemon did not say which relay it is; use --relay");
}

int local_stake_deposit(const struct invocation *in)
{
	const char *relay = param_text(in->params, "relay");
	struct eth_addr from;
	json_t *fields, *id = NULL;
	int r = object_signer(&from, in, "from");

	if (r == EXIT_OK && relay)
		id = hex_json(relay);
	else if (r == EXIT_OK)
		r = own_relay(&id, in);
	if (r != EXIT_OK)
		return r;
	fields = json_pack("{s:o, s:I}", "relayId", id, "lockDays", (json_int_t)param_integer(in->params, "days", 0));
	json_set_address(fields, "account", &from);
	object_put_tokens(fields, "amount", param_text(in->params, "amount"));
	return object_make(in, "StakeLock", fields);
}

/* All that is left of a stake. */
static int whole_stake(json_t **ret, const struct invocation *in, const struct eth_addr *account, const json_t *id)
{
	json_t *params = json_object(), *answer, *stake;
	size_t i;
	int r;

	json_set_address(params, "account", account);
	r = daemon_call(&answer, &in->options, "stake.status", params);
	json_decref(params);
	if (r != EXIT_OK)
		return r;
	*ret = NULL;
	json_array_foreach(json_object_get(answer, "stakes"), i, stake)
		if (json_equal(json_object_get(stake, "stake"), id))
			*ret = json_incref(json_object_get(stake, "active"));
	json_decref(answer);
	return *ret ? EXIT_OK : complain(EXIT_REFUSED, "the account has no such stake; \"nonosctl stake status\" lists them");
}

int local_stake_release(const struct invocation *in)
{
	const char *amount = param_text(in->params, "amount");
	struct eth_addr from;
	json_t *fields, *id, *all = NULL;
	int r = object_signer(&from, in, "from");

	if (r != EXIT_OK)
		return r;
	id = hex_json(param_text(in->params, "stake"));
	if (!amount)
		r = whole_stake(&all, in, &from, id);
	if (r != EXIT_OK) {
		json_decref(id);
		return r;
	}
	fields = json_pack("{s:o}", "stakeId", id);
	json_set_address(fields, "account", &from);
	if (amount)
		object_put_tokens(fields, "amount", amount);
	else
		json_object_set_new(fields, "amount", all);
	return object_make(in, "StakeRelease", fields);
}
