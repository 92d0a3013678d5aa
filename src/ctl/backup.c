/* key backup, key restore, backup verify, backup list. */
#include "config.h"

#include "ctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

#include "backup_tree.h"
#include "passphrase.h"

static const char staging[] = ".restoring";

/* -- answers ---------------------------------------------------------------------------- */

static json_t *findings_json(const struct backup_findings *f)
{
	json_t *o = json_pack("{s:b, s:b, s:i, s:i, s:b, s:b}", "identity", f->has_identity, "master_offline",
			      f->master_offline, "keystores", (int)f->keystores, "family_keys", (int)f->family_keys,
			      "config", f->has_config, "journal_key", f->has_journal_key);

	if (f->fingerprint[0]) {
		json_object_set_new(o, "fingerprint", json_string(f->fingerprint));
		json_object_set_new(o, "ed25519", json_string(f->ed25519));
	}
	if (f->signing_expired)
		json_object_set_new(o, "note", json_string("the signing key has expired: after the restore bring a new one, made "
							   "by \"nonosctl key master renew\""));
	return o;
}

/* What the backup says of itself, as far as nothing was found out that says otherwise. */
static void add_about(json_t *answer, const struct backup *b)
{
	struct backup_file f;
	json_t *about;

	if (backup_find(&f, b, backup_about_name) < 0)
		return;
	about = json_loadb((const char *)f.data, f.len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(about))
		json_object_update_missing(answer, about);
	json_decref(about);
}

/* -- reading one ---------------------------------------------------------------------------- */

static int open_backup(struct backup **ret, const struct invocation *in)
{
	const char *path = param_text(in->params, "file");
	char why[BACKUP_WHY_CAP], *data, *what;
	struct secret *pass = NULL;
	size_t len;
	int r = file_read(&data, &len, path, BACKUP_SEALED_MAX);

	if (r != EXIT_OK)
		return r;
	what = mem_printf("the backup %s", path);
	r = passphrase_old(&pass, in, "password_file", what);
	if (r == EXIT_OK && backup_open(ret, why, (const uint8_t *)data, len, secret_data(pass), secret_len(pass)) < 0)
		r = complain(EXIT_REFUSED, "%s: %s", path, why);
	secret_free(pass);
	free(what);
	free(data);
	return r;
}

/* -- key backup -------------------------------------------------------------------------------- */

static int seal(const struct invocation *in, const struct backup *b, const char *path)
{
	char *what = mem_printf("the backup %s", path);
	struct secret *pass = NULL;
	uint8_t *sealed = NULL;
	size_t len;
	int r = passphrase_new(&pass, in, "password_file", what);

	if (r == EXIT_OK &&
	    backup_seal(&sealed, &len, b, secret_data(pass), secret_len(pass), &backup_cost_usual) < 0)
		r = complain(EXIT_REFUSED, "there is not enough memory to encrypt the backup; it takes 256 MiB");
	if (r == EXIT_OK)
		r = file_create(path, (const char *)sealed, len, 0600);
	free(sealed);
	secret_free(pass);
	free(what);
	return r;
}

static int load_config(struct config **ret, const char *path)
{
	struct config_report rep = { 0 };
	int r = EXIT_OK;

	if (config_load(ret, &rep, path) < 0)
		r = complain(EXIT_REFUSED, "%s is not a configuration that says what to back up; see \"nonosctl config check\", or "
			     "name another with --config", path);
	config_report_free(&rep);
	return r;
}

static int make_backup(const struct invocation *in, struct backup *b, const char *config_file)
{
	const char *path = param_text(in->params, "file");
	struct backup_findings found;
	struct config *c = NULL;
	json_t *answer;
	int r = load_config(&c, config_file);

	if (r == EXIT_OK)
		r = backup_collect(b, c, config_file);
	/* What could not be restored is not worth keeping: said now, not on the day it is needed. */
	if (r == EXIT_OK)
		r = backup_check(&found, b, c->data_dir);
	if (r == EXIT_OK && !found.has_identity)
		r = complain(EXIT_REFUSED, "there are no relay keys in %s/keys", c->data_dir);
	config_free(c);
	if (r == EXIT_OK && !in->options.dry_run)
		r = seal(in, b, path);
	if (r != EXIT_OK)
		return r;
	answer = findings_json(&found);
	json_object_set_new(answer, "dry_run", json_boolean(in->options.dry_run));
	json_object_set_new(answer, "file", json_string(path));
	json_object_set_new(answer, "files", json_integer((json_int_t)backup_count(b)));
	return print_answer(in, answer);
}

int local_key_backup(const struct invocation *in)
{
	const char *path = param_text(in->params, "file");
	struct backup *b;
	char *config;
	int r;

	if (access(path, F_OK) == 0)
		return complain(EXIT_REFUSED, "%s exists already and is not overwritten", path);
	b = backup_new();
	config = config_path(in, "config");
	r = make_backup(in, b, config);
	free(config);
	backup_free(b);
	return r;
}

/* -- backup verify, backup list -------------------------------------------------------------------- */

int local_backup_verify(const struct invocation *in)
{
	struct backup_findings found;
	struct backup *b;
	json_t *answer;
	int r = open_backup(&b, in);

	if (r != EXIT_OK)
		return r;
	r = backup_check(&found, b, param_text(in->params, "file"));
	if (r == EXIT_OK) {
		answer = findings_json(&found);
		add_about(answer, b);
		json_object_set_new(answer, "restorable", json_true());
		print_answer(in, answer);
	}
	backup_free(b);
	return r;
}

