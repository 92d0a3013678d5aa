#include "config.h"

#include <nonos/process.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <nonos/err.h>
#include <nonos/mem.h>

void process_open_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void process_protect_memory(void)
{
	static const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

unsigned long process_raise_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return 0;
	l.rlim_cur = l.rlim_max;
	(void)!setrlimit(RLIMIT_NOFILE, &l);
	return process_files_limit();
}

unsigned long process_files_limit(void)
{
	struct rlimit l;

	return getrlimit(RLIMIT_NOFILE, &l) < 0 ? 0 : (unsigned long)l.rlim_cur;
}

int process_find_user(uid_t *ret_uid, gid_t *ret_gid, const char *name, char *err, size_t err_cap)
{
	const struct passwd *pw = getpwnam(name);

	if (!pw) {
		snprintf(err, err_cap, "There is no user \"%s\"; create it or change \"user\" in section [node].",
			 name);
		return ERR_NOT_FOUND;
	}
	*ret_uid = pw->pw_uid;
	*ret_gid = pw->pw_gid;
	return 0;
}

int process_find_group(gid_t *ret, const char *name, char *err, size_t err_cap)
{
	const struct group *gr = getgrnam(name);

	if (!gr) {
		snprintf(err, err_cap, "There is no group \"%s\"; create it or change \"control_socket_group\" in section "
			 "[node].", name);
		return ERR_NOT_FOUND;
	}
	*ret = gr->gr_gid;
	return 0;
}

int process_become_user(const char *name, char *err, size_t err_cap)
{
	uid_t uid;
	gid_t gid;
	int r = process_find_user(&uid, &gid, name, err, err_cap);

	if (r < 0)
		return r;
	if (initgroups(name, gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
		snprintf(err, err_cap, "Cannot become user \"%s\": %s.", name, strerror(errno));
		return ERR_PERMISSION;
	}
	/* A process that can get root back has not dropped it. */
	if (uid != 0 && setuid(0) == 0) {
		snprintf(err, err_cap, "User \"%s\" could become root again; not going on.", name);
		return ERR_PERMISSION;
	}
	return 0;
}

static int dir_fail(const char *path, const char *what, char *err, size_t err_cap)
{
	snprintf(err, err_cap, "Directory %s: %s.", path, what);
	return ERR_PERMISSION;
}

/* What errno says, and what to do about it. */
static int dir_fail_errno(const char *path, char *err, size_t err_cap)
{
	if (errno == ENOENT)
		return dir_fail(path, "the directory above it is missing; make that first", err, err_cap);
	if (errno == EACCES)
		return dir_fail(path, "permission denied; make it as root and chown it to the user the daemon runs as",
				err, err_cap);
	return dir_fail(path, strerror(errno), err, err_cap);
}

int process_make_dir(const char *path, uid_t uid, gid_t gid, char *err, size_t err_cap)
{
	struct stat st;

	if (mkdir(path, 0700) == 0) {
		if (uid != (uid_t)-1 && chown(path, uid, gid) < 0)
			return dir_fail_errno(path, err, err_cap);
	} else if (errno != EEXIST) {
		return dir_fail_errno(path, err, err_cap);
	}
	if (stat(path, &st) < 0)
		return dir_fail_errno(path, err, err_cap);
	if (!S_ISDIR(st.st_mode))
		return dir_fail(path, "is not a directory", err, err_cap);
	if (st.st_uid != (uid == (uid_t)-1 ? geteuid() : uid))
		return dir_fail(path, "belongs to another user; chown it to the one the daemon runs as", err, err_cap);
	if (st.st_mode & 0022)
		return dir_fail(path, "others may write to it; chmod it to 700", err, err_cap);
	return 0;
}

int process_make_parent(const char *path, uid_t uid, gid_t gid, char *err, size_t err_cap)
{
	const char *slash = strrchr(path, '/');
	char *parent = mem_strndup(path, slash ? (size_t)(slash - path) : 0);
	int r = 0;

	if (parent[0] && mkdir(parent, 0755) == 0) {
		/* The umask may have taken away what others need to get through. */
		if (chmod(parent, 0755) < 0 || (uid != (uid_t)-1 && chown(parent, uid, gid) < 0))
			r = dir_fail_errno(parent, err, err_cap);
	} else if (parent[0] && errno != EEXIST) {
		r = dir_fail_errno(parent, err, err_cap);
	}
	free(parent);
	return r;
}

static int open_as(const char *path, uid_t uid, gid_t gid)
{
	bool other = uid != (uid_t)-1;
	uid_t own_uid = geteuid();
	gid_t own_gid = getegid();
	int fd = -1, saved;

	if (other && (setegid(gid) < 0 || seteuid(uid) < 0))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	saved = errno;
	if (other && (seteuid(own_uid) < 0 || setegid(own_gid) < 0))
		abort();	/* half of one user and half of another is no state to go on in */
	errno = saved;
	return fd;
}

int process_lock(int *ret_fd, const char *data_dir, uid_t uid, gid_t gid, char *err, size_t err_cap)
{
	char *path = mem_printf("%s/lock", data_dir), pid[32] = "";
	int fd = open_as(path, uid, gid);
	ssize_t n;

	if (fd < 0)
		snprintf(err, err_cap, "Cannot open %s: %s.", path, strerror(errno));
	free(path);
	if (fd < 0)
		return ERR_IO;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		n = pread(fd, pid, sizeof(pid) - 1, 0);
		pid[n > 0 ? strspn(pid, "0123456789") : 0] = '\0';
		snprintf(err, err_cap, "Another nonosd uses %s (pid %s); stop it first, take its place with "
			 "--take-over, or give this one another data_dir.", data_dir, pid[0] ? pid : "unknown");
		close(fd);
		return ERR_BUSY;
	}
	if (process_mark_lock(fd) < 0) {
		snprintf(err, err_cap, "Cannot write %s/lock: %s.", data_dir, strerror(errno));
		close(fd);
		return ERR_IO;
	}
	*ret_fd = fd;
	return 0;
}

