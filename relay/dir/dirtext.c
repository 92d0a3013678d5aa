#include "config.h"

#include "dirtext.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <nonos/encode.h>
#include <nonos/err.h>

static bool is_keyword_char(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c == '-' && !first);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* Cut the line at t->p, its newline excluded. A document ends with a newline. */
static int take_line(struct dirtext *t, struct span *ret)
{
	const char *nl = memchr(t->p, '\n', (size_t)(t->end - t->p));

	if (!nl || memchr(t->p, '\0', (size_t)(nl - t->p)))
		return ERR_MALFORMED;
	*ret = (struct span){ t->p, (size_t)(nl - t->p) };
	t->p = nl + 1;
	return 0;
}

static const char begin_mark[] = "-----BEGIN ", end_mark[] = "-----END ";

static bool span_starts(struct span s, const char *prefix, size_t len)
{
	return s.len >= len && memcmp(s.p, prefix, len) == 0;
}

/* An object, when one follows: both its lines must carry the same label. */
static int take_object(struct dirtext *t, struct span *ret)
{
	const char *start = t->p;
	struct span begin, line;
	size_t tail;
	int r;

	*ret = (struct span){ NULL, 0 };
	if (!span_starts((struct span){ t->p, (size_t)(t->end - t->p) }, begin_mark, sizeof(begin_mark) - 1))
		return 0;
	r = take_line(t, &begin);
	if (r < 0)
		return r;
	tail = begin.len - (sizeof(begin_mark) - 1);
	do {
		r = take_line(t, &line);
		if (r < 0)
			return r;
	} while (!span_starts(line, end_mark, sizeof(end_mark) - 1));
	if (line.len != sizeof(end_mark) - 1 + tail ||
	    memcmp(line.p + sizeof(end_mark) - 1, begin.p + sizeof(begin_mark) - 1, tail) != 0)
		return ERR_MALFORMED;
	*ret = (struct span){ start, (size_t)(t->p - start) };
	return 0;
}

int dirtext_next(struct dirtext *t, struct dir_item *ret)
{
	struct dir_item it;
	struct span line;
	size_t n = 0;
	int r;

	while (t->p < t->end && *t->p == '\n')
		t->p++;
	if (t->p == t->end)
		return ERR_NOT_FOUND;
	r = take_line(t, &line);
	if (r < 0)
		return r;
	while (n < line.len && is_keyword_char(line.p[n], n == 0))
		n++;
	if (n == 0 || (n < line.len && !is_space(line.p[n])))
		return ERR_MALFORMED;
	it.start = line.p;
	it.keyword = (struct span){ line.p, n };
	while (n < line.len && is_space(line.p[n]))
		n++;
	it.args = (struct span){ line.p + n, line.len - n };
	r = take_object(t, &it.object);
	if (r < 0)
		return r;
	*ret = it;
	return 0;
}

bool span_eq(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

bool dir_item_is(const struct dir_item *it, const char *keyword)
{
	return span_eq(it->keyword, keyword);
}

bool dir_arg(struct dir_item *it, struct span *ret)
{
	struct span *a = &it->args;
	size_t n = 0;

	while (a->len && is_space(*a->p)) {
		a->p++;
		a->len--;
	}
	while (n < a->len && !is_space(a->p[n]))
		n++;
	if (n == 0)
		return false;
	*ret = (struct span){ a->p, n };
	a->p += n;
	a->len -= n;
	return true;
}

int span_u64(struct span s, uint64_t *ret, uint64_t max)
{
	uint64_t v = 0;

	if (s.len == 0)
		return ERR_MALFORMED;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned char)s.p[i] - '0';

		if (digit > 9)
			return ERR_MALFORMED;
		if (v > max / 10 || digit > max - v * 10)
			return ERR_RANGE;
		v = v * 10 + digit;
	}
	*ret = v;
	return 0;
}

