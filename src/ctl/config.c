/* config check, config explain, config set, config migrate; and how config show is printed. */
#include "config.h"

#include "ctl.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/conf.h>
#include <nonos/conf_edit.h>
#include <nonos/err.h>
#include <nonos/mem.h>

static const char default_config[] = NONOS_SYSCONFDIR "/nonosd.conf";

char *config_path(const struct invocation *in, const char *param)
{
	const char *named = param_text(in->params, param);
	json_t *params, *answer = NULL;
	char *path = NULL;

	if (named)
		return mem_strdup(named);
	params = json_pack("{s:[s]}", "option", "nickname");
	if (daemon_ask(&answer, &in->options, "config.show", params) && param_text(answer, "file"))
		path = mem_strdup(param_text(answer, "file"));
	json_decref(params);
	json_decref(answer);
	return path ? path : mem_strdup(default_config);
}

/* The complaints are lines of their own, "FILE:LINE: sentence". */
static void print_report(const struct config_report *rep)
{
	char *copy = mem_strdup(rep->text), *rest = copy, *line;

	while ((line = strsep(&rest, "\n"))) {
		if (!*line)
			continue;
		view_escaped(stderr, line);
		fputc('\n', stderr);
	}
	free(copy);
}

static json_t *report_json(const struct config_report *rep)
{
	char *copy = mem_strdup(rep->text ? rep->text : ""), *rest = copy, *line;
	json_t *list = json_array();

	while ((line = strsep(&rest, "\n")))
		if (*line)
			json_array_append_new(list, json_string(line));
	free(copy);
	return list;
}

/* -- config check ---------------------------------------------------------------------- */

int local_config_check(const struct invocation *in)
{
	char *path = config_path(in, "file");
	struct config_report rep = { 0 };
	struct config *c = NULL;
	int r = config_load(&c, &rep, path);

	if (in->options.json)
		print_answer(in, json_pack("{s:s, s:b, s:o}", "file", path, "good", r == 0, "problems", report_json(&rep)));
	else if (r == 0)
		printf("%s is good\n", path);
	else
		print_report(&rep);
	config_free(c);
	config_report_free(&rep);
	free(path);
	return r == 0 ? EXIT_OK : EXIT_REFUSED;
}

/* -- config explain -------------------------------------------------------------------- */

static int find_option(int *ret, const char *name)
{
	*ret = option_by_name(name);
	if (*ret >= 0)
		return EXIT_OK;
	return complain(EXIT_REFUSED, "there is no option \"%s\"; nonosctl config explain lists them", name);
}

int local_config_explain(const struct invocation *in)
{
	const json_t *names = json_object_get(in->params, "option"), *name;
	json_t *list = json_array();
	size_t i;
	int id;

	for (id = 0; !names && id < OPTION_COUNT; id++)
		json_array_append_new(list, option_json((enum option_id)id));
	json_array_foreach(names, i, name) {
		if (find_option(&id, json_string_value(name)) != EXIT_OK) {
			json_decref(list);
			return EXIT_REFUSED;
		}
		json_array_append_new(list, option_json((enum option_id)id));
	}
	return print_answer(in, list);
}

static void view_range(FILE *out, const json_t *range)
{
	const char *unit = param_text(range, "unit");

	if (range)
		fprintf(out, "; from %lld to %lld%s%s", (long long)param_integer(range, "min", 0),
			(long long)param_integer(range, "max", 0), unit && *unit ? " " : "", unit ? unit : "");
}

static void view_option(FILE *out, const json_t *o)
{
	const char *initial = param_text(o, "default");

	fprintf(out, "[%s] %s\n    %s\n", param_text(o, "section"), param_text(o, "option"), param_text(o, "sentence"));
	fprintf(out, "    Value: %s", param_text(o, "form"));
	view_range(out, json_object_get(o, "range"));
	fprintf(out, "%s%s%s.\n", param_flag(o, "auto") ? "; or auto" : "", param_text(o, "zero") ? "; 0 is no limit" : "",
		param_flag(o, "repeats") ? "; may be given more than once" : "");
	if (param_flag(o, "required"))
		fputs("    Required.", out);
	else
		fprintf(out, "    Default: %s.", *initial ? initial : "none");
	fprintf(out, " Takes effect %s.\n", param_flag(o, "live") ? "on a reload" : "at the next start");
}

