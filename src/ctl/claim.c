/* claim verify. */
#include "config.h"

#include "ctl.h"

#include <string.h>

#include <nonos/epochs.h>
#include <nonos/err.h>
#include <nonos/json_set.h>

enum { BUNDLE_MAX = 2 * GENESIS_LEN_MAX };

static json_t *verdict_json(const struct claim_verdict *v, bool trusted)
{
	json_t *o = json_pack("{s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:b}", "valid", 1, "network_name", v->name, "epoch",
			      (json_int_t)v->epoch, "signers", (json_int_t)v->signers, "threshold", (json_int_t)v->threshold, "entry",
			      (json_int_t)v->index, "log_size", (json_int_t)v->size, "trusted", trusted);

	json_set_hex(o, "network", v->network, sizeof(v->network));
	json_set_address(o, "account", &v->account);
	json_set_amount(o, "earned", v->amount);
	json_set_hex(o, "root", v->root, sizeof(v->root));
	json_set_hex(o, "evidence_hash", v->evidence, sizeof(v->evidence));
	return o;
}

static void print_verdict(const struct claim_verdict *v, bool trusted)
{
	char account[ETH_ADDR_TEXT_CAP], amount[AMOUNT_TEXT_CAP];

	eth_addr_text(account, &v->account);
	amount_token_text(amount, v->amount);
	printf("The claim is good: %s has earned %s tokens in all up to epoch %llu.\n", account, amount, (unsigned long long)v->epoch);
	printf("%zu auditor%s signed it, %zu must; it is entry %llu of the network's journal, in a signed checkpoint of %llu entries.\n",
	       v->signers, v->signers == 1 ? "" : "s", v->threshold, (unsigned long long)v->index, (unsigned long long)v->size);
	printf("Network: ");
	view_escaped(stdout, v->name);
	printf(", genesis 0x");
	for (size_t i = 0; i < sizeof(v->network); i++)
		printf("%02x", v->network[i]);
	printf(trusted ? ", the one you trust.\n" : ".\nCompare that hash with the one you trust, or give its document with --genesis.\n");
}

int local_claim_verify(const struct invocation *in)
{
	const char *path = param_text(in->params, "bundle"), *genesis = param_text(in->params, "genesis");
	struct genesis *trusted = NULL;
	char why[GENESIS_WHY_CAP] = "";
	struct claim_verdict v;
	bool canonical;
	json_t *bundle;
	int r = EXIT_OK;

	if (genesis)
		r = file_read_genesis(&trusted, &canonical, genesis);
	if (r == EXIT_OK)
		r = file_read_json(&bundle, path, BUNDLE_MAX, true);
	if (r != EXIT_OK)
		goto out;
	if (claim_check(&v, why, bundle, trusted) < 0)
		r = complain(EXIT_REFUSED, "%s: %s", path, why);
	else if (in->options.format != FORMAT_TEXT)
		r = print_answer(in, verdict_json(&v, trusted != NULL));
	else
		print_verdict(&v, trusted != NULL);
	json_decref(bundle);
out:
	genesis_free(trusted);
	return r;
}
