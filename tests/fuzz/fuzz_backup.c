#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/backup.h>
#include <nonos/crypto.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool is_cheap(const uint8_t *head)
{
	for (int i = 12; i < 24; i++)
		if (i % 4 < 3 ? head[i] != 0 : head[i] > 16)
			return false;
	return true;
}

/* As a whole file when its KDF is cheap, with the sum of its head put right; and as a plaintext. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char why[BACKUP_WHY_CAP];
	struct backup_file f;
	struct backup *b;
	uint8_t *copy, digest[SHA256_LEN];

	if (crypto_init() < 0)
		abort();
	if (len >= 104 && is_cheap(data)) {
		copy = malloc(len);
		memcpy(copy, data, len);
		sha256(digest, copy, 64);
		memcpy(copy + 64, digest, 8);
		if (backup_open(&b, why, copy, len, "pass", 4) == 0)
			backup_free(b);
		free(copy);
	}
	if (backup_parse(&b, data, len) < 0)
		return 0;
	for (size_t i = 0; i < backup_count(b); i++) {
		backup_get(&f, b, i);
		if (!backup_name_is_good(f.name) || strstr(f.name, "/.") || f.name[0] == '/' || f.mode > 0777)
			abort();
	}
	backup_free(b);
	return 0;
}
