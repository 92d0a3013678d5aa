#include "config.h"

#include "ledger_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/crypto.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/mem.h>
#include <nonos/typed.h>

#include "typed_priv.h"

int refuse(struct ledger_refusal *refusal, enum refusal code, const char *fmt, ...)
{
	va_list ap;

	refusal->code = code;
	va_start(ap, fmt);
	vsnprintf(refusal->why, sizeof(refusal->why), fmt, ap);
	va_end(ap);
	return ERR_REFUSED;
}

const char *refusal_name(enum refusal r)
{
	static const char *const names[] = {
		"accepted",
#define X(name, text, sentence) text,
		REFUSAL_TABLE(X)
#undef X
	};

	return (unsigned)r < sizeof(names) / sizeof(names[0]) ? names[r] : "unknown";
}

/* -- the one normal form of a message ------------------------------------------------- */

static json_t *normal_struct(const struct typed_type *t, const json_t *v);

/* Strings of hexadecimal digits in lower case, as bytes are written here. */
static json_t *lower(const json_t *v)
{
	char *text = mem_strdup(json_string_value(v));
	json_t *out;

	for (char *p = text; *p; p++)
		if (*p >= 'A' && *p <= 'F')
			*p = (char)(*p - 'A' + 'a');
	out = json_string(text);
	free(text);
	return out;
}

/* With its checksum. Letters of both cases are one: reading has checked them. */
static json_t *normal_address(const json_t *v)
{
	char text[ETH_ADDR_TEXT_CAP];
	struct eth_addr a = { { 0 } };
	bool lower_case = false, upper_case = false;

	for (const char *p = json_string_value(v) + 2; *p; p++) {
		lower_case |= *p >= 'a';
		upper_case |= *p >= 'A' && *p <= 'F';
	}
	if (lower_case && upper_case)
		return json_incref((json_t *)v);
	eth_addr_parse(&a, json_string_value(v), json_string_length(v));
	eth_addr_text(text, &a);
	return json_string(text);
}

static json_t *normal_one(const struct typed_field *f, const json_t *v)
{
	char digits[24];

	switch (f->kind) {
	case KIND_UINT:
		if (json_is_string(v))
			return json_incref((json_t *)v);
		snprintf(digits, sizeof(digits), "%lld", (long long)json_integer_value(v));
		return json_string(digits);
	case KIND_ADDRESS:
		return normal_address(v);
	case KIND_BYTES32:
	case KIND_BYTES:
		return lower(v);
	case KIND_STRING:
		return json_incref((json_t *)v);
	case KIND_STRUCT:
		return normal_struct(f->ref, v);
	}
	return json_null();
}

static json_t *normal_field(const struct typed_field *f, const json_t *v)
{
	json_t *out;

	if (!f->array)
		return normal_one(f, v);
	out = json_array();
	for (size_t i = 0; i < json_array_size(v); i++)
		json_array_append_new(out, normal_one(f, json_array_get(v, i)));
	return out;
}

/* `v` has been hashed, so it is of the type. */
static json_t *normal_struct(const struct typed_type *t, const json_t *v)
{
	json_t *out = json_object();

	for (size_t i = 0; i < t->n_fields; i++)
		json_object_set_new(out, t->fields[i].name, normal_field(&t->fields[i], json_object_get(v, t->fields[i].name)));
	return out;
}

/* -- reading ------------------------------------------------------------------------------ */

static int check_names(struct ledger_refusal *refusal, const json_t *v, const char *what, const char *const *known)
{
	const char *name;
	json_t *value;

	if (!json_is_object(v))
		return refuse(refusal, REFUSED_MALFORMED, "%s is not a JSON object", what);
	json_object_foreach((json_t *)v, name, value) {
		size_t i = 0;

		while (known[i] && strcmp(name, known[i]) != 0)
			i++;
		if (!known[i])
			return refuse(refusal, REFUSED_MALFORMED, "%s has an unknown member \"%.40s\"", what, name);
	}
	return 0;
}

/* "0x" and the digits of exactly `len` bytes. */
static int read_hex(uint8_t *ret, size_t len, const json_t *v)
{
	const char *text = json_string_value(v);

	if (!text || json_string_length(v) != 2 + 2 * len || memcmp(text, "0x", 2) != 0)
		return ERR_MALFORMED;
	return hex_decode(ret, len, text + 2, 2 * len);
}

