/* What was carried: days, accounting periods over months and summer time, the schedule, the files. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/calendar.h>
#include <nonos/err.h>

#include "../../src/daemon/totals.h"

/* -- periods --------------------------------------------------------------------- */

static void zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

/* "2026-11-22 08:00" of the zone in force. */
static int64_t at(const char *text)
{
	struct tm tm = { .tm_isdst = -1 };

	assert_int_equal(sscanf(text, "%d-%d-%d %d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min), 5);
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t)mktime(&tm);
}

static struct period_start start_of(const char *text)
{
	struct period_start s;
	char err[200];

	assert_int_equal(period_start_parse(&s, text, err, sizeof(err)), 0);
	return s;
}

static void expect_period(const char *start, const char *now, const char *from, const char *to)
{
	struct period_start s = start_of(start);
	int64_t f, t;

	period_find(&f, &t, &s, at(now));
	assert_int_equal(f, at(from));
	assert_int_equal(t, at(to));
}

static void test_periods(void **state)
{
	(void)state;
	zone("UTC");
	expect_period("month 1 00:00", "2026-11-22 08:00", "2026-11-01 00:00", "2026-12-01 00:00");
	expect_period("month 1 00:00", "2026-12-31 23:59", "2026-12-01 00:00", "2027-01-01 00:00");
	expect_period("month 1 00:00", "2027-01-01 00:00", "2027-01-01 00:00", "2027-02-01 00:00");
	expect_period("month 15 12:00", "2026-11-15 11:59", "2026-10-15 12:00", "2026-11-15 12:00");
	expect_period("month 15 12:00", "2026-11-15 12:00", "2026-11-15 12:00", "2026-12-15 12:00");
	/* The 31st is the last day of a month that has none. */
	expect_period("month 31 00:00", "2026-02-27 10:00", "2026-01-31 00:00", "2026-02-28 00:00");
	expect_period("month 31 00:00", "2026-02-28 10:00", "2026-02-28 00:00", "2026-03-31 00:00");
	expect_period("month 31 00:00", "2026-03-01 10:00", "2026-02-28 00:00", "2026-03-31 00:00");
	expect_period("month 30 00:00", "2028-02-28 10:00", "2028-01-30 00:00", "2028-02-29 00:00");
	expect_period("month 29 00:00", "2100-03-01 00:00", "2100-02-28 00:00", "2100-03-29 00:00");
	expect_period("month 31 00:00", "2026-01-01 00:00", "2025-12-31 00:00", "2026-01-31 00:00");
	expect_period("week 1 00:00", "2026-11-22 23:59", "2026-11-16 00:00", "2026-11-23 00:00");	/* a Sunday */
	expect_period("week 7 06:00", "2026-11-22 05:59", "2026-11-15 06:00", "2026-11-22 06:00");
	expect_period("week 7 06:00", "2026-11-22 06:00", "2026-11-22 06:00", "2026-11-29 06:00");
	expect_period("day 04:00", "2026-03-01 03:00", "2026-02-28 04:00", "2026-03-01 04:00");
	expect_period("day 04:00", "2028-03-01 03:00", "2028-02-29 04:00", "2028-03-01 04:00");
}

/* Every hour of three years is in a period, and a period's bounds agree over all its hours. */
static void walk(const char *tz, const char *start)
{
	struct period_start s = start_of(start);
	int64_t from, to, last = 0;

	zone(tz);
	for (int64_t now = at("2026-01-01 00:00"); now < at("2029-01-01 00:00"); now += 3600) {
		period_find(&from, &to, &s, now);
		assert_true(from <= now && now < to);
		if (last)
			assert_true(last == to || last == from);
		last = to;
	}
}

static void test_periods_in_summer_time(void **state)
{
	static const char *const zones[] = { "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC",
					     "CET-1CEST,M3.5.0,M10.5.0/3" };
	static const char *const starts[] = { "day 02:30", "day 00:00", "week 7 02:30", "month 29 02:30", "month 1 00:00" };

	(void)state;
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
		for (size_t j = 0; j < sizeof(starts) / sizeof(starts[0]); j++)
			walk(zones[i], starts[j]);
	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	/* Months of 743 and 745 hours. */
	expect_period("month 1 00:00", "2026-03-29 12:00", "2026-03-01 00:00", "2026-04-01 00:00");
	assert_int_equal(at("2026-04-01 00:00") - at("2026-03-01 00:00"), 743 * 3600);
	assert_int_equal(at("2026-11-01 00:00") - at("2026-10-01 00:00"), 745 * 3600);
	assert_int_equal(calendar_date(at("2026-10-25 23:59")), 20261025);
}

static void test_bad_periods(void **state)
{
	static const char *const bad[] = {
		"", "month", "month 1", "month 0 00:00", "month 32 00:00", "week 8 00:00", "week 0 00:00", "day 24:00", "day 1 00:00",
		"day 0:0", "day 12:60", "day 12:00 x", "year 1 00:00", "month 1 00:000", "month -1 00:00", "month 1x 00:00",
	};
	struct period_start s;
	char err[200];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(period_start_parse(&s, bad[i], err, sizeof(err)), ERR_MALFORMED);
}

/* -- the schedule ------------------------------------------------------------------ */

static struct schedule_row row_of(const char *text)
{
	struct schedule_row r;
	const char *rate;
	char err[200];

	assert_int_equal(schedule_row_parse(&r, text, &rate, err, sizeof(err)), 0);
	assert_string_equal(rate, "X");
	return r;
}

static void expect_row(const struct schedule_row *rows, size_t n, const char *now, int which)
{
	const struct schedule_row *r = schedule_find(rows, n, at(now));

	assert_int_equal(r ? (int)(r - rows) : -1, which);
}

static void test_schedule(void **state)
{
	struct schedule_row rows[4];

	(void)state;
	zone("UTC");
	rows[0] = row_of("mon-fri 08:00-18:00 X");
	rows[1] = row_of("fri 22:00-06:00 X");
	rows[2] = row_of("sat,sun 00:00-24:00 X");
	assert_int_equal(rows[0].days, 0x1f);
	assert_int_equal(rows[2].days, 0x60);
	assert_int_equal(row_of("daily 00:00-24:00 X").days, 0x7f);
	assert_int_equal(row_of("sat-mon,wed 00:00-24:00 X").days, 0x65);
	expect_row(rows, 3, "2026-11-20 07:59", -1);	/* Friday */
	expect_row(rows, 3, "2026-11-20 08:00", 0);
	expect_row(rows, 3, "2026-11-20 17:59", 0);
	expect_row(rows, 3, "2026-11-20 18:00", -1);
	expect_row(rows, 3, "2026-11-20 23:59", 1);
	expect_row(rows, 3, "2026-11-21 05:59", 1);	/* Saturday, before its own row */
	expect_row(rows, 3, "2026-11-21 06:00", 2);
	expect_row(rows, 3, "2026-11-22 23:59", 2);
	expect_row(rows, 3, "2026-11-23 00:00", -1);
	expect_row(rows, 3, "2026-11-23 05:00", -1);
	expect_row(rows, 0, "2026-11-20 12:00", -1);
}

static void test_bad_schedules(void **state)
{
	static const char *const bad[] = {
		"", "mon", "mon 08:00-18:00", "mon 08:00 X", "mon 8-18 X", "mon 08:00-08:00 X", "mon 24:00-08:00 X", "mon 08:00-24:01 X",
		"mond 08:00-18:00 X", "mon- 08:00-18:00 X", "mon,,tue 08:00-18:00 X", "-fri 08:00-18:00 X", ",mon 08:00-18:00 X",
		"mon, 08:00-18:00 X", "08:00-18:00 mon X", "mon-fri-sun 08:00-18:00 X",
	};
	struct schedule_row r;
	const char *rate;
	char err[200];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(schedule_row_parse(&r, bad[i], &rate, err, sizeof(err)), ERR_MALFORMED);
}

/* -- counting ------------------------------------------------------------------------ */

static void test_days_and_periods(void **state)
{
	struct period_start start = start_of("month 31 00:00");
	struct relay_counters c = { .read_bytes = 0 };
	struct totals t = { .seq = 0 };
	int64_t now;
	unsigned resets = 0;

	(void)state;
	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	/* A year, 1,000 bytes read and 10 + 1 written each half hour. */
	for (now = at("2027-01-01 00:00"); now < at("2028-01-01 00:00"); now += 1800) {
		uint64_t before = t.accounting.read;

		c.read_bytes += 1000;
		c.written_bytes += 10;
		c.exit_written_bytes += 1;
		totals_update(&t, &c, &start, now);
		resets += t.accounting.read < before;
	}
	assert_int_equal(resets, 12);	/* on the last day of each month */
	assert_int_equal(t.n_days, TOTALS_DAYS);
	assert_int_equal(t.days[TOTALS_DAYS - 1].date, 20271231);
	assert_int_equal(t.days[TOTALS_DAYS - 1].read, 48000);
	assert_int_equal(t.days[0].date, 20271102);
	assert_int_equal(t.days[0].written, 48 * 11);
	assert_int_equal(t.counters.read_bytes, c.read_bytes);
	assert_int_equal(t.accounting.from_s, at("2027-12-31 00:00"));
	assert_int_equal(t.accounting.read, 48000);
	/* A clock that is set back, and an option that is changed, forget nothing. */
	totals_update(&t, &c, &start, at("2027-06-01 00:00"));
	assert_int_equal(t.accounting.read, 48000);
	start = start_of("day 00:00");
	totals_update(&t, &c, &start, at("2027-06-01 00:00"));
	assert_int_equal(t.accounting.read, 48000);
	assert_int_equal(t.accounting.to_s, at("2027-06-02 00:00"));
	totals_update(&t, &c, &start, at("2027-06-02 00:00"));
	assert_int_equal(t.accounting.read, 0);
	/* Sums that went back (a worker's, for a moment) count for nothing. */
	c.read_bytes -= 5000;
	totals_update(&t, &c, &start, at("2027-06-02 00:01"));
	assert_int_equal(t.accounting.read, 0);
}

static void test_limits(void **state)
{
	const uint64_t gb = 1000000000;
	struct accounting a = { .read = 90 * gb, .written = 60 * gb };

	(void)state;
	assert_int_equal(accounting_used(&a, ACCOUNTING_EACH), 90 * gb);
	assert_int_equal(accounting_used(&a, ACCOUNTING_SUM), 150 * gb);
	assert_int_equal(accounting_used(&a, ACCOUNTING_READ), 90 * gb);
	assert_int_equal(accounting_used(&a, ACCOUNTING_WRITTEN), 60 * gb);
	assert_int_equal(accounting_soft(1000000), 950000);
	assert_int_equal(accounting_soft(100 * gb), 100 * gb - gb / 2);
	assert_int_equal(accounting_state(&a, ACCOUNTING_EACH, 0), ACCOUNTING_OFF);
	assert_int_equal(accounting_state(&a, ACCOUNTING_EACH, 100 * gb), ACCOUNTING_OPEN);
	assert_int_equal(accounting_state(&a, ACCOUNTING_EACH, 90 * gb + gb / 4), ACCOUNTING_SOFT);
	assert_int_equal(accounting_state(&a, ACCOUNTING_EACH, 90 * gb), ACCOUNTING_HARD);
	assert_int_equal(accounting_state(&a, ACCOUNTING_WRITTEN, 90 * gb), ACCOUNTING_OPEN);
}

/* -- the text and the files ------------------------------------------------------------ */

static void fill(struct totals *t)
{
	*t = (struct totals){ .seq = UINT64_MAX / 3, .accounting = { 1, 2, (uint64_t)1 << 59, (uint64_t)1 << 59 } };
	for (size_t i = 0; i < sizeof(t->counters) / sizeof(uint64_t); i++)
		((uint64_t *)&t->counters)[i] = (uint64_t)1 << 57;
	for (t->n_days = 0; t->n_days < TOTALS_DAYS; t->n_days++)
		t->days[t->n_days] = (struct day_total){ 99991231, (uint64_t)1 << 59, (uint64_t)1 << 59 };
}

static void test_text(void **state)
{
	struct totals t, back = { .seq = 7 };
	char text[TOTALS_TEXT_CAP];
	size_t len;

	(void)state;
	fill(&t);
	len = totals_format(text, &t);	/* the longest there can be */
	assert_true(len < TOTALS_TEXT_CAP);
	for (size_t i = 0; i < len; i += 7)
		assert_int_equal(totals_parse(&back, text, i), ERR_MALFORMED);
	for (size_t i = 0; i < len; i += 11) {
		text[i] ^= 1;
		assert_int_equal(totals_parse(&back, text, len), ERR_MALFORMED);
		text[i] ^= 1;
	}
	assert_int_equal(back.seq, 7);
	assert_int_equal(totals_parse(&back, text, len), 0);
	assert_int_equal(back.seq, t.seq);
	assert_int_equal(back.n_days, TOTALS_DAYS);
	assert_int_equal(back.days[0].date, 99991231);
	assert_int_equal(back.days[TOTALS_DAYS - 1].written, t.days[0].written);
	assert_int_equal(back.accounting.to_s, 2);
	assert_int_equal(back.accounting.written, t.accounting.written);
	assert_int_equal(back.counters.read_bytes, t.counters.read_bytes);
	assert_int_equal(back.counters.links, 0);
}

static void remove_all(const char *dir)
{
	static const char *const names[] = { "totals", "totals.now", "totals.tmp" };
	char path[128];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(dir), 0);
}

