#include "config.h"

#include "follow.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include <nonos/checkpoint.h>
#include <nonos/clock.h>
#include <nonos/control.h>
#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/genesis.h>
#include <nonos/http.h>
#include <nonos/json_set.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/tile_tree.h>

enum {
	URL_CAP = 700, PROBLEM_CAP = 512, CALLS_MAX = 32,
	CHECKPOINT_MAX = NOTE_LEN_MAX, REPLY_MAX = 1 << 20,
	TIMEOUT_MS = 30 * 1000, BUNDLE_TIMEOUT_MS = 120 * 1000,
	BACKOFF_MAX_S = 300,
};

/* Evidence of the next entry: that of one at a time, because it can be long. */
struct beside {
	char *text;			/* NULL: not fetched yet */
	size_t len;
};

/* A call to the writer under way. */
struct forward {
	struct follow *follow;
	struct forward *next, **prev;
	struct http_call *call;
	follow_done_fn *done;
	void *arg;
};

struct follow {
	struct ledger *ledger;
	struct http_client *http;
	char *url, *fork_path;
	struct note_key log;
	struct http_call *call;		/* of the mirroring; NULL: none */
	uint64_t next_ms;		/* when to ask again */
	uint32_t interval_s, ahead_s, failures;
	bool is_ahead;			/* the problem is an entry of a time that has not come yet */
	char problem[PROBLEM_CAP];	/* "": none */
	int64_t contact;		/* wall seconds of the last good answer; 0: never */
	int64_t asked, current;		/* when the checkpoint at hand, and the last one reached, was asked for */

	char *note;			/* the checkpoint that is being followed; NULL: none */
	struct checkpoint target;
	uint64_t at;			/* entries applied */
	bool open;			/* some of them are not committed */
	char *bundle;
	size_t bundle_len;
	uint64_t bundle_first;
	struct beside beside;
	char refused[32];		/* why entry `at` was refused; "": none was */
	struct merkle_hash refused_leaf;
	struct tile_tree *tree;		/* of the writer, while a fork is looked into */
	struct tile tile;		/* of it, the one that is fetched */

	char *ours, *theirs;		/* the two checkpoints of a fork; NULL: none was seen */
	int64_t fork_found;
	struct forward *forwards;
	unsigned n_forwards;
};

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

static void end_round(struct follow *f)
{
	if (f->open)
		ledger_rollback(f->ledger);
	f->open = false;
	drop_bundle(f);
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
	end_round(f);
}

/* Said once for each kind; asked again more and more rarely. */
static void fail(struct follow *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct follow *f, const char *fmt, ...)
{
	char text[PROBLEM_CAP];
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
	end_round(f);
}

static void fetch(struct follow *f, const char *path, size_t max, http_done_fn *done)
{
	char url[URL_CAP];
	struct http_request req = { .url = url, .max_bytes = max, .total_timeout_ms = max > CHECKPOINT_MAX ? BUNDLE_TIMEOUT_MS
												  : TIMEOUT_MS };

	snprintf(url, sizeof(url), "%s%s", f->url, path);
	if (http_start(f->http, &f->call, &req, done, f) < 0) {
		f->call = NULL;
		fail(f, "%s is no URL that can be asked", f->url);
	}
}

/* True for a whole answer with status 200; else the round has failed. */
static bool is_good(struct follow *f, const struct http_reply *reply, const char *what)
{
	clock_update();
	f->call = NULL;
	if (reply->err == 0 && reply->status == 200)
		return true;
	if (reply->err)
		fail(f, "%s: %s", what, reply->error);
	else
		fail(f, "%s: the answer is %d", what, reply->status);
	return false;
}

/* -- forks ------------------------------------------------------------------------------------- */

