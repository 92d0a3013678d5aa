#include "config.h"

#include "totals.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/bytes.h>
#include <nonos/crypto.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/mem.h>

#include "counters.h"

#define BYTES_MAX ((uint64_t)1 << 60)	/* sums stay far from overflow whatever a file says */

/* -- counting -------------------------------------------------------------------- */

static uint64_t since(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

static struct day_total *today(struct totals *t, uint32_t date)
{
	struct day_total *last = t->n_days ? &t->days[t->n_days - 1] : NULL;

	/* A clock that was set back adds to the day that it had come to. */
	if (last && date <= last->date)
		return last;
	if (t->n_days == TOTALS_DAYS)
		memmove(t->days, t->days + 1, --t->n_days * sizeof(t->days[0]));
	t->days[t->n_days] = (struct day_total){ .date = date };
	return &t->days[t->n_days++];
}

/*
 * Only the passing of time begins a new count: after a change of accounting_start, or of the clock, what
 * was carried stays carried.
 */
static void turn_period(struct accounting *a, const struct period_start *start, int64_t now)
{
	int64_t from, to;

	period_find(&from, &to, start, now);
	if (now >= a->to_s)
		a->read = a->written = 0;
	a->from_s = from;
	a->to_s = to;
}

void totals_update(struct totals *t, const struct relay_counters *c, const struct period_start *start, int64_t now)
{
	const struct relay_counters *b = &t->counters;
	uint64_t read = since(b->read_bytes + b->exit_read_bytes, c->read_bytes + c->exit_read_bytes);
	uint64_t written = since(b->written_bytes + b->exit_written_bytes, c->written_bytes + c->exit_written_bytes);
	struct day_total *day = today(t, calendar_date(now));

	turn_period(&t->accounting, start, now);
	day->read += read;
	day->written += written;
	t->accounting.read += read;
	t->accounting.written += written;
	memset(&t->counters, 0, sizeof(t->counters));
	counters_add_totals(&t->counters, c);
}

uint64_t accounting_used(const struct accounting *a, enum accounting_rule rule)
{
	switch (rule) {
	case ACCOUNTING_EACH:
		return a->read > a->written ? a->read : a->written;
	case ACCOUNTING_SUM:
		return a->read + a->written;
	case ACCOUNTING_READ:
		return a->read;
	case ACCOUNTING_WRITTEN:
		return a->written;
	}
	return 0;
}

uint64_t accounting_soft(uint64_t max)
{
	uint64_t margin = max / 20;

	return max - (margin < 500000000 ? margin : 500000000);
}

enum accounting_state accounting_state(const struct accounting *a, enum accounting_rule rule, uint64_t max)
{
	uint64_t used = accounting_used(a, rule);

	if (max == 0)
		return ACCOUNTING_OFF;
	return used >= max ? ACCOUNTING_HARD : used >= accounting_soft(max) ? ACCOUNTING_SOFT : ACCOUNTING_OPEN;
}

/* -- the text ---------------------------------------------------------------------- */

static const char first_line[] = "nonos totals 1\n", counters_line[] = "counters\n", end_word[] = "end ";

enum { END_LEN = sizeof("end ") - 1 + 2 * SHA256_LEN + 1 };

static void put_sum(char *out, const char *text, size_t len)
{
	uint8_t sum[SHA256_LEN];

	sha256(sum, text, len);
	hex_encode(out, sum, sizeof(sum));
}

size_t totals_format(char out[TOTALS_TEXT_CAP], const struct totals *t)
{
	const struct accounting *a = &t->accounting;
	struct wr w = wr_init(out, TOTALS_TEXT_CAP);
	char sum[2 * SHA256_LEN + 1], *counters = mem_new(COUNTERS_TEXT_CAP);

	counters_format(counters, &t->counters);
	wr_printf(&w, "%sseq %" PRIu64 "\nperiod %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64 "\n", first_line, t->seq,
		  a->from_s, a->to_s, a->read, a->written);
	for (size_t i = 0; i < t->n_days; i++)
		wr_printf(&w, "day %" PRIu32 " %" PRIu64 " %" PRIu64 "\n", t->days[i].date, t->days[i].read,
			  t->days[i].written);
	wr_printf(&w, "%s%s", counters_line, counters);
	put_sum(sum, out, wr_len(&w));
	wr_printf(&w, "%s%s\n", end_word, sum);
	free(counters);
	return wr_len(&w);
}

static int parse_line(struct totals *t, const char *line)
{
	struct accounting a;
	struct day_total d;

	if (sscanf(line, "seq %20" SCNu64, &t->seq) == 1)
		return 0;
	if (sscanf(line, "period %18" SCNd64 " %18" SCNd64 " %20" SCNu64 " %20" SCNu64, &a.from_s, &a.to_s, &a.read,
		   &a.written) == 4) {
		if (a.read >= BYTES_MAX || a.written >= BYTES_MAX)
			return ERR_RANGE;
		t->accounting = a;
	}
	if (sscanf(line, "day %9" SCNu32 " %20" SCNu64 " %20" SCNu64, &d.date, &d.read, &d.written) == 3) {
		if (t->n_days == TOTALS_DAYS || d.read >= BYTES_MAX || d.written >= BYTES_MAX)
			return ERR_RANGE;
		t->days[t->n_days++] = d;
	}
	return 0;	/* what a later version adds is passed over */
}

/* `text` ends in a NUL, and its sum was right. */
static int parse_text(struct totals *t, char *text)
{
	char *line, *rest = text + sizeof(first_line) - 1;

	while ((line = strsep(&rest, "\n")) && rest) {
		if (strcmp(line, "counters") == 0)
			return counters_parse(&t->counters, rest);
		if (parse_line(t, line) < 0)
			return ERR_MALFORMED;
	}
	return ERR_MALFORMED;
}

/* Where the last line begins, if it has the sum of what is before it; 0: it does not. */
static size_t check_sum(const char *text, size_t len)
{
	char sum[2 * SHA256_LEN + 1];
	size_t body = len - END_LEN;

	if (len < sizeof(first_line) - 1 + END_LEN || memcmp(text, first_line, sizeof(first_line) - 1) != 0 ||
	    memcmp(text + body, end_word, sizeof(end_word) - 1) != 0 || text[len - 1] != '\n')
		return 0;
	put_sum(sum, text, body);
	return memcmp(text + body + sizeof(end_word) - 1, sum, 2 * SHA256_LEN) == 0 ? body : 0;
}

int totals_parse(struct totals *ret, const char *text, size_t len)
{
	struct totals *t = mem_new(sizeof(*t));
	size_t body = len <= TOTALS_TEXT_CAP && !memchr(text, '\0', len) ? check_sum(text, len) : 0;
	char *copy = mem_strndup(text, body);
	int r = body ? parse_text(t, copy) : ERR_MALFORMED;

	if (r == 0)
		*ret = *t;
	free(copy);
	free(t);
	return r;
}

/* -- the files ----------------------------------------------------------------------- */

static const char file_name[] = "totals";

struct totals_file {
	int dir;		/* data_dir */
	int now;		/* totals.now */
};

/* Take what lies in the file at `offset` when it is newer than what we have. */
static bool take(struct totals *t, int fd, off_t offset)
{
	struct totals *found = mem_new(sizeof(*found));
	char *text = mem_new(TOTALS_TEXT_CAP);
	ssize_t n = pread(fd, text, TOTALS_TEXT_CAP, offset);
	bool good;

	/* A place in totals.now is filled with NULs to its end. */
	good = n > 0 && totals_parse(found, text, strnlen(text, (size_t)n)) == 0 && found->seq > t->seq;
	if (good)
		*t = *found;
	free(text);
	free(found);
	return good;
}

int totals_open(struct totals_file **ret, struct totals *t, const char *data_dir)
{
	struct totals_file *f = mem_new(sizeof(*f));
	bool found = false;
	int fd;

	*t = (struct totals){ .seq = 0 };
	f->now = -1;
	f->dir = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dir >= 0)
		f->now = openat(f->dir, "totals.now", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->now < 0) {
		totals_close(f);
		return ERR_IO;
	}
	fd = openat(f->dir, file_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		found = take(t, fd, 0);
		close(fd);
	}
	for (off_t i = 0; i < 2; i++)
		found = take(t, f->now, i * TOTALS_TEXT_CAP) || found;
	*ret = f;
	return found ? 0 : ERR_NOT_FOUND;
}

void totals_close(struct totals_file *f)
{
	if (!f)
		return;
	if (f->dir >= 0)
		close(f->dir);
	if (f->now >= 0)
		close(f->now);
	free(f);
}

int totals_write(struct totals_file *f, struct totals *t, bool flush)
{
	char *text = mem_new(TOTALS_TEXT_CAP);
	size_t len;
	int r = 0;

	t->seq++;
	len = totals_format(text, t);	/* the rest are NULs */
	if (pwrite(f->now, text, TOTALS_TEXT_CAP, (off_t)(t->seq % 2) * TOTALS_TEXT_CAP) != TOTALS_TEXT_CAP)
		r = ERR_IO;
	if (flush && file_replace_at(f->dir, file_name, text, len) < 0)
		r = ERR_IO;
	free(text);
	return r;
}
