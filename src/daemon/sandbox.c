#include "config.h"

#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

#include <nonos/err.h>
#include <nonos/mem.h>

/* Newer than Debian 12's header. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP (1ULL << 0)
#endif
#ifndef LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL (1ULL << 1)
#endif

/* struct landlock_ruleset_attr as of version 6; an older kernel takes the front of it. */
struct ruleset_attr {
	uint64_t fs, net, scoped;
};

enum { VERSION_REFER = 2, VERSION_TRUNCATE = 3, VERSION_NET = 4, VERSION_IOCTL = 5, VERSION_SCOPE = 6 };

enum {
	FILES = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE,
	READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	RUN = READ | LANDLOCK_ACCESS_FS_EXECUTE,
	REMOVE = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |
		 (int)LANDLOCK_ACCESS_FS_TRUNCATE,
	WRITE = READ | REMOVE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_DIR |
		LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REFER,
};

struct landlock {
	int fd;
	unsigned version;
	uint64_t fs;		/* what is forbidden where no rule allows it */
};

/* Version of the kernel's Landlock; 0 when it has none for us. */
static unsigned landlock_version(void)
{
	long v = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return v < 1 ? 0 : v > UINT8_MAX ? UINT8_MAX : (unsigned)v;
}

static uint64_t known_fs(unsigned version)
{
	uint64_t fs = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1;	/* all of version 1 */

	if (version >= VERSION_REFER)
		fs |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= VERSION_TRUNCATE)
		fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (version >= VERSION_IOCTL)
		fs |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
	return fs;
}

static int landlock_begin(struct landlock *ll, enum sandbox_role role, unsigned version)
{
	struct ruleset_attr attr = { .fs = known_fs(version) };
	size_t len = version >= VERSION_SCOPE ? sizeof(attr) : version >= VERSION_NET ? 16 : 8;

	/* The keeper may have to speak to systemd on an abstract socket; a worker to nobody here. */
	if (role == SANDBOX_WORKER && version >= VERSION_NET)
		attr.net = LANDLOCK_ACCESS_NET_BIND_TCP;
	if (role == SANDBOX_WORKER && version >= VERSION_SCOPE)
		attr.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
	ll->version = version;
	ll->fs = attr.fs;
	ll->fd = (int)syscall(SYS_landlock_create_ruleset, &attr, len, 0);
	return ll->fd < 0 ? -errno : 0;
}

/* Allow `access` below the directory, or to the device, at `path`; nothing when it is not there. */
static int landlock_allow(const struct landlock *ll, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access & ll->fs };
	struct stat st;
	int r = 0;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
	/* The rule of a file takes only what files have. */
	if (fstat(rule.parent_fd, &st) < 0 || !S_ISDIR(st.st_mode))
		rule.allowed_access &= FILES;
	if (syscall(SYS_landlock_add_rule, ll->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		r = -errno;
	close(rule.parent_fd);
	return r;
}

static int allow_parent(const struct landlock *ll, const char *path, uint64_t access)
{
	char *copy = mem_strdup(path);
	int r = landlock_allow(ll, dirname(copy), access);

	free(copy);
	return r;
}

/* The same for a directory, or for the one that the file, perhaps at the end of links, lies or will lie in. */
static int allow_place(const struct landlock *ll, const char *path, uint64_t access)
{
	char *real = realpath(path, NULL);
	struct stat st;
	int r;

	if (real && stat(real, &st) == 0 && S_ISDIR(st.st_mode))
		r = landlock_allow(ll, real, access);
	else
		r = allow_parent(ll, real ? real : path, access);
	free(real);
	return r;
}

/* -- what the keeper may reach ------------------------------------------------ */

static int allow_library(struct dl_phdr_info *info, size_t len, void *arg)
{
	(void)len;
	/* The main program and the vDSO have no path here. */
	return info->dlpi_name && info->dlpi_name[0] == '/' ? allow_place(arg, info->dlpi_name, RUN) : 0;
}

/* A new worker: our own program, by its file, and the libraries, by their directories. */
static int allow_own_program(const struct landlock *ll)
{
	int r = landlock_allow(ll, "/proc/self/exe", RUN);

	return r < 0 ? r : dl_iterate_phdr(allow_library, (void *)ll);
}

static int allow_keeper(const struct landlock *ll, const struct sandbox_path *paths, size_t n)
{
	static const uint64_t access[] = {
		[SANDBOX_READ] = READ, [SANDBOX_WRITE] = WRITE, [SANDBOX_REMOVE] = REMOVE,
	};
	static const char *const read_only[] = {
		"/etc", "/proc", "/sys/devices/system/cpu", "/dev/random", "/dev/urandom",
		"/usr/share/zoneinfo",
	};
	int r = allow_own_program(ll);

	for (size_t i = 0; r == 0 && i < sizeof(read_only) / sizeof(read_only[0]); i++)
		r = landlock_allow(ll, read_only[i], READ);
	if (r == 0)
		r = landlock_allow(ll, "/dev/null", FILES);
	if (r == 0)	/* often a link to elsewhere */
		r = allow_place(ll, "/etc/resolv.conf", READ);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (paths[i].path)
			r = allow_place(ll, paths[i].path, access[paths[i].use]);
	return r;
}

static int limit_files(unsigned *ret_version, enum sandbox_role role, const struct sandbox_path *paths, size_t n)
{
	struct landlock ll = { .fd = -1 };
	unsigned version = landlock_version();
	int r;

	if (version == 0)
		return 0;
	r = landlock_begin(&ll, role, version);
	if (r == 0 && role == SANDBOX_KEEPER)
		r = allow_keeper(&ll, paths, n);
	if (r == 0 && syscall(SYS_landlock_restrict_self, ll.fd, 0) < 0)
		r = -errno;
	if (ll.fd >= 0)
		close(ll.fd);
	if (r == 0)
		*ret_version = version;
	return r;
}

/* -- both --------------------------------------------------------------------- */

static int fail(const char *what, int error, char *err, size_t err_cap)
{
	snprintf(err, err_cap, "%s cannot be applied: %s. With \"sandbox = no\" in section [node] it is left out.",
		 what, strerror(-error));
	return ERR_SYSTEM;
}

static bool kernel_has_seccomp(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

int sandbox_enter(struct sandbox_state *ret, enum sandbox_role role, const struct sandbox_path *paths, size_t n_paths,
		  char *lacks, size_t lacks_cap, char *err, size_t err_cap)
{
	struct sandbox_state s = { .no_new_privs = true };
	bool calls = sandbox_calls_built() && kernel_has_seccomp();
	unsigned version = 0;
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail("no_new_privs", -errno, err, err_cap);
#ifndef NONOS_SANITIZED		/* their run time reads /proc and writes reports where it likes */
	r = limit_files(&version, role, paths, n_paths);
	if (r < 0)
		return fail("The Landlock rules", r, err, err_cap);
#else
	(void)paths;
	(void)n_paths;
	(void)limit_files;
#endif
	r = calls ? sandbox_limit_calls(role) : 0;
	if (r < 0)
		return fail("The seccomp filter", r, err, err_cap);
	s.landlock = (uint8_t)version;
	s.seccomp = calls;
	snprintf(lacks, lacks_cap, "%s%s%s", version ? "" : "Landlock", !version && !calls ? " and " : "",
		 calls ? "" : "seccomp");
	*ret = s;
	return 0;
}
