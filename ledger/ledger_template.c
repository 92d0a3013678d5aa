/* Objects to be signed, with what the ledger knows filled in. */
#include "config.h"

#include <nonos/ledger.h>

#include <stdio.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/typed.h>

#include "typed_priv.h"

static bool has_field(const struct typed_type *t, const char *name)
{
	for (size_t i = 0; i < t->n_fields; i++)
		if (strcmp(t->fields[i].name, name) == 0)
			return true;
	return false;
}

static void set_u64(json_t *message, const char *name, uint64_t v)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)v);
	json_object_set_new(message, name, json_string(digits));
}

static int fill_nonce(struct ledger *l, json_t *message, const struct typed_type *t, char why[LEDGER_WHY_CAP])
{
	const json_t *signer = t->signer ? json_object_get(message, t->signer) : NULL;
	struct eth_addr a;
	uint64_t nonce;
	int r;

	if (!signer || !has_field(t, "nonce") || json_object_get(message, "nonce"))
		return 0;
	if (!json_is_string(signer) || eth_addr_parse(&a, json_string_value(signer), json_string_length(signer)) < 0) {
		snprintf(why, LEDGER_WHY_CAP, "%s: not an address, or its checksum is wrong", t->signer);
		return ERR_MALFORMED;
	}
	r = ledger_next_nonce(l, &nonce, &a);
	if (r < 0)
		snprintf(why, LEDGER_WHY_CAP, "%s", ledger_error(l));
	else
		set_u64(message, "nonce", nonce);
	return r;
}

int ledger_template(struct ledger *l, json_t **ret, char why[LEDGER_WHY_CAP], const char *type, const json_t *fields,
		    uint64_t valid_until)
{
	const struct typed_type *t = typed_find(type);
	struct typed_hashes hashes;
	char because[TYPED_WHY_CAP];
	json_t *message, *doc;
	int r;

	if (!t || !json_is_object(fields)) {
		snprintf(why, LEDGER_WHY_CAP, t ? "the fields are not a JSON object" : "there is no type \"%.40s\"", type);
		return ERR_MALFORMED;
	}
	message = json_copy((json_t *)fields);
	r = fill_nonce(l, message, t, why);
	if (has_field(t, "validUntil") && !json_object_get(message, "validUntil"))
		set_u64(message, "validUntil", valid_until);
	doc = json_pack("{s:o,s:s,s:o}", "domain", genesis_domain(ledger_genesis(l)), "primaryType", type, "message", message);
	if (r == 0 && typed_hash(&hashes, because, doc) < 0) {
		snprintf(why, LEDGER_WHY_CAP, "%s", because);
		r = ERR_MALFORMED;
	}
	if (r < 0)
		json_decref(doc);
	else
		*ret = doc;
	return r;
}
