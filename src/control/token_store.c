/* The daemon's side of tokens: the key, the list of those that are good, and how often each was used. */
#include "config.h"

#include <nonos/token.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/rand.h>
#include <nonos/secret.h>

static const char key_name[] = "control_token_key", list_name[] = "control_tokens.json";

enum { LIST_MAX = 1 << 20, MINUTE_MS = 60000 };

struct entry {
	uint8_t id[TOKEN_ID_LEN];
	char name[TOKEN_NAME_MAX + 1];
	int64_t created, expires, revoked;	/* wall seconds; 0: never */
	json_t *limits;			/* as they were when it was made, for people */
	/* Since the daemon started: */
	uint64_t calls, minute;
	int64_t used;
	uint32_t n_now, n_before;	/* calls in this minute and the one before */
};

struct token_store {
	char *data_dir;
	struct secret *key;		/* NULL: not read yet */
	bool loaded;
	struct entry entries[TOKENS_MAX];
	size_t n;
};

struct token_store *token_store_new(const char *data_dir)
{
	struct token_store *s = mem_new(sizeof(*s));

	s->data_dir = mem_strdup(data_dir);
	return s;
}

static void clear(struct token_store *s)
{
	for (size_t i = 0; i < s->n; i++)
		json_decref(s->entries[i].limits);
	s->n = 0;
}

void token_store_free(struct token_store *s)
{
	if (!s)
		return;
	clear(s);
	secret_free(s->key);
	free(s->data_dir);
	free(s);
}

/* -- the files ----------------------------------------------------------------------- */

