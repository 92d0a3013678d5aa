/*
 * What the files of nonosctl share. main() finds the row of commands.def that the
 * words spell and turns the rest into named parameters; the row's WHERE says
 * whether they go to the daemon or to a local_NAME() here. Each file holds one
 * family of commands or one kind of help for them.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <jansson.h>

#include <nonos/commands.h>
#include <nonos/eth_sig.h>

#include "table.h"

/* nonosctl(1) documents these numbers; they do not change. */
enum exit_code { EXIT_OK = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_NO_DAEMON = 3, EXIT_NO_ANSWER = 4 };

/* Options that every command takes. */
struct ctl_options {
	const char *socket;
	const char *token;		/* where it is: a file, or "@" and a variable; NULL: NONOS_TOKEN */
	unsigned timeout_s;
	enum output_format format;
	bool json;			/* FORMAT_JSON or FORMAT_JSONL */
	bool dry_run, help, version;
};

/* One use of nonosctl. */
struct invocation {
	const struct command *command;
	struct ctl_options options;
	json_t *params;			/* checked; owned by main() */
};

/* -- parse.c --------------------------------------------------------------------- */

/*
 * Take the words after the program's name apart. 0, or EXIT_USAGE after a
 * complaint. With --help or --version `command` may be NULL, and `group` is
 * what was spelled of a command's words, for help on those that begin so.
 */
int invocation_parse(struct invocation *ret, char group[COMMAND_WORDS_CAP], int argc, char **argv);

/* Options of every command, as if they were arguments; with those of a letter, too. */
struct general_option {
	char letter;			/* '\0': none */
	struct command_arg arg;
};

const struct general_option *general_options(size_t *ret_n);

/* Whether the `len` bytes of an option spell a parameter's name: dashes stand for underscores. */
bool option_spells(const char *option, size_t len, const char *name);

/* Whether a long option takes a value; one name means the same to all commands. -1: no command has it. */
int option_takes_value(const char *option, size_t len);

/* -- help.c ---------------------------------------------------------------------- */

/* Help on one command, on those whose words begin with `group`, or on all ("" ). */
int help_command(const struct command *c);
int help_group(const char *group);

/* -- call.c ---------------------------------------------------------------------- */

/* Say what is wrong on standard error, escaped; returns `status`. */
int complain(enum exit_code status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Call a method of the daemon. 0 and a new *ret_result, or an exit status after a complaint. */
int daemon_call(json_t **ret_result, const struct ctl_options *o, const char *method, json_t *params);

/* As daemon_call(), but silent: false when nobody answers or the daemon refuses. */
bool daemon_ask(json_t **ret_result, const struct ctl_options *o, const char *method, json_t *params);

/* As daemon_call(), and *ret is the connection, for what comes after the answer. */
struct ctl_client;
int daemon_open(struct ctl_client **ret, json_t **ret_result, const struct ctl_options *o, const char *method,
		json_t *params);

/* Print an answer as --format wants it or as its text view; takes over `answer`. Returns the exit status. */
int print_answer(const struct invocation *in, json_t *answer);

/* What main() does for a command of the daemon. */
int run_daemon_command(const struct invocation *in);

/* -- events.c -------------------------------------------------------------------- */

/* What main() does for a command with CMD_STREAM. */
int run_stream(const struct invocation *in);

/* -- token.c -------------------------------------------------------------------- */

/*
 * The text of the token that --token or NONOS_TOKEN names, malloc()ed; NULL when there is none.
 * Returns an exit status after a complaint. Wipe it.
 */
int token_find(char **ret, const struct ctl_options *o);

/* "token create" prints the token and nothing else, so that it can go to a file. */
void view_token(FILE *out, const json_t *answer);

extern const struct table token_table;

/* -- file.c ---------------------------------------------------------------------- */

/* "-" is standard input. Each returns EXIT_OK, or an exit status after a complaint; *ret is malloc()ed. */
int file_read(char **ret, size_t *ret_len, const char *path, size_t max);

/* Read JSON without repeated names; `integers`: within the profile of canonical JSON. */
int file_read_json(json_t **ret, const char *path, size_t max, bool integers);

/* Read a genesis document; whether it is in its canonical form. In genesis.c. */
struct genesis;
int file_read_genesis(struct genesis **ret, bool *ret_canonical, const char *path);

/* A file of the key's 64 hexadecimal digits, which nobody else may read. */
int file_read_key(uint8_t secret[ETH_SECRET_LEN], const char *path);

/*
 * Put `text` in the place of a file's, at once or not at all: a new file with the
 * old one's mode and owner is renamed over it. Returns EXIT_OK, or an exit status after a complaint.
 */
int file_replace(const char *path, const char *text, size_t len);

/* Write a new file of that mode; one that is there is not touched. EXIT_OK, or an exit status after a complaint. */
int file_create(const char *path, const char *text, size_t len, mode_t mode);
/* The same for JSON, mode 0600. */
int file_create_json(const char *path, const json_t *value);

/* The configuration that `param` names, else that of the running daemon, else the one that is installed. malloc()ed. */
char *config_path(const struct invocation *in, const char *param);

/* -- view.c ---------------------------------------------------------------------- */

/* Print text that may come from strangers: printable ASCII as it is, all else as \xNN. */
void view_escaped(FILE *out, const char *text);

/* Numbers for people: 1.5 MB; 2 h 5 min; a date, or "never". */
void view_bytes(FILE *out, long long bytes);
void view_duration(FILE *out, long long s);
void view_time(FILE *out, long long wall_s);

/* Any text, number, truth or null; escaped. */
void view_scalar(FILE *out, const json_t *v);

/* Each value inside `v` that is no list or object, with its path: names joined by dots, list items as [0]. */
typedef void view_leaf_fn(void *arg, const char *path, const json_t *v);
void view_each(const char *path, const json_t *v, view_leaf_fn *leaf, void *arg);

/* Whether colours may be used: a terminal, and NO_COLOR not set. */
bool view_has_colour(FILE *out);

/* The one-screen view of `status`. */
void view_status(FILE *out, const json_t *status);

/* config show, config explain */
void view_config(FILE *out, const json_t *answer);
void view_options(FILE *out, const json_t *answer);

void view_doctor(FILE *out, const json_t *answer);
void view_init(FILE *out, const json_t *answer);

/* stake optimize, ledger policy simulate */
void view_optimize(FILE *out, const json_t *answer);
void view_simulate(FILE *out, const json_t *answer);
extern const struct table table_optimize, table_simulate;

/* dao tally */
void view_tally(FILE *out, const json_t *answer);

/* The text of `metrics`, as it is. */
void view_metrics(FILE *out, const json_t *answer);
/* Any other answer: a name and a value a line, nested names joined by dots. */
void view_any(FILE *out, const json_t *value);

/* -- the local commands ------------------------------------------------------------ */

#define HANDLER_DAEMON(name)
#define HANDLER_LOCAL(name) int local_##name(const struct invocation *in);
#define COMMAND(name, words, where, flags, sentence) HANDLER_##where(name)
#define ARG(name, arg, kind, min, max, flags, placeholder, sentence)
#include <nonos/commands.def>
#undef COMMAND
#undef ARG
#undef HANDLER_DAEMON
#undef HANDLER_LOCAL

#endif
