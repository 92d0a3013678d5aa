#include "config.h"

#include <nonos/encode.h>

#include <stdio.h>
#include <string.h>

#include <nonos/err.h>

static void hex_with(char *out, const void *data, size_t len, const char *digits)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * len] = '\0';
}

void hex_encode(char *out, const void *data, size_t len)
{
	hex_with(out, data, len, "0123456789abcdef");
}

void hex_encode_upper(char *out, const void *data, size_t len)
{
	hex_with(out, data, len, "0123456789ABCDEF");
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_decode(void *out, size_t len, const char *text, size_t text_len)
{
	uint8_t *p = out;

	if (text_len % 2 || text_len / 2 != len)
		return ERR_MALFORMED;
	for (size_t i = 0; i < text_len; i++)
		if (hex_digit(text[i]) < 0)
			return ERR_MALFORMED;
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
	return 0;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(char *out, const void *data, size_t len, bool padded)
{
	const uint8_t *p = data;
	char *o = out;

	while (len >= 3) {
		*o++ = base64_digits[p[0] >> 2];
		*o++ = base64_digits[(p[0] & 3) << 4 | p[1] >> 4];
		*o++ = base64_digits[(p[1] & 15) << 2 | p[2] >> 6];
		*o++ = base64_digits[p[2] & 63];
		p += 3;
		len -= 3;
	}
	if (len) {
		uint8_t second = len == 2 ? p[1] : 0;

		*o++ = base64_digits[p[0] >> 2];
		*o++ = base64_digits[(p[0] & 3) << 4 | second >> 4];
		if (len == 2)
			*o++ = base64_digits[(second & 15) << 2];
		else if (padded)
			*o++ = '=';
		if (padded)
			*o++ = '=';
	}
	*o = '\0';
	return (size_t)(o - out);
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	return -1;
}

int base64_decode(void *out, size_t cap, size_t *ret_len, const char *text, size_t text_len)
{
	uint8_t *o = out;
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t n = 0;

	if (text_len && text_len % 4 == 0 && text[text_len - 1] == '=') {
		text_len--;
		if (text[text_len - 1] == '=')
			text_len--;
	}
	if (text_len % 4 == 1)
		return ERR_MALFORMED;
	for (size_t i = 0; i < text_len; i++) {
		int v = base64_digit(text[i]);

		if (v < 0)
			return ERR_MALFORMED;
		acc = acc << 6 | (uint32_t)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			if (n == cap)
				return ERR_TOO_LONG;
			o[n++] = (uint8_t)(acc >> bits);
		}
	}
	if (acc & ((1u << bits) - 1))
		return ERR_MALFORMED;
	*ret_len = n;
	return 0;
}

int base64_decode_exact(void *out, size_t len, const char *text, size_t text_len)
{
	size_t got = 0;
	int r = base64_decode(out, len, &got, text, text_len);

	if (r < 0)
		return r == ERR_TOO_LONG ? ERR_MALFORMED : r;
	return got == len ? 0 : ERR_MALFORMED;
}

size_t pem_encode(char *out, size_t cap, const char *label, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t n = (size_t)snprintf(out, cap, "-----BEGIN %s-----\n", label);

	while (len) {
		size_t part = len < 48 ? len : 48;

		n += base64_encode(out + n, p, part, true);
		out[n++] = '\n';
		p += part;
		len -= part;
	}
	return n + (size_t)snprintf(out + n, cap - n, "-----END %s-----\n", label);
}

int pem_decode(void *out, size_t cap, size_t *ret_len, size_t *ret_used, const char *label,
	       const char *text, size_t text_len)
{
	char begin[64], end[64];
	size_t begin_len = (size_t)snprintf(begin, sizeof(begin), "-----BEGIN %s-----", label);
	size_t end_len = (size_t)snprintf(end, sizeof(end), "-----END %s-----", label);
	const char *limit = text + text_len, *p = text, *stop;
	size_t got = 0;
	uint8_t *o = out;

	if (begin_len >= sizeof(begin) || text_len < begin_len || memcmp(p, begin, begin_len) != 0)
		return ERR_MALFORMED;
	p += begin_len;
	stop = memmem(p, (size_t)(limit - p), end, end_len);
	if (!stop)
		return ERR_MALFORMED;
	/* Groups of four digits, line ends anywhere between digits. */
	while (p < stop) {
		char group[4];
		size_t n = 0, bytes;
		int r;

		while (p < stop && n < 4) {
			if (*p != '\n' && *p != '\r')
				group[n++] = *p;
			p++;
		}
		if (n == 0)
			break;
		/* The last group may lack its padding: dir-spec 2.1.1 takes it off certificates. */
		r = base64_decode(o + got, cap - got, &bytes, group, n);
		if (r < 0)
			return r;
		got += bytes;
		if (bytes < 3) {
			while (p < stop && (*p == '\n' || *p == '\r'))
				p++;
			if (p != stop)
				return ERR_MALFORMED;
		}
	}
	p = stop + end_len;
	if (p < limit && *p == '\r')
		p++;
	if (p < limit && *p == '\n')
		p++;
	*ret_len = got;
	if (ret_used)
		*ret_used = (size_t)(p - text);
	return 0;
}
