#include "config.h"

#include "backup_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <nonos/crypto.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/family.h>
#include <nonos/file.h>
#include <nonos/genesis.h>
#include <nonos/keys.h>
#include <nonos/keystore.h>
#include <nonos/ledger.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

enum { FILE_MAX = 1 << 20, TOP_FILE_MAX = 256 << 10 };

const char backup_about_name[] = "backup.json";

static const char config_name[] = "nonosd.conf", journal_key_name[] = "ledger/journal_key",
		  genesis_name[] = "ledger/genesis.json";

/* -- collecting -------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), e = strlen(end);

	return n > e && strcmp(name + n - e, end) == 0;
}

/* Databases are not keys; locks and unfinished files are nothing. */
static bool is_left_out(const char *name)
{
	static const char *const ends[] = { ".tmp", ".new", ".db", ".db-wal", ".db-shm", ".copy", ".lock" };

	if (name[0] == '.' || strcmp(name, "lock") == 0 || strcmp(name, config_name) == 0 ||
	    strcmp(name, backup_about_name) == 0)
		return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends_with(name, ends[i]))
			return true;
	return false;
}

static int add_bytes(struct backup *b, const char *name, unsigned mode, const void *data, size_t len)
{
	switch (backup_add(b, name, mode, data, len)) {
	case 0:
		return EXIT_OK;
	case ERR_LIMIT:
		return complain(EXIT_REFUSED, "%s: more than a backup holds, %d files or %d MiB", name, BACKUP_FILES_MAX,
				BACKUP_BYTES_MAX >> 20);
	case ERR_EXISTS:
		return complain(EXIT_REFUSED, "%s: a file and a directory have this name", name);
	default:
		return complain(EXIT_REFUSED, "%s: a name of other than letters, digits and . - _ @ + cannot be backed up; "
				"rename the file", name);
	}
}

static int add_file(struct backup *b, const char *name, int dir, const char *file, const struct stat *st)
{
	size_t cap = (size_t)st->st_size + 1, len;
	uint8_t *data = mem_new(cap);
	int r = file_read_at(data, cap, &len, dir, file, false);

	if (r == 0)
		r = add_bytes(b, name, st->st_mode & 0777, data, len);
	else
		r = complain(EXIT_REFUSED, "%s cannot be read: %s", name, r == ERR_SYSTEM ? strerror(errno) : err_str(r));
	secret_wipe(data, cap);
	free(data);
	return r;
}

/* The regular files right in `path`, under `prefix`. A directory that is not there has none. */
static int add_dir(struct backup *b, const char *prefix, const char *path, off_t file_max)
{
	DIR *stream = opendir(path);
	struct dirent *d;
	struct stat st;
	int r = EXIT_OK;

	if (!stream)
		return errno == ENOENT ? EXIT_OK : complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	while (r == EXIT_OK && (d = readdir(stream))) {
		char *name = mem_printf("%s%s", prefix, d->d_name);

		if (!is_left_out(d->d_name) && fstatat(dirfd(stream), d->d_name, &st, 0) == 0 && S_ISREG(st.st_mode) &&
		    st.st_size <= file_max)
			r = add_file(b, name, dirfd(stream), d->d_name, &st);
		free(name);
	}
	closedir(stream);
	return r;
}

static int add_named(struct backup *b, const char *name, const char *path, json_t *origins)
{
	struct stat st;

	if (!path)
		return EXIT_OK;
	if (stat(path, &st) < 0)
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		return complain(EXIT_REFUSED, "%s: not a regular file of at most %d bytes", path, FILE_MAX);
	json_object_set_new(origins, name, json_string(path));
	return add_file(b, name, AT_FDCWD, path, &st);
}

static int add_about(struct backup *b, const struct config *c, json_t *origins)
{
	json_t *o = json_pack("{s:s, s:I, s:s, s:s, s:O}", "version", PACKAGE_VERSION, "created", (json_int_t)time(NULL),
			      "nickname", c->nickname, "data_dir", c->data_dir, "origins", origins);
	char *text = o ? json_dumps(o, JSON_INDENT(1) | JSON_ENSURE_ASCII) : NULL;
	int r;

	if (!text)
		mem_fail();
	r = add_bytes(b, backup_about_name, 0600, text, strlen(text));
	free(text);
	json_decref(o);
	return r;
}

