/*
 * What the relay has carried, as its descriptor tells it (dir-spec 2.1.1,
 * "bandwidth" and "read-history"): the best ten seconds of each of the last
 * five days, and totals of 24 hours. Pure, but for the text that keeps it
 * over a restart.
 */
#ifndef DAEMON_BANDWIDTH_H
#define DAEMON_BANDWIDTH_H

#include <stddef.h>
#include <stdint.h>

enum { BANDWIDTH_WINDOW_S = 10, BANDWIDTH_DAYS = 5, BANDWIDTH_DAY_S = 86400, BANDWIDTH_TEXT_CAP = 2048 };

struct bandwidth {
	/* the last seconds, a ring by second */
	uint64_t read_s[BANDWIDTH_WINDOW_S], write_s[BANDWIDTH_WINDOW_S];
	int64_t last_s;			/* wall second of the last update; 0: none */
	int64_t window_from_s;		/* no window before this second is whole */
	uint64_t read_total, write_total;	/* as last told */
	/* best window of a day, bytes a second; [0] is the current day */
	uint64_t read_peak[BANDWIDTH_DAYS], write_peak[BANDWIDTH_DAYS];
	int64_t day_end_s;		/* when the current day ends */
	/* finished days, oldest first, and the current one */
	uint64_t read_days[BANDWIDTH_DAYS], write_days[BANDWIDTH_DAYS];
	size_t n_days;
	uint64_t read_today, write_today;
};

void bandwidth_init(struct bandwidth *b, int64_t now_s);

/* Take in the running totals; about once a second. Totals never go back; the clock may jump. */
void bandwidth_update(struct bandwidth *b, int64_t now_s, uint64_t read_total, uint64_t write_total);

/* Somebody set the wall clock by so much: no day has passed by that. */
void bandwidth_clock_set(struct bandwidth *b, int64_t step_s);

/* The lesser of the best sustained reading and writing, bytes a second. */
uint64_t bandwidth_observed(const struct bandwidth *b);

/* Bytes a second of late: the mean of a ring of the last seconds (read_s, write_s). */
uint64_t bandwidth_now(const uint64_t ring[BANDWIDTH_WINDOW_S]);

/* The end of the last finished day; its totals are read_days[n_days - 1] and so on. */
int64_t bandwidth_history_end(const struct bandwidth *b);

/* To and from the text kept on disk. A text that is not ours is ERR_MALFORMED and changes nothing. */
size_t bandwidth_format(char out[BANDWIDTH_TEXT_CAP], const struct bandwidth *b);
int bandwidth_parse(struct bandwidth *b, const char *text, size_t len, int64_t now_s);

/* Read and replace `data_dir`/bandwidth. No file is ERR_NOT_FOUND. */
int bandwidth_load(struct bandwidth *b, const char *data_dir, int64_t now_s);
int bandwidth_save(const struct bandwidth *b, const char *data_dir);

#endif
