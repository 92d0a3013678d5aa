#include "config.h"

#include <nonos/bytes.h>

#include <stdarg.h>
#include <stdio.h>

#include <nonos/err.h>

int rd_done(const struct rd *r)
{
	return r->failed || r->p != r->end ? ERR_MALFORMED : 0;
}

int wr_done(const struct wr *w)
{
	return w->failed ? ERR_TOO_LONG : 0;
}

void wr_printf(struct wr *w, const char *fmt, ...)
{
	size_t room = (size_t)(w->end - w->p);
	va_list ap;
	int n;

	if (w->failed)
		return;
	va_start(ap, fmt);
	n = vsnprintf((char *)w->p, room, fmt, ap);
	va_end(ap);
	/* vsnprintf() also needs room for the NUL, which is not kept. */
	if (n < 0 || (size_t)n >= room) {
		w->failed = true;
		return;
	}
	w->p += n;
}
