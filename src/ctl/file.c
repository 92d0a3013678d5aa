/* Reading the files that commands are given. */
#include "config.h"

#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/jcs.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

enum { KEY_FILE_MAX = 128 };

/* Read all of `f`, at most `max` bytes; *ret is malloc()ed. */
static int read_all(char **ret, size_t *ret_len, FILE *f, size_t max)
{
	size_t cap = 65536, len = 0, n;
	char *data = mem_new(cap);

	while ((n = fread(data + len, 1, cap - len, f)) > 0) {
		len += n;
		if (len > max) {
			free(data);
			return ERR_TOO_LONG;
		}
		if (len == cap) {
			cap *= 2;
			data = mem_resize(data, cap, 1);
		}
	}
	if (ferror(f)) {
		free(data);	/* keeps errno */
		return ERR_IO;
	}
	*ret = data;
	*ret_len = len;
	return 0;
}

int file_read(char **ret, size_t *ret_len, const char *path, size_t max)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *f = standard ? stdin : fopen(path, "rb");
	int r, error;

	if (!f)
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	r = read_all(ret, ret_len, f, max);
	error = errno;
	if (!standard)
		fclose(f);
	if (r == ERR_TOO_LONG)
		return complain(EXIT_REFUSED, "%s: longer than the %zu bytes that this command reads", path, max);
	return r < 0 ? complain(EXIT_REFUSED, "%s: %s", path, strerror(error)) : EXIT_OK;
}

int file_read_json(json_t **ret, const char *path, size_t max, bool integers)
{
	json_error_t e = { .line = 0 };
	size_t len = 0;
	char *text = NULL;
	int r = file_read(&text, &len, path, max);

	if (r != EXIT_OK)
		return r;
	if (len == 0) {
		free(text);
		return complain(EXIT_REFUSED, "%s: empty, where a JSON document is wanted", path);
	}
	*ret = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
	if (!*ret) {
		r = complain(EXIT_REFUSED, "%s: line %d: %s", path, e.line, e.text);
	} else if (integers) {
		json_decref(*ret);
		if (jcs_read(ret, text, len) < 0)
			r = complain(EXIT_REFUSED, "%s: numbers must be whole, below 2^53 and without exponent, "
				     "and nesting is limited to %d", path, JCS_DEPTH_MAX);
	}
	free(text);
	return r;
}

int file_read_key(uint8_t secret[ETH_SECRET_LEN], const char *path)
{
	char text[KEY_FILE_MAX], *digits = text;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r = EXIT_OK;
	struct stat st;
	ssize_t n = 0;

	if (fd < 0)
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		r = complain(EXIT_REFUSED, "%s: not a regular file", path);
	else if (st.st_mode & 077)
		r = complain(EXIT_REFUSED, "%s: others may read or change this key; chmod 600 it", path);
	else if ((n = read(fd, text, sizeof(text))) < 0)
		r = complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	close(fd);
	if (r != EXIT_OK)
		return r;
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n > 2 && memcmp(digits, "0x", 2) == 0) {
		digits += 2;
		n -= 2;
	}
	if (n != 2 * ETH_SECRET_LEN || hex_decode(secret, ETH_SECRET_LEN, digits, (size_t)n) < 0)
		r = complain(EXIT_REFUSED, "%s: not a key, 64 hexadecimal digits", path);
	secret_wipe(text, sizeof(text));
	return r;
}

/* -- writing ---------------------------------------------------------------------- */

/* The name is durable once its directory is. */
static void sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	free(dir);
	if (fd < 0)
		return;
	(void)!fsync(fd);
	close(fd);
}

/* Give the new file what the old one had; only root may give it another owner. */
static int take_after(int fd, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : ERR_IO;
	if (fchmod(fd, st.st_mode & 07777) < 0)
		return ERR_IO;
	if ((st.st_uid != geteuid() || st.st_gid != getegid()) && fchown(fd, st.st_uid, st.st_gid) < 0)
		return ERR_PERMISSION;
	return 0;
}

int file_replace(const char *path, const char *text, size_t len)
{
	char *next = mem_printf("%s.XXXXXX", path);
	int fd = mkostemp(next, O_CLOEXEC), r = EXIT_OK;

	if (fd < 0) {
		r = complain(EXIT_REFUSED, "%s: %s", next, strerror(errno));
		goto out;
	}
	if (take_after(fd, path) < 0 || file_write_all(fd, text, len) < 0 || rename(next, path) < 0) {
		r = complain(EXIT_REFUSED, "%s: cannot be replaced: %s", path, strerror(errno));
		(void)!unlink(next);
	}
	close(fd);
	if (r == EXIT_OK)
		sync_parent(path);
out:
	free(next);
	return r;
}

int file_create(const char *path, const char *text, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), r = EXIT_OK;

	if (fd < 0 && errno == EEXIST)
		return complain(EXIT_REFUSED, "%s is there already and is not overwritten; give another name", path);
	if (fd < 0)
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	if (fchmod(fd, mode) < 0 || file_write_all(fd, text, len) < 0) {
		r = complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
		(void)!unlink(path);
	}
	close(fd);
	if (r == EXIT_OK)
		sync_parent(path);
	return r;
}

int file_create_json(const char *path, const json_t *value)
{
	char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENSURE_ASCII), *line;
	int r;

	if (!text)
		mem_fail();
	line = mem_printf("%s\n", text);
	r = file_create(path, line, strlen(line), 0600);
	free(line);
	free(text);
	return r;
}
