#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <nonos/crypto.h>
#include <nonos/err.h>

#include "../../relay/dir/microdesc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void walk(int (*next)(struct dirtext *, struct dir_piece *), const char *text, size_t len)
{
	struct dirtext t = dirtext_init(text, len);
	struct dir_piece piece;
	const char *before = t.p;
	int r;

	while ((r = next(&t, &piece)) != ERR_NOT_FOUND) {
		if (t.p <= before || t.p > text + len)
			abort();
		if (r == 0 && (piece.text.len > DIR_PIECE_MAX || piece.text.p < before || piece.text.p + piece.text.len > t.p))
			abort();
		before = t.p;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static int ready;

	if (!ready && crypto_init() < 0)
		abort();
	ready = 1;
	walk(microdesc_next, (const char *)data, len);
	walk(srvdesc_next, (const char *)data, len);
	return 0;
}
