/*
 * Random numbers. rand_bytes() is for keys and everything a peer may see as
 * a challenge; rand_fast() is a per-process ChaCha20 stream, seeded from it,
 * for padding bytes and choices that are made for every cell.
 */
#ifndef NONOS_RAND_H
#define NONOS_RAND_H

#include <stddef.h>
#include <stdint.h>

/* Fill `out` from the kernel's generator. Ends the process when it fails. */
void rand_bytes(void *out, size_t len);

/* Fill `out` from the fast stream: unpredictable, cheap for short lengths. */
void rand_fast(void *out, size_t len);

/* Return a uniform number below `limit`; `limit` > 0. */
uint32_t rand_below(uint32_t limit);

#endif
