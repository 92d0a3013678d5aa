/*
 * Logging. One sentence an operator can act on, then key=value. Never keys,
 * payloads, or anything that joins a previous hop to a next hop; addresses
 * pass through log_addr(). A message a stranger can trigger uses
 * log_limited(), which lets one through a minute and then counts.
 */
#ifndef NONOS_LOG_H
#define NONOS_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG };

/* State of one rate-limited message; zero-initialised and static. */
struct log_limit {
	uint64_t next_ms;
	unsigned suppressed;
};

void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* `ident` prefixes each line ("nonosd", "nonosd[worker 0]"); it is copied. */
void log_set_ident(const char *ident);
void log_set_target(enum log_target target);

/* Open the connection to syslog now, whatever the target: a process that confines itself cannot later. */
void log_open_syslog(void);
void log_set_redact(bool redact);
bool log_get_redact(void);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool log_limit_pass(struct log_limit *limit, unsigned *ret_suppressed);

#define log_at(level, ...) \
	do { if ((level) <= log_get_level()) log_write((level), __VA_ARGS__); } while (0)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_notice(...) log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* At most one such line a minute; `fmt` must be a literal. */
#define log_limited(level, fmt, ...) \
	do { \
		static struct log_limit log_limit_; \
		unsigned log_more_; \
		if ((level) <= log_get_level() && log_limit_pass(&log_limit_, &log_more_)) \
			log_write((level), fmt " suppressed=%u", ##__VA_ARGS__, log_more_); \
	} while (0)

#endif
