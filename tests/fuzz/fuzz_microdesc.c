#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

static void check_ascending(const uint8_t *ids, size_t n, size_t len)
{
	for (size_t i = 1; i < n; i++)
		if (memcmp(ids + (i - 1) * len, ids + i * len, len) >= 0)
			abort();
}

static void read_facts(const char *text, size_t len)
{
	static struct microdesc_facts facts;

	if (microdesc_read(&facts, text, len) < 0)
		return;
	if (facts.n_members > FAMILY_MEMBERS_MAX || facts.n_keys > FAMILY_KEYS_MAX)
		abort();
	check_ascending(facts.members[0], facts.n_members, sizeof(facts.members[0]));
	check_ascending(facts.keys[0], facts.n_keys, sizeof(facts.keys[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static int ready;

	if (!ready && crypto_init() < 0)
		abort();
	ready = 1;
	walk(microdesc_next, (const char *)data, len);
	walk(srvdesc_next, (const char *)data, len);
	read_facts((const char *)data, len);
	return 0;
}
