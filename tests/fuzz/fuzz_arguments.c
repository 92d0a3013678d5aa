/* The words of nonosctl's command line, one a line. */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/mem.h>

#include "../../src/ctl/ctl.h"

enum { WORDS = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = mem_strndup((const char *)data, len), *rest = text, *words[WORDS + 1] = { NULL };
	char group[COMMAND_WORDS_CAP] = "", why[COMMAND_WHY_CAP];
	struct invocation in;
	int n = 0;

	while (n < WORDS && rest)
		words[n++] = strsep(&rest, "\n");
	if (invocation_parse(&in, group, n, words) == EXIT_OK && in.params && command_check(in.command, in.params, why) < 0)
		abort();
	json_decref(in.params);
	free(text);
	return 0;
}
