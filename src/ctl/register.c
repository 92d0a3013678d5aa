/*
 * relay register: the operator's account and the relay's identity sign the
 * same digest. The daemon signs for the relay when it has the master key. When that
 * is offline, the registration goes to a file (--out), its digest is signed where the
 * master key is, and the command goes on with both (--object, --relay-signature).
 */
#include "config.h"

#include "object.h"

#include <string.h>

#include <nonos/json_set.h>

static int ask_binding(json_t **ret, const struct invocation *in, const struct eth_addr *operator)
{
	const char *payout = param_text(in->params, "payout");
	int64_t valid = param_integer(in->params, "valid", 0);
	json_t *params = json_object();
	int r;

	if (!valid && (param_text(in->params, "cold") || param_text(in->params, "out")))
		valid = 7 * 86400;
	json_set_address(params, "operator", operator);
	if (payout)
		json_object_set_new(params, "payout", json_string(payout));
	if (valid)
		json_object_set_new(params, "valid", json_integer(valid));
	if (in->options.dry_run)
		json_object_set_new(params, "dry_run", json_true());
	r = daemon_call(ret, &in->options, "relay.binding", params);
	json_decref(params);
	return r;
}

/* Whom the relay belongs to, and who is paid, is what was asked for. */
static int check_binding(const struct invocation *in, const json_t *binding, const struct eth_addr *operator)
{
	const char *payout = param_text(in->params, "payout");
	json_t *fields = json_object();
	int r;

	json_set_address(fields, "operator", operator);
	if (payout)
		json_object_set_new(fields, "payout", json_string(payout));
	else
		json_set_address(fields, "payout", operator);
	r = object_expect(json_object_get(binding, "object"), "RelayRegistration", fields);
	json_decref(fields);
	return r;
}

/* With an offline master key: keep what it has to sign. */
static int write_out(const struct invocation *in, json_t *binding, const char *path)
{
	json_t *object = json_object_get(binding, "object");
	int r = file_create_json(path, object);

	if (r != EXIT_OK) {
		json_decref(binding);
		return r;
	}
	json_object_set_new(binding, "file", json_string(path));
	json_object_set_new(binding, "next", json_sprintf(
		"where the master key is: nonosctl key master sign DIR %s; then here: nonosctl relay register --object %s "
		"--relay-signature HEX", path, path));
	return print_answer(in, binding);
}

static int from_file(json_t **ret, const struct invocation *in, const char *path)
{
	const char *signature = param_text(in->params, "relay_signature");
	json_t *attachments;
	int r = file_read_json(ret, path, 60000, true);

	if (r != EXIT_OK || !signature)
		return r;
	attachments = json_pack("{s:o}", "relaySignature",
				json_sprintf("0x%s", signature + (strncmp(signature, "0x", 2) == 0 ? 2 : 0)));
	json_object_set_new(*ret, "attachments", attachments);
	return EXIT_OK;
}

static int from_daemon(json_t **ret, const struct invocation *in)
{
	const char *out = param_text(in->params, "out");
	struct eth_addr operator;
	json_t *binding = NULL;
	int r;

	if (out && param_text(in->params, "operator")) {
		const char *text = param_text(in->params, "operator");

		r = eth_addr_parse(&operator, text, strlen(text)) < 0 ? EXIT_USAGE : EXIT_OK;
	} else {
		r = object_signer(&operator, in, "operator");
	}
	if (r == EXIT_OK)
		r = ask_binding(&binding, in, &operator);
	if (r == EXIT_OK)
		r = check_binding(in, binding, &operator);
	if (r != EXIT_OK) {
		json_decref(binding);
		return r;
	}
	if (out) {
		*ret = NULL;
		return write_out(in, binding, out);
	}
	if (!in->options.dry_run && !json_is_true(json_object_get(binding, "relay_signed"))) {
		json_decref(binding);
		return complain(EXIT_REFUSED, "the relay's master key is offline, so it cannot sign here; with \"--out FILE\" the "
				"registration is written to a file for it, and this command says how to go on");
	}
	*ret = json_incref(json_object_get(binding, "object"));
	json_decref(binding);
	return EXIT_OK;
}

int local_relay_register(const struct invocation *in)
{
	const char *file = param_text(in->params, "object");
	json_t *object = NULL;
	int r = file ? from_file(&object, in, file) : from_daemon(&object, in);

	return r != EXIT_OK || !object ? r : object_finish(in, object);
}
