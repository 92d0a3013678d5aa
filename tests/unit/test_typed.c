#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/keccak.h>
#include <nonos/typed.h>

#include "vectors.h"

static void published_vectors(void **state)
{
	json_t *doc = vectors_load("eip712.json"), *c;
	char why[TYPED_WHY_CAP], text[ETH_ADDR_TEXT_CAP];
	size_t i, with_signer = 0;
	(void)state;

	json_array_foreach(json_object_get(doc, "cases"), i, c) {
		json_t *in = json_pack("{s:O, s:O, s:O}", "domain", json_object_get(c, "domain"), "primaryType",
				       json_object_get(c, "primaryType"), "message", json_object_get(c, "message"));
		struct typed_hashes h;

		if (typed_hash(&h, why, in) < 0)
			fail_msg("%s: %s", json_string_value(json_object_get(c, "name")), why);
		assert_string_equal(typed_encoding(typed_find(json_string_value(json_object_get(c, "primaryType")))),
				    json_string_value(json_object_get(c, "encodeType")));
		vector_expect(c, "typeHash", h.type_hash, 32);
		vector_expect(c, "structHash", h.struct_hash, 32);
		vector_expect(c, "domainSeparator", h.domain_separator, 32);
		vector_expect(c, "digest", h.digest, 32);
		with_signer += h.has_signer;
		if (h.has_signer) {
			eth_addr_text(text, &h.signer);
			assert_string_equal(text, json_string_value(json_object_get(c, "signer")));
		}
		json_decref(in);
	}
	assert_int_equal(i, 92);
	assert_true(with_signer > 70);
	json_decref(doc);
}

/* A network without a chain signs for the last 20 bytes of the hash of its genesis. */
static void virtual_contract(void **state)
{
	json_t *doc = vectors_load("eip712.json");
	const char *genesis = json_string_value(json_object_get(doc, "genesis"));
	uint8_t hash[KECCAK256_LEN];
	(void)state;

	keccak256(hash, genesis, strlen(genesis));
	vector_expect(doc, "virtualContract", hash + 12, 20);
	json_decref(doc);
}

static void encodings(void **state)
{
	json_t *doc = vectors_load("eip712.json"), *text;
	const char *name;
	size_t n = 0;
	(void)state;

	json_object_foreach(json_object_get(doc, "encodeTypes"), name, text) {
		const struct typed_type *t = typed_find(name);

		assert_non_null(t);
		assert_string_equal(typed_name(t), name);
		assert_string_equal(typed_encoding(t), json_string_value(text));
		n++;
	}
	assert_int_equal(n, 16);
	assert_null(typed_find("EIP712Domain"));
	json_decref(doc);
}

#define DOMAIN "\"domain\":{\"name\":\"NONOS\",\"version\":\"1\",\"chainId\":\"1\"," \
	"\"verifyingContract\":\"0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512\"}"
#define LINK(account, fingerprint, nonce, more) "{" DOMAIN ",\"primaryType\":\"IdentityLink\",\"message\":{" \
	"\"account\":" account ",\"scheme\":\"openpgp\",\"fingerprint\":" fingerprint ",\"nonce\":" nonce \
	",\"validUntil\":9007199254740991}" more "}"
#define ACCOUNT "\"0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65\""
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":\"" type "\"}"
#define LINK_FIELDS FIELD("account", "address") "," FIELD("scheme", "string") "," FIELD("fingerprint", "bytes") \
	"," FIELD("nonce", "uint64")

static int try(char why[TYPED_WHY_CAP], const char *text)
{
	struct typed_hashes h;
	json_t *doc = NULL;
	int r;

	assert_int_equal(jcs_read(&doc, text, strlen(text)), 0);
	r = typed_hash(&h, why, doc);
	json_decref(doc);
	return r;
}

