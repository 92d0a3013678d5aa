#include "config.h"

#include <nonos/calendar.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <nonos/err.h>

enum { DAY_MIN = 24 * 60 };

/* -- words ----------------------------------------------------------------------- */

static const char *const day_names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

/* Take the word at *text, up to a space, with the spaces behind it. */
static size_t take_word(const char **ret, const char **text)
{
	size_t len = strcspn(*text, " \t");

	*ret = *text;
	*text += len;
	*text += strspn(*text, " \t");
	return len;
}

static bool word_is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(word, name, len) == 0;
}

/* One or two digits up to `max`. */
static bool take_small(unsigned *ret, const char **p, const char *end, unsigned max)
{
	unsigned v = 0;
	size_t n = 0;

	for (; *p < end && **p >= '0' && **p <= '9' && n < 2; n++)
		v = v * 10 + (unsigned)(*(*p)++ - '0');
	*ret = v;
	return n > 0 && v <= max;
}

/* "08:00"; "24:00" where that may end something. */
static bool take_clock(unsigned *ret_minutes, const char **p, const char *end, bool may_be_24)
{
	unsigned hour, minute;
	const char *begin;

	if (!take_small(&hour, p, end, may_be_24 ? 24 : 23) || *p == end || *(*p)++ != ':')
		return false;
	begin = *p;
	if (!take_small(&minute, p, end, 59) || *p - begin != 2 || (hour == 24 && minute))
		return false;
	*ret_minutes = hour * 60 + minute;
	return true;
}

/* -- periods --------------------------------------------------------------------- */

static bool parse_start(struct period_start *s, const char *text)
{
	static const struct { const char *name; unsigned days; } units[] = { { "day", 0 }, { "week", 7 }, { "month", 31 } };
	unsigned unit = 0, day = 0, minutes;
	const char *word, *p;
	size_t len = take_word(&word, &text);

	while (unit < 3 && !word_is(word, len, units[unit].name))
		unit++;
	if (unit == 3)
		return false;
	if (units[unit].days) {
		len = take_word(&word, &text);
		p = word;
		if (!take_small(&day, &p, word + len, units[unit].days) || p != word + len || day == 0)
			return false;
	}
	len = take_word(&word, &text);
	p = word;
	if (!take_clock(&minutes, &p, word + len, false) || p != word + len || *text)
		return false;
	*s = (struct period_start){
		.unit = (uint8_t)unit, .day = (uint8_t)day, .hour = (uint8_t)(minutes / 60), .minute = (uint8_t)(minutes % 60),
	};
	return true;
}

int period_start_parse(struct period_start *ret, const char *text, char *err, size_t err_cap)
{
	struct period_start s;

	if (!parse_start(&s, text)) {
		snprintf(err, err_cap, "must be \"day HH:MM\", \"week D HH:MM\" (1 is Monday) or \"month D HH:MM\" (1 to 31)");
		return ERR_MALFORMED;
	}
	*ret = s;
	return 0;
}

static int days_of_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month] + (month == 1 && leap);
}

/* The begin of the period `shift` units after the one of the day of `now`. */
static int64_t begin_of(const struct period_start *s, const struct tm *now, int shift)
{
	struct tm tm = { .tm_year = now->tm_year, .tm_mon = now->tm_mon, .tm_mday = now->tm_mday,
			 .tm_hour = s->hour, .tm_min = s->minute, .tm_isdst = -1 };
	int months, days;

	switch ((enum period_unit)s->unit) {
	case PERIOD_DAY:
		tm.tm_mday += shift;
		break;
	case PERIOD_WEEK:
		tm.tm_mday += s->day - ((now->tm_wday + 6) % 7 + 1) + 7 * shift;
		break;
	case PERIOD_MONTH:
		months = (now->tm_year + 1900) * 12 + now->tm_mon + shift;
		tm.tm_year = months / 12 - 1900;
		tm.tm_mon = months % 12;
		days = days_of_month(months / 12, tm.tm_mon);
		tm.tm_mday = s->day < days ? s->day : days;
		break;
	}
	/* mktime() finds whether summer time holds then, and mends an hour that does not exist. */
	return (int64_t)mktime(&tm);
}

