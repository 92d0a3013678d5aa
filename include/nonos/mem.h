/*
 * Allocation that does not fail: out of memory ends the process with a
 * message. Sizes that multiply are checked.
 */
#ifndef NONOS_MEM_H
#define NONOS_MEM_H

#include <stddef.h>

/* End the process: no memory. */
_Noreturn void mem_fail(void);

/* Return `len` zeroed bytes; free with free(). */
void *mem_new(size_t len);

/* Return `count` * `size` zeroed bytes; ends the process when that overflows. */
void *mem_new_array(size_t count, size_t size);

/* realloc() to `count` * `size` bytes; new bytes are not zeroed. */
void *mem_resize(void *p, size_t count, size_t size);

/* As free(), with the bytes wiped first: for libraries through which secrets pass. */
void mem_free_wiped(void *p);

void *mem_dup(const void *data, size_t len);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t len);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
