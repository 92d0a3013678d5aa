/*
 * nonosctl: asks a running nonosd over its control socket and prints the
 * answer, or does what needs no daemon. The commands are the rows of
 * commands.def; src/ctl/ has the code.
 */
#include "config.h"

#include "ctl/ctl.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/crypto.h>
#include <nonos/mem.h>

static int (*const local[COMMAND_COUNT])(const struct invocation *in) = {
#define HANDLER_DAEMON(name)
#define HANDLER_LOCAL(name) [COMMAND_ID_##name] = local_##name,
#define COMMAND(name, words, where, flags, sentence) HANDLER_##where(name)
#define ARG(name, arg, kind, min, max, flags, placeholder, sentence)
#include <nonos/commands.def>
#undef COMMAND
#undef ARG
};

static int run(const struct invocation *in, const char *group)
{
	if (in->options.version) {
		printf("nonosctl %s\n", PACKAGE_VERSION);
		return EXIT_OK;
	}
	if (in->options.help)
		return in->command ? help_command(in->command) : help_group(group);
	if (in->command->flags & CMD_STREAM)
		return run_stream(in);
	if (in->command->where == COMMAND_DAEMON)
		return run_daemon_command(in);
	if (crypto_init() < 0)
		return complain(EXIT_REFUSED, "the cryptographic library cannot be used");
	return local[in->command - commands_all()](in);
}

int main(int argc, char **argv)
{
	char group[COMMAND_WORDS_CAP] = "";
	struct invocation in = { .params = NULL };
	int r;

	setlocale(LC_CTYPE, "");
	json_set_alloc_funcs(malloc, mem_free_wiped);
	r = invocation_parse(&in, group, argc - 1, argv + 1);
	if (r == EXIT_OK)
		r = run(&in, group);
	json_decref(in.params);
	/* A command that failed has said why. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && r == EXIT_OK)
		return complain(EXIT_REFUSED, "writing the answer: %s", strerror(errno));
	return r;
}
