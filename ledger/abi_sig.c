#include "config.h"

#include "abi.h"

#include <string.h>

#include <nonos/err.h>

struct parser {
	const char *p;
	struct abi_sig *s;
	struct keccak256_run run;	/* over the text without " indexed" */
};

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void take(struct parser *p, size_t len)
{
	keccak256_run_add(&p->run, p->p, len);
	p->p += len;
}

static bool take_char(struct parser *p, char c)
{
	if (*p->p != c)
		return false;
	take(p, 1);
	return true;
}

static int type_new(uint8_t *ret, struct parser *p, const struct abi_type *t)
{
	if (p->s->n_types == ABI_TYPES_MAX)
		return ERR_LIMIT;
	*ret = (uint8_t)p->s->n_types++;
	p->s->types[*ret] = *t;
	return 0;
}

/* The digits of "uint256", a multiple of 8 without leading zeros. */
static unsigned uint_bits(const char *digits, size_t len)
{
	unsigned bits = 0;

	if (len == 0 || len > 3 || digits[0] == '0')
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (!is_digit(digits[i]))
			return 0;
		bits = bits * 10 + (unsigned)(digits[i] - '0');
	}
	return bits % 8 == 0 && bits <= 256 ? bits : 0;
}

static int parse_word(uint8_t *ret, struct parser *p)
{
	static const struct { const char *name; struct abi_type type; } known[] = {
		{ "address", { .kind = ABI_ADDRESS, .head = ABI_WORD } },
		{ "bytes32", { .kind = ABI_BYTES32, .head = ABI_WORD } },
		{ "bytes", { .kind = ABI_BYTES, .head = ABI_WORD, .dynamic = true } },
		{ "string", { .kind = ABI_STRING, .head = ABI_WORD, .dynamic = true } },
	};
	struct abi_type number = { .kind = ABI_UINT, .head = ABI_WORD };
	const char *word = p->p;
	size_t len = 0;

	while (is_letter(word[len]) || is_digit(word[len]))
		len++;
	take(p, len);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (len == strlen(known[i].name) && memcmp(word, known[i].name, len) == 0)
			return type_new(ret, p, &known[i].type);
	if (len > 4 && memcmp(word, "uint", 4) == 0)
		number.bits = uint_bits(word + 4, len - 4);
	return number.bits ? type_new(ret, p, &number) : ERR_MALFORMED;
}

static int parse_tuple(uint8_t *ret, struct parser *p, unsigned depth);

static int parse_type(uint8_t *ret, struct parser *p, unsigned depth)
{
	uint8_t at = 0;
	int r;

	if (depth > ABI_DEPTH_MAX)
		return ERR_LIMIT;
	r = *p->p == '(' ? parse_tuple(&at, p, depth) : parse_word(&at, p);
	for (; r == 0 && *p->p == '['; depth++) {
		struct abi_type array = { .kind = ABI_ARRAY, .head = ABI_WORD, .dynamic = true, .child = at };

		if (p->p[1] != ']')
			return ERR_MALFORMED;
		take(p, 2);
		r = depth < ABI_DEPTH_MAX ? type_new(&at, p, &array) : ERR_LIMIT;
	}
	if (r == 0)
		*ret = at;
	return r;
}

static void parse_indexed(struct parser *p, struct abi_type *t, unsigned depth)
{
	static const char word[] = " indexed";

	if (depth != 0 || strncmp(p->p, word, sizeof(word) - 1) != 0)
		return;
	p->p += sizeof(word) - 1;
	t->indexed = true;
}

/* A static tuple lies among its neighbours; a dynamic one stands behind an offset. */
static int parse_members(struct parser *p, uint8_t tuple, unsigned depth)
{
	struct abi_type *types = p->s->types, *t = &types[tuple];
	uint8_t *link = &t->child, at = 0;

	do {
		int r = parse_type(&at, p, depth + 1);

		if (r < 0)
			return r;
		parse_indexed(p, &types[at], depth);
		*link = at;
		link = &types[at].next;
		t->head += types[at].head;
		t->dynamic |= types[at].dynamic;
	} while (take_char(p, ','));
	if (!take_char(p, ')'))
		return ERR_MALFORMED;
	if (t->dynamic)
		t->head = ABI_WORD;
	return 0;
}

/* Only the parameters as a whole may be none: an item takes up room. */
static int parse_tuple(uint8_t *ret, struct parser *p, unsigned depth)
{
	struct abi_type tuple = { .kind = ABI_TUPLE };
	int r;

	if (!take_char(p, '('))
		return ERR_MALFORMED;
	r = type_new(ret, p, &tuple);
	if (r < 0 || (depth == 0 && take_char(p, ')')))
		return r;
	return parse_members(p, *ret, depth);
}

static size_t count_indexed(const struct abi_sig *s)
{
	size_t n = 0;

	for (uint8_t at = s->types[0].child; at; at = s->types[at].next)
		n += s->types[at].indexed;
	return n;
}

int abi_sig_parse(struct abi_sig *ret, const char *text)
{
	struct abi_sig s = { 0 };
	struct parser p = { .p = text, .s = &s };
	uint8_t at = 0;
	int r;

	if (strnlen(text, ABI_SIG_TEXT_MAX + 1) > ABI_SIG_TEXT_MAX)
		return ERR_LIMIT;
	keccak256_run_init(&p.run);
	s.named = is_letter(*text);
	while (is_letter(*p.p) || (p.p > text && is_digit(*p.p)))
		take(&p, 1);
	r = parse_tuple(&at, &p, 0);
	if (r < 0)
		return r;
	if (*p.p || count_indexed(&s) >= ABI_TOPICS_MAX)
		return ERR_MALFORMED;
	keccak256_run_peek(&p.run, s.hash);
	*ret = s;
	return 0;
}
