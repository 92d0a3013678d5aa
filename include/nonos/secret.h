/*
 * Memory for keys: locked, outside core dumps, wiped on every path out. No
 * function prints one.
 */
#ifndef NONOS_SECRET_H
#define NONOS_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A key of any length, owned by one holder. */
struct secret;

/* Make a secret holding a copy of `data` (zeros when NULL). Never fails. */
struct secret *secret_new(const void *data, size_t len);
void secret_free(struct secret *s);

/* Borrow the bytes. */
const uint8_t *secret_data(const struct secret *s);
uint8_t *secret_data_mut(struct secret *s);
size_t secret_len(const struct secret *s);

/* Wipe memory so that the compiler cannot leave it out. */
void secret_wipe(void *p, size_t len);

/* Compare in time that does not depend on the contents. */
bool secret_eq(const void *a, const void *b, size_t len);

/* True when all bytes are zero, in constant time. */
bool secret_is_zero(const void *p, size_t len);

#endif
