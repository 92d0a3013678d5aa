/*
 * Days and hours of the configuration: when an accounting period begins, and
 * which rate the schedule has for an hour. All in the local time of the machine (TZ,
 * /etc/localtime), as an operator and a provider's bill mean it: a day may have 23 or 25 hours. Pure.
 */
#ifndef NONOS_CALENDAR_H
#define NONOS_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* -- periods -------------------------------------------------------------------- */

enum period_unit { PERIOD_DAY, PERIOD_WEEK, PERIOD_MONTH };

struct period_start {
	uint8_t unit;		/* enum period_unit */
	uint8_t day;		/* of the week, Monday is 1; of the month, one that it does not have is its last */
	uint8_t hour, minute;
};

/* "day 04:00", "week 1 00:00", "month 15 00:00". On failure `err` says what is allowed. */
int period_start_parse(struct period_start *ret, const char *text, char *err, size_t err_cap);

/* The period that `now` is in: from *ret_from until just before *ret_to. */
void period_find(int64_t *ret_from, int64_t *ret_to, const struct period_start *start, int64_t now);

/* The date as a number, 20261122. */
uint32_t calendar_date(int64_t now);

/* -- the schedule ------------------------------------------------------------------ */

struct schedule_row {
	uint8_t days;		/* bit 0 is Monday */
	uint16_t from, to;	/* minutes of the day; `to` is not in it, and on the next day when it is the lesser */
	uint64_t rate;		/* bytes a second; 0: no limit */
};

/*
 * The front of "mon-fri 08:00-18:00 2 MB/s", "sat,sun 00:00-24:00 0", "daily 22:00-06:00 0": *ret_rate is
 * where the rate begins.
 */
int schedule_row_parse(struct schedule_row *ret, const char *text, const char **ret_rate, char *err, size_t err_cap);

/* The first row that `now` is in, or NULL. */
const struct schedule_row *schedule_find(const struct schedule_row *rows, size_t n, int64_t now);

#endif
