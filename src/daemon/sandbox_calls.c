/*
 * The system calls of each role. Names that an architecture does not have
 * (open, poll on aarch64) are passed over, so one list serves all.
 */
#include "config.h"

#include "sandbox.h"

#include <errno.h>

#if defined(HAVE_SECCOMP) && !defined(NONOS_SANITIZED)

#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Nobody here calls them, so whoever does is not us any more. */
static const char *const hostile[] = {
	"ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "bpf", "mount", "umount2",
	"move_mount", "open_tree", "fsopen", "fsmount", "pivot_root", "chroot", "setns", "unshare", "init_module",
	"finit_module", "delete_module", "kexec_load", "kexec_file_load", "keyctl", "add_key", "request_key",
	"userfaultfd", "perf_event_open", "io_uring_setup", "iopl", "ioperm", "reboot", "swapon", "swapoff",
};

/* Loop, sockets that are open, memory, time. */
static const char *const both[] = {
	"accept", "accept4", "connect", "getpeername", "getsockname", "getsockopt", "setsockopt", "listen", "shutdown",
	"read", "readv", "pread64", "write", "writev", "recvfrom", "recvmsg", "recvmmsg", "sendto", "sendmsg",
	"sendmmsg", "close", "close_range", "lseek", "fcntl", "dup", "dup2", "dup3", "pipe", "pipe2", "eventfd2",
	"epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll",
	"select", "pselect6", "timerfd_create", "timerfd_settime", "timerfd_gettime",
	"brk", "munmap", "mremap", "madvise", "mlock", "mlock2", "munlock", "membarrier", "mincore",
	"fstat", "newfstatat", "statx",		/* fstat() is newfstatat() to newer C libraries */
	"futex", "get_robust_list", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "getcpu",
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
	"getrandom", "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getrlimit",
	"getrusage", "sysinfo", "times", "uname",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "sigaltstack",
	"restart_syscall", "exit", "exit_group",
};

/* Files, the control socket, and all that a new worker does before it is confined itself. */
static const char *const keeper_only[] = {
	"open", "openat", "openat2", "access", "faccessat", "faccessat2", "stat", "lstat", "statfs", "fstatfs",
	"readlink", "readlinkat", "getdents64", "getcwd", "umask", "mkdir", "mkdirat", "rmdir", "rename", "renameat",
	"renameat2", "unlink", "unlinkat", "link", "linkat", "chmod", "fchmod", "fchmodat", "chown", "fchown",
	"fchownat", "truncate", "ftruncate", "fallocate", "fadvise64", "fsync", "fdatasync", "flock", "utimensat",
	"pwrite64", "pwritev", "preadv", "sendfile", "copy_file_range",
	"memfd_create", "mmap", "mprotect", "socket", "socketpair", "bind", "ioctl", "prlimit64",
	"setrlimit", "clone", "clone3", "vfork", "fork", "execve", "wait4", "waitid", "kill", "tgkill",
	"arch_prctl", "prctl", "set_tid_address", "getgroups", "getresuid", "getresgid", "getpgrp", "getpgid",
	"getsid", "setsid", "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
};

static int add_list(scmp_filter_ctx ctx, uint32_t action, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int number = seccomp_syscall_resolve_name(names[i]), r;

		if (number == __NR_SCMP_ERROR)
			continue;	/* newer than libseccomp */
		r = seccomp_rule_add(ctx, action, number, 0);
		if (r < 0)
			return r;
	}
	return 0;
}

static int allow_if(scmp_filter_ctx ctx, int number, struct scmp_arg_cmp one)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 1, one);
}

/* TCP and UDP over IP. */
static int allow_sockets(scmp_filter_ctx ctx)
{
	static const int families[] = { AF_INET, AF_INET6 }, types[] = { SOCK_STREAM, SOCK_DGRAM };
	static const scmp_datum_t kind = ~(scmp_datum_t)(SOCK_CLOEXEC | SOCK_NONBLOCK);
	int r = 0;

	for (size_t i = 0; r == 0 && i < 4; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i / 2], 0),
				     SCMP_A1(SCMP_CMP_MASKED_EQ, kind, (scmp_datum_t)types[i % 2]));
	return r;
}

/* No code comes into being, no limit is raised, no other process is signalled. */
static int allow_worker(scmp_filter_ctx ctx)
{
	static const unsigned long requests[] = { FIONREAD, FIONBIO, TIOCOUTQ };
	int r = allow_sockets(ctx);

	if (r == 0)
		r = allow_if(ctx, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = allow_if(ctx, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = allow_if(ctx, SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0, 0));
	if (r == 0)	/* abort() */
		r = allow_if(ctx, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
	for (size_t i = 0; r == 0 && i < sizeof(requests) / sizeof(requests[0]); i++)
		r = allow_if(ctx, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, requests[i], 0));
	return r;
}

bool sandbox_calls_built(void)
{
	return true;
}

int sandbox_limit_calls(enum sandbox_role role)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!ctx)
		return -ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A binary tree of calls: a cell costs four of them. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = add_list(ctx, SCMP_ACT_KILL_PROCESS, hostile, sizeof(hostile) / sizeof(hostile[0]));
	if (r == 0)
		r = add_list(ctx, SCMP_ACT_ALLOW, both, sizeof(both) / sizeof(both[0]));
	if (r == 0 && role == SANDBOX_KEEPER)
		r = add_list(ctx, SCMP_ACT_ALLOW, keeper_only, sizeof(keeper_only) / sizeof(keeper_only[0]));
	if (r == 0 && role == SANDBOX_WORKER)
		r = allow_worker(ctx);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

#else

bool sandbox_calls_built(void)
{
	return false;
}

int sandbox_limit_calls(enum sandbox_role role)
{
	(void)role;
	return -ENOSYS;
}

#endif