static int read_sigs(struct object *o, struct ledger_refusal *refusal, const json_t *v)
{
	if (!json_is_array(v))
		return refuse(refusal, REFUSED_MALFORMED, "\"signatures\" is missing, or not an array");
	if (json_array_size(v) == 0 || json_array_size(v) > OBJECT_SIGS_MAX)
		return refuse(refusal, REFUSED_BAD_SIGNATURE, "an object has 1 to %d signatures", OBJECT_SIGS_MAX);
	o->sigs = mem_new_array(json_array_size(v), sizeof(*o->sigs));
	for (; o->n_sigs < json_array_size(v); o->n_sigs++)
		if (read_hex(o->sigs[o->n_sigs], ETH_SIG_LEN, json_array_get(v, o->n_sigs)) < 0)
			return refuse(refusal, REFUSED_BAD_SIGNATURE, "signature %zu is not %d bytes, \"0x\" and hexadecimal digits",
				      o->n_sigs, ETH_SIG_LEN);
	return 0;
}

static int read_evidence(struct object *o, struct ledger_refusal *refusal, const json_t *v)
{
	uint8_t hash[KECCAK256_LEN], wanted[KECCAK256_LEN];

	if (!(o->fold->flags & FOLD_EVIDENCE))
		return refuse(refusal, REFUSED_EVIDENCE, "%s takes no evidence", o->type);
	if (!json_is_object(v) || jcs_write(&o->evidence, &o->evidence_len, v) < 0)
		return refuse(refusal, REFUSED_EVIDENCE, "the evidence is not a JSON object of whole numbers");
	if (o->evidence_len > LEDGER_EVIDENCE_MAX)
		return refuse(refusal, REFUSED_TOO_LONG, "the evidence is longer than %d bytes", LEDGER_EVIDENCE_MAX);
	keccak256(hash, o->evidence, o->evidence_len);
	object_bytes32(wanted, o, "evidenceHash");
	if (memcmp(hash, wanted, sizeof(hash)) != 0)
		return refuse(refusal, REFUSED_EVIDENCE, "the evidence does not hash to evidenceHash");
	return 0;
}

static int read_attachments(struct object *o, struct ledger_refusal *refusal, const json_t *v)
{
	static const char *const known[] = { "evidence", "relaySignature", NULL };
	const json_t *sig = json_object_get(v, "relaySignature"), *evidence = json_object_get(v, "evidence");
	int r = v ? check_names(refusal, v, "\"attachments\"", known) : 0;

	if (r == 0 && sig) {
		if (!(o->fold->flags & FOLD_RELAY_SIG))
			return refuse(refusal, REFUSED_MALFORMED, "%s takes no signature of a relay", o->type);
		if (read_hex(o->relay_sig, sizeof(o->relay_sig), sig) < 0)
			return refuse(refusal, REFUSED_RELAY_SIGNATURE, "the relay's signature is not 64 bytes");
		o->has_relay_sig = true;
	}
	if (r == 0 && evidence)
		r = read_evidence(o, refusal, evidence);
	return r;
}

/* A copy of the domain may come along; it must be ours. */
static int check_domain(struct ledger_refusal *refusal, const struct genesis *g, const json_t *domain)
{
	uint8_t separator[KECCAK256_LEN];
	char why[TYPED_WHY_CAP], contract[ETH_ADDR_TEXT_CAP];

	if (!domain)
		return 0;
	if (typed_domain_separator(separator, why, domain) < 0)
		return refuse(refusal, REFUSED_MALFORMED, "%s", why);
	eth_addr_text(contract, &g->contract);
	if (memcmp(separator, g->domain_separator, sizeof(separator)) != 0)
		return refuse(refusal, REFUSED_WRONG_NETWORK, "the domain is not that of the network \"%s\": chainId 0, verifyingContract %s",
			      g->name, contract);
	return 0;
}

