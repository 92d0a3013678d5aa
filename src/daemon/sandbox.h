/*
 * The cage that each role puts itself into after its start, so that bytes from
 * a stranger that take over a process find nothing there to do:
 *
 *   no_new_privs   no program it starts gains rights
 *   Landlock       the file system: a worker none of it, the keeper what it works with
 *   seccomp        an allow list of system calls; what only an attacker calls kills
 *
 * Each is inherited and cannot be loosened. The keeper starts new workers
 * from inside its own, so a worker's rules are a subset of the keeper's, and
 * the keeper may execute our own program and what the loader loads with it,
 * from the directories that these lie in (an upgraded library is another file
 * in the same directory). It may read all of /etc: what a new worker reads there
 * (resolv.conf, hosts, ld.so.cache, openssl.cnf) is replaced by renaming, and a
 * rule for a file is lost with the file.
 */
#ifndef DAEMON_SANDBOX_H
#define DAEMON_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sandbox_role { SANDBOX_KEEPER, SANDBOX_WORKER };

/* What is in force in a process. */
struct sandbox_state {
	bool no_new_privs;
	uint8_t landlock;	/* version of its interface; 0: not in force */
	bool seccomp;
};

/* What a directory is for, in the keeper. */
enum sandbox_use {
	SANDBOX_READ,		/* files below it are read */
	SANDBOX_WRITE,		/* files and directories below it come and go */
	SANDBOX_REMOVE,		/* files in it are read, emptied and removed */
};

struct sandbox_path {
	const char *path;	/* a file, there or not yet, means the directory it lies in; NULL: none */
	enum sandbox_use use;
};

/*
 * Confine the calling process, which has one thread, for good. Of what the kernel
 * or this build does not have nothing is applied, and `lacks` says so in
 * words ("" when nothing is missing). ERR_SYSTEM and a sentence in `err` when
 * something that is there cannot be applied. A worker takes no paths; the keeper's are
 * added to those that every program needs.
 */
int sandbox_enter(struct sandbox_state *ret, enum sandbox_role role, const struct sandbox_path *paths, size_t n_paths,
		  char *lacks, size_t lacks_cap, char *err, size_t err_cap);

/* -- sandbox_calls.c ----------------------------------------------------------- */

/* False when this build cannot (no libseccomp, or sanitizers, whose run time needs other calls). */
bool sandbox_calls_built(void);

/* Allow the role's system calls alone. A negative errno. */
int sandbox_limit_calls(enum sandbox_role role);

#endif
