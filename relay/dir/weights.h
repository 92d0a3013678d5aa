/*
 * Our weight in the last consensuses, and the text that keeps it over a
 * restart. Pure but for that file.
 */
#ifndef RELAY_DIR_WEIGHTS_H
#define RELAY_DIR_WEIGHTS_H

#include <nonos/directory_view.h>

struct consensus;

enum { WEIGHTS_TEXT_MAX = 24 + WEIGHTS_MAX * 120 };

struct weights {
	struct weight_sample v[WEIGHTS_MAX];	/* oldest first */
	size_t n;
};

/* Take in a consensus; false when one of its time, or a later one, is there. */
bool weights_add(struct weights *w, const struct consensus *c, const uint8_t own_id[20]);

/* To and from the text. ERR_MALFORMED for one that is not ours, and nothing changes. */
size_t weights_format(char out[WEIGHTS_TEXT_MAX], const struct weights *w);
int weights_parse(struct weights *ret, const char *text, size_t len);

/* The file "weights" in a directory. ERR_NOT_FOUND; the errors of file.h. */
int weights_load(struct weights *ret, const char *dir);
int weights_save(const struct weights *w, const char *dir);

#endif
