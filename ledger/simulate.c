#include "config.h"

#include <nonos/simulate.h>

#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/note.h>

enum { STEP_MIN_S = 3600 };

struct state {
	const struct genesis *g;
	const struct simulate_world *w;
	struct amount burnt, circulating, reserve, treasury;
	uint32_t burn_ppm, step_s;
};

/* floor(a * b / c), for c that is not 0 and a b that is at most about c. */
static struct amount part(struct amount a, uint64_t b, uint64_t c)
{
	struct amount q = { 0 };

	(void)amount_muldiv(&q, NULL, a, amount_u64(b), amount_u64(c));
	return q;
}

static struct amount least(struct amount a, struct amount b)
{
	return amount_cmp(a, b) < 0 ? a : b;
}

static void move(struct amount *from, struct amount *to, struct amount a)
{
	(void)amount_sub(from, *from, a);
	(void)amount_add(to, *to, a);
}

static void add(struct amount *sum, struct amount a)
{
	(void)amount_add(sum, *sum, a);
}

static struct amount emit(struct state *s)
{
	const struct reward_params *p = &s->g->rewards;
	struct amount paid = part(s->reserve, (uint64_t)p->reserve_rate_bp * s->step_s, (uint64_t)REWARD_BP * REWARD_YEAR_S);

	move(&s->reserve, &s->circulating, paid);
	return paid;
}

/* Fees come from those who use modules: the publisher's share just changes hands. */
static struct amount earn(struct state *s, struct amount *ret_revenue)
{
	struct amount fees = least(part(s->w->revenue, s->step_s, REWARD_YEAR_S), s->circulating), rest = fees, burnt;

	(void)amount_sub(&rest, rest, part(fees, s->g->revenue.publisher_bp, REWARD_BP));
	burnt = burn_part(rest, s->burn_ppm);
	move(&s->circulating, &s->burnt, burnt);
	(void)amount_sub(&rest, rest, burnt);
	/* The vault's share is the contributors', who have it in circulation. */
	(void)amount_sub(&rest, rest, part(rest, s->g->revenue.vault_bp, REWARD_BP));
	move(&s->circulating, &s->treasury, rest);
	*ret_revenue = fees;
	return burnt;
}

static struct amount spend(struct state *s)
{
	struct amount paid = least(part(s->w->spend, s->step_s, REWARD_YEAR_S), s->treasury);

	move(&s->treasury, &s->circulating, paid);
	return paid;
}

static void step(struct state *s, struct simulate_year *y)
{
	struct amount issued = emit(s), revenue, burnt = earn(s, &revenue), spent = spend(s);
	struct burn_inputs in = {
		.elapsed_s = s->step_s,
		.issued = issued,
		.burnt = burnt,
		.spent = spent,
		.circulating = s->circulating,
		.staked = part(s->circulating, s->w->staked_bp, REWARD_BP),
		.treasury = s->treasury,
	};

	s->burn_ppm = burn_next(&s->g->burn, s->burn_ppm, &in, NULL);
	add(&y->emission, issued);
	add(&y->burnt, burnt);
	add(&y->revenue, revenue);
	add(&y->spent, spent);
}

static void close_year(const struct state *s, struct simulate_year *y)
{
	struct amount days;

	y->circulating = s->circulating;
	y->reserve = s->reserve;
	y->treasury = s->treasury;
	y->burn_ppm = s->burn_ppm;
	(void)amount_sub(&y->supply, s->g->supply, s->burnt);
	y->runway_days = UINT64_MAX;
	if (!amount_is_zero(s->w->spend) && amount_muldiv(&days, NULL, s->treasury, amount_u64(365), s->w->spend) == 0 && days.hi == 0)
		y->runway_days = days.lo;
}

int simulate(struct simulate_year *ret, const struct genesis *g, const struct simulate_world *w)
{
	uint32_t epoch_s = g->rewards.epoch_s;
	struct state s = { .g = g, .w = w, .burnt = g->burnt, .reserve = g->reserve, .burn_ppm = g->burn.start_ppm };
	uint64_t done_s = 0;

	if (w->years == 0 || w->years > SIMULATE_YEARS_MAX || w->staked_bp > REWARD_BP || amount_cmp(w->revenue, g->supply) > 0 ||
	    amount_cmp(w->spend, g->supply) > 0)
		return ERR_RANGE;
	s.step_s = epoch_s >= STEP_MIN_S ? epoch_s : epoch_s * ((STEP_MIN_S + epoch_s - 1) / epoch_s);
	(void)amount_sub(&s.circulating, g->public_part, g->burnt);
	for (unsigned year = 0; year <= w->years; year++) {
		ret[year] = (struct simulate_year){ .year = year };
		for (; done_s + s.step_s <= (uint64_t)year * REWARD_YEAR_S; done_s += s.step_s)
			step(&s, &ret[year]);
		close_year(&s, &ret[year]);
	}
	return 0;
}

int simulate_usual(struct genesis **ret, char why[GENESIS_WHY_CAP])
{
	static const uint8_t no_key[ED25519_PUB_LEN];
	struct eth_addr nobody = { { 1 } };
	char log[NOTE_VKEY_CAP], *text;
	struct note_key key;
	json_t *doc;
	size_t len;
	int r = note_key_make(&key, "usual", NOTE_ED25519, no_key);

	if (r < 0)
		return r;
	note_key_text(log, &key);
	doc = genesis_usual("usual", 0, &nobody, &nobody, log);
	r = jcs_write(&text, &len, doc);
	json_decref(doc);
	if (r < 0)
		return r;
	r = genesis_read(ret, why, text, len);
	free(text);
	return r;
}
