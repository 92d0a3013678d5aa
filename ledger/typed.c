#include "config.h"

#include <nonos/typed.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/amount.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/mem.h>

#include "typed_priv.h"

/* Where in the document we are, for the sentence about what is wrong there. */
struct place {
	const struct place *up;
	const char *name;		/* NULL: an element of an array */
	size_t index;
};

static void place_print(char *out, size_t cap, const struct place *p)
{
	size_t used;

	if (p->up)
		place_print(out, cap, p->up);
	used = strlen(out);
	if (p->name)
		snprintf(out + used, cap - used, "%s%s", used ? "." : "", p->name);
	else
		snprintf(out + used, cap - used, "[%zu]", p->index);
}

static int __attribute__((format(printf, 3, 4))) fail(char why[TYPED_WHY_CAP], const struct place *p,
						      const char *fmt, ...)
{
	size_t used;
	va_list ap;

	why[0] = '\0';
	if (p) {
		place_print(why, TYPED_WHY_CAP, p);
		used = strlen(why);
		snprintf(why + used, TYPED_WHY_CAP - used, ": ");
	}
	used = strlen(why);
	va_start(ap, fmt);
	vsnprintf(why + used, TYPED_WHY_CAP - used, fmt, ap);
	va_end(ap);
	return ERR_MALFORMED;
}

/* -- one value to one word (EIP-712, "Definition of encodeData") ------------- */

static int encode_uint(uint8_t out[32], char *why, const struct place *p, const struct typed_field *f, const json_t *v)
{
	char digits[24];
	const char *text = json_string_value(v);
	size_t len = json_string_length(v), spare = 32 - f->bits / 8;

	if (json_is_integer(v)) {
		len = (size_t)snprintf(digits, sizeof(digits), "%lld", (long long)json_integer_value(v));
		text = digits;
	}
	if (!text || uint256_parse(out, text, len) == ERR_MALFORMED)
		return fail(why, p, "not a whole number in decimal digits");
	if (uint256_parse(out, text, len) < 0)
		return fail(why, p, "more than a %s holds", f->type);
	for (size_t i = 0; i < spare; i++)
		if (out[i])
			return fail(why, p, "more than a uint%u holds", f->bits);
	return 0;
}

static int encode_address(uint8_t out[32], char *why, const struct place *p, const json_t *v)
{
	const char *text = json_string_value(v);
	struct eth_addr a;
	int r = text ? eth_addr_parse(&a, text, json_string_length(v)) : ERR_MALFORMED;

	if (r == ERR_MISMATCH)
		return fail(why, p, "the checksum in the letters of the address is wrong");
	if (r < 0)
		return fail(why, p, "not an address, \"0x\" and 40 hexadecimal digits");
	memset(out, 0, 12);
	memcpy(out + 12, a.b, sizeof(a.b));
	return 0;
}

static int encode_bytes32(uint8_t out[32], char *why, const struct place *p, const json_t *v)
{
	const char *text = json_string_value(v);

	if (!text || json_string_length(v) != 66 || memcmp(text, "0x", 2) != 0 || hex_decode(out, 32, text + 2, 64) < 0)
		return fail(why, p, "not 32 bytes, \"0x\" and 64 hexadecimal digits");
	return 0;
}

static int encode_bytes(uint8_t out[32], char *why, const struct place *p, const json_t *v)
{
	const char *text = json_string_value(v);
	size_t len = json_string_length(v) / 2 - 1;
	uint8_t *data;
	int r;

	if (!text || json_string_length(v) < 2 || memcmp(text, "0x", 2) != 0)
		return fail(why, p, "not bytes, \"0x\" and hexadecimal digits");
	data = mem_new(len + 1);
	r = hex_decode(data, len, text + 2, json_string_length(v) - 2);
	if (r == 0)
		keccak256(out, data, len);
	free(data);
	return r < 0 ? fail(why, p, "not bytes, \"0x\" and an even number of hexadecimal digits") : 0;
}

static int hash_struct(uint8_t out[32], char *why, const struct place *p, const struct typed_type *t, const json_t *v);

static int encode_one(uint8_t out[32], char *why, const struct place *p, const struct typed_field *f, const json_t *v)
{
	switch (f->kind) {
	case KIND_UINT:
		return encode_uint(out, why, p, f, v);
	case KIND_ADDRESS:
		return encode_address(out, why, p, v);
	case KIND_BYTES32:
		return encode_bytes32(out, why, p, v);
	case KIND_BYTES:
		return encode_bytes(out, why, p, v);
	case KIND_STRING:
		if (!json_is_string(v))
			return fail(why, p, "not a string");
		keccak256(out, json_string_value(v), json_string_length(v));
		return 0;
	case KIND_STRUCT:
		return hash_struct(out, why, p, f->ref, v);
	}
	return ERR_UNSUPPORTED;
}

