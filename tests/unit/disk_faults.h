/*
 * A disk that fails, or a process that dies, at a chosen call: for tests of what
 * is there afterwards. The program is linked with -Wl,--wrap=pwrite,--wrap=fdatasync.
 */
#ifndef TESTS_DISK_FAULTS_H
#define TESTS_DISK_FAULTS_H

#include <stdbool.h>

enum fault { FAULT_NONE, FAULT_FULL, FAULT_IO, FAULT_CRASH };

/* SQLite's calls count, too. Once a process. */
void fault_hook_sqlite(void);

/* The `after`-th call from now on fails, or is the last one (exit status 9); `once`: later ones work again. */
void fault_arm(enum fault f, long after, bool once);

/* Whether it came to that. */
bool fault_reached(void);

#endif