int dir_arg_u64(struct dir_item *it, uint64_t *ret, uint64_t max)
{
	struct span s;

	return dir_arg(it, &s) ? span_u64(s, ret, max) : ERR_MALFORMED;
}

int dir_arg_hex(struct dir_item *it, void *out, size_t len)
{
	struct span s;

	return dir_arg(it, &s) ? hex_decode(out, len, s.p, s.len) : ERR_MALFORMED;
}

int dir_arg_base64(struct dir_item *it, void *out, size_t len)
{
	struct span s;

	return dir_arg(it, &s) ? base64_decode_exact(out, len, s.p, s.len) : ERR_MALFORMED;
}

int dir_arg_time(struct dir_item *it, int64_t *ret)
{
	struct span date, time;

	if (!dir_arg(it, &date) || !dir_arg(it, &time) || time.p != date.p + date.len + 1)
		return ERR_MALFORMED;
	return dir_time_parse(ret, date.p, date.len + 1 + time.len);
}

int dir_object(const struct dir_item *it, const char *label, uint8_t *out, size_t cap, size_t *ret_len)
{
	size_t len, used;
	int r;

	if (!it->object.p)
		return ERR_MALFORMED;
	r = pem_decode(out, cap, &len, &used, label, it->object.p, it->object.len);
	if (r < 0)
		return r;
	if (used != it->object.len)
		return ERR_MALFORMED;
	*ret_len = len;
	return 0;
}

const char *dir_find_line(const char *text, size_t len, const char *keyword)
{
	size_t klen = strlen(keyword);
	const char *p = text, *end = text + len;

	while ((size_t)(end - p) > klen) {
		if (memcmp(p, keyword, klen) == 0 && (p[klen] == '\n' || is_space(p[klen])))
			return p;
		p = memchr(p, '\n', (size_t)(end - p));
		if (!p)
			return NULL;
		p++;
	}
	return NULL;
}

static int take_digits(const char *p, size_t n, unsigned *ret)
{
	unsigned v = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return ERR_MALFORMED;
		v = v * 10 + (unsigned)(p[i] - '0');
	}
	*ret = v;
	return 0;
}

static bool is_leap(unsigned year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int dir_time_parse(int64_t *ret, const char *text, size_t len)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	static const struct { uint8_t at, n; } fields[] = { { 0, 4 }, { 5, 2 }, { 8, 2 }, { 11, 2 }, { 14, 2 }, { 17, 2 } };
	unsigned v[6];
	struct tm tm = { 0 };

	if (len != DIR_TIME_LEN || text[4] != '-' || text[7] != '-' || text[10] != ' ' ||
	    text[13] != ':' || text[16] != ':')
		return ERR_MALFORMED;
	for (size_t i = 0; i < 6; i++)
		if (take_digits(text + fields[i].at, fields[i].n, &v[i]) < 0)
			return ERR_MALFORMED;
	if (v[0] < 1970 || v[1] < 1 || v[1] > 12 || v[2] < 1 ||
	    v[2] > days[v[1] - 1] + (v[1] == 2 && is_leap(v[0]) ? 1u : 0u) || v[3] > 23 || v[4] > 59 || v[5] > 60)
		return ERR_RANGE;
	tm.tm_year = (int)v[0] - 1900;
	tm.tm_mon = (int)v[1] - 1;
	tm.tm_mday = (int)v[2];
	tm.tm_hour = (int)v[3];
	tm.tm_min = (int)v[4];
	tm.tm_sec = (int)v[5];
	*ret = timegm(&tm);
	return 0;
}

void dir_time_format(char out[DIR_TIME_LEN + 1], int64_t when)
{
	time_t t = when;
	struct tm tm;

	/* Only a year beyond 9999 would not fit; none gets past dir_time_parse(). */
	if (!gmtime_r(&t, &tm) || strftime(out, DIR_TIME_LEN + 1, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(out, DIR_TIME_LEN + 1, "1970-01-01 00:00:00");
}