static int add_below(struct backup *b, const char *data_dir, const char *sub)
{
	char *path = mem_printf("%s/%s", data_dir, sub), *prefix = mem_printf("%s/", sub);
	int r = add_dir(b, prefix, path, FILE_MAX);

	free(path);
	free(prefix);
	return r;
}

int backup_collect(struct backup *b, const struct config *c, const char *config_file)
{
	json_t *origins = json_object();
	int r = add_named(b, config_name, config_file, origins);

	if (r == EXIT_OK)
		r = add_dir(b, "", c->data_dir, TOP_FILE_MAX);
	if (r == EXIT_OK)
		r = add_below(b, c->data_dir, "keys");
	if (r == EXIT_OK)
		r = add_below(b, c->data_dir, "keystore");
	if (r == EXIT_OK && c->family_key_dir)
		r = add_dir(b, "family/", c->family_key_dir, FILE_MAX);
	if (r == EXIT_OK && c->family_key_dir)
		json_object_set_new(origins, "family", json_string(c->family_key_dir));
	if (r == EXIT_OK)
		r = add_named(b, journal_key_name, c->journal_key, origins);
	if (r == EXIT_OK)
		r = add_named(b, "ledger/auditor_key", c->auditor_key, origins);
	if (r == EXIT_OK)
		r = add_named(b, genesis_name, c->genesis, origins);
	if (r == EXIT_OK)
		r = add_about(b, c, origins);
	json_decref(origins);
	return r;
}

/* -- putting files down --------------------------------------------------------------- */

