#include "config.h"

#include <nonos/commands.h>

#include <stdio.h>
#include <string.h>

#include <nonos/amount.h>
#include <nonos/err.h>
#include <nonos/eth_sig.h>

/* -- the tables ------------------------------------------------------------------ */

struct arg_row {
	enum command_id command;
	struct command_arg arg;
};

/* In the order of the file, so those of one command are neighbours. */
static const struct arg_row arg_rows[] = {
#define COMMAND(name, words, where, flags, sentence)
#define ARG(name, arg, kind, min, max, flags, placeholder, sentence) \
	{ COMMAND_ID_##name, { arg, KIND_##kind, min, max, flags, placeholder, sentence } },
#include <nonos/commands.def>
#undef COMMAND
#undef ARG
};

enum { N_ARGS = sizeof(arg_rows) / sizeof(arg_rows[0]) };

static struct command_arg args[N_ARGS];

static struct command commands[COMMAND_COUNT] = {
#define COMMAND(name, words, where, flags, sentence) { words, COMMAND_##where, flags, sentence, NULL, 0 },
#define ARG(name, arg, kind, min, max, flags, placeholder, sentence)
#include <nonos/commands.def>
#undef COMMAND
#undef ARG
};

const struct command *commands_all(void)
{
	static bool joined;

	for (size_t i = 0; i < N_ARGS && !joined; i++) {
		struct command *c = &commands[arg_rows[i].command];

		args[i] = arg_rows[i].arg;
		if (c->n_args++ == 0)
			c->args = &args[i];
	}
	joined = true;
	return commands;
}

const struct command *command_find(const struct command *v, size_t n, const char *words)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].words, words) == 0)
			return &v[i];
	return NULL;
}

const struct command_arg *command_arg_find(const struct command *c, const char *name)
{
	for (size_t i = 0; i < c->n_args; i++)
		if (strcmp(c->args[i].name, name) == 0)
			return &c->args[i];
	return NULL;
}

/* -- one value --------------------------------------------------------------------- */

static int refuse(char why[COMMAND_WHY_CAP], const struct command_arg *a, const char *what)
{
	snprintf(why, COMMAND_WHY_CAP, "\"%s\" %s", a->name, what);
	return ERR_MALFORMED;
}

