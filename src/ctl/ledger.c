/*
 * Commands that make an object and hand it to the daemon: ledger submit and
 * transfer; and what stake.c and register.c share with them (object.h).
 */
#include "config.h"

#include "object.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <nonos/amount.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/json_set.h>

#include "sign.h"

enum { OBJECT_FILE_MAX = 60000, VALID_S = 3600, VALID_COLD_S = 7 * 86400 };

/* -- what they share ----------------------------------------------------------------------- */

int object_signer(struct eth_addr *ret, const struct invocation *in, const char *param)
{
	const char *named = param_text(in->params, param);
	int r;

	if (!param_text(in->params, "cold")) {
		r = sign_address(ret, in);
		if (r != EXIT_OK || !named)
			return r;
	}
	if (!named)
		return complain(EXIT_USAGE, "with --cold also say whose account it is: --%s ADDRESS", param);
	if (eth_addr_parse(ret, named, strlen(named)) < 0)
		return complain(EXIT_USAGE, "--%s takes the address of an account", param);
	return EXIT_OK;
}

void object_put_tokens(json_t *fields, const char *name, const char *tokens)
{
	struct amount a = { 0 };

	/* It was checked with the other parameters. */
	if (amount_token_parse(&a, tokens, strlen(tokens)) == 0)
		json_set_amount(fields, name, a);
}

/* Ask the daemon for {"domain", "primaryType", "message"}; *ret is the caller's. */
static int object_template(json_t **ret, const struct invocation *in, const char *type, const json_t *fields)
{
	int64_t valid = param_integer(in->params, "valid", param_text(in->params, "cold") ? VALID_COLD_S : VALID_S);
	char *text = json_dumps(fields, JSON_COMPACT);
	json_t *params = json_pack("{s:s, s:s, s:I}", "type", type, "fields", text, "valid", (json_int_t)valid), *answer;
	int r = daemon_call(&answer, &in->options, "ledger.template", params);

	json_decref(params);
	free(text);
	if (r != EXIT_OK)
		return r;
	*ret = json_incref(json_object_get(answer, "object"));
	json_decref(answer);
	return *ret ? EXIT_OK : complain(EXIT_NO_ANSWER, "the daemon's answer has no object");
}

/* Letters of both cases are one: values are numbers, addresses and hexadecimal digits. */
static bool says(const json_t *message, const char *name, const json_t *want)
{
	const json_t *v = json_object_get(message, name);

	if (json_is_string(v) && json_is_string(want))
		return strcasecmp(json_string_value(v), json_string_value(want)) == 0;
	return json_equal(v, want);
}

int object_expect(const json_t *object, const char *type, const json_t *fields)
{
	const char *made = json_string_value(json_object_get(object, "primaryType")), *name;
	json_t *want;

	if (!made || strcmp(made, type) != 0)
		return complain(EXIT_REFUSED, "the daemon made another object than a %s, so it is not signed: is it yours?", type);
	json_object_foreach((json_t *)(uintptr_t)fields, name, want)
		if (!says(json_object_get(object, "message"), name, want))
			return complain(EXIT_REFUSED, "the daemon's %s has another \"%s\" than was asked for, so it is not signed: is it "
					"yours?", type, name);
	return EXIT_OK;
}

/* Submit a signed object and print the receipt. */
static int object_submit(const struct invocation *in, const json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);
	json_t *params = json_pack("{s:s}", "object", text), *answer;
	int r;

	if (in->options.dry_run)
		json_object_set_new(params, "dry_run", json_true());
	r = daemon_call(&answer, &in->options, "ledger.append", params);
	json_decref(params);
	free(text);
	if (r != EXIT_OK)
		return r;
	json_object_set(answer, "type", json_object_get(object, "primaryType"));
	json_object_set(answer, "message", json_object_get(object, "message"));
	return print_answer(in, answer);
}

/* Whoever gives the command again makes another object, with the next nonce: he may pay twice. */
static void say_unknown(const json_t *object)
{
	char digest[2 * KECCAK256_LEN + 1];
	struct typed_hashes h;

	if (sign_hashes(&h, object, "the object") != EXIT_OK)
		return;
	hex_encode(digest, h.digest, sizeof(h.digest));
	complain(EXIT_NO_ANSWER, "it is not known whether it was taken, and giving the command again would make a second one; "
		 "\"nonosctl ledger proof --digest 0x%s\" tells", digest);
}

int object_finish(const struct invocation *in, json_t *object)
{
	json_t *done = NULL;
	int r;

	/* Nothing is signed, so no pass phrase is asked for. */
	if (in->options.dry_run)
		return print_answer(in, json_pack("{s:b, s:o}", "dry_run", 1, "object", object));
	r = sign_object(&done, in, object);
	json_decref(object);
	if (r != EXIT_OK || !done)
		return r;
	r = object_submit(in, done);
	if (r == EXIT_NO_ANSWER)
		say_unknown(done);
	json_decref(done);
	return r;
}

int object_make(const struct invocation *in, const char *type, json_t *fields)
{
	json_t *object = NULL;
	int r = object_template(&object, in, type, fields);

	if (r == EXIT_OK)
		r = object_expect(object, type, fields);
	json_decref(fields);
	if (r == EXIT_OK)
		return object_finish(in, object);
	json_decref(object);
	return r;
}

/* -- commands ------------------------------------------------------------------------------- */

int local_ledger_submit(const struct invocation *in)
{
	json_t *object;
	int r = file_read_json(&object, param_text(in->params, "file"), OBJECT_FILE_MAX, true);

	if (r != EXIT_OK)
		return r;
	r = object_submit(in, object);
	json_decref(object);
	return r;
}

int local_transfer(const struct invocation *in)
{
	struct eth_addr from;
	json_t *fields;
	int r = object_signer(&from, in, "from");

	if (r != EXIT_OK)
		return r;
	fields = json_pack("{s:s}", "to", param_text(in->params, "to"));
	json_set_address(fields, "from", &from);
	object_put_tokens(fields, "amount", param_text(in->params, "amount"));
	return object_make(in, "Transfer", fields);
}
