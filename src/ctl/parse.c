/* From the words of the command line to a row of commands.def and named parameters. */
#include "config.h"

#include "ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/mem.h>

enum { DEFAULT_TIMEOUT_S = 10, TIMEOUT_MAX_S = 3600 };

static const char default_socket[] = "/run/nonos/control.sock";

struct parse {
	struct invocation *in;
	int argc;
	char **argv;
	char **words;			/* those that are no options */
	int n_words;
	int used;			/* words that spell the command */
};

/* -- options of every command -------------------------------------------------------- */

enum general {
	OPTION_SOCKET, OPTION_TOKEN, OPTION_JSON, OPTION_FORMAT, OPTION_DRY_RUN, OPTION_TIMEOUT, OPTION_HELP, OPTION_VERSION,
	N_GENERALS
};

static const struct general_option generals[N_GENERALS] = {
	[OPTION_SOCKET] = { 's', { "socket", KIND_FILE, 1, 4096, 0, "PATH",
				   "Control socket (NONOS_SOCKET; /run/nonos/control.sock)." } },
	[OPTION_TOKEN] = { '\0', { "token", KIND_FILE, 1, 4096, 0, "FILE|@NAME",
				   "Have the rights of the token in a file or a variable (NONOS_TOKEN)." } },
	[OPTION_JSON] = { 'j', { "json", KIND_FLAG, 0, 0, 0, "", "Print the answer as one JSON object." } },
	[OPTION_FORMAT] = { '\0', { "format", KIND_CHOICE, 0, 0, 0, "text|table|json|jsonl|csv|tsv",
				    "How to print the answer." } },
	[OPTION_DRY_RUN] = { 'n', { "dry-run", KIND_FLAG, 0, 0, 0, "",
				    "For commands that change something: say what would be done." } },
	[OPTION_TIMEOUT] = { 't', { "timeout", KIND_INTEGER, 1, TIMEOUT_MAX_S, 0, "SECONDS",
				    "How long to wait for the daemon (10)." } },
	[OPTION_HELP] = { 'h', { "help", KIND_FLAG, 0, 0, 0, "",
				 "Help on a command, or on those that begin with its words." } },
	[OPTION_VERSION] = { 'V', { "version", KIND_FLAG, 0, 0, 0, "", "Show the version of nonosctl." } },
};

const struct general_option *general_options(size_t *ret_n)
{
	*ret_n = N_GENERALS;
	return generals;
}

static int set_timeout(struct ctl_options *o, const char *text)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || v < 1 || v > TIMEOUT_MAX_S)
		return complain(EXIT_USAGE, "--timeout takes 1 to %d seconds, not \"%s\"", TIMEOUT_MAX_S, text);
	o->timeout_s = (unsigned)v;
	return EXIT_OK;
}

static int set_format(struct ctl_options *o, const char *text)
{
	if (output_format_parse(&o->format, text) < 0)
		return complain(EXIT_USAGE, "--format takes text, table, json, jsonl, csv or tsv, not \"%s\"", text);
	o->json = o->format == FORMAT_JSON || o->format == FORMAT_JSONL;
	return EXIT_OK;
}

static int set_general(struct ctl_options *o, enum general which, const char *value)
{
	switch (which) {
	case OPTION_SOCKET:
		o->socket = value;
		break;
	case OPTION_TOKEN:
		o->token = value;
		break;
	case OPTION_TIMEOUT:
		return set_timeout(o, value);
	case OPTION_FORMAT:
		return set_format(o, value);
	case OPTION_JSON:
		return set_format(o, "json");
	case OPTION_DRY_RUN:
		o->dry_run = true;
		break;
	case OPTION_HELP:
		o->help = true;
		break;
	case OPTION_VERSION:
		o->version = true;
		break;
	case N_GENERALS:
		break;
	}
	return EXIT_OK;
}

/* -- which option a word is ------------------------------------------------------------ */

bool option_spells(const char *option, size_t len, const char *name)
{
	size_t i;

	for (i = 0; i < len && name[i]; i++)
		if (option[i] != (name[i] == '_' ? '-' : name[i]))
			return false;
	return i == len && !name[i];
}

static const struct command_arg *find_arg(const struct command *c, const char *option, size_t len)
{
	for (size_t i = 0; i < c->n_args; i++)
		if (!(c->args[i].flags & ARG_POSITIONAL) && option_spells(option, len, c->args[i].name))
			return &c->args[i];
	return NULL;
}

static int find_general(const char *option, size_t len, bool is_long)
{
	for (int i = 0; i < N_GENERALS; i++)
		if (is_long ? strlen(generals[i].arg.name) == len && memcmp(generals[i].arg.name, option, len) == 0
			    : generals[i].letter == *option)
			return i;
	return -1;
}