static int put_file(int dir, const struct backup_file *f)
{
	char part[BACKUP_NAME_MAX + 1];
	const char *rest = f->name, *slash;
	int at = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = at < 0 ? ERR_SYSTEM : 0;

	while (r == 0 && (slash = strchr(rest, '/'))) {
		int below;

		snprintf(part, sizeof(part), "%.*s", (int)(slash - rest), rest);
		if (mkdirat(at, part, 0700) < 0 && errno != EEXIST)
			r = ERR_SYSTEM;
		below = openat(at, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (below < 0)
			r = ERR_SYSTEM;
		close(at);
		at = below;
		rest = slash + 1;
	}
	if (r == 0)
		r = file_create_at(at, rest, f->data, f->len);
	if (r == 0 && f->mode != 0600 && fchmodat(at, rest, f->mode, 0) < 0)
		r = ERR_SYSTEM;
	if (at >= 0)
		close(at);
	return r;
}

int backup_put(int dir, const struct backup *b)
{
	struct backup_file f;

	for (size_t i = 0; i < backup_count(b); i++) {
		int r;

		backup_get(&f, b, i);
		r = put_file(dir, &f);
		if (r < 0)
			return complain(EXIT_REFUSED, "%s cannot be written: %s", f.name,
					r == ERR_SYSTEM ? strerror(errno) : err_str(r));
	}
	return EXIT_OK;
}

/* -- proving ------------------------------------------------------------------------------ */

static int check_identity(struct backup_findings *f, const char *path, const char *what)
{
	struct relay_keys *keys;
	char why[512] = "";
	int r = keys_open(&keys, path, (int64_t)time(NULL), why, sizeof(why));

	if (r == ERR_EXPIRED) {
		f->signing_expired = f->master_offline = true;
		return EXIT_OK;
	}
	if (r < 0)
		return complain(EXIT_REFUSED, "%s: %s", what, why[0] ? why : err_str(r));
	hex_encode_upper(f->fingerprint, keys_rsa_id(keys), SHA1_LEN);
	base64_encode(f->ed25519, keys_ed_id(keys), ED25519_PUB_LEN, false);
	f->master_offline = keys_master_is_offline(keys);
	keys_free(keys);
	return EXIT_OK;
}

/* That the identity is the one that the relay had told of itself. */
static int check_fingerprint(const struct backup_findings *found, const struct backup *b, const char *what)
{
	struct backup_file f;

	if (!found->fingerprint[0] || backup_find(&f, b, "fingerprint") < 0)
		return EXIT_OK;
	if (memmem(f.data, f.len, found->fingerprint, strlen(found->fingerprint)))
		return EXIT_OK;
	return complain(EXIT_REFUSED, "%s: its keys are those of %s, but its file fingerprint names another relay", what,
			found->fingerprint);
}

static int check_keystore(const struct backup_file *f, const char *what)
{
	char why[KEYSTORE_WHY_CAP];
	struct keystore k;

	if (!ends_with(f->name, ".json") || keystore_parse(&k, why, (const char *)f->data, f->len) == 0)
		return EXIT_OK;
	return complain(EXIT_REFUSED, "%s: %s is no keystore: %s", what, f->name, why);
}

static int check_config(const struct backup_file *f, const char *what)
{
	struct config_report rep = { 0 };
	struct config *c = NULL;
	int r = config_parse(&c, &rep, f->name, (const char *)f->data, f->len);

	config_free(c);
	config_report_free(&rep);
	return r < 0 ? complain(EXIT_REFUSED, "%s: its nonosd.conf is not a good configuration", what) : EXIT_OK;
}

static int check_files(struct backup_findings *found, const struct backup *b, const char *what)
{
	uint8_t id[FAMILY_ID_LEN];
	struct backup_file f;
	int r = EXIT_OK;

	for (size_t i = 0; i < backup_count(b) && r == EXIT_OK; i++) {
		backup_get(&f, b, i);
		if (strncmp(f.name, "keys/", 5) == 0)
			found->has_identity = true;
		if (strcmp(f.name, config_name) == 0) {
			found->has_config = true;
			r = check_config(&f, what);
		} else if (strncmp(f.name, "keystore/", 9) == 0) {
			found->keystores++;
			r = check_keystore(&f, what);
		} else if (ends_with(f.name, ".secret_family_key")) {
			found->family_keys++;
			if (family_key_parse(id, f.data, f.len) < 0)
				r = complain(EXIT_REFUSED, "%s: %s is no family key", what, f.name);
		}
	}
	return r;
}

/* The writer's key against the genesis that names its public half. */
static int check_journal_key(struct backup_findings *found, const struct backup *b, const char *path, const char *what)
{
	char why[LEDGER_WHY_CAP], log[GENESIS_LOG_CAP], origin[GENESIS_LOG_CAP], *file;
	struct backup_file key, text;
	struct genesis *g;
	int r;

	found->has_journal_key = backup_find(&key, b, journal_key_name) == 0;
	if (!found->has_journal_key || backup_find(&text, b, genesis_name) < 0)
		return EXIT_OK;
	if (genesis_read(&g, why, (const char *)text.data, text.len) < 0)
		return complain(EXIT_REFUSED, "%s: its genesis cannot be used: %s", what, why);
	snprintf(origin, sizeof(origin), "%.*s", (int)strcspn(g->log, "+"), g->log);
	file = mem_printf("%s/%s", path, journal_key_name);
	r = ledger_key(log, file, origin, why);
	free(file);
	if (r < 0)
		r = complain(EXIT_REFUSED, "%s: %s", what, why);
	else if (strcmp(log, g->log) != 0)
		r = complain(EXIT_REFUSED, "%s: its journal key is not the one that its genesis names", what);
	genesis_free(g);
	return r;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int backup_check(struct backup_findings *ret, const struct backup *b, const char *what)
{
	char path[] = "/dev/shm/nonos-verify-XXXXXX";
	struct backup_findings found = { 0 };
	int dir, r;

	if (!mkdtemp(path))
		return complain(EXIT_REFUSED, "no place in memory to try the files: /dev/shm: %s", strerror(errno));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = dir < 0 ? complain(EXIT_REFUSED, "%s: %s", path, strerror(errno)) : backup_put(dir, b);
	if (r == EXIT_OK)
		r = check_files(&found, b, what);
	if (r == EXIT_OK && found.has_identity)
		r = check_identity(&found, path, what);
	if (r == EXIT_OK)
		r = check_fingerprint(&found, b, what);
	if (r == EXIT_OK)
		r = check_journal_key(&found, b, path, what);
	if (dir >= 0)
		close(dir);
	if (nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) < 0)
		complain(EXIT_REFUSED, "%s holds keys and cannot be removed: %s", path, strerror(errno));
	if (r == EXIT_OK)
		*ret = found;
	return r;
}
