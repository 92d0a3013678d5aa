/*
 * The table of commands, made from commands.def: what nonosctl's grammar and
 * help, the daemon's dispatch and the check of parameters go by.
 */
#ifndef NONOS_COMMANDS_H
#define NONOS_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

enum command_where { COMMAND_DAEMON, COMMAND_LOCAL };

/* Of a command. */
enum {
	CMD_CHANGES = 1,	/* alters something; takes "dry_run" */
	CMD_OWNER = 2,		/* also to look takes the daemon's user or group */
	CMD_STREAM = 4,		/* answered by notifications; nonosctl prints them until it is interrupted */
	CMD_PROTOCOL = 8,	/* a method for programs, no command of nonosctl */
	CMD_AUTH = 16,		/* needs no right, as it is how one gets them */
};

/* Of an argument. */
enum {
	ARG_REQUIRED = 1,
	ARG_POSITIONAL = 2,	/* a word of its own on the command line */
	ARG_REPEAT = 4,		/* a list of texts; a positional one takes all words left */
	ARG_SECRET = 8,		/* never shown again, as in a log */
	ARG_LOCAL = 16,		/* nonosctl's own: the daemon does not know it */
};

enum command_kind {
	KIND_TEXT,		/* UTF-8 without control characters */
	KIND_INTEGER,
	KIND_FLAG,		/* true, or on the command line just its name */
	KIND_FILE,		/* a path; relative ones are nonosctl's */
	KIND_DIR,
	KIND_ADDRESS,		/* of an Ethereum account */
	KIND_HEX,		/* bytes, with or without "0x" */
	KIND_CHOICE,		/* one of the words that the placeholder names, joined by | */
	KIND_TOKENS,		/* an amount in tokens, "12.5" */
	KIND_DURATION,		/* seconds; on the command line "2 days", "90 min", "30" */
};

struct command_arg {
	const char *name;	/* of the parameter */
	enum command_kind kind;
	int64_t min, max;
	unsigned flags;
	const char *placeholder, *sentence;
};

struct command {
	const char *words;	/* joined by dots: the method */
	enum command_where where;
	unsigned flags;
	const char *sentence;
	const struct command_arg *args;
	size_t n_args;
};

enum command_id {
#define COMMAND(name, words, where, flags, sentence) COMMAND_ID_##name,
#define ARG(name, arg, kind, min, max, flags, placeholder, sentence)
#include <nonos/commands.def>
#undef COMMAND
#undef ARG
	COMMAND_COUNT
};

enum { COMMAND_WORDS_CAP = 64, COMMAND_USAGE_CAP = 1024, COMMAND_WHY_CAP = 512 };

/* The rows of commands.def, by enum command_id. */
const struct command *commands_all(void);

/* The command that `words`, joined by dots, spell; NULL when there is none. */
const struct command *command_find(const struct command *v, size_t n, const char *words);

const struct command_arg *command_arg_find(const struct command *c, const char *name);

/*
 * Check named parameters (an object, or NULL for none) against the rows of
 * the command: names, kinds, ranges, what is required. "dry_run" is a
 * parameter of every command with CMD_CHANGES. On failure ERR_MALFORMED or
 * ERR_RANGE, and `why` says what is wrong.
 */
int command_check(const struct command *c, const json_t *params, char why[COMMAND_WHY_CAP]);

/* As command_check() for one value of one argument. */
int command_check_value(const struct command_arg *a, const json_t *value, char why[COMMAND_WHY_CAP]);

/* "30", "30 s", "2 days" as seconds. ERR_MALFORMED; ERR_RANGE. */
int command_duration_parse(int64_t *ret, const char *text);

/* "typed verify FILE --signature HEX [--signer ADDRESS]" */
void command_usage(char out[COMMAND_USAGE_CAP], const struct command *c);

/* The words with spaces for dots. */
void command_spell(char out[COMMAND_WORDS_CAP], const struct command *c);

/* The option of an argument, "--key-file". */
void command_option(char out[COMMAND_WORDS_CAP], const struct command_arg *a);

/* -- reading checked parameters ------------------------------------------------ */

/* NULL when it was not given. Borrowed from `params`. */
const char *param_text(const json_t *params, const char *name);
int64_t param_integer(const json_t *params, const char *name, int64_t otherwise);
bool param_flag(const json_t *params, const char *name);

#endif
