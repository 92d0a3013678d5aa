/* Done by hand because the C library's names of days and months depend on the locale. */
#include "config.h"

#include "http_date.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <nonos/err.h>

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

const char *http_date_format(char out[HTTP_DATE_CAP], int64_t t)
{
	time_t when = t < 0 ? 0 : t > 253402300799 ? 253402300799 : (time_t)t;
	struct tm tm;

	gmtime_r(&when, &tm);
	snprintf(out, HTTP_DATE_CAP, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + 3 * tm.tm_wday,
		 tm.tm_mday % 100u, months + 3 * tm.tm_mon, (tm.tm_year + 1900) % 10000u, tm.tm_hour % 100u,
		 tm.tm_min % 100u, tm.tm_sec % 100u);
	return out;
}

/* The three letters' place in `names`, or -1. */
static int name_index(const char *names, const char *text)
{
	for (int i = 0; names[3 * i]; i++)
		if (memcmp(names + 3 * i, text, 3) == 0)
			return i;
	return -1;
}

/* A number of exactly `n` digits, or -1. */
static int digits(const char *text, size_t n)
{
	int v = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		v = 10 * v + (text[i] - '0');
	}
	return v;
}

int http_date_parse(int64_t *ret, const char *text, size_t len)
{
	/* Letters and digits stand for what is read below. */
	static const char form[] = "www, dd mmm yyyy hh:mm:ss GMT";
	struct tm tm = { 0 }, back;
	time_t t;

	if (len != sizeof(form) - 1 || memcmp(text + 25, " GMT", 4) != 0 || memcmp(text + 3, ", ", 2) != 0 ||
	    text[7] != ' ' || text[11] != ' ' || text[16] != ' ' || text[19] != ':' || text[22] != ':')
		return ERR_MALFORMED;
	tm.tm_mday = digits(text + 5, 2);
	tm.tm_mon = name_index(months, text + 8);
	tm.tm_year = digits(text + 12, 4) - 1900;
	tm.tm_hour = digits(text + 17, 2);
	tm.tm_min = digits(text + 20, 2);
	tm.tm_sec = digits(text + 23, 2);
	if (name_index(days, text) < 0 || tm.tm_mday < 1 || tm.tm_mon < 0 || tm.tm_year < 70 || tm.tm_hour < 0 ||
	    tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 59)
		return ERR_MALFORMED;
	t = timegm(&tm);
	/* 31 April would be taken for 1 May. */
	if (!gmtime_r(&t, &back) || back.tm_mday != digits(text + 5, 2))
		return ERR_MALFORMED;
	*ret = t;
	return 0;
}