static int read_message(struct object *o, struct ledger_refusal *refusal, const struct genesis *g, const json_t *doc)
{
	const char *name = json_string_value(json_object_get(doc, "primaryType"));
	const json_t *message = json_object_get(doc, "message");
	const struct typed_type *t = name ? typed_find(name) : NULL;
	uint8_t hash[KECCAK256_LEN];
	char why[TYPED_WHY_CAP];

	if (!name)
		return refuse(refusal, REFUSED_MALFORMED, "\"primaryType\" is missing, or not a string");
	o->fold = t ? fold_find(name) : NULL;
	if (!o->fold)
		return refuse(refusal, REFUSED_UNKNOWN_TYPE, "the journal takes no \"%.40s\"", name);
	o->type = o->fold->name;
	if (!message)
		return refuse(refusal, REFUSED_MALFORMED, "\"message\" is missing");
	if (typed_struct_hash(hash, why, t, message) < 0)
		return refuse(refusal, REFUSED_MALFORMED, "%s", why);
	typed_digest(o->digest, g->domain_separator, hash);
	o->message = normal_struct(t, message);
	o->has_signer = t->signer != NULL;
	if (t->signer)
		object_address(&o->signer, o, t->signer);
	return 0;
}

int object_read(struct object *ret, struct ledger_refusal *refusal, const struct genesis *g, const json_t *doc)
{
	static const char *const known[] = { "attachments", "domain", "message", "primaryType", "signatures", NULL };
	struct object o = { .n_sigs = 0 };
	int r = check_names(refusal, doc, "the object", known);

	if (r == 0)
		r = check_domain(refusal, g, json_object_get(doc, "domain"));
	if (r == 0)
		r = read_message(&o, refusal, g, doc);
	if (r == 0)
		r = read_sigs(&o, refusal, json_object_get(doc, "signatures"));
	if (r == 0)
		r = read_attachments(&o, refusal, json_object_get(doc, "attachments"));
	if (r == 0 && (o.fold->flags & FOLD_EVIDENCE) && !o.evidence)
		r = refuse(refusal, REFUSED_EVIDENCE, "%s needs its evidence in \"attachments\"", o.type);
	if (r < 0)
		object_free(&o);
	else
		*ret = o;
	return r;
}

void object_free(struct object *o)
{
	json_decref(o->message);
	free(o->sigs);
	free(o->evidence);
	if (o->seen)
		free(o->seen->entry);
	free(o->seen);
	*o = (struct object){ .n_sigs = 0 };
}

/* -- entries ------------------------------------------------------------------------------- */

/* As an object's own attachment. */
static int attach(struct ledger_refusal *refusal, json_t *doc, const char *evidence, size_t len)
{
	json_t *v;

	if (len > LEDGER_EVIDENCE_MAX || jcs_read_canonical(&v, evidence, len) < 0)
		return refuse(refusal, REFUSED_EVIDENCE, "the evidence is not canonical JSON, or too long");
	if (!json_object_get(doc, "attachments"))
		json_object_set_new(doc, "attachments", json_object());
	json_object_set(json_object_get(doc, "attachments"), "evidence", v);
	json_decref(v);
	return 0;
}

static int read_entry(struct entry *e, struct ledger_refusal *refusal, const struct genesis *g, const char *evidence,
		      size_t evidence_len)
{
	json_t *doc;
	const json_t *time;
	int r;

	if (e->len > LEDGER_ENTRY_MAX || jcs_read(&doc, e->text, e->len) < 0)
		return refuse(refusal, REFUSED_MALFORMED, "the entry is not JSON of the accepted kind, or too long");
	time = json_object_get(doc, "time");
	if (!json_is_integer(time) || json_integer_value(time) < 0 || json_object_get(doc, "domain")) {
		r = refuse(refusal, REFUSED_MALFORMED, "the entry has no \"time\", or a domain");
	} else {
		e->time = (uint64_t)json_integer_value(time);
		json_object_del(doc, "time");
		r = evidence ? attach(refusal, doc, evidence, evidence_len) : 0;
		if (r == 0)
			r = object_read(&e->object, refusal, g, doc);
	}
	json_decref(doc);
	return r;
}

void entry_read(struct entry *ret, const struct genesis *g, const char *text, size_t len, const char *evidence,
		size_t evidence_len)
{
	struct ledger_refusal refusal;

	*ret = (struct entry){ .text = text, .len = len };
	if (read_entry(ret, &refusal, g, evidence, evidence_len) < 0)
		ret->refusal = mem_dup(&refusal, sizeof(refusal));
}

