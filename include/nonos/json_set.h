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

/*
 * A sentence that others' words may be part of, as a JSON text: what was cut in the middle of a character is
 * not UTF-8, which JSON has to be, and gets question marks. Never NULL.
 */
json_t *json_sentence(const char *text);

#endif
