/*
 * The configured directory authorities: parsing a line of configuration (its
 * contract is in nonos/directory.h) and looking one up.
 */
#ifndef RELAY_DIR_AUTHORITY_H
#define RELAY_DIR_AUTHORITY_H

#include <stddef.h>
#include <stdint.h>

#include <nonos/directory.h>

/* More than this many are refused: bit masks and document headers hold so many. */
enum { AUTHORITIES_MAX = 16 };

/* Position of the authority with this v3 identity, or ERR_NOT_FOUND. */
int authority_find(const struct authority *list, size_t n, const uint8_t v3ident[20]);

#endif
