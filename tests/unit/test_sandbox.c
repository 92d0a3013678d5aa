/* Each try is a process of its own that enters a sandbox first: there is no way out of one. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/err.h>

#include "../../src/daemon/sandbox.h"

extern char **environ;

static char dir[64];		/* the keeper's */
static char outside[64];	/* nobody's */
static struct sandbox_state state_now;

static int make_dirs(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/nonos-sandbox-XXXXXX");
	strcpy(outside, "/tmp/nonos-outside-XXXXXX");
	return mkdtemp(dir) && mkdtemp(outside) ? 0 : -1;
}

static int remove_dirs(void **state)
{
	(void)state;
	return rmdir(dir) | rmdir(outside);
}

static int enter(enum sandbox_role role)
{
	const struct sandbox_path paths[] = { { dir, SANDBOX_WRITE }, { NULL, SANDBOX_READ } };
	char lacks[64] = "?", err[256];
	int r = sandbox_enter(&state_now, role, paths, 2, lacks, sizeof(lacks), err, sizeof(err));

	return r == 0 && (lacks[0] == '\0') == (state_now.landlock && state_now.seccomp) ? 0 : -1;
}

/* A try's result: 0 allowed, or the errno. */
enum { NOT_ENTERED = 200, KILLED = 201 };

static int outcome(enum sandbox_role role, int (*try)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSYS, SIG_DFL);
		_exit(enter(role) < 0 ? NOT_ENTERED : try());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return KILLED;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int result_of(long r)
{
	return r < 0 ? errno : 0;
}

static const char *in(const char *where, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", where, name);
	return path;
}

static int read_file(void) { return result_of(open("/etc/passwd", O_RDONLY)); }
static int read_binary(void) { return result_of(open("/bin/sh", O_RDONLY)); }
static int read_root_dir(void) { return result_of(open("/", O_RDONLY | O_DIRECTORY)); }
static int write_outside(void) { return result_of(open(in(outside, "x"), O_WRONLY | O_CREAT, 0600)); }
static int unix_socket(void) { return result_of(socket(AF_UNIX, SOCK_STREAM, 0)); }
static int unix_pair(void) { int fds[2]; return result_of(socketpair(AF_UNIX, SOCK_STREAM, 0, fds)); }
static int raw_socket(void) { return result_of(socket(AF_INET, SOCK_RAW, IPPROTO_UDP)); }
static int packet_socket(void) { return result_of(socket(AF_PACKET, SOCK_DGRAM, 0)); }
static int trace_parent(void) { return result_of(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL)); }
static int signal_parent(void) { return result_of(kill(getppid(), 0)); }
static int code_pages(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
	       ? errno : 0;
}

static int fork_here(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return result_of(pid);
}

static int exec_shell(void)
{
	char name[] = "sh", option[] = "-c", what[] = "exit 0", *argv[] = { name, option, what, NULL };

	execve("/bin/sh", argv, environ);
	return errno;
}

static int read_memory_of_parent(void)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%ld/mem", (long)getppid());
	return result_of(open(path, O_RDONLY));
}

static int raise_limit(void)
{
	struct rlimit l = { 64, 64 };

	return result_of(setrlimit(RLIMIT_NOFILE, &l));
}

static int has_landlock(void) { return state_now.landlock ? 0 : ENOSYS; }
static int has_seccomp(void) { return state_now.seccomp ? 0 : ENOSYS; }

/* What this kernel and this build have; entering itself must never fail. */
static bool can(bool landlock, bool seccomp)
{
	int l = outcome(SANDBOX_WORKER, has_landlock), s = outcome(SANDBOX_WORKER, has_seccomp);

	assert_int_not_equal(l, NOT_ENTERED);
	assert_int_not_equal(s, NOT_ENTERED);
	return (!landlock || l == 0) && (!seccomp || s == 0);
}