static void save_fork(const struct follow *f)
{
	json_t *o = follow_fork(f);
	char *text = json_dumps(o, JSON_INDENT(1) | JSON_ENSURE_ASCII), *slash = strrchr(f->fork_path, '/');
	char *dir_path = mem_strndup(f->fork_path, (size_t)(slash - f->fork_path));
	int dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!text || dir < 0 || file_replace_at(dir, slash + 1, text, strlen(text)) < 0)
		log_error("The two checkpoints cannot be kept in %s.", f->fork_path);
	if (dir >= 0)
		close(dir);
	free(dir_path);
	free(text);
	json_decref(o);
}

static void caught(struct follow *f)
{
	char *ours = NULL;

	if (ledger_checkpoint(f->ledger, &ours) < 0)
		ours = mem_strdup("");
	f->ours = ours;
	f->theirs = mem_strdup(f->note);
	f->fork_found = clock_wall();
	log_error("The writer of the journal has shown two histories: its checkpoint of %llu entries does not continue the one of "
		  "%llu that it signed before. Nothing more is taken from it. \"nonosctl ledger fork\" shows both. url=%s",
		  (unsigned long long)f->target.size, (unsigned long long)ledger_committed(f->ledger), f->url);
	save_fork(f);
	snprintf(f->problem, sizeof(f->problem), "the writer has shown two histories");
	end_round(f);
}

static void load_fork(struct follow *f)
{
	json_t *o = json_load_file(f->fork_path, JSON_REJECT_DUPLICATES, NULL);
	const char *ours = json_string_value(json_object_get(o, "ours")), *theirs = json_string_value(json_object_get(o, "theirs"));

	if (ours && theirs) {
		f->ours = mem_strdup(ours);
		f->theirs = mem_strdup(theirs);
		f->fork_found = json_integer_value(json_object_get(o, "found"));
		snprintf(f->problem, sizeof(f->problem), "the writer has shown two histories");
	} else if (access(f->fork_path, F_OK) == 0) {
		log_warn("%s is not what was written there; it is passed over.", f->fork_path);
	}
	json_decref(o);
}

static void judge(struct follow *f);

static void on_tile(void *arg, const struct http_reply *reply)
{
	struct follow *f = arg;

	if (!is_good(f, reply, "a tile of hashes"))
		return;
	if (tile_tree_add(f->tree, &f->tile, reply->body, reply->body_len) < 0)
		fail(f, "a tile of hashes has %zu bytes, not %zu", reply->body_len, f->tile.width * (size_t)LEDGER_ROOT_LEN);
	else
		judge(f);
}

/* Whether the writer signed another history than ours: its root at our size, proven by what it signed now. */
static int judge_root(struct follow *f, bool *ret_forked)
{
	uint64_t ours = ledger_committed(f->ledger);
	uint8_t own[LEDGER_ROOT_LEN];
	struct merkle_hash theirs;
	int r;

	*ret_forked = false;
	if (ours == 0)
		return 0;
	r = tile_tree_root(f->tree, &theirs, &f->tile, &f->target.root, ours);
	if (r == 0)
		r = ledger_root_at(f->ledger, own, ours);
	if (r == 0)
		*ret_forked = memcmp(theirs.b, own, sizeof(own)) != 0;
	return r;
}

/* Whether it signed the entry that was refused, or the one who gave it to us made it up. */
static int judge_entry(struct follow *f, bool *ret_signed)
{
	struct merkle_hash leaf;
	int r;

	*ret_signed = false;
	if (!f->refused[0])
		return 0;
	r = tile_tree_leaf(f->tree, &leaf, &f->tile, &f->target.root, f->at);
	if (r == 0)
		*ret_signed = memcmp(leaf.b, f->refused_leaf.b, sizeof(leaf.b)) == 0;
	return r;
}

