#include "config.h"

#include <nonos/token.h>

#include <stdio.h>
#include <string.h>

#include <nonos/bytes.h>
#include <nonos/control.h>
#include <nonos/crypto.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

enum { TOKEN_VERSION = 1, MAC_LEN = 32, HEAD_LEN = 3, ARGUMENT_MAX = 256, BINARY_CAP = 1 + TOKEN_ID_LEN + TOKEN_LIMITS_CAP + MAC_LEN };

static const char prefix[] = "nonos1.";

_Static_assert(sizeof(prefix) + BASE64_CAP(BINARY_CAP) <= TOKEN_TEXT_CAP, "a token fits its text");

/* -- limits ------------------------------------------------------------------------ */

struct limit {
	enum token_limit kind;
	const uint8_t *data;
	size_t len;
	uint64_t number;	/* of TOKEN_EXPIRES and TOKEN_RATE */
};

static bool globs_are_good(const char *globs, size_t len)
{
	char glob[CTL_GLOB_MAX + 1];

	for (size_t i = 0, n; i <= len; i += n + 1) {
		const char *end = memchr(globs + i, ' ', len - i);

		n = end ? (size_t)(end - globs) - i : len - i;
		if (n > CTL_GLOB_MAX)
			return false;
		memcpy(glob, globs + i, n);
		glob[n] = '\0';
		if (strlen(glob) != n || !ctl_glob_is_good(glob))
			return false;
	}
	return len <= TOKEN_GLOBS_MAX;
}

/* "name=value" without control characters. */
static bool argument_is_good(const uint8_t *text, size_t len)
{
	const uint8_t *equals = memchr(text, '=', len);

	if (!equals || equals == text || len > ARGUMENT_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return true;
}

static bool limit_is_good(const struct limit *l)
{
	switch (l->kind) {
	case TOKEN_METHODS:
		return globs_are_good((const char *)l->data, l->len);
	case TOKEN_EXPIRES:
		return l->len == 8 && l->number > 0 && l->number <= INT64_MAX;
	case TOKEN_RATE:
		return l->len == 4 && l->number > 0;
	case TOKEN_ARGUMENT:
		return argument_is_good(l->data, l->len);
	}
	return false;
}

/* The next limit of `r`. */
static int limit_read(struct limit *ret, struct rd *r)
{
	struct limit l = { .kind = (enum token_limit)rd_u8(r) };

	l.len = rd_u16(r);
	l.data = rd_take(r, l.len);
	if (!l.data)
		return ERR_MALFORMED;
	if (l.kind < TOKEN_METHODS || l.kind > TOKEN_ARGUMENT)
		return ERR_UNSUPPORTED;
	for (size_t i = 0; i < l.len && l.len <= 8; i++)
		l.number = l.number << 8 | l.data[i];
	if (!limit_is_good(&l))
		return ERR_MALFORMED;
	*ret = l;
	return 0;
}

/* Of a token that was parsed or made here: no limit is malformed. */
static bool next_limit(struct limit *ret, struct rd *r)
{
	return rd_left(r) > 0 && limit_read(ret, r) == 0;
}

/* -- the chain ----------------------------------------------------------------------- */

static void first_mac(uint8_t mac[MAC_LEN], const uint8_t id[TOKEN_ID_LEN], const uint8_t key[TOKEN_KEY_LEN])
{
	static const char label[] = "nonos control token";
	uint8_t text[sizeof(label) + TOKEN_ID_LEN];

	memcpy(text, label, sizeof(label));
	memcpy(text + sizeof(label), id, TOKEN_ID_LEN);
	hmac_sha256(mac, key, TOKEN_KEY_LEN, text, sizeof(text));
}

static void next_mac(uint8_t mac[MAC_LEN], const uint8_t *limit, size_t len)
{
	uint8_t next[MAC_LEN];

	hmac_sha256(next, mac, MAC_LEN, limit, len);
	memcpy(mac, next, MAC_LEN);
	secret_wipe(next, MAC_LEN);
}

void token_new(struct token *ret, const uint8_t id[TOKEN_ID_LEN], const uint8_t key[TOKEN_KEY_LEN])
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->id, id, TOKEN_ID_LEN);
	first_mac(ret->mac, id, key);
}

bool token_is_genuine(const struct token *t, const uint8_t key[TOKEN_KEY_LEN])
{
	struct rd r = rd_init(t->limits, t->limits_len);
	uint8_t mac[MAC_LEN];
	struct limit l;
	bool same;

	first_mac(mac, t->id, key);
	while (next_limit(&l, &r))
		next_mac(mac, l.data - HEAD_LEN, HEAD_LEN + l.len);
	same = secret_eq(mac, t->mac, MAC_LEN);
	secret_wipe(mac, sizeof(mac));
	return same;
}

