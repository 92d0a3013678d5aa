/*
 * Rows of JSON objects as a table, or as CSV or TSV. A command whose answer is a
 * list declares its columns once, in a row of `views` in call.c; --format
 * chooses the form. In a table values are written for people. Where its lines do not fit the
 * terminal, texts are cut; where that is not enough, each row becomes lines of title and value.
 * CSV and TSV have values as they stand in JSON.
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

enum table_kind {
	TABLE_TEXT,		/* any scalar, or a list of them */
	TABLE_ID,		/* the same, never cut: what other commands are given */
	TABLE_NUMBER,		/* to the right; so are those below */
	TABLE_BYTES,		/* 1.5 MB */
	TABLE_DURATION,		/* seconds */
	TABLE_TOKENS,		/* a decimal string of 10^-18 tokens */
	TABLE_TOKENS_4,		/* the same, to four decimals: for estimates; what is behind them is cut off */
	TABLE_MILLIONS,		/* the same in millions of tokens, 1.50M */
	TABLE_TIME,		/* seconds since 1970, to the left */
};

struct table_column {
	const char *member;	/* of each row; "a.b" is b inside a */
	const char *title;
	enum table_kind kind;
};

struct table {
	const char *rows;	/* the member of the answer that is the list; NULL: the answer is */
	const struct table_column *columns;
	size_t n_columns;
};

enum output_format { FORMAT_TEXT, FORMAT_TABLE, FORMAT_JSON, FORMAT_JSONL, FORMAT_CSV, FORMAT_TSV };

/* "table", "json" and so on; ERR_NOT_FOUND. */
int output_format_parse(enum output_format *ret, const char *text);

/* Print the rows of `answer` in a format of tables. `t` NULL: columns are made from the answer. */
void table_print(FILE *out, const struct table *t, const json_t *answer, enum output_format format);

#endif
