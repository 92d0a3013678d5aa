#include "config.h"

#include "conf_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/eth_sig.h>
#include <nonos/family.h>
#include <nonos/mem.h>
#include <nonos/policy.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit byte_units[] = {
	{ "B", 1 }, { "kB", 1000 }, { "KB", 1000 }, { "MB", 1000000 }, { "GB", 1000000000 },
	{ "TB", 1000000000000 }, { "KiB", 1024 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 },
	{ "TiB", (uint64_t)1 << 40 }, { NULL, 0 }
};

static const struct unit rate_units[] = {
	{ "B/s", 1 }, { "kB/s", 1000 }, { "KB/s", 1000 }, { "MB/s", 1000000 }, { "GB/s", 1000000000 },
	{ "KiB/s", 1024 }, { "MiB/s", 1 << 20 }, { "GiB/s", 1 << 30 },
	{ "kbit/s", 125 }, { "Mbit/s", 125000 }, { "Gbit/s", 125000000 }, { NULL, 0 }
};

static const struct unit time_units[] = {
	{ "s", 1 }, { "second", 1 }, { "seconds", 1 }, { "min", 60 }, { "minute", 60 }, { "minutes", 60 },
	{ "h", 3600 }, { "hour", 3600 }, { "hours", 3600 }, { "day", 86400 }, { "days", 86400 },
	{ "week", 604800 }, { "weeks", 604800 }, { NULL, 0 }
};

static const char *const log_levels[] = { "error", "warn", "notice", "info", "debug", NULL };
static const char *const log_targets[] = { "stderr", "syslog", NULL };
static const char *const accounting_rules[] = { "each", "sum", "read", "written", NULL };
static const char *const networks[] = { "tor", "anyone", "test", NULL };

static const char *units_hint(const struct unit *units)
{
	if (units == byte_units)
		return "B, kB, MB, GB, KiB, MiB, GiB";
	if (units == rate_units)
		return "B/s, kB/s, MB/s, GB/s, KiB/s, MiB/s, kbit/s, Mbit/s, Gbit/s";
	return "s, minutes, hours, days, weeks";
}

/* Decimal digits only; *ret_rest is what follows. */
static int parse_digits(uint64_t *ret, const char *text, const char **ret_rest)
{
	uint64_t v = 0;

	if (!isdigit((unsigned char)*text))
		return ERR_MALFORMED;
	for (; isdigit((unsigned char)*text); text++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
			return ERR_RANGE;
	*ret = v;
	*ret_rest = text;
	return 0;
}

static int in_range(const struct option *o, uint64_t v, const char *unit, char *err, size_t cap)
{
	if (v >= o->min && v <= o->max)
		return 0;
	snprintf(err, cap, "must be from %llu to %llu%s%s%s", (unsigned long long)o->min,
		 (unsigned long long)o->max, unit, o->flags & OPT_NONE ? ", or 0 for no limit" : "",
		 o->flags & OPT_AUTO ? ", or auto" : "");
	return ERR_RANGE;
}

static int parse_number(uint64_t *ret, const struct option *o, const char *text, char *err, size_t cap)
{
	const char *rest;
	uint64_t v;

	if (parse_digits(&v, text, &rest) < 0 || *rest) {
		snprintf(err, cap, "must be a whole number%s", o->flags & OPT_AUTO ? " or auto" : "");
		return ERR_MALFORMED;
	}
	if (in_range(o, v, "", err, cap) < 0)
		return ERR_RANGE;
	*ret = v;
	return 0;
}

/* "10 MB/s", "512 MiB", "2 days": a whole number and a unit of the list. */
static int parse_quantity(uint64_t *ret, const struct option *o, const struct unit *units,
			  const char *text, char *err, size_t cap)
{
	static const char *const base[] = { " bytes", " bytes a second", " seconds" };
	const struct unit *unit = units;
	const char *rest;
	uint64_t v = 0;

	if (parse_digits(&v, text, &rest) < 0)
		goto malformed;
	rest += strspn(rest, " \t");
	if (v == 0 && *rest == '\0' && o->min == 0) {
		*ret = 0;
		return 0;
	}
	while (unit->name && strcmp(unit->name, rest) != 0)
		unit++;
	if (!unit->name)
		goto malformed;
	if (__builtin_mul_overflow(v, unit->factor, &v))
		v = UINT64_MAX;
	if (in_range(o, v, base[units == rate_units ? 1 : units == time_units ? 2 : 0], err, cap) < 0)
		return ERR_RANGE;
	*ret = v;
	return 0;
malformed:
	snprintf(err, cap, "must be a whole number and a unit: %s%s",
		 units_hint(units),
		 o->flags & OPT_AUTO ? "; or auto" : "");
	return ERR_MALFORMED;
}

static int parse_mode(uint64_t *ret, const struct option *o, const char *text, char *err, size_t cap)
{
	uint64_t v = 0;
	size_t n = strspn(text, "01234567");

	for (size_t i = 0; i < n && i < 6; i++)
		v = v * 8 + (uint64_t)(text[i] - '0');
	if (n == 0 || n > 4 || text[n] || (v & 0600) != 0600 || v > o->max) {
		snprintf(err, cap, "must be an octal file mode from 0600 to 0777 that keeps the owner's 0600");
		return ERR_MALFORMED;
	}
	*ret = v;
	return 0;
}

static int parse_choice(int *ret, const char *const *names, const char *text, char *err, size_t cap)
{
	size_t used = 0;

	for (int i = 0; names[i]; i++) {
		if (strcmp(names[i], text) == 0) {
			*ret = i;
			return 0;
		}
	}
	snprintf(err, cap, "must be one of:");
	for (int i = 0; names[i]; i++) {
		used = strlen(err);
		snprintf(err + used, cap - used, "%s %s", i ? "," : "", names[i]);
	}
	return ERR_MALFORMED;
}

static int parse_bool(bool *ret, const char *text, char *err, size_t cap)
{
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0) {
		snprintf(err, cap, "must be yes or no");
		return ERR_MALFORMED;
	}
	*ret = text[0] == 'y';
	return 0;
}

