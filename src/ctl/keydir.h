/*
 * Which directory of keystores a command means, and getting a key out of it:
 * the parameter "keystore", else NONOS_KEYSTORE, else for root the keystore of the
 * daemon's data directory, for others $XDG_CONFIG_HOME/nonos/keys or ~/.config/nonos/keys.
 */
#ifndef CTL_KEYDIR_H
#define CTL_KEYDIR_H

#include <nonos/keystore.h>
#include <nonos/secret.h>

#include "ctl.h"

/* EXIT_OK, or an exit status after a complaint; *ret_path (if not NULL) is malloc()ed. */
int keydir_open(int *ret_dir, char **ret_path, const struct invocation *in, bool make);

/* Find a key by name or address. */
int keydir_find(struct keystore_entry *ret, int *ret_dir, const struct invocation *in, const char *name);

/* Find it, get the pass phrase and decrypt. */
int keydir_unlock(struct secret **ret, const struct invocation *in, const char *name);

/* Decrypt one that was found; the pass phrase, if `ret_pass` is not NULL, goes there. */
int keydir_decrypt(struct secret **ret, struct secret **ret_pass, const struct invocation *in,
		   const struct keystore_entry *e);

/* The address that a keystore file names. False, without a complaint, when none is to be had that way. */
bool keydir_address(struct eth_addr *ret, const struct invocation *in, const char *name);

#endif
