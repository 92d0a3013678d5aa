/*
 * Congestion control of one circuit at its exit end: TOR_VEGAS of proposal
 * 324. Pure: fed with times and counts, answers with a window.
 */
#ifndef RELAY_CC_H
#define RELAY_CC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Consensus parameters cc_* (proposal 324 6.5, param-spec), already clipped to range. */
struct cc_params {
	uint32_t cwnd_init, cwnd_min, cwnd_max, cwnd_inc, cwnd_inc_rate, cwnd_inc_pct_ss, cwnd_full_gap,
		 cwnd_full_minpct, cwnd_full_per_cwnd;
	uint32_t sendme_inc;		/* cells per SENDME, 31 */
	uint32_t ewma_cwnd_pct, ewma_max, ewma_ss, rtt_reset_pct;
	uint32_t vegas_alpha, vegas_beta, vegas_gamma, vegas_delta, vegas_sscap;	/* exit variant, cells */
	uint32_t bwe_min;
	uint32_t xoff_client, xoff_exit;	/* cells */
	uint32_t xon_rate, xon_change_pct, xon_ewma_cnt;
	uint32_t ss_max;		/* cells; hard limit of slow start */
};

void cc_params_default(struct cc_params *p);

struct cc;

/* `p` is copied. `sendme_inc` is the one agreed in the handshake. */
struct cc *cc_new(const struct cc_params *p, uint8_t sendme_inc);
void cc_free(struct cc *c);

/* How many more DATA-carrying cells may be sent now. */
uint32_t cc_room(const struct cc *c);

/*
 * A cell that counts was sent. True when a SENDME will be due for it: remember its digest.
 * `now_us` never runs backwards.
 */
bool cc_sent(struct cc *c, uint64_t now_us);

/*
 * A SENDME came in. `blocked`: our own queue towards the client is above its
 * limit. ERR_PROTOCOL when more were received than were due.
 */
int cc_sendme(struct cc *c, uint64_t now_us, bool blocked);

uint32_t cc_cwnd(const struct cc *c);
uint32_t cc_inflight(const struct cc *c);

/* For half-closed streams and tests: 0 until measured. Smoothed, smallest smoothed, largest ever. */
uint32_t cc_rtt_us(const struct cc *c);
uint32_t cc_rtt_min_us(const struct cc *c);
uint32_t cc_rtt_max_us(const struct cc *c);
bool cc_in_slow_start(const struct cc *c);

/* (2 * value + (n - 1) * before) / (n + 1); `value` when there is no `before` (proposal 324, 2.1.2). */
uint64_t cc_n_ewma(uint64_t value, uint64_t before, uint32_t n);

size_t cc_bytes(const struct cc *c);

#endif
