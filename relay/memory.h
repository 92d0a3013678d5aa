/*
 * The memory limit of a worker. It means process memory, as the kernel counts
 * it, not only queues: when the process is above its limit, the circuits that
 * hold most are closed, then the links that do least.
 */
#ifndef RELAY_MEMORY_H
#define RELAY_MEMORY_H

#include <stddef.h>

struct relay;
struct memory;

struct memory *memory_new(void);
void memory_free(struct memory *m);

/* Resident bytes of this process as of the last tick. */
size_t memory_process_bytes(const struct memory *m);

/* Each second: measure, and close consumers when above the limit. */
void memory_tick(struct relay *r);

#endif
