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
};

void cc_params_default(struct cc_params *p);

struct cc;

/* `p` is copied. `sendme_inc` is the one agreed in the handshake. */
struct cc *cc_new(const struct cc_params *p, uint8_t sendme_inc);
void cc_free(struct cc *c);

/* How many more DATA-carrying cells may be sent now. */
uint32_t cc_room(const struct cc *c);

/* A cell that counts was sent. True when a SENDME will be due for it: remember its digest. */
bool cc_sent(struct cc *c, uint64_t now_us);

/*
 * A SENDME came in. `blocked`: our own queue towards the client is above its
 * limit. ERR_PROTOCOL when more were received than were due.
 */
int cc_sendme(struct cc *c, uint64_t now_us, bool blocked);

uint32_t cc_cwnd(const struct cc *c);
uint32_t cc_inflight(const struct cc *c);

#endif
