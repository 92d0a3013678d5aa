#include "config.h"

#include "journal_server.h"

#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/genesis.h>
#include <nonos/limit.h>
#include <nonos/mem.h>
#include <nonos/tiles.h>

#include "http_server.h"

enum {
	CONNECTIONS = 64, OF_ONE_CLIENT = 16, TIME_S = 60,
	CALLS_A_SECOND = 100, CALLS_BURST = 400,		/* of /rpc, by all */
	CALLS_OF_ONE = 10, BURST_OF_ONE = 50,			/* by one http_client() */
	CALLS_FORWARDED = CALLS_OF_ONE / 2, BURST_FORWARDED = BURST_OF_ONE / 2,	/* the rest is left to this node's own */
	WAITING_FORWARDED = 16,		/* for the writer's answer: half of what follow_call() takes */
	EXPIRE_US = 1000 * 1000,
	OWED_MAX = 64 << 20,		/* bytes of answers that clients have not read yet; evidence may be half of it */
};

struct journal_server {
	struct http_server *http;
	struct ledger *ledger;
	struct journal_consensuses consensuses;
	struct ctl_commands commands;
	ctl_run_fn run[COMMAND_COUNT];	/* those of /rpc alone */
	struct caller *callers;
	unsigned n_callers;
	bool forwards;
	struct bucket calls;		/* of all */
	struct bucket here;		/* of this machine, which may be a proxy with many behind it: half of all */
	struct limiter *of_one;		/* a call here is what a circuit is there */
	uint64_t expire_us;		/* when sources that have all their calls again are forgotten */
};

/* One POST of /rpc that waits for its answer. */
struct caller {
	struct ctl_session session;	/* first: write() is given this */
	struct journal_server *server;
	struct http_exchange *x;
	struct caller *next, **prev;
	bool calling;			/* inside ctl_answer() */
};

/* -- answers ------------------------------------------------------------------------------ */

static void answer_data(struct http_exchange *x, int status, const char *type, const char *data, size_t len)
{
	struct evbuffer *body = evbuffer_new();

	if (!body || evbuffer_add(body, data, len) < 0)
		mem_fail();
	http_answer(x, status, type, body);
	evbuffer_free(body);
}

static void answer_status(struct http_exchange *x, int status)
{
	answer_data(x, status, NULL, "", 0);
}

/* 404 for what is not there (yet); the disk's failures are ours. */
static void answer_failure(struct http_exchange *x, int r)
{
	answer_status(x, r == ERR_NOT_FOUND ? 404 : 503);
}

static void give_checkpoint(struct journal_server *s, struct http_exchange *x)
{
	char *note;
	int r = ledger_checkpoint(s->ledger, &note);

	if (r < 0) {
		answer_failure(x, r);
		return;
	}
	answer_data(x, 200, NULL, note, strlen(note));
	free(note);
}

static void give_genesis(struct journal_server *s, struct http_exchange *x)
{
	const struct genesis *g = ledger_genesis(s->ledger);

	answer_data(x, 200, "application/json", g->text, g->text_len);
}

static void give_tile(struct journal_server *s, struct http_exchange *x)
{
	struct tile t;
	char *data;
	size_t len;
	int r;

	if (tile_parse(&t, x->path) < 0) {
		answer_status(x, 404);
		return;
	}
	r = tile_read(&data, &len, s->ledger, &t);
	if (r < 0) {
		answer_failure(x, r);
		return;
	}
	answer_data(x, 200, "application/octet-stream", data, len);
	free(data);
}

/* The number that is the rest of a path. */
static int read_number(uint64_t *ret, const char *text)
{
	char *end;

	*ret = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && strlen(text) <= 18 ? 0 : ERR_NOT_FOUND;
}

static void give_evidence(struct journal_server *s, struct http_exchange *x)
{
	char *entry, *evidence = NULL;
	size_t entry_len, evidence_len;
	uint64_t index;
	int r = read_number(&index, x->path + strlen("/evidence/"));

	if (r == 0 && index >= ledger_committed(s->ledger))
		r = ERR_NOT_FOUND;
	if (r == 0)
		r = ledger_entry(s->ledger, &entry, &entry_len, &evidence, &evidence_len, index);
	if (r == 0)
		free(entry);
	if (r < 0 || !evidence)
		answer_failure(x, r < 0 ? r : ERR_NOT_FOUND);
	else
		answer_data(x, 200, "application/json", evidence, evidence_len);
	free(evidence);
}

