/*
 * The configuration: `[section]` and `key = value`, checked as a whole before
 * any of it is used. options.def has one row per option; the fields of struct
 * config, their parsing, defaults and reload behaviour all come from there.
 */
#ifndef NONOS_CONF_H
#define NONOS_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <nonos/addr.h>
#include <nonos/amount.h>
#include <nonos/calendar.h>
#include <nonos/directory.h>

enum {
	OPT_REPEAT = 1,
	OPT_LIVE = 2,
	OPT_REQUIRED = 4,
	OPT_AUTO = 8,
	OPT_NONE = 16,
};

enum { CONFIG_FILE_MAX = 1 << 20, CONFIG_LINE_MAX = 8192, CONFIG_REPEAT_MAX = 256,
       CONFIG_AUTHORITIES_MAX = 16 };

enum network { NETWORK_TOR, NETWORK_ANYONE, NETWORK_TEST };

struct addr_list {
	struct addr *v;
	size_t n;
};

struct text_list {
	char **v;		/* NULL-terminated when n > 0 */
	size_t n;
};

struct authority_list {
	struct authority *v;
	size_t n;
};

struct schedule {
	struct schedule_row *v;
	size_t n;
};

/* The C type of an option's field. */
#define OPTION_C_PATH char *
#define OPTION_C_STRING char *
#define OPTION_C_NICKNAME char *
#define OPTION_C_ACCOUNT char *
#define OPTION_C_TOKENS struct amount
#define OPTION_C_POLICY char *
#define OPTION_C_MODE uint32_t
#define OPTION_C_COUNT uint32_t
#define OPTION_C_U32 uint32_t
#define OPTION_C_BOOL bool
#define OPTION_C_BYTES uint64_t
#define OPTION_C_RATE uint64_t
#define OPTION_C_DURATION uint32_t
#define OPTION_C_LOG_LEVEL int
#define OPTION_C_LOG_TARGET int
#define OPTION_C_NETWORK int
#define OPTION_C_ADDR struct addr_list
#define OPTION_C_ADDR_PORT struct addr_list
#define OPTION_C_FAMILY struct text_list
#define OPTION_C_FAMILY_ID struct text_list
#define OPTION_C_AUTHORITY struct authority_list
#define OPTION_C_SCHEDULE struct schedule
#define OPTION_C_ACCOUNTING int
#define OPTION_C_PERIOD struct period_start

enum option_id {
#define OPTION(section, key, type, min, max, def, flags, sentence) OPTION_##key,
#include <nonos/options.def>
#undef OPTION
	OPTION_COUNT
};

struct config {
#define OPTION(section, key, type, min, max, def, flags, sentence) OPTION_C_##type key;
#include <nonos/options.def>
#undef OPTION
	/* What each option was set to, repeated values joined by a newline, for comparing. */
	char *text[OPTION_COUNT];
	unsigned line[OPTION_COUNT];	/* where it was set; 0: default */
};

/* Complaints about a file: "NAME:LINE: sentence" lines. Zero-initialise; config_report_free(). */
struct config_report {
	char *text;
	size_t len;
	unsigned count;
};

void config_report_free(struct config_report *rep);

/* Add a complaint. `line` 0: about the file as a whole. */
void config_report_add(struct config_report *rep, const char *name, unsigned line,
		       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * Parse and check `len` bytes of `text`; `name` stands for the file in
 * complaints. All errors are reported, not the first alone; *ret is set only
 * when there is none, else ERR_CONFIG.
 */
int config_parse(struct config **ret, struct config_report *rep, const char *name,
		 const char *text, size_t len);

/* The same from a file, and the authorities of a known network from theirs. */
int config_load(struct config **ret, struct config_report *rep, const char *path);

/* Add the `authority` lines of a network file (nothing else is allowed in one). */
int config_parse_network(struct config *c, struct config_report *rep, const char *name,
			 const char *text, size_t len);

void config_free(struct config *c);

/* Section and key of an option, and whether it may change while running. */
const char *option_section(enum option_id id);
const char *option_key(enum option_id id);
bool option_is_live(enum option_id id);

/* As the file would have it; repeated values joined by a newline. Borrowed. */
const char *config_text(const struct config *c, enum option_id id);

/* Give one option another value than the file does, until the next reload. On failure `err` says what is allowed. */
int config_override(struct config *c, enum option_id id, const char *text, char *err, size_t err_cap);

/* What is allowed, the default and the sentence of an option, for people and scripts. */
json_t *option_json(enum option_id id);

/* One option's value as it is in force, and where it was set: "file" with the line, "default", or "command". */
json_t *config_json(const struct config *c, enum option_id id);

/* Tell `changed` each option that differs between the two, and whether a reload applies it. */
void config_compare(const struct config *fresh, const struct config *old,
		    void (*changed)(void *arg, enum option_id id, bool applied), void *arg);

/*
 * Options that cannot change while running take their old value in `fresh`,
 * so that it describes what is in force from now on. What `old` is left with
 * is for freeing.
 */
void config_adopt(struct config *fresh, struct config *old);

/* The limits as numbers: "auto" resolved for this machine. */
unsigned config_workers(const struct config *c);
uint64_t config_max_memory(const struct config *c);

/*
 * Where metrics are read from, to be freed. When not configured it is beside the control
 * socket, so that no two daemons share it: control.sock gives metrics.sock, a.sock a-metrics.sock.
 */
char *config_metrics_socket(const struct config *c);
uint64_t config_burst(const struct config *c);

/* Rate and burst for an hour: of the schedule's row, or bandwidth_rate. 0: no limit. */
void config_rate(uint64_t *ret_rate, uint64_t *ret_burst, const struct config *c, int64_t now);

#endif
