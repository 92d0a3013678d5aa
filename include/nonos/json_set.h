/*
 * The values of signed objects as members of JSON: amounts in base units and
 * addresses with their checksum as texts, bytes as "0x" and digits.
 */
#ifndef NONOS_JSON_SET_H
#define NONOS_JSON_SET_H

#include <stddef.h>

#include <jansson.h>

#include <nonos/amount.h>
#include <nonos/eth_sig.h>

void json_set_amount(json_t *object, const char *name, struct amount a);
void json_set_address(json_t *object, const char *name, const struct eth_addr *a);
void json_set_hex(json_t *object, const char *name, const void *data, size_t len);

#endif
