#include "config.h"

#include "flag_advice.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOTES_MAX = 16, DAY = 86400 };

static void say(struct flag_advice *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Add to what is needed, after a semicolon. */
static void say(struct flag_advice *a, const char *fmt, ...)
{
	size_t used = strlen(a->needs);
	va_list ap;

	if (used && used + 2 < sizeof(a->needs))
		memcpy(a->needs + used, "; ", 3);
	used = strlen(a->needs);
	va_start(ap, fmt);
	vsnprintf(a->needs + used, sizeof(a->needs) - used, fmt, ap);
	va_end(ap);
}

static void wait_for(struct flag_advice *a, uint64_t have, uint64_t want)
{
	int64_t s = want > have ? (int64_t)(want - have) : 0;

	if (s > a->wait_s)
		a->wait_s = s;
}

static int compare_u64(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The middle one of what the votes say: what a majority goes by. */
static uint64_t median(const struct flag_facts *f, uint64_t (*value)(const struct vote_view *v))
{
	uint64_t v[VOTES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < f->n_votes && n < VOTES_MAX; i++)
		if (f->votes[i].good && f->votes[i].vote.has_thresholds && f->votes[i].vote.listed)
			v[n++] = value(&f->votes[i].vote);
	qsort(v, n, sizeof(v[0]), compare_u64);
	return n ? v[n / 2] : 0;
}

static uint64_t bandwidth_of(const struct vote_view *v)
{
	uint64_t kb = v->has_measured ? v->measured_kb : v->bandwidth_kb;

	return kb < UINT64_MAX / 1000 ? kb * 1000 : UINT64_MAX;
}

static uint64_t fast_of(const struct vote_view *v)
{
	return v->thresholds.fast_speed;
}

/* An exit counts against the lower of the two (dir-spec 3.4.2). */
static uint64_t guard_bw_of(const struct vote_view *v)
{
	const struct vote_thresholds *t = &v->thresholds;

	return t->guard_bw_inc_exits < t->guard_bw_exc_exits ? t->guard_bw_inc_exits : t->guard_bw_exc_exits;
}

static uint64_t wfu_of(const struct vote_view *v)
{
	return v->wfu_ppm;
}

static uint64_t guard_wfu_of(const struct vote_view *v)
{
	return v->thresholds.guard_wfu_ppm;
}

static uint64_t tk_of(const struct vote_view *v)
{
	return v->tk_s;
}

static uint64_t guard_tk_of(const struct vote_view *v)
{
	return v->thresholds.guard_tk_s;
}

static uint64_t mtbf_of(const struct vote_view *v)
{
	return v->mtbf_s;
}

static uint64_t stable_mtbf_of(const struct vote_view *v)
{
	return v->thresholds.stable_mtbf_s;
}

static unsigned voters(const struct flag_facts *f)
{
	unsigned n = 0;

	for (size_t i = 0; i < f->n_votes; i++)
		n += f->votes[i].good;
	return n;
}

static unsigned votes_for(const struct flag_facts *f, uint32_t flag)
{
	unsigned n = 0;

	for (size_t i = 0; i < f->n_votes; i++)
		n += f->votes[i].good && f->votes[i].vote.listed && f->votes[i].vote.flags & flag;
	return n;
}

/* "5 days", "3 h" */
static const char *span_text(char out[32], uint64_t s)
{
	if (s >= 2 * DAY)
		snprintf(out, 32, "%llu days", (unsigned long long)s / DAY);
	else if (s >= 3600)
		snprintf(out, 32, "%llu h", (unsigned long long)s / 3600);
	else
		snprintf(out, 32, "%llu s", (unsigned long long)s);
	return out;
}

/* -- flag by flag --------------------------------------------------------------------- */

static void need_running(struct flag_advice *a, const struct flag_facts *f)
{
	(void)f;
	say(a, "a majority of the authorities must have our descriptor and reach the OR port: see \"relay descriptor\" "
	    "and \"doctor\"");
}

static void need_bandwidth(struct flag_advice *a, const struct flag_facts *f, uint64_t want)
{
	uint64_t have = median(f, bandwidth_of);

	if (have < want)
		say(a, "%llu kB/s; the authorities count %llu kB/s for this relay", (unsigned long long)want / 1000,
		    (unsigned long long)have / 1000);
}

static void need_fast(struct flag_advice *a, const struct flag_facts *f)
{
	need_bandwidth(a, f, median(f, fast_of));
}

static void need_stable(struct flag_advice *a, const struct flag_facts *f)
{
	uint64_t have = median(f, mtbf_of), want = median(f, stable_mtbf_of);
	char x[32], y[32];

	if (have >= want)
		return;
	say(a, "a mean time between failures of %s; this relay's is %s: avoid restarts", span_text(x, want),
	    span_text(y, have));
	wait_for(a, have, want);
}

static void need_known(struct flag_advice *a, const struct flag_facts *f)
{
	uint64_t have = median(f, tk_of), want = median(f, guard_tk_of);
	char x[32], y[32];

	if (have >= want)
		return;
	say(a, "known to the authorities for %s; so far %s", span_text(x, want), span_text(y, have));
	wait_for(a, have, want);
}

static void need_guard(struct flag_advice *a, const struct flag_facts *f)
{
	static const struct { uint32_t flag; const char *name; } before[] = {
		{ FLAG_FAST, "Fast" }, { FLAG_STABLE, "Stable" }, { FLAG_V2DIR, "V2Dir" },
	};
	uint64_t wfu = median(f, wfu_of), want = median(f, guard_wfu_of);

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		if (!(f->flags & before[i].flag))
			say(a, "the flag %s first", before[i].name);
	need_known(a, f);
	if (wfu < want)
		say(a, "up for %.1f %% of the time; this relay was for %.1f %%", (double)want / 10000, (double)wfu / 10000);
	need_bandwidth(a, f, median(f, guard_bw_of));
}

static void need_v2dir(struct flag_advice *a, const struct flag_facts *f)
{
	if (!f->dir_cache)
		say(a, "dir_cache = yes");
}

static void need_exit(struct flag_advice *a, const struct flag_facts *f)
{
	say(a, f->is_exit ? "an exit_policy that lets ports 80 and 443 out, each to at least a /8 of addresses" :
	    "an exit_policy that lets something out; a relay without one is no exit, and need not be");
}

static void need_hsdir(struct flag_advice *a, const struct flag_facts *f)
{
	(void)f;
	say(a, "not offered: this relay keeps no onion service descriptors");
}

static const struct {
	uint32_t flag;
	const char *name;
	bool by_votes;			/* what is missing, only votes tell */
	void (*need)(struct flag_advice *a, const struct flag_facts *f);
} rules[FLAG_ADVICE_N] = {
	{ FLAG_RUNNING, "Running", false, need_running },
	{ FLAG_VALID, "Valid", false, need_running },
	{ FLAG_FAST, "Fast", true, need_fast },
	{ FLAG_STABLE, "Stable", true, need_stable },
	{ FLAG_V2DIR, "V2Dir", false, need_v2dir },
	{ FLAG_GUARD, "Guard", true, need_guard },
	{ FLAG_EXIT, "Exit", false, need_exit },
	{ FLAG_HSDIR, "HSDir", false, need_hsdir },
};

void flag_advice(struct flag_advice ret[FLAG_ADVICE_N], const struct flag_facts *f)
{
	unsigned n = voters(f);

	for (size_t i = 0; i < FLAG_ADVICE_N; i++) {
		struct flag_advice *a = &ret[i];

		*a = (struct flag_advice){
			.name = rules[i].name, .given = f->listed && f->flags & rules[i].flag,
			.votes = votes_for(f, rules[i].flag), .voters = n, .wait_s = -1,
		};
		if (a->given)
			continue;
		if (rules[i].by_votes && !f->listed)
			say(a, "to be listed first");
		else if (rules[i].by_votes && !n)
			say(a, "not known without the votes: ask for them with --votes");
		else
			rules[i].need(a, f);
		if (!a->needs[0] && n)
			say(a, "nothing that the votes show: a majority gives it in one of the next consensuses, or weighs "
			    "it against the other relays");
	}
}
