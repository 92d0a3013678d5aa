#include "config.h"

#include <nonos/import.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nonos/clock.h>
#include <nonos/conf.h>
#include <nonos/crypto.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/family.h>
#include <nonos/keys.h>
#include <nonos/mem.h>
#include <nonos/process.h>

/*
 * Give one file. The directory is the daemon user's already, who may have put
 * another name for one of root's files there: that one has two names.
 */
static int give_file(int dir, const char *name, uid_t uid, gid_t gid)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), r = 0;
	struct stat st;

	if (fd < 0)
		return errno == ELOOP ? 0 : ERR_IO;
	if (fstat(fd, &st) < 0)
		r = ERR_IO;
	else if (st.st_uid != uid && (S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && st.st_nlink == 1)) &&
		 fchown(fd, uid, gid) < 0)
		r = ERR_IO;
	close(fd);
	return r;
}

/* Give what root wrote (a directory and the files right in it) to the daemon's user. */
static int give_files(const char *path, uid_t uid, gid_t gid)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	struct dirent *e;
	DIR *dir;

	if (fd < 0)
		return ERR_IO;
	if (fchown(fd, uid, gid) < 0 || !(dir = fdopendir(fd))) {
		close(fd);
		return ERR_IO;
	}
	while ((e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    give_file(dirfd(dir), e->d_name, uid, gid) < 0)
			r = ERR_IO;
	closedir(dir);
	return r;
}

static int give_data(const struct config *c, uid_t uid, gid_t gid, char *err, size_t err_cap)
{
	char *keys = mem_printf("%s/keys", c->data_dir);
	int r = give_files(c->data_dir, uid, gid);

	if (r == 0 && give_files(keys, uid, gid) < 0 && errno != ENOENT)
		r = ERR_IO;
	if (r < 0)
		snprintf(err, err_cap, "Files in %s cannot be given to user \"%s\": %s.", c->data_dir, c->user,
			 strerror(errno));
	free(keys);
	return r;
}

static int tell_identity(const struct config *c, char *err, size_t err_cap)
{
	char rsa[41], ed[BASE64_CAP(32)];
	struct relay_keys *keys;
	int r = keys_open(&keys, c->data_dir, clock_wall(), err, err_cap);

	if (r < 0)
		return r;
	hex_encode_upper(rsa, keys_rsa_id(keys), 20);
	base64_encode(ed, keys_ed_id(keys), 32, false);
	printf("imported into %s\nfingerprint %s\ned25519 %s\n"
	       "Stop the old relay for good before this one starts: two with one identity harm each other.\n",
	       c->data_dir, rsa, ed);
	keys_free(keys);
	return 0;
}

/* Of a relay that tor has in families; without them it would be in none until somebody notices. */
static void import_families(const struct config *c, const char *from)
{
	char *to = mem_printf("%s/keys", c->data_dir), *keys = mem_printf("%s/keys", from);
	bool has_keys = access(keys, F_OK) == 0;
	size_t bad, n = families_import(to, has_keys ? keys : from, &bad);

	if (n)
		printf("%zu family key%s came along: set family_id = * in [relay] to go on in that family.\n", n,
		       n == 1 ? "" : "s");
	if (bad)
		fprintf(stderr, "nonosd: %zu family key%s in %s could not be copied; do it by hand.\n", bad,
			bad == 1 ? "" : "s", has_keys ? keys : from);
	free(keys);
	free(to);
}

static int import_into(const struct config *c, const char *from, char *err, size_t err_cap)
{
	bool give = c->user && geteuid() == 0;
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	int lock = -1, given = 0, r = 0;
	char ignored[PROCESS_ERR_CAP];

	if (give)
		r = process_find_user(&uid, &gid, c->user, err, err_cap);
	if (r == 0)
		r = process_make_dir(c->data_dir, uid, gid, err, err_cap);
	if (r == 0)
		r = process_lock(&lock, c->data_dir, uid, gid, err, err_cap);
	if (r == 0)
		r = keys_import(c->data_dir, from, clock_wall(), err, err_cap);
	if (r == 0)
		r = tell_identity(c, err, err_cap);
	if (r == 0)
		import_families(c, from);
	/* Also after a failure, so that nothing of root's stays in the daemon's way. */
	if (lock >= 0 && give)
		given = give_data(c, uid, gid, r < 0 ? ignored : err, r < 0 ? sizeof(ignored) : err_cap);
	if (lock >= 0)
		close(lock);
	return r < 0 ? r : given;
}

int import_identity(const char *config_path, const char *from)
{
	struct config_report rep = { 0 };
	struct config *c = NULL;
	char err[PROCESS_ERR_CAP] = "";
	int r;

	umask(0077);
	process_protect_memory();
	clock_update();
	if (config_load(&c, &rep, config_path) < 0) {
		fputs(rep.text, stderr);
		config_report_free(&rep);
		return ERR_CONFIG;
	}
	r = crypto_init();
	if (r == 0)
		r = import_into(c, from, err, sizeof(err));
	if (r < 0)
		fprintf(stderr, "nonosd: nothing was imported: %s\n", err[0] ? err : err_str(r));
	config_free(c);
	return r;
}
