/*
 * nonosd: takes the command line apart and becomes the keeper, or, started by
 * a keeper, a worker.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/conf.h>
#include <nonos/import.h>
#include <nonos/process.h>

#include "daemon/keeper.h"
#include "daemon/upgrade.h"
#include "daemon/worker.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char default_config[] = NONOS_SYSCONFDIR "/nonosd.conf";

enum action { ACTION_RUN, ACTION_CHECK, ACTION_IMPORT, ACTION_HELP, ACTION_VERSION, ACTION_WRONG };

struct arguments {
	enum action action;
	const char *config;
	const char *import_from;
	bool one_process, take_over, background, reload;
};

static int help(void)
{
	printf("Usage: nonosd [-c FILE] [OPTION]\n\n"
	       "  -c, --config FILE           configuration (%s)\n"
	       "      --check-config          say whether the configuration is good, and exit\n"
	       "      --import-identity DIR   copy a relay's identity from a tor or anon data directory, and exit\n"
	       "      --take-over             take the place of the nonosd that runs on this data_dir, without loss\n"
	       "      --background            go to the background, and return when the relay runs (0) or fails (1)\n"
	       "      --reload                for service managers: make the running nonosd read its configuration\n"
	       "                              again, or, when it is another program than this, take over in the background\n"
	       "      --one-process           keeper and worker in one process, for debugging\n"
	       "      --version, --help\n",
	       default_config);
	return EXIT_OK;
}

static int check_config(const char *path)
{
	struct config_report rep = { 0 };
	struct config *c = NULL;
	int r = config_load(&c, &rep, path);

	if (r == 0)
		puts("ok");
	else
		fputs(rep.text, stderr);
	config_free(c);
	config_report_free(&rep);
	return r == 0 ? EXIT_OK : EXIT_FAILED;
}

static void parse_arguments(struct arguments *a, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' }, { "check-config", no_argument, NULL, 'k' },
		{ "import-identity", required_argument, NULL, 'i' }, { "one-process", no_argument, NULL, '1' },
		{ "take-over", no_argument, NULL, 't' }, { "background", no_argument, NULL, 'b' },
		{ "reload", no_argument, NULL, 'r' },
		{ "version", no_argument, NULL, 'V' }, { "help", no_argument, NULL, 'h' }, { 0 }
	};
	int opt;

	*a = (struct arguments){ .action = ACTION_RUN, .config = default_config };
	while ((opt = getopt_long(argc, argv, "c:hV", longs, NULL)) != -1) {
		switch (opt) {
		case 'c':
			a->config = optarg;
			break;
		case 'k':
			a->action = ACTION_CHECK;
			break;
		case 'i':
			a->action = ACTION_IMPORT;
			a->import_from = optarg;
			break;
		case '1':
			a->one_process = true;
			break;
		case 't':
			a->take_over = true;
			break;
		case 'b':
			a->background = true;
			break;
		case 'r':
			a->reload = true;
			break;
		case 'V':
			a->action = ACTION_VERSION;
			return;
		case 'h':
			a->action = ACTION_HELP;
			return;
		case '?':
			a->action = ACTION_WRONG;
			return;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "nonosd: \"%s\" is not an option\n", argv[optind]);
		a->action = ACTION_WRONG;
	}
}

static int run(const struct arguments *a)
{
	struct keeper_options o = {
		.config_path = a->config, .one_process = a->one_process, .take_over = a->take_over, .ready_fd = -1,
	};

	if (a->reload && upgrade_or_reload(&o.take_over, a->config) < 0)
		return EXIT_FAILED;
	if (a->reload && !o.take_over)
		return EXIT_OK;
	if (a->background || a->reload) {
		o.ready_fd = upgrade_to_background();
		if (o.ready_fd < 0)
			return EXIT_FAILED;
	}
	return keeper_main(&o);
}

int main(int argc, char **argv)
{
	struct arguments a;

	process_open_standard();
	/* How the keeper starts its workers (team.c). */
	if (argc == 3 && strcmp(argv[1], "--worker") == 0)
		return worker_main((unsigned)strtoul(argv[2], NULL, 10));
	parse_arguments(&a, argc, argv);
	switch (a.action) {
	case ACTION_RUN:
		return run(&a);
	case ACTION_CHECK:
		return check_config(a.config);
	case ACTION_IMPORT:
		return import_identity(a.config, a.import_from) == 0 ? EXIT_OK : EXIT_FAILED;
	case ACTION_HELP:
		return help();
	case ACTION_VERSION:
		printf("nonosd %s\n", PACKAGE_VERSION);
		return EXIT_OK;
	case ACTION_WRONG:
		fputs("Try nonosd --help.\n", stderr);
		return EXIT_USAGE;
	}
	return EXIT_USAGE;
}