int option_takes_value(const char *option, size_t len)
{
	const struct command *all = commands_all();
	int general = find_general(option, len, true);

	if (general >= 0)
		return generals[general].arg.kind != KIND_FLAG;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command_arg *a = find_arg(&all[i], option, len);

		if (a)
			return a->kind != KIND_FLAG;
	}
	return -1;
}

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1];
}

/* One option with its value, when it is one that takes it: the callback for both passes. */
typedef int (*option_fn)(struct parse *p, const char *option, size_t len, const char *value);

static int walk_long(struct parse *p, int *i, option_fn on_option)
{
	const char *option = p->argv[*i] + 2, *value = NULL;
	size_t len = strcspn(option, "=");
	int takes = option_takes_value(option, len);

	if (takes < 0)
		return complain(EXIT_USAGE, "there is no option --%.*s; see nonosctl --help", (int)len, option);
	if (!takes && option[len])
		return complain(EXIT_USAGE, "--%.*s takes no value", (int)len, option);
	if (takes && option[len])
		value = option + len + 1;
	else if (takes && *i + 1 < p->argc)
		value = p->argv[++*i];
	else if (takes)
		return complain(EXIT_USAGE, "--%s needs a value", option);
	return on_option(p, option, len, value);
}

/* -j, -nj, -s PATH, -sPATH */
static int walk_letters(struct parse *p, int *i)
{
	for (const char *letter = p->argv[*i] + 1; *letter; letter++) {
		int general = find_general(letter, 1, false), r;
		const char *value = NULL;

		if (general < 0)
			return complain(EXIT_USAGE, "there is no option -%c; see nonosctl --help", *letter);
		if (generals[general].arg.kind != KIND_FLAG) {
			value = letter[1] ? letter + 1 : *i + 1 < p->argc ? p->argv[++*i] : NULL;
			if (!value)
				return complain(EXIT_USAGE, "-%c needs a value", *letter);
		}
		r = set_general(&p->in->options, (enum general)general, value);
		if (r != EXIT_OK || value)
			return r;
	}
	return EXIT_OK;
}

/* Visit all options; with `words` also collect what is none. */
static int walk(struct parse *p, bool words, option_fn on_option)
{
	int r = EXIT_OK;

	for (int i = 0; i < p->argc && r == EXIT_OK; i++) {
		const char *word = p->argv[i];

		if (strcmp(word, "--") == 0) {
			while (words && ++i < p->argc)
				p->words[p->n_words++] = p->argv[i];
			break;
		}
		if (!is_option(word)) {
			if (words)
				p->words[p->n_words++] = p->argv[i];
		} else if (word[1] == '-') {
			r = walk_long(p, &i, on_option);
		} else {
			r = walk_letters(p, &i);
		}
	}
	return r;
}

static int on_general(struct parse *p, const char *option, size_t len, const char *value)
{
	int general = find_general(option, len, true);

	return general < 0 ? EXIT_OK : set_general(&p->in->options, (enum general)general, value);
}

/* -- the command ------------------------------------------------------------------------- */

/* The longest row that the first words spell; `group` is all that led towards one. */
static void find_command(struct parse *p, char group[COMMAND_WORDS_CAP])
{
	const struct command *all = commands_all();
	char words[COMMAND_WORDS_CAP] = "";

	for (int i = 0; i < p->n_words; i++) {
		size_t len = strlen(words);
		const struct command *c;
		bool leads = false;

		if (snprintf(words + len, sizeof(words) - len, "%s%s", i ? "." : "", p->words[i]) >= (int)(sizeof(words) - len))
			return;
		c = command_find(all, COMMAND_COUNT, words);
		if (c && c->flags & CMD_PROTOCOL)
			return;
		if (c) {
			p->in->command = c;
			p->used = i + 1;
		}
		for (size_t j = 0; j < COMMAND_COUNT && !leads; j++)
			leads = strncmp(all[j].words, words, strlen(words)) == 0 && all[j].words[strlen(words)] == '.';
		if (!c && !leads)
			return;
		snprintf(group, COMMAND_WORDS_CAP, "%s", words);
	}
}

static int no_command(const struct parse *p, const char *group)
{
	if (p->n_words == 0)
		return complain(EXIT_USAGE, "no command given; see nonosctl --help");
	if (group[0])
		return complain(EXIT_USAGE, "\"%s\" is not a whole command; see nonosctl %s --help", group, group);
	return complain(EXIT_USAGE, "there is no command \"%s\"; see nonosctl --help", p->words[0]);
}

/* -- its parameters ------------------------------------------------------------------------ */