void entry_free(struct entry *e)
{
	object_free(&e->object);
	free(e->refusal);
}

/* -- writing -------------------------------------------------------------------------------- */

static json_t *hex_text(const uint8_t *data, size_t len)
{
	char text[2 * ETH_SIG_LEN + 3] = "0x";

	hex_encode(text + 2, data, len);
	return json_string(text);
}

static int write_entry(char **ret, size_t *ret_len, const struct object *o, uint64_t time)
{
	json_t *sigs = json_array(), *doc = json_object();
	int r;

	for (size_t i = 0; i < o->n_sigs; i++)
		json_array_append_new(sigs, hex_text(o->sigs[i], ETH_SIG_LEN));
	if (o->has_relay_sig)
		json_object_set_new(doc, "attachments", json_pack("{s:o}", "relaySignature",
								   hex_text(o->relay_sig, sizeof(o->relay_sig))));
	json_object_set(doc, "message", o->message);
	json_object_set_new(doc, "primaryType", json_string(o->type));
	json_object_set_new(doc, "signatures", sigs);
	json_object_set_new(doc, "time", json_integer((json_int_t)time));
	r = jcs_write(ret, ret_len, doc);
	json_decref(doc);
	return r;
}

int object_entry(char **ret, size_t *ret_len, const struct object *o, uint64_t time)
{
	const struct object_seen *seen = o->seen;

	if (!seen || seen->time != time)
		return write_entry(ret, ret_len, o, time);
	if (seen->entry) {
		*ret = mem_dup(seen->entry, seen->entry_len);
		*ret_len = seen->entry_len;
	}
	return seen->written;
}

/* -- fields ----------------------------------------------------------------------------------- */

static const json_t *field(const struct object *o, const char *name)
{
	const json_t *v = json_object_get(o->message, name);

	if (!v)
		abort();
	return v;
}

uint64_t object_u64(const struct object *o, const char *name)
{
	return strtoull(json_string_value(field(o, name)), NULL, 10);
}

/* The checksum was looked at when the object was read. */
void object_address(struct eth_addr *ret, const struct object *o, const char *name)
{
	if (read_hex(ret->b, sizeof(ret->b), field(o, name)) < 0)
		abort();
}

void object_bytes32(uint8_t ret[32], const struct object *o, const char *name)
{
	if (read_hex(ret, 32, field(o, name)) < 0)
		abort();
}

int object_bytes(uint8_t *ret, size_t len, const struct object *o, const char *name)
{
	return read_hex(ret, len, field(o, name)) < 0 ? ERR_RANGE : 0;
}

int object_amount(struct amount *ret, const struct object *o, const char *name)
{
	const json_t *v = field(o, name);

	return amount_parse(ret, json_string_value(v), json_string_length(v)) < 0 ? ERR_RANGE : 0;
}

int object_recover(struct eth_addr *ret, const struct object *o, size_t i)
{
	if (!o->seen)
		return eth_sig_recover(ret, o->digest, o->sigs[i], ETH_SIG_LEN);
	if (o->seen->sigs[i].r == 0)
		*ret = o->seen->sigs[i].addr;
	return o->seen->sigs[i].r;
}

int object_relay_signed(const struct object *o)
{
	uint8_t relay[RELAY_ID_LEN];

	if (o->seen)
		return o->seen->relay;
	object_bytes32(relay, o, "relayId");
	return ed25519_verify(relay, o->relay_sig, o->digest, sizeof(o->digest));
}

void object_look(struct object *o, uint64_t time)
{
	struct object_seen *seen = mem_new(sizeof(*seen) + o->n_sigs * sizeof(seen->sigs[0]));

	seen->time = time;
	seen->written = write_entry(&seen->entry, &seen->entry_len, o, time);
	for (size_t i = 0; i < o->n_sigs; i++)
		seen->sigs[i].r = object_recover(&seen->sigs[i].addr, o, i);
	seen->relay = o->has_relay_sig ? object_relay_signed(o) : ERR_AUTH;
	o->seen = seen;
}