static int check_integer(const struct command_arg *a, const json_t *value, char why[COMMAND_WHY_CAP])
{
	json_int_t v = json_integer_value(value);

	if (json_is_integer(value) && v >= a->min && v <= a->max)
		return 0;
	snprintf(why, COMMAND_WHY_CAP, "\"%s\" must be a %s from %lld to %lld%s", a->name,
		 a->kind == KIND_DURATION ? "time" : "whole number", (long long)a->min, (long long)a->max,
		 a->kind == KIND_DURATION ? " seconds, on the command line also like \"2 days\"" : "");
	return ERR_RANGE;
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

static int check_length(const struct command_arg *a, const char *text, char why[COMMAND_WHY_CAP])
{
	size_t len = strlen(text);

	if (len >= (size_t)a->min && len <= (size_t)a->max)
		return 0;
	snprintf(why, COMMAND_WHY_CAP, "\"%s\" must have %lld to %lld characters", a->name, (long long)a->min,
		 (long long)a->max);
	return ERR_RANGE;
}

static int check_text(const struct command_arg *a, const char *text, char why[COMMAND_WHY_CAP])
{
	if (has_control(text))
		return refuse(why, a, "must have no control characters");
	return check_length(a, text, why);
}

static int check_address(const struct command_arg *a, const char *text, char why[COMMAND_WHY_CAP])
{
	struct eth_addr addr;

	if (eth_addr_parse(&addr, text, strlen(text)) == 0)
		return 0;
	return refuse(why, a, "is not an address, or its checksum is wrong");
}

static int check_hex(const struct command_arg *a, const char *text, char why[COMMAND_WHY_CAP])
{
	size_t len;

	if (strncmp(text, "0x", 2) == 0)
		text += 2;
	len = strlen(text);
	if (strspn(text, "0123456789abcdefABCDEF") == len && len % 2 == 0 && len / 2 >= (size_t)a->min &&
	    len / 2 <= (size_t)a->max)
		return 0;
	if (a->min == a->max)
		snprintf(why, COMMAND_WHY_CAP, "\"%s\" must be %lld bytes in hexadecimal digits", a->name, (long long)a->min);
	else
		snprintf(why, COMMAND_WHY_CAP, "\"%s\" must be %lld to %lld bytes in hexadecimal digits", a->name,
			 (long long)a->min, (long long)a->max);
	return ERR_MALFORMED;
}

static int check_choice(const struct command_arg *a, const char *text, char why[COMMAND_WHY_CAP])
{
	size_t len = strlen(text), n;

	for (const char *p = a->placeholder; *p; p += n + (p[n] == '|')) {
		n = strcspn(p, "|");
		if (n == len && memcmp(p, text, n) == 0)
			return 0;
	}
	snprintf(why, COMMAND_WHY_CAP, "\"%s\" must be one of %s", a->name, a->placeholder);
	return ERR_MALFORMED;
}

static int check_tokens(const struct command_arg *a, const char *text, char why[COMMAND_WHY_CAP])
{
	struct amount amount;

	if (amount_token_parse(&amount, text, strlen(text)) == 0)
		return 0;
	return refuse(why, a, "must be an amount in tokens, like 12.5, with at most 18 digits after the point");
}

static int (*const kind_checks[])(const struct command_arg *a, const char *text, char why[COMMAND_WHY_CAP]) = {
	[KIND_TEXT] = check_text, [KIND_FILE] = check_length, [KIND_DIR] = check_length,
	[KIND_ADDRESS] = check_address, [KIND_HEX] = check_hex, [KIND_CHOICE] = check_choice,
	[KIND_TOKENS] = check_tokens,
};

static int check_one(const struct command_arg *a, const json_t *value, char why[COMMAND_WHY_CAP])
{
	if (a->kind == KIND_INTEGER || a->kind == KIND_DURATION)
		return check_integer(a, value, why);
	if (a->kind == KIND_FLAG)
		return json_is_boolean(value) ? 0 : refuse(why, a, "must be true or false");
	if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
		return refuse(why, a, "must be a text");
	return kind_checks[a->kind](a, json_string_value(value), why);
}

int command_check_value(const struct command_arg *a, const json_t *value, char why[COMMAND_WHY_CAP])
{
	const json_t *item;
	size_t i;
	int r;

	if (!(a->flags & ARG_REPEAT))
		return check_one(a, value, why);
	if (!json_is_array(value))
		return refuse(why, a, "must be a list");
	json_array_foreach(value, i, item) {
		r = check_one(a, item, why);
		if (r < 0)
			return r;
	}
	return 0;
}

/* -- all parameters -------------------------------------------------------------------- */

static int unknown_param(const struct command *c, const char *name, char why[COMMAND_WHY_CAP])
{
	(void)name;	/* a stranger's text, not echoed */
	if (c->n_args == 0)
		snprintf(why, COMMAND_WHY_CAP, "%s takes %s", c->words,
			 c->flags & CMD_CHANGES ? "\"dry_run\" alone" : "no parameters");
	else
		snprintf(why, COMMAND_WHY_CAP, "%s has no such parameter", c->words);
	return ERR_MALFORMED;
}

static int check_named(const struct command *c, const char *name, const json_t *value, char why[COMMAND_WHY_CAP])
{
	const struct command_arg *a = command_arg_find(c, name);

	if (a && !(a->flags & ARG_LOCAL))
		return command_check_value(a, value, why);
	if (!(c->flags & CMD_CHANGES) || strcmp(name, "dry_run") != 0)
		return unknown_param(c, name, why);
	if (json_is_boolean(value))
		return 0;
	snprintf(why, COMMAND_WHY_CAP, "\"dry_run\" must be true or false");
	return ERR_MALFORMED;
}

int command_check(const struct command *c, const json_t *params, char why[COMMAND_WHY_CAP])
{
	const char *name;
	json_t *value;
	int r;

	if (params && !json_is_object(params)) {
		snprintf(why, COMMAND_WHY_CAP, "params must be an object with named values");
		return ERR_MALFORMED;
	}
	json_object_foreach((json_t *)(uintptr_t)params, name, value) {
		r = check_named(c, name, value, why);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < c->n_args; i++)
		if (c->args[i].flags & ARG_REQUIRED && !json_object_get(params, c->args[i].name)) {
			snprintf(why, COMMAND_WHY_CAP, "%s needs \"%s\"", c->words, c->args[i].name);
			return ERR_MALFORMED;
		}
	return 0;
}

const char *param_text(const json_t *params, const char *name)
{
	return json_string_value(json_object_get(params, name));
}

int64_t param_integer(const json_t *params, const char *name, int64_t otherwise)
{
	const json_t *v = json_object_get(params, name);

	return v ? json_integer_value(v) : otherwise;
}

bool param_flag(const json_t *params, const char *name)
{
	return json_is_true(json_object_get(params, name));
}

int command_duration_parse(int64_t *ret, const char *text)
{
	static const struct {
		const char *name;
		int64_t seconds;
	} units[] = {
		{ "", 1 }, { "s", 1 }, { "second", 1 }, { "seconds", 1 }, { "min", 60 }, { "minute", 60 }, { "minutes", 60 },
		{ "h", 3600 }, { "hour", 3600 }, { "hours", 3600 }, { "day", 86400 }, { "days", 86400 }, { "week", 604800 },
		{ "weeks", 604800 },
	};
	size_t digits = strspn(text, "0123456789");
	int64_t v = 0;

	if (digits == 0)
		return ERR_MALFORMED;
	for (size_t i = 0; i < digits; i++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, text[i] - '0', &v))
			return ERR_RANGE;
	text += digits;
	text += strspn(text, " ");
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(units[i].name, text) != 0)
			continue;
		if (__builtin_mul_overflow(v, units[i].seconds, &v))
			return ERR_RANGE;
		*ret = v;
		return 0;
	}
	return ERR_MALFORMED;
}

