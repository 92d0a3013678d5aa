#include "config.h"

#include "sign.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <nonos/amount.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/json_set.h>

#include "keydir.h"

/* -- parts ------------------------------------------------------------------------ */

/* The members that are signed or say how; the rest travels along. */
static json_t *signed_part(const json_t *object)
{
	static const char *const names[] = { "types", "domain", "primaryType", "message" };
	json_t *part = json_object();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		json_t *v = json_object_get(object, names[i]);

		if (v)
			json_object_set(part, names[i], v);
	}
	return part;
}

int sign_hashes(struct typed_hashes *ret, const json_t *object, const char *where)
{
	json_t *part = signed_part(object);
	char why[TYPED_WHY_CAP];
	int r = typed_hash(ret, why, part);

	json_decref(part);
	return r < 0 ? complain(EXIT_REFUSED, "%s: %s", where, why) : EXIT_OK;
}

/* A signature by another account than the message names would be good for nothing. */
int sign_check_signer(const struct typed_hashes *h, const struct eth_addr *signer, const char *whose)
{
	char named[ETH_ADDR_TEXT_CAP], other[ETH_ADDR_TEXT_CAP];

	if (!h->has_signer || eth_addr_eq(&h->signer, signer))
		return EXIT_OK;
	eth_addr_text(named, &h->signer);
	eth_addr_text(other, signer);
	return complain(EXIT_REFUSED, "the message must be signed by %s, but %s is %s", named, whose, other);
}

int sign_with(uint8_t ret_sig[ETH_SIG_LEN], struct eth_addr *ret_signer, const struct typed_hashes *h,
	      const uint8_t secret[ETH_SECRET_LEN])
{
	int r;

	if (eth_addr_of_secret(ret_signer, secret) < 0)
		return complain(EXIT_REFUSED, "the number in the key file is no secp256k1 key");
	r = sign_check_signer(h, ret_signer, "the account of the key");
	if (r == EXIT_OK && eth_sig_sign(ret_sig, secret, h->digest) < 0)
		r = complain(EXIT_REFUSED, "the message could not be signed");
	return r;
}

int sign_print(const struct invocation *in, const struct typed_hashes *h, const struct eth_addr *signer,
	       const uint8_t sig[ETH_SIG_LEN])
{
	json_t *answer = json_object();

	json_set_address(answer, "signer", signer);
	json_set_hex(answer, "digest", h->digest, sizeof(h->digest));
	json_set_hex(answer, "signature", sig, ETH_SIG_LEN);
	return print_answer(in, answer);
}

int sign_parse_signature(uint8_t ret[ETH_SIG_LEN], const char *text)
{
	const char *digits = strncmp(text, "0x", 2) == 0 ? text + 2 : text;

	if (hex_decode(ret, ETH_SIG_LEN, digits, strlen(digits)) < 0)
		return complain(EXIT_REFUSED, "the signature is not %d bytes in hexadecimal digits", ETH_SIG_LEN);
	return EXIT_OK;
}

/* The object with one signature, in place of any that it has, and without the types, which all know. */
static json_t *with_signature(const json_t *object, const uint8_t sig[ETH_SIG_LEN])
{
	json_t *copy = json_copy((json_t *)(uintptr_t)object), *list = json_array(), *one = json_object();

	json_set_hex(one, "signature", sig, ETH_SIG_LEN);
	json_array_append(list, json_object_get(one, "signature"));
	json_decref(one);
	json_object_del(copy, "types");
	json_object_set_new(copy, "signatures", list);
	return copy;
}

/* -- where the key is ---------------------------------------------------------------- */

static int check_choice(const struct invocation *in)
{
	static const char *const ways[] = { "key", "key_file", "cold" };
	unsigned given = 0;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		given += param_text(in->params, ways[i]) != NULL;
	if (given == 1)
		return EXIT_OK;
	return complain(EXIT_USAGE, "say how to sign, in one way: --key NAME from the keystore, --key-file FILE, or "
			"--cold FILE when the key is elsewhere");
}

