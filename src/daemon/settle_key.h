/* Files that settle reads: the auditor's key, and documents. */
#ifndef DAEMON_SETTLE_KEY_H
#define DAEMON_SETTLE_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include <nonos/eth_sig.h>
#include <nonos/secret.h>

/* Read a whole file; *ret is malloc()ed and has a NUL behind it. Errors of file_read_at(). */
int settle_read_file(char **ret, size_t *ret_len, const char *path, size_t max, bool is_private);

/*
 * Read a key of an account: 64 hexadecimal digits, or a keystore whose pass phrase is the first
 * line of `password_file` (NULL: none). Nobody else may read either file. `why` gets a sentence on failure.
 */
int settle_key_read(struct secret **ret, struct eth_addr *ret_addr, const char *path, const char *password_file,
		    char *why, size_t why_cap);

#endif
