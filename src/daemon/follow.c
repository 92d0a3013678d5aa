#include "config.h"

#include "follow_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/genesis.h>
#include <nonos/json_set.h>
#include <nonos/log.h>
#include <nonos/mem.h>

enum { CHECKPOINT_MAX = NOTE_LEN_MAX, BUNDLE_TIMEOUT_MS = 120 * 1000, BACKOFF_MAX_S = 300 };

static void fetch_bundle(struct follow *f);
static void apply_bundle(struct follow *f);

/* -- one round and its end ------------------------------------------------------------------- */

static void drop_beside(struct follow *f)
{
	free(f->beside.text);
	f->beside = (struct beside){ .text = NULL };
}

static void drop_bundle(struct follow *f)
{
	drop_beside(f);
	free(f->bundle);
	f->bundle = NULL;
}

void follow_drop_entries(struct follow *f)
{
	if (f->open)
		ledger_rollback(f->ledger);
	f->open = false;
	drop_bundle(f);
}

void follow_end_round(struct follow *f)
{
	follow_drop_entries(f);
	tile_tree_free(f->tree);
	f->tree = NULL;
	f->refused[0] = '\0';
	free(f->note);
	f->note = NULL;
}

static void end_well(struct follow *f)
{
	if (f->problem[0])
		log_notice("The journal is followed again. url=%s", f->url);
	f->problem[0] = '\0';
	f->is_ahead = false;
	f->failures = 0;
	f->contact = clock_wall();
	f->current = f->asked;
	f->next_ms = clock_now_ms() + f->interval_s * (uint64_t)1000;
	follow_end_round(f);
}

/* Said once for each kind; asked again more and more rarely. */
void follow_fail(struct follow *f, const char *fmt, ...)
{
	char text[FOLLOW_PROBLEM_CAP];
	uint64_t wait = (uint64_t)f->interval_s << (f->failures < 5 ? f->failures : 5);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (strcmp(text, f->problem) != 0)
		log_warn("The journal cannot be followed: %s. url=%s", text, f->url);
	snprintf(f->problem, sizeof(f->problem), "%s", text);
	f->is_ahead = false;
	f->failures++;
	if (wait > BACKOFF_MAX_S && wait > f->interval_s)
		wait = BACKOFF_MAX_S > f->interval_s ? BACKOFF_MAX_S : f->interval_s;
	f->next_ms = clock_now_ms() + wait * 1000;
	follow_end_round(f);
}

void follow_fetch(struct follow *f, const char *path, size_t max, http_done_fn *done)
{
	char url[FOLLOW_URL_CAP];
	struct http_request req = { .url = url, .max_bytes = max, .total_timeout_ms = max > CHECKPOINT_MAX ? BUNDLE_TIMEOUT_MS
												  : FOLLOW_TIMEOUT_MS };

	snprintf(url, sizeof(url), "%s%s", f->url, path);
	if (http_start(f->http, &f->call, &req, done, f) < 0) {
		f->call = NULL;
		follow_fail(f, "%s is no URL that can be asked", f->url);
	}
}

bool follow_is_good(struct follow *f, const struct http_reply *reply, const char *what)
{
	clock_update();
	f->call = NULL;
	if (reply->err == 0 && reply->status == 200)
		return true;
	if (reply->err)
		follow_fail(f, "%s: %s", what, reply->error);
	else
		follow_fail(f, "%s: the answer is %d", what, reply->status);
	return false;
}

/* -- entries ------------------------------------------------------------------------------------ */

static void finish(struct follow *f)
{
	int r = ledger_commit_note(f->ledger, f->note, strlen(f->note));

	if (r == ERR_MISMATCH) {
		follow_look_into(f);
		return;
	}
	f->open = false;
	if (r < 0) {
		follow_fail(f, "the ledger cannot be written: %s", ledger_error(f->ledger));
		return;
	}
	log_info("The journal was followed. height=%llu", (unsigned long long)f->target.size);
	end_well(f);
}

/* An entry that names evidence has it beside it. */
static bool names_evidence(const char *entry, size_t len)
{
	json_t *o = json_loadb(entry, len, JSON_REJECT_DUPLICATES, NULL);
	const char *type = json_string_value(json_object_get(o, "primaryType"));
	bool names = type && strcmp(type, "EpochRoot") == 0;

	json_decref(o);
	return names;
}

static void on_beside(void *arg, const struct http_reply *reply)
{
	struct follow *f = arg;

	if (!follow_is_good(f, reply, "the evidence of an epoch"))
		return;
	f->beside.text = mem_dup(reply->body, reply->body_len);
	f->beside.len = reply->body_len;
	apply_bundle(f);
}