static int open_dir(const struct token_store *s)
{
	return open(s->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int read_time(int64_t *ret, const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	if (!json_is_null(v) && (!json_is_integer(v) || json_integer_value(v) < 0))
		return ERR_MALFORMED;
	*ret = json_integer_value(v);
	return 0;
}

static int read_entry(struct entry *e, const json_t *o)
{
	const char *id = json_string_value(json_object_get(o, "id")), *name = json_string_value(json_object_get(o, "name"));
	json_t *limits = json_object_get(o, "limits");

	*e = (struct entry){ .created = 0 };
	if (!id || hex_decode(e->id, TOKEN_ID_LEN, id, strlen(id)) < 0 || !name || strlen(name) > TOKEN_NAME_MAX ||
	    !json_is_array(limits) || read_time(&e->created, o, "created") < 0 ||
	    read_time(&e->expires, o, "expires") < 0 || read_time(&e->revoked, o, "revoked") < 0)
		return ERR_MALFORMED;
	memcpy(e->name, name, strlen(name) + 1);
	e->limits = json_incref(limits);
	return 0;
}

static int read_list(struct token_store *s, const char *text, size_t len)
{
	json_t *doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL), *list = json_object_get(doc, "tokens"), *o;
	size_t i;
	int r = json_is_array(list) && json_array_size(list) <= TOKENS_MAX ? 0 : ERR_MALFORMED;

	for (i = 0; r == 0 && i < json_array_size(list); i++) {
		o = json_array_get(list, i);
		r = read_entry(&s->entries[i], o);
		if (r == 0)
			s->n = i + 1;
	}
	if (r < 0)
		clear(s);
	json_decref(doc);
	return r;
}

static int load(struct token_store *s)
{
	int dir, r = ERR_SYSTEM;
	size_t len = 0;
	char *text;

	if (s->loaded)
		return 0;
	dir = open_dir(s);
	text = mem_new(LIST_MAX);
	if (dir >= 0) {
		r = file_read_at((uint8_t *)text, LIST_MAX, &len, dir, list_name, true);
		close(dir);
	}
	if (r == 0)
		r = read_list(s, text, len);
	else if (r == ERR_NOT_FOUND)
		r = 0;
	free(text);
	s->loaded = r == 0;
	if (r < 0)
		log_limited(LOG_LEVEL_ERROR, "The list of control tokens cannot be read, so none is accepted. file=%s/%s error=\"%s\"",
			    s->data_dir, list_name, err_str(r));
	return r;
}

/* What is in the file of one token. */
static json_t *entry_json(const struct entry *e)
{
	char id[2 * TOKEN_ID_LEN + 1];

	hex_encode(id, e->id, TOKEN_ID_LEN);
	return json_pack("{s:s, s:s, s:I, s:o, s:o, s:O}", "id", id, "name", e->name, "created", (json_int_t)e->created,
			 "expires", e->expires ? json_integer(e->expires) : json_null(),
			 "revoked", e->revoked ? json_integer(e->revoked) : json_null(), "limits", e->limits);
}

static int save(const struct token_store *s)
{
	json_t *list = json_array(), *doc = json_pack("{s:o}", "tokens", list);
	int dir = open_dir(s), r = ERR_SYSTEM;
	char *text;

	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(list, entry_json(&s->entries[i]));
	text = json_dumps(doc, JSON_INDENT(1) | JSON_ENSURE_ASCII);
	json_decref(doc);
	if (!text)
		mem_fail();
	if (dir >= 0) {
		r = file_replace_at(dir, list_name, text, strlen(text));
		close(dir);
	}
	free(text);
	return r;
}

static int make_key(struct token_store *s, int dir)
{
	uint8_t key[TOKEN_KEY_LEN];
	int r;

	rand_bytes(key, sizeof(key));
	r = file_create_at(dir, key_name, key, sizeof(key));
	if (r == 0)
		s->key = secret_new(key, sizeof(key));
	secret_wipe(key, sizeof(key));
	return r;
}

/* The first token makes the key. */
static int open_key(struct token_store *s, bool make)
{
	uint8_t key[TOKEN_KEY_LEN];
	size_t len = 0;
	int dir, r;

	if (s->key)
		return 0;
	dir = open_dir(s);
	if (dir < 0)
		return ERR_SYSTEM;
	r = file_read_at(key, sizeof(key), &len, dir, key_name, true);
	if (r == 0 && len == sizeof(key))
		s->key = secret_new(key, sizeof(key));
	else if (r == ERR_NOT_FOUND && make)
		r = make_key(s, dir);
	else if (r == 0)
		r = ERR_MALFORMED;
	secret_wipe(key, sizeof(key));
	close(dir);
	return r;
}

/* -- the list --------------------------------------------------------------------------- */

static struct entry *find(const struct token_store *s, const uint8_t id[TOKEN_ID_LEN])
{
	for (size_t i = 0; i < s->n; i++)
		if (memcmp(s->entries[i].id, id, TOKEN_ID_LEN) == 0)
			return (struct entry *)&s->entries[i];
	return NULL;
}

static void forget(struct token_store *s, size_t i)
{
	json_decref(s->entries[i].limits);
	memmove(&s->entries[i], &s->entries[i + 1], (s->n - i - 1) * sizeof(s->entries[0]));
	s->n--;
}

/* A place for one more: what expired goes, then what was revoked first. */
static int make_room(struct token_store *s, int64_t now)
{
	size_t oldest = TOKENS_MAX;

	for (size_t i = s->n; i-- > 0;)
		if (s->entries[i].expires && s->entries[i].expires <= now)
			forget(s, i);
	if (s->n < TOKENS_MAX)
		return 0;
	for (size_t i = 0; i < s->n; i++)
		if (s->entries[i].revoked && (oldest == TOKENS_MAX || s->entries[i].revoked < s->entries[oldest].revoked))
			oldest = i;
	if (oldest == TOKENS_MAX)
		return ERR_LIMIT;
	forget(s, oldest);
	return 0;
}

static int refuse(char why[COMMAND_WHY_CAP], int r, const struct token_store *s, const char *file)
{
	snprintf(why, COMMAND_WHY_CAP, "%s/%s: %s; see that it is the daemon's, with mode 0600", s->data_dir, file, err_str(r));
	return r;
}

static void add_entry(struct token_store *s, const struct token *t, const char *name, int64_t now)
{
	struct entry *e = &s->entries[s->n++];

	*e = (struct entry){ .created = now, .expires = token_expires(t), .limits = token_limits_json(t) };
	memcpy(e->id, t->id, TOKEN_ID_LEN);
	snprintf(e->name, sizeof(e->name), "%s", name ? name : "");
}

int token_store_create(struct token_store *s, struct token *ret, const json_t *params, bool dry_run, int64_t now,
		       char why[COMMAND_WHY_CAP])
{
	static const uint8_t no_key[TOKEN_KEY_LEN];
	uint8_t id[TOKEN_ID_LEN];
	struct token t;
	int r = load(s);

	if (r < 0)
		return refuse(why, r, s, list_name);
	if (!dry_run) {
		r = open_key(s, true);
		if (r < 0)
			return refuse(why, r, s, key_name);
		rand_bytes(id, sizeof(id));
		token_new(&t, id, secret_data(s->key));
	} else {
		token_new(&t, no_key, no_key);
	}
	r = token_restrict(&t, params, now, why);
	if (r < 0 || dry_run)
		return r;
	if (make_room(s, now) < 0) {
		snprintf(why, COMMAND_WHY_CAP, "there are %d tokens already; revoke some", TOKENS_MAX);
		return ERR_LIMIT;
	}
	add_entry(s, &t, param_text(params, "name"), now);
	r = save(s);
	if (r < 0) {
		forget(s, s->n - 1);
		return refuse(why, r, s, list_name);
	}
	*ret = t;
	return 0;
}

int token_store_revoke(struct token_store *s, const uint8_t id[TOKEN_ID_LEN], bool dry_run, int64_t now,
		       char why[COMMAND_WHY_CAP])
{
	int r = load(s);
	struct entry *e;

	if (r < 0)
		return refuse(why, r, s, list_name);
	e = find(s, id);
	if (!e || e->revoked) {
		snprintf(why, COMMAND_WHY_CAP, "%s", e ? "that token is revoked already" : "there is no such token; see token.list");
		return ERR_NOT_FOUND;
	}
	if (dry_run)
		return 0;
	e->revoked = now;
	r = save(s);
	/* It stays refused while this daemon runs, whatever the disk says. */
	return r < 0 ? refuse(why, r, s, list_name) : 0;
}

json_t *token_store_list(struct token_store *s, char why[COMMAND_WHY_CAP])
{
	int r = load(s);
	json_t *list;

	if (r < 0) {
		refuse(why, r, s, list_name);
		return NULL;
	}
	list = json_array();
	for (size_t i = 0; i < s->n; i++) {
		const struct entry *e = &s->entries[i];
		json_t *o = entry_json(e);

		json_object_set_new(o, "calls", json_integer((json_int_t)e->calls));
		json_object_set_new(o, "last_used", e->used ? json_integer(e->used) : json_null());
		json_array_append_new(list, o);
	}
	return list;
}

/* -- those that are shown ------------------------------------------------------------------ */

bool token_store_knows(const struct token_store *s, const struct token *t, int64_t now)
{
	const struct entry *e = find(s, t->id);
	int64_t expires = token_expires(t);

	return e && !e->revoked && (!expires || now < expires);
}

int token_store_check(struct token_store *s, const struct token *t, int64_t now)
{
	int r = load(s);

	if (r == 0)
		r = open_key(s, false);
	if (r < 0)
		return r == ERR_NOT_FOUND ? ERR_AUTH : r;	/* none was ever made here */
	if (!token_is_genuine(t, secret_data(s->key)) || !find(s, t->id))
		return ERR_AUTH;
	return token_store_knows(s, t, now) ? 0 : ERR_EXPIRED;
}

/* A minute that slides: what is left of the last one counts in part. */
int token_store_count(struct token_store *s, const struct token *t, uint64_t now_ms, int64_t now)
{
	struct entry *e = find(s, t->id);
	uint64_t minute = now_ms / MINUTE_MS, left = MINUTE_MS - now_ms % MINUTE_MS;
	uint32_t rate = token_rate(t);

	if (!e)
		return ERR_NOT_FOUND;
	if (minute != e->minute) {
		e->n_before = minute == e->minute + 1 ? e->n_now : 0;
		e->n_now = 0;
		e->minute = minute;
	}
	if (rate && e->n_now + e->n_before * left / MINUTE_MS >= rate)
		return ERR_LIMIT;
	e->n_now++;
	e->calls++;
	e->used = now;
	return 0;
}