static void give_consensuses(struct journal_server *s, struct http_exchange *x)
{
	json_t *list = NULL, *doc;
	char *text;
	int r = s->consensuses.list ? s->consensuses.list(s->consensuses.arg, &list) : ERR_NOT_FOUND;

	if (r < 0) {
		answer_failure(x, r);
		return;
	}
	doc = json_pack("{s:o}", "consensuses", list);
	text = json_dumps(doc, JSON_COMPACT);
	answer_data(x, 200, "application/json", text, strlen(text));
	free(text);
	json_decref(doc);
}

static void give_consensus(struct journal_server *s, struct http_exchange *x)
{
	uint8_t *data;
	size_t len;
	uint64_t when;
	int r = read_number(&when, x->path + strlen("/consensus/"));

	if (r == 0)
		r = s->consensuses.read ? s->consensuses.read(s->consensuses.arg, &data, &len, (int64_t)when) : ERR_NOT_FOUND;
	if (r < 0) {
		answer_failure(x, r);
		return;
	}
	answer_data(x, 200, "application/zstd", (const char *)data, len);
	free(data);
}

/* -- /rpc ----------------------------------------------------------------------------------- */

static void caller_free(struct caller *c)
{
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->server->n_callers--;
	ctl_session_end(&c->session);
	free(c);
}

static void on_gone(struct http_exchange *x)
{
	caller_free(x->user);
}

/* An answer that took time. The session is in use by whoever calls this; it ends when it is told so. */
static void write_late(struct ctl_session *session, const char *line, size_t len)
{
	struct caller *c = (struct caller *)session;

	if (!c->x)
		return;
	answer_data(c->x, 200, "application/json", line, len);
	c->x = NULL;
}

static void on_settled(struct ctl_session *session)
{
	struct caller *c = (struct caller *)session;

	if (c->calling)
		return;
	if (c->x)
		answer_status(c->x, 400);	/* it asked for no answer */
	caller_free(c);
}

/* A batch would be many calls for the price of one, each with a commit of its own. */
static bool is_batch(const struct http_exchange *x)
{
	size_t blank = strspn(x->body, " \t\r\n");

	return blank < x->body_len && x->body[blank] == '[';
}

/*
 * Who has used up his own calls takes none of the others'. Only while there are calls for all
 * is a source remembered, and not for longer than it takes to fill its bucket: that bounds the table.
 */
static bool may_call(struct journal_server *s, const struct http_exchange *x)
{
	bool is_here = x->client.family == ADDR_NONE;
	uint64_t now = clock_now_us();

	if (s->forwards && s->n_callers >= WAITING_FORWARDED)
		return false;
	if (now >= s->expire_us) {
		limiter_expire(s->of_one, now);
		s->expire_us = now + EXPIRE_US;
	}
	bucket_refill(&s->calls, now);
	bucket_refill(&s->here, now);
	if (bucket_level(&s->calls) == 0 || (is_here ? bucket_level(&s->here) == 0 : !limiter_circuit(s->of_one, &x->client, now)))
		return false;
	bucket_take(&s->calls, 1);
	if (is_here)
		bucket_take(&s->here, 1);
	return true;
}

static void call(struct journal_server *s, struct http_exchange *x)
{
	struct caller *c = mem_new(sizeof(*c));
	char *line;

	c->session = (struct ctl_session){ .may_change = true, .write = write_late, .settled = on_settled };
	c->server = s;
	c->x = x;
	c->next = s->callers;
	c->prev = &s->callers;
	if (c->next)
		c->next->prev = &c->next;
	s->callers = c;
	s->n_callers++;
	c->calling = true;
	line = ctl_answer(&s->commands, &c->session, x->body, x->body_len);
	c->calling = false;
	if (!c->x) {
		free(line);			/* answered already */
	} else if (line) {
		answer_data(x, 200, "application/json", line, strlen(line));
		free(line);
	} else if (c->session.n_pending) {
		x->user = c;
		x->gone = on_gone;
		return;
	} else {
		answer_status(x, 400);		/* nothing was asked that has an answer */
	}
	caller_free(c);
}

