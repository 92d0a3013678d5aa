/* Directories of keystore files. */
#include "config.h"

#include <nonos/keystore.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/mem.h>

static const char suffix[] = ".json";

/* Make `path` and the directories above it, as far as they are missing. */
static int make_dirs(const char *path)
{
	char *copy = mem_strdup(path);
	int r = 0;

	for (char *p = copy + 1; r == 0 && *copy; p++) {
		char was = *p;

		if (was != '/' && was != '\0')
			continue;
		*p = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			r = ERR_SYSTEM;
		*p = was;
		if (was == '\0')
			break;
	}
	free(copy);
	return r;
}

int keystore_dir_open(int *ret_dir, const char *path, bool make)
{
	struct stat st;
	int dir = -1, r = make ? make_dirs(path) : 0;

	if (r == 0)
		dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
	r = fstat(dir, &st) < 0 ? ERR_SYSTEM : st.st_mode & (S_IWGRP | S_IWOTH) ? ERR_PERMISSION : 0;
	if (r < 0)
		close(dir);
	else
		*ret_dir = dir;
	return r;
}

static bool is_address(const char *name)
{
	return strlen(name) == ETH_ADDR_TEXT_CAP - 1 && strncmp(name, "0x", 2) == 0 &&
	       strspn(name + 2, "0123456789abcdefABCDEF") == ETH_ADDR_TEXT_CAP - 3;
}

bool keystore_name_is_good(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= KEYSTORE_NAME_MAX && name[0] != '-' && !is_address(name) &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static bool has_suffix(const char *file)
{
	size_t len = strlen(file);

	return len > strlen(suffix) && strcmp(file + len - strlen(suffix), suffix) == 0;
}

static int read_entry(struct keystore_entry *e, int dir, const char *file)
{
	char text[KEYSTORE_FILE_MAX];
	size_t len;

	*e = (struct keystore_entry){ .error = 0 };
	snprintf(e->file, sizeof(e->file), "%s", file);
	snprintf(e->name, sizeof(e->name), "%s", file);
	if (has_suffix(file))
		e->name[strlen(file) - strlen(suffix)] = '\0';
	e->error = file_read_at((uint8_t *)text, sizeof(text), &len, dir, file, true);
	if (e->error == ERR_PERMISSION)
		snprintf(e->why, sizeof(e->why), "it must be a regular file that only its owner can read (chmod 600)");
	else if (e->error == ERR_SYSTEM)
		snprintf(e->why, sizeof(e->why), "%s", strerror(errno));
	else if (e->error < 0)
		snprintf(e->why, sizeof(e->why), "%s", err_str(e->error));
	else
		e->error = keystore_parse(&e->k, e->why, text, len);
	return e->error;
}

static int by_name(const void *a, const void *b)
{
	const struct keystore_entry *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : strcmp(x->file, y->file);
}

static int list_into(struct keystore_entry **v, size_t *n, int dir, DIR *stream)
{
	struct dirent *d;
	size_t cap = 0;

	while ((d = readdir(stream))) {
		if (d->d_name[0] == '.')
			continue;
		if (*n == KEYSTORE_FILES_MAX)
			return ERR_LIMIT;
		if (*n == cap) {
			cap = cap ? 2 * cap : 8;
			*v = mem_resize(*v, cap, sizeof(**v));
		}
		if (read_entry(&(*v)[*n], dir, d->d_name) == 0 || has_suffix(d->d_name))
			(*n)++;
	}
	return 0;
}

int keystore_list(struct keystore_entry **ret, size_t *ret_n, int dir)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	struct keystore_entry *v = NULL;
	size_t n = 0;

	if (!stream) {
		if (copy >= 0)
			close(copy);
		return ERR_SYSTEM;
	}
	r = list_into(&v, &n, dir, stream);
	closedir(stream);
	if (r < 0) {
		free(v);
		return r;
	}
	if (n)
		qsort(v, n, sizeof(*v), by_name);
	*ret = v;
	*ret_n = n;
	return 0;
}

static int find_address(struct keystore_entry *ret, char why[KEYSTORE_WHY_CAP], int dir, const struct eth_addr *a)
{
	struct keystore_entry *v;
	size_t n, found = 0;
	int r = keystore_list(&v, &n, dir);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (v[i].error == 0 && v[i].k.has_address && eth_addr_eq(&v[i].k.address, a) && found++ == 0)
			*ret = v[i];
	free(v);
	if (found > 1)
		snprintf(why, KEYSTORE_WHY_CAP, "%zu files hold a key of this address; name one of them", found);
	return found == 1 ? 0 : found ? ERR_EXISTS : ERR_NOT_FOUND;
}

int keystore_find(struct keystore_entry *ret, char why[KEYSTORE_WHY_CAP], int dir, const char *name)
{
	char file[NAME_MAX + 1];
	struct keystore_entry e;
	struct eth_addr a;
	int r = ERR_NOT_FOUND;

	why[0] = '\0';
	if (is_address(name)) {
		r = eth_addr_parse(&a, name, strlen(name));
		if (r < 0)
			snprintf(why, KEYSTORE_WHY_CAP, "the checksum in the address is wrong: a digit was mistyped");
		return r < 0 ? r : find_address(ret, why, dir, &a);
	}
	if (name[0] == '.' || name[0] == '\0' || strchr(name, '/'))
		return ERR_NOT_FOUND;
	if (snprintf(file, sizeof(file), "%s%s", name, suffix) < (int)sizeof(file))
		r = read_entry(&e, dir, file);
	if (r == ERR_NOT_FOUND && strlen(name) < sizeof(file))
		r = read_entry(&e, dir, name);
	if (r == 0)
		*ret = e;
	else if (r != ERR_NOT_FOUND)
		snprintf(why, KEYSTORE_WHY_CAP, "%s", e.why);
	return r;
}

static int save(int dir, const char *file, const struct keystore *k,
		int (*write_at)(int dir, const char *name, const void *data, size_t len))
{
	char *text = keystore_text(k), *line = mem_printf("%s\n", text);
	int r = write_at(dir, file, line, strlen(line));

	free(line);
	free(text);
	return r;
}

int keystore_save_new(int dir, const char *name, const struct keystore *k)
{
	char file[KEYSTORE_NAME_MAX + sizeof(suffix)];

	if (!keystore_name_is_good(name))
		return ERR_RANGE;
	snprintf(file, sizeof(file), "%s%s", name, suffix);
	return save(dir, file, k, file_create_at);
}

int keystore_save_again(int dir, const struct keystore_entry *e, const struct keystore *k)
{
	return save(dir, e->file, k, file_replace_at);
}
