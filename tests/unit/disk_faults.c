#include "config.h"

#include "disk_faults.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

static enum fault fault;
static long countdown;			/* calls until the fault; afterwards negative */
static bool once;			/* later calls work again */

/* True when this call is to fail. */
static bool is_due(void)
{
	return fault != FAULT_NONE && (--countdown == 0 || (countdown < 0 && !once));
}

static int fail_call(void)
{
	if (fault == FAULT_CRASH)
		_exit(9);
	errno = fault == FAULT_FULL ? ENOSPC : EIO;
	return -1;
}

ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at)
{
	if (is_due()) {
		/* What is not whole may be there in part. */
		if (__real_pwrite(fd, data, len / 2, at) < 0)
			return -1;
		return fail_call();
	}
	return __real_pwrite(fd, data, len, at);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	return is_due() ? fail_call() : __real_fdatasync(fd);
}

/* The calls of SQLite. */
static ssize_t sqlite_pwrite(int fd, const void *data, size_t len, off_t at)
{
	return __wrap_pwrite(fd, data, len, at);
}

static int sqlite_ftruncate(int fd, off_t len)
{
	return is_due() ? fail_call() : ftruncate(fd, len);
}

void fault_hook_sqlite(void)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)sqlite_pwrite), SQLITE_OK);
	assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)sqlite_pwrite), SQLITE_OK);
	assert_int_equal(vfs->xSetSystemCall(vfs, "ftruncate", (sqlite3_syscall_ptr)sqlite_ftruncate), SQLITE_OK);
}

void fault_arm(enum fault f, long after, bool f_once)
{
	fault = f;
	countdown = after;
	once = f_once;
}

bool fault_reached(void)
{
	return countdown <= 0;
}
