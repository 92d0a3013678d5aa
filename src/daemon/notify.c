#include "config.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <nonos/process.h>

static char notify_text[sizeof(((struct sockaddr_un *)0)->sun_path)];
static struct sockaddr_un notify_addr;
static socklen_t notify_addr_len;	/* 0: nobody listens */
static unsigned watchdog_ms;

/* WATCHDOG_USEC is for the process that WATCHDOG_PID names, if it names one. */
static void read_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long interval = usec ? strtoull(usec, NULL, 10) : 0;

	if (pid && strtol(pid, NULL, 10) != (long)getpid())
		return;
	/* Twice as often as asked, as sd_notify(3) advises. */
	watchdog_ms = interval > 3600000000ull ? 0 : (unsigned)(interval / 2000);
}

static bool set_path(const char *path)
{
	size_t len = path ? strlen(path) : 0;

	if (len < 2 || (path[0] != '/' && path[0] != '@') || len >= sizeof(notify_addr.sun_path))
		return false;
	memcpy(notify_text, path, len + 1);
	notify_addr.sun_family = AF_UNIX;
	memcpy(notify_addr.sun_path, path, len);
	if (path[0] == '@')
		notify_addr.sun_path[0] = '\0';
	notify_addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return true;
}

void notify_adopt(const char *path, unsigned ms)
{
	if (!notify_addr_len && set_path(path))
		watchdog_ms = ms;
}

void notify_end(void)
{
	notify_addr_len = 0;
	watchdog_ms = 0;
}

const char *notify_path(void)
{
	return notify_addr_len ? notify_text : "";
}

void notify_init(void)
{
	if (set_path(getenv("NOTIFY_SOCKET")))
		read_watchdog();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_send(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int fd, n;

	if (!notify_addr_len)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (n > 0)
		(void)!sendto(fd, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, MSG_NOSIGNAL,
			      (struct sockaddr *)&notify_addr, notify_addr_len);
	close(fd);
}

unsigned notify_watchdog_ms(void)
{
	return watchdog_ms;
}
