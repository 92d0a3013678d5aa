/*
 * The text format that all directory documents share (dir-spec 1.2): keyword
 * lines, each with arguments and perhaps an object in PEM-like armour. The
 * reader walks a caller's buffer, allocates nothing and copies nothing.
 */
#ifndef RELAY_DIR_DIRTEXT_H
#define RELAY_DIR_DIRTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of somebody else's text, without NUL. */
struct span {
	const char *p;
	size_t len;
};

struct dirtext {
	const char *p;			/* next line */
	const char *end;
};

struct dir_item {
	const char *start;		/* of the keyword line */
	struct span keyword;
	struct span args;		/* rest of the line; dir_arg() eats it */
	struct span object;		/* begin line through end line; empty: none */
};

static inline struct dirtext dirtext_init(const char *text, size_t len)
{
	return (struct dirtext){ .p = text, .end = text + len };
}

/* Next item. ERR_NOT_FOUND at the end, ERR_MALFORMED. */
int dirtext_next(struct dirtext *t, struct dir_item *ret);

bool dir_item_is(const struct dir_item *it, const char *keyword);
bool span_eq(struct span s, const char *text);

/* Take the next argument; false when there is none. */
bool dir_arg(struct dir_item *it, struct span *ret);

/* Take the next argument as what it should be; ERR_MALFORMED, ERR_RANGE. */
int dir_arg_u64(struct dir_item *it, uint64_t *ret, uint64_t max);
int dir_arg_hex(struct dir_item *it, void *out, size_t len);
int dir_arg_base64(struct dir_item *it, void *out, size_t len);
int dir_arg_time(struct dir_item *it, int64_t *ret);	/* two arguments: date and time */

/* Decimal digits only, no sign; at most `max`. */
int span_u64(struct span s, uint64_t *ret, uint64_t max);

/* The object's bytes. ERR_MALFORMED when there is none or its label is another. */
int dir_object(const struct dir_item *it, const char *label, uint8_t *out, size_t cap, size_t *ret_len);

/*
 * Where the next line that begins with `keyword` (as a whole word) starts, or
 * NULL. The text itself must begin at the start of a line.
 */
const char *dir_find_line(const char *text, size_t len, const char *keyword);

enum { DIR_TIME_LEN = 19 };		/* "YYYY-MM-DD HH:MM:SS" */

int dir_time_parse(int64_t *ret, const char *text, size_t len);
void dir_time_format(char out[DIR_TIME_LEN + 1], int64_t when);

#endif
