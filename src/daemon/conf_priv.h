/* Between the files of the configuration: lines, values, rules, the whole. */
#ifndef DAEMON_CONF_PRIV_H
#define DAEMON_CONF_PRIV_H

#include <nonos/conf.h>

enum option_type {
	TYPE_PATH, TYPE_STRING, TYPE_NICKNAME, TYPE_POLICY, TYPE_MODE, TYPE_COUNT, TYPE_U32, TYPE_BOOL,
	TYPE_BYTES, TYPE_RATE, TYPE_DURATION, TYPE_LOG_LEVEL, TYPE_LOG_TARGET, TYPE_NETWORK,
	TYPE_ADDR, TYPE_ADDR_PORT, TYPE_FAMILY, TYPE_FAMILY_ID, TYPE_AUTHORITY, TYPE_ACCOUNT, TYPE_TOKENS,
	TYPE_SCHEDULE, TYPE_ACCOUNTING, TYPE_PERIOD,
};

struct option {
	const char *section, *key;
	enum option_type type;
	size_t offset, size;		/* of the field in struct config */
	uint64_t min, max;
	const char *initial;		/* default; NULL: none */
	unsigned flags;
	const char *sentence;
};

extern const struct option options[OPTION_COUNT];

enum line_kind { LINE_BLANK, LINE_SECTION, LINE_PAIR, LINE_BAD };

struct config_line {
	enum line_kind kind;
	unsigned number;		/* from 1 */
	const char *key;		/* or the section's name; borrowed from the text */
	size_t key_len;
	const char *value;
	size_t value_len;
	const char *problem;		/* LINE_BAD: a sentence */
};

struct config_lines {
	const char *p, *end;
	unsigned number;
};

/* Take the next line apart; false at the end of the text. */
bool config_line_next(struct config_lines *lines, struct config_line *ret);

/*
 * Read `text` into the field of `o`, adding to it when the option is
 * repeatable. On failure `err` says what is allowed.
 */
int option_set(struct config *c, const struct option *o, const char *text, char *err, size_t err_cap);

/* Complain about options that do not go together. */
void config_check(const struct config *c, struct config_report *rep, const char *name);

/* Free what the field of `o` holds. */
void option_clear(struct config *c, const struct option *o);

#endif