/* The entries do not lead to the checkpoint: another history, or a mirror that errs? Tiles of hashes tell. */
static void judge(struct follow *f)
{
	char path[TILE_PATH_CAP];
	bool forked = false, is_signed = false;
	int r = judge_root(f, &forked);

	if (r == 0 && !forked)
		r = judge_entry(f, &is_signed);
	if (r == ERR_AGAIN)
		fetch(f, tile_path(path, &f->tile), TILE_HASHES_LEN, on_tile);
	else if (r == ERR_AUTH)
		fail(f, "what the writer gives out does not add up to its checkpoint of %llu entries", (unsigned long long)f->target.size);
	else if (r < 0)
		fail(f, "the ledger cannot be read: %s", ledger_error(f->ledger));
	else if (forked)
		caught(f);
	else if (is_signed)
		fail(f, "entry %llu, which the writer signed, is refused here: %s", (unsigned long long)f->at, f->refused);
	else
		fail(f, "the entries from %llu on are given out otherwise than the writer signed them", (unsigned long long)
		     ledger_committed(f->ledger));
}

static void look_into(struct follow *f)
{
	if (f->open)
		ledger_rollback(f->ledger);
	f->open = false;
	drop_bundle(f);
	f->tree = tile_tree_new(f->target.size);
	judge(f);
}

/* -- entries ------------------------------------------------------------------------------------ */