static int add(struct token *t, enum token_limit kind, const void *data, size_t len)
{
	struct wr w = wr_init(t->limits + t->limits_len, sizeof(t->limits) - t->limits_len);

	wr_u8(&w, (uint8_t)kind);
	wr_u16(&w, (uint16_t)len);
	wr_bytes(&w, data, len);
	if (wr_done(&w) < 0)
		return ERR_TOO_LONG;
	next_mac(t->mac, t->limits + t->limits_len, HEAD_LEN + len);
	t->limits_len += HEAD_LEN + len;
	return 0;
}

static int add_number(struct token *t, enum token_limit kind, uint64_t v, size_t len)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(v >> 8 * (len - 1 - i));
	return add(t, kind, bytes, len);
}

/* -- limits from parameters ------------------------------------------------------------ */

static int refuse(char why[COMMAND_WHY_CAP], int r, const char *what)
{
	snprintf(why, COMMAND_WHY_CAP, "%s", what);
	return r;
}

static int add_methods(struct token *t, const json_t *list, char why[COMMAND_WHY_CAP])
{
	char globs[TOKEN_GLOBS_MAX + 1];
	const json_t *item;
	size_t len = 0, i;

	json_array_foreach(list, i, item) {
		const char *glob = json_string_value(item);

		if (!glob || !ctl_glob_is_good(glob))
			return refuse(why, ERR_MALFORMED, "\"method\" must be a method's name, or one with * for any text");
		len += (size_t)snprintf(globs + len, sizeof(globs) - len, "%s%s", i ? " " : "", glob);
		if (len >= sizeof(globs))
			return refuse(why, ERR_TOO_LONG, "these are too many methods for one token; use * in their names");
	}
	return len ? add(t, TOKEN_METHODS, globs, len) : 0;
}

static int add_arguments(struct token *t, const json_t *list, char why[COMMAND_WHY_CAP])
{
	const json_t *item;
	size_t i;
	int r = 0;

	json_array_foreach(list, i, item) {
		const char *text = json_string_value(item);

		if (!text || !argument_is_good((const uint8_t *)text, strlen(text)))
			return refuse(why, ERR_MALFORMED, "\"argument\" must be like epoch=5: a parameter and the value it must have");
		r = add(t, TOKEN_ARGUMENT, text, strlen(text));
		if (r < 0)
			break;
	}
	return r;
}

int token_restrict(struct token *t, const json_t *params, int64_t now, char why[COMMAND_WHY_CAP])
{
	int64_t valid_for = param_integer(params, "valid_for", 0), rate = param_integer(params, "rate", 0);
	struct token fresh = *t;
	int r;

	snprintf(why, COMMAND_WHY_CAP, "the limits are too long for one token");
	r = add_methods(&fresh, json_object_get(params, "method"), why);
	if (r == 0 && valid_for > 0)
		r = add_number(&fresh, TOKEN_EXPIRES, (uint64_t)(now + valid_for), 8);
	if (r == 0 && rate > 0)
		r = add_number(&fresh, TOKEN_RATE, (uint64_t)rate, 4);
	if (r == 0)
		r = add_arguments(&fresh, json_object_get(params, "argument"), why);
	if (r == 0)
		*t = fresh;
	secret_wipe(&fresh, sizeof(fresh));
	return r;
}

/* -- text -------------------------------------------------------------------------------- */

static int parse_binary(struct token *t, const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len), limits;
	struct limit l;

	if (rd_u8(&r) != TOKEN_VERSION)
		return ERR_UNSUPPORTED;
	rd_copy(&r, t->id, TOKEN_ID_LEN);
	if (!rd_ok(&r) || rd_left(&r) < MAC_LEN || rd_left(&r) - MAC_LEN > TOKEN_LIMITS_CAP)
		return ERR_MALFORMED;
	t->limits_len = rd_left(&r) - MAC_LEN;
	rd_copy(&r, t->limits, t->limits_len);
	rd_copy(&r, t->mac, MAC_LEN);
	limits = rd_init(t->limits, t->limits_len);
	while (rd_left(&limits) > 0) {
		int e = limit_read(&l, &limits);

		if (e < 0)
			return e;
	}
	return rd_done(&r);
}

int token_parse(struct token *ret, const char *text, size_t len)
{
	uint8_t data[BINARY_CAP];
	struct token t = { .limits_len = 0 };
	size_t n;
	int r;

	if (len < sizeof(prefix) - 1 || memcmp(text, prefix, sizeof(prefix) - 1) != 0)
		return ERR_MALFORMED;
	text += sizeof(prefix) - 1;
	r = base64_decode(data, sizeof(data), &n, text, len - (sizeof(prefix) - 1));
	if (r == 0)
		r = parse_binary(&t, data, n);
	if (r == 0)
		*ret = t;
	secret_wipe(data, sizeof(data));
	secret_wipe(&t, sizeof(t));
	return r;
}

