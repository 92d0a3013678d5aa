/*
 * complete: how a command line may go on. The shells' completions call it, so
 * that they know no more of the commands than the tables say.
 */
#include "config.h"

#include "ctl.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/mem.h>

struct line {
	const char *last;		/* begun, perhaps "" */
	const char *before;		/* that stays in front of each candidate: "--option=" */
	size_t before_len;
	const char **given;		/* names of the long options before, up to "=" */
	size_t n_given;
	const char **plain;		/* words that are no options */
	size_t n_plain;
	const char *waiting;		/* the option whose value is next, without dashes; NULL: none */
	bool no_options;		/* after "--" */
	const struct command *command;	/* what the plain words spell */
	size_t used;			/* of the plain words, for that */
};

/* -- candidates ------------------------------------------------------------------------ */

static void offer(const struct line *l, const char *word, const char *sentence)
{
	if (strncmp(word, l->last, strlen(l->last)) != 0)
		return;
	printf("%.*s%s", (int)l->before_len, l->before, word);
	if (sentence && sentence[0])
		printf("\t%s", sentence);
	putchar('\n');
}

static void offer_choices(const struct line *l, const char *choices)
{
	char word[COMMAND_WORDS_CAP];
	size_t len;

	for (; *choices; choices += len + (choices[len] == '|')) {
		len = strcspn(choices, "|");
		snprintf(word, sizeof(word), "%.*s", (int)len, choices);
		offer(l, word, NULL);
	}
}

static void offer_topics(const struct line *l)
{
#define EVENT(topic, members, sentence) offer(l, topic, sentence);
#include <nonos/events.def>
#undef EVENT
}

static void offer_config_options(const struct line *l)
{
	bool dotted = strchr(l->last, '.');

#define OPTION(section, key, type, min, max, init, flags, sentence) \
	offer(l, dotted ? #section "." #key : #key, sentence);
#include <nonos/options.def>
#undef OPTION
}

static void offer_methods(const struct line *l)
{
	const struct command *all = commands_all();

	offer(l, "*", "All methods.");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (all[i].where == COMMAND_DAEMON && !(all[i].flags & CMD_PROTOCOL))
			offer(l, all[i].words, all[i].sentence);
}

/* Arguments that are names which the tables know. */
static const struct {
	const char *placeholder;
	void (*offer)(const struct line *l);
} known[] = { { "TOPIC", offer_topics }, { "OPTION", offer_config_options }, { "GLOB", offer_methods } };

static void offer_values(const struct line *l, const struct command_arg *a)
{
	if (a->kind == KIND_CHOICE)
		offer_choices(l, a->placeholder);
	else if (a->kind == KIND_FILE && !l->before_len)
		puts(":file");
	else if (a->kind == KIND_DIR && !l->before_len)
		puts(":dir");
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].placeholder, a->placeholder) == 0)
			known[i].offer(l);
}

/* -- what was typed ------------------------------------------------------------------------ */

static bool is_given(const struct line *l, const char *name)
{
	for (size_t i = 0; i < l->n_given; i++)
		if (option_spells(l->given[i], strcspn(l->given[i], "="), name))
			return true;
	return false;
}

/* "-s" at the end of a word waits for its value, as "-nj" does not. */
static const char *letters_wait_for(const char *word)
{
	const struct general_option *all;
	size_t n;

	all = general_options(&n);
	for (word++; *word; word++)
		for (size_t i = 0; i < n; i++)
			if (all[i].letter == *word && all[i].arg.kind != KIND_FLAG)
				return word[1] ? NULL : all[i].arg.name;
	return NULL;
}

static void take_word(struct line *l, const char *word)
{
	if (l->waiting) {
		/* bash splits at the sign. */
		if (strcmp(word, "=") != 0)
			l->waiting = NULL;
	} else if (l->no_options || word[0] != '-' || !word[1]) {
		l->plain[l->n_plain++] = word;
	} else if (strcmp(word, "--") == 0) {
		l->no_options = true;
	} else if (word[1] == '-') {
		l->given[l->n_given++] = word + 2;
		if (!strchr(word, '=') && option_takes_value(word + 2, strlen(word + 2)) == 1)
			l->waiting = word + 2;
	} else {
		l->waiting = letters_wait_for(word);
	}
}

/* The longest row that the plain words spell. */
static void find_command(struct line *l)
{
	const struct command *all = commands_all();
	char words[COMMAND_WORDS_CAP] = "";

	for (size_t i = 0; i < l->n_plain; i++) {
		size_t len = strlen(words);
		const struct command *c;

		if (snprintf(words + len, sizeof(words) - len, "%s%s", i ? "." : "", l->plain[i]) >= (int)(sizeof(words) - len))
			return;
		c = command_find(all, COMMAND_COUNT, words);
		if (c && !(c->flags & CMD_PROTOCOL)) {
			l->command = c;
			l->used = i + 1;
		}
	}
}

