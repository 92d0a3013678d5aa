#include "config.h"

#include <nonos/rand.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>
#include <unistd.h>

#include <nonos/secret.h>

/* ChaCha20 block function (RFC 8439 2.3), for rand_fast() alone. */

enum { FAST_BLOCKS = 8, FAST_LEN = FAST_BLOCKS * 64, FAST_RESEED = 1 << 20 };

static struct {
	uint32_t key[8];
	uint64_t counter;
	size_t used;		/* bytes of `buf` given out */
	size_t given;		/* bytes since the last seed */
	pid_t pid;
	uint8_t buf[FAST_LEN];
} fast;

static inline uint32_t rotl(uint32_t v, int n)
{
	return v << n | v >> (32 - n);
}

#define QUARTER(a, b, c, d) \
	do { \
		a += b; d = rotl(d ^ a, 16); \
		c += d; b = rotl(b ^ c, 12); \
		a += b; d = rotl(d ^ a, 8); \
		c += d; b = rotl(b ^ c, 7); \
	} while (0)

static void chacha_block(uint8_t out[64], const uint32_t key[8], uint64_t counter)
{
	const uint32_t in[16] = {
		0x61707865, 0x3320646e, 0x79622d32, 0x6b206574,
		key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7],
		(uint32_t)counter, (uint32_t)(counter >> 32), 0, 0,
	};
	uint32_t x[16];

	memcpy(x, in, sizeof(x));
	for (int i = 0; i < 10; i++) {
		QUARTER(x[0], x[4], x[8], x[12]);
		QUARTER(x[1], x[5], x[9], x[13]);
		QUARTER(x[2], x[6], x[10], x[14]);
		QUARTER(x[3], x[7], x[11], x[15]);
		QUARTER(x[0], x[5], x[10], x[15]);
		QUARTER(x[1], x[6], x[11], x[12]);
		QUARTER(x[2], x[7], x[8], x[13]);
		QUARTER(x[3], x[4], x[9], x[14]);
	}
	for (int i = 0; i < 16; i++) {
		uint32_t v = x[i] + in[i];

		memcpy(out + 4 * i, &v, 4);
	}
}

void rand_bytes(void *out, size_t len)
{
	uint8_t *p = out;

	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n <= 0) {
			fputs("nonos: the kernel gives no random bytes\n", stderr);
			abort();
		}
		p += n;
		len -= (size_t)n;
	}
}

static void fast_refill(void)
{
	pid_t pid = getpid();

	if (fast.pid != pid || fast.given >= FAST_RESEED) {
		rand_bytes(fast.key, sizeof(fast.key));
		fast.counter = 0;
		fast.given = 0;
		fast.pid = pid;
	}
	for (int i = 0; i < FAST_BLOCKS; i++)
		chacha_block(fast.buf + 64 * i, fast.key, fast.counter++);
	/* The next key comes from the stream itself: what was given out cannot be found again. */
	memcpy(fast.key, fast.buf, sizeof(fast.key));
	fast.counter = 0;
	fast.used = sizeof(fast.key);
}

void rand_fast(void *out, size_t len)
{
	uint8_t *p = out;

	while (len) {
		size_t n;

		if (fast.pid == 0 || fast.used == FAST_LEN)
			fast_refill();
		n = FAST_LEN - fast.used < len ? FAST_LEN - fast.used : len;
		memcpy(p, fast.buf + fast.used, n);
		secret_wipe(fast.buf + fast.used, n);
		fast.used += n;
		fast.given += n;
		p += n;
		len -= n;
	}
}

uint32_t rand_below(uint32_t limit)
{
	uint32_t v, floor = -limit % limit;	/* 2^32 mod limit: reject below, or the low ones are likelier */

	do
		rand_fast(&v, sizeof(v));
	while (v < floor);
	return v % limit;
}