void view_options(FILE *out, const json_t *answer)
{
	const json_t *o;
	size_t i;

	json_array_foreach(answer, i, o) {
		if (i)
			fputc('\n', out);
		view_option(out, o);
	}
}

/* -- config show ------------------------------------------------------------------------- */

static void view_value(FILE *out, const json_t *o, const char *value)
{
	const char *from = param_text(o, "from");

	fprintf(out, "%-26s = ", param_text(o, "option"));
	view_escaped(out, value);
	if (strcmp(from, "file") != 0)
		fprintf(out, "    # %s", from);
	fputc('\n', out);
}

static void view_differing(FILE *out, const json_t *answer)
{
	const json_t *d;
	size_t i;

	if (param_text(answer, "file_problem")) {
		fputs("\n# The file is not good now; what is shown stays in force: ", out);
		view_escaped(out, param_text(answer, "file_problem"));
		fputc('\n', out);
	}
	json_array_foreach(json_object_get(answer, "file_differs"), i, d)
		fprintf(out, "%s#   [%s] %s: %s\n", i ? "" : "\n# The file says otherwise by now:\n", param_text(d, "section"),
			param_text(d, "option"),
			param_flag(d, "applied") ? "nonosctl reload applies it" : "waits for the next start");
}

void view_config(FILE *out, const json_t *answer)
{
	const char *section = "";
	const json_t *o, *value, *item;
	size_t i, j;

	fputs("# ", out);
	view_escaped(out, param_text(answer, "file"));
	fputc('\n', out);
	json_array_foreach(json_object_get(answer, "options"), i, o) {
		if (strcmp(section, param_text(o, "section")) != 0)
			fprintf(out, "\n[%s]\n", param_text(o, "section"));
		section = param_text(o, "section");
		value = json_object_get(o, "value");
		if (json_is_string(value))
			view_value(out, o, json_string_value(value));
		json_array_foreach(value, j, item)
			view_value(out, o, json_string_value(item));
	}
	view_differing(out, answer);
}

/* -- config set ---------------------------------------------------------------------------- */

/* The result must be good as a whole before it takes the old file's place. */
static int check_text(const char *path, const char *text)
{
	struct config_report rep = { 0 };
	struct config *c = NULL;
	int r = config_parse(&c, &rep, path, text, strlen(text));

	if (r < 0)
		print_report(&rep);
	config_free(c);
	config_report_free(&rep);
	return r < 0 ? complain(EXIT_REFUSED, "nothing was changed") : EXIT_OK;
}

static int edit(char **ret, const struct invocation *in, const char *text, size_t len, int id)
{
	const json_t *values = json_object_get(in->params, "value");
	size_t n = json_array_size(values);
	const char **v = mem_new_array(n + 1, sizeof(*v));
	int r;

	for (size_t i = 0; i < n; i++)
		v[i] = json_string_value(json_array_get(values, i));
	r = config_edit(ret, text, len, (enum option_id)id, v, n);
	free(v);
	return r < 0 ? complain(EXIT_REFUSED, "a value is empty, begins or ends with white space, or has \" #\" in it") : EXIT_OK;
}

/* Whether the running daemon uses this very file. */
static bool daemon_uses(const struct invocation *in, const char *path)
{
	json_t *params = json_pack("{s:[s]}", "option", "nickname"), *answer = NULL;
	char *theirs = NULL, *ours = realpath(path, NULL);
	bool same = false;

	if (daemon_ask(&answer, &in->options, "config.show", params) && param_text(answer, "file"))
		theirs = realpath(param_text(answer, "file"), NULL);
	same = ours && theirs && strcmp(ours, theirs) == 0;
	json_decref(params);
	json_decref(answer);
	free(theirs);
	free(ours);
	return same;
}

