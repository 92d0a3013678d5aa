/*
 * Small files that must not be half written: keys, certificates, settings.
 * Names are below an open directory. ERR_SYSTEM comes with errno.
 */
#ifndef NONOS_FILE_H
#define NONOS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Read a whole file. ERR_NOT_FOUND; ERR_PERMISSION when it is not a regular
 * file or (if `is_private`) others may read or write it; ERR_TOO_LONG beyond
 * `cap`; ERR_SYSTEM.
 */
int file_read_at(uint8_t *out, size_t cap, size_t *ret_len, int dir, const char *name, bool is_private);

/*
 * Replace a file, or make it: temporary file NAME.tmp, fsync, rename, fsync of
 * the directory. Mode 0600. Whoever dies at any instant leaves the old file or
 * the new one whole.
 */
int file_replace_at(int dir, const char *name, const void *data, size_t len);

/* The same for a file that must not be there: ERR_EXISTS leaves what is. */
int file_create_at(int dir, const char *name, const void *data, size_t len);

/* Write all of it to an open file, and make that last. ERR_SYSTEM. */
int file_write_all(int fd, const void *data, size_t len);

/* Remove a file and make that last. A missing one is fine. */
int file_remove_at(int dir, const char *name);

#endif