static void test_worker_is_refused(void **state)
{
	int (*const tries[])(void) = { read_file, read_root_dir, write_outside, exec_shell, read_memory_of_parent };
	int (*const calls[])(void) = { unix_socket, unix_pair, raw_socket, packet_socket, fork_here, signal_parent,
				       code_pages, raise_limit };

	(void)state;
	if (!can(true, true))
		skip();
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		int r = outcome(SANDBOX_WORKER, tries[i]);

		if (r != EPERM && r != EACCES)
			fail_msg("try %zu: %d", i, r);
	}
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int r = outcome(SANDBOX_WORKER, calls[i]);

		if (r != EPERM)
			fail_msg("call %zu: %d", i, r);
	}
	assert_int_equal(outcome(SANDBOX_WORKER, trace_parent), KILLED);
}

/* -- what a worker needs --------------------------------------------------------- */

static int listener, memory_fd;
static struct sockaddr_in listener_addr;

static void open_listener(void)
{
	socklen_t len = sizeof(listener_addr);

	listener_addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&listener_addr, len), 0);
	assert_int_equal(listen(listener, 4), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&listener_addr, &len), 0);
}

static int talk(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), other;
	char c = 0;

	if (fd < 0 || connect(fd, (struct sockaddr *)&listener_addr, sizeof(listener_addr)) < 0)
		return errno;
	other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (other < 0 || send(fd, "x", 1, 0) != 1 || recv(other, &c, 1, 0) != 1)
		return errno;
	return c == 'x' && close(fd) == 0 && close(other) == 0 ? 0 : 1;
}

static int ask_by_udp(void)
{
	int four = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return four < 0 ? errno : result_of(connect(four, (struct sockaddr *)&listener_addr, sizeof(listener_addr)));
}

static int poll_events(void)
{
	struct epoll_event e = { .events = EPOLLOUT };
	int ep = epoll_create1(EPOLL_CLOEXEC), fd = socket(AF_INET, SOCK_STREAM, 0);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
		return errno;
	return result_of(epoll_wait(ep, &e, 1, 0));
}

static int use_memory(void)
{
	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), buf[16];
	const char *document;

	if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ) < 0 || munmap(p, 1 << 20) < 0)
		return errno;
	document = mmap(NULL, 4096, PROT_READ, MAP_SHARED, memory_fd, 0);
	if (document == MAP_FAILED)
		return errno;
	p = malloc(1 << 24);
	memset(p, 1, 1 << 24);
	free(p);
	return memcmp(document, "document", 8) == 0 && getrandom(buf, sizeof(buf), 0) == sizeof(buf) ? 0 : 1;
}

/* Descriptors that were open stay good. */
static int statm_fd;

static int read_open_file(void)
{
	char text[64];

	return result_of(pread(statm_fd, text, sizeof(text), 0));
}

static void test_worker_works(void **state)
{
	(void)state;
	open_listener();
	memory_fd = memfd_create("document", MFD_CLOEXEC);
	statm_fd = open("/proc/self/statm", O_RDONLY);
	assert_int_equal(write(memory_fd, "document", 8), 8);
	assert_int_equal(ftruncate(memory_fd, 4096), 0);
	assert_int_equal(outcome(SANDBOX_WORKER, talk), 0);
	assert_int_equal(outcome(SANDBOX_WORKER, ask_by_udp), 0);
	assert_int_equal(outcome(SANDBOX_WORKER, poll_events), 0);
	assert_int_equal(outcome(SANDBOX_WORKER, use_memory), 0);
	assert_int_equal(outcome(SANDBOX_WORKER, read_open_file), 0);
	close(listener);
	close(memory_fd);
	close(statm_fd);
}

/* abort() is how an assertion ends a worker: it must not become an exit that looks well. */
static void test_worker_aborts(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_DUMPABLE, 0);
		if (enter(SANDBOX_WORKER) == 0)
			abort();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* -- the keeper ---------------------------------------------------------------- */

