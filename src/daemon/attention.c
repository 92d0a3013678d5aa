#include "config.h"

#include "attention.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <nonos/mem.h>

enum {
	DAY_S = 86400,
	REACH_S = 900,			/* after a start, until somebody should have connected */
	EXPIRY_WARN_S = 7 * DAY_S,
	EXPIRY_URGENT_S = 2 * DAY_S,
	TEXT_CAP = 400,
};

struct judge {
	const json_t *status;
	int64_t now;
	json_t *problems, *warnings;
};

/* -- reading a status ---------------------------------------------------------------- */

static const json_t *member(const json_t *o, const char *name)
{
	return json_object_get(o, name);
}

static int64_t number(const json_t *o, const char *name)
{
	return json_integer_value(member(o, name));
}

static const char *text(const json_t *o, const char *name)
{
	const char *s = json_string_value(member(o, name));

	return s ? s : "";
}

/* Said to be false; a member that is missing says nothing. */
static bool is_false(const json_t *o, const char *name)
{
	return json_is_false(member(o, name));
}

static bool has_flag(const json_t *consensus, const char *flag)
{
	const json_t *f;
	size_t i;

	json_array_foreach(member(consensus, "flags"), i, f)
		if (json_string_value(f) && strcmp(json_string_value(f), flag) == 0)
			return true;
	return false;
}

/* -- saying what is found -------------------------------------------------------------- */

static void add(struct judge *j, bool problem, const char *advice, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void add(struct judge *j, bool problem, const char *advice, const char *fmt, ...)
{
	char what[TEXT_CAP];
	va_list ap;
	json_t *row;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	row = json_pack("{s:s, s:s, s:s}", "severity", problem ? "problem" : "warning", "what", what, "do", advice);
	if (!row || json_array_append_new(problem ? j->problems : j->warnings, row) < 0)
		mem_fail();
}

/* -- rules --------------------------------------------------------------------------------- */

static void judge_address(struct judge *j)
{
	const char *waits = text(j->status, "waiting_for");

	if (*waits && number(j->status, "uptime_s") > 120)
		add(j, true, "set \"address\" in [relay] if it is the address that is missing; nonosctl doctor tells more",
		    "nothing was published yet: the descriptor waits for %s", waits);
	if (is_false(j->status, "reached") && !*waits && number(j->status, "uptime_s") > REACH_S)
		add(j, false, "open the OR port in the firewall and in the port forwarding of a router; nonosctl doctor tries it",
		    "no other relay has connected since the start %" PRId64 " minutes ago", number(j->status, "uptime_s") / 60);
}

static void judge_consensus(struct judge *j)
{
	const json_t *c = member(j->status, "consensus");
	int64_t valid_until = number(c, "valid_until");

	if (!json_is_object(c) || number(j->status, "uptime_s") < 120)
		return;
	if (!valid_until)
		add(j, true, "check this machine's network and clock; nonosctl doctor does",
		    "there is no consensus: no directory authority has given one");
	else if (valid_until < j->now)
		add(j, true, "check this machine's network and clock; nonosctl doctor does",
		    "the consensus is out of date since %" PRId64 " minutes", (j->now - valid_until) / 60);
}

static void judge_flags(struct judge *j)
{
	const json_t *c = member(j->status, "consensus");

	if (has_flag(c, "BadExit"))
		add(j, true, "ask the authorities' operators why; the contact address in your descriptor is what they have of you",
		    "the network marks this relay as a bad exit");
	if (has_flag(c, "MiddleOnly"))
		add(j, false, "ask the authorities' operators why", "the network uses this relay in the middle of circuits only");
	if (has_flag(c, "StaleDesc"))
		add(j, false, "nonosctl publish uploads a new one; look at the authorities' answers in status",
		    "the network's copy of the descriptor is old");
}

/* An authority takes a descriptor and says 200, and may still not list the relay. */
static void judge_listing(struct judge *j)
{
	const json_t *c = member(j->status, "consensus"), *a;
	int64_t valid_after = number(c, "valid_after"), interval = number(c, "fresh_until") - valid_after, last = 0;
	size_t i;

	json_array_foreach(member(j->status, "directory"), i, a)
		if (number(a, "http_status") == 200 && number(a, "last_upload") > last)
			last = number(a, "last_upload");
	if (!last || !valid_after || !is_false(c, "listed") || valid_after < last + interval)
		return;
	add(j, false, "authorities list a relay that they can reach: check the OR port from outside, and \"nonosctl relay flags\"",
	    "authorities took the descriptor, but the consensus made since then does not list this relay");
}

static void judge_uploads(struct judge *j)
{
	size_t i, n = json_array_size(member(j->status, "directory")), failed = 0;
	const json_t *a;
	char names[200] = "";

	json_array_foreach(member(j->status, "directory"), i, a) {
		int64_t said = number(a, "http_status");
		size_t len = strlen(names);

		if (said >= 0 && said < 400)
			continue;
		failed++;
		snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "", text(a, "name"));
	}
	if (failed)
		add(j, 2 * failed > n, "their answers are in status; 400 means that the descriptor is at fault, the log says more",
		    "%zu of %zu authorities did not take the descriptor: %s", failed, n, names);
}