/* -- the next word --------------------------------------------------------------------------- */

static void offer_option_value(const struct line *l, const char *option)
{
	size_t len = strcspn(option, "="), n;
	const struct general_option *all = general_options(&n);

	for (size_t i = 0; i < n; i++)
		if (option_spells(option, len, all[i].arg.name))
			offer_values(l, &all[i].arg);
	for (size_t i = 0; l->command && i < l->command->n_args; i++)
		if (option_spells(option, len, l->command->args[i].name))
			offer_values(l, &l->command->args[i]);
}

static void offer_options(const struct line *l)
{
	const struct command *c = l->command;
	const struct general_option *all;
	char option[COMMAND_WORDS_CAP];
	size_t n;

	for (size_t i = 0; c && i < c->n_args; i++) {
		const struct command_arg *a = &c->args[i];

		command_option(option, a);
		if (!(a->flags & ARG_POSITIONAL) && (a->flags & ARG_REPEAT || !is_given(l, a->name)))
			offer(l, option, a->sentence);
	}
	all = general_options(&n);
	for (size_t i = 0; i < n; i++) {
		const struct command_arg *a = &all[i].arg;

		if (is_given(l, a->name) || (c && strcmp(a->name, "dry-run") == 0 && !(c->flags & CMD_CHANGES)))
			continue;
		command_option(option, a);
		offer(l, option, a->sentence);
	}
}

/* Whether a row before this one goes on with the same `n` bytes. */
static bool is_offered(const struct command *all, size_t i, size_t n)
{
	for (size_t j = 0; j < i; j++)
		if (!(all[j].flags & CMD_PROTOCOL) && strncmp(all[j].words, all[i].words, n) == 0 &&
		    (all[j].words[n] == '.' || !all[j].words[n]))
			return true;
	return false;
}

/* The next word of the commands that begin with what there is; each once. */
static void offer_command_words(const struct line *l)
{
	const struct command *all = commands_all();
	char begin[COMMAND_USAGE_CAP] = "", next[COMMAND_WORDS_CAP];
	bool dotted = strchr(l->last, '.');
	size_t len = 0;

	for (size_t i = 0; i < l->n_plain && len < sizeof(begin); i++)
		len += (size_t)snprintf(begin + len, sizeof(begin) - len, "%s.", l->plain[i]);
	for (size_t i = 0; i < COMMAND_COUNT && len < sizeof(begin); i++) {
		const char *rest;
		size_t n;

		if (all[i].flags & CMD_PROTOCOL || strncmp(all[i].words, begin, len) != 0)
			continue;
		rest = all[i].words + len;
		n = dotted ? strlen(rest) : strcspn(rest, ".");
		if (is_offered(all, i, len + n))
			continue;
		snprintf(next, sizeof(next), "%.*s", (int)n, rest);
		offer(l, next, rest[n] ? "" : all[i].sentence);
	}
}

static void offer_positional(const struct line *l)
{
	size_t given = l->n_plain - l->used;

	for (size_t i = 0; i < l->command->n_args; i++) {
		const struct command_arg *a = &l->command->args[i];

		if (!(a->flags & ARG_POSITIONAL))
			continue;
		if (given == 0 || a->flags & ARG_REPEAT) {
			offer_values(l, a);
			return;
		}
		given--;
	}
}

static void complete(struct line *l)
{
	const char *equals = strchr(l->last, '=');

	find_command(l);
	if (l->waiting) {
		if (strcmp(l->last, "=") == 0)
			l->last = "";
		offer_option_value(l, l->waiting);
	} else if (!l->no_options && strncmp(l->last, "--", 2) == 0 && equals) {
		l->before = l->last;
		l->before_len = (size_t)(equals + 1 - l->last);
		l->last = equals + 1;
		offer_option_value(l, l->before + 2);
	} else if (!l->no_options && l->last[0] == '-') {
		offer_options(l);
	} else {
		if (!l->command || l->used == l->n_plain)
			offer_command_words(l);
		if (l->command)
			offer_positional(l);
	}
}

int local_complete(const struct invocation *in)
{
	const json_t *words = json_object_get(in->params, "words");
	size_t n = json_array_size(words);
	struct line l = { .before = "", .last = n ? json_string_value(json_array_get(words, n - 1)) : "" };

	if (in->options.format != FORMAT_TEXT)
		return complain(EXIT_USAGE, "what shells read has one format");
	l.given = mem_new_array(n + 1, sizeof(*l.given));
	l.plain = mem_new_array(n + 1, sizeof(*l.plain));
	for (size_t i = 0; i + 1 < n; i++)
		take_word(&l, json_string_value(json_array_get(words, i)));
	complete(&l);
	free(l.given);
	free(l.plain);
	return EXIT_OK;
}
