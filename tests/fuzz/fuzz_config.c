/* The configuration parser, and the parser of network files. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include <nonos/conf.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct config_report rep = { 0 };
	struct config *c = NULL;
	int r = config_parse(&c, &rep, "fuzz", (const char *)data, len);

	/* It is good, or there is a sentence that says why not. */
	if ((r == 0) != (rep.count == 0) || (r == 0) != (c != NULL))
		abort();
	if (c)
		config_parse_network(c, &rep, "fuzz", (const char *)data, len);
	config_free(c);
	config_report_free(&rep);
	return 0;
}
