#include "config.h"

#include <nonos/conf_edit.h>

#include "conf_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/mem.h>

/* Text that grows. */
struct text {
	char *v;
	size_t len, cap;
};

static void text_add(struct text *t, const char *data, size_t len)
{
	if (t->len + len + 1 > t->cap) {
		t->cap = 2 * t->cap + len + 256;
		t->v = mem_resize(t->v, t->cap, 1);
	}
	memcpy(t->v + t->len, data, len);
	t->len += len;
	t->v[t->len] = '\0';
}

static void text_add_pairs(struct text *t, const char *key, const char *const *values, size_t n)
{
	if (n > 0 && t->len > 0 && t->v[t->len - 1] != '\n')
		text_add(t, "\n", 1);
	for (size_t i = 0; i < n; i++) {
		text_add(t, key, strlen(key));
		text_add(t, " = ", 3);
		text_add(t, values[i], strlen(values[i]));
		text_add(t, "\n", 1);
	}
}

int option_by_name(const char *name)
{
	const char *dot = strchr(name, '.');

	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = &options[i];

		if (dot && (strlen(o->section) != (size_t)(dot - name) || memcmp(o->section, name, (size_t)(dot - name)) != 0))
			continue;
		if (strcmp(o->key, dot ? dot + 1 : name) == 0)
			return (int)i;
	}
	return -1;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static bool fits_a_line(const char *value)
{
	size_t len = strlen(value);

	if (len == 0 || is_space(value[0]) || is_space(value[len - 1]) || value[0] == '#' || strpbrk(value, "\r\n"))
		return false;
	for (size_t i = 1; i < len; i++)
		if (value[i] == '#' && is_space(value[i - 1]))
			return false;
	return true;
}

int option_check(enum option_id id, const char *value, char *err, size_t err_cap)
{
	struct config *scratch;
	int r;

	if (!fits_a_line(value)) {
		snprintf(err, err_cap, "must not be empty, begin or end with white space, or have \" #\" in it");
		return ERR_MALFORMED;
	}
	scratch = mem_new(sizeof(*scratch));
	r = option_set(scratch, &options[id], value, err, err_cap);

	option_clear(scratch, &options[id]);
	free(scratch);
	return r;
}

static bool key_is(const struct config_line *l, const char *name)
{
	return l->key_len == strlen(name) && memcmp(l->key, name, l->key_len) == 0;
}

struct edit {
	struct text out;
	const struct option *o;
	const char *const *values;
	size_t n;
	bool in_section, done;
	size_t insert_at;		/* in `out`: behind the last line of the section that says something */
};

/* The comment behind the value stays when one value takes the place of another. */
static void replace_line(struct edit *e, const struct config_line *l, const char *raw, size_t raw_len)
{
	const char *value_end = l->value + l->value_len;
	size_t rest = raw_len - (size_t)(value_end - raw);

	if (e->done)
		return;
	e->done = true;
	if (e->n != 1) {
		text_add_pairs(&e->out, e->o->key, e->values, e->n);
		return;
	}
	text_add(&e->out, raw, (size_t)(l->value - raw));
	text_add(&e->out, e->values[0], strlen(e->values[0]));
	text_add(&e->out, value_end, rest);
}

static void take_line(struct edit *e, const struct config_line *l, const char *raw, size_t raw_len)
{
	if (l->kind == LINE_SECTION)
		e->in_section = key_is(l, e->o->section);
	if (l->kind == LINE_PAIR && e->in_section && key_is(l, e->o->key))
		replace_line(e, l, raw, raw_len);
	else
		text_add(&e->out, raw, raw_len);
	if (e->in_section && l->kind != LINE_BLANK)
		e->insert_at = e->out.len;
}

/* The option was not in the file: behind the last line of its section, or in a new one. */
static void insert(struct edit *e)
{
	struct text tail = { 0 };

	if (e->done || e->n == 0)
		return;
	if (e->insert_at == 0) {
		if (e->out.len > 0 && e->out.v[e->out.len - 1] != '\n')
			text_add(&e->out, "\n", 1);
		text_add(&e->out, e->out.len ? "\n[" : "[", e->out.len ? 2 : 1);
		text_add(&e->out, e->o->section, strlen(e->o->section));
		text_add(&e->out, "]\n", 2);
		e->insert_at = e->out.len;
	}
	text_add(&tail, e->out.v + e->insert_at, e->out.len - e->insert_at);
	e->out.len = e->insert_at;
	text_add_pairs(&e->out, e->o->key, e->values, e->n);
	text_add(&e->out, tail.v, tail.len);
	free(tail.v);
}

int config_edit(char **ret, const char *text, size_t len, enum option_id id, const char *const *values, size_t n)
{
	struct config_lines lines = { .p = text, .end = text + len };
	struct edit e = { .o = &options[id], .values = values, .n = n };
	const char *raw = text;
	struct config_line l;

	for (size_t i = 0; i < n; i++)
		if (!fits_a_line(values[i]))
			return ERR_MALFORMED;
	text_add(&e.out, "", 0);
	while (config_line_next(&lines, &l)) {
		take_line(&e, &l, raw, (size_t)(lines.p - raw));
		raw = lines.p;
	}
	insert(&e);
	*ret = e.out.v;
	return 0;
}

