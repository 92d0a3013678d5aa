/*
 * Arbitrary contents of a sealed memfd: what dir_map_open() accepts must be
 * readable to the last byte and findable by its own keys.
 */
#include "config.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nonos/dir_doc.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static volatile uint8_t sink;

static void map_walk(const struct dir_map *m)
{
	for (size_t i = 0; i < dir_map_count(m); i++) {
		struct dir_entry e, found;
		size_t at;

		dir_map_at(m, i, &e);
		for (size_t j = 0; j < e.len; j++)
			sink ^= e.data[j];
		if (dir_map_find(m, e.key, DIR_KEY_LEN, &found) < 0 || found.data != e.data)
			abort();
		if (dir_map_find_prefix(m, e.key, 1, &at) < 0 || at > i)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct dir_map *m;

	if (fd < 0)
		return 0;
	if (write(fd, data, len) == (ssize_t)len &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0 &&
	    dir_map_open(&m, fd) == 0) {
		map_walk(m);
		dir_map_unref(m);
	}
	close(fd);
	return 0;
}
