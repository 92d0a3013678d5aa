/* init: from nothing to a configuration that nonosd starts with. */
#include "config.h"

#include "ctl.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nonos/conf.h>
#include <nonos/conf_edit.h>
#include <nonos/err.h>
#include <nonos/import.h>
#include <nonos/mem.h>
#include <nonos/process.h>

struct plan {
	const struct invocation *in;
	bool ask;
	char *config, *data_dir, *control_socket;
	char *nickname, *network, *port, *address, *contact, *exit, *rate;
	const char *user;		/* NULL: the one who starts it */
	const char *identity;		/* "new", "kept" or "imported" */
};

static void plan_free(struct plan *p)
{
	char *const texts[] = { p->config, p->data_dir, p->control_socket, p->nickname, p->network, p->port,
				p->address, p->contact, p->exit, p->rate };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
}

/* -- what an answer must be ------------------------------------------------------------ */

enum { WHY_CAP = 256 };

static int check_nickname(const char *text, char why[WHY_CAP])
{
	return option_check(OPTION_nickname, text, why, WHY_CAP);
}

static int check_network(const char *text, char why[WHY_CAP])
{
	return option_check(OPTION_network, text, why, WHY_CAP);
}

static int check_port(const char *text, char why[WHY_CAP])
{
	size_t n = strspn(text, "0123456789");

	if (n >= 1 && n <= 5 && !text[n] && atoi(text) >= 1 && atoi(text) <= 65535)
		return 0;
	snprintf(why, WHY_CAP, "must be a port from 1 to 65535");
	return ERR_RANGE;
}

static int check_address(const char *text, char why[WHY_CAP])
{
	return *text ? option_check(OPTION_address, text, why, WHY_CAP) : 0;
}

static int check_contact(const char *text, char why[WHY_CAP])
{
	return *text ? option_check(OPTION_contact, text, why, WHY_CAP) : 0;
}

static int check_exit(const char *text, char why[WHY_CAP])
{
	if (strcmp(text, "none") == 0 || strcmp(text, "web") == 0 || strcmp(text, "all") == 0)
		return 0;
	snprintf(why, WHY_CAP, "must be none, web or all");
	return ERR_MALFORMED;
}

static int check_rate(const char *text, char why[WHY_CAP])
{
	return option_check(OPTION_bandwidth_rate, text, why, WHY_CAP);
}

/* -- asking ------------------------------------------------------------------------------ */

static const struct question {
	const char *param, *text, *initial;
	int (*check)(const char *text, char why[WHY_CAP]);
	size_t field;
} questions[] = {
	{ "network", "Network (tor, anyone or test)", "tor", check_network, offsetof(struct plan, network) },
	{ "nickname", "Nickname, 1 to 19 letters and digits", NULL, check_nickname, offsetof(struct plan, nickname) },
	{ "or_port", "Port for links from other relays and clients", "9001", check_port, offsetof(struct plan, port) },
	{ "address", "Public IPv4 address (empty: found out)", "", check_address, offsetof(struct plan, address) },
	{ "contact", "Contact, published (empty: none)", "", check_contact, offsetof(struct plan, contact) },
	{ "exit", "Let traffic out to the Internet? none, web or all", "none", check_exit, offsetof(struct plan, exit) },
	{ "rate", "Bandwidth limit, like 10 MB/s (0: none)", "0", check_rate, offsetof(struct plan, rate) },
};

static char *param_as_text(const json_t *params, const char *name)
{
	const json_t *v = json_object_get(params, name);

	if (json_is_integer(v))
		return mem_printf("%lld", (long long)json_integer_value(v));
	return v ? mem_strdup(json_string_value(v)) : NULL;
}

/* One line from the terminal, without its end; NULL at the end of input. */
static char *read_answer(const struct question *q)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	printf("%s%s%s%s: ", q->text, q->initial && *q->initial ? " [" : "", q->initial ? q->initial : "",
	       q->initial && *q->initial ? "]" : "");
	fflush(stdout);
	n = getline(&line, &cap, stdin);
	if (n < 0) {
		free(line);
		return NULL;
	}
	line[strcspn(line, "\r\n")] = '\0';
	if (!*line && q->initial) {
		free(line);
		return mem_strdup(q->initial);
	}
	return line;
}

static int ask(char **field, const struct question *q)
{
	for (int tries = 0; tries < 5; tries++) {
		char *answer = read_answer(q), why[WHY_CAP];

		if (!answer)
			return complain(EXIT_REFUSED, "no answer; nothing was written");
		if (q->check(answer, why) == 0) {
			*field = answer;
			return EXIT_OK;
		}
		complain(EXIT_REFUSED, "it %s", why);
		free(answer);
	}
	return complain(EXIT_REFUSED, "five answers were wrong; nothing was written");
}

