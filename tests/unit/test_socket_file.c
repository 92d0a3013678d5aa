#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/err.h>
#include <nonos/socket_file.h>

struct place {
	char dir[32], path[48];
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/nonos-socket-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/sock", p->dir);
	*state = p;
	return 0;
}

/* Each test leaves an empty directory. */
static int teardown(void **state)
{
	struct place *p = *state;

	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

static int listen_at(const char *path)
{
	char why[256] = "";
	int fd = -1, r = socket_file_listen(&fd, path, 0660, (gid_t)-1, 4, why, sizeof(why));

	if (r < 0)
		fail_msg("%s: %s", path, why);
	return fd;
}

static void refuse(const char *path, int error, const char *needle)
{
	char why[256] = "";
	int fd = -7;

	assert_int_equal(socket_file_listen(&fd, path, 0660, (gid_t)-1, 4, why, sizeof(why)), error);
	assert_int_equal(fd, -7);
	if (!strstr(why, needle))
		fail_msg("\"%s\" does not say \"%s\"", why, needle);
}

static bool answers(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	strcpy(sun.sun_path, path);
	r = connect(fd, (const struct sockaddr *)&sun, sizeof(sun));
	close(fd);
	return r == 0;
}

static void test_made(void **state)
{
	struct place *p = *state;
	struct stat st;
	int fd = listen_at(p->path);

	assert_int_equal(lstat(p->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_true(answers(p->path));
	assert_int_equal(socket_file_set_mode(p->path, 0600, getegid()), 0);
	assert_int_equal(lstat(p->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	close(fd);
	unlink(p->path);
	assert_int_equal(socket_file_set_mode(p->path, 0600, (gid_t)-1), ERR_SYSTEM);
}

static void test_stale(void **state)
{
	struct place *p = *state;
	int fd = listen_at(p->path);

	close(fd);
	assert_false(answers(p->path));
	fd = listen_at(p->path);
	assert_true(answers(p->path));
	close(fd);
	unlink(p->path);
}

static void test_living(void **state)
{
	struct place *p = *state;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = listen_at(p->path);

	refuse(p->path, ERR_BUSY, "another program answers");
	assert_true(answers(p->path));
	close(fd);
	unlink(p->path);

	/* One that takes datagrams lives, too. */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strcpy(sun.sun_path, p->path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	refuse(p->path, ERR_BUSY, "another program answers");
	assert_int_equal(access(p->path, F_OK), 0);
	close(fd);
	unlink(p->path);
}

/* A file, or a link to nowhere, is not ours to remove. */
static void test_in_the_way(void **state)
{
	struct place *p = *state;
	FILE *f = fopen(p->path, "w");

	assert_non_null(f);
	fclose(f);
	refuse(p->path, ERR_EXISTS, "move it away");
	assert_int_equal(access(p->path, F_OK), 0);
	unlink(p->path);
	assert_int_equal(symlink("nowhere", p->path), 0);
	refuse(p->path, ERR_EXISTS, "move it away");
	unlink(p->path);
}

static void test_impossible(void **state)
{
	struct place *p = *state;
	char path[256];

	snprintf(path, sizeof(path), "%s/nothing/sock", p->dir);
	refuse(path, ERR_SYSTEM, "make its directory");
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	memcpy(path, p->dir, strlen(p->dir));
	path[strlen(p->dir)] = '/';
	refuse(path, ERR_TOO_LONG, "too long");
	path[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = '\0';
	refuse(path, ERR_TOO_LONG, "too long");
	path[sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1] = '\0';
	close(listen_at(path));
	unlink(path);
}

/* What another has put in its place stays. */
static void test_removed(void **state)
{
	struct place *p = *state;
	struct socket_file f = { .path = NULL };
	char aside[64];
	int fd, other;

	socket_file_remove(&f);
	fd = listen_at(p->path);
	socket_file_init(&f, p->path);
	snprintf(aside, sizeof(aside), "%s/aside", p->dir);
	assert_int_equal(rename(p->path, aside), 0);
	other = listen_at(p->path);
	socket_file_remove(&f);
	assert_true(answers(p->path));
	assert_int_equal(rename(aside, p->path), 0);
	socket_file_remove(&f);
	assert_int_not_equal(access(p->path, F_OK), 0);
	socket_file_remove(&f);
	socket_file_clear(&f);
	assert_null(f.path);
	close(fd);
	close(other);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_made), test(test_stale), test(test_living), test(test_in_the_way), test(test_impossible),
		test(test_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