int process_mark_lock(int fd)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	return ftruncate(fd, 0) < 0 || pwrite(fd, pid, strlen(pid), 0) < 0 ? ERR_IO : 0;
}

int process_check_lock(int fd, const char *data_dir, char *err, size_t err_cap)
{
	char *path = mem_printf("%s/lock", data_dir);
	struct stat file, ours;
	int r = 0;

	/* It is locked already, by the very open file that we share; if not, it is now. */
	if (fd < 0 || fstat(fd, &ours) < 0 || lstat(path, &file) < 0 || ours.st_dev != file.st_dev ||
	    ours.st_ino != file.st_ino || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		snprintf(err, err_cap, "The running nonosd did not pass on the lock of %s.", data_dir);
		r = ERR_MISMATCH;
	}
	free(path);
	return r;
}

int process_rewrite_pid(const char *path)
{
	char err[PROCESS_ERR_CAP];
	int fd, r;

	if (process_write_pid(path, (uid_t)-1, (gid_t)-1, err, sizeof(err)) == 0)
		return 0;
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return ERR_IO;
	r = dprintf(fd, "%ld\n", (long)getpid()) < 0 ? ERR_IO : 0;
	close(fd);
	return r;
}

int process_write_pid(const char *path, uid_t uid, gid_t gid, char *err, size_t err_cap)
{
	char *temp = mem_printf("%s.new", path);
	int fd, r = 0;

	/* A fresh file, whatever lay there: never write through another's name for a file. */
	(void)!unlink(temp);
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || fchmod(fd, 0644) < 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0 ||
	    (uid != (uid_t)-1 && fchown(fd, uid, gid) < 0) || rename(temp, path) < 0) {
		snprintf(err, err_cap, "Cannot write the pid file %s: %s.", path, strerror(errno));
		r = ERR_IO;
	}
	if (fd >= 0)
		close(fd);
	free(temp);
	return r;
}

void process_remove_pid(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n > 0 && strtol(text, NULL, 10) == (long)getpid() && unlink(path) < 0)
		(void)!truncate(path, 0);
}

unsigned long long process_memory(void)
{
	unsigned long long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%20llu %20llu", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * (unsigned long long)sysconf(_SC_PAGESIZE);
}

uint64_t process_cpu_us(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int process_files_open(void)
{
	return open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

uint64_t process_open_files(int fd)
{
	struct stat st;

	/* The size of that directory is the number of its files. */
	return fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}