static void fetch_beside(struct follow *f)
{
	char path[64];

	snprintf(path, sizeof(path), "/evidence/%llu", (unsigned long long)f->at);
	follow_fetch(f, path, LEDGER_EVIDENCE_MAX, on_beside);
}

/* The entries that can be applied now, up to one that lacks what belongs beside it. */
static size_t collect(const struct follow *f, struct ledger_text texts[TILE_WIDTH], bool *ret_lacks)
{
	struct rd bundle = rd_init(f->bundle, f->bundle_len);
	struct ledger_text t;
	size_t n = 0;

	*ret_lacks = false;
	for (uint64_t i = f->bundle_first; i < f->target.size && tile_next_entry(&bundle, &t.entry, &t.entry_len) == 0; i++) {
		if (i < f->at)
			continue;
		t.evidence = n == 0 ? f->beside.text : NULL;
		t.evidence_len = n == 0 ? f->beside.len : 0;
		*ret_lacks = !t.evidence && names_evidence(t.entry, t.entry_len);
		if (*ret_lacks || n == TILE_WIDTH)
			break;
		texts[n++] = t;
	}
	return n;
}

/* Apply entries until one lacks what belongs beside it: ERR_AGAIN. */
static int apply_entries(struct follow *f, struct ledger_refusal *refusal)
{
	struct ledger_text texts[TILE_WIDTH];
	bool lacks;
	size_t n = collect(f, texts, &lacks), taken = 0;
	int r = 0;

	if (n) {
		f->open = true;
		r = ledger_append_all(f->ledger, &taken, refusal, texts, n);
		f->at += taken;
		drop_beside(f);
		if (r == ERR_REFUSED) {
			snprintf(f->refused, sizeof(f->refused), "%s", refusal_name(refusal->code));
			merkle_leaf(&f->refused_leaf, texts[taken].entry, texts[taken].entry_len);
		}
	}
	return r == 0 && lacks ? ERR_AGAIN : r;
}

/*
 * The time of an entry is never taken back. One that has not come yet here is a mistake of the writer's clock, or of
 * ours: nothing of it is committed until it is so late, or one of the two is set right.
 */
static bool is_ahead(const struct follow *f)
{
	struct ledger_head head;

	ledger_head(f->ledger, &head);
	return head.time > (uint64_t)clock_wall() + f->ahead_s;
}

