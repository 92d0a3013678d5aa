#include "config.h"

#include "settle_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/json_set.h>
#include <nonos/log.h>
#include <nonos/mem.h>

#include "follow.h"

enum {
	TICK_S = 1,
	RETRY_MS = 60 * 1000,		/* until a measurement that could not be opened is tried again */
	MICRODESCS_MS = 20 * 1000,	/* between two looks for microdescriptors that are missing */
	UNMEASURED_MAX = 12,		/* consensuses that wait for the disk; in a real network as many hours */
};

/* -- problems -------------------------------------------------------------------------- */

void settle_problem_set(struct settle_problem *p, const char *what, const char *text)
{
	if (strcmp(p->text, text) == 0)
		return;
	if (text[0])
		log_error("%s: %s", what, text);
	else
		log_notice("This is over: %s.", what);
	snprintf(p->text, sizeof(p->text), "%s", text);
}

json_t *settle_problem_json(const struct settle_problem *p)
{
	return p->text[0] ? json_sentence(p->text) : json_null();
}

/* -- measuring ------------------------------------------------------------------------ */

static const char not_measured[] = "What the authorities measure is not kept";

static void open_measure(struct settle *s)
{
	char err[MEASURE_ERR_CAP];

	if (!s->config->measure || s->measure || clock_now_ms() < s->measure_retry_ms)
		return;
	s->measure_retry_ms = clock_now_ms() + RETRY_MS;
	settle_problem_set(&s->measure_problem, not_measured,
			   measure_open(&s->measure, s->config->data_dir, err, sizeof(err)) < 0 ? err : "");
}

/* Without a measurement the writer closes no epoch and an auditor attests none, so nobody is paid. */
static void check_measuring(struct settle *s)
{
	if (!s->config->measure && s->ledger && (s->writer || s->auditor_key))
		settle_problem_set(&s->measure_problem, not_measured, s->writer ?
				   "measure = no: without a measurement this node, which writes the journal, closes no epoch" :
				   "measure = no: without a measurement this auditor attests nothing");
}

/* A database that fails is opened anew, which repairs what can be repaired. */
static void measure_failed(struct settle *s)
{
	measure_close(s->measure);
	s->measure = NULL;
	s->measure_retry_ms = clock_now_ms() + RETRY_MS;
	settle_problem_set(&s->measure_problem, not_measured,
			   "measure.db cannot be written; is the disk full? It is tried again every minute.");
}

/* ERR_IO: it may be offered again, once the measurement is open. */
static int take_consensus(struct settle *s, const struct consensus_facts *c)
{
	uint64_t began = clock_precise_us();
	int r;

	open_measure(s);
	if (!s->measure)
		return ERR_IO;
	r = measure_consensus(s->measure, c, s->config->measure_keep);
	if (r == 0)
		log_info("A consensus was measured. valid_after=%lld relays=%zu took_ms=%llu", (long long)c->valid_after,
			 c->n_routers, (unsigned long long)(clock_precise_us() - began) / 1000);
	else if (r == ERR_MISMATCH)
		log_error("A second consensus of the same time is signed by a majority; it is not counted. valid_after=%lld",
			  (long long)c->valid_after);
	else if (r == ERR_IO)
		measure_failed(s);
	if (r == 0 || r == ERR_EXISTS)
		settle_exchange_keep(s, c);
	s->microdescs_ms = 0;
	return r;
}

/* -- what has to wait for the disk ------------------------------------------------------- */

static void forget_unmeasured(struct settle *s, size_t n)
{
	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		free((uint8_t *)(uintptr_t)s->unmeasured[i].digest);
		free((struct consensus_router *)(uintptr_t)s->unmeasured[i].routers);
	}
	s->n_unmeasured -= n;
	memmove(s->unmeasured, s->unmeasured + n, s->n_unmeasured * sizeof(*s->unmeasured));
}

/* The directory offers each once, and an auditor that missed one cannot attest its epoch. */
static void keep_unmeasured(struct settle *s, const struct consensus_facts *c)
{
	struct consensus_facts copy = *c;

	if (s->n_unmeasured == UNMEASURED_MAX)
		forget_unmeasured(s, 1);
	/* Others have to give the document out. */
	copy.text = NULL;
	copy.digest = mem_dup(c->digest, 32);
	copy.routers = c->n_routers ? mem_dup(c->routers, c->n_routers * sizeof(*c->routers)) : NULL;
	s->unmeasured = mem_resize(s->unmeasured, s->n_unmeasured + 1, sizeof(*s->unmeasured));
	s->unmeasured[s->n_unmeasured++] = copy;
}

static void take_unmeasured(struct settle *s)
{
	while (s->n_unmeasured && s->measure && take_consensus(s, &s->unmeasured[0]) != ERR_IO)
		forget_unmeasured(s, 1);
}

void settle_consensus(struct settle *s, const struct consensus_facts *c)
{
	if (!s->config->measure || c->flavour != FLAVOUR_MICRODESC)
		return;
	/* In the order of their coming: is_complete() of an epoch looks at the newest alone. */
	if (s->n_unmeasured || take_consensus(s, c) == ERR_IO)
		keep_unmeasured(s, c);
}

static int find_microdesc(void *arg, struct microdesc_facts *ret, const uint8_t digest[32])
{
	return directory_microdesc(arg, ret, digest);
}

