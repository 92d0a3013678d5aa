#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/err.h>
#include <nonos/process.h>

static char dir[64];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/nonos-process-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

static const char *in_dir(const char *name)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void test_lock(void **state)
{
	char err[PROCESS_ERR_CAP], pid[32];
	int fd, second = -1;

	(void)state;
	assert_int_equal(process_lock(&fd, dir, (uid_t)-1, (gid_t)-1, err, sizeof(err)), 0);
	assert_int_equal(process_lock(&second, dir, (uid_t)-1, (gid_t)-1, err, sizeof(err)), ERR_BUSY);
	assert_int_equal(second, -1);
	snprintf(pid, sizeof(pid), "(pid %ld)", (long)getpid());
	assert_non_null(strstr(err, pid));
	close(fd);
	assert_int_equal(process_lock(&fd, dir, (uid_t)-1, (gid_t)-1, err, sizeof(err)), 0);
	close(fd);
	assert_int_equal(unlink(in_dir("lock")), 0);
	assert_int_equal(process_lock(&fd, "/nonexistent", (uid_t)-1, (gid_t)-1, err, sizeof(err)), ERR_IO);
}

static void test_pid_file(void **state)
{
	char err[PROCESS_ERR_CAP], text[32] = "";
	FILE *f;

	(void)state;
	assert_int_equal(process_write_pid(in_dir("pid"), (uid_t)-1, (gid_t)-1, err, sizeof(err)), 0);
	f = fopen(in_dir("pid"), "r");
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_int_equal(atol(text), getpid());
	process_remove_pid(in_dir("pid"));
	assert_int_equal(access(in_dir("pid"), F_OK), -1);
	/* Another process's is left alone. */
	f = fopen(in_dir("pid"), "w");
	fprintf(f, "1\n");
	fclose(f);
	process_remove_pid(in_dir("pid"));
	assert_int_equal(unlink(in_dir("pid")), 0);
	assert_int_equal(process_write_pid("/nonexistent/pid", (uid_t)-1, (gid_t)-1, err, sizeof(err)), ERR_IO);
}

static void test_make_dir(void **state)
{
	char err[PROCESS_ERR_CAP];
	struct stat st;

	(void)state;
	assert_int_equal(process_make_dir(in_dir("data"), (uid_t)-1, (gid_t)-1, err, sizeof(err)), 0);
	assert_int_equal(stat(in_dir("data"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(process_make_dir(in_dir("data"), (uid_t)-1, (gid_t)-1, err, sizeof(err)), 0);
	assert_int_equal(chmod(in_dir("data"), 0777), 0);
	assert_int_equal(process_make_dir(in_dir("data"), (uid_t)-1, (gid_t)-1, err, sizeof(err)), ERR_PERMISSION);
	assert_non_null(strstr(err, "chmod"));
	assert_int_equal(chmod(in_dir("data"), 0700), 0);
	assert_int_equal(process_make_dir(in_dir("data"), geteuid() + 1, getegid(), err, sizeof(err)), ERR_PERMISSION);
	assert_int_equal(rmdir(in_dir("data")), 0);
	fclose(fopen(in_dir("data"), "w"));
	assert_int_equal(process_make_dir(in_dir("data"), (uid_t)-1, (gid_t)-1, err, sizeof(err)), ERR_PERMISSION);
	assert_int_equal(unlink(in_dir("data")), 0);
	assert_int_equal(process_make_dir(in_dir("no/data"), (uid_t)-1, (gid_t)-1, err, sizeof(err)), ERR_PERMISSION);
	assert_non_null(strstr(err, "make that first"));
}

/* In a child, because it is standard error that goes. */
static void test_open_standard(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd;

		close(STDIN_FILENO);
		close(STDERR_FILENO);
		process_open_standard();
		fd = dup(STDIN_FILENO);
		_exit(fcntl(STDERR_FILENO, F_GETFD) == 0 && fd > STDERR_FILENO ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int notify_listen(struct sockaddr_un *sun, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)sun, len), 0);
	return fd;
}

static void expect_notice(int fd, const char *expected)
{
	char got[512];
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, expected);
}

static void test_notify(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char name[64];
	int fd;

	(void)state;
	notify_init();
	notify_send("READY=1");		/* nobody asked: nothing happens */
	assert_int_equal(notify_watchdog_ms(), 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", in_dir("notify"));
	fd = notify_listen(&sun, sizeof(sun));
	setenv("NOTIFY_SOCKET", sun.sun_path, 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	notify_init();
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_int_equal(notify_watchdog_ms(), 15000);
	notify_send("STATUS=%d links", 3);
	expect_notice(fd, "STATUS=3 links");
	close(fd);
	unlink(sun.sun_path);

	/* An abstract name: "@" stands for the NUL. */
	snprintf(name, sizeof(name), "@nonos-test-%ld", (long)getpid());
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	memcpy(sun.sun_path, name, strlen(name));
	sun.sun_path[0] = '\0';
	fd = notify_listen(&sun, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name)));
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_PID", "1", 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	notify_init();
	notify_send("READY=1");
	expect_notice(fd, "READY=1");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lock), cmocka_unit_test(test_pid_file), cmocka_unit_test(test_make_dir),
		cmocka_unit_test(test_open_standard),
		cmocka_unit_test(test_notify),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
