#include "config.h"

#include "typed_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/mem.h>

/* Made from nonos-eip712.json by the Makefile. */
static const char text[] = {
#include "ledger/nonos-eip712.inc"
};

/* The table is part of the program, so a fault in it is our own: it ends the process. */
static void need(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "the built-in schema of typed data is wrong: %s\n", what);
		abort();
	}
}

static const char *need_text(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));

	need(s != NULL, name);
	return s;
}

static struct typed_type *type_find(struct typed_schema *s, const char *name, size_t len)
{
	for (size_t i = 0; i < s->n_types; i++)
		if (strlen(s->types[i].name) == len && memcmp(s->types[i].name, name, len) == 0)
			return &s->types[i];
	return NULL;
}

static void read_field(struct typed_schema *s, struct typed_field *f, const json_t *row)
{
	static const struct { const char *name; enum typed_kind kind; } atoms[] = {
		{ "address", KIND_ADDRESS }, { "bytes32", KIND_BYTES32 }, { "bytes", KIND_BYTES }, { "string", KIND_STRING },
	};
	size_t len;

	f->name = need_text(row, "name");
	f->type = need_text(row, "type");
	len = strlen(f->type);
	f->array = len > 2 && strcmp(f->type + len - 2, "[]") == 0;
	len -= f->array ? 2 : 0;
	for (size_t i = 0; i < sizeof(atoms) / sizeof(atoms[0]); i++) {
		if (strlen(atoms[i].name) == len && memcmp(atoms[i].name, f->type, len) == 0) {
			f->kind = atoms[i].kind;
			return;
		}
	}
	if (strncmp(f->type, "uint", 4) == 0) {
		f->kind = KIND_UINT;
		f->bits = (unsigned)strtoul(f->type + 4, NULL, 10);
		need(f->bits >= 8 && f->bits <= 256 && f->bits % 8 == 0, f->type);
		return;
	}
	f->kind = KIND_STRUCT;
	f->ref = type_find(s, f->type, len);
	need(f->ref != NULL, f->type);
}

static void read_fields(struct typed_schema *s, struct typed_type *t, const json_t *rows)
{
	need(json_is_array(rows), t->name);
	t->n_fields = json_array_size(rows);
	t->fields = mem_new_array(t->n_fields, sizeof(*t->fields));
	for (size_t i = 0; i < t->n_fields; i++)
		read_field(s, &t->fields[i], json_array_get(rows, i));
}

/* Mark `t` and what it refers to, however far. Marked types end the walk. */
static void mark(const struct typed_schema *s, bool *marked, const struct typed_type *t)
{
	marked[t - s->types] = true;
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct typed_type *ref = t->fields[i].ref;

		need(ref != t, "a type that contains itself");
		if (ref && !marked[ref - s->types])
			mark(s, marked, ref);
	}
}

static char *append_type(char *before, const struct typed_type *t)
{
	char *out = mem_printf("%s%s(", before, t->name);

	free(before);
	for (size_t i = 0; i < t->n_fields; i++) {
		char *longer = mem_printf("%s%s%s %s", out, i ? "," : "", t->fields[i].type, t->fields[i].name);

		free(out);
		out = longer;
	}
	before = mem_printf("%s)", out);
	free(out);
	return before;
}

static int type_cmp(const void *a, const void *b)
{
	return strcmp((*(const struct typed_type *const *)a)->name, (*(const struct typed_type *const *)b)->name);
}

/* encodeType of EIP-712: the type itself first, the others by name. */
static void finish_type(const struct typed_schema *s, struct typed_type *t)
{
	const struct typed_type **others = mem_new_array(s->n_types + 1, sizeof(const struct typed_type *));
	bool *marked = mem_new_array(s->n_types + 1, sizeof(*marked));
	size_t n = 0;

	if (t != &s->domain)
		mark(s, marked, t);
	for (size_t i = 0; i < s->n_types; i++)
		if (marked[i] && &s->types[i] != t)
			others[n++] = &s->types[i];
	qsort(others, n, sizeof(*others), type_cmp);
	t->encoding = append_type(mem_strdup(""), t);
	for (size_t i = 0; i < n; i++)
		t->encoding = append_type(t->encoding, others[i]);
	keccak256(t->hash, t->encoding, strlen(t->encoding));
	free(others);
	free(marked);
}

static void read_schema(struct typed_schema *s, const json_t *doc)
{
	json_t *types = json_object_get(doc, "types"), *domain = json_object_get(doc, "domain"), *rows;
	const json_t *signers = json_object_get(doc, "signerField");
	const char *name;
	size_t i = 0;

	s->n_types = json_object_size(types);
	s->types = mem_new_array(s->n_types, sizeof(*s->types));
	json_object_foreach(types, name, rows)
		s->types[i++].name = name;
	i = 0;
	json_object_foreach(types, name, rows) {
		s->types[i].signer = json_string_value(json_object_get(signers, name));
		read_fields(s, &s->types[i++], rows);
	}
	s->domain.name = "EIP712Domain";
	s->domain_name = need_text(domain, "name");
	s->domain_version = need_text(domain, "version");
	read_fields(s, &s->domain, json_object_get(domain, "fields"));
	finish_type(s, &s->domain);
	for (i = 0; i < s->n_types; i++)
		finish_type(s, &s->types[i]);
}

static struct typed_schema schema;

static void make_schema(void)
{
	static json_t *doc;		/* kept: the table points into it */

	doc = json_loadb(text, sizeof(text), JSON_REJECT_DUPLICATES, NULL);
	need(doc != NULL, "not JSON");
	read_schema(&schema, doc);
}

const struct typed_schema *typed_schema(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_schema);
	return &schema;
}
