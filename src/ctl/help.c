/* --help, made from the rows of commands.def. */
#include "config.h"

#include "ctl.h"

#include <string.h>

enum { COLUMN = 24 };

static void print_row(const char *head, const char *sentence)
{
	if (strlen(head) >= COLUMN - 1)
		printf("  %s\n%*s", head, COLUMN + 2, "");
	else
		printf("  %-*s", COLUMN, head);
	printf("%s\n", sentence);
}

static void print_options(void)
{
	const struct general_option *all;
	char head[2 * COMMAND_WORDS_CAP];
	size_t n;

	all = general_options(&n);
	printf("\nOptions of every command:\n");
	for (size_t i = 0; i < n; i++) {
		const struct command_arg *a = &all[i].arg;
		bool choice = a->kind == KIND_CHOICE;

		snprintf(head, sizeof(head), "%c%c%c --%s%s%s", all[i].letter ? '-' : ' ', all[i].letter ? all[i].letter : ' ',
			 all[i].letter ? ',' : ' ', a->name, a->placeholder[0] ? " " : "", choice ? "FORMAT" : a->placeholder);
		print_row(head, a->sentence);
		if (choice)
			printf("%*s%s\n", COLUMN + 2, "", a->placeholder);
	}
	printf("\nExit status: 0 done, 1 refused or failed, 2 wrong usage, 3 no daemon, 4 no answer.\n");
}

static void print_arg(const struct command_arg *a)
{
	char head[2 * COMMAND_WORDS_CAP], option[COMMAND_WORDS_CAP];

	command_option(option, a);
	if (a->flags & ARG_POSITIONAL)
		snprintf(head, sizeof(head), "%s", a->placeholder);
	else
		snprintf(head, sizeof(head), "%s%s%s", option, a->kind == KIND_FLAG ? "" : " ",
			 a->kind == KIND_FLAG ? "" : a->placeholder);
	print_row(head, a->sentence);
}

int help_command(const struct command *c)
{
	char usage[COMMAND_USAGE_CAP];

	command_usage(usage, c);
	printf("Usage: nonosctl %s\n\n%s\n", usage, c->sentence);
	if (c->n_args)
		putchar('\n');
	for (size_t i = 0; i < c->n_args; i++)
		print_arg(&c->args[i]);
	print_options();
	return EXIT_OK;
}

static bool begins_with(const char *words, const char *group)
{
	size_t len = strlen(group);

	return len == 0 || (strncmp(words, group, len) == 0 && (words[len] == '.' || words[len] == '\0'));
}

static void print_commands(const char *group, enum command_where where, const char *title)
{
	const struct command *all = commands_all();
	char words[COMMAND_WORDS_CAP];

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (all[i].where != where || all[i].flags & CMD_PROTOCOL || !begins_with(all[i].words, group))
			continue;
		if (title)
			printf("\n%s\n", title);
		title = NULL;
		command_spell(words, &all[i]);
		print_row(words, all[i].sentence);
	}
}

int help_group(const char *group)
{
	printf("Usage: nonosctl [OPTION...] COMMAND [ARGUMENT...]\n");
	print_commands(group, COMMAND_DAEMON, "Commands to a running nonosd:");
	print_commands(group, COMMAND_LOCAL, "Commands that nonosctl carries out itself:");
	print_options();
	return EXIT_OK;
}