static void judge_keys(struct judge *j)
{
	const json_t *k = member(j->status, "keys");
	int64_t left = number(k, "signing_expires") - j->now;
	bool offline = json_is_true(member(k, "master_offline"));
	const char *advice = offline ? "make a new one with the offline master key: nonosctl key master renew"
				     : "the log says why it could not be renewed";

	if (!number(k, "signing_expires") || left >= (offline ? EXPIRY_WARN_S : EXPIRY_URGENT_S / 2))
		return;
	if (left <= 0)
		add(j, true, advice, "the signing key has expired, so other relays refuse this one");
	else
		add(j, left < EXPIRY_URGENT_S, advice, "the signing key expires in %" PRId64 " hours", left / 3600);
}

static void judge_memory(struct judge *j)
{
	int64_t used = number(j->status, "memory_bytes"), limit = number(j->status, "max_memory");

	if (limit > 0 && used > limit / 10 * 9)
		add(j, used > limit, "raise max_memory if the machine has more, else lower links_total or bandwidth_rate",
		    "memory is at %" PRId64 " %% of its limit; the biggest circuits are closed first", 100 * used / limit);
}

static void judge_workers(struct judge *j)
{
	const json_t *w;
	size_t i;

	json_array_foreach(member(j->status, "workers"), i, w) {
		const json_t *cage = member(w, "sandbox");

		if (number(w, "restarts") > 0)
			add(j, false, "the log says how each ended; please report a crash",
			    "worker %" PRId64 " had to be started again %" PRId64 " times", number(w, "index"), number(w, "restarts"));
		if (i == 0 && cage && strcmp(text(w, "state"), "ready") == 0 &&
		    (is_false(cage, "seccomp") || number(cage, "landlock") == 0))
			add(j, false, "set sandbox = yes, build with libseccomp, and use a kernel with Landlock (5.13 or later)",
			    "workers are not fully confined");
	}
}

/* Parts that can say themselves what is wrong with them: {"problem", "do"}. */
static void judge_parts(struct judge *j)
{
	static const char *const parts[] = { "ledger", "accounting" };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const json_t *part = member(j->status, parts[i]);

		if (*text(part, "problem"))
			add(j, true, *text(part, "do") ? text(part, "do") : "the log says more", "%s: %s", parts[i],
			    text(part, "problem"));
	}
}

/* What keeps the relay from earning: [{"what", "do"}]. */
static void judge_risks(struct judge *j)
{
	const json_t *risk;
	size_t i;

	json_array_foreach(member(member(j->status, "ledger"), "risks"), i, risk)
		add(j, false, text(risk, "do"), "%s", text(risk, "what"));
}

static void judge_follow(struct judge *j)
{
	const json_t *f = member(member(j->status, "ledger"), "follow");
	bool forked = json_is_true(member(f, "forked"));

	if (*text(f, "problem") && json_is_true(member(f, "ahead")))
		add(j, true, "compare this machine's clock with others; if it is right, the writer's is not: tell its operator",
		    "the journal of %s is not followed: %s", text(f, "url"), text(f, "problem"));
	else if (*text(f, "problem"))
		add(j, forked, forked ? "\"nonosctl ledger fork\" shows both checkpoints; show them to the others, who may have been "
				"told one or the other" : "look whether that node runs and can be reached",
		    "the journal of %s is not followed: %s", text(f, "url"), text(f, "problem"));
}

