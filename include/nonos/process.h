/*
 * What a process of ours does to itself and its surroundings: limits, the
 * user it runs as, the lock on the data directory, the pid file, sd_notify.
 * Functions that fail write a sentence for the operator to `err`.
 */
#ifndef NONOS_PROCESS_H
#define NONOS_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROCESS_ERR_CAP = 512 };

/*
 * Open /dev/null where standard input, output or error is closed: else the next
 * file or socket gets that number, and the log goes into it.
 */
void process_open_standard(void);

/* No core dumps, no ptrace() by others of the same user. */
void process_protect_memory(void);

/* Raise the number of open files to the hard limit. Returns it. */
unsigned long process_raise_files(void);

/* How many files this process may have open. */
unsigned long process_files_limit(void);

/* User and group of `name`. */
int process_find_user(uid_t *ret_uid, gid_t *ret_gid, const char *name, char *err, size_t err_cap);

/* Become `name` for good; only root can. */
int process_become_user(const char *name, char *err, size_t err_cap);

/*
 * Make `path` (mode 0700) when it is missing and give it to `uid`, if not
 * (uid_t)-1. An existing one must be a directory of that user (or of ours), closed to others' writing.
 */
int process_make_dir(const char *path, uid_t uid, gid_t gid, char *err, size_t err_cap);

/* Make the directory that `path` lies in, mode 0755, when it is missing; an existing one is left as it is. */
int process_make_parent(const char *path, uid_t uid, gid_t gid, char *err, size_t err_cap);

/*
 * Lock `data_dir`/lock for as long as the returned descriptor is open. ERR_BUSY
 * when another daemon has it; the sentence names its pid. `uid` and `gid`, if not
 * -1, are those the file is opened as: root follows no user's tricks.
 */
int process_lock(int *ret_fd, const char *data_dir, uid_t uid, gid_t gid, char *err, size_t err_cap);

/* Is this the locked file of `data_dir`, as another daemon gave it to us? */
int process_check_lock(int fd, const char *data_dir, char *err, size_t err_cap);

/* Write our pid into the lock file. */
int process_mark_lock(int fd);

/* The number of a group. */
int process_find_group(gid_t *ret, const char *name, char *err, size_t err_cap);

/*
 * Write our pid to `path`, atomically; the file becomes `uid`'s, if not -1. And
 * remove it, if it still holds our pid; empty it where we may not remove it any more.
 */
int process_write_pid(const char *path, uid_t uid, gid_t gid, char *err, size_t err_cap);
void process_remove_pid(const char *path);

/* Put our pid in the place of another's, also where no file may be made any more. */
int process_rewrite_pid(const char *path);

/* Resident memory of this process, bytes; 0 when /proc does not tell. */
unsigned long long process_memory(void);

/* Processor time of this process so far. */
uint64_t process_cpu_us(void);

/*
 * The number of open files of this process, without opening one or reading a list of
 * them: `fd` is from process_files_open(). 0 when the kernel does not tell (before 6.2).
 */
int process_files_open(void);
uint64_t process_open_files(int fd);

/* -- sd_notify(3), without the library ---------------------------------------- */

/* Read NOTIFY_SOCKET and WATCHDOG_USEC and take them out of the environment. */
void notify_init(void);

/* Speak to the service manager in the place of the process that it started; nothing when it started us, too. */
void notify_adopt(const char *path, unsigned watchdog_ms);

/* Another process speaks from now on. */
void notify_end(void);

/* The service manager's socket, or "". */
const char *notify_path(void);

/* Send "READY=1", "STATUS=..." and the like; nothing when nobody asked for it. */
void notify_send(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Milliseconds between two WATCHDOG=1; 0: none wanted. */
unsigned notify_watchdog_ms(void);

#endif
