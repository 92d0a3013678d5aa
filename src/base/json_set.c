#include "config.h"

#include <nonos/json_set.h>

#include <stdlib.h>
#include <string.h>

#include <nonos/encode.h>
#include <nonos/mem.h>

void json_set_amount(json_t *object, const char *name, struct amount a)
{
	char text[AMOUNT_TEXT_CAP];

	amount_text(text, a);
	json_object_set_new(object, name, json_string(text));
}

void json_set_address(json_t *object, const char *name, const struct eth_addr *a)
{
	char text[ETH_ADDR_TEXT_CAP];

	eth_addr_text(text, a);
	json_object_set_new(object, name, json_string(text));
}

void json_set_hex(json_t *object, const char *name, const void *data, size_t len)
{
	char *text = mem_new(2 * len + 3);

	memcpy(text, "0x", 2);
	hex_encode(text + 2, data, len);
	json_object_set_new(object, name, json_string(text));
	free(text);
}

json_t *json_sentence(const char *text)
{
	json_t *whole = json_string(text);
	char *plain;

	if (whole)
		return whole;
	plain = mem_strdup(text);
	for (char *p = plain; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	whole = json_string(plain);
	free(plain);
	return whole;
}