/* -- words ------------------------------------------------------------------------------ */

static void replace(char *text, char from, char to)
{
	for (; *text; text++)
		if (*text == from)
			*text = to;
}

void command_spell(char out[COMMAND_WORDS_CAP], const struct command *c)
{
	snprintf(out, COMMAND_WORDS_CAP, "%s", c->words);
	replace(out, '.', ' ');
}

void command_option(char out[COMMAND_WORDS_CAP], const struct command_arg *a)
{
	snprintf(out, COMMAND_WORDS_CAP, "--%s", a->name);
	replace(out, '_', '-');
}

static void add_arg(char out[COMMAND_USAGE_CAP], const struct command_arg *a)
{
	size_t len = strlen(out);
	char option[COMMAND_WORDS_CAP] = "";
	bool required = a->flags & ARG_REQUIRED, flag = a->kind == KIND_FLAG;

	if (!(a->flags & ARG_POSITIONAL))
		command_option(option, a);
	snprintf(out + len, COMMAND_USAGE_CAP - len, " %s%s%s%s%s%s", required ? "" : "[", option,
		 option[0] && !flag ? " " : "", flag ? "" : a->placeholder, a->flags & ARG_REPEAT ? "..." : "",
		 required ? "" : "]");
}

void command_usage(char out[COMMAND_USAGE_CAP], const struct command *c)
{
	char words[COMMAND_WORDS_CAP];

	command_spell(words, c);
	snprintf(out, COMMAND_USAGE_CAP, "%s", words);
	for (int positional = 1; positional >= 0; positional--)
		for (size_t i = 0; i < c->n_args; i++)
			if (!(c->args[i].flags & ARG_POSITIONAL) != !!positional)
				add_arg(out, &c->args[i]);
}
