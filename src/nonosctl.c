/*
 * nonosctl: asks a running nonosd over its control socket and prints the
 * answer. The commands are the rows of commands.def. Those of
 * local_commands.def need no daemon, and nonosctl_local.c carries them out.
 */
#include "config.h"

#include "nonosctl.h"
#include "nonosctl_local.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/control.h>
#include <nonos/err.h>

enum { DEFAULT_TIMEOUT_S = 10 };

static const char default_socket[] = "/run/nonos/control.sock";

static const struct command {
	const char *method;
	unsigned flags;
	const char *sentence;
} commands[] = {
#define COMMAND(method, name, flags, sentence) { method, flags, sentence },
#include <nonos/commands.def>
#undef COMMAND
};

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

/* Dots of a method are spaces on the command line. */
static void print_words(const char *method, int width)
{
	char words[64];

	snprintf(words, sizeof(words), "%s", method);
	for (char *p = words; *p; p++)
		if (*p == '.')
			*p = ' ';
	printf("  %-*s", width, words);
}

static int help(void)
{
	printf("Usage: nonosctl [-s SOCKET] [--json] [--timeout SECONDS] [--dry-run] COMMAND\n\nCommands:\n");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		print_words(commands[i].method, 16);
		printf("%s\n", commands[i].sentence);
	}
	printf("\nCommands that need no daemon:\n");
	local_help(stdout);
	printf("\nOptions:\n"
	       "  -s, --socket PATH    control socket (NONOS_SOCKET; %s)\n"
	       "  -j, --json           print the answer as one JSON object\n"
	       "  -n, --dry-run        for commands that change something: say what would be done\n"
	       "  -t, --timeout SECONDS  how long to wait for the answer (%d)\n"
	       "      --key-file FILE  typed sign: the key, 64 hexadecimal digits, mode 0600\n"
	       "      --signature HEX  typed verify: the signature\n"
	       "      --signer ADDRESS  typed verify: whose it must be\n"
	       "      --version, --help\n\n"
	       "Exit status: 0 done, 1 the daemon refused, 2 wrong usage, 3 no daemon, 4 no answer.\n",
	       default_socket, DEFAULT_TIMEOUT_S);
	return EXIT_OK;
}

static int usage_error(const char *fmt, const char *what)
{
	fputs("nonosctl: ", stderr);
	fprintf(stderr, fmt, what);
	fputs("; see nonosctl --help\n", stderr);
	return EXIT_USAGE;
}

/* "onion rotate" and "onion.rotate" are the same. */
static void join_words(char *method, size_t cap, int argc, char **argv)
{
	method[0] = '\0';
	for (int i = 0; i < argc; i++) {
		size_t used = strlen(method);

		snprintf(method + used, cap - used, "%s%s", i ? "." : "", argv[i]);
	}
}

static const struct command *command_find(const char *method)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(method, commands[i].method) == 0)
			return &commands[i];
	return NULL;
}

static int print_reply(const struct ctl_options *o, const struct command *c, const json_t *reply)
{
	const json_t *error = json_object_get(reply, "error");
	const json_t *result = json_object_get(reply, "result");

	if (error) {
		fputs("nonosctl: ", stderr);
		view_escaped(stderr, json_string_value(json_object_get(error, "message")));
		fputc('\n', stderr);
		return EXIT_REFUSED;
	}
	if (o->json) {
		json_dumpf(result, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
		putchar('\n');
	} else if (strcmp(c->method, "status") == 0) {
		view_status(stdout, result);
	} else {
		view_any(stdout, result);
	}
	return EXIT_OK;
}

static int run(const struct ctl_options *o, const struct command *c)
{
	json_t *params = o->dry_run ? json_pack("{s:b}", "dry_run", 1) : NULL, *reply;
	char err[512];
	int r = ctl_call(&reply, o->socket, c->method, params, o->timeout_s * 1000, err, sizeof(err));

	json_decref(params);
	if (r < 0) {
		fputs("nonosctl: ", stderr);
		view_escaped(stderr, err);
		fputc('\n', stderr);
		return r == ERR_NETWORK ? EXIT_NO_DAEMON : EXIT_NO_ANSWER;
	}
	r = print_reply(o, c, reply);
	json_decref(reply);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("nonosctl: writing the answer");
		return EXIT_REFUSED;
	}
	return r;
}

static int parse_timeout(unsigned *ret, const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || end == text || v < 1 || v > 3600)
		return ERR_RANGE;
	*ret = (unsigned)v;
	return 0;
}

/* 0: go on; else the exit status plus one. */
static int parse_options(struct ctl_options *o, int argc, char **argv)
{
	enum { KEY_FILE = 256, SIGNATURE, SIGNER };
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' },
		{ "dry-run", no_argument, NULL, 'n' }, { "timeout", required_argument, NULL, 't' },
		{ "key-file", required_argument, NULL, KEY_FILE }, { "signature", required_argument, NULL, SIGNATURE },
		{ "signer", required_argument, NULL, SIGNER },
		{ "version", no_argument, NULL, 'V' }, { "help", no_argument, NULL, 'h' }, { 0 }
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "s:jnt:Vh", longs, NULL)) != -1) {
		switch (opt) {
		case 's':
			o->socket = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		case 'n':
			o->dry_run = true;
			break;
		case 't':
			if (parse_timeout(&o->timeout_s, optarg) < 0)
				return 1 + usage_error("--timeout takes 1 to 3600 seconds, not \"%s\"", optarg);
			break;
		case KEY_FILE:
			o->key_file = optarg;
			break;
		case SIGNATURE:
			o->signature = optarg;
			break;
		case SIGNER:
			o->signer = optarg;
			break;
		case 'V':
			printf("nonosctl %s\n", PACKAGE_VERSION);
			return 1 + EXIT_OK;
		case 'h':
			return 1 + help();
		case '?':
			return 1 + usage_error("wrong option%s", "");
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *env = getenv("NONOS_SOCKET");
	struct ctl_options o = { .socket = env && env[0] ? env : default_socket, .timeout_s = DEFAULT_TIMEOUT_S };
	const struct local_command *local;
	const struct command *c;
	char method[64];
	int r = parse_options(&o, argc, argv), used;

	if (r)
		return r - 1;
	if (optind == argc)
		return usage_error("no command given%s", "");
	local = local_find(&used, argc - optind, argv + optind);
	if (local)
		return local_run(local, &o, argc - optind - used, argv + optind + used);
	if (o.key_file || o.signature || o.signer)
		return usage_error("--key-file, --signature and --signer go with typed sign and typed verify%s", "");
	join_words(method, sizeof(method), argc - optind, argv + optind);
	c = command_find(method);
	if (!c)
		return usage_error("there is no command \"%s\"", method);
	if (o.dry_run && !(c->flags & CTL_CHANGES))
		return usage_error("\"%s\" changes nothing, so it takes no --dry-run", c->method);
	return run(&o, c);
}