static bool nickname_is_good(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

	return n >= 1 && n <= 19 && text[n] == '\0';
}

static int check_text(const struct option *o, const char *text, char *err, size_t cap)
{
	size_t len = strlen(text);

	if (o->type == TYPE_NICKNAME && !nickname_is_good(text)) {
		snprintf(err, cap, "must be 1 to 19 letters and digits");
		return ERR_MALFORMED;
	}
	if (o->type == TYPE_PATH && text[0] != '/') {
		snprintf(err, cap, "must be an absolute path");
		return ERR_MALFORMED;
	}
	if (len < o->min || len > o->max) {
		snprintf(err, cap, "must have %llu to %llu characters", (unsigned long long)o->min,
			 (unsigned long long)o->max);
		return ERR_RANGE;
	}
	return 0;
}

static int set_text(char **field, const struct option *o, const char *text, char *err, size_t cap)
{
	int r = check_text(o, text, err, cap);

	if (r < 0)
		return r;
	free(*field);
	*field = mem_strdup(text);
	return 0;
}

/* Kept as EIP-55 writes it. */
static int set_account(char **field, const char *text, char *err, size_t cap)
{
	char canonical[ETH_ADDR_TEXT_CAP];
	struct eth_addr a;
	int r = eth_addr_parse(&a, text, strlen(text));

	if (r < 0) {
		snprintf(err, cap, r == ERR_MISMATCH ? "is not an account: its mix of cases is wrong, so a digit may be, too"
			 : "must be an account, 0x and 40 hexadecimal digits");
		return r;
	}
	eth_addr_text(canonical, &a);
	free(*field);
	*field = mem_strdup(canonical);
	return 0;
}

/* In tokens, never in base units: a number that looks like those is too large to be meant. */
static int set_tokens(struct amount *field, const char *text, char *err, size_t cap)
{
	static const char most[] = "1000000000";
	struct amount a, limit;

	if (amount_token_parse(&a, text, strlen(text)) < 0) {
		snprintf(err, cap, "must be a number of tokens, like 100 or 12.5");
		return ERR_MALFORMED;
	}
	if (amount_token_parse(&limit, most, sizeof(most) - 1) < 0 || amount_cmp(a, limit) > 0) {
		snprintf(err, cap, "must be at most %s tokens; a token is the unit here, not 10^-18 of one", most);
		return ERR_RANGE;
	}
	*field = a;
	return 0;
}

/* Rules given on several lines form one list, in their order. */
static int set_policy(char **field, const char *text, char *err, size_t cap)
{
	struct policy *p = NULL;
	char *joined;
	int r = policy_parse(&p, text, err, cap);

	policy_free(p);
	if (r < 0)
		return r;
	joined = *field ? mem_printf("%s, %s", *field, text) : mem_strdup(text);
	if (strlen(joined) > 16384) {
		free(joined);
		snprintf(err, cap, "is longer than 16384 characters in all");
		return ERR_TOO_LONG;
	}
	free(*field);
	*field = joined;
	return 0;
}