/* Get the secret key that "key" or "key_file" names. */
static int sign_secret(struct secret **ret, const struct invocation *in)
{
	const char *name = param_text(in->params, "key"), *path = param_text(in->params, "key_file");
	uint8_t raw[ETH_SECRET_LEN];
	int r;

	if (name)
		return keydir_unlock(ret, in, name);
	r = file_read_key(raw, path);
	if (r == EXIT_OK)
		*ret = secret_new(raw, sizeof(raw));
	secret_wipe(raw, sizeof(raw));
	return r;
}

int sign_address(struct eth_addr *ret, const struct invocation *in)
{
	const char *name = param_text(in->params, "key");
	struct secret *secret;
	int r = check_choice(in);

	if (r != EXIT_OK)
		return r;
	if (param_text(in->params, "cold"))
		return ERR_NOT_FOUND;
	/* The keystore file may say it without the pass phrase. */
	if (name && keydir_address(ret, in, name))
		return EXIT_OK;
	r = sign_secret(&secret, in);
	if (r != EXIT_OK)
		return r;
	if (eth_addr_of_secret(ret, secret_data(secret)) < 0)
		r = complain(EXIT_REFUSED, "the number in the key file is no secp256k1 key");
	secret_free(secret);
	return r;
}

/*
 * Have the daemon sign with a key of the keystore that it holds unlocked. False,
 * silently, when it does not; its answer counts only if it is that key's signature.
 */
static bool sign_by_daemon(uint8_t ret_sig[ETH_SIG_LEN], struct eth_addr *ret_signer, const struct invocation *in,
			   const char *name, const json_t *object, const struct typed_hashes *h)
{
	json_t *part, *params, *answer = NULL;
	char address[ETH_ADDR_TEXT_CAP], *text;
	uint8_t sig[ETH_SIG_LEN];
	struct eth_addr a;
	const char *hex;
	bool good = false;

	if (!keydir_address(&a, in, name) || (h->has_signer && !eth_addr_eq(&a, &h->signer)))
		return false;
	eth_addr_text(address, &a);
	part = signed_part(object);
	text = json_dumps(part, JSON_COMPACT | JSON_ENSURE_ASCII);
	params = json_pack("{s:s, s:s}", "address", address, "object", text);
	if (params && daemon_ask(&answer, &in->options, "key.use", params)) {
		hex = json_string_value(json_object_get(answer, "signature"));
		good = hex && strlen(hex) == 2 + 2 * ETH_SIG_LEN && hex_decode(sig, ETH_SIG_LEN, hex + 2, 2 * ETH_SIG_LEN) == 0 &&
		       eth_sig_verify(&a, h->digest, sig, ETH_SIG_LEN) == 0;
	}
	json_decref(answer);
	json_decref(params);
	json_decref(part);
	free(text);
	if (good) {
		memcpy(ret_sig, sig, sizeof(sig));
		*ret_signer = a;
	}
	return good;
}

int sign_document(uint8_t ret_sig[ETH_SIG_LEN], struct eth_addr *ret_signer, const struct invocation *in,
		  const json_t *object, const struct typed_hashes *h)
{
	const char *name = param_text(in->params, "key");
	struct secret *secret;
	int r;

	if (name && sign_by_daemon(ret_sig, ret_signer, in, name, object, h))
		return EXIT_OK;
	r = sign_secret(&secret, in);
	if (r != EXIT_OK)
		return r;
	r = sign_with(ret_sig, ret_signer, h, secret_data(secret));
	secret_free(secret);
	return r;
}

/* -- a key that is elsewhere ------------------------------------------------------------ */

/* Say what a number means to people, where its name tells. */
static void show_meaning(const char *name, const json_t *value)
{
	static const char *const amounts[] = { "amount", "stake", "price", "bond", "value", "cumulativeAmount" };
	static const char *const times[] = { "validUntil", "deadline", "expires", "opens", "closes", "executeAfter" };
	const char *text = json_string_value(value);
	char tokens[AMOUNT_TEXT_CAP], when[40];
	struct amount a;
	struct tm tm;
	time_t t;

	if (!text || amount_parse(&a, text, strlen(text)) < 0)
		return;
	for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++)
		if (strcmp(name, amounts[i]) == 0) {
			amount_token_text(tokens, a);
			printf("  (%s token%s)", tokens, strcmp(tokens, "1") == 0 ? "" : "s");
		}
	t = (time_t)a.lo;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (strcmp(name, times[i]) == 0 && a.hi == 0 && a.lo < 1ull << 36 && gmtime_r(&t, &tm) &&
		    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm))
			printf("  (%s)", when);
}

