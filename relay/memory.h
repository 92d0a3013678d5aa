/*
 * The memory limit of a worker. It means process memory, as the kernel counts
 * it, not only queues: when the process is above its limit, those who hold
 * most of it are closed.
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

/*
 * Close what holds most until about `wanted` bytes are given back: first
 * circuits and links with much queued, then links without circuits, then the
 * circuits of the links that hold most in all.
 */
void relay_free_bytes(struct relay *r, size_t wanted);

#endif
