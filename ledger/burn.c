#include "config.h"

#include <nonos/burn.h>

#include <stddef.h>

#include <nonos/err.h>

enum { SIGNAL_MAX = BURN_PPM, STEP_PART = 8, BPS = 10000, DAY_S = 86400 };

struct burn_params burn_params_default(void)
{
	return (struct burn_params){
		.start_ppm = 100000,
		.min_ppm = 10000,
		.max_ppm = 500000,
		.issuance_bp = 200,
		.staked_bp = 4000,
		.runway_days = 365,
		.issuance_weight = 2,
		.staked_weight = 1,
		.runway_weight = 1,
	};
}

static uint32_t weights(const struct burn_params *p)
{
	return p->issuance_weight + p->staked_weight + p->runway_weight;
}

int burn_params_check(const struct burn_params *p)
{
	if (p->issuance_weight > BURN_WEIGHT_MAX || p->staked_weight > BURN_WEIGHT_MAX ||
	    p->runway_weight > BURN_WEIGHT_MAX || weights(p) == 0)
		return ERR_RANGE;
	if (p->min_ppm < BURN_MIN_PPM || p->min_ppm > p->start_ppm || p->start_ppm > p->max_ppm || p->max_ppm > BURN_PPM)
		return ERR_RANGE;
	return p->issuance_bp <= BPS && p->staked_bp <= BPS ? 0 : ERR_RANGE;
}

/* floor(a * b / divisor); all ones when that does not fit: every caller clips it. */
static struct amount scaled(struct amount a, uint64_t b, struct amount divisor)
{
	struct amount q = { UINT64_MAX, UINT64_MAX };

	(void)amount_muldiv(&q, NULL, a, amount_u64(b), divisor);
	return q;
}

static int32_t signal(struct amount figure, struct amount target)
{
	struct amount q;

	if (amount_is_zero(target))
		return amount_is_zero(figure) ? -SIGNAL_MAX : SIGNAL_MAX;
	q = scaled(figure, BURN_PPM, target);
	if (amount_cmp(q, amount_u64(2 * SIGNAL_MAX)) > 0)
		return SIGNAL_MAX;
	return (int32_t)q.lo - SIGNAL_MAX;
}

static int32_t issuance_signal(const struct burn_params *p, const struct burn_inputs *in)
{
	struct amount net = { 0 }, target;

	(void)amount_sub(&net, in->issued, in->burnt);		/* stays 0 when more was burnt */
	target = scaled(in->circulating, (uint64_t)p->issuance_bp * in->elapsed_s, amount_u64((uint64_t)BPS * BURN_YEAR_S));
	return signal(net, target);
}

static int32_t runway_signal(const struct burn_params *p, const struct burn_inputs *in)
{
	if (amount_is_zero(in->spent))
		return SIGNAL_MAX;
	return signal(scaled(in->treasury, in->elapsed_s, in->spent), amount_u64((uint64_t)p->runway_days * DAY_S));
}

static int32_t mean(const struct burn_params *p, const struct burn_signals *s)
{
	int64_t sum = (int64_t)p->issuance_weight * s->issuance + (int64_t)p->staked_weight * s->staking +
		      (int64_t)p->runway_weight * s->runway;

	return (int32_t)(sum / weights(p));
}

static uint32_t clip(int64_t rate, const struct burn_params *p)
{
	return rate < p->min_ppm ? p->min_ppm : rate > p->max_ppm ? p->max_ppm : (uint32_t)rate;
}

uint32_t burn_next(const struct burn_params *p, uint32_t rate_ppm, const struct burn_inputs *in,
		   struct burn_signals *ret_signals)
{
	struct burn_signals s = {
		.issuance = issuance_signal(p, in),
		.staking = signal(in->staked, scaled(in->circulating, p->staked_bp, amount_u64(BPS))),
		.runway = runway_signal(p, in),
	};
	int64_t step;

	s.mean = mean(p, &s);
	step = (int64_t)rate_ppm * (s.mean < 0 ? -s.mean : s.mean) / (STEP_PART * (int64_t)BURN_PPM);
	if (step == 0 && s.mean != 0)
		step = 1;
	if (ret_signals)
		*ret_signals = s;
	return clip(s.mean < 0 ? rate_ppm - step : rate_ppm + step, p);
}

struct amount burn_part(struct amount amount, uint32_t rate_ppm)
{
	return scaled(amount, rate_ppm, amount_u64(BURN_PPM));
}
