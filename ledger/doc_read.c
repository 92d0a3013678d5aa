#include "config.h"

#include <nonos/doc_read.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <nonos/encode.h>
#include <nonos/err.h>

int doc_fail(char why[DOC_WHY_CAP], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, DOC_WHY_CAP, fmt, ap);
	va_end(ap);
	return ERR_MALFORMED;
}

int doc_only(char *why, const char *where, const json_t *object, const char *const *known)
{
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return doc_fail(why, "%s is missing, or not an object", where);
	json_object_foreach((json_t *)object, name, value) {
		const char *const *k = known;

		while (*k && strcmp(*k, name) != 0)
			k++;
		if (!*k)
			return doc_fail(why, "%s has an unknown member \"%.40s\"", where, name);
	}
	return 0;
}

int doc_u53(uint64_t *ret, char *why, const char *where, const json_t *object, const char *name, uint64_t max)
{
	const json_t *v = json_object_get(object, name);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || (uint64_t)n > max)
		return doc_fail(why, "%s.%s is missing, or not a whole number up to %llu", where, name,
				(unsigned long long)max);
	*ret = (uint64_t)n;
	return 0;
}

int doc_u32(uint32_t *ret, char *why, const char *where, const json_t *object, const char *name, uint32_t max)
{
	uint64_t n;
	int r = doc_u53(&n, why, where, object, name, max);

	if (r == 0)
		*ret = (uint32_t)n;
	return r;
}

int doc_amount(struct amount *ret, char *why, const char *where, const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		*ret = amount_u64((uint64_t)json_integer_value(v));
		return 0;
	}
	if (!json_is_string(v) || amount_parse(ret, json_string_value(v), json_string_length(v)) < 0)
		return doc_fail(why, "%s.%s is missing, or not an amount in whole units", where, name);
	return 0;
}

int doc_address(struct eth_addr *ret, char *why, const char *where, const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	if (!json_is_string(v) || eth_addr_parse(ret, json_string_value(v), json_string_length(v)) < 0)
		return doc_fail(why, "%s.%s is missing, or not an address, or one with a wrong checksum", where, name);
	return 0;
}

int doc_hex(void *ret, size_t len, char *why, const char *where, const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);
	const char *text = json_string_value(v);

	if (!text || json_string_length(v) != 2 * len + 2 || memcmp(text, "0x", 2) != 0 ||
	    strpbrk(text + 2, "ABCDEF") || hex_decode(ret, len, text + 2, 2 * len) < 0)
		return doc_fail(why, "%s.%s is missing, or not 0x and %zu lower-case hexadecimal digits", where, name,
				2 * len);
	return 0;
}

int doc_text(char *ret, size_t cap, char *why, const char *where, const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);
	size_t len = json_string_length(v);

	if (!json_is_string(v) || len >= cap || strlen(json_string_value(v)) != len)
		return doc_fail(why, "%s.%s is missing, or not a text of less than %zu bytes", where, name, cap);
	memcpy(ret, json_string_value(v), len + 1);
	return 0;
}
