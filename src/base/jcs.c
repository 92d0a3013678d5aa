#include "config.h"

#include <nonos/jcs.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/mem.h>

/* The integers that a double holds without loss (RFC 8785, 3.2.2.3 and appendix D). */
static const json_int_t int_max = 9007199254740991;

/* -- writing --------------------------------------------------------------- */

/* A text that grows. */
struct out {
	char *p;
	size_t len, cap;
};

static void put(struct out *o, const char *data, size_t len)
{
	if (o->cap - o->len < len) {
		size_t cap = o->cap + len + 256;

		o->p = mem_resize(o->p, cap, 2);
		o->cap = cap * 2;
	}
	memcpy(o->p + o->len, data, len);
	o->len += len;
}

static int write_value(struct out *o, const json_t *value, int depth);

/* The shortest escape of a character that needs one (RFC 8785, 3.2.2.2). */
static void write_escape(struct out *o, char c)
{
	static const char named[] = "\bb\tt\nn\ff\rr\"\"\\\\";
	char text[8];

	for (const char *n = named; *n; n += 2) {
		if (*n == c) {
			text[0] = '\\';
			text[1] = n[1];
			put(o, text, 2);
			return;
		}
	}
	snprintf(text, sizeof(text), "\\u%04x", (unsigned)c);
	put(o, text, 6);
}

static void write_string(struct out *o, const char *s, size_t len)
{
	size_t from = 0;

	put(o, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)s[i] >= 0x20 && s[i] != '"' && s[i] != '\\')
			continue;
		put(o, s + from, i - from);
		write_escape(o, s[i]);
		from = i + 1;
	}
	put(o, s + from, len - from);
	put(o, "\"", 1);
}

/*
 * Names sort by their UTF-16 code units (RFC 8785, 3.2.3). In UTF-8 that is
 * the order of the bytes, but for characters above U+FFFF: their first byte
 * is the highest, while their surrogates come before U+E000 (0xEE).
 */
static unsigned utf16_rank(unsigned char c)
{
	return c == 0xee || c == 0xef ? c + 0x10u : c;
}

static int name_cmp(const void *a, const void *b)
{
	const unsigned char *x = *(const unsigned char *const *)a, *y = *(const unsigned char *const *)b;

	while (*x && *x == *y) {
		x++;
		y++;
	}
	return (int)utf16_rank(*x) - (int)utf16_rank(*y);
}

static int write_object(struct out *o, const json_t *object, int depth)
{
	size_t count = json_object_size(object), n = 0;
	const char **names = mem_new_array(count + 1, sizeof(*names));
	json_t *any = (json_t *)object;		/* jansson iterates over mutable objects only */
	int r = 0;

	for (void *it = json_object_iter(any); it; it = json_object_iter_next(any, it))
		names[n++] = json_object_iter_key(it);
	qsort(names, n, sizeof(*names), name_cmp);
	put(o, "{", 1);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (i)
			put(o, ",", 1);
		write_string(o, names[i], strlen(names[i]));
		put(o, ":", 1);
		r = write_value(o, json_object_get(object, names[i]), depth);
	}
	put(o, "}", 1);
	free(names);
	return r;
}

static int write_array(struct out *o, const json_t *array, int depth)
{
	int r = 0;

	put(o, "[", 1);
	for (size_t i = 0; i < json_array_size(array) && r == 0; i++) {
		if (i)
			put(o, ",", 1);
		r = write_value(o, json_array_get(array, i), depth);
	}
	put(o, "]", 1);
	return r;
}

static int write_integer(struct out *o, json_int_t v)
{
	char text[24];

	if (v > int_max || v < -int_max)
		return ERR_RANGE;
	put(o, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)v));
	return 0;
}

static int write_value(struct out *o, const json_t *value, int depth)
{
	if (depth == JCS_DEPTH_MAX && (json_is_object(value) || json_is_array(value)))
		return ERR_TOO_LONG;
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return write_object(o, value, depth + 1);
	case JSON_ARRAY:
		return write_array(o, value, depth + 1);
	case JSON_STRING:
		write_string(o, json_string_value(value), json_string_length(value));
		return 0;
	case JSON_INTEGER:
		return write_integer(o, json_integer_value(value));
	case JSON_REAL:
		return ERR_UNSUPPORTED;
	case JSON_TRUE:
		put(o, "true", 4);
		return 0;
	case JSON_FALSE:
		put(o, "false", 5);
		return 0;
	case JSON_NULL:
		put(o, "null", 4);
		return 0;
	}
	return ERR_UNSUPPORTED;
}

int jcs_write(char **ret, size_t *ret_len, const json_t *value)
{
	struct out o = { 0 };
	int r = write_value(&o, value, 0);

	if (r < 0) {
		free(o.p);
		return r;
	}
	put(&o, "", 1);
	*ret = o.p;
	*ret_len = o.len - 1;
	return 0;
}

/* -- reading --------------------------------------------------------------- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* `text` starts a number: check it, and give where it ends. */
static int check_number(const char **ret_end, const char *text, const char *end)
{
	const char *digits = text + (*text == '-'), *p = digits;
	json_int_t v = 0;

	for (; p < end && is_digit(*p); p++) {
		v = v * 10 + (*p - '0');
		if (v > int_max)
			return ERR_RANGE;
	}
	if (p < end && (*p == '.' || *p == 'e' || *p == 'E'))
		return ERR_MALFORMED;
	if (*text == '-' && v == 0)
		return ERR_MALFORMED;
	*ret_end = p;
	return 0;
}

/* Return where the string that starts at `p` ends; `end` when it does not. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\' && p + 1 < end)
			p++;
	return p < end ? p + 1 : end;
}

/* Look for what jansson would let through: numbers and depth. The rest is its to refuse. */
static int check_text(const char *text, size_t len)
{
	const char *p = text, *end = text + len;
	int depth = 0, r;

	while (p < end) {
		if (*p == '"') {
			p = skip_string(p, end);
			continue;
		}
		if (*p == '-' || is_digit(*p)) {
			r = check_number(&p, p, end);
			if (r < 0)
				return r;
			continue;
		}
		if (*p == '{' || *p == '[') {
			if (++depth > JCS_DEPTH_MAX)
				return ERR_TOO_LONG;
		} else if (*p == '}' || *p == ']') {
			depth--;
		}
		p++;
	}
	return 0;
}

int jcs_read(json_t **ret, const char *text, size_t len)
{
	json_t *value;
	int r = check_text(text, len);

	if (r < 0)
		return r;
	value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
	if (!value)
		return ERR_MALFORMED;
	*ret = value;
	return 0;
}

int jcs_read_canonical(json_t **ret, const char *text, size_t len)
{
	json_t *value = NULL;
	char *again;
	size_t again_len;
	int r = jcs_read(&value, text, len);

	if (r < 0)
		return r;
	r = jcs_write(&again, &again_len, value);
	if (r == 0) {
		if (again_len != len || memcmp(again, text, len) != 0)
			r = ERR_MISMATCH;
		free(again);
	}
	if (r < 0) {
		json_decref(value);
		return r;
	}
	*ret = value;
	return 0;
}
