#include "config.h"

#include "conf_priv.h"

#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* One UTF-8 sequence of `p`, or 0: no overlong forms, surrogates or control characters. */
static size_t utf8_len(const unsigned char *p, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return (c < 0x20 && c != '\t') || (c >= 0x7f && c < 0xa0) ? 0 : n;
}

static bool text_is_clean(const char *p, size_t len)
{
	while (len > 0) {
		size_t n = utf8_len((const unsigned char *)p, len);

		if (n == 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

static void trim(const char **p, size_t *len)
{
	while (*len > 0 && is_space(**p)) {
		(*p)++;
		(*len)--;
	}
	while (*len > 0 && is_space((*p)[*len - 1]))
		(*len)--;
}

/* A '#' begins a comment at the start of a line or after white space, so "a#b" is a value. */
static size_t length_without_comment(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] == '#' && (i == 0 || is_space(p[i - 1])))
			return i;
	return len;
}

static void line_fail(struct config_line *l, const char *problem)
{
	l->kind = LINE_BAD;
	l->problem = problem;
}

static void split_section(struct config_line *l, const char *p, size_t len)
{
	if (p[len - 1] != ']') {
		line_fail(l, "a section's name ends with \"]\"");
		return;
	}
	l->kind = LINE_SECTION;
	l->key = p + 1;
	l->key_len = len - 2;
	trim(&l->key, &l->key_len);
}

static void split_pair(struct config_line *l, const char *p, size_t len)
{
	const char *equals = memchr(p, '=', len);

	if (!equals) {
		line_fail(l, "expected \"key = value\", \"[section]\" or a comment");
		return;
	}
	l->kind = LINE_PAIR;
	l->key = p;
	l->key_len = (size_t)(equals - p);
	l->value = equals + 1;
	l->value_len = len - l->key_len - 1;
	trim(&l->key, &l->key_len);
	trim(&l->value, &l->value_len);
	if (l->key_len == 0)
		line_fail(l, "there is no key before \"=\"");
}

bool config_line_next(struct config_lines *lines, struct config_line *ret)
{
	size_t left = (size_t)(lines->end - lines->p), len;
	const char *p = lines->p, *newline;

	if (left == 0)
		return false;
	newline = memchr(p, '\n', left);
	len = newline ? (size_t)(newline - p) : left;
	lines->p += newline ? len + 1 : len;
	if (len > 0 && p[len - 1] == '\r')
		len--;
	*ret = (struct config_line){ .kind = LINE_BLANK, .number = ++lines->number };
	if (len > CONFIG_LINE_MAX) {
		line_fail(ret, "the line is longer than 8192 bytes");
		return true;
	}
	if (!text_is_clean(p, len)) {
		line_fail(ret, "the line has control characters or is not UTF-8");
		return true;
	}
	len = length_without_comment(p, len);
	trim(&p, &len);
	if (len == 0)
		return true;
	if (p[0] == '[')
		split_section(ret, p, len);
	else
		split_pair(ret, p, len);
	return true;
}