static void refused(void **state)
{
	static const struct { const char *text, *why; } cases[] = {
		{ "[]", "not a JSON object" },
		{ "{" DOMAIN ",\"primaryType\":\"Transfer\"}", "\"message\" is missing" },
		{ "{" DOMAIN ",\"primaryType\":\"Nothing\",\"message\":{}}", "no type" },
		{ "{" DOMAIN ",\"primaryType\":\"EIP712Domain\",\"message\":{}}", "no type" },
		{ "{" DOMAIN ",\"primaryType\":7,\"message\":{}}", "no type" },
		{ "{" DOMAIN ",\"primaryType\":\"Transfer\",\"message\":[]}", "message: not an object" },
		{ "{\"domain\":{},\"primaryType\":\"Transfer\",\"message\":{}}", "domain.name: missing" },
		{ LINK("\"0x15d34AAf54267DB7D7c367839AAf71A00a2C6a65\"", "\"0x\"", "1", ""), "message.account: the checksum" },
		{ LINK("\"15d34AAf54267DB7D7c367839AAf71A00a2C6A65\"", "\"0x\"", "1", ""), "message.account: not an address" },
		{ LINK("5", "\"0x\"", "1", ""), "message.account: not an address" },
		{ LINK(ACCOUNT, "\"0x123\"", "1", ""), "message.fingerprint: not bytes" },
		{ LINK(ACCOUNT, "\"\"", "1", ""), "message.fingerprint: not bytes" },
		{ LINK(ACCOUNT, "\"0xzz\"", "1", ""), "message.fingerprint: not bytes" },
		{ LINK(ACCOUNT, "\"0x\"", "-1", ""), "message.nonce: not a whole number" },
		{ LINK(ACCOUNT, "\"0x\"", "\"01\"", ""), "message.nonce: not a whole number" },
		{ LINK(ACCOUNT, "\"0x\"", "\"0x1\"", ""), "message.nonce: not a whole number" },
		{ LINK(ACCOUNT, "\"0x\"", "\"18446744073709551616\"", ""), "message.nonce: more than a uint64" },
		{ LINK(ACCOUNT, "\"0x\"", "true", ""), "message.nonce: not a whole number" },
		{ LINK(ACCOUNT, "\"0x\"", "1,\"extra\":1", ""), "no \"extra\"" },
		{ LINK(ACCOUNT, "\"0x\"", "1", ",\"more\":1"), "unknown member \"more\"" },
		{ LINK(ACCOUNT, "\"0x\"", "1", ",\"types\":{}"), "\"IdentityLink\" is missing" },
		{ LINK(ACCOUNT, "\"0x\"", "1", ",\"types\":{\"IdentityLink\":[" LINK_FIELDS "]}"), "not as in the schema" },
		{ LINK(ACCOUNT, "\"0x\"", "1", ",\"types\":{\"IdentityLink\":[" LINK_FIELDS "," FIELD("validUntil", "uint256") "]}"),
		  "not as in the schema" },
		{ LINK(ACCOUNT, "\"0x\"", "1", ",\"types\":{\"Other\":[]}"), "not as in the schema" },
		{ "{" DOMAIN ",\"primaryType\":\"Vote\",\"message\":{\"proposalId\":\"0x3a15343b1d7f1d46fe1563f8496f50101eb9d275ff3f8f546d4ab33b97bde0bf\","
		  "\"voter\":" ACCOUNT ",\"weights\":[1,65536],\"nonce\":1,\"reasonHash\":\"0x00\"}}", "message.weights[1]: more than a uint16" },
	};
	char why[TYPED_WHY_CAP];
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(try(why, cases[i].text), ERR_MALFORMED);
		if (!strstr(why, cases[i].why))
			fail_msg("case %zu: \"%s\" does not say \"%s\"", i, why, cases[i].why);
	}
}

static void accepted(void **state)
{
	char why[TYPED_WHY_CAP] = "";
	(void)state;

	if (try(why, LINK(ACCOUNT, "\"0xAbcd\"", "\"18446744073709551615\"", "")) < 0)
		fail_msg("%s", why);
	if (try(why, LINK(ACCOUNT, "\"0x\"", "0", ",\"types\":{\"IdentityLink\":[" LINK_FIELDS "," FIELD("validUntil", "uint64") "],"
			  "\"EIP712Domain\":[" FIELD("name", "string") "," FIELD("version", "string") "," FIELD("chainId", "uint256") ","
			  FIELD("verifyingContract", "address") "]}")) < 0)
		fail_msg("%s", why);
}

/* A domain of another program or version is not ours to sign. */
static void other_domains(void **state)
{
	char why[TYPED_WHY_CAP];
	uint8_t hash[32];
	json_t *d = json_pack("{s:s, s:s, s:i, s:s}", "name", "OTHER", "version", "1", "chainId", 0, "verifyingContract",
			      "0x0000000000000000000000000000000000000000");
	(void)state;

	assert_int_equal(typed_domain_separator(hash, why, d), ERR_MALFORMED);
	json_object_set_new(d, "name", json_string("NONOS"));
	assert_int_equal(typed_domain_separator(hash, why, d), 0);
	json_object_set_new(d, "version", json_string("2"));
	assert_int_equal(typed_domain_separator(hash, why, d), ERR_MALFORMED);
	json_decref(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors), cmocka_unit_test(virtual_contract), cmocka_unit_test(encodings), cmocka_unit_test(refused),
		cmocka_unit_test(accepted), cmocka_unit_test(other_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
