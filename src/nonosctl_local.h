/*
 * The commands of nonosctl that need no daemon: the rows of
 * local_commands.def. They read one file, print, and touch nothing else.
 */
#ifndef NONOSCTL_LOCAL_H
#define NONOSCTL_LOCAL_H

#include "nonosctl.h"

struct local_command;

/*
 * Return the command that the words at `argv` start with, or NULL. *ret_used
 * is how many words it took.
 */
const struct local_command *local_find(int *ret_used, int argc, char **argv);

/* Carry it out with the words that are left; return the exit status. */
int local_run(const struct local_command *c, const struct ctl_options *o, int argc, char **argv);

/* Print a line of help for each command. */
void local_help(FILE *out);

#endif