/* An array is the hash of its elements' words. */
static int encode_field(uint8_t out[32], char *why, const struct place *p, const struct typed_field *f, const json_t *v)
{
	struct keccak256_run run;
	uint8_t word[32];

	if (!f->array)
		return encode_one(out, why, p, f, v);
	if (!json_is_array(v))
		return fail(why, p, "not an array");
	keccak256_run_init(&run);
	for (size_t i = 0; i < json_array_size(v); i++) {
		struct place element = { .up = p, .index = i };
		int r = encode_one(word, why, &element, f, json_array_get(v, i));

		if (r < 0)
			return r;
		keccak256_run_add(&run, word, sizeof(word));
	}
	keccak256_run_peek(&run, out);
	return 0;
}

static const struct typed_field *field_find(const struct typed_type *t, const char *name)
{
	for (size_t i = 0; i < t->n_fields; i++)
		if (strcmp(t->fields[i].name, name) == 0)
			return &t->fields[i];
	return NULL;
}

/* A name that nobody signed must not travel with what was signed. */
static int check_names(char *why, const struct place *p, const struct typed_type *t, const json_t *v)
{
	const char *name;
	json_t *value;

	if (!json_is_object(v))
		return fail(why, p, "not an object");
	json_object_foreach((json_t *)v, name, value)
		if (!field_find(t, name))
			return fail(why, p, "%s has no \"%.40s\"", t->name, name);
	return 0;
}

static int hash_struct(uint8_t out[32], char *why, const struct place *p, const struct typed_type *t, const json_t *v)
{
	struct keccak256_run run;
	uint8_t word[32];
	int r = check_names(why, p, t, v);

	if (r < 0)
		return r;
	keccak256_run_init(&run);
	keccak256_run_add(&run, t->hash, sizeof(t->hash));
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct typed_field *f = &t->fields[i];
		const json_t *value = json_object_get(v, f->name);
		struct place place = { .up = p, .name = f->name };

		r = value ? encode_field(word, why, &place, f, value) : fail(why, &place, "missing");
		if (r < 0)
			return r;
		keccak256_run_add(&run, word, sizeof(word));
	}
	keccak256_run_peek(&run, out);
	return 0;
}

/* -- documents ----------------------------------------------------------------- */

const struct typed_type *typed_find(const char *name)
{
	const struct typed_schema *s = typed_schema();

	for (size_t i = 0; i < s->n_types; i++)
		if (strcmp(s->types[i].name, name) == 0)
			return &s->types[i];
	return NULL;
}

const char *typed_name(const struct typed_type *t)
{
	return t->name;
}

const char *typed_encoding(const struct typed_type *t)
{
	return t->encoding;
}

int typed_struct_hash(uint8_t ret[KECCAK256_LEN], char why[TYPED_WHY_CAP], const struct typed_type *t,
		      const json_t *message)
{
	static const struct place top = { .name = "message" };
	uint8_t hash[KECCAK256_LEN];
	int r = hash_struct(hash, why, &top, t, message);

	if (r == 0)
		memcpy(ret, hash, sizeof(hash));
	return r;
}

static bool is_text(const json_t *v, const char *text)
{
	return json_is_string(v) && json_string_length(v) == strlen(text) && strcmp(json_string_value(v), text) == 0;
}

int typed_domain_separator(uint8_t ret[KECCAK256_LEN], char why[TYPED_WHY_CAP], const json_t *domain)
{
	static const struct place top = { .name = "domain" };
	const struct typed_schema *s = typed_schema();
	uint8_t hash[KECCAK256_LEN];
	int r = hash_struct(hash, why, &top, &s->domain, domain);

	if (r < 0)
		return r;
	if (!is_text(json_object_get(domain, "name"), s->domain_name) ||
	    !is_text(json_object_get(domain, "version"), s->domain_version))
		return fail(why, &top, "its name and version must be \"%s\" and \"%s\"", s->domain_name, s->domain_version);
	memcpy(ret, hash, sizeof(hash));
	return 0;
}

