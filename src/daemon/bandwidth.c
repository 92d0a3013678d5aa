#include "config.h"

#include "bandwidth.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/bytes.h>
#include <nonos/err.h>
#include <nonos/mem.h>

void bandwidth_init(struct bandwidth *b, int64_t now_s)
{
	*b = (struct bandwidth){ .day_end_s = now_s + BANDWIDTH_DAY_S };
}

static void shift_peaks(struct bandwidth *b)
{
	memmove(b->read_peak + 1, b->read_peak, (BANDWIDTH_DAYS - 1) * sizeof(b->read_peak[0]));
	memmove(b->write_peak + 1, b->write_peak, (BANDWIDTH_DAYS - 1) * sizeof(b->write_peak[0]));
	b->read_peak[0] = b->write_peak[0] = 0;
}

static void finish_day(struct bandwidth *b)
{
	if (b->n_days == BANDWIDTH_DAYS) {
		memmove(b->read_days, b->read_days + 1, (BANDWIDTH_DAYS - 1) * sizeof(b->read_days[0]));
		memmove(b->write_days, b->write_days + 1, (BANDWIDTH_DAYS - 1) * sizeof(b->write_days[0]));
		b->n_days--;
	}
	b->read_days[b->n_days] = b->read_today;
	b->write_days[b->n_days++] = b->write_today;
	b->read_today = b->write_today = 0;
	shift_peaks(b);
	b->day_end_s += BANDWIDTH_DAY_S;
}

/*
 * Days that passed; when all we keep is older, a new count begins. One from the
 * future is a matter of a clock that is behind, and no reason to forget it.
 */
static void turn_days(struct bandwidth *b, int64_t now_s)
{
	if (now_s < b->day_end_s - 2 * BANDWIDTH_DAY_S)
		b->day_end_s = now_s + BANDWIDTH_DAY_S;
	if (now_s >= b->day_end_s + BANDWIDTH_DAYS * BANDWIDTH_DAY_S) {
		uint64_t read_total = b->read_total, write_total = b->write_total;

		bandwidth_init(b, now_s);
		b->read_total = read_total;
		b->write_total = write_total;
		return;
	}
	while (now_s >= b->day_end_s)
		finish_day(b);
}

static uint64_t window_sum(const uint64_t *ring)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < BANDWIDTH_WINDOW_S; i++)
		sum += ring[i];
	return sum;
}

static void note_peak(uint64_t *peak, const uint64_t *ring)
{
	uint64_t rate = window_sum(ring) / BANDWIDTH_WINDOW_S;

	if (rate > *peak)
		*peak = rate;
}

/* Bytes told late belong to the seconds since the last update, not all to this one. */
static void spread(uint64_t *ring, uint64_t bytes, int64_t from_s, int64_t to_s)
{
	uint64_t n = (uint64_t)(to_s - from_s), share = bytes / n;

	for (int64_t s = from_s + 1; s <= to_s; s++)
		ring[s % BANDWIDTH_WINDOW_S] = s == to_s ? bytes - share * (n - 1) : share;
}

static void window_add(struct bandwidth *b, int64_t now_s, uint64_t read, uint64_t written)
{
	int64_t gap = now_s - b->last_s;

	if (b->last_s == 0 || gap < 0 || gap > BANDWIDTH_WINDOW_S) {
		memset(b->read_s, 0, sizeof(b->read_s));
		memset(b->write_s, 0, sizeof(b->write_s));
		b->window_from_s = now_s;
	} else if (gap == 0) {
		b->read_s[now_s % BANDWIDTH_WINDOW_S] += read;
		b->write_s[now_s % BANDWIDTH_WINDOW_S] += written;
	} else {
		spread(b->read_s, read, b->last_s, now_s);
		spread(b->write_s, written, b->last_s, now_s);
	}
	b->last_s = now_s;
	if (now_s - b->window_from_s < BANDWIDTH_WINDOW_S)
		return;
	note_peak(&b->read_peak[0], b->read_s);
	note_peak(&b->write_peak[0], b->write_s);
}

void bandwidth_update(struct bandwidth *b, int64_t now_s, uint64_t read_total, uint64_t write_total)
{
	uint64_t read = read_total > b->read_total ? read_total - b->read_total : 0;
	uint64_t written = write_total > b->write_total ? write_total - b->write_total : 0;

	if (now_s <= 0)
		return;
	turn_days(b, now_s);
	b->read_total = read_total;
	b->write_total = write_total;
	b->read_today += read;
	b->write_today += written;
	window_add(b, now_s, read, written);
}

void bandwidth_clock_set(struct bandwidth *b, int64_t step_s)
{
	b->day_end_s += step_s;
	b->last_s = 0;
}

static uint64_t highest(const uint64_t *peaks)
{
	uint64_t top = 0;

	for (size_t i = 0; i < BANDWIDTH_DAYS; i++)
		top = peaks[i] > top ? peaks[i] : top;
	return top;
}

uint64_t bandwidth_observed(const struct bandwidth *b)
{
	uint64_t read = highest(b->read_peak), written = highest(b->write_peak);

	return read < written ? read : written;
}

