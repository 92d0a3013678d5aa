#include "config.h"

#include "exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/compress.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/http.h>
#include <nonos/json_set.h>
#include <nonos/log.h>
#include <nonos/mem.h>

enum {
	LIST_MAX = 256 * 1024, ROWS_MAX = 2000,
	LIST_TIMEOUT_MS = 30 * 1000, TEXT_TIMEOUT_MS = 120 * 1000,
	URL_CAP = 200,
	REST_MS = 600 * 1000,		/* for who gave what does not prove itself */
	UNJUDGED_MAX = 3,		/* of one source in a round: anybody can make such */
};

/* One who is asked. */
struct source {
	char *url;
	uint64_t rest_ms;		/* not asked before */
};

struct exchange {
	struct http_client *http;
	struct http_call *call;
	struct exchange_hooks hooks;
	struct source *sources;
	size_t n_sources, at;		/* at n_sources: no round is under way */
	int64_t *wanted;		/* of the source that is asked, by time */
	size_t n_wanted, next;
	unsigned unjudged;
	size_t taken;
};

static void ask_source(struct exchange *x);
static void ask_document(struct exchange *x);

/* -- rows --------------------------------------------------------------------------- */

json_t *exchange_row(int64_t valid_after, const uint8_t digest[32])
{
	json_t *o = json_pack("{s:I}", "validAfter", (json_int_t)valid_after);

	json_set_hex(o, "sha256", digest, 32);
	return o;
}

int exchange_read_row(int64_t *ret_valid_after, uint8_t ret_digest[32], const json_t *row)
{
	const json_t *when = json_object_get(row, "validAfter"), *digest = json_object_get(row, "sha256");
	const char *text = json_string_value(digest);

	if (!json_is_integer(when) || json_integer_value(when) < 0 || !text || json_string_length(digest) != 66 ||
	    memcmp(text, "0x", 2) != 0 || hex_decode(ret_digest, 32, text + 2, 64) < 0)
		return ERR_MALFORMED;
	*ret_valid_after = json_integer_value(when);
	return 0;
}

/* -- a round -------------------------------------------------------------------------- */

static void next_source(struct exchange *x)
{
	free(x->wanted);
	x->wanted = NULL;
	x->n_wanted = x->next = 0;
	x->unjudged = 0;
	x->at++;
	ask_source(x);
}

static void leave(struct exchange *x, const char *why)
{
	log_limited(LOG_LEVEL_NOTICE, "What another auditor gives for a consensus that was missed here is not taken. url=%s reason=\"%s\"",
		    x->sources[x->at].url, why);
	x->sources[x->at].rest_ms = clock_now_ms() + REST_MS;
	next_source(x);
}

static void get(struct exchange *x, const char *path, size_t max, uint32_t timeout_ms, http_done_fn *done)
{
	char url[URL_CAP];
	struct http_request req = { .url = url, .max_bytes = max, .total_timeout_ms = timeout_ms };

	snprintf(url, sizeof(url), "%s%s", x->sources[x->at].url, path);
	if (http_start(x->http, &x->call, &req, done, x) < 0) {
		x->call = NULL;
		leave(x, "no URL that can be asked");
	}
}

static bool is_good(struct exchange *x, const struct http_reply *reply)
{
	clock_update();
	x->call = NULL;
	return reply->err == 0 && reply->status == 200;
}

static void on_document(void *arg, const struct http_reply *reply)
{
	struct exchange *x = arg;
	uint8_t *text;
	size_t len;
	int r;

	if (!is_good(x, reply)) {
		next_source(x);
		return;
	}
	r = decompress_all(&text, &len, CODING_ZSTD, reply->body, reply->body_len, EXCHANGE_TEXT_MAX);
	if (r == 0) {
		r = x->hooks.take(x->hooks.arg, (const char *)text, len);
		free(text);
	}
	if (r < 0) {
		leave(x, err_str(r));
		return;
	}
	x->taken += r > 0;
	x->unjudged += r == 0;
	if (x->unjudged == UNJUDGED_MAX)
		next_source(x);
	else
		ask_document(x);
}

static void ask_document(struct exchange *x)
{
	char path[64];

	if (x->next == x->n_wanted) {
		next_source(x);
		return;
	}
	snprintf(path, sizeof(path), "/consensus/%lld", (long long)x->wanted[x->next++]);
	get(x, path, EXCHANGE_PACKED_MAX, TEXT_TIMEOUT_MS, on_document);
}

static int read_list(struct exchange *x, const json_t *rows)
{
	uint8_t digest[32];
	const json_t *row;
	int64_t when;
	size_t i;

	if (!json_is_array(rows) || json_array_size(rows) > ROWS_MAX)
		return ERR_MALFORMED;
	x->wanted = mem_new_array(json_array_size(rows), sizeof(*x->wanted));
	json_array_foreach(rows, i, row) {
		if (exchange_read_row(&when, digest, row) < 0)
			return ERR_MALFORMED;
		if (x->hooks.wants(x->hooks.arg, when, digest))
			x->wanted[x->n_wanted++] = when;
	}
	return 0;
}

static void on_list(void *arg, const struct http_reply *reply)
{
	struct exchange *x = arg;
	json_t *list;
	int r;

	if (!is_good(x, reply)) {
		next_source(x);
		return;
	}
	list = json_loadb((const char *)reply->body, reply->body_len, JSON_REJECT_DUPLICATES, NULL);
	r = read_list(x, json_object_get(list, "consensuses"));
	json_decref(list);
	if (r < 0)
		leave(x, "its list makes no sense");
	else
		ask_document(x);
}

static void ask_source(struct exchange *x)
{
	while (x->at < x->n_sources && clock_now_ms() < x->sources[x->at].rest_ms)
		x->at++;
	if (x->at < x->n_sources) {
		get(x, "/consensus", LIST_MAX, LIST_TIMEOUT_MS, on_list);
		return;
	}
	x->hooks.done(x->hooks.arg, x->taken);
}

/* -- life ------------------------------------------------------------------------------- */

static void free_sources(struct exchange *x)
{
	for (size_t i = 0; i < x->n_sources; i++)
		free(x->sources[i].url);
	free(x->sources);
	x->sources = NULL;
	x->n_sources = x->at = 0;
}

static bool same_sources(const struct exchange *x, const char *const *urls, size_t n)
{
	if (n != x->n_sources)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(urls[i], x->sources[i].url) != 0)
			return false;
	return true;
}

void exchange_ask(struct exchange *x, const char *const *urls, size_t n)
{
	if (x->at < x->n_sources)
		return;
	if (!same_sources(x, urls, n)) {
		free_sources(x);
		x->sources = mem_new_array(n, sizeof(*x->sources));
		for (x->n_sources = 0; x->n_sources < n; x->n_sources++)
			x->sources[x->n_sources].url = mem_strdup(urls[x->n_sources]);
	}
	x->at = 0;
	x->taken = 0;
	ask_source(x);
}

struct exchange *exchange_new(struct event_base *base, const struct exchange_hooks *hooks)
{
	struct exchange *x = mem_new(sizeof(*x));

	x->http = http_client_new(base);
	x->hooks = *hooks;
	return x;
}

void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	http_cancel(x->call);
	http_client_free(x->http);
	free(x->wanted);
	free_sources(x);
	free(x);
}
