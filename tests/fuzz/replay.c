/*
 * Runs a fuzz target over its seeds: the files named as arguments, or those in
 * $FUZZ_SEEDS/NAME for a program called fuzz_NAME. For builds without
 * libFuzzer, so that every build replays every seed.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data;
	long len;

	if (!f || fseek(f, 0, SEEK_END) < 0 || (len = ftell(f)) < 0) {
		perror(path);
		if (f)
			fclose(f);
		return 1;
	}
	rewind(f);
	/* Exactly as long as the input, so that the sanitizer sees a read past it. */
	data = malloc((size_t)len ? (size_t)len : 1);
	if (!data || fread(data, 1, (size_t)len, f) != (size_t)len) {
		perror(path);
		free(data);
		fclose(f);
		return 1;
	}
	fclose(f);
	LLVMFuzzerTestOneInput(data, (size_t)len);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	const char *base = strrchr(argv[0], '/');
	const char *root = getenv("FUZZ_SEEDS");
	char path[4096];
	struct dirent *entry;
	int failed = 0, ran = 0;
	DIR *dir;

	base = base ? base + 1 : argv[0];
	for (int i = 1; i < argc; i++, ran++)
		failed |= replay(argv[i]);
	if (argc == 1) {
		if (strncmp(base, "fuzz_", 5) != 0 || !root) {
			fprintf(stderr, "usage: %s SEED..., or set FUZZ_SEEDS\n", base);
			return 2;
		}
		snprintf(path, sizeof(path), "%s/%s", root, base + 5);
		dir = opendir(path);
		if (!dir) {
			perror(path);
			return 1;
		}
		while ((entry = readdir(dir))) {
			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s/%s", root, base + 5, entry->d_name);
			failed |= replay(path);
			ran++;
		}
		closedir(dir);
	}
	printf("%s: %d seeds replayed\n", base, ran);
	return failed || ran == 0;
}
