/* Dates of HTTP headers: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 1945 3.3). */
#ifndef RELAY_DIR_HTTP_DATE_H
#define RELAY_DIR_HTTP_DATE_H

#include <stddef.h>
#include <stdint.h>

enum { HTTP_DATE_CAP = 30 };

/* Write the date of `t`, 1970 to 9999, and a NUL. Returns `out`. */
const char *http_date_format(char out[HTTP_DATE_CAP], int64_t t);

/* Read that form and no other; the weekday is not compared with the date. ERR_MALFORMED. */
int http_date_parse(int64_t *ret, const char *text, size_t len);

#endif