/* -- the server ------------------------------------------------------------------------------- */

/*
 * Answers of megabytes have to wait when clients do not take what they were given. The last half of the
 * room is for those who are owed nothing, so that no client alone keeps the others waiting.
 */
static bool has_room(const struct journal_server *s, const struct http_exchange *x)
{
	size_t all = http_server_owes(s->http);

	return all <= OWED_MAX / 2 || (all <= OWED_MAX && http_client_owes(x) == 0);
}

static void give_long(struct journal_server *s, struct http_exchange *x)
{
	if (!has_room(s, x))
		answer_status(x, 503);
	else if (strcmp(x->path, "/genesis") == 0)
		give_genesis(s, x);
	else if (strncmp(x->path, "/tile/", 6) == 0)
		give_tile(s, x);
	else if (strncmp(x->path, "/evidence/", 10) == 0)
		give_evidence(s, x);
	else if (strcmp(x->path, "/consensus") == 0)
		give_consensuses(s, x);
	else if (strncmp(x->path, "/consensus/", 11) == 0)
		give_consensus(s, x);
	else
		answer_status(x, 404);
}

static void on_request(void *arg, struct http_exchange *x)
{
	struct journal_server *s = arg;
	bool rpc = strcmp(x->path, "/rpc") == 0 && s->commands.v;

	if (rpc != x->post)
		answer_status(x, rpc || x->post ? 405 : 404);
	else if (rpc && is_batch(x))
		answer_status(x, 400);
	else if (rpc && !may_call(s, x))
		answer_status(x, 429);
	else if (rpc)
		call(s, x);
	else if (strcmp(x->path, "/checkpoint") == 0)
		give_checkpoint(s, x);
	else
		give_long(s, x);
}

/* What strangers may call: only what proves itself. */
static void allow(struct journal_server *s, const struct ctl_commands *commands)
{
	static const enum command_id allowed[] = { COMMAND_ID_ledger_append, COMMAND_ID_ledger_attest };

	s->commands = *commands;
	s->commands.run = s->run;
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		s->run[allowed[i]] = commands->run[allowed[i]];
}

int journal_server_new(struct journal_server **ret, struct event_base *base, const struct addr *addrs, size_t n_addrs,
		       struct ledger *l, const struct ctl_commands *commands, bool forwards, char *err, size_t err_cap)
{
	static const struct relay_limits of_one = { .create_rate = CALLS_OF_ONE, .create_burst = BURST_OF_ONE };
	uint64_t rate = forwards ? CALLS_FORWARDED : CALLS_A_SECOND, burst = forwards ? BURST_FORWARDED : CALLS_BURST;
	struct journal_server *s = mem_new(sizeof(*s));
	struct http_place place = {
		.name = "The journal", .addrs = addrs, .n_addrs = n_addrs, .connections_max = CONNECTIONS,
		.client_max = OF_ONE_CLIENT, .time_s = TIME_S, .body_max = commands ? CTL_LINE_MAX : 0,
	};
	int r;

	s->ledger = l;
	bucket_init(&s->calls, rate, burst, clock_now_us());
	bucket_init(&s->here, (rate + 1) / 2, (burst + 1) / 2, clock_now_us());
	s->of_one = limiter_new(&of_one);
	s->forwards = forwards;
	if (commands)
		allow(s, commands);
	r = http_server_new(&s->http, base, &place, on_request, s, err, err_cap);
	if (r < 0) {
		journal_server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void journal_server_give(struct journal_server *s, const struct journal_consensuses *c)
{
	s->consensuses = *c;
}

void journal_server_free(struct journal_server *s)
{
	if (!s)
		return;
	http_server_free(s->http);	/* tells all callers that they are gone */
	limiter_free(s->of_one);
	free(s);
}