void token_text(char out[TOKEN_TEXT_CAP], const struct token *t)
{
	uint8_t data[BINARY_CAP];
	struct wr w = wr_init(data, sizeof(data));

	wr_u8(&w, TOKEN_VERSION);
	wr_bytes(&w, t->id, TOKEN_ID_LEN);
	wr_bytes(&w, t->limits, t->limits_len);
	wr_bytes(&w, t->mac, MAC_LEN);
	memcpy(out, prefix, sizeof(prefix));
	base64_encode(out + sizeof(prefix) - 1, data, wr_len(&w), false);
	secret_wipe(data, sizeof(data));
}

/* -- what they allow --------------------------------------------------------------------- */

static bool value_is(const json_t *v, const char *text, size_t len)
{
	char number[32];
	const json_t *item;
	size_t i;

	if (json_is_array(v)) {
		json_array_foreach(v, i, item)
			if (json_is_array(item) || !value_is(item, text, len))
				return false;
		return json_array_size(v) > 0;
	}
	if (json_is_string(v))
		return json_string_length(v) == len && memcmp(json_string_value(v), text, len) == 0;
	if (json_is_integer(v))
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(v));
	else
		snprintf(number, sizeof(number), "%s", json_is_true(v) ? "true" : json_is_false(v) ? "false" : "");
	return strlen(number) == len && len > 0 && memcmp(number, text, len) == 0;
}

static bool has_argument(const json_t *params, const struct limit *l)
{
	const char *text = (const char *)l->data, *equals = memchr(text, '=', l->len);
	char name[ARGUMENT_MAX + 1];

	snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
	return value_is(json_object_get(params, name), equals + 1, l->len - (size_t)(equals + 1 - text));
}

static int limit_permits(const struct limit *l, const struct command *c, const json_t *params, int64_t now,
			 char why[COMMAND_WHY_CAP])
{
	switch (l->kind) {
	case TOKEN_METHODS:
		if (ctl_globs_match((const char *)l->data, l->len, c->words))
			return 0;
		snprintf(why, COMMAND_WHY_CAP, "the token does not allow %s", c->words);
		return ERR_PERMISSION;
	case TOKEN_EXPIRES:
		return (uint64_t)now < l->number ? 0 : refuse(why, ERR_EXPIRED, "the token has expired; ask for a new one");
	case TOKEN_ARGUMENT:
		if (has_argument(params, l))
			return 0;
		snprintf(why, COMMAND_WHY_CAP, "the token allows %s only with %.*s", c->words, (int)l->len, (const char *)l->data);
		return ERR_PERMISSION;
	case TOKEN_RATE:
		break;
	}
	return 0;
}

int token_permits(const struct token *t, const struct command *c, const json_t *params, int64_t now,
		  char why[COMMAND_WHY_CAP])
{
	struct rd r = rd_init(t->limits, t->limits_len);
	struct limit l;

	if (strncmp(c->words, "token.", strlen("token.")) == 0)
		return refuse(why, ERR_PERMISSION, "tokens are made, listed and revoked by the daemon's owner, not with a token");
	while (next_limit(&l, &r)) {
		int e = limit_permits(&l, c, params, now, why);

		if (e < 0)
			return e;
	}
	return rd_left(&r) == 0 ? 0 : refuse(why, ERR_PERMISSION, "the token is damaged");
}

/* The least number among the limits of one kind; 0: there is none. */
static uint64_t least(const struct token *t, enum token_limit kind)
{
	struct rd r = rd_init(t->limits, t->limits_len);
	uint64_t v = 0;
	struct limit l;

	while (next_limit(&l, &r))
		if (l.kind == kind && (v == 0 || l.number < v))
			v = l.number;
	return v;
}

int64_t token_expires(const struct token *t)
{
	return (int64_t)least(t, TOKEN_EXPIRES);
}

uint32_t token_rate(const struct token *t)
{
	return (uint32_t)least(t, TOKEN_RATE);
}

json_t *token_limits_json(const struct token *t)
{
	static const char *const names[] = {
		[TOKEN_METHODS] = "methods", [TOKEN_EXPIRES] = "expires", [TOKEN_RATE] = "rate", [TOKEN_ARGUMENT] = "argument",
	};
	struct rd r = rd_init(t->limits, t->limits_len);
	json_t *list = json_array();
	struct limit l;

	while (next_limit(&l, &r)) {
		bool is_number = l.kind == TOKEN_EXPIRES || l.kind == TOKEN_RATE;
		json_t *v = is_number ? json_integer((json_int_t)l.number) : json_stringn((const char *)l.data, l.len);

		/* A stranger's argument may be no UTF-8. */
		json_array_append_new(list, json_pack("{s:o}", names[l.kind], v ? v : json_string("?")));
	}
	if (!list)
		mem_fail();
	return list;
}
