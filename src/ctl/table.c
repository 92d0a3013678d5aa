#include "config.h"

#include "table.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <nonos/amount.h>
#include <nonos/err.h>
#include <nonos/mem.h>

#include "ctl.h"

enum { GAP = 2, COLUMN_MIN = 8, CELL_MAX = 4096, COLUMNS_MAX = 32 };

static const char *const format_names[] = {
	[FORMAT_TEXT] = "text", [FORMAT_TABLE] = "table", [FORMAT_JSON] = "json",
	[FORMAT_JSONL] = "jsonl", [FORMAT_CSV] = "csv", [FORMAT_TSV] = "tsv",
};

int output_format_parse(enum output_format *ret, const char *text)
{
	for (size_t i = 0; i < sizeof(format_names) / sizeof(format_names[0]); i++)
		if (strcmp(format_names[i], text) == 0) {
			*ret = (enum output_format)i;
			return 0;
		}
	return ERR_NOT_FOUND;
}

/* -- one cell --------------------------------------------------------------------- */

static const json_t *member_of(const json_t *row, const char *path)
{
	char name[COMMAND_WORDS_CAP];

	for (;;) {
		size_t len = strcspn(path, ".");

		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		row = path[0] ? json_object_get(row, name) : row;
		if (!path[len])
			return row;
		path += len + 1;
	}
}

/* name=value name=value */
static void write_object(FILE *f, const json_t *o)
{
	const json_t *item;
	const char *name, *gap = "";

	json_object_foreach((json_t *)(uintptr_t)o, name, item) {
		fputs(gap, f);
		view_escaped(f, name);
		fputc('=', f);
		view_scalar(f, item);
		gap = " ";
	}
}

static void write_list(FILE *f, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		fputs(i ? json_is_object(item) ? "; " : " " : "", f);
		if (json_is_object(item))
			write_object(f, item);
		else
			view_scalar(f, item);
	}
}

/* The amount as units of 10^`power`, cut to some decimals. */
static void write_cut(FILE *f, struct amount a, size_t power, int decimals)
{
	char digits[AMOUNT_TEXT_CAP], padded[2 * AMOUNT_TEXT_CAP];
	size_t len = amount_text(digits, a), point = len > power ? len - power : 1;

	snprintf(padded, sizeof(padded), "%.*s%s", (int)(point + power - len), "000000000000000000000000000000", digits);
	fprintf(f, "%.*s.%.*s", (int)point, padded, decimals, padded + point);
}

static void write_tokens(FILE *f, enum table_kind kind, const json_t *v)
{
	const char *text = json_string_value(v);
	char tokens[AMOUNT_TEXT_CAP];
	struct amount a;

	if (!text || amount_parse(&a, text, strlen(text)) < 0) {
		view_scalar(f, v);
	} else if (kind == TABLE_TOKENS_4) {
		write_cut(f, a, AMOUNT_DECIMALS, 4);
	} else if (kind == TABLE_MILLIONS) {
		write_cut(f, a, AMOUNT_DECIMALS + 6, 2);
		fputc('M', f);
	} else {
		amount_token_text(tokens, a);
		fputs(tokens, f);
	}
}

/* For people; a value of another type than the column's is written as it is. */
static void write_pretty(FILE *f, enum table_kind kind, const json_t *v)
{
	if (kind == TABLE_TOKENS || kind == TABLE_TOKENS_4 || kind == TABLE_MILLIONS)
		write_tokens(f, kind, v);
	else if (!json_is_integer(v))
		view_scalar(f, v);
	else if (kind == TABLE_BYTES)
		view_bytes(f, json_integer_value(v));
	else if (kind == TABLE_DURATION)
		view_duration(f, json_integer_value(v));
	else if (kind == TABLE_TIME)
		view_time(f, json_integer_value(v));
	else
		view_scalar(f, v);
}

/* For programs: as in JSON, but texts without their quotes, and nothing for null. */
static void write_plain(FILE *f, const json_t *v)
{
	if (json_is_boolean(v))
		fputs(json_is_true(v) ? "true" : "false", f);
	else if (json_is_real(v))
		fprintf(f, "%.17g", json_real_value(v));
	else if (!json_is_null(v))
		view_scalar(f, v);
}

