/* The file of the control socket: made for those who may connect, and never another daemon's taken away. */
#include "config.h"

#include "socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <nonos/control.h>
#include <nonos/err.h>

static int fail(const char *path, const char *what, int code, char *err, size_t err_cap)
{
	snprintf(err, err_cap, "Control socket %s: %s.", path, what);
	return code;
}

/* What errno says, and what to do about it. */
static int fail_errno(const char *path, char *err, size_t err_cap)
{
	bool denied = errno == EACCES || errno == EPERM;
	char what[160];

	snprintf(what, sizeof(what), "%s%s", strerror(errno),
		 denied ? "; give its directory to the user the daemon runs as, or choose another control_socket" : "");
	(void)fail(path, what, ERR_SYSTEM, err, err_cap);
	return ERR_SYSTEM;
}

/* Remove the file of a daemon that is gone; leave one that answers. */
static int remove_stale(const struct sockaddr_un *sun, char *err, size_t err_cap)
{
	int fd, r = 0;
	struct stat st;

	if (lstat(sun->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return fail(sun->sun_path, "something else has that name; move it away", ERR_EXISTS, err, err_cap);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail_errno(sun->sun_path, err, err_cap);
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 || errno == EAGAIN)
		r = fail(sun->sun_path, "another daemon answers there; stop it, or choose another control_socket",
			 ERR_BUSY, err, err_cap);
	else if (errno == ECONNREFUSED && unlink(sun->sun_path) < 0)
		r = fail_errno(sun->sun_path, err, err_cap);
	close(fd);
	return r;
}

int socket_set_mode(const char *path, mode_t mode, gid_t group)
{
	if (group != (gid_t)-1 && chown(path, (uid_t)-1, group) < 0)
		return -1;
	return chmod(path, mode);
}

int socket_listen(int *ret_fd, const char *path, mode_t mode, gid_t group, char *err, size_t err_cap)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, r;

	if (strlen(path) >= sizeof(sun.sun_path))
		return fail(path, "the path is too long for a socket", ERR_TOO_LONG, err, err_cap);
	memcpy(sun.sun_path, path, strlen(path));
	r = remove_stale(&sun, err, err_cap);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail_errno(path, err, err_cap);
	/* Closed to others until the mode is the wanted one. */
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (r == 0 && socket_set_mode(path, mode, group) < 0) {
		r = group != (gid_t)-1 && errno == EPERM
		    ? fail(path, "it cannot be given to control_socket_group: make the daemon's user a member of that group",
			   ERR_PERMISSION, err, err_cap)
		    : fail_errno(path, err, err_cap);
		(void)!unlink(path);
	} else if (r < 0 || listen(fd, CTL_CLIENTS_MAX) < 0) {
		r = fail_errno(path, err, err_cap);
	}
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}
