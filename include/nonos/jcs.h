/*
 * Canonical JSON: RFC 8785 for texts whose numbers are all integers of at
 * most 2^53 - 1 in size. Two nodes that hold the same value write the same
 * bytes. Values are jansson's; its own writer is not canonical, and its own
 * reader takes -0 for 0 and a repeated name for the last of its values.
 */
#ifndef NONOS_JCS_H
#define NONOS_JCS_H

#include <stddef.h>

#include <jansson.h>

enum { JCS_DEPTH_MAX = 64 };

/*
 * Read any JSON text of the profile: names in any order, white space allowed.
 * ERR_MALFORMED for what is not JSON, repeats a name, holds a fraction, an
 * exponent, -0, a lone surrogate or a name with U+0000; ERR_RANGE for larger
 * numbers; ERR_TOO_LONG for deeper nesting. *ret is the caller's.
 */
int jcs_read(json_t **ret, const char *text, size_t len);

/* As jcs_read(), and ERR_MISMATCH when the text is not the canonical one. */
int jcs_read_canonical(json_t **ret, const char *text, size_t len);

/*
 * Write the canonical text, malloc()ed and ended by a NUL that *ret_len does not count.
 * ERR_UNSUPPORTED for a real number, ERR_RANGE and ERR_TOO_LONG as above.
 */
int jcs_write(char **ret, size_t *ret_len, const json_t *value);

#endif
