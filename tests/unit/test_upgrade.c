/* Going to the background, as a service manager's "reload" does. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/daemon/upgrade.h"

/* What the launched process exits with; the one in the background tells it that it is ready when `good`. */
static int launch(bool good)
{
	pid_t launcher = fork();
	int fd, status;

	assert_true(launcher >= 0);
	if (launcher == 0) {
		launcher = getpid();
		fd = upgrade_to_background();
		/* Its parent must be gone while the launcher still waits. */
		for (int i = 0; i < 500 && getsid(0) == getppid(); i++)
			usleep(10000);
		if (fd < 0 || getppid() == launcher || getppid() == getsid(0) || getsid(0) == getsid(launcher))
			_exit(3);
		if (good && write(fd, "", 1) != 1)
			_exit(3);
		_exit(0);
	}
	assert_int_equal(waitpid(launcher, &status, 0), launcher);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_background(void **state)
{
	(void)state;
	assert_int_equal(launch(true), 0);
	assert_int_equal(launch(false), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_background) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