int local_backup_list(const struct invocation *in)
{
	struct backup_file f;
	struct backup *b;
	json_t *list;
	int r = open_backup(&b, in);

	if (r != EXIT_OK)
		return r;
	list = json_array();
	for (size_t i = 0; i < backup_count(b); i++) {
		char mode[8];

		backup_get(&f, b, i);
		snprintf(mode, sizeof(mode), "%04o", f.mode);
		json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "name", f.name, "mode", mode, "bytes",
						      (json_int_t)f.len));
	}
	backup_free(b);
	return print_answer(in, json_pack("{s:o}", "files", list));
}

/* -- key restore -------------------------------------------------------------------------------------- */

static int is_empty(int dir, const char *path)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	bool found = false;
	struct dirent *d;

	if (!stream) {
		if (copy >= 0)
			close(copy);
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	}
	while ((d = readdir(stream)))
		found = found || (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0);
	closedir(stream);
	return found ? complain(EXIT_REFUSED, "%s is not empty; a backup is restored into an empty directory only, so that no "
				"identity is overwritten", path) : EXIT_OK;
}

static int open_target(int *ret, const char *path, bool dry_run)
{
	int dir, r;

	if (!dry_run && mkdir(path, 0700) < 0 && errno != EEXIST)
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 && dry_run && errno == ENOENT) {
		*ret = -1;
		return EXIT_OK;
	}
	if (dir < 0)
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	r = is_empty(dir, path);
	if (r == EXIT_OK)
		*ret = dir;
	else
		close(dir);
	return r;
}

/* What root restores belongs to whom the directory belongs to. */
static int give(int dir, const char *name, const struct stat *owner)
{
	int below;
	struct dirent *d;
	struct stat st;
	DIR *stream;
	int r;

	if (geteuid() != 0)
		return 0;
	if (fchownat(dir, name, owner->st_uid, owner->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return ERR_SYSTEM;
	if (!S_ISDIR(st.st_mode))
		return 0;
	below = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	stream = below < 0 ? NULL : fdopendir(below);
	if (!stream) {
		if (below >= 0)
			close(below);
		return ERR_SYSTEM;
	}
	r = 0;
	while (r == 0 && (d = readdir(stream)))
		if (d->d_name[0] != '.')
			r = give(dirfd(stream), d->d_name, owner);
	closedir(stream);
	return r;
}

/* All files stand whole below one name before any of them is where the daemon looks. */
static int move_out(int dir, int from, const struct backup *b)
{
	struct backup_file f;
	struct stat owner;

	if (fstat(dir, &owner) < 0)
		return ERR_SYSTEM;
	for (size_t i = 0; i < backup_count(b); i++) {
		backup_get(&f, b, i);
		f.name[strcspn(f.name, "/")] = '\0';
		/* The first file of a directory takes all of it along. */
		if (faccessat(from, f.name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (give(from, f.name, &owner) < 0 || renameat(from, f.name, dir, f.name) < 0)
			return ERR_SYSTEM;
	}
	return fsync(dir) < 0 ? ERR_SYSTEM : 0;
}

static int put_all(int dir, const char *path, const struct backup *b)
{
	int from, r;

	if (mkdirat(dir, staging, 0700) < 0)
		return complain(EXIT_REFUSED, "%s cannot be written to: %s", path, strerror(errno));
	from = openat(dir, staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	r = from < 0 ? complain(EXIT_REFUSED, "%s: %s", path, strerror(errno)) : backup_put(from, b);
	if (r == EXIT_OK && move_out(dir, from, b) < 0)
		r = complain(EXIT_REFUSED, "%s cannot be written to: %s", path, strerror(errno));
	if (from >= 0)
		close(from);
	if (r != EXIT_OK)
		return complain(EXIT_REFUSED, "what was restored so far is in %s/%s and beside it; empty %s before trying again",
				path, staging, path);
	unlinkat(dir, staging, AT_REMOVEDIR);
	return EXIT_OK;
}

static json_t *restored_json(const struct backup_findings *found, const struct backup *b, const char *path, bool dry_run)
{
	json_t *o = findings_json(found);

	json_object_set_new(o, "dry_run", json_boolean(dry_run));
	json_object_set_new(o, "directory", json_string(path));
	json_object_set_new(o, "files", json_integer((json_int_t)backup_count(b)));
	add_about(o, b);
	json_object_set_new(o, "next", json_string("see that the old relay never runs again; compare nonosd.conf there with "
						   "the configuration in use, whose data_dir must be this directory; then start nonosd"));
	return o;
}

int local_key_restore(const struct invocation *in)
{
	const char *path = param_text(in->params, "directory");
	bool dry_run = in->options.dry_run;
	struct backup_findings found;
	struct backup *b;
	int dir = -1, r = open_backup(&b, in);

	if (r != EXIT_OK)
		return r;
	r = backup_check(&found, b, param_text(in->params, "file"));
	if (r == EXIT_OK)
		r = open_target(&dir, path, dry_run);
	if (r == EXIT_OK && !dry_run)
		r = put_all(dir, path, b);
	if (dir >= 0)
		close(dir);
	if (r == EXIT_OK)
		r = print_answer(in, restored_json(&found, b, path, dry_run));
	backup_free(b);
	return r;
}
