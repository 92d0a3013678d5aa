#include "config.h"

#include <nonos/secret.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nonos/mem.h>

/* A whole mapping for each key: locked, not dumped, gone in a forked child. */
struct secret {
	size_t map_len;
	size_t len;
	uint8_t data[];
};

void secret_wipe(void *p, size_t len)
{
	if (p && len)
		explicit_bzero(p, len);
}

struct secret *secret_new(const void *data, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t map_len = (sizeof(struct secret) + len + page - 1) / page * page;
	struct secret *s = mmap(NULL, map_len, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		mem_fail();
	/* Locking may be over the limit of an unprivileged user; the rest still holds. */
	(void)!mlock(s, map_len);
	(void)!madvise(s, map_len, MADV_DONTDUMP);
	(void)!madvise(s, map_len, MADV_WIPEONFORK);
	s->map_len = map_len;
	s->len = len;
	if (data && len)
		memcpy(s->data, data, len);
	return s;
}

void secret_free(struct secret *s)
{
	if (!s)
		return;
	secret_wipe(s->data, s->len);
	munmap(s, s->map_len);
}

const uint8_t *secret_data(const struct secret *s)
{
	return s->data;
}

uint8_t *secret_data_mut(struct secret *s)
{
	return s->data;
}

size_t secret_len(const struct secret *s)
{
	return s->len;
}

bool secret_eq(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < len; i++)
		diff |= x[i] ^ y[i];
	return diff == 0;
}

bool secret_is_zero(const void *p, size_t len)
{
	const volatile uint8_t *x = p;
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= x[i];
	return any == 0;
}