static void look_for_microdescs(struct settle *s)
{
	if (!s->measure || !s->directory || clock_now_ms() < s->microdescs_ms)
		return;
	s->microdescs_ms = clock_now_ms() + (s->config->network == NETWORK_TEST ? 1000 : MICRODESCS_MS);
	if (measure_microdescs(s->measure, find_microdesc, s->directory, &s->microdescs_missing) < 0)
		measure_failed(s);
}

/* -- life ----------------------------------------------------------------------------- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct settle *s = arg;

	(void)fd;
	(void)what;
	clock_update();
	open_measure(s);
	take_unmeasured(s);
	settle_ledger_open(s);
	check_measuring(s);
	settle_clock_tick(s);
	settle_share_tick(s);
	look_for_microdescs(s);
	settle_epoch_tick(s);
	settle_claim_tick(s);
}

struct settle *settle_new(struct event_base *base, const struct config *config)
{
	static const struct timeval second = { .tv_sec = TICK_S };
	struct settle *s = mem_new(sizeof(*s));

	s->base = base;
	s->config = config;
	s->waiting_end = &s->waiting;
	s->tick = event_new(base, -1, EV_PERSIST, on_tick, s);
	if (!s->tick)
		mem_fail();
	event_add(s->tick, &second);
	open_measure(s);
	settle_ledger_open(s);
	return s;
}

void settle_use(struct settle *s, const struct config *config, struct directory *directory)
{
	s->config = config;
	s->directory = directory;
	if (config->measure)
		return;
	measure_close(s->measure);
	s->measure = NULL;
	s->measure_problem.text[0] = '\0';
	forget_unmeasured(s, s->n_unmeasured);
}

void settle_relay_is(struct settle *s, const uint8_t relay_id[RELAY_ID_LEN])
{
	memcpy(s->relay_id, relay_id, RELAY_ID_LEN);
	s->has_relay = true;
}

void settle_free(struct settle *s)
{
	if (!s)
		return;
	event_free(s->tick);
	settle_ledger_close(s);
	measure_close(s->measure);
	forget_unmeasured(s, s->n_unmeasured);
	free(s->unmeasured);
	json_decref(s->risks);
	free(s);
}

/* -- telling -------------------------------------------------------------------------- */

static json_t *time_json(int64_t t)
{
	return t ? json_integer(t) : json_null();
}

static json_t *measurement_json(struct settle *s)
{
	struct measure_status st = { 0 };

	if (s->measure && measure_status(s->measure, &st) < 0)
		measure_failed(s);
	return json_pack("{s:b, s:I, s:I, s:o, s:o, s:I, s:o}", "on", s->config->measure,
			 "consensuses", (json_int_t)st.consensuses, "relays", (json_int_t)st.relays,
			 "oldest", time_json(st.oldest), "newest", time_json(st.newest),
			 "microdescriptors_missing", (json_int_t)s->microdescs_missing,
			 "problem", settle_problem_json(&s->measure_problem));
}

struct ailment {
	const struct settle_problem *problem;
	const char *advice;
};

/* The worst of what is wrong, and what helps; false: nothing is. */
static bool find_problem(const struct settle *s, struct ailment *ret)
{
	const struct ailment rows[] = {
		{ &s->ledger_problem, "the sentence names the file; see section [ledger] of nonosd.conf(5), and the disk" },
		{ &s->clock_problem, "set it right; if it is, \"nonosctl ledger clock --right\" goes on" },
		{ &s->epoch_problem, "relays are paid when it is closed; the log and nonosctl ledger head say more" },
		{ &s->measure_problem, s->config->measure ? "make room on the disk of data_dir, or move measure.db away" :
							    "set measure = yes in section [ledger], then nonosctl reload" },
		{ &s->claim_problem, "nonosctl rewards claims shows what waits; nonosctl rewards claim claims by hand" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].problem->text[0]) {
			*ret = rows[i];
			return true;
		}
	return false;
}

static void put_problem(const struct settle *s, json_t *o)
{
	struct ailment a;
	bool found = find_problem(s, &a);

	json_object_set_new(o, "problem", found ? json_sentence(a.problem->text) : json_null());
	if (found)
		json_object_set_new(o, "do", json_string(a.advice));
}

void settle_watch(struct settle *s, void (*tell)(void *arg, const char *topic, json_t *data), void *arg)
{
	s->tell = tell;
	s->tell_arg = arg;
}

void settle_tell(struct settle *s, const char *topic, json_t *data)
{
	if (s->tell)
		s->tell(s->tell_arg, topic, data);
	else
		json_decref(data);
}

json_t *settle_status(struct settle *s)
{
	json_t *o = json_object();

	if (!s)
		return o;
	settle_ledger_status(s, o);
	settle_share_status(s, o);
	json_object_set_new(o, "measurement", measurement_json(s));
	put_problem(s, o);
	json_object_set_new(o, "risks", settle_risks(s));
	return o;
}

bool settle_numbers(struct settle *s, struct settle_numbers *ret)
{
	struct settle_numbers n = { .follows = s->follow != NULL };
	struct ledger_head h;
	struct ailment a;

	if (!s->config->genesis)
		return false;
	n.problem = find_problem(s, &a);
	n.is_open = s->ledger != NULL;
	if (n.is_open) {
		ledger_head(s->ledger, &h);
		n.height = h.size;
		n.has_epochs = settle_epochs(s, &n.epochs_closed, &n.epochs_behind) == 0;
	}
	n.forked = n.follows && follow_is_forked(s->follow);
	*ret = n;
	return true;
}