void period_find(int64_t *ret_from, int64_t *ret_to, const struct period_start *start, int64_t now)
{
	time_t t = (time_t)now;
	int64_t from;
	struct tm tm;
	int shift = -2;

	localtime_r(&t, &tm);
	from = begin_of(start, &tm, shift);
	for (;;) {
		int64_t next = begin_of(start, &tm, ++shift);

		if (next > now || shift > 3) {
			*ret_from = from;
			*ret_to = next;
			return;
		}
		from = next;
	}
}

uint32_t calendar_date(int64_t now)
{
	time_t t = (time_t)now;
	struct tm tm;

	localtime_r(&t, &tm);
	return (uint32_t)(tm.tm_year + 1900) * 10000 + (uint32_t)(tm.tm_mon + 1) * 100 + (uint32_t)tm.tm_mday;
}

/* -- the schedule ------------------------------------------------------------------ */

static int find_day(const char *word, size_t len)
{
	for (int i = 0; i < 7; i++)
		if (word_is(word, len, day_names[i]))
			return i;
	return -1;
}

/* "mon", "mon-fri", "sat-mon". */
static uint8_t parse_span(const char *word, size_t len)
{
	const char *dash = memchr(word, '-', len);
	size_t head = dash ? (size_t)(dash - word) : len;
	int from = find_day(word, head), to = dash ? find_day(dash + 1, len - head - 1) : from;
	uint8_t days = 0;

	if (from < 0 || to < 0)
		return 0;
	for (int i = from;; i = (i + 1) % 7) {
		days = (uint8_t)(days | 1 << i);
		if (i == to)
			return days;
	}
}

/* 0: not a list of days. */
static uint8_t parse_days(const char *word, size_t len)
{
	uint8_t days = 0;

	if (word_is(word, len, "daily"))
		return 0x7f;
	for (;;) {
		const char *comma = memchr(word, ',', len);
		size_t head = comma ? (size_t)(comma - word) : len;
		uint8_t span = parse_span(word, head);

		if (span == 0)
			return 0;
		days |= span;
		if (!comma)
			return days;
		word = comma + 1;
		len -= head + 1;
	}
}

static bool parse_hours(struct schedule_row *r, const char *word, size_t len)
{
	const char *p = word, *end = word + len;
	unsigned from, to;

	if (!take_clock(&from, &p, end, false) || p == end || *p++ != '-' || !take_clock(&to, &p, end, true) ||
	    p != end || from == to)
		return false;
	r->from = (uint16_t)from;
	r->to = (uint16_t)to;
	return true;
}

int schedule_row_parse(struct schedule_row *ret, const char *text, const char **ret_rate, char *err, size_t err_cap)
{
	struct schedule_row r = { 0 };
	const char *days, *hours;
	size_t days_len = take_word(&days, &text), hours_len = take_word(&hours, &text);

	r.days = parse_days(days, days_len);
	if (r.days == 0 || !parse_hours(&r, hours, hours_len) || !*text) {
		snprintf(err, err_cap, "must be days, hours and a rate: \"mon-fri 08:00-18:00 2 MB/s\", \"sat,sun 00:00-24:00 0\" "
			 "or \"daily 22:00-06:00 10 MB/s\"");
		return ERR_MALFORMED;
	}
	*ret = r;
	*ret_rate = text;
	return 0;
}

static bool is_in(const struct schedule_row *r, unsigned day, unsigned minute)
{
	bool today = r->days >> day & 1, yesterday = r->days >> (day + 6) % 7 & 1;

	if (r->from < r->to)
		return today && minute >= r->from && minute < r->to;
	return (today && minute >= r->from) || (yesterday && minute < r->to);
}

const struct schedule_row *schedule_find(const struct schedule_row *rows, size_t n, int64_t now)
{
	time_t t = (time_t)now;
	unsigned day, minute;
	struct tm tm;

	localtime_r(&t, &tm);
	day = (unsigned)(tm.tm_wday + 6) % 7;
	minute = (unsigned)(tm.tm_hour * 60 + tm.tm_min) % DAY_MIN;
	for (size_t i = 0; i < n; i++)
		if (is_in(&rows[i], day, minute))
			return &rows[i];
	return NULL;
}