void typed_digest(uint8_t ret[KECCAK256_LEN], const uint8_t domain_separator[KECCAK256_LEN],
		  const uint8_t struct_hash[KECCAK256_LEN])
{
	struct keccak256_run run;

	keccak256_run_init(&run);
	keccak256_run_add(&run, "\x19\x01", 2);
	keccak256_run_add(&run, domain_separator, KECCAK256_LEN);
	keccak256_run_add(&run, struct_hash, KECCAK256_LEN);
	keccak256_run_peek(&run, ret);
}

static bool same_fields(const struct typed_type *t, const json_t *rows)
{
	if (!json_is_array(rows) || json_array_size(rows) != t->n_fields)
		return false;
	for (size_t i = 0; i < t->n_fields; i++) {
		const json_t *row = json_array_get(rows, i);

		if (json_object_size(row) != 2 || !is_text(json_object_get(row, "name"), t->fields[i].name) ||
		    !is_text(json_object_get(row, "type"), t->fields[i].type))
			return false;
	}
	return true;
}

/* Wallets send the types along. They must be ours, with all that the message needs. */
static int check_types(char *why, const json_t *types, const struct typed_type *primary)
{
	static const struct place top = { .name = "types" };
	const struct typed_schema *s = typed_schema();
	const char *name;
	json_t *rows;

	if (!json_is_object(types))
		return fail(why, &top, "not an object");
	json_object_foreach((json_t *)types, name, rows) {
		const struct typed_type *t = strcmp(name, s->domain.name) == 0 ? &s->domain : typed_find(name);

		if (!t || !same_fields(t, rows))
			return fail(why, &top, "\"%.40s\" is not as in the schema of this program", name);
	}
	if (!json_object_get(types, primary->name))
		return fail(why, &top, "\"%s\" is missing", primary->name);
	for (size_t i = 0; i < primary->n_fields; i++) {
		const struct typed_type *ref = primary->fields[i].ref;

		if (ref && check_types(why, types, ref) < 0)
			return ERR_MALFORMED;
	}
	return 0;
}

static json_t *field_rows(const struct typed_type *t)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < t->n_fields; i++)
		json_array_append_new(rows, json_pack("{s:s, s:s}", "name", t->fields[i].name, "type", t->fields[i].type));
	return rows;
}

static void add_types(json_t *types, const struct typed_type *t)
{
	json_object_set_new(types, t->name, field_rows(t));
	for (size_t i = 0; i < t->n_fields; i++)
		if (t->fields[i].ref)
			add_types(types, t->fields[i].ref);
}

json_t *typed_types(const struct typed_type *t)
{
	json_t *types = json_object();

	add_types(types, &typed_schema()->domain);
	add_types(types, t);
	return types;
}

static int check_members(char *why, const json_t *doc)
{
	static const char *const known[] = { "domain", "primaryType", "message", "types" };
	const char *name;
	json_t *value;
	size_t i;

	if (!json_is_object(doc))
		return fail(why, NULL, "not a JSON object");
	json_object_foreach((json_t *)doc, name, value) {
		for (i = 0; i < 4 && strcmp(name, known[i]) != 0; i++)
			;
		if (i == 4)
			return fail(why, NULL, "unknown member \"%.40s\"", name);
	}
	for (i = 0; i < 3; i++)
		if (!json_object_get(doc, known[i]))
			return fail(why, NULL, "\"%s\" is missing", known[i]);
	return 0;
}

int typed_hash(struct typed_hashes *ret, char why[TYPED_WHY_CAP], const json_t *doc)
{
	const json_t *message = json_object_get(doc, "message"), *types = json_object_get(doc, "types"), *signer;
	const char *name = json_string_value(json_object_get(doc, "primaryType"));
	const struct typed_type *t = name ? typed_find(name) : NULL;
	struct typed_hashes h = { 0 };
	int r = check_members(why, doc);

	if (r < 0)
		return r;
	if (!t)
		return fail(why, NULL, "primaryType: there is no type \"%.40s\"", name ? name : "");
	if ((types && check_types(why, types, t) < 0) ||
	    typed_domain_separator(h.domain_separator, why, json_object_get(doc, "domain")) < 0 ||
	    typed_struct_hash(h.struct_hash, why, t, message) < 0)
		return ERR_MALFORMED;
	memcpy(h.type_hash, t->hash, sizeof(h.type_hash));
	typed_digest(h.digest, h.domain_separator, h.struct_hash);
	signer = t->signer ? json_object_get(message, t->signer) : NULL;
	h.has_signer = signer && eth_addr_parse(&h.signer, json_string_value(signer), json_string_length(signer)) == 0;
	*ret = h;
	return 0;
}
