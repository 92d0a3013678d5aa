#include "config.h"

#include <nonos/conf.h>

#include "conf_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/conf_edit.h>
#include <nonos/err.h>
#include <nonos/mem.h>

enum { ERRORS_SHOWN = 50 };

const struct option options[OPTION_COUNT] = {
#define OPTION(sect, name, kind, low, high, def, flag, text) \
	[OPTION_##name] = { \
		.section = #sect, .key = #name, .type = TYPE_##kind, \
		.offset = offsetof(struct config, name), .size = sizeof(((struct config *)0)->name), \
		.min = low, .max = high, .initial = def, .flags = flag, .sentence = text, \
	},
#include <nonos/options.def>
#undef OPTION
};

const char *option_section(enum option_id id)
{
	return options[id].section;
}

const char *option_key(enum option_id id)
{
	return options[id].key;
}

bool option_is_live(enum option_id id)
{
	return options[id].flags & OPT_LIVE;
}

/* -- complaints ------------------------------------------------------------ */

static void report_append(struct config_report *rep, const char *text)
{
	size_t len = strlen(text);

	rep->text = mem_resize(rep->text, rep->len + len + 1, 1);
	memcpy(rep->text + rep->len, text, len + 1);
	rep->len += len;
}

void config_report_add(struct config_report *rep, const char *name, unsigned line,
		       const char *fmt, ...)
{
	char place[512], sentence[768];
	va_list ap;

	rep->count++;
	if (rep->count > ERRORS_SHOWN) {
		if (rep->count == ERRORS_SHOWN + 1)
			report_append(rep, "and more\n");
		return;
	}
	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	if (line)
		snprintf(place, sizeof(place), "%.400s:%u: ", name, line);
	else
		snprintf(place, sizeof(place), "%.400s: ", name);
	report_append(rep, place);
	report_append(rep, sentence);
	report_append(rep, "\n");
}

void config_report_free(struct config_report *rep)
{
	free(rep->text);
	*rep = (struct config_report){ 0 };
}

/* -- parsing --------------------------------------------------------------- */

struct parse {
	struct config *c;
	struct config_report *rep;
	const char *name;		/* of the file */
	const char *section;		/* of the table; NULL before the first or in an unknown one */
	bool section_unknown;		/* complained about: its keys are passed over */
	unsigned section_line[OPTION_COUNT];	/* by first option of the section; 0: not seen */
};

static bool text_is(const char *text, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(text, name, len) == 0;
}

/* The first option of a section stands for it. */
static const struct option *section_find(const char *name, size_t len)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (text_is(name, len, options[i].section))
			return &options[i];
	return NULL;
}

static void section_names(char *out, size_t cap)
{
	const char *last = "";

	out[0] = '\0';
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		size_t used = strlen(out);

		if (strcmp(options[i].section, last) == 0)
			continue;
		last = options[i].section;
		snprintf(out + used, cap - used, "%s[%s]", used ? ", " : "", last);
	}
}

static void parse_section(struct parse *p, const struct config_line *l)
{
	const struct option *first = section_find(l->key, l->key_len);
	char names[128];

	p->section_unknown = first == NULL;
	p->section = first ? first->section : NULL;
	if (!first) {
		section_names(names, sizeof(names));
		config_report_add(p->rep, p->name, l->number, "unknown section [%.*s]; there are %s",
				  (int)(l->key_len > 64 ? 64 : l->key_len), l->key, names);
		return;
	}
	if (p->section_line[first - options]) {
		config_report_add(p->rep, p->name, l->number,
				  "section [%s] was already given in line %u; put its options together",
				  first->section, p->section_line[first - options]);
		return;
	}
	p->section_line[first - options] = l->number;
}

static const struct option *option_find(const char *section, const struct config_line *l)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (text_is(l->key, l->key_len, options[i].key) &&
		    (!section || strcmp(section, options[i].section) == 0))
			return &options[i];
	return NULL;
}

static void complain_unknown_key(struct parse *p, const struct config_line *l)
{
	const struct option *elsewhere = option_find(NULL, l);
	const char *moved = config_old_place(p->section, l->key, l->key_len);
	int len = (int)(l->key_len > 64 ? 64 : l->key_len);

	if (moved)
		config_report_add(p->rep, p->name, l->number,
				  "\"%.*s\" is in section [%s] since version %d of this format; "
				  "\"nonosctl config migrate\" moves it", len, l->key, moved, CONFIG_VERSION);
	else if (elsewhere)
		config_report_add(p->rep, p->name, l->number, "\"%s\" belongs in section [%s]",
				  elsewhere->key, elsewhere->section);
	else
		config_report_add(p->rep, p->name, l->number,
				  "unknown option \"%.*s\" in section [%s]; nonosd.conf(5) lists them",
				  len, l->key, p->section);
}

static void remember_text(struct config *c, enum option_id id, const char *value, unsigned line)
{
	char *before = c->text[id];

	c->text[id] = before ? mem_printf("%s\n%s", before, value) : mem_strdup(value);
	free(before);
	if (!c->line[id])
		c->line[id] = line;
}

