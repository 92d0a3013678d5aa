/* The request of an HTTP client: any bytes get one of three answers. */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/daemon/http_server.h"

enum { BODY_MAX = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len ? len : 1);	/* of the exact size, for the sanitizer */
	struct http_head h;
	int status;

	assert(text);
	if (len)
		memcpy(text, data, len);
	status = http_head_parse(&h, text, len, BODY_MAX);
	assert(status == 200 || status == 400 || status == 413);
	if (status == 200) {
		assert(h.path >= text && h.path + h.path_len <= text + len && h.path_len > 0);
		assert(h.body_len <= (h.method == HTTP_POST ? BODY_MAX : 0));
		assert(memcmp(text + len - 4, "\r\n\r\n", 4) == 0);
	}
	free(text);
	return 0;
}
