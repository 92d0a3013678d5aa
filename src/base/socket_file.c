#include "config.h"

#include <nonos/socket_file.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <nonos/err.h>
#include <nonos/mem.h>

static int fail(const char *what, int code, char *why, size_t why_cap)
{
	snprintf(why, why_cap, "%s", what);
	return code;
}

/* What errno says, and what to do about it. */
static int fail_errno(char *why, size_t why_cap)
{
	const char *advice = "";

	if (errno == EACCES || errno == EPERM)
		advice = "; give its directory to the user the daemon runs as, or choose another path";
	else if (errno == ENOENT)
		advice = "; make its directory, or choose another path";
	snprintf(why, why_cap, "%s%s", strerror(errno), advice);
	return ERR_SYSTEM;
}

static int stream_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Remove the file of a server that is gone; leave one that answers. */
static int remove_stale(const struct sockaddr_un *sun, char *why, size_t why_cap)
{
	struct stat st;
	int fd, r = 0;

	if (lstat(sun->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return fail("something else has that name; move it away", ERR_EXISTS, why, why_cap);
	fd = stream_socket();
	if (fd < 0)
		return fail_errno(why, why_cap);
	/* EAGAIN: it is there, but busy. EPROTOTYPE: it is no stream, but there. */
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 || errno == EAGAIN || errno == EPROTOTYPE)
		r = fail("another program answers there; stop it, or choose another path", ERR_BUSY, why, why_cap);
	else if (errno == ECONNREFUSED && unlink(sun->sun_path) < 0)
		r = fail_errno(why, why_cap);
	close(fd);
	return r;
}

static int bind_closed(int fd, const struct sockaddr_un *sun)
{
	mode_t mask = umask(0177);
	int r = bind(fd, (const struct sockaddr *)sun, sizeof(*sun));

	umask(mask);
	return r;
}

/* Open it to those who may connect, once it can be. */
static int let_in(int fd, const char *path, mode_t mode, gid_t group, int backlog, char *why, size_t why_cap)
{
	if (socket_file_set_mode(path, mode, group) < 0)
		return group != (gid_t)-1 && errno == EPERM
		       ? fail("it cannot be given to that group; make the daemon's user a member of it", ERR_SYSTEM, why, why_cap)
		       : fail_errno(why, why_cap);
	return listen(fd, backlog) < 0 ? fail_errno(why, why_cap) : 0;
}

int socket_file_listen(int *ret_fd, const char *path, mode_t mode, gid_t group, int backlog, char *why, size_t why_cap)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, r;

	if (strlen(path) >= sizeof(sun.sun_path))
		return fail("the path is too long for a socket", ERR_TOO_LONG, why, why_cap);
	memcpy(sun.sun_path, path, strlen(path));
	r = remove_stale(&sun, why, why_cap);
	if (r < 0)
		return r;
	fd = stream_socket();
	if (fd < 0)
		return fail_errno(why, why_cap);
	if (bind_closed(fd, &sun) < 0) {
		r = fail_errno(why, why_cap);
		goto out;
	}
	r = let_in(fd, path, mode, group, backlog, why, why_cap);
	if (r < 0)
		(void)!unlink(path);
out:
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

int socket_file_set_mode(const char *path, mode_t mode, gid_t group)
{
	if (group != (gid_t)-1 && chown(path, (uid_t)-1, group) < 0)
		return ERR_SYSTEM;
	return chmod(path, mode) < 0 ? ERR_SYSTEM : 0;
}

void socket_file_init(struct socket_file *f, const char *path)
{
	struct stat st;

	*f = (struct socket_file){ .path = mem_strdup(path) };
	if (lstat(path, &st) == 0) {
		f->dev = st.st_dev;
		f->ino = st.st_ino;
	}
}

void socket_file_remove(const struct socket_file *f)
{
	struct stat st;

	if (f->path && lstat(f->path, &st) == 0 && st.st_dev == f->dev && st.st_ino == f->ino)
		(void)!unlink(f->path);
}

void socket_file_clear(struct socket_file *f)
{
	free(f->path);
	*f = (struct socket_file){ .path = NULL };
}