static void set_option(struct parse *p, const struct option *o, const struct config_line *l)
{
	enum option_id id = (enum option_id)(o - options);
	char *value = mem_strndup(l->value, l->value_len);
	char err[256] = "";

	if (l->value_len == 0)
		config_report_add(p->rep, p->name, l->number,
				  "\"%s\" has no value; leave the line out for the default", o->key);
	else if (p->c->line[id] && !(o->flags & OPT_REPEAT))
		config_report_add(p->rep, p->name, l->number, "\"%s\" was already set in line %u",
				  o->key, p->c->line[id]);
	else if (option_set(p->c, o, value, err, sizeof(err)) < 0)
		config_report_add(p->rep, p->name, l->number, "\"%s\" %s", o->key, err);
	/* Set or not, the line counts, so that one mistake gives one complaint. */
	remember_text(p->c, id, value, l->number);
	free(value);
}

static void parse_pair(struct parse *p, const struct config_line *l)
{
	const struct option *o;

	if (p->section_unknown)
		return;
	if (!p->section) {
		config_report_add(p->rep, p->name, l->number,
				  "a [section] must come before the first option");
		return;
	}
	o = option_find(p->section, l);
	if (o)
		set_option(p, o, l);
	else
		complain_unknown_key(p, l);
}

static void parse_lines(struct parse *p, const char *text, size_t len)
{
	struct config_lines lines = { .p = text, .end = text + len };
	struct config_line l;

	while (config_line_next(&lines, &l)) {
		switch (l.kind) {
		case LINE_BLANK:
			break;
		case LINE_BAD:
			config_report_add(p->rep, p->name, l.number, "%s", l.problem);
			break;
		case LINE_SECTION:
			parse_section(p, &l);
			break;
		case LINE_PAIR:
			parse_pair(p, &l);
			break;
		}
	}
}

/* Options that the file left out. A default is read like any value. */
static void set_defaults(struct parse *p)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = &options[i];
		char err[256] = "";

		if (p->c->line[i])
			continue;
		if (!o->initial)
			config_report_add(p->rep, p->name, 0, "\"%s\" must be set in section [%s]: %s",
					  o->key, o->section, o->sentence);
		else if (o->initial[0] && option_set(p->c, o, o->initial, err, sizeof(err)) < 0)
			config_report_add(p->rep, p->name, 0, "default of \"%s\": %s", o->key, err);
		if (!p->c->text[i])
			p->c->text[i] = mem_strdup(o->initial ? o->initial : "");
	}
}

int config_parse(struct config **ret, struct config_report *rep, const char *name,
		 const char *text, size_t len)
{
	unsigned before = rep->count;
	struct parse p = { .rep = rep, .name = name };

	if (len > CONFIG_FILE_MAX) {
		config_report_add(rep, name, 0, "the file is larger than 1 MiB");
		return ERR_CONFIG;
	}
	p.c = mem_new(sizeof(*p.c));
	/* No editor shows it, and it would make the first word another one. */
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		config_report_add(rep, name, 1, "the file begins with a byte order mark (bytes EF BB BF); save it as UTF-8 "
				  "without one");
		text += 3;
		len -= 3;
	}
	parse_lines(&p, text, len);
	set_defaults(&p);
	config_check(p.c, rep, name);
	if (rep->count != before) {
		config_free(p.c);
		return ERR_CONFIG;
	}
	*ret = p.c;
	return 0;
}

int config_parse_network(struct config *c, struct config_report *rep, const char *name,
			 const char *text, size_t len)
{
	const struct option *o = &options[OPTION_authority];
	struct config_lines lines = { .p = text, .end = text + len };
	unsigned before = rep->count;
	struct config_line l;

	while (config_line_next(&lines, &l)) {
		char *value, err[256] = "";

		if (l.kind == LINE_BLANK)
			continue;
		if (l.kind != LINE_PAIR || !text_is(l.key, l.key_len, o->key)) {
			config_report_add(rep, name, l.number, "%s", l.kind == LINE_BAD ? l.problem
					  : "only \"authority = ...\" lines belong here");
			continue;
		}
		value = mem_strndup(l.value, l.value_len);
		if (option_set(c, o, value, err, sizeof(err)) < 0)
			config_report_add(rep, name, l.number, "\"authority\" %s", err);
		free(value);
	}
	if (c->authority.n == 0 && rep->count == before)
		config_report_add(rep, name, 0, "there is no \"authority\" line in the file");
	return rep->count == before ? 0 : ERR_CONFIG;
}

/* -- files ----------------------------------------------------------------- */