static void show_message(const json_t *message)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)message, name, value) {
		char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

		printf("  %-18s ", name);
		view_escaped(stdout, text ? text : json_string_value(value));
		free(text);
		show_meaning(name, value);
		putchar('\n');
	}
}

static void show_cold(const json_t *object, const struct typed_hashes *h, const char *path)
{
	char signer[ETH_ADDR_TEXT_CAP], digest[2 * KECCAK256_LEN + 1];

	if (h->has_signer)
		eth_addr_text(signer, &h->signer);
	hex_encode(digest, h->digest, sizeof(h->digest));
	printf("%s, to be signed by %s:\n", json_string_value(json_object_get(object, "primaryType")),
	       h->has_signer ? signer : "the key that it is for");
	show_message(json_object_get(object, "message"));
	printf("digest 0x%s\n\n", digest);
	printf("It is in ");
	view_escaped(stdout, path);
	printf(", which any wallet signs as typed data (EIP-712, eth_signTypedData_v4);\n"
	       "here it is \"nonosctl key sign FILE --key NAME\". Then go on with\n"
	       "  nonosctl object attach ");
	view_escaped(stdout, path);
	printf(" --signature HEX --out SIGNED\n  nonosctl ledger submit SIGNED\n");
}

/* {"types", "domain", "primaryType", "message", ...}: what wallets take. */
static json_t *for_wallets(const json_t *object)
{
	const struct typed_type *t = typed_find(json_string_value(json_object_get(object, "primaryType")));
	json_t *copy = json_copy((json_t *)(uintptr_t)object);

	json_object_set_new(copy, "types", typed_types(t));
	return copy;
}

static int sign_cold(const struct invocation *in, const json_t *object, const struct typed_hashes *h)
{
	const char *path = param_text(in->params, "cold");
	json_t *copy = for_wallets(object), *answer;
	int r = in->options.dry_run ? EXIT_OK : file_create_json(path, copy);

	if (r != EXIT_OK || !in->options.json) {
		if (r == EXIT_OK)
			show_cold(object, h, path);
		json_decref(copy);
		return r;
	}
	answer = json_pack("{s:s, s:o}", "file", path, "object", copy);
	json_set_hex(answer, "digest", h->digest, sizeof(h->digest));
	if (h->has_signer)
		json_set_address(answer, "signer", &h->signer);
	return print_answer(in, answer);
}

/* -- public ---------------------------------------------------------------------------- */

int sign_object(json_t **ret_signed, const struct invocation *in, const json_t *object)
{
	uint8_t sig[ETH_SIG_LEN];
	struct eth_addr signer;
	struct typed_hashes h;
	int r = check_choice(in);

	if (r == EXIT_OK)
		r = sign_hashes(&h, object, "the object");
	if (r != EXIT_OK)
		return r;
	if (param_text(in->params, "cold")) {
		*ret_signed = NULL;
		return sign_cold(in, object, &h);
	}
	r = sign_document(sig, &signer, in, object, &h);
	if (r == EXIT_OK)
		*ret_signed = with_signature(object, sig);
	return r;
}

int sign_attach(json_t **ret_signed, const json_t *object, const char *signature)
{
	uint8_t sig[ETH_SIG_LEN];
	struct typed_hashes h;
	struct eth_addr found;
	int r = sign_hashes(&h, object, "the object");

	if (r == EXIT_OK)
		r = sign_parse_signature(sig, signature);
	if (r != EXIT_OK)
		return r;
	if (eth_sig_recover(&found, h.digest, sig, ETH_SIG_LEN) < 0)
		return complain(EXIT_REFUSED, "this is no signature in the one accepted form: v 27 or 28, r and s in range, "
				"s in the lower half");
	r = sign_check_signer(&h, &found, "what the signature recovers to");
	if (r == EXIT_OK)
		*ret_signed = with_signature(object, sig);
	return r;
}