/* The text of a cell, malloc()ed, without control characters. */
static char *cell_text(const struct table_column *c, const json_t *row, bool pretty)
{
	const json_t *v = member_of(row, c->member);
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		mem_fail();
	if (json_is_array(v))
		write_list(f, v);
	else if (json_is_object(v))
		write_object(f, v);
	else if (v && pretty)
		write_pretty(f, c->kind, v);
	else if (v)
		write_plain(f, v);
	else if (pretty)
		fputc('-', f);
	if (fclose(f) != 0 || !text)
		mem_fail();
	return text;
}

/* -- CSV and TSV --------------------------------------------------------------------- */

/* RFC 4180; cells have no line ends and no tabs, because they are escaped. */
static void print_csv_cell(FILE *out, const char *text, enum output_format format)
{
	if (format == FORMAT_TSV || !strpbrk(text, ",\"")) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void print_separated(FILE *out, const struct table *t, const json_t *rows, enum output_format format)
{
	const char separator = format == FORMAT_TSV ? '\t' : ',';
	const json_t *row;
	size_t i, j;

	for (j = 0; j < t->n_columns; j++) {
		print_csv_cell(out, t->columns[j].member, format);
		fputc(j + 1 < t->n_columns ? separator : '\n', out);
	}
	json_array_foreach(rows, i, row)
		for (j = 0; j < t->n_columns; j++) {
			char *text = cell_text(&t->columns[j], row, false);

			print_csv_cell(out, text, format);
			fputc(j + 1 < t->n_columns ? separator : '\n', out);
			free(text);
		}
}

/* -- a table for people ---------------------------------------------------------------- */

struct grid {
	size_t n_rows, n_columns;
	char **cells;			/* row by row; the first row is the titles */
	size_t width[COLUMNS_MAX];
};

/* Columns of the terminal; 0: no terminal, so lines may have any length. */
static size_t terminal_width(FILE *out)
{
	struct winsize size;

	if (!isatty(fileno(out)))
		return 0;
	if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return 80;
}

static void grid_fill(struct grid *g, const struct table *t, const json_t *rows)
{
	g->n_rows = json_array_size(rows) + 1;
	g->n_columns = t->n_columns;
	g->cells = mem_new_array(g->n_rows * g->n_columns, sizeof(*g->cells));
	for (size_t i = 0; i < g->n_rows; i++)
		for (size_t j = 0; j < g->n_columns; j++) {
			char *text = i ? cell_text(&t->columns[j], json_array_get(rows, i - 1), true)
				       : mem_strdup(t->columns[j].title);

			g->cells[i * g->n_columns + j] = text;
			if (strlen(text) > CELL_MAX)
				text[CELL_MAX] = '\0';
			if (strlen(text) > g->width[j])
				g->width[j] = strlen(text);
		}
}

static size_t grid_width(const struct grid *g)
{
	size_t sum = GAP * (g->n_columns - 1);

	for (size_t j = 0; j < g->n_columns; j++)
		sum += g->width[j];
	return sum;
}

/* Narrow the widest column of texts until the lines fit; numbers and ids are never cut. False: they cannot. */
static bool grid_fit(struct grid *g, const struct table *t, size_t limit)
{
	while (limit && grid_width(g) > limit) {
		size_t widest = COLUMNS_MAX;

		for (size_t j = 0; j < g->n_columns; j++)
			if (t->columns[j].kind == TABLE_TEXT && g->width[j] > COLUMN_MIN &&
			    (widest == COLUMNS_MAX || g->width[j] > g->width[widest]))
				widest = j;
		if (widest == COLUMNS_MAX)
			return false;
		g->width[widest]--;
	}
	return true;
}

/* A line for each cell, and an empty one between rows. */
static void grid_print_long(FILE *out, const struct grid *g)
{
	size_t width = 0;

	for (size_t j = 0; j < g->n_columns; j++)
		if (strlen(g->cells[j]) > width)
			width = strlen(g->cells[j]);
	for (size_t i = 1; i < g->n_rows; i++) {
		if (i > 1)
			fputc('\n', out);
		for (size_t j = 0; j < g->n_columns; j++)
			fprintf(out, "%-*s  %s\n", (int)width, g->cells[j], g->cells[i * g->n_columns + j]);
	}
}

static void print_cell(FILE *out, const char *text, size_t width, bool right, bool last)
{
	size_t len = strlen(text), pad = len < width ? width - len : 0;

	if (len > width)
		fprintf(out, "%.*s~", (int)width - 1, text);
	else
		fprintf(out, "%*s%s", right ? (int)pad : 0, "", text);
	if (!last)
		fprintf(out, "%*s", (right ? 0 : (int)pad) + GAP, "");
}

static void grid_print(FILE *out, const struct grid *g, const struct table *t)
{
	bool bold = view_has_colour(out);

	for (size_t i = 0; i < g->n_rows; i++) {
		if (i == 0 && bold)
			fputs("\033[1m", out);
		for (size_t j = 0; j < g->n_columns; j++) {
			enum table_kind kind = t->columns[j].kind;

			print_cell(out, g->cells[i * g->n_columns + j], g->width[j],
				   kind != TABLE_TEXT && kind != TABLE_ID && kind != TABLE_TIME, j + 1 == g->n_columns);
		}
		if (i == 0 && bold)
			fputs("\033[0m", out);
		fputc('\n', out);
	}
}

static void print_table(FILE *out, const struct table *t, const json_t *rows)
{
	struct grid g = { .cells = NULL };

	grid_fill(&g, t, rows);
	if (grid_fit(&g, t, terminal_width(out)) || g.n_rows == 1)
		grid_print(out, &g, t);
	else
		grid_print_long(out, &g);
	for (size_t i = 0; i < g.n_rows * g.n_columns; i++)
		free(g.cells[i]);
	free(g.cells);
}

/* -- answers without columns of their own ------------------------------------------------ */

static bool is_list_of_objects(const json_t *v)
{
	return json_is_array(v) && json_array_size(v) > 0 && json_is_object(json_array_get(v, 0));
}

/* Each value with its path, as rows of two columns. */
static void flatten(json_t *rows, const char *path, const json_t *v)
{
	const json_t *item;
	const char *name;
	char below[256];
	size_t i;

	if (json_is_object(v)) {
		json_object_foreach((json_t *)(uintptr_t)v, name, item) {
			snprintf(below, sizeof(below), "%s%s%s", path, path[0] ? "." : "", name);
			flatten(rows, below, item);
		}
	} else if (is_list_of_objects(v)) {
		json_array_foreach(v, i, item) {
			snprintf(below, sizeof(below), "%s[%zu]", path, i);
			flatten(rows, below, item);
		}
	} else {
		item = json_string(path);
		json_array_append_new(rows, json_pack("{s:o, s:O}", "name", item ? item : json_string("?"), "value", v));
	}
}

static void print_rows(FILE *out, const struct table *t, const json_t *rows, enum output_format format)
{
	if (format == FORMAT_CSV || format == FORMAT_TSV)
		print_separated(out, t, rows, format);
	else
		print_table(out, t, rows);
}

/* A list of objects has a column for each member of the first; all else is names and values. */
static void print_any(FILE *out, const json_t *answer, enum output_format format)
{
	static const struct table_column pair[] = { { "name", "name", TABLE_TEXT }, { "value", "value", TABLE_TEXT } };
	struct table_column columns[COLUMNS_MAX];
	struct table t = { .columns = columns };
	const json_t *v;
	json_t *rows;
	const char *name;

	if (json_is_array(answer) && json_array_size(answer) == 0)
		return;
	if (is_list_of_objects(answer)) {
		json_object_foreach(json_array_get(answer, 0), name, v)
			if (t.n_columns < COLUMNS_MAX)
				columns[t.n_columns++] = (struct table_column){
					name, name, json_is_number(v) ? TABLE_NUMBER : TABLE_TEXT };
		if (t.n_columns)
			print_rows(out, &t, answer, format);
		return;
	}
	rows = json_array();
	flatten(rows, "", answer);
	t = (struct table){ .columns = pair, .n_columns = 2 };
	print_rows(out, &t, rows, format);
	json_decref(rows);
}

void table_print(FILE *out, const struct table *t, const json_t *answer, enum output_format format)
{
	const json_t *rows;

	if (!t) {
		print_any(out, answer, format);
		return;
	}
	rows = t->rows ? json_object_get(answer, t->rows) : answer;
	if (t->n_columns <= COLUMNS_MAX)
		print_rows(out, t, rows, format);
}
