/*
 * TOR_VEGAS (proposal 324); see cc.h. Owned by the flow control of a circuit.
 * Windows count cells, times are microseconds; all divisions round as the
 * proposal's pseudocode does, because both ends of the network should move alike.
 */
#include "config.h"

#include "cc.h"

#include <stdlib.h>

#include <nonos/err.h>
#include <nonos/mem.h>

enum {
	OUTBUF_CELLS = 62,	/* two TLS records: unit of the Vegas defaults */
	RTT_JUMP = 5000,	/* times larger or smaller: the clock jumped or stalled */
	TIMES_MIN = 8,		/* first size of the ring of sending times */
};

struct cc {
	struct cc_params p;
	uint8_t sendme_inc;
	bool slow_start;
	bool cwnd_full;
	uint32_t cwnd;
	uint32_t inflight;
	uint32_t since_due;	/* cells sent since the last one that a SENDME is due for */
	uint32_t next_cc_event;
	uint32_t next_cwnd_event;
	uint32_t rtt_ewma, rtt_min, rtt_max;
	/* When the cells were sent that SENDMEs are due for: a ring. */
	uint64_t *times;
	uint32_t times_cap, times_head, times_n;
};

/* Whether the last RTT of any circuit was 0 (2.1.1: one clock, one verdict). */
static bool clock_stalled;