static void finish(struct follow *f)
{
	int r = ledger_commit_note(f->ledger, f->note, strlen(f->note));

	if (r == ERR_MISMATCH) {
		look_into(f);
		return;
	}
	f->open = false;
	if (r < 0) {
		fail(f, "the ledger cannot be written: %s", ledger_error(f->ledger));
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

	if (!is_good(f, reply, "the evidence of an epoch"))
		return;
	f->beside.text = mem_dup(reply->body, reply->body_len);
	f->beside.len = reply->body_len;
	apply_bundle(f);
}

static void fetch_beside(struct follow *f)
{
	char path[64];

	snprintf(path, sizeof(path), "/evidence/%llu", (unsigned long long)f->at);
	fetch(f, path, LEDGER_EVIDENCE_MAX, on_beside);
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
	fail(f, "its entries reach to %s, which is not yet by this machine's clock", when);
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
		look_into(f);
	} else if (r < 0) {
		f->open = false;
		fail(f, "the ledger cannot be written: %s", ledger_error(f->ledger));
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

	if (!is_good(f, reply, "a bundle of entries"))
		return;
	f->bundle = mem_dup(reply->body, reply->body_len ? reply->body_len : 1);
	f->bundle_len = reply->body_len;
	if (check_bundle(f, bundle_width(f)) < 0)
		fail(f, "a bundle of entries is malformed");
	else
		apply_bundle(f);
}

static void fetch_bundle(struct follow *f)
{
	struct tile t = { .entries = true, .index = f->at / TILE_WIDTH };
	char path[TILE_PATH_CAP];

	f->bundle_first = t.index * TILE_WIDTH;
	t.width = bundle_width(f);
	fetch(f, tile_path(path, &t), TILE_ENTRIES_MAX, on_bundle);
}

/* -- checkpoints ---------------------------------------------------------------------------------- */

/* The checkpoint is of no more entries than we have. */
static void compare(struct follow *f)
{
	uint8_t own[LEDGER_ROOT_LEN];

	if (ledger_root_at(f->ledger, own, f->target.size) < 0)
		fail(f, "the ledger cannot be read: %s", ledger_error(f->ledger));
	else if (memcmp(own, f->target.root.b, sizeof(own)) != 0)
		caught(f);
	else if (f->target.size < ledger_committed(f->ledger))
		fail(f, "the writer is behind: it gives out %llu entries, %llu are known here", (unsigned long long)f->target.size,
		     (unsigned long long)ledger_committed(f->ledger));
	else
		end_well(f);
}

static void on_checkpoint(void *arg, const struct http_reply *reply)
{
	struct follow *f = arg;
	int r;

	if (!is_good(f, reply, "the checkpoint"))
		return;
	r = memchr(reply->body, '\0', reply->body_len)
	    ? ERR_MALFORMED : checkpoint_open(&f->target, &f->log, (const char *)reply->body, reply->body_len);
	if (r < 0) {
		fail(f, "the checkpoint is not signed by the journal's writer: %s", err_str(r));
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
	fetch(f, "/checkpoint", CHECKPOINT_MAX, on_checkpoint);
}

/* Ask at the next tick. */
static void follow_hurry(struct follow *f)
{
	if (!f->failures)
		f->next_ms = 0;
}

/* -- handing objects over --------------------------------------------------------------------------- */

static void forward_free(struct forward *w)
{
	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->follow->n_forwards--;
	http_cancel(w->call);
	free(w);
}

/* It refused to listen before it looked at what is asked. */
static json_t *not_heard(void)
{
	return json_pack("{s:{s:i, s:s}}", "error", "code", CTL_NOT_NOW, "message",
			 "the writer has been asked too often from here and has not looked at it; try again in a minute");
}

static void on_forwarded(void *arg, const struct http_reply *reply)
{
	struct forward *w = arg;
	json_t *answer = NULL;
	char error[256] = "";

	clock_update();
	w->call = NULL;
	if (reply->err == 0 && reply->status == 200)
		answer = json_loadb((const char *)reply->body, reply->body_len, JSON_REJECT_DUPLICATES, NULL);
	else if (reply->err == 0 && reply->status == 429)
		answer = not_heard();
	if (reply->err)
		snprintf(error, sizeof(error), "the writer was not reached: %s", reply->error);
	else if (!json_object_get(answer, "result") && !json_is_string(json_object_get(json_object_get(answer, "error"), "message")))
		snprintf(error, sizeof(error), "the writer's answer makes no sense (%d)", reply->status);
	follow_hurry(w->follow);
	w->done(w->arg, error[0] ? NULL : answer, error);
	json_decref(answer);
	forward_free(w);
}

int follow_call(struct follow *f, const char *method, json_t *params, follow_done_fn *done, void *arg)
{
	json_t *request = json_pack("{s:s, s:i, s:s, s:O}", "jsonrpc", "2.0", "id", 1, "method", method, "params", params);
	char *text = json_dumps(request, JSON_COMPACT), url[URL_CAP];
	struct http_request req = { .url = url, .content_type = "application/json", .max_bytes = REPLY_MAX, .body = text,
				    .body_len = text ? strlen(text) : 0, .total_timeout_ms = TIMEOUT_MS };
	struct forward *w;
	int r = ERR_LIMIT;

	json_decref(request);
	snprintf(url, sizeof(url), "%s/rpc", f->url);
	if (text && f->n_forwards < CALLS_MAX) {
		w = mem_new(sizeof(*w));
		*w = (struct forward){ f, f->forwards, &f->forwards, NULL, done, arg };
		if (w->next)
			w->next->prev = &w->next;
		f->forwards = w;
		f->n_forwards++;
		r = http_start(f->http, &w->call, &req, on_forwarded, w);
		if (r < 0) {
			w->call = NULL;
			forward_free(w);
		}
	}
	free(text);
	return r;
}

void follow_forget(struct follow *f, void *arg)
{
	for (struct forward *w = f->forwards, *next; w; w = next) {
		next = w->next;
		if (w->arg == arg)
			forward_free(w);
	}
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
	load_fork(f);
	return f;
}

void follow_free(struct follow *f)
{
	if (!f)
		return;
	while (f->forwards)
		forward_free(f->forwards);
	http_cancel(f->call);
	end_round(f);
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

json_t *follow_fork(const struct follow *f)
{
	if (!f->ours)
		return json_pack("{s:b}", "forked", 0);
	return json_pack("{s:b, s:I, s:s, s:s, s:s}", "forked", 1, "found", (json_int_t)f->fork_found, "ours", f->ours, "theirs",
			 f->theirs, "file", f->fork_path);
}