static void test_keeper_is_refused(void **state)
{
	(void)state;
	if (!can(true, true))
		skip();
	assert_int_equal(outcome(SANDBOX_KEEPER, write_outside), EACCES);
	assert_int_equal(outcome(SANDBOX_KEEPER, exec_shell), EACCES);
	assert_int_equal(outcome(SANDBOX_KEEPER, read_binary), EACCES);
	assert_int_equal(outcome(SANDBOX_KEEPER, read_root_dir), EACCES);
	assert_int_equal(outcome(SANDBOX_KEEPER, read_memory_of_parent), EACCES);
	assert_int_equal(outcome(SANDBOX_KEEPER, trace_parent), KILLED);
}

/* Replace a file as stores do, in a directory that is made and moved as keys are. */
static int keep_files(void)
{
	char temp[128], path[128];
	int fd;

	snprintf(temp, sizeof(temp), "%s/new", dir);
	snprintf(path, sizeof(path), "%s/keys", dir);
	if (mkdir(temp, 0700) < 0 || rename(temp, path) < 0)
		return errno;
	snprintf(temp, sizeof(temp), "%s/keys/f.new", dir);
	snprintf(path, sizeof(path), "%s/keys/f", dir);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) < 0 || close(fd) < 0 || rename(temp, path) < 0 ||
	    truncate(path, 0) < 0 || unlink(path) < 0)
		return errno;
	return result_of(rmdir(in(dir, "keys")));
}

static int serve_control(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sun.sun_path, in(dir, "s"));
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || chmod(sun.sun_path, 0660) < 0 ||
	    listen(fd, 4) < 0)
		return errno;
	return result_of(unlink(sun.sun_path));
}

static int make_document(void)
{
	int fd = memfd_create("document", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 || ftruncate(fd, 4096) < 0 ? errno : result_of(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
}

/* As team.c starts a worker: our own program, which enters the worker's sandbox and tries. */
static int start_worker(void)
{
	char name[] = "test_sandbox", role[] = "--worker", *argv[] = { name, role, NULL };
	int status, r;
	pid_t pid;

	r = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ);
	if (r)
		return r;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int be_worker(void)
{
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) < 0)
		return 2;
	/* What it reads before it is confined, through the keeper's rules. */
	if (read_file() || open("/proc/self/statm", O_RDONLY) < 0)
		return 3;
	if (enter(SANDBOX_WORKER) < 0)
		return 4;
	if (!state_now.landlock && !state_now.seccomp)
		return 0;
	return read_file() == 0 ? 5 : exec_shell() == 0 ? 6 : 0;
}

static void *nothing(void *arg)
{
	return arg;
}

/* A replay of the journal checks its signatures on all cores. */
static int make_thread(void)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, nothing, NULL);

	return r ? r : pthread_join(thread, NULL);
}

static void test_keeper_works(void **state)
{
	(void)state;
	assert_int_equal(outcome(SANDBOX_KEEPER, keep_files), 0);
	assert_int_equal(outcome(SANDBOX_KEEPER, serve_control), 0);
	assert_int_equal(outcome(SANDBOX_KEEPER, make_document), 0);
	assert_int_equal(outcome(SANDBOX_KEEPER, read_file), 0);
	assert_int_equal(outcome(SANDBOX_KEEPER, unix_pair), 0);
	assert_int_equal(outcome(SANDBOX_KEEPER, start_worker), 0);
	assert_int_equal(outcome(SANDBOX_KEEPER, make_thread), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worker_is_refused), cmocka_unit_test(test_worker_works),
		cmocka_unit_test(test_worker_aborts), cmocka_unit_test(test_keeper_is_refused),
		cmocka_unit_test(test_keeper_works),
	};

	if (argc == 2 && strcmp(argv[1], "--worker") == 0)
		return be_worker();
	return cmocka_run_group_tests(tests, make_dirs, remove_dirs);
}