void cc_params_default(struct cc_params *p)
{
	*p = (struct cc_params){
		.cwnd_init = 4 * 31,
		.cwnd_min = 31,
		.cwnd_max = INT32_MAX,
		.cwnd_inc = 31,
		.cwnd_inc_rate = 1,
		.cwnd_inc_pct_ss = 50,
		.cwnd_full_gap = 2,
		.cwnd_full_minpct = 75,
		.cwnd_full_per_cwnd = 1,
		.sendme_inc = 31,
		.ewma_cwnd_pct = 50,
		.ewma_max = 10,
		.ewma_ss = 2,
		.rtt_reset_pct = 100,
		.vegas_alpha = 2 * OUTBUF_CELLS,
		.vegas_beta = 4 * OUTBUF_CELLS,
		.vegas_gamma = 3 * OUTBUF_CELLS,
		.vegas_delta = 6 * OUTBUF_CELLS,
		.vegas_sscap = 500,
		.bwe_min = 5,
		.xoff_client = 500,
		.xoff_exit = 500,
		.xon_rate = 500,
		.xon_change_pct = 25,
		.xon_ewma_cnt = 2,
		.ss_max = 5000,
	};
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* SENDMEs in a window, rounded; never 0, or the event it counts down to would not come. */
static uint32_t sendmes_per_cwnd(const struct cc *c)
{
	return max_u32((uint32_t)(((uint64_t)c->cwnd + c->sendme_inc / 2) / c->sendme_inc), 1);
}

static uint32_t cwnd_update_rate(const struct cc *c)
{
	uint64_t step = (uint64_t)c->p.cwnd_inc_rate * c->sendme_inc;

	if (c->slow_start)
		return 1;
	return max_u32((uint32_t)((c->cwnd + step / 2) / step), 1);
}

struct cc *cc_new(const struct cc_params *p, uint8_t sendme_inc)
{
	struct cc *c = mem_new(sizeof(*c));

	c->p = *p;
	c->sendme_inc = sendme_inc ? sendme_inc : 1;
	c->p.cwnd_inc_rate = max_u32(p->cwnd_inc_rate, 1);
	/* A window smaller than one increment would never be acknowledged. */
	c->p.cwnd_min = max_u32(p->cwnd_min, c->sendme_inc);
	c->p.cwnd_max = max_u32(p->cwnd_max, c->p.cwnd_min);
	c->cwnd = max_u32(p->cwnd_init, c->p.cwnd_min);
	c->slow_start = true;
	c->next_cc_event = cwnd_update_rate(c);
	c->next_cwnd_event = sendmes_per_cwnd(c);
	return c;
}

void cc_free(struct cc *c)
{
	if (!c)
		return;
	free(c->times);
	free(c);
}

uint32_t cc_room(const struct cc *c)
{
	return c->cwnd > c->inflight ? c->cwnd - c->inflight : 0;
}

static void times_push(struct cc *c, uint64_t now_us)
{
	if (c->times_n == c->times_cap) {
		uint32_t cap = c->times_cap ? 2 * c->times_cap : TIMES_MIN;
		uint64_t *bigger = mem_new_array(cap, sizeof(*bigger));

		for (uint32_t i = 0; i < c->times_n; i++)
			bigger[i] = c->times[(c->times_head + i) % c->times_cap];
		free(c->times);
		c->times = bigger;
		c->times_cap = cap;
		c->times_head = 0;
	}
	c->times[(c->times_head + c->times_n++) % c->times_cap] = now_us;
}

static uint64_t times_pop(struct cc *c)
{
	uint64_t t = c->times[c->times_head];

	c->times_head = (c->times_head + 1) % c->times_cap;
	c->times_n--;
	return t;
}

bool cc_sent(struct cc *c, uint64_t now_us)
{
	c->inflight++;
	if (++c->since_due < c->sendme_inc)
		return false;
	c->since_due = 0;
	times_push(c, now_us);
	return true;
}

uint64_t cc_n_ewma(uint64_t value, uint64_t before, uint32_t n)
{
	if (before == 0)
		return value;
	return (value * 2 + before * (n - 1)) / ((uint64_t)n + 1);
}

/* Clock heuristics (2.1.1): false when this RTT says nothing. */
static bool rtt_is_usable(const struct cc *c, uint64_t rtt)
{
	if (rtt == 0) {
		clock_stalled = true;
		return false;
	}
	if (c->rtt_ewma == 0 || c->slow_start)
		return true;
	if (rtt / RTT_JUMP > c->rtt_ewma)
		return false;
	if (rtt * RTT_JUMP < c->rtt_ewma)
		return !clock_stalled;
	clock_stalled = false;
	return true;
}

static uint32_t ewma_n(const struct cc *c)
{
	uint32_t n;

	if (c->slow_start)
		return max_u32(c->p.ewma_ss, 2);
	n = (uint32_t)((uint64_t)cwnd_update_rate(c) * c->p.ewma_cwnd_pct / 100);
	return max_u32(min_u32(n, c->p.ewma_max), 2);
}

static void rtt_update(struct cc *c, uint32_t rtt)
{
	c->rtt_max = max_u32(c->rtt_max, rtt);
	c->rtt_ewma = (uint32_t)cc_n_ewma(rtt, c->rtt_ewma, ewma_n(c));
	c->rtt_ewma = max_u32(c->rtt_ewma, 1);
	if (c->rtt_min == 0 || c->rtt_ewma < c->rtt_min)
		c->rtt_min = c->rtt_ewma;
	else if (c->cwnd == c->p.cwnd_min && !c->slow_start)
		/* Starved: the smallest RTT ever may be out of reach by now (3.1.2). */
		c->rtt_min = (uint32_t)(((uint64_t)c->p.rtt_reset_pct * c->rtt_ewma +
					 (uint64_t)(100 - min_u32(c->p.rtt_reset_pct, 100)) * c->rtt_min) / 100);
}

static uint32_t slow_start_inc(const struct cc *c)
{
	uint64_t twice = 2 * (uint64_t)c->cwnd;

	if (c->cwnd <= c->p.vegas_sscap)
		return (c->p.cwnd_inc_pct_ss * c->sendme_inc + 50) / 100;
	return max_u32((uint32_t)(((uint64_t)c->sendme_inc * c->p.vegas_sscap + c->cwnd) / twice), 1);
}

static void slow_start_step(struct cc *c, uint64_t bdp, uint64_t queue_use, bool blocked)
{
	if (queue_use >= c->p.vegas_gamma || blocked) {
		c->slow_start = false;
		c->cwnd = (uint32_t)(bdp + c->p.vegas_gamma > UINT32_MAX ? UINT32_MAX : bdp + c->p.vegas_gamma);
	} else if (c->cwnd_full) {
		uint32_t inc = slow_start_inc(c);

		c->cwnd += inc;
		/* No faster than the steady state would be: go over to it. */
		if ((uint64_t)inc * sendmes_per_cwnd(c) <= (uint64_t)c->p.cwnd_inc * c->p.cwnd_inc_rate)
			c->slow_start = false;
	}
	if (c->cwnd >= c->p.ss_max) {
		c->cwnd = c->p.ss_max;
		c->slow_start = false;
	}
}

static void steady_step(struct cc *c, uint64_t bdp, uint64_t queue_use, bool blocked)
{
	int64_t cwnd = c->cwnd;

	if (queue_use > c->p.vegas_delta)
		cwnd = (int64_t)bdp + c->p.vegas_delta - c->p.cwnd_inc;
	else if (queue_use > c->p.vegas_beta || blocked)
		cwnd -= c->p.cwnd_inc;
	else if (c->cwnd_full && queue_use < c->p.vegas_alpha)
		cwnd += c->p.cwnd_inc;
	c->cwnd = cwnd < 0 ? 0 : cwnd > UINT32_MAX ? UINT32_MAX : (uint32_t)cwnd;
}

static void check_full(struct cc *c)
{
	if ((uint64_t)c->inflight + (uint64_t)c->p.cwnd_full_gap * c->sendme_inc >= c->cwnd)
		c->cwnd_full = true;
	else if (100 * (uint64_t)c->inflight < (uint64_t)c->p.cwnd_full_minpct * c->cwnd)
		c->cwnd_full = false;
}

static void vegas_update(struct cc *c, bool blocked)
{
	/* rtt_min <= rtt_ewma, so the estimate never exceeds the window. */
	uint64_t bdp = (uint64_t)c->cwnd * c->rtt_min / c->rtt_ewma;
	uint64_t queue_use = bdp > c->cwnd ? 0 : c->cwnd - bdp;

	check_full(c);
	if (c->slow_start)
		slow_start_step(c, bdp, queue_use, blocked);
	else if (c->next_cc_event == 0)
		steady_step(c, bdp, queue_use, blocked);
	c->cwnd = min_u32(max_u32(c->cwnd, c->p.cwnd_min), c->p.cwnd_max);

	if (c->next_cc_event == 0)
		c->next_cc_event = cwnd_update_rate(c);
	if (c->next_cwnd_event == 0)
		c->next_cwnd_event = sendmes_per_cwnd(c);
	if (c->p.cwnd_full_per_cwnd ? c->next_cwnd_event == sendmes_per_cwnd(c)
				    : c->next_cc_event == cwnd_update_rate(c))
		c->cwnd_full = false;
}

int cc_sendme(struct cc *c, uint64_t now_us, bool blocked)
{
	uint64_t rtt, sent_us;

	if (c->times_n == 0)
		return ERR_PROTOCOL;
	sent_us = times_pop(c);
	rtt = now_us > sent_us ? now_us - sent_us : 0;
	if (rtt > UINT32_MAX / 2)
		rtt = UINT32_MAX / 2;
	if (c->next_cc_event)
		c->next_cc_event--;
	if (c->next_cwnd_event)
		c->next_cwnd_event--;
	if (rtt_is_usable(c, rtt)) {
		rtt_update(c, (uint32_t)rtt);
		vegas_update(c, blocked);
	}
	c->inflight -= c->sendme_inc;
	return 0;
}

uint32_t cc_cwnd(const struct cc *c)
{
	return c->cwnd;
}

uint32_t cc_inflight(const struct cc *c)
{
	return c->inflight;
}

uint32_t cc_rtt_us(const struct cc *c)
{
	return c->rtt_ewma;
}

uint32_t cc_rtt_min_us(const struct cc *c)
{
	return c->rtt_min;
}

uint32_t cc_rtt_max_us(const struct cc *c)
{
	return c->rtt_max;
}

bool cc_in_slow_start(const struct cc *c)
{
	return c->slow_start;
}

size_t cc_bytes(const struct cc *c)
{
	return sizeof(*c) + c->times_cap * sizeof(*c->times);
}
