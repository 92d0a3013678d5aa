/* top: the relay live, in a terminal of 80 by 24 or more. */
#include "config.h"

#include "ctl.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <curses.h>

#include <nonos/control.h>
#include <nonos/mem.h>

enum { HISTORY = 512, GRAPH_ROWS = 6, TEXT_CAP = 512, SHARE_CAP = 64, MIN_COLS = 40, MIN_ROWS = 10, PAGES = 3 };

enum colour { COLOUR_NONE, COLOUR_READ, COLOUR_WRITTEN, COLOUR_GOOD, COLOUR_BAD };

struct top {
	const struct ctl_options *options;
	json_t *status;			/* the last one; NULL before the first */
	char problem[TEXT_CAP];		/* why there is no newer one; "" when there is */
	double read[HISTORY], written[HISTORY];	/* bytes a second; [0] the newest */
	int n_samples;
	int64_t last_read, last_written, started;	/* totals of the last sample; its daemon's pid */
	struct timespec last_time;
	bool paused;
	int page;
};

/* -- words ---------------------------------------------------------------------------- */

/* Text of the daemon's on the screen: printable ASCII alone, at most `width` columns. */
static void put_text(int y, int x, int width, const char *text)
{
	if (y < 0 || y >= LINES || x >= COLS)
		return;
	if (width > COLS - x)
		width = COLS - x;
	move(y, x);
	for (int i = 0; i < width && text && text[i]; i++)
		addch((chtype)(text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?'));
}

static void put_format(int y, int x, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void put_format(int y, int x, const char *fmt, ...)
{
	char text[TEXT_CAP];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_text(y, x, COLS, text);
}

static const char *bytes_text(char out[32], double v, const char *per)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	size_t i = 0;

	while (v >= 1000 && i + 1 < sizeof(units) / sizeof(units[0])) {
		v /= 1000;
		i++;
	}
	snprintf(out, 32, i ? "%.1f %s%s" : "%.0f %s%s", v, units[i], per);
	return out;
}

static const char *duration_text(char out[32], int64_t s)
{
	if (s >= 2 * 86400)
		snprintf(out, 32, "%lld d %lld h", (long long)s / 86400, (long long)s % 86400 / 3600);
	else if (s >= 3600)
		snprintf(out, 32, "%lld h %lld min", (long long)s / 3600, (long long)s % 3600 / 60);
	else
		snprintf(out, 32, "%lld min %lld s", (long long)s / 60, (long long)s % 60);
	return out;
}

static const char *text_of(const json_t *o, const char *name)
{
	const char *text = param_text(o, name);

	return text ? text : "";
}

static long long number_of(const json_t *o, const char *name)
{
	return (long long)param_integer(o, name, 0);
}

static void join_flags(char out[TEXT_CAP], const json_t *flags)
{
	const json_t *f;
	size_t i;

	out[0] = '\0';
	json_array_foreach(flags, i, f) {
		size_t len = strlen(out);

		snprintf(out + len, TEXT_CAP - len, "%s%s", len ? " " : "", json_string_value(f) ? json_string_value(f) : "?");
	}
}

/* -- sampling --------------------------------------------------------------------------- */

static double seconds_since(struct timespec *last)
{
	struct timespec now;
	double s;

	clock_gettime(CLOCK_MONOTONIC, &now);
	s = (double)(now.tv_sec - last->tv_sec) + (double)(now.tv_nsec - last->tv_nsec) / 1e9;
	*last = now;
	return s;
}

static void shift_in(double *history, double v)
{
	memmove(history + 1, history, (HISTORY - 1) * sizeof(*history));
	history[0] = v > 0 ? v : 0;
}

/* The first sample of a daemon has nothing to be compared with. */
static void take_rates(struct top *t)
{
	int64_t in = number_of(t->status, "read_bytes"), out = number_of(t->status, "written_bytes");
	double s = seconds_since(&t->last_time);

	if (t->started == number_of(t->status, "pid") && s > 0) {
		shift_in(t->read, (double)(in - t->last_read) / s);
		shift_in(t->written, (double)(out - t->last_written) / s);
		if (t->n_samples < HISTORY)
			t->n_samples++;
	}
	t->started = number_of(t->status, "pid");
	t->last_read = in;
	t->last_written = out;
}

static void sample(struct top *t)
{
	json_t *reply, *error;
	int r = ctl_call(&reply, t->options->socket, "status", NULL, t->options->timeout_s * 1000, t->problem, sizeof(t->problem));

	if (r < 0)
		return;
	error = json_object_get(reply, "error");
	if (error) {
		snprintf(t->problem, sizeof(t->problem), "%s", text_of(error, "message"));
	} else {
		t->problem[0] = '\0';
		json_decref(t->status);
		t->status = json_incref(json_object_get(reply, "result"));
		take_rates(t);
	}
	json_decref(reply);
}

/* -- drawing ------------------------------------------------------------------------------ */

/* " (0.0345 % up, rank 12)": the share of all weight, against 24 consensuses ago. */
static const char *share_text(char out[SHARE_CAP], const json_t *c)
{
	const json_t *now = json_object_get(c, "share_ppm"), *before = json_object_get(c, "share_before_ppm");
	long long ppm = json_integer_value(now), old = json_integer_value(before);

	out[0] = '\0';
	if (json_is_integer(now))
		snprintf(out, SHARE_CAP, " (%.4f %%%s, rank %lld)", (double)ppm / 10000,
			 !json_is_integer(before) || ppm == old ? "" : ppm > old ? " up" : " down", number_of(c, "rank"));
	return out;
}

static void draw_head(const struct top *t)
{
	const json_t *s = t->status, *c = json_object_get(s, "consensus");
	char up[32], flags[TEXT_CAP], share[SHARE_CAP];
	int y = 0;

	attron(A_REVERSE);
	mvhline(y, 0, ' ', COLS);
	put_format(y++, 0, " %s  %s, up %s  version %s%s", text_of(s, "nickname"), text_of(s, "state"),
		   duration_text(up, number_of(s, "uptime_s")), text_of(s, "version"), t->paused ? "  PAUSED" : "");
	attroff(A_REVERSE);
	put_format(y++, 0, "%s  %s", text_of(s, "fingerprint"), text_of(json_object_get(s, "addresses"), "ipv4"));
	join_flags(flags, json_object_get(c, "flags"));
	if (param_flag(c, "listed"))
		put_format(y, 0, "weight %lld%s: %s", number_of(c, "weight"), share_text(share, c), flags);
	else
		put_format(y, 0, "not listed by the consensus; %s%s", *text_of(s, "waiting_for") ? "waits for " : "",
			   text_of(s, "waiting_for"));
}

static double highest(const double *history, int n)
{
	double max = 1;

	for (int i = 0; i < n; i++)
		if (history[i] > max)
			max = history[i];
	return max;
}

/* Newest to the right. Each column is at least a dot when anything was carried. */
static void draw_graph(int y, int x, int width, const double *history, int n, enum colour colour, const char *title)
{
	char now[32], max[32];
	double top_value;

	if (n > width)
		n = width;
	top_value = highest(history, n);
	attron(A_BOLD);
	put_format(y, x, "%s %s", title, bytes_text(now, n ? history[0] : 0, "/s"));
	attroff(A_BOLD);
	put_format(y, x + 20, "max %s", bytes_text(max, top_value > 1 ? top_value : 0, "/s"));
	attron(COLOR_PAIR(colour));
	for (int i = 0; i < n; i++) {
		int bars = (int)(history[i] / top_value * GRAPH_ROWS + 0.5);

		for (int row = 0; row < bars; row++)
			mvaddch(y + GRAPH_ROWS - row, x + width - 1 - i, '|');
		if (!bars && history[i] > 0)
			mvaddch(y + GRAPH_ROWS, x + width - 1 - i, '.');
	}
	attroff(COLOR_PAIR(colour));
}

static int draw_totals(const struct top *t, int y)
{
	const json_t *s = t->status;
	char used[32], limit[32], read[32], written[32];

	put_format(y++, 0, "links %lld  circuits %lld  streams %lld  workers %zu", number_of(s, "links"), number_of(s, "circuits"),
		   number_of(s, "streams"), json_array_size(json_object_get(s, "workers")));
	put_format(y++, 0, "read %s  written %s  memory %s of %s", bytes_text(read, (double)number_of(s, "read_bytes"), ""),
		   bytes_text(written, (double)number_of(s, "written_bytes"), ""),
		   bytes_text(used, (double)number_of(s, "memory_bytes"), ""),
		   bytes_text(limit, (double)number_of(s, "max_memory"), ""));
	return y;
}

static int draw_attention(const struct top *t, int y)
{
	const json_t *list = json_object_get(t->status, "attention"), *a;
	size_t i;

	attron(A_BOLD);
	put_text(y++, 0, COLS, "attention");
	attroff(A_BOLD);
	if (json_array_size(list) == 0) {
		attron(COLOR_PAIR(COLOUR_GOOD));
		put_text(y++, 0, COLS, "nothing");
		attroff(COLOR_PAIR(COLOUR_GOOD));
	}
	json_array_foreach(list, i, a) {
		if (y + 1 >= LINES - 1)
			break;
		attron(COLOR_PAIR(COLOUR_BAD));
		put_format(y++, 0, "%s: %s", text_of(a, "severity"), text_of(a, "what"));
		attroff(COLOR_PAIR(COLOUR_BAD));
		put_format(y++, 2, "%s", text_of(a, "do"));
	}
	return y;
}

static void draw_overview(const struct top *t)
{
	int half = COLS / 2, y = 4;

	draw_graph(y, 0, half - 1, t->read, t->n_samples, COLOUR_READ, "read");
	draw_graph(y, half, COLS - half, t->written, t->n_samples, COLOUR_WRITTEN, "written");
	y = draw_totals(t, y + GRAPH_ROWS + 2);
	draw_attention(t, y + 1);
}

static void draw_workers(const struct top *t)
{
	const json_t *list = json_object_get(t->status, "workers"), *w;
	char memory[32];
	int y = 4;
	size_t i;

	attron(A_BOLD);
	put_text(y++, 0, COLS, "worker      pid  state       links  circuits  streams      memory  restarts");
	attroff(A_BOLD);
	json_array_foreach(list, i, w) {
		if (y >= LINES - 1)
			break;
		put_format(y++, 0, "%6lld %8lld  %-9.9s %7lld %9lld %8lld %11s %9lld", number_of(w, "index"), number_of(w, "pid"),
			   text_of(w, "state"), number_of(w, "links"), number_of(w, "circuits"), number_of(w, "streams"),
			   bytes_text(memory, (double)number_of(w, "memory_bytes"), ""), number_of(w, "restarts"));
	}
}

static void draw_outside(const struct top *t)
{
	const json_t *list = json_object_get(t->status, "dependencies"), *d;
	int y = 4;
	size_t i;

	attron(A_BOLD);
	put_text(y++, 0, COLS, "depends on            health   detail");
	attroff(A_BOLD);
	json_array_foreach(list, i, d) {
		bool good = strcmp(text_of(d, "health"), "failing") != 0;

		if (y >= LINES - 1)
			break;
		attron(COLOR_PAIR(good ? COLOUR_NONE : COLOUR_BAD));
		put_format(y++, 0, "%-21.21s %-8.8s %s", text_of(d, "name"), text_of(d, "health"), text_of(d, "detail"));
		attroff(COLOR_PAIR(good ? COLOUR_NONE : COLOUR_BAD));
	}
}

static void draw_foot(const struct top *t)
{
	static const char *const pages[PAGES] = { "1 overview", "2 workers", "3 outside" };
	int x = 0;

	attron(A_REVERSE);
	mvhline(LINES - 1, 0, ' ', COLS);
	for (int i = 0; i < PAGES; i++) {
		if (i == t->page)
			attron(A_BOLD);
		put_text(LINES - 1, x + 1, COLS, pages[i]);
		attroff(A_BOLD);
		x += (int)strlen(pages[i]) + 2;
	}
	put_text(LINES - 1, x + 1, COLS, "p pause  q quit");
	attroff(A_REVERSE);
	if (t->problem[0]) {
		attron(COLOR_PAIR(COLOUR_BAD));
		put_text(LINES - 2, 0, COLS, t->problem);
		attroff(COLOR_PAIR(COLOUR_BAD));
	}
}

static void draw(const struct top *t)
{
	static void (*const pages[PAGES])(const struct top *t) = { draw_overview, draw_workers, draw_outside };

	erase();
	if (LINES < MIN_ROWS || COLS < MIN_COLS) {
		put_text(0, 0, COLS, "the terminal is too small");
		refresh();
		return;
	}
	if (t->status) {
		draw_head(t);
		pages[t->page](t);
	}
	draw_foot(t);
	refresh();
}

/* -- the loop ---------------------------------------------------------------------------------- */

static void start_screen(void)
{
	initscr();
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	if (!has_colors() || getenv("NO_COLOR"))
		return;
	start_color();
	use_default_colors();
	init_pair(COLOUR_READ, COLOR_CYAN, -1);
	init_pair(COLOUR_WRITTEN, COLOR_MAGENTA, -1);
	init_pair(COLOUR_GOOD, COLOR_GREEN, -1);
	init_pair(COLOUR_BAD, COLOR_RED, -1);
}

/* Keys until the next sample is due; false to end. */
static bool wait_keys(struct top *t, int interval_ms)
{
	struct timespec start = { 0 }, now;
	int left = interval_ms, key;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (left > 0) {
		timeout(left);
		key = getch();
		if (key == 'q')
			return false;
		if (key == 'p')
			t->paused = !t->paused;
		else if (key >= '1' && key < '1' + PAGES)
			t->page = key - '1';
		else if (key == KEY_RIGHT || key == '\t')
			t->page = (t->page + 1) % PAGES;
		else if (key == KEY_LEFT)
			t->page = (t->page + PAGES - 1) % PAGES;
		else if (key == ERR && !isatty(STDIN_FILENO))
			return false;
		draw(t);
		clock_gettime(CLOCK_MONOTONIC, &now);
		left = interval_ms - (int)((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000);
	}
	return true;
}

int local_top(const struct invocation *in)
{
	struct top t = { .options = &in->options };
	int interval_ms = 1000 * (int)param_integer(in->params, "interval", 1);

	if (in->options.json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return complain(EXIT_USAGE, "top is for a terminal; scripts use nonosctl status --json or nonosctl events");
	sample(&t);
	if (!t.status)
		return complain(EXIT_NO_DAEMON, "%s", t.problem);
	start_screen();
	do {
		if (!t.paused)
			sample(&t);
		draw(&t);
	} while (wait_keys(&t, interval_ms));
	endwin();
	json_decref(t.status);
	return EXIT_OK;
}
