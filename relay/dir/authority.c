#include "config.h"

#include "authority.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <nonos/encode.h>
#include <nonos/err.h>

#include "dirtext.h"

enum { HAVE_DIR = 1, HAVE_OR_PORT = 2, HAVE_V3IDENT = 4, HAVE_FINGERPRINT = 8, HAVE_ALL = 15 };

static bool option_value(struct span word, const char *name, struct span *ret)
{
	size_t n = strlen(name);

	if (word.len <= n || memcmp(word.p, name, n) != 0 || word.p[n] != '=')
		return false;
	*ret = (struct span){ word.p + n + 1, word.len - n - 1 };
	return true;
}

/* One word after the name. Returns the HAVE_ bit it filled in, or an error. */
static int take_word(struct authority *a, struct span word)
{
	struct span value;
	uint64_t port;
	int r;

	if (option_value(word, "orport", &value)) {
		r = span_u64(value, &port, 65535);
		if (r < 0 || port == 0)
			return ERR_RANGE;
		a->or_port = (uint16_t)port;
		return HAVE_OR_PORT;
	}
	if (option_value(word, "v3ident", &value)) {
		r = hex_decode(a->v3ident, sizeof(a->v3ident), value.p, value.len);
		return r < 0 ? r : HAVE_V3IDENT;
	}
	if (option_value(word, "fingerprint", &value)) {
		r = hex_decode(a->fingerprint, sizeof(a->fingerprint), value.p, value.len);
		return r < 0 ? r : HAVE_FINGERPRINT;
	}
	r = addr_parse(&a->dir, word.p, word.len);
	return r < 0 ? r : HAVE_DIR;
}

static int take_name(struct authority *a, struct span word)
{
	if (word.len >= sizeof(a->name))
		return ERR_TOO_LONG;
	for (size_t i = 0; i < word.len; i++)
		if (word.p[i] < 0x21 || word.p[i] > 0x7e || strchr(":=[]", word.p[i]))
			return ERR_MALFORMED;
	memcpy(a->name, word.p, word.len);
	return 0;
}

static int fail(char *err, size_t cap, int code, const char *what, struct span word)
{
	snprintf(err, cap, "%s '%.*s'", what, word.len > 60 ? 60 : (int)word.len, word.len ? word.p : "");
	return code;
}

static const char *missing_part(unsigned have)
{
	if (!(have & HAVE_DIR))
		return "authority without ADDRESS:DIRPORT:";
	if (!(have & HAVE_OR_PORT))
		return "authority without orport=:";
	return have & HAVE_V3IDENT ? "authority without fingerprint=:" : "authority without v3ident=:";
}

int authority_parse(struct authority *ret, const char *text, char *ret_err, size_t err_cap)
{
	struct dir_item line = { .args = { text, strlen(text) } };
	struct span word, all = line.args;
	struct authority a;
	unsigned have = 0;
	int r;

	memset(&a, 0, sizeof(a));
	if (!dir_arg(&line, &word))
		return fail(ret_err, err_cap, ERR_MALFORMED, "authority without a name", all);
	r = take_name(&a, word);
	if (r < 0)
		return fail(ret_err, err_cap, r, "bad authority name (1 to 19 printable characters)", word);
	while (dir_arg(&line, &word)) {
		r = take_word(&a, word);
		if (r < 0)
			return fail(ret_err, err_cap, r, "cannot understand", word);
		if (have & (unsigned)r)
			return fail(ret_err, err_cap, ERR_EXISTS, "given twice:", word);
		have |= (unsigned)r;
	}
	if (have != HAVE_ALL)
		return fail(ret_err, err_cap, ERR_MALFORMED, missing_part(have), all);
	*ret = a;
	return 0;
}

int authority_find(const struct authority *list, size_t n, const uint8_t v3ident[20])
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(list[i].v3ident, v3ident, 20) == 0)
			return (int)i;
	return ERR_NOT_FOUND;
}