static int list_full(size_t n, char *err, size_t cap)
{
	if (n < CONFIG_REPEAT_MAX)
		return 0;
	snprintf(err, cap, "is given more than %d times", CONFIG_REPEAT_MAX);
	return ERR_LIMIT;
}

static int check_addr(const struct option *o, const struct addr_list *list, const struct addr *a,
		      char *err, size_t cap)
{
	for (size_t i = 0; i < list->n; i++) {
		if (o->type == TYPE_ADDR_PORT ? addr_eq(&list->v[i], a) : list->v[i].family == a->family) {
			snprintf(err, cap, o->type == TYPE_ADDR_PORT ? "is given twice"
				 : "takes one IPv4 and one IPv6 address at most");
			return ERR_EXISTS;
		}
	}
	return list_full(list->n, err, cap);
}

static int add_addr(struct addr_list *list, const struct option *o, const char *text, char *err, size_t cap)
{
	struct addr a;
	int r;

	if (o->type == TYPE_ADDR_PORT) {
		r = addr_parse(&a, text, strlen(text));
		if (r < 0)
			snprintf(err, cap, "must be like 192.0.2.1:9001 or [2001:db8::1]:9001");
	} else {
		r = addr_parse_ip(&a, text, strlen(text));
		if (r < 0)
			snprintf(err, cap, "must be an IPv4 or IPv6 address without a port");
	}
	if (r < 0)
		return r;
	r = check_addr(o, list, &a, err, cap);
	if (r < 0)
		return r;
	list->v = mem_resize(list->v, list->n + 1, sizeof(*list->v));
	list->v[list->n++] = a;
	return 0;
}

/* Takes over `item`. */
static void text_list_add(struct text_list *list, char *item)
{
	list->v = mem_resize(list->v, list->n + 2, sizeof(*list->v));
	list->v[list->n++] = item;
	list->v[list->n] = NULL;
}

/* "$HEX40" or "HEX40" of a relay, or a nickname; kept with the dollar sign. */
static int add_family(struct text_list *list, const char *text, char *err, size_t cap)
{
	const char *hex = text[0] == '$' ? text + 1 : text;
	bool fingerprint = strlen(hex) == 40 && strspn(hex, "0123456789abcdefABCDEF") == 40;
	char *item;

	if (!fingerprint && !nickname_is_good(text)) {
		snprintf(err, cap, "must be a fingerprint of 40 hex digits or a nickname");
		return ERR_MALFORMED;
	}
	if (list_full(list->n, err, cap) < 0)
		return ERR_LIMIT;
	item = fingerprint ? mem_printf("$%s", hex) : mem_strdup(text);
	for (char *p = item; fingerprint && *p; p++)
		*p = (char)toupper((unsigned char)*p);
	text_list_add(list, item);
	return 0;
}

static int add_family_id(struct text_list *list, const char *text, char *err, size_t cap)
{
	uint8_t id[FAMILY_ID_LEN];

	if (strcmp(text, "*") != 0 && family_id_parse(id, text) < 0) {
		snprintf(err, cap, "must be a family's id, 43 characters of base64 as \"nonosctl family show\" "
			 "prints them, or *");
		return ERR_MALFORMED;
	}
	if (list->n == FAMILIES_MAX) {
		snprintf(err, cap, "is given more than %d times", FAMILIES_MAX);
		return ERR_LIMIT;
	}
	text_list_add(list, mem_strdup(text));
	return 0;
}

static int add_authority(struct authority_list *list, const char *text, char *err, size_t cap)
{
	struct authority a;
	int r = authority_parse(&a, text, err, cap);

	if (r < 0)
		return r;
	for (size_t i = 0; i < list->n; i++) {
		if (memcmp(list->v[i].v3ident, a.v3ident, sizeof(a.v3ident)) == 0) {
			snprintf(err, cap, "has the v3ident of \"%s\" above", list->v[i].name);
			return ERR_EXISTS;
		}
	}
	if (list->n >= CONFIG_AUTHORITIES_MAX) {
		snprintf(err, cap, "is given more than %d times", CONFIG_AUTHORITIES_MAX);
		return ERR_LIMIT;
	}
	list->v = mem_resize(list->v, list->n + 1, sizeof(*list->v));
	list->v[list->n++] = a;
	return 0;
}

