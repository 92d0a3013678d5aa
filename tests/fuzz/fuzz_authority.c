#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/directory.h>
#include <nonos/mem.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = mem_strndup((const char *)data, len), err[64] = "";
	struct authority a;

	if (authority_parse(&a, text, err, sizeof(err)) == 0) {
		if (a.dir.port == 0 || a.or_port == 0 || !a.name[0] || !memchr(a.name, '\0', sizeof(a.name)))
			abort();
	} else if (!err[0]) {
		abort();
	}
	free(text);
	return 0;
}
