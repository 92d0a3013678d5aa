/*
 * Pass phrases: from a file, or asked for in the terminal without showing them.
 * Never from the command line, where other users can read them.
 */
#ifndef CTL_PASSPHRASE_H
#define CTL_PASSPHRASE_H

#include <nonos/secret.h>

#include "ctl.h"

enum { PASSPHRASE_MAX = 1024, PASSPHRASE_MIN = 8 };

/*
 * The pass phrase of something that exists. The source is the parameter `file_param`
 * ("password_file" for most), else the file that NONOS_PASSWORD_FILE names,
 * else the terminal, asking "Pass phrase of WHAT: ". EXIT_OK, or an exit status after a complaint.
 */
int passphrase_old(struct secret **ret, const struct invocation *in, const char *file_param, const char *what);

/* A new one: in the terminal asked for twice; at least PASSPHRASE_MIN bytes. */
int passphrase_new(struct secret **ret, const struct invocation *in, const char *file_param, const char *what);

#endif
