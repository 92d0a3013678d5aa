/* The text views of nonosctl: one function per shape of answer. */
#ifndef NONOSCTL_H
#define NONOSCTL_H

#include <stdio.h>

#include <jansson.h>

/* Print text that may come from strangers: printable ASCII as it is, all else as \xNN. */
void view_escaped(FILE *out, const char *text);

/* The one-screen view of `status`. */
void view_status(FILE *out, const json_t *status);

/* Any other answer: a name and a value a line, nested names joined by dots. */
void view_any(FILE *out, const json_t *value);

#endif