static int settle(struct plan *p, const struct question *q)
{
	char **field = (char **)((char *)p + q->field), option[COMMAND_WORDS_CAP], why[WHY_CAP];

	command_option(option, command_arg_find(p->in->command, q->param));
	*field = param_as_text(p->in->params, q->param);
	if (*field) {
		if (q->check(*field, why) == 0)
			return EXIT_OK;
		return complain(EXIT_USAGE, "%s %s; nothing was written", option, why);
	}
	if (p->ask)
		return ask(field, q);
	if (!q->initial)
		return complain(EXIT_USAGE, "%s is missing; without a terminal nothing can be asked", option);
	*field = mem_strdup(q->initial);
	return EXIT_OK;
}

/* -- where things go ---------------------------------------------------------------------- */

static char *param_or(const json_t *params, const char *name, char *otherwise)
{
	const char *given = param_text(params, name);

	if (!given)
		return otherwise;
	free(otherwise);
	return mem_strdup(given);
}

static void choose_places(struct plan *p)
{
	const char *home = getenv("HOME"), *run = getenv("XDG_RUNTIME_DIR");
	const json_t *params = p->in->params;
	bool system = geteuid() == 0 || !home || !*home;

	p->config = param_or(params, "config", system ? mem_strdup(NONOS_SYSCONFDIR "/nonosd.conf")
						      : mem_printf("%s/.config/nonos/nonosd.conf", home));
	p->data_dir = param_or(params, "data_dir", system ? mem_strdup(NONOS_LOCALSTATEDIR "/lib/nonos")
							  : mem_printf("%s/.local/share/nonos", home));
	p->control_socket = param_or(params, "control_socket",
				     system ? mem_strdup("/run/nonos/control.sock")
				     : run && *run ? mem_printf("%s/nonos/control.sock", run)
						   : mem_printf("%s/control.sock", p->data_dir));
	p->user = param_text(params, "user");
	/* The user that the packages and systemd/sysusers.d make. */
	if (!p->user && geteuid() == 0 && getpwnam("nonos"))
		p->user = "nonos";
}

/* -- the file ---------------------------------------------------------------------------------- */

static const char *exit_policy(const char *exit)
{
	if (strcmp(exit, "web") == 0)
		return "accept *:80, accept *:443, reject *:*";
	return strcmp(exit, "all") == 0 ? "reject *:25, accept *:*" : "reject *:*";
}

static void write_node(FILE *f, const struct plan *p)
{
	fprintf(f, "# Made by nonosctl init. nonosd.conf(5) and \"nonosctl config explain\" tell every option;\n"
		   "# \"nonosctl config set\" changes one and has the daemon read it.\n\n"
		   "[node]\nconfig_version = %d\ndata_dir = %s\ncontrol_socket = %s\n",
		CONFIG_VERSION, p->data_dir, p->control_socket);
	if (p->user)
		fprintf(f, "user = %s\n", p->user);
}

static void write_relay(FILE *f, const struct plan *p)
{
	const char *listen = param_text(p->in->params, "listen");

	listen = listen ? listen : "0.0.0.0";
	fprintf(f, "\n[relay]\nnickname = %s\nor_listen = %s%s%s:%s\n", p->nickname, strchr(listen, ':') ? "[" : "", listen,
		strchr(listen, ':') ? "]" : "", p->port);
	if (*p->address)
		fprintf(f, "address = %s\n", p->address);
	if (*p->contact)
		fprintf(f, "contact = %s\n", p->contact);
	fprintf(f, "exit_policy = %s\n", exit_policy(p->exit));
	if (strcmp(p->rate, "0") != 0)
		fprintf(f, "bandwidth_rate = %s\n", p->rate);
	if (strcmp(p->network, "test") == 0)
		fprintf(f, "allow_private_addresses = yes\n");
}

static void write_directory(FILE *f, const struct plan *p)
{
	const json_t *authorities = json_object_get(p->in->params, "authority"), *a;
	size_t i;

	fprintf(f, "\n[directory]\nnetwork = %s\n", p->network);
	json_array_foreach(authorities, i, a)
		fprintf(f, "authority = %s\n", json_string_value(a));
	if (strcmp(p->network, "test") == 0 && !authorities)
		fprintf(f, "publish = no\n");
}

static char *make_text(const struct plan *p)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		mem_fail();
	write_node(f, p);
	write_relay(f, p);
	write_directory(f, p);
	if (fclose(f) != 0)
		mem_fail();
	return text;
}

static int check_text(const struct plan *p, const char *text)
{
	struct config_report rep = { 0 };
	struct config *c = NULL;
	int r = config_parse(&c, &rep, p->config, text, strlen(text));

	if (r < 0)
		complain(EXIT_REFUSED, "%.*s", (int)strcspn(rep.text, "\n"), rep.text);
	config_free(c);
	config_report_free(&rep);
	return r < 0 ? EXIT_REFUSED : EXIT_OK;
}