json_t *attention_make(const json_t *status, int64_t now)
{
	static void (*const rules[])(struct judge *j) = {
		judge_consensus, judge_address, judge_uploads, judge_listing, judge_flags, judge_keys, judge_memory,
		judge_workers, judge_parts, judge_risks, judge_follow,
	};
	struct judge j = { status, now, json_array(), json_array() };

	if (!j.problems || !j.warnings)
		mem_fail();
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		rules[i](&j);
	json_array_extend(j.problems, j.warnings);
	json_decref(j.warnings);
	return j.problems;
}

/* -- what we depend on ---------------------------------------------------------------------- */

enum health { HEALTH_OK, HEALTH_FAILING, HEALTH_UNKNOWN };

static void depend(json_t *list, enum health health, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void depend(json_t *list, enum health health, const char *name, const char *fmt, ...)
{
	static const char *const words[] = { "ok", "failing", "unknown" };
	char detail[TEXT_CAP];
	va_list ap;
	json_t *row;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	row = json_pack("{s:s, s:s, s:s}", "name", name, "health", words[health], "detail", detail);
	if (!row || json_array_append_new(list, row) < 0)
		mem_fail();
}

static void depend_on_authority(json_t *list, const json_t *a, int64_t now)
{
	int64_t fetched = number(a, "fetch_status"), when = number(a, "last_fetch");
	char name[80];

	snprintf(name, sizeof(name), "authority %s", text(a, "name"));
	if (!when)
		depend(list, HEALTH_UNKNOWN, name, "not asked yet");
	else if (fetched < 0 || fetched >= 500)
		depend(list, HEALTH_FAILING, name, "no good answer %" PRId64 " s ago: %s", now - when,
		       fetched < 0 ? "not reached" : "an error of the server");
	else
		depend(list, HEALTH_OK, name, "answered %" PRId64 " s ago", now - when);
}

static void depend_on_consensus(json_t *list, const json_t *status, int64_t now)
{
	const json_t *c = member(status, "consensus");
	int64_t until = number(c, "valid_until");

	if (!until)
		depend(list, HEALTH_UNKNOWN, "consensus", "none yet");
	else if (until < now)
		depend(list, HEALTH_FAILING, "consensus", "out of date since %" PRId64 " s", now - until);
	else
		depend(list, HEALTH_OK, "consensus", "valid for another %" PRId64 " s", until - now);
}

/* Judged by what our exit streams asked; a relay that asks nothing knows nothing. */
static void depend_on_dns(json_t *list, const json_t *status)
{
	const json_t *c = member(status, "counters");
	int64_t asked = number(c, "dns_queries") - number(c, "dns_hits"), silent = number(c, "dns_no_answer");

	if (asked <= 0)
		depend(list, HEALTH_UNKNOWN, "name servers", "not asked yet");
	else
		depend(list, silent > 10 && 2 * silent > asked ? HEALTH_FAILING : HEALTH_OK, "name servers",
		       "%" PRId64 " of %" PRId64 " questions had no answer in time", silent, asked);
}

static void depend_on_writer(json_t *list, const json_t *status, int64_t now)
{
	const json_t *f = member(member(status, "ledger"), "follow");
	int64_t contact = number(f, "last_contact");

	if (!json_is_object(f))
		return;
	if (*text(f, "problem"))
		depend(list, HEALTH_FAILING, "journal", "%s", text(f, "problem"));
	else if (contact)
		depend(list, HEALTH_OK, "journal", "answered %" PRId64 " s ago", now - contact);
	else
		depend(list, HEALTH_UNKNOWN, "journal", "not asked yet");
}

json_t *dependencies_make(const json_t *status, int64_t now)
{
	json_t *list = json_array();
	const json_t *a;
	size_t i;

	if (!list)
		mem_fail();
	depend_on_consensus(list, status, now);
	json_array_foreach(member(status, "directory"), i, a)
		depend_on_authority(list, a, now);
	depend_on_dns(list, status);
	depend_on_writer(list, status, now);
	return list;
}