static void spoil(const char *dir, const char *name, off_t offset)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "?", 1, offset), 1);
	close(fd);
}

static void test_files(void **state)
{
	char dir[] = "/tmp/nonos-totals-XXXXXX";
	struct totals_file *f;
	struct totals t, back;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(totals_open(&f, &t, "/nonexistent"), ERR_IO);
	assert_int_equal(totals_open(&f, &t, dir), ERR_NOT_FOUND);
	for (unsigned i = 1; i <= 10; i++) {
		t.counters.read_bytes = i;
		assert_int_equal(totals_write(f, &t, i == 5), 0);
	}
	totals_close(f);
	assert_int_equal(totals_open(&f, &back, dir), 0);
	assert_int_equal(back.counters.read_bytes, 10);
	totals_close(f);
	/* The last one was cut short: the one before it counts, then the flushed one, then nothing. */
	spoil(dir, "totals.now", 20);
	assert_int_equal(totals_open(&f, &back, dir), 0);
	assert_int_equal(back.counters.read_bytes, 9);
	totals_close(f);
	spoil(dir, "totals.now", TOTALS_TEXT_CAP + 20);
	assert_int_equal(totals_open(&f, &back, dir), 0);
	assert_int_equal(back.counters.read_bytes, 5);
	totals_close(f);
	spoil(dir, "totals", 20);
	assert_int_equal(totals_open(&f, &back, dir), ERR_NOT_FOUND);
	assert_int_equal(back.counters.read_bytes, 0);
	totals_close(f);
	remove_all(dir);
}

