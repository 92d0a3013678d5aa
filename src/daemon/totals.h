/*
 * What the relay has carried and done since it was first started: the totals
 * of struct relay_counters, bytes by day, and those of the accounting period. Kept
 * so that what was shown to anybody never becomes less, whatever ends the process:
 *
 *   data_dir/totals.now   written each second, before anybody is shown the same numbers: two
 *                         places in turn, so that a write cut short spoils one. Not
 *                         flushed: the end of the process does not matter to it.
 *   data_dir/totals       written whole and flushed each minute and at the end. A machine that
 *                         loses power goes back by that minute at most.
 *
 * The best of the three that is whole counts at the next start.
 */
#ifndef DAEMON_TOTALS_H
#define DAEMON_TOTALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/calendar.h>
#include <nonos/relay.h>

enum { TOTALS_DAYS = 60, TOTALS_TEXT_CAP = 24576, TOTALS_FLUSH_MS = 60000 };

struct day_total {
	uint32_t date;		/* calendar_date() */
	uint64_t read, written;
};

/* How much of accounting_max counts as used. */
enum accounting_rule { ACCOUNTING_EACH, ACCOUNTING_SUM, ACCOUNTING_READ, ACCOUNTING_WRITTEN };

enum accounting_state {
	ACCOUNTING_OFF,		/* there is no limit */
	ACCOUNTING_OPEN,
	ACCOUNTING_SOFT,	/* near the end: no new circuits */
	ACCOUNTING_HARD,	/* used up */
};

struct accounting {
	int64_t from_s, to_s;	/* the period; 0: none yet */
	uint64_t read, written;
};

struct totals {
	uint64_t seq;
	struct relay_counters counters;		/* gauges are 0 */
	struct day_total days[TOTALS_DAYS];	/* oldest first; the last is today */
	size_t n_days;
	struct accounting accounting;
};

/* Take in the sums as they are now. Bytes count for the day and period of `now`. */
void totals_update(struct totals *t, const struct relay_counters *now_counters, const struct period_start *start,
		   int64_t now);

uint64_t accounting_used(const struct accounting *a, enum accounting_rule rule);

/* Where new circuits end: 5 % before `max`, but 500 MB at most. */
uint64_t accounting_soft(uint64_t max);
enum accounting_state accounting_state(const struct accounting *a, enum accounting_rule rule, uint64_t max);

/* To and from text. One that is not whole is ERR_MALFORMED and changes nothing. */
size_t totals_format(char out[TOTALS_TEXT_CAP], const struct totals *t);
int totals_parse(struct totals *ret, const char *text, size_t len);

/* -- the files -------------------------------------------------------------------- */

struct totals_file;

/* Read what there is (ERR_NOT_FOUND: nothing) and open for writing. *ret is always set but on ERR_IO. */
int totals_open(struct totals_file **ret, struct totals *t, const char *data_dir);
void totals_close(struct totals_file *f);	/* NULL is fine */

/* Write the next one; `flush`: so that it outlives the machine. */
int totals_write(struct totals_file *f, struct totals *t, bool flush);

#endif
