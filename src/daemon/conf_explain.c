/* Options in words: what config explain and config show print. */
#include "config.h"

#include "conf_priv.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/conf.h>
#include <nonos/mem.h>

static const struct {
	const char *name, *form;
} kinds[] = {
	[TYPE_PATH] = { "path", "an absolute path" },
	[TYPE_STRING] = { "text", "text" },
	[TYPE_NICKNAME] = { "nickname", "1 to 19 letters and digits" },
	[TYPE_POLICY] = { "policy", "rules like \"accept *:443, reject *:*\"" },
	[TYPE_MODE] = { "mode", "an octal file mode like 0660" },
	[TYPE_COUNT] = { "number", "a whole number" },
	[TYPE_U32] = { "number", "a whole number" },
	[TYPE_BOOL] = { "switch", "yes or no" },
	[TYPE_BYTES] = { "bytes", "a number and a unit: B, kB, MB, GB, TB, KiB, MiB, GiB, TiB" },
	[TYPE_RATE] = { "rate", "a number and a unit: B/s, kB/s, MB/s, GB/s, KiB/s, MiB/s, kbit/s, Mbit/s, Gbit/s" },
	[TYPE_DURATION] = { "duration", "a number and a unit: s, minutes, hours, days, weeks" },
	[TYPE_LOG_LEVEL] = { "level", "error, warn, notice, info or debug" },
	[TYPE_LOG_TARGET] = { "target", "stderr or syslog" },
	[TYPE_NETWORK] = { "network", "tor, anyone or test" },
	[TYPE_ADDR] = { "address", "an IPv4 or IPv6 address without a port" },
	[TYPE_ADDR_PORT] = { "address and port", "192.0.2.1:9001 or [2001:db8::1]:9001" },
	[TYPE_FAMILY] = { "relay", "a fingerprint of 40 hexadecimal digits, or a nickname" },
	[TYPE_FAMILY_ID] = { "family", "the identity of a family key, 43 characters of base64" },
	[TYPE_TOKENS] = { "tokens", "a number of tokens, like 100 or 12.5" },
	[TYPE_ACCOUNT] = { "account", "an account: 0x and 40 hexadecimal digits" },
	[TYPE_SCHEDULE] = { "schedule", "days, hours and a rate: \"mon-fri 08:00-18:00 2 MB/s\"" },
	[TYPE_ACCOUNTING] = { "rule", "each, sum, read or written" },
	[TYPE_PERIOD] = { "period", "\"day HH:MM\", \"week D HH:MM\" (1 is Monday) or \"month D HH:MM\"" },
	[TYPE_AUTHORITY] = { "authority", "NAME ADDRESS:DIRPORT orport=PORT v3ident=HEX fingerprint=HEX" },
};

static bool has_range(const struct option *o)
{
	switch (o->type) {
	case TYPE_PATH:
	case TYPE_STRING:
	case TYPE_COUNT:
	case TYPE_U32:
	case TYPE_BYTES:
	case TYPE_RATE:
	case TYPE_DURATION:
		return true;
	default:
		return false;
	}
}

static const char *range_unit(const struct option *o)
{
	switch (o->type) {
	case TYPE_PATH:
	case TYPE_STRING:
		return "characters";
	case TYPE_BYTES:
		return "bytes";
	case TYPE_RATE:
		return "bytes a second";
	case TYPE_DURATION:
		return "seconds";
	default:
		return "";
	}
}

json_t *option_json(enum option_id id)
{
	const struct option *o = &options[id];
	json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:b, s:b, s:b, s:b}", "section", o->section, "option", o->key,
			      "sentence", o->sentence, "kind", kinds[o->type].name, "form", kinds[o->type].form,
			      "default", o->initial, "required", !o->initial, "live", !!(o->flags & OPT_LIVE),
			      "repeats", !!(o->flags & OPT_REPEAT), "auto", !!(o->flags & OPT_AUTO));

	if (!j)
		mem_fail();
	if (has_range(o))
		json_object_set_new(j, "range", json_pack("{s:I, s:I, s:s}", "min", (json_int_t)o->min, "max",
							   (json_int_t)o->max, "unit", range_unit(o)));
	if (o->flags & OPT_NONE)
		json_object_set_new(j, "zero", json_string("no limit"));
	return j;
}

/* Repeated options are lists, others texts; all as the file would have them. */
static json_t *value_json(const char *text, bool repeats)
{
	json_t *list;
	char *copy, *rest, *line;

	if (!repeats)
		return json_string(text);
	list = json_array();
	copy = rest = mem_strdup(text);
	while ((line = strsep(&rest, "\n")))
		if (*line)
			json_array_append_new(list, json_string(line));
	free(copy);
	return list;
}

const char *config_text(const struct config *c, enum option_id id)
{
	return c->text[id];
}

static const char *origin(const struct config *c, enum option_id id)
{
	if (c->line[id])
		return "file";
	return strcmp(c->text[id], options[id].initial ? options[id].initial : "") == 0 ? "default" : "command";
}

json_t *config_json(const struct config *c, enum option_id id)
{
	const struct option *o = &options[id];
	json_t *j = json_pack("{s:s, s:s, s:o, s:s, s:o, s:b}", "section", o->section, "option", o->key, "value",
			      value_json(c->text[id], o->flags & OPT_REPEAT), "from", origin(c, id),
			      "line", c->line[id] ? json_integer(c->line[id]) : json_null(), "live", !!(o->flags & OPT_LIVE));

	if (!j)
		mem_fail();
	return j;
}