uint64_t bandwidth_now(const uint64_t ring[BANDWIDTH_WINDOW_S])
{
	return window_sum(ring) / BANDWIDTH_WINDOW_S;
}

int64_t bandwidth_history_end(const struct bandwidth *b)
{
	return b->day_end_s - BANDWIDTH_DAY_S;
}

/* -- the text ---------------------------------------------------------------- */

static const char first_line[] = "nonos bandwidth 1\n";

size_t bandwidth_format(char out[BANDWIDTH_TEXT_CAP], const struct bandwidth *b)
{
	struct wr w = wr_init(out, BANDWIDTH_TEXT_CAP);

	wr_printf(&w, "%sday-end %" PRId64 "\ntoday %" PRIu64 " %" PRIu64 "\n", first_line, b->day_end_s,
		  b->read_today, b->write_today);
	for (size_t i = 0; i < BANDWIDTH_DAYS; i++)
		wr_printf(&w, "peak %" PRIu64 " %" PRIu64 "\n", b->read_peak[i], b->write_peak[i]);
	for (size_t i = 0; i < b->n_days; i++)
		wr_printf(&w, "day %" PRIu64 " %" PRIu64 "\n", b->read_days[i], b->write_days[i]);
	return wr_len(&w);
}

/* "WORD NUMBER NUMBER" with nothing before, between or after. */
static bool two_numbers(const char *line, const char *word, uint64_t *ret_a, uint64_t *ret_b)
{
	size_t len = strlen(word);
	char again[64];

	if (strncmp(line, word, len) != 0 ||
	    sscanf(line + len, " %20" SCNu64 " %20" SCNu64, ret_a, ret_b) != 2)
		return false;
	snprintf(again, sizeof(again), "%s %" PRIu64 " %" PRIu64, word, *ret_a, *ret_b);
	/* Sums stay far from overflow whatever the file says. */
	return strcmp(again, line) == 0 && *ret_a < (uint64_t)1 << 60 && *ret_b < (uint64_t)1 << 60;
}

static int parse_line(struct bandwidth *b, const char *line, size_t *peaks)
{
	uint64_t read, written;
	int64_t end;
	char again[64];

	if (two_numbers(line, "today", &read, &written)) {
		b->read_today = read;
		b->write_today = written;
	} else if (two_numbers(line, "peak", &read, &written) && *peaks < BANDWIDTH_DAYS) {
		b->read_peak[*peaks] = read;
		b->write_peak[(*peaks)++] = written;
	} else if (two_numbers(line, "day", &read, &written) && b->n_days < BANDWIDTH_DAYS) {
		b->read_days[b->n_days] = read;
		b->write_days[b->n_days++] = written;
	} else if (sscanf(line, "day-end %19" SCNd64, &end) == 1) {
		snprintf(again, sizeof(again), "day-end %" PRId64, end);
		if (strcmp(again, line) != 0 || end < 0 || end > (int64_t)1 << 40)
			return ERR_MALFORMED;
		b->day_end_s = end;
	} else {
		return ERR_MALFORMED;
	}
	return 0;
}

int bandwidth_parse(struct bandwidth *b, const char *text, size_t len, int64_t now_s)
{
	struct bandwidth fresh = { 0 };
	char copy[BANDWIDTH_TEXT_CAP + 1], *line, *rest;
	size_t peaks = 0;

	if (len > BANDWIDTH_TEXT_CAP || memchr(text, '\0', len) || len < sizeof(first_line) - 1 ||
	    memcmp(text, first_line, sizeof(first_line) - 1) != 0)
		return ERR_MALFORMED;
	memcpy(copy, text, len);
	copy[len] = '\0';
	rest = copy + sizeof(first_line) - 1;
	while ((line = strsep(&rest, "\n")) && (rest || *line))
		if (parse_line(&fresh, line, &peaks) < 0)
			return ERR_MALFORMED;
	if (fresh.day_end_s == 0 || peaks != BANDWIDTH_DAYS)
		return ERR_MALFORMED;
	turn_days(&fresh, now_s);
	*b = fresh;
	return 0;
}

/* -- the file ---------------------------------------------------------------- */

int bandwidth_load(struct bandwidth *b, const char *data_dir, int64_t now_s)
{
	char *path = mem_printf("%s/bandwidth", data_dir), text[BANDWIDTH_TEXT_CAP + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	free(path);
	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
	n = read(fd, text, sizeof(text));
	close(fd);
	return n < 0 ? ERR_IO : bandwidth_parse(b, text, (size_t)n, now_s);
}

int bandwidth_save(const struct bandwidth *b, const char *data_dir)
{
	char *path = mem_printf("%s/bandwidth", data_dir), *temp = mem_printf("%s.new", path);
	char text[BANDWIDTH_TEXT_CAP];
	size_t len = bandwidth_format(text, b);
	int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), r = 0;

	if (fd < 0 || write(fd, text, len) != (ssize_t)len || fsync(fd) < 0 || rename(temp, path) < 0)
		r = ERR_IO;
	if (fd >= 0)
		close(fd);
	free(temp);
	free(path);
	return r;
}