static void wait_for_time(struct follow *f)
{
	char when[40] = "?";
	struct ledger_head head;
	struct tm tm;
	time_t t;

	ledger_head(f->ledger, &head);
	t = (time_t)head.time;
	if (gmtime_r(&t, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	follow_fail(f, "its entries reach to %s, which is not yet by this machine's clock", when);
	f->is_ahead = true;
}

static void apply_bundle(struct follow *f)
{
	struct ledger_refusal refusal = { 0 };
	int r = apply_entries(f, &refusal);

	if ((r == 0 || r == ERR_AGAIN) && is_ahead(f)) {
		wait_for_time(f);
	} else if (r == ERR_AGAIN) {
		fetch_beside(f);
	} else if (r == ERR_REFUSED) {
		log_warn("An entry of the writer is refused. index=%llu reason=%s why=\"%s\"", (unsigned long long)f->at,
			 refusal_name(refusal.code), refusal.why);
		follow_look_into(f);
	} else if (r < 0) {
		f->open = false;
		follow_fail(f, "the ledger cannot be written: %s", ledger_error(f->ledger));
	} else {
		drop_bundle(f);
		if (f->at < f->target.size)
			fetch_bundle(f);
		else
			finish(f);
	}
}

/* It has as many entries as it should. */
static int check_bundle(const struct follow *f, unsigned want)
{
	struct rd bundle = rd_init(f->bundle, f->bundle_len);
	unsigned n = 0;
	const char *entry;
	size_t len;
	int r;

	while ((r = tile_next_entry(&bundle, &entry, &len)) == 0)
		n++;
	return r == ERR_NOT_FOUND && n == want ? 0 : ERR_MALFORMED;
}

static unsigned bundle_width(const struct follow *f)
{
	uint64_t left = f->target.size - f->bundle_first;

	return left < TILE_WIDTH ? (unsigned)left : TILE_WIDTH;
}

static void on_bundle(void *arg, const struct http_reply *reply)
{
	struct follow *f = arg;

	if (!follow_is_good(f, reply, "a bundle of entries"))
		return;
	f->bundle = mem_dup(reply->body, reply->body_len ? reply->body_len : 1);
	f->bundle_len = reply->body_len;
	if (check_bundle(f, bundle_width(f)) < 0)
		follow_fail(f, "a bundle of entries is malformed");
	else
		apply_bundle(f);
}

static void fetch_bundle(struct follow *f)
{
	struct tile t = { .entries = true, .index = f->at / TILE_WIDTH };
	char path[TILE_PATH_CAP];

	f->bundle_first = t.index * TILE_WIDTH;
	t.width = bundle_width(f);
	follow_fetch(f, tile_path(path, &t), TILE_ENTRIES_MAX, on_bundle);
}

/* -- checkpoints ---------------------------------------------------------------------------------- */

/* The checkpoint is of no more entries than we have. */
static void compare(struct follow *f)
{
	uint8_t own[LEDGER_ROOT_LEN];

	if (ledger_root_at(f->ledger, own, f->target.size) < 0)
		follow_fail(f, "the ledger cannot be read: %s", ledger_error(f->ledger));
	else if (memcmp(own, f->target.root.b, sizeof(own)) != 0)
		follow_caught(f);
	else if (f->target.size < ledger_committed(f->ledger))
		follow_fail(f, "the writer is behind: it gives out %llu entries, %llu are known here", (unsigned long long)f->target.size,
		     (unsigned long long)ledger_committed(f->ledger));
	else
		end_well(f);
}

static void on_checkpoint(void *arg, const struct http_reply *reply)
{
	struct follow *f = arg;
	int r;

	if (!follow_is_good(f, reply, "the checkpoint"))
		return;
	r = memchr(reply->body, '\0', reply->body_len)
	    ? ERR_MALFORMED : checkpoint_open(&f->target, &f->log, (const char *)reply->body, reply->body_len);
	if (r < 0) {
		follow_fail(f, "the checkpoint is not signed by the journal's writer: %s", err_str(r));
		return;
	}
	f->note = mem_strndup((const char *)reply->body, reply->body_len);
	f->at = ledger_committed(f->ledger);
	if (f->target.size <= f->at)
		compare(f);
	else
		fetch_bundle(f);
}

void follow_tick(struct follow *f, uint32_t interval_s, uint32_t ahead_s)
{
	f->interval_s = interval_s;
	f->ahead_s = ahead_s;
	if (f->call || f->ours || clock_now_ms() < f->next_ms)
		return;
	f->asked = clock_wall();
	follow_fetch(f, "/checkpoint", CHECKPOINT_MAX, on_checkpoint);
}

/* -- life and telling ---------------------------------------------------------------------------------- */

struct follow *follow_new(struct event_base *base, struct ledger *l, const struct follow_config *c)
{
	const struct genesis *g = ledger_genesis(l);
	struct follow *f = mem_new(sizeof(*f));

	f->ledger = l;
	f->http = http_client_new(base);
	f->url = mem_strdup(c->url);
	f->fork_path = mem_strdup(c->fork_path);
	f->interval_s = c->interval_s;
	f->ahead_s = c->ahead_s;
	/* Genesis was checked when it was read. */
	if (note_key_parse(&f->log, g->log, strlen(g->log)) < 0)
		mem_fail();
	follow_load_fork(f);
	return f;
}

void follow_free(struct follow *f)
{
	if (!f)
		return;
	follow_end_calls(f);
	http_cancel(f->call);
	follow_end_round(f);
	http_client_free(f->http);
	free(f->url);
	free(f->fork_path);
	free(f->ours);
	free(f->theirs);
	free(f);
}

bool follow_is_syncing(const struct follow *f)
{
	return f->open;
}

int64_t follow_contact(const struct follow *f)
{
	return f->open || f->problem[0] ? 0 : f->current;
}

bool follow_is_forked(const struct follow *f)
{
	return f->ours != NULL;
}

json_t *follow_status(const struct follow *f)
{
	return json_pack("{s:s, s:b, s:b, s:b, s:I, s:I, s:o, s:o}", "url", f->url, "forked", follow_is_forked(f), "syncing", f->open,
			 "ahead", f->is_ahead, "applied", (json_int_t)(f->open ? f->at : ledger_committed(f->ledger)), "writer_height",
			 (json_int_t)f->target.size, "last_contact", f->contact ? json_integer(f->contact) : json_null(), "problem",
			 f->problem[0] ? json_sentence(f->problem) : json_null());
}
