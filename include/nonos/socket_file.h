/*
 * The file of a Unix socket that a server listens on: made for those who may connect, never taken away
 * from another program, and removed at the end only while it is still the one that was made.
 */
#ifndef NONOS_SOCKET_FILE_H
#define NONOS_SOCKET_FILE_H

#include <stddef.h>
#include <sys/types.h>

struct socket_file {
	char *path;
	dev_t dev;
	ino_t ino;
};

/*
 * Listen on a stream socket at `path`, closed to others until `mode` and `group` (-1: as it is) are set. A
 * file that nobody answers on is replaced. ERR_TOO_LONG; ERR_EXISTS: something else has that name;
 * ERR_BUSY: somebody answers there; ERR_SYSTEM. `why` gets what is wrong and what to do, as a clause.
 */
int socket_file_listen(int *ret_fd, const char *path, mode_t mode, gid_t group, int backlog, char *why, size_t why_cap);

/* Let in whom mode and group (-1: as it is) say. ERR_SYSTEM with errno. */
int socket_file_set_mode(const char *path, mode_t mode, gid_t group);

/* Note which file is at `path` now. */
void socket_file_init(struct socket_file *f, const char *path);

/*
 * Remove it, if it is still there, before its socket is closed: until then no other file can have
 * its number. Nothing happens to one that was never noted.
 */
void socket_file_remove(const struct socket_file *f);

/* Forget it; the file stays. */
void socket_file_clear(struct socket_file *f);

#endif
