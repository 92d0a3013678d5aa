/* The request of an HTTP client of the metrics server: any bytes get one of five answers. */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/daemon/metrics_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len ? len : 1);	/* of the exact size, for the sanitizer */
	int status;

	assert(text);
	if (len)
		memcpy(text, data, len);
	status = metrics_request(text, len);
	assert(status == 200 || status == 400 || status == 404 || status == 405 || status == 413);
	if (status == 200)
		assert(memcmp(text, "GET /metrics", 12) == 0 && memcmp(text + len - 4, "\r\n\r\n", 4) == 0);
	free(text);
	return 0;
}
