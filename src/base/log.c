#include "config.h"

#include <nonos/log.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include <nonos/clock.h>

/* syslog.h has macros of names like LOG_DEBUG; the levels here are LOG_LEVEL_*. */

enum { LINE_MAX_LEN = 1024, LIMIT_INTERVAL_MS = 60000 };

static enum log_level level_now = LOG_LEVEL_NOTICE;
static enum log_target target_now = LOG_TO_STDERR;
static bool redact_now = true;
static bool syslog_open;
static char ident_now[64] = "nonos";

static const struct {
	const char *name;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", LOG_ERR },
	[LOG_LEVEL_WARN] = { "warn", LOG_WARNING },
	[LOG_LEVEL_NOTICE] = { "notice", LOG_NOTICE },
	[LOG_LEVEL_INFO] = { "info", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};

void log_set_level(enum log_level level)
{
	level_now = level;
}

enum log_level log_get_level(void)
{
	return level_now;
}

void log_set_ident(const char *ident)
{
	snprintf(ident_now, sizeof(ident_now), "%s", ident);
	if (syslog_open)
		openlog(ident_now, LOG_NDELAY | LOG_PID, LOG_DAEMON);
}

void log_open_syslog(void)
{
	if (!syslog_open)
		openlog(ident_now, LOG_NDELAY | LOG_PID, LOG_DAEMON);
	syslog_open = true;
}

void log_set_target(enum log_target target)
{
	if (target == LOG_TO_SYSLOG)
		log_open_syslog();
	target_now = target;
}

void log_set_redact(bool redact)
{
	redact_now = redact;
}

bool log_get_redact(void)
{
	return redact_now;
}

bool log_limit_pass(struct log_limit *limit, unsigned *ret_suppressed)
{
	uint64_t now = clock_now_ms();

	if (now < limit->next_ms) {
		limit->suppressed++;
		return false;
	}
	*ret_suppressed = limit->suppressed;
	limit->suppressed = 0;
	limit->next_ms = now + LIMIT_INTERVAL_MS;
	return true;
}

/* Peers' words may get this far: nothing that moves a terminal's cursor goes out. */
static void make_printable(char *line)
{
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_LEN], stamp[40] = "";
	struct timespec ts;
	struct tm tm;
	va_list ap;

	if (level > level_now)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	make_printable(line);
	if (target_now == LOG_TO_SYSLOG) {
		syslog(levels[level].priority, "%s", line);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	if (gmtime_r(&ts.tv_sec, &tm))
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(stderr, "%s.%03ldZ %s: %s: %s\n", stamp, ts.tv_nsec / 1000000, ident_now,
		levels[level].name, line);
}
