#include "config.h"

#include <nonos/file.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nonos/err.h>

static int read_all(int fd, uint8_t *out, size_t cap, size_t *ret_len)
{
	size_t len = 0;

	for (;;) {
		uint8_t spare;
		ssize_t n = len < cap ? read(fd, out + len, cap - len) : read(fd, &spare, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_SYSTEM;
		if (n == 0)
			break;
		if (len == cap)
			return ERR_TOO_LONG;
		len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

int file_read_at(uint8_t *out, size_t cap, size_t *ret_len, int dir, const char *name, bool is_private)
{
	/* Not to be held up by a FIFO of that name. */
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int r = ERR_SYSTEM;

	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : errno == EACCES ? ERR_PERMISSION : ERR_SYSTEM;
	if (fstat(fd, &st) < 0)
		goto out;
	r = ERR_PERMISSION;
	if (!S_ISREG(st.st_mode) || (is_private && st.st_mode & (S_IRWXG | S_IRWXO)))
		goto out;
	r = read_all(fd, out, cap, ret_len);
out:
	close(fd);
	return r;
}

int file_write_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_SYSTEM;
		p += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? ERR_SYSTEM : 0;
}

enum file_place { FILE_NEW, FILE_ANY };

/* Give the finished temporary file its name. */
static int put_in_place(int dir, const char *temp, const char *name, enum file_place place)
{
	if (place == FILE_ANY)
		return renameat(dir, temp, dir, name) < 0 ? ERR_SYSTEM : 0;
	if (linkat(dir, temp, dir, name, 0) < 0)
		return errno == EEXIST ? ERR_EXISTS : ERR_SYSTEM;
	return unlinkat(dir, temp, 0) < 0 ? ERR_SYSTEM : 0;
}

static int write_file(int dir, const char *name, const void *data, size_t len, enum file_place place)
{
	char temp[NAME_MAX + 1];
	int fd, r;

	if (snprintf(temp, sizeof(temp), "%s.tmp", name) >= (int)sizeof(temp))
		return ERR_TOO_LONG;
	/* One that an earlier death left behind. */
	if (unlinkat(dir, temp, 0) < 0 && errno != ENOENT)
		return ERR_SYSTEM;
	fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ERR_SYSTEM;
	r = file_write_all(fd, data, len);
	if (close(fd) < 0)
		r = ERR_SYSTEM;
	if (r == 0)
		r = put_in_place(dir, temp, name, place);
	if (r == 0 && fsync(dir) < 0)
		r = ERR_SYSTEM;
	if (r < 0) {
		int saved = errno;

		unlinkat(dir, temp, 0);
		errno = saved;
	}
	return r;
}

int file_replace_at(int dir, const char *name, const void *data, size_t len)
{
	return write_file(dir, name, data, len, FILE_ANY);
}

int file_create_at(int dir, const char *name, const void *data, size_t len)
{
	return write_file(dir, name, data, len, FILE_NEW);
}

int file_remove_at(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) < 0)
		return errno == ENOENT ? 0 : ERR_SYSTEM;
	return fsync(dir) < 0 ? ERR_SYSTEM : 0;
}