static int read_file(char **ret, size_t *ret_len, struct config_report *rep, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = 0;
	ssize_t n = 1;
	char *text;

	if (fd < 0) {
		config_report_add(rep, path, 0, "cannot be opened: %s", strerror(errno));
		return ERR_IO;
	}
	text = mem_new(CONFIG_FILE_MAX + 1);
	while (n > 0 && len <= CONFIG_FILE_MAX) {
		n = read(fd, text + len, CONFIG_FILE_MAX + 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		config_report_add(rep, path, 0, "cannot be read: %s", strerror(errno));
	close(fd);
	if (n < 0) {
		free(text);
		return ERR_IO;
	}
	*ret = text;
	*ret_len = len;
	return 0;
}

static int load_network(struct config *c, struct config_report *rep)
{
	static const char *const names[] = { "tor", "anyone" };
	char *path, *text;
	size_t len;
	int r;

	if (c->network == NETWORK_TEST)
		return 0;
	path = c->network_file ? mem_strdup(c->network_file)
			       : mem_printf("%s/networks/%s.conf", NONOS_DATADIR, names[c->network]);
	r = read_file(&text, &len, rep, path);
	if (r == 0) {
		r = config_parse_network(c, rep, path, text, len);
		free(text);
	}
	free(path);
	return r;
}

int config_load(struct config **ret, struct config_report *rep, const char *path)
{
	struct config *c = NULL;
	char *text;
	size_t len;
	int r = read_file(&text, &len, rep, path);

	if (r < 0)
		return ERR_CONFIG;
	r = config_parse(&c, rep, path, text, len);
	free(text);
	if (r == 0)
		r = load_network(c, rep);
	if (r < 0) {
		config_free(c);
		return ERR_CONFIG;
	}
	*ret = c;
	return 0;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		option_clear(c, &options[i]);
		free(c->text[i]);
	}
	free(c);
}

/* -- reload ---------------------------------------------------------------- */

static void swap_bytes(void *a, void *b, size_t len)
{
	uint8_t *x = a, *y = b;

	for (size_t i = 0; i < len; i++) {
		uint8_t t = x[i];

		x[i] = y[i];
		y[i] = t;
	}
}

static void keep_old(struct config *fresh, struct config *old, enum option_id id)
{
	const struct option *o = &options[id];
	char *text = fresh->text[id];

	swap_bytes((char *)fresh + o->offset, (char *)old + o->offset, o->size);
	fresh->text[id] = old->text[id];
	old->text[id] = text;
}

int config_override(struct config *c, enum option_id id, const char *text, char *err, size_t err_cap)
{
	int r = option_set(c, &options[id], text, err, err_cap);

	if (r < 0)
		return r;
	free(c->text[id]);
	c->text[id] = mem_strdup(text);
	c->line[id] = 0;
	return 0;
}

void config_compare(const struct config *fresh, const struct config *old,
		    void (*changed)(void *arg, enum option_id id, bool applied), void *arg)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (strcmp(fresh->text[i], old->text[i]) != 0)
			changed(arg, (enum option_id)i, option_is_live((enum option_id)i));
}

void config_adopt(struct config *fresh, struct config *old)
{
	/* Whether the text differs or not: a network file may have changed under the same name. */
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (!option_is_live((enum option_id)i))
			keep_old(fresh, old, (enum option_id)i);
}

/* -- "auto" ---------------------------------------------------------------- */

unsigned config_workers(const struct config *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (c->workers)
		return c->workers;
	return cores < 1 ? 1 : cores > 64 ? 64 : (unsigned)cores;
}

uint64_t config_max_memory(const struct config *c)
{
	uint64_t low = options[OPTION_max_memory].min, high = (uint64_t)8 << 30;
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	uint64_t half;

	if (c->max_memory)
		return c->max_memory;
	half = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page / 2 : high;
	return half < low ? low : half > high ? high : half;
}

uint64_t config_burst(const struct config *c)
{
	return c->bandwidth_burst ? c->bandwidth_burst : 2 * c->bandwidth_rate;
}

void config_rate(uint64_t *ret_rate, uint64_t *ret_burst, const struct config *c, int64_t now)
{
	const struct schedule_row *row = schedule_find(c->bandwidth_schedule.v, c->bandwidth_schedule.n, now);
	uint64_t rate = row ? row->rate : c->bandwidth_rate;

	*ret_rate = rate;
	/* A burst that was configured is for every hour, but never below a second's worth. */
	*ret_burst = !c->bandwidth_burst ? 2 * rate : c->bandwidth_burst > rate ? c->bandwidth_burst : rate;
}

char *config_metrics_socket(const struct config *c)
{
	const char *slash = strrchr(c->control_socket, '/');
	int dir_len = slash ? (int)(slash - c->control_socket) + 1 : 0, len;
	const char *name = c->control_socket + dir_len, *dot = strrchr(name, '.');

	if (c->metrics_socket)
		return mem_strdup(c->metrics_socket);
	if (strcmp(name, "control.sock") == 0)
		return mem_printf("%.*smetrics.sock", dir_len, c->control_socket);
	len = dot && strcmp(dot, ".sock") == 0 ? (int)(dot - name) : (int)strlen(name);
	return mem_printf("%.*s%.*s-metrics.sock", dir_len, c->control_socket, len, name);
}
