/* The file of the control socket. */
#ifndef CONTROL_SOCKET_H
#define CONTROL_SOCKET_H

#include <stddef.h>
#include <sys/types.h>

/* Listen on `path`, as ctl_server_new() says. On failure `err` gets a sentence. */
int socket_listen(int *ret_fd, const char *path, mode_t mode, gid_t group, char *err, size_t err_cap);

/* Let in whom mode and group (-1: as it is) say. Negative with errno. */
int socket_set_mode(const char *path, mode_t mode, gid_t group);

#endif
