#include "config.h"

#include "abi.h"

#include <string.h>

#include <nonos/err.h>

static size_t padding_of(size_t len)
{
	return (ABI_WORD - len % ABI_WORD) % ABI_WORD;
}

/* The bytes before a number or an address are zeros. */
static int check_word(const struct abi_type *t, const uint8_t word[ABI_WORD])
{
	size_t spare = t->kind == ABI_UINT ? ABI_WORD - t->bits / 8 : t->kind == ABI_ADDRESS ? 12 : 0;

	for (size_t i = 0; i < spare; i++)
		if (word[i])
			return ERR_RANGE;
	return 0;
}

/* Those of a tuple are its members; those of an array are all of one type. */
static uint8_t next_type(const struct abi_sig *s, const struct abi_type *of, uint8_t at)
{
	return of->kind == ABI_ARRAY ? at : s->types[at].next;
}

static size_t count_members(const struct abi_sig *s, const struct abi_type *tuple)
{
	size_t n = 0;

	for (uint8_t at = tuple->child; at; at = s->types[at].next)
		n++;
	return n;
}

static bool is_left_out(const struct abi_type *t, bool in_log)
{
	return in_log && t->indexed;
}

/* What `n` items take before the first byte that stands behind an offset. */
static size_t heads_len(const struct abi_sig *s, const struct abi_type *of, size_t n, bool in_log)
{
	size_t len = 0;

	if (of->kind == ABI_ARRAY)
		return n * s->types[of->child].head;
	for (uint8_t at = of->child; at; at = s->types[at].next)
		if (!is_left_out(&s->types[at], in_log))
			len += s->types[at].head;
	return len;
}

/* -- encoding ------------------------------------------------------------------ */

static void wr_word(struct wr *w, size_t v)
{
	wr_zero(w, ABI_WORD - 8);
	wr_u64(w, v);
}

static int encode_items(struct wr *w, const struct abi_sig *s, const struct abi_type *of, const struct abi_value *items,
			size_t n);

static int encode_one(struct wr *w, const struct abi_sig *s, const struct abi_type *t, const struct abi_value *v)
{
	switch (t->kind) {
	case ABI_UINT:
	case ABI_ADDRESS:
	case ABI_BYTES32:
		wr_bytes(w, v->word, ABI_WORD);
		return check_word(t, v->word);
	case ABI_BYTES:
	case ABI_STRING:
		wr_word(w, v->len);
		wr_bytes(w, v->data, v->len);
		wr_zero(w, padding_of(v->len));
		return 0;
	case ABI_ARRAY:
		wr_word(w, v->n_items);
		return encode_items(w, s, t, v->items, v->n_items);
	case ABI_TUPLE:
		if (v->n_items != count_members(s, t))
			return ERR_MISMATCH;
		return encode_items(w, s, t, v->items, v->n_items);
	}
	return ERR_UNSUPPORTED;
}

/* The heads come first, so they have a writer of their own. Offsets count from the first of them. */
static int encode_items(struct wr *w, const struct abi_sig *s, const struct abi_type *of, const struct abi_value *items,
			size_t n)
{
	size_t start = wr_len(w), len;
	uint8_t at = of->child;
	struct wr heads;

	/* Each item takes a word at least: more than there is room for must not overflow the product. */
	if (n > (size_t)(w->end - w->p) / ABI_WORD)
		return ERR_TOO_LONG;
	len = heads_len(s, of, n, false);
	heads = wr_init(wr_reserve(w, len), len);
	if (w->failed)
		return ERR_TOO_LONG;
	for (size_t i = 0; i < n; i++, at = next_type(s, of, at)) {
		const struct abi_type *t = &s->types[at];
		int r;

		if (t->dynamic)
			wr_word(&heads, wr_len(w) - start);
		r = encode_one(t->dynamic ? w : &heads, s, t, &items[i]);
		if (r < 0)
			return r;
	}
	return wr_done(w);
}

int abi_encode(struct wr *w, const struct abi_sig *s, const struct abi_value *args, size_t n)
{
	if (n != count_members(s, &s->types[0]))
		return ERR_MISMATCH;
	return encode_items(w, s, &s->types[0], args, n);
}

int abi_call(struct wr *w, const struct abi_sig *s, const struct abi_value *args, size_t n)
{
	if (!s->named)
		return ERR_MISMATCH;
	wr_bytes(w, s->hash, ABI_SELECTOR_LEN);
	return abi_encode(w, s, args, n);
}

/* -- decoding ------------------------------------------------------------------ */

/* Where decoded values go. */
struct pool {
	struct abi_value *values;
	size_t used, cap;
};

static struct abi_value *pool_take(struct pool *p, size_t n)
{
	struct abi_value *v = p->values + p->used;

	if (n > p->cap - p->used)
		return NULL;
	p->used += n;
	memset(v, 0, n * sizeof(*v));
	return v;
}