static json_t *value_json(const struct command_arg *a, const char *text)
{
	int64_t seconds;
	long long v;
	char *end;

	if (a->kind == KIND_FLAG)
		return json_true();
	if (a->kind == KIND_DURATION)
		return command_duration_parse(&seconds, text) < 0 ? json_string(text) : json_integer(seconds);
	if (a->kind != KIND_INTEGER)
		return json_string(text);
	errno = 0;
	v = strtoll(text, &end, 10);
	/* What is no number stays a text, which the check refuses. */
	return errno || *end || end == text ? json_string(text) : json_integer(v);
}

static int set_param(struct parse *p, const struct command_arg *a, const char *text)
{
	json_t *value = value_json(a, text), *list;
	char why[COMMAND_WHY_CAP], usage[COMMAND_USAGE_CAP];

	if (value && a->flags & ARG_REPEAT) {
		list = json_object_get(p->in->params, a->name);
		list = list ? json_incref(list) : json_array();
		json_array_append_new(list, value);
		value = list;
	} else if (json_object_get(p->in->params, a->name)) {
		json_decref(value);
		return complain(EXIT_USAGE, "--%s is given twice", a->name);
	}
	command_usage(usage, p->in->command);
	if (!value)
		return complain(EXIT_USAGE, "\"%s\" is not UTF-8; usage: nonosctl %s", a->name, usage);
	json_object_set_new(p->in->params, a->name, value);
	if (command_check_value(a, value, why) < 0)
		return complain(EXIT_USAGE, "%s; usage: nonosctl %s", why, usage);
	return EXIT_OK;
}

static int on_own(struct parse *p, const char *option, size_t len, const char *value)
{
	const struct command_arg *a = find_arg(p->in->command, option, len);
	char usage[COMMAND_USAGE_CAP];

	if (a)
		return set_param(p, a, value);
	if (find_general(option, len, true) >= 0)
		return EXIT_OK;
	command_usage(usage, p->in->command);
	return complain(EXIT_USAGE, "%s does not take the option --%.*s; usage: nonosctl %s", p->in->command->words,
			(int)len, option, usage);
}

static int set_positionals(struct parse *p)
{
	const struct command *c = p->in->command;
	char usage[COMMAND_USAGE_CAP];
	int next = p->used, r;

	for (size_t i = 0; i < c->n_args; i++)
		while (c->args[i].flags & ARG_POSITIONAL && next < p->n_words) {
			r = set_param(p, &c->args[i], p->words[next++]);
			if (r != EXIT_OK)
				return r;
			if (!(c->args[i].flags & ARG_REPEAT))
				break;
		}
	if (next == p->n_words)
		return EXIT_OK;
	command_usage(usage, c);
	return complain(EXIT_USAGE, "\"%s\" is one word too many; usage: nonosctl %s", p->words[next], usage);
}

static int check_required(const struct parse *p)
{
	const struct command *c = p->in->command;
	char option[COMMAND_WORDS_CAP], usage[COMMAND_USAGE_CAP];

	command_usage(usage, c);
	for (size_t i = 0; i < c->n_args; i++) {
		const struct command_arg *a = &c->args[i];

		if (!(a->flags & ARG_REQUIRED) || json_object_get(p->in->params, a->name))
			continue;
		command_option(option, a);
		return complain(EXIT_USAGE, "%s is missing; usage: nonosctl %s",
				a->flags & ARG_POSITIONAL ? a->placeholder : option, usage);
	}
	return EXIT_OK;
}

static int read_params(struct parse *p)
{
	const struct command *c = p->in->command;
	int r;

	if (p->in->options.dry_run && !(c->flags & CMD_CHANGES))
		return complain(EXIT_USAGE, "\"%s\" changes nothing, so it takes no --dry-run", c->words);
	p->in->params = json_object();
	r = walk(p, false, on_own);
	if (r == EXIT_OK)
		r = set_positionals(p);
	if (r == EXIT_OK)
		r = check_required(p);
	if (r == EXIT_OK && p->in->options.dry_run)
		json_object_set_new(p->in->params, "dry_run", json_true());
	return r;
}

int invocation_parse(struct invocation *ret, char group[COMMAND_WORDS_CAP], int argc, char **argv)
{
	const char *env = getenv("NONOS_SOCKET");
	struct parse p = { .in = ret, .argc = argc, .argv = argv };
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->options = (struct ctl_options){ .socket = env && env[0] ? env : default_socket,
					     .timeout_s = DEFAULT_TIMEOUT_S };
	p.words = mem_new_array((size_t)argc + 1, sizeof(*p.words));
	r = walk(&p, true, on_general);
	if (r == EXIT_OK)
		find_command(&p, group);
	if (r == EXIT_OK && !ret->options.help && !ret->options.version)
		r = ret->command ? read_params(&p) : no_command(&p, group);
	free(p.words);
	return r;
}