static int set_number(void *field, const struct option *o, const char *text, char *err, size_t cap)
{
	bool none = (o->flags & OPT_AUTO && strcmp(text, "auto") == 0) ||
		    (o->flags & OPT_NONE && strcmp(text, "0") == 0);
	uint64_t v = 0;
	int r = 0;

	if (none)
		;
	else if (o->type == TYPE_MODE)
		r = parse_mode(&v, o, text, err, cap);
	else if (o->type == TYPE_RATE)
		r = parse_quantity(&v, o, rate_units, text, err, cap);
	else if (o->type == TYPE_BYTES)
		r = parse_quantity(&v, o, byte_units, text, err, cap);
	else if (o->type == TYPE_DURATION)
		r = parse_quantity(&v, o, time_units, text, err, cap);
	else
		r = parse_number(&v, o, text, err, cap);
	if (r < 0)
		return r;
	if (o->size == sizeof(uint64_t))
		*(uint64_t *)field = v;
	else
		*(uint32_t *)field = (uint32_t)v;
	return 0;
}

static int add_schedule(struct schedule *list, const struct option *o, const char *text, char *err, size_t cap)
{
	struct schedule_row row;
	const char *rate;
	int r = schedule_row_parse(&row, text, &rate, err, cap);

	if (r == 0 && strcmp(rate, "0") != 0)
		r = parse_quantity(&row.rate, o, rate_units, rate, err, cap);
	if (r < 0)
		return r;
	if (list->n >= CONFIG_REPEAT_MAX) {
		snprintf(err, cap, "is given more than %d times", CONFIG_REPEAT_MAX);
		return ERR_LIMIT;
	}
	list->v = mem_resize(list->v, list->n + 1, sizeof(*list->v));
	list->v[list->n++] = row;
	return 0;
}

int option_set(struct config *c, const struct option *o, const char *text, char *err, size_t err_cap)
{
	void *field = (char *)c + o->offset;

	switch (o->type) {
	case TYPE_PATH:
	case TYPE_STRING:
	case TYPE_NICKNAME:
		return set_text(field, o, text, err, err_cap);
	case TYPE_ACCOUNT:
		return set_account(field, text, err, err_cap);
	case TYPE_TOKENS:
		return set_tokens(field, text, err, err_cap);
	case TYPE_POLICY:
		return set_policy(field, text, err, err_cap);
	case TYPE_MODE:
	case TYPE_COUNT:
	case TYPE_U32:
	case TYPE_BYTES:
	case TYPE_RATE:
	case TYPE_DURATION:
		return set_number(field, o, text, err, err_cap);
	case TYPE_BOOL:
		return parse_bool(field, text, err, err_cap);
	case TYPE_LOG_LEVEL:
		return parse_choice(field, log_levels, text, err, err_cap);
	case TYPE_LOG_TARGET:
		return parse_choice(field, log_targets, text, err, err_cap);
	case TYPE_NETWORK:
		return parse_choice(field, networks, text, err, err_cap);
	case TYPE_ADDR:
	case TYPE_ADDR_PORT:
		return add_addr(field, o, text, err, err_cap);
	case TYPE_FAMILY:
		return add_family(field, text, err, err_cap);
	case TYPE_FAMILY_ID:
		return add_family_id(field, text, err, err_cap);
	case TYPE_AUTHORITY:
		return add_authority(field, text, err, err_cap);
	case TYPE_SCHEDULE:
		return add_schedule(field, o, text, err, err_cap);
	case TYPE_ACCOUNTING:
		return parse_choice(field, accounting_rules, text, err, err_cap);
	case TYPE_PERIOD:
		return period_start_parse(field, text, err, err_cap);
	}
	return ERR_UNSUPPORTED;
}

static void text_list_free(struct text_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i]);
	free(list->v);
}

void option_clear(struct config *c, const struct option *o)
{
	void *field = (char *)c + o->offset;

	switch (o->type) {
	case TYPE_PATH:
	case TYPE_STRING:
	case TYPE_NICKNAME:
	case TYPE_ACCOUNT:
	case TYPE_POLICY:
		free(*(char **)field);
		break;
	case TYPE_ADDR:
	case TYPE_ADDR_PORT:
		free(((struct addr_list *)field)->v);
		break;
	case TYPE_FAMILY:
	case TYPE_FAMILY_ID:
		text_list_free(field);
		break;
	case TYPE_AUTHORITY:
		free(((struct authority_list *)field)->v);
		break;
	case TYPE_SCHEDULE:
		free(((struct schedule *)field)->v);
		break;
	case TYPE_MODE: case TYPE_COUNT: case TYPE_U32: case TYPE_BYTES: case TYPE_RATE: case TYPE_DURATION:
	case TYPE_BOOL: case TYPE_LOG_LEVEL: case TYPE_LOG_TARGET: case TYPE_NETWORK:
	case TYPE_TOKENS: case TYPE_ACCOUNTING: case TYPE_PERIOD:
		break;
	}
	memset(field, 0, o->size);
}
