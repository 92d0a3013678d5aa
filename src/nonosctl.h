/* What the files of nonosctl share, and its text views: one function per shape of answer. */
#ifndef NONOSCTL_H
#define NONOSCTL_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

/* nonosctl(1) documents these numbers; they do not change. */
enum exit_code { EXIT_OK = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_NO_DAEMON = 3, EXIT_NO_ANSWER = 4 };

struct ctl_options {
	const char *socket;
	unsigned timeout_s;
	bool json, dry_run;
	const char *key_file, *signature, *signer;	/* of local commands; NULL when not given */
};

/* Print text that may come from strangers: printable ASCII as it is, all else as \xNN. */
void view_escaped(FILE *out, const char *text);

/* The one-screen view of `status`. */
void view_status(FILE *out, const json_t *status);

/* Any other answer: a name and a value a line, nested names joined by dots. */
void view_any(FILE *out, const json_t *value);

#endif
