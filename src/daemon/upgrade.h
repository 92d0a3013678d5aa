/*
 * What nonosd's command line offers around taking over: to run in the background once it is
 * ready, and to do for a service manager's "reload" what the installed program asks for.
 */
#ifndef DAEMON_UPGRADE_H
#define DAEMON_UPGRADE_H

#include <stdbool.h>

/*
 * Go on in a child of init's. Returns, in the child alone, the descriptor that wants a byte when it
 * is ready; the parent waits for that and exits with 0, or with 1 when the child ends before. -1: no child could be made.
 */
int upgrade_to_background(void);

/*
 * Ask the running daemon which program it is. The same as this one: it is told to read its
 * configuration again. Another: *ret_take_over becomes true. Failures are written to standard error.
 */
int upgrade_or_reload(bool *ret_take_over, const char *config_path);

#endif
