#include "config.h"

#include <nonos/checkpoint.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/mem.h>

static const char proof_head[] = "c2sp.org/tlog-proof@v1";

enum { HASH_TEXT_LEN = BASE64_CAP(SHA256_LEN) - 1 };

/* A text read line by line. */
struct lines {
	const char *p, *end;
};

/* Give the next line without its end; ERR_MALFORMED when none is left. */
static int line_next(struct lines *l, const char **ret, size_t *ret_len)
{
	const char *eol = l->p < l->end ? memchr(l->p, '\n', (size_t)(l->end - l->p)) : NULL;

	if (!eol)
		return ERR_MALFORMED;
	*ret = l->p;
	*ret_len = (size_t)(eol - l->p);
	l->p = eol + 1;
	return 0;
}

/* Decimal without leading zeros. */
static int parse_u64(uint64_t *ret, const char *text, size_t len)
{
	uint64_t v = 0;

	if (len == 0 || (len > 1 && text[0] == '0'))
		return ERR_MALFORMED;
	for (size_t i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (unsigned)(text[i] - '0'), &v))
			return ERR_MALFORMED;
	*ret = v;
	return 0;
}

static int parse_hash(struct merkle_hash *ret, const char *text, size_t len)
{
	return len == HASH_TEXT_LEN ? base64_decode_exact(ret->b, sizeof(ret->b), text, len) : ERR_MALFORMED;
}

size_t checkpoint_text(char out[CHECKPOINT_TEXT_CAP], const struct checkpoint *c)
{
	char root[HASH_TEXT_LEN + 1];

	base64_encode(root, c->root.b, sizeof(c->root.b), true);
	return (size_t)snprintf(out, CHECKPOINT_TEXT_CAP, "%s\n%llu\n%s\n", c->origin, (unsigned long long)c->size, root);
}

int checkpoint_parse(struct checkpoint *ret, const char *text, size_t len)
{
	struct lines l = { .p = text, .end = text + len };
	struct checkpoint c = { .origin = "" };
	const char *line;
	size_t n;

	if (line_next(&l, &line, &n) < 0 || n == 0 || n >= sizeof(c.origin) || memchr(line, '\0', n))
		return ERR_MALFORMED;
	memcpy(c.origin, line, n);
	if (line_next(&l, &line, &n) < 0 || parse_u64(&c.size, line, n) < 0 ||
	    line_next(&l, &line, &n) < 0 || parse_hash(&c.root, line, n) < 0)
		return ERR_MALFORMED;
	while (l.p < l.end)
		if (line_next(&l, &line, &n) < 0 || n == 0)
			return ERR_MALFORMED;
	*ret = c;
	return 0;
}

int checkpoint_open(struct checkpoint *ret, const struct note_key *log, const char *note, size_t len)
{
	struct checkpoint c;
	struct note n;
	int r = note_parse(&n, note, len);

	if (r == 0)
		r = note_verify(&n, log, NULL);
	if (r == 0)
		r = checkpoint_parse(&c, n.text, n.text_len);
	if (r < 0)
		return r;
	if (log->alg != NOTE_ED25519 || strcmp(c.origin, log->name) != 0)
		return ERR_MISMATCH;
	*ret = c;
	return 0;
}

/* -- tlog-proof -------------------------------------------------------------------- */

static bool is_line(const char *line, size_t len, const char *want)
{
	return len == strlen(want) && memcmp(line, want, len) == 0;
}

/* Give what follows `word` and a blank, or NULL. */
static const char *after_word(const char *line, size_t *len, const char *word)
{
	size_t n = strlen(word);

	if (*len <= n || memcmp(line, word, n) != 0 || line[n] != ' ')
		return NULL;
	*len -= n + 1;
	return line + n + 1;
}

/* The header, perhaps the extra line, and the index. */
static int parse_proof_head(struct tlog_proof *p, struct lines *l)
{
	const char *line, *value;
	size_t n;

	if (line_next(l, &line, &n) < 0 || !is_line(line, n, proof_head) || line_next(l, &line, &n) < 0)
		return ERR_MALFORMED;
	value = after_word(line, &n, "extra");
	if (value) {
		uint8_t *data = mem_new(n + 1);
		size_t data_len;
		int r = n % 4 ? ERR_MALFORMED : base64_decode(data, n, &data_len, value, n);

		free(data);
		if (r < 0)
			return ERR_MALFORMED;
		p->extra = value;
		p->extra_len = n;
		if (line_next(l, &line, &n) < 0)
			return ERR_MALFORMED;
	}
	value = after_word(line, &n, "index");
	return value ? parse_u64(&p->index, value, n) : ERR_MALFORMED;
}

int tlog_proof_parse(struct tlog_proof *ret, const char *text, size_t len)
{
	struct lines l = { .p = text, .end = text + len };
	struct tlog_proof p = { .index = 0 };
	const char *line;
	size_t n;

	if (len > 2 * NOTE_LEN_MAX)
		return ERR_TOO_LONG;
	if (parse_proof_head(&p, &l) < 0)
		return ERR_MALFORMED;
	while (true) {
		if (line_next(&l, &line, &n) < 0)
			return ERR_MALFORMED;
		if (n == 0)
			break;
		if (p.path.n == MERKLE_PROOF_MAX || parse_hash(&p.path.hashes[p.path.n++], line, n) < 0)
			return ERR_MALFORMED;
	}
	p.note = l.p;
	p.note_len = (size_t)(l.end - l.p);
	*ret = p;
	return 0;
}

char *tlog_proof_text(size_t *ret_len, const struct tlog_proof *p)
{
	size_t cap = sizeof(proof_head) + p->extra_len + 64 + p->path.n * (HASH_TEXT_LEN + 1) + p->note_len, used;
	char *out = mem_new(cap);

	used = (size_t)snprintf(out, cap, "%s\n", proof_head);
	if (p->extra)
		used += (size_t)snprintf(out + used, cap - used, "extra %.*s\n", (int)p->extra_len, p->extra);
	used += (size_t)snprintf(out + used, cap - used, "index %llu\n", (unsigned long long)p->index);
	for (size_t i = 0; i < p->path.n; i++) {
		used += base64_encode(out + used, p->path.hashes[i].b, SHA256_LEN, true);
		out[used++] = '\n';
	}
	out[used++] = '\n';
	memcpy(out + used, p->note, p->note_len);
	*ret_len = used + p->note_len;
	out[*ret_len] = '\0';
	return out;
}

int tlog_proof_check(const struct tlog_proof *p, const struct note_key *log, const struct merkle_hash *leaf)
{
	struct checkpoint c;
	int r = checkpoint_open(&c, log, p->note, p->note_len);

	return r < 0 ? r : merkle_check_inclusion(&c.root, c.size, leaf, p->index, &p->path);
}