/* -- older files --------------------------------------------------------------------- */

/* What version `since` moved: the key in its old section and in its new one. */
static const struct move {
	unsigned since;
	const char *old_section, *old_key;
	enum option_id now;
} moves[] = {
	{ 2, "relay", "dir_cache", OPTION_dir_cache },
};

enum { N_MOVES = sizeof(moves) / sizeof(moves[0]), VALUES_MAX = CONFIG_REPEAT_MAX };

const char *config_old_place(const char *section, const char *key, size_t key_len)
{
	for (size_t i = 0; i < N_MOVES; i++)
		if (strcmp(moves[i].old_section, section) == 0 && strlen(moves[i].old_key) == key_len &&
		    memcmp(moves[i].old_key, key, key_len) == 0)
			return options[moves[i].now].section;
	return NULL;
}

/* The values that the file has under one key of one section; returns how many. */
static size_t collect(char **values, const char *text, size_t len, const char *section, const char *key)
{
	struct config_lines lines = { .p = text, .end = text + len };
	struct config_line l;
	bool inside = false;
	size_t n = 0;

	while (config_line_next(&lines, &l)) {
		if (l.kind == LINE_SECTION)
			inside = key_is(&l, section);
		else if (l.kind == LINE_PAIR && inside && key_is(&l, key) && n < VALUES_MAX)
			values[n++] = mem_strndup(l.value, l.value_len);
	}
	return n;
}

static void values_free(char **values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(values[i]);
}

static bool has(const char *text, const char *section, const char *key)
{
	char *values[VALUES_MAX];
	size_t n = collect(values, text, strlen(text), section, key);

	values_free(values, n);
	return n > 0;
}

/* Without the lines of a key that is no option any more. */
static char *without(const char *text, size_t len, const char *section, const char *key)
{
	struct config_lines lines = { .p = text, .end = text + len };
	struct text out = { 0 };
	const char *raw = text;
	struct config_line l;
	bool inside = false;

	text_add(&out, "", 0);
	while (config_line_next(&lines, &l)) {
		if (l.kind == LINE_SECTION)
			inside = key_is(&l, section);
		if (!(l.kind == LINE_PAIR && inside && key_is(&l, key)))
			text_add(&out, raw, (size_t)(lines.p - raw));
		raw = lines.p;
	}
	return out.v;
}

/* Apply one row; returns the new text, or NULL when it has nothing to do. */
static char *apply_move(const struct move *m, const char *text)
{
	const struct option *now = &options[m->now];
	char *values[VALUES_MAX], *cut, *moved = NULL;
	size_t n = collect(values, text, strlen(text), m->old_section, m->old_key);

	if (n == 0)
		return NULL;
	cut = without(text, strlen(text), m->old_section, m->old_key);
	/* What the new place says already stands. */
	if (has(text, now->section, now->key) ||
	    config_edit(&moved, cut, strlen(cut), m->now, (const char *const *)values, n) < 0)
		moved = NULL;
	values_free(values, n);
	if (!moved)
		return cut;
	free(cut);
	return moved;
}

static int version_of(unsigned *ret, const char *text, size_t len)
{
	char *values[VALUES_MAX];
	size_t n = collect(values, text, len, "node", options[OPTION_config_version].key);

	*ret = n ? (unsigned)strtoul(values[0], NULL, 10) : 1;
	values_free(values, n);
	return *ret > CONFIG_VERSION ? ERR_UNSUPPORTED : 0;
}

static void say(void (*told)(void *arg, const char *sentence), void *arg, const struct move *m)
{
	char *sentence = mem_printf("\"%s\" moves from [%s] to [%s] as \"%s\"", m->old_key, m->old_section,
				    options[m->now].section, options[m->now].key);

	if (told)
		told(arg, sentence);
	free(sentence);
}

int config_migrate(char **ret, unsigned *ret_changes, const char *text, size_t len,
		   void (*told)(void *arg, const char *sentence), void *arg)
{
	static const char *const newest[] = { "2" };
	char *now, *next;
	unsigned version;

	if (memchr(text, '\0', len))
		return ERR_MALFORMED;
	if (version_of(&version, text, len) < 0)
		return ERR_UNSUPPORTED;
	*ret_changes = 0;
	now = mem_strndup(text, len);
	for (size_t i = 0; i < N_MOVES && version < CONFIG_VERSION; i++) {
		next = moves[i].since > version ? apply_move(&moves[i], now) : NULL;
		if (!next)
			continue;
		say(told, arg, &moves[i]);
		(*ret_changes)++;
		free(now);
		now = next;
	}
	if (version < CONFIG_VERSION && config_edit(&next, now, strlen(now), OPTION_config_version, newest, 1) == 0) {
		free(now);
		now = next;
		if (told)
			told(arg, "\"config_version\" becomes 2");
		(*ret_changes)++;
	}
	*ret = now;
	return 0;
}
