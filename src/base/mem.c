#include "config.h"

#include <nonos/mem.h>

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mem_fail(void)
{
	fputs("nonos: out of memory\n", stderr);
	abort();
}

static void *check(void *p)
{
	if (!p)
		mem_fail();
	return p;
}

void *mem_new(size_t len)
{
	return check(calloc(1, len ? len : 1));
}

void *mem_new_array(size_t count, size_t size)
{
	return check(calloc(count ? count : 1, size ? size : 1));
}

void *mem_resize(void *p, size_t count, size_t size)
{
	return check(reallocarray(p, count ? count : 1, size ? size : 1));
}

void *mem_dup(const void *data, size_t len)
{
	void *p = check(malloc(len ? len : 1));

	if (len)
		memcpy(p, data, len);
	return p;
}

char *mem_strndup(const char *s, size_t len)
{
	return check(strndup(s, len));
}

char *mem_strdup(const char *s)
{
	return check(strdup(s));
}

char *mem_printf(const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return check(n < 0 ? NULL : text);
}

void mem_free_wiped(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}