/* A child counts, says each number once it is written, and is killed at some moment. */
static void test_killed(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		char dir[] = "/tmp/nonos-totals-XXXXXX";
		struct totals_file *f;
		uint64_t shown = 0, next;
		struct totals t;
		int pipes[2];
		pid_t pid;

		assert_non_null(mkdtemp(dir));
		assert_int_equal(pipe(pipes), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			(void)totals_open(&f, &t, dir);
			for (;;) {
				t.counters.read_bytes++;
				if (totals_write(f, &t, t.counters.read_bytes % 16 == 0) < 0 ||
				    write(pipes[1], &t.counters.read_bytes, 8) != 8)
					_exit(1);
			}
		}
		close(pipes[1]);
		usleep((useconds_t)(2000 + 1371 * round));
		kill(pid, SIGKILL);
		while (read(pipes[0], &next, 8) == 8)
			shown = next;
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		close(pipes[0]);
		if (shown) {
			assert_int_equal(totals_open(&f, &t, dir), 0);
			assert_true(t.counters.read_bytes >= shown && t.counters.read_bytes <= shown + 1);
			totals_close(f);
		}
		remove_all(dir);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_periods), cmocka_unit_test(test_periods_in_summer_time), cmocka_unit_test(test_bad_periods),
		cmocka_unit_test(test_schedule), cmocka_unit_test(test_bad_schedules), cmocka_unit_test(test_days_and_periods),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_text), cmocka_unit_test(test_files), cmocka_unit_test(test_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
