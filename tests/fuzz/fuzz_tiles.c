/* A tile's path, and a bundle of entries. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/mem.h>
#include <nonos/tiles.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd bundle = rd_init(data, len);
	char *path = mem_strndup((const char *)data, len), again[TILE_PATH_CAP];
	const char *entry;
	size_t entry_len, all = 0;
	struct tile t;

	if (tile_parse(&t, path) == 0) {
		tile_exists(&t, (uint64_t)len << 40);
		/* There is one path to each tile. */
		if (strcmp(tile_path(again, &t), path) != 0)
			abort();
	}
	free(path);
	while (tile_next_entry(&bundle, &entry, &entry_len) == 0)
		all += entry_len + 2;
	if (all > len)
		abort();
	return 0;
}