/* Tell the daemon, and the user what came of it. */
static int reload(const struct invocation *in, const char *path, int id)
{
	json_t *answer, *changes, *c, *out;
	const char *effect = "the file is what the daemon has in force";
	size_t i;
	int r;

	if (!daemon_uses(in, path)) {
		effect = "no running daemon uses this file; it takes effect at the next start";
	} else {
		r = daemon_call(&answer, &in->options, "reload", NULL);
		if (r != EXIT_OK)
			return complain(r, "the file is changed, but the daemon did not read it");
		changes = json_object_get(answer, "changes");
		json_array_foreach(changes, i, c)
			if (strcmp(param_text(c, "option"), option_key((enum option_id)id)) == 0)
				effect = param_flag(c, "applied") ? "applied" : "takes effect at the next start";
		json_decref(answer);
	}
	out = json_pack("{s:s, s:s, s:s, s:s}", "file", path, "section", option_section((enum option_id)id), "option",
			option_key((enum option_id)id), "effect", effect);
	return print_answer(in, out);
}

static int say_dry(const struct invocation *in, const char *path, int id)
{
	return print_answer(in, json_pack("{s:b, s:s, s:s, s:s, s:s}", "dry_run", 1, "file", path, "section",
					  option_section((enum option_id)id), "option", option_key((enum option_id)id), "effect",
					  option_is_live((enum option_id)id) ? "would be applied on a reload"
									     : "would take effect at the next start"));
}

static int set_in_file(const struct invocation *in, const char *path, int id)
{
	char *text, *fresh = NULL;
	size_t len;
	int r = file_read(&text, &len, path, CONFIG_FILE_MAX);

	if (r != EXIT_OK)
		return r;
	r = edit(&fresh, in, text, len, id);
	if (r == EXIT_OK)
		r = check_text(path, fresh);
	if (r == EXIT_OK && in->options.dry_run)
		r = say_dry(in, path, id);
	else if (r == EXIT_OK)
		r = file_replace(path, fresh, strlen(fresh));
	free(fresh);
	free(text);
	return r == EXIT_OK && !in->options.dry_run ? reload(in, path, id) : r;
}

int local_config_set(const struct invocation *in)
{
	bool has_value = json_array_size(json_object_get(in->params, "value")) > 0;
	char *path;
	int id, r = find_option(&id, param_text(in->params, "option"));

	if (r != EXIT_OK)
		return r;
	if (has_value == param_flag(in->params, "default"))
		return complain(EXIT_USAGE, "give a VALUE, or --default to take the option out of the file");
	path = config_path(in, "config");
	r = set_in_file(in, path, id);
	free(path);
	return r;
}

/* -- config migrate -------------------------------------------------------------------------- */

static void remember(void *arg, const char *sentence)
{
	json_array_append_new(arg, json_string(sentence));
}

/* The old file stays beside the new one. */
static int replace_keeping(const char *path, const char *old, size_t len, const char *fresh)
{
	char *copy = mem_printf("%s.v1", path);
	int r = file_create(copy, old, len, 0600);

	if (r == EXIT_OK)
		r = file_replace(path, fresh, strlen(fresh));
	free(copy);
	return r;
}

static int migrate(const struct invocation *in, const char *path)
{
	json_t *changes = json_array();
	char *text, *fresh = NULL;
	unsigned n = 0;
	size_t len;
	int r = file_read(&text, &len, path, CONFIG_FILE_MAX);

	if (r == EXIT_OK && config_migrate(&fresh, &n, text, len, remember, changes) < 0)
		r = complain(EXIT_REFUSED, "%s is of a newer version than this nonosctl, or no text", path);
	else if (r == EXIT_OK && n > 0)
		r = check_text(path, fresh);
	if (r == EXIT_OK && n > 0 && !in->options.dry_run)
		r = replace_keeping(path, text, len, fresh);
	if (r == EXIT_OK)
		r = print_answer(in, json_pack("{s:b, s:s, s:i, s:O}", "dry_run", in->options.dry_run, "file", path, "version",
					       CONFIG_VERSION, "changes", changes));
	json_decref(changes);
	free(fresh);
	free(text);
	return r;
}

int local_config_migrate(const struct invocation *in)
{
	char *path = config_path(in, "file");
	int r = migrate(in, path);

	free(path);
	return r;
}
