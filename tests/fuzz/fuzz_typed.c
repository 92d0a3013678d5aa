#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/jcs.h>
#include <nonos/typed.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A refusal says why; what is hashed is hashed again alike from its canonical text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char why[TYPED_WHY_CAP] = "", *text;
	struct typed_hashes h, again;
	json_t *doc, *doc2;
	size_t text_len;

	if (jcs_read(&doc, (const char *)data, len) < 0)
		return 0;
	if (typed_hash(&h, why, doc) < 0) {
		if (!why[0] || !memchr(why, '\0', sizeof(why)))
			abort();
	} else {
		if (jcs_write(&text, &text_len, doc) < 0 || jcs_read(&doc2, text, text_len) < 0 ||
		    typed_hash(&again, why, doc2) < 0 || memcmp(h.digest, again.digest, sizeof(h.digest)) != 0)
			abort();
		json_decref(doc2);
		free(text);
	}
	json_decref(doc);
	return 0;
}
