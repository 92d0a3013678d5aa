/* A configuration file that is edited and migrated: what is set must be there afterwards, and the rest as before. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/conf_edit.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const value[] = { "fuzzed" };
	const char *text = (const char *)data;
	char *once, *twice, *fresh;
	unsigned n;

	if (memchr(data, '\0', len) || config_edit(&once, text, len, OPTION_contact, value, 1) < 0)
		return 0;
	if (!strstr(once, "fuzzed") || config_edit(&twice, once, strlen(once), OPTION_contact, value, 1) < 0 ||
	    strcmp(once, twice) != 0)
		abort();
	free(once);
	free(twice);
	if (config_migrate(&once, &n, text, len, NULL, NULL) < 0)
		return 0;
	if (config_migrate(&fresh, &n, once, strlen(once), NULL, NULL) < 0 || n != 0 || strcmp(once, fresh) != 0)
		abort();
	free(once);
	free(fresh);
	return 0;
}