/* -- doing it ------------------------------------------------------------------------------------ */

/* The directories above `path` in somebody's home; what cannot be made is complained about by the next step. */
static void make_above(const char *path)
{
	char *copy = mem_strdup(path);

	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)!mkdir(copy, 0700);
		*slash = '/';
	}
	free(copy);
}

static int make_dirs(const struct plan *p)
{
	bool give = p->user && geteuid() == 0;
	char err[PROCESS_ERR_CAP];
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	if (give && process_find_user(&uid, &gid, p->user, err, sizeof(err)) < 0)
		return complain(EXIT_REFUSED, "%s", err);
	if (geteuid() != 0) {
		make_above(p->config);
		make_above(p->data_dir);
	}
	if (process_make_parent(p->config, (uid_t)-1, (gid_t)-1, err, sizeof(err)) < 0 ||
	    process_make_dir(p->data_dir, uid, gid, err, sizeof(err)) < 0)
		return complain(EXIT_REFUSED, "%s", err);
	return EXIT_OK;
}

static bool has_identity(const struct plan *p)
{
	char *path = mem_printf("%s/keys", p->data_dir);
	struct stat st;
	bool there = lstat(path, &st) == 0;

	free(path);
	return there;
}

static int import(struct plan *p)
{
	const char *from = param_text(p->in->params, "import");

	if (!from)
		return EXIT_OK;
	/* It says itself what it did or could not do. */
	if (import_identity(p->config, from) < 0) {
		(void)!unlink(p->config);
		return EXIT_REFUSED;
	}
	p->identity = "imported";
	return EXIT_OK;
}

static int carry_out(struct plan *p, const char *text)
{
	int r = make_dirs(p);

	if (r == EXIT_OK)
		r = file_create(p->config, text, strlen(text), 0644);
	return r == EXIT_OK ? import(p) : r;
}

static json_t *answer_json(const struct plan *p, const char *text)
{
	bool system = strcmp(p->config, NONOS_SYSCONFDIR "/nonosd.conf") == 0;
	json_t *next = json_array();

	if (system && access("/run/systemd/system", F_OK) == 0 && geteuid() == 0)
		json_array_append_new(next, json_string("systemctl enable --now nonosd"));
	else if (system)
		json_array_append_new(next, json_string("nonosd --background"));
	else
		json_array_append_new(next, json_sprintf("nonosd -c %s --background", p->config));
	if (strcmp(p->control_socket, "/run/nonos/control.sock") == 0)
		json_array_append_new(next, json_string("nonosctl status"));
	else
		json_array_append_new(next, json_sprintf("nonosctl -s %s status", p->control_socket));
	return json_pack("{s:b, s:s, s:s, s:s, s:s, s:o}", "dry_run", p->in->options.dry_run, "config", p->config, "data_dir",
			 p->data_dir, "identity", p->identity, "text", text, "next", next);
}

void view_init(FILE *out, const json_t *a)
{
	const char *identity = param_text(a, "identity");
	const json_t *next;
	size_t i;

	if (param_flag(a, "dry_run")) {
		fprintf(out, "%s would be written:\n\n%s", param_text(a, "config"), param_text(a, "text"));
		return;
	}
	fprintf(out, "wrote %s\n", param_text(a, "config"));
	if (strcmp(identity, "new") == 0)
		fprintf(out, "the first start makes a new identity in %s\n", param_text(a, "data_dir"));
	else
		fprintf(out, "the identity in %s was %s\n", param_text(a, "data_dir"), identity);
	fputs("\nNext:\n", out);
	json_array_foreach(json_object_get(a, "next"), i, next)
		fprintf(out, "    %s\n", json_string_value(next));
}

static int init(struct plan *p)
{
	char *text;
	int r = EXIT_OK;

	choose_places(p);
	if (access(p->config, F_OK) == 0)
		return complain(EXIT_REFUSED, "%s is there already and stays as it is; nonosctl config set changes it", p->config);
	p->identity = has_identity(p) ? "kept" : "new";
	if (param_text(p->in->params, "import") && has_identity(p))
		return complain(EXIT_REFUSED, "%s has an identity already, which is never written over; "
				"choose another --data-dir, or leave --import out to keep it", p->data_dir);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]) && r == EXIT_OK; i++)
		r = settle(p, &questions[i]);
	if (r != EXIT_OK)
		return r;
	text = make_text(p);
	r = check_text(p, text);
	if (r == EXIT_OK && !p->in->options.dry_run)
		r = carry_out(p, text);
	if (r == EXIT_OK)
		r = print_answer(p->in, answer_json(p, text));
	free(text);
	return r;
}

int local_init(const struct invocation *in)
{
	struct plan p = { .in = in };
	int r;

	p.ask = !param_flag(in->params, "yes") && !in->options.json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	r = init(&p);
	plan_free(&p);
	return r;
}
