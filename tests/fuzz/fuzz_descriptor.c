/* Server descriptors and extra-info documents, any text; alone and one after the other. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/crypto.h>
#include <nonos/keys.h>

#include "../../relay/dir/descriptor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum { NOW = 1795324200 };
	const char *text = (const char *)data;
	struct descriptor_view v;
	struct extrainfo_view e;
	static bool ready;

	if (!ready && crypto_init() < 0)
		abort();
	ready = true;
	if (descriptor_parse(&v, text, len) == 0) {
		/* What a parser lends has to lie inside its input. */
		if (v.text.p != text || v.text.len > len || v.nickname.p < text ||
		    v.nickname.p + v.nickname.len > text + v.text.len)
			abort();
		(void)extrainfo_check(text + v.text.len, len - v.text.len, text, v.text.len, NOW);
	}
	(void)descriptor_check(text, len, NOW);
	if (extrainfo_parse(&e, text, len) == 0 && e.text.len > len)
		abort();
	return 0;
}