/* A length or an offset. */
static int rd_word(size_t *ret, struct rd *r)
{
	const uint8_t *p = rd_take(r, ABI_WORD);
	struct rd low;
	uint64_t v;

	if (!p)
		return ERR_MALFORMED;
	for (size_t i = 0; i < ABI_WORD - 8; i++)
		if (p[i])
			return ERR_MALFORMED;
	low = rd_init(p + ABI_WORD - 8, 8);
	v = rd_u64(&low);
	if (v > SIZE_MAX / 2)
		return ERR_MALFORMED;
	*ret = (size_t)v;
	return 0;
}

static int decode_bytes(struct abi_value *ret, struct rd *r)
{
	const uint8_t *padding;
	size_t len;

	if (rd_word(&len, r) < 0)
		return ERR_MALFORMED;
	ret->data = rd_take(r, len);
	ret->len = len;
	padding = ret->data ? rd_take(r, padding_of(len)) : NULL;
	if (!padding)
		return ERR_MALFORMED;
	for (size_t i = 0; i < padding_of(len); i++)
		if (padding[i])
			return ERR_MALFORMED;
	return 0;
}

static int decode_items(struct abi_value *items, struct pool *p, struct rd *r, const struct abi_sig *s,
			const struct abi_type *of, size_t n, bool in_log);

static int decode_group(struct abi_value *ret, struct pool *p, struct rd *r, const struct abi_sig *s,
			const struct abi_type *t)
{
	size_t n = count_members(s, t);
	struct abi_value *items;

	if (t->kind == ABI_ARRAY && (rd_word(&n, r) < 0 || n > rd_left(r) / s->types[t->child].head))
		return ERR_MALFORMED;
	items = pool_take(p, n);
	if (!items)
		return ERR_LIMIT;
	ret->items = items;
	ret->n_items = n;
	return decode_items(items, p, r, s, t, n, false);
}

static int decode_one(struct abi_value *ret, struct pool *p, struct rd *r, const struct abi_sig *s,
		      const struct abi_type *t)
{
	switch (t->kind) {
	case ABI_UINT:
	case ABI_ADDRESS:
	case ABI_BYTES32:
		rd_copy(r, ret->word, ABI_WORD);
		return rd_ok(r) ? check_word(t, ret->word) : ERR_MALFORMED;
	case ABI_BYTES:
	case ABI_STRING:
		return decode_bytes(ret, r);
	case ABI_ARRAY:
	case ABI_TUPLE:
		return decode_group(ret, p, r, s, t);
	}
	return ERR_UNSUPPORTED;
}

/* An offset must lead to the byte after what was read last: see the top of abi.h. */
static int decode_items(struct abi_value *items, struct pool *p, struct rd *r, const struct abi_sig *s,
			const struct abi_type *of, size_t n, bool in_log)
{
	const uint8_t *start = r->p;
	size_t len = heads_len(s, of, n, in_log);
	uint8_t at = of->child;
	struct rd heads;

	if (rd_left(r) < len)
		return ERR_MALFORMED;
	heads = rd_sub(r, len);
	for (size_t i = 0; i < n; i++, at = next_type(s, of, at)) {
		const struct abi_type *t = &s->types[at];
		size_t offset;
		int rc;

		if (is_left_out(t, in_log))
			continue;
		if (t->dynamic && (rd_word(&offset, &heads) < 0 || offset != (size_t)(r->p - start)))
			return ERR_MALFORMED;
		rc = decode_one(&items[i], p, t->dynamic ? r : &heads, s, t);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int decode(struct pool *p, const struct abi_sig *s, const void *data, size_t len, bool in_log)
{
	size_t n = count_members(s, &s->types[0]);
	struct abi_value *values = pool_take(p, n);
	struct rd r = rd_init(data, len);
	int rc;

	if (!values)
		return ERR_LIMIT;
	rc = decode_items(values, p, &r, s, &s->types[0], n, in_log);
	return rc < 0 ? rc : rd_done(&r);
}

int abi_decode(struct abi_value *values, size_t cap, const struct abi_sig *s, const void *data, size_t len)
{
	struct pool p = { .values = values, .cap = cap };

	return decode(&p, s, data, len, false);
}

static bool is_word(const struct abi_type *t)
{
	return t->kind == ABI_UINT || t->kind == ABI_ADDRESS || t->kind == ABI_BYTES32;
}

int abi_log(struct abi_value *values, size_t cap, const struct abi_sig *s, const uint8_t (*topics)[ABI_WORD],
	    size_t n_topics, const void *data, size_t len)
{
	struct pool p = { .values = values, .cap = cap };
	size_t used = 1, i = 0;
	int r;

	if (!s->named || n_topics == 0 || memcmp(topics[0], s->hash, ABI_WORD) != 0)
		return ERR_MISMATCH;
	r = decode(&p, s, data, len, true);
	for (uint8_t at = s->types[0].child; r == 0 && at; at = s->types[at].next, i++) {
		const struct abi_type *t = &s->types[at];

		if (!t->indexed)
			continue;
		if (used == n_topics)
			return ERR_MALFORMED;
		memcpy(values[i].word, topics[used++], ABI_WORD);
		r = is_word(t) ? check_word(t, values[i].word) : 0;
	}
	return r == 0 && used != n_topics ? ERR_MALFORMED : r;
}
