/* typed hash, typed sign, typed verify. */
#include "config.h"

#include "sign.h"

#include <string.h>

#include <nonos/err.h>
#include <nonos/json_set.h>
#include <nonos/secret.h>

enum { TYPED_FILE_MAX = 1 << 20 };

static int hash_file(struct typed_hashes *ret, const char *path)
{
	char why[TYPED_WHY_CAP];
	json_t *doc;
	int r = file_read_json(&doc, path, TYPED_FILE_MAX, true);

	if (r != EXIT_OK)
		return r;
	if (typed_hash(ret, why, doc) < 0)
		r = complain(EXIT_REFUSED, "%s: %s", path, why);
	json_decref(doc);
	return r;
}

int local_typed_hash(const struct invocation *in)
{
	struct typed_hashes h;
	json_t *answer;
	int r = hash_file(&h, param_text(in->params, "file"));

	if (r != EXIT_OK)
		return r;
	answer = json_object();
	json_set_hex(answer, "typeHash", h.type_hash, sizeof(h.type_hash));
	json_set_hex(answer, "structHash", h.struct_hash, sizeof(h.struct_hash));
	json_set_hex(answer, "domainSeparator", h.domain_separator, sizeof(h.domain_separator));
	json_set_hex(answer, "digest", h.digest, sizeof(h.digest));
	return print_answer(in, answer);
}

int local_typed_sign(const struct invocation *in)
{
	uint8_t secret[ETH_SECRET_LEN], sig[ETH_SIG_LEN];
	struct eth_addr signer;
	struct typed_hashes h;
	int r;

	r = hash_file(&h, param_text(in->params, "file"));
	if (r == EXIT_OK)
		r = file_read_key(secret, param_text(in->params, "key_file"));
	if (r == EXIT_OK)
		r = sign_with(sig, &signer, &h, secret);
	secret_wipe(secret, sizeof(secret));
	if (r != EXIT_OK)
		return r;
	return sign_print(in, &h, &signer, sig);
}

static int recover(struct eth_addr *ret, const struct typed_hashes *h, const uint8_t sig[ETH_SIG_LEN])
{
	switch (eth_sig_recover(ret, h->digest, sig, ETH_SIG_LEN)) {
	case 0:
		return EXIT_OK;
	case ERR_MALFORMED:
		return complain(EXIT_REFUSED, "the signature is not in the one accepted form: v 27 or 28, r and s in range, "
				"s in the lower half");
	default:
		return complain(EXIT_REFUSED, "no key can have made this signature");
	}
}

static int check_claimed(const struct eth_addr *found, const char *claimed)
{
	char text[ETH_ADDR_TEXT_CAP];
	struct eth_addr a;

	if (!claimed)
		return EXIT_OK;
	if (eth_addr_parse(&a, claimed, strlen(claimed)) < 0)
		return EXIT_USAGE;	/* not reached: the table has checked it */
	eth_addr_text(text, found);
	return eth_addr_eq(&a, found) ? EXIT_OK : complain(EXIT_REFUSED, "signed by %s, or over another message", text);
}

int local_typed_verify(const struct invocation *in)
{
	uint8_t sig[ETH_SIG_LEN];
	struct typed_hashes h;
	struct eth_addr found;
	json_t *answer;
	int r;

	r = hash_file(&h, param_text(in->params, "file"));
	if (r == EXIT_OK)
		r = sign_parse_signature(sig, param_text(in->params, "signature"));
	if (r == EXIT_OK)
		r = recover(&found, &h, sig);
	if (r == EXIT_OK)
		r = check_claimed(&found, param_text(in->params, "signer"));
	if (r == EXIT_OK)
		r = sign_check_signer(&h, &found, "what the signature recovers to");
	if (r != EXIT_OK)
		return r;
	answer = json_pack("{s:b}", "valid", 1);
	json_set_address(answer, "signer", &found);
	json_set_hex(answer, "digest", h.digest, sizeof(h.digest));
	return print_answer(in, answer);
}
