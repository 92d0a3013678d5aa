#include "config.h"

#include "ledger_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/mem.h>
#include <nonos/rand.h>

enum { TEXT_LEN = 2 * ED25519_SEED_LEN + 1 };		/* digits and a line end */

/* Open the directory of a path; *ret_name points into the path. */
static int open_dir(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret_name = slash ? slash + 1 : path;
	free(dir);
	return fd;
}

static int explain(int r, const char *path, char why[LEDGER_WHY_CAP])
{
	if (r == ERR_PERMISSION)
		snprintf(why, LEDGER_WHY_CAP, "%.300s: not a regular file, or others may read or write it; chmod 600 it", path);
	else if (r == ERR_NOT_FOUND)
		snprintf(why, LEDGER_WHY_CAP, "%.300s: the key of the journal's writer is not there", path);
	else if (r == ERR_SYSTEM)
		snprintf(why, LEDGER_WHY_CAP, "%.300s: %s", path, strerror(errno));
	else
		snprintf(why, LEDGER_WHY_CAP, "%.300s: not a key, 64 hexadecimal digits and a line end", path);
	return r;
}

static int read_seed(uint8_t seed[ED25519_SEED_LEN], int dir, const char *name)
{
	uint8_t text[TEXT_LEN];
	size_t len;
	int r = file_read_at(text, sizeof(text), &len, dir, name, true);

	if (r == 0 && (len != sizeof(text) || text[len - 1] != '\n' ||
		       hex_decode(seed, ED25519_SEED_LEN, (const char *)text, 2 * ED25519_SEED_LEN) < 0))
		r = ERR_MALFORMED;
	secret_wipe(text, sizeof(text));
	return r;
}

static int write_seed(uint8_t seed[ED25519_SEED_LEN], int dir, const char *name)
{
	char text[TEXT_LEN + 1];
	int r;

	rand_bytes(seed, ED25519_SEED_LEN);
	hex_encode(text, seed, ED25519_SEED_LEN);
	text[TEXT_LEN - 1] = '\n';
	r = file_create_at(dir, name, text, TEXT_LEN);
	secret_wipe(text, sizeof(text));
	return r;
}

static void expand(uint8_t ret_expanded[ED25519_EXPANDED_LEN], uint8_t ret_public[ED25519_PUB_LEN], uint8_t seed[ED25519_SEED_LEN])
{
	ed25519_expand(ret_expanded, seed);
	ed25519_public(ret_public, ret_expanded);
	secret_wipe(seed, ED25519_SEED_LEN);
}

int ledger_key(char ret_log[GENESIS_LOG_CAP], const char *key_path, const char *origin, char why[LEDGER_WHY_CAP])
{
	uint8_t seed[ED25519_SEED_LEN], expanded[ED25519_EXPANDED_LEN], public_key[ED25519_PUB_LEN] = { 0 };
	char text[NOTE_VKEY_CAP];
	struct note_key k;
	const char *name;
	int dir, r;

	if (note_key_make(&k, origin, NOTE_ED25519, public_key) < 0) {
		snprintf(why, LEDGER_WHY_CAP, "the origin is not a name: printable ASCII without blank and plus");
		return ERR_MALFORMED;
	}
	dir = open_dir(key_path, &name);
	r = dir < 0 ? ERR_SYSTEM : read_seed(seed, dir, name);
	if (r == ERR_NOT_FOUND)
		r = write_seed(seed, dir, name);
	if (r < 0)
		explain(r, key_path, why);
	if (dir >= 0)
		close(dir);
	if (r < 0)
		return r;
	expand(expanded, public_key, seed);
	secret_wipe(expanded, sizeof(expanded));
	note_key_make(&k, origin, NOTE_ED25519, public_key);
	note_key_text(text, &k);
	if (strlen(text) >= GENESIS_LOG_CAP) {
		snprintf(why, LEDGER_WHY_CAP, "the origin is too long");
		return ERR_MALFORMED;
	}
	memcpy(ret_log, text, strlen(text) + 1);
	return 0;
}

int ledger_key_load(struct secret **ret, const struct note_key *log, const char *path, char why[LEDGER_WHY_CAP])
{
	uint8_t seed[ED25519_SEED_LEN], public_key[ED25519_PUB_LEN];
	struct secret *key;
	const char *name;
	int dir = open_dir(path, &name), r = dir < 0 ? ERR_SYSTEM : read_seed(seed, dir, name);

	if (r < 0)
		explain(r, path, why);
	if (dir >= 0)
		close(dir);
	if (r < 0)
		return r;
	key = secret_new(NULL, ED25519_EXPANDED_LEN);
	expand(secret_data_mut(key), public_key, seed);
	if (memcmp(public_key, log->public_key, sizeof(public_key)) != 0) {
		secret_free(key);
		snprintf(why, LEDGER_WHY_CAP, "%.300s: not the key that the network's genesis names as its journal's writer", path);
		return ERR_MISMATCH;
	}
	*ret = key;
	return 0;
}
