#include "config.h"

#include "params.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "../cc.h"
#include "dirtext.h"

static_assert(sizeof(struct cc_params) == sizeof(((struct net_params *)0)->cc),
	      "net_params.cc carries struct cc_params");

enum {
	QUEUE_DEFAULT = 50000, CC_ALG_VEGAS = 2, OUTBUF_CELLS = 62,
	ITO_LOW_DEFAULT = 1500, ITO_HIGH_DEFAULT = 9500, ITO_MAX = 60000,
};

struct param {
	const char *name;
	uint32_t min, max, def;
	size_t at;			/* in struct cc_params */
};

#define CC(field, name, min, max, def) { name, min, max, def, offsetof(struct cc_params, field) }

/* Proposal 324 section 6.5; of Vegas, the variants for an exit circuit. */
static const struct param cc_table[] = {
	CC(cwnd_init, "cc_cwnd_init", 31, 10000, 4 * 31),
	CC(cwnd_min, "cc_cwnd_min", 31, 1000, 31),
	CC(cwnd_max, "cc_cwnd_max", 500, INT32_MAX, INT32_MAX),
	CC(cwnd_inc, "cc_cwnd_inc", 1, 1000, 31),
	CC(cwnd_inc_rate, "cc_cwnd_inc_rate", 1, 250, 1),
	CC(cwnd_inc_pct_ss, "cc_cwnd_inc_pct_ss", 1, 500, 50),
	CC(cwnd_full_gap, "cc_cwnd_full_gap", 0, INT16_MAX, 2),
	CC(cwnd_full_minpct, "cc_cwnd_full_minpct", 0, 100, 75),
	CC(cwnd_full_per_cwnd, "cc_cwnd_full_per_cwnd", 0, 1, 1),
	CC(sendme_inc, "cc_sendme_inc", 1, 255, 31),
	CC(ewma_cwnd_pct, "cc_ewma_cwnd_pct", 1, 255, 50),
	CC(ewma_max, "cc_ewma_max", 2, INT32_MAX, 10),
	CC(ewma_ss, "cc_ewma_ss", 2, INT32_MAX, 2),
	CC(rtt_reset_pct, "cc_rtt_reset_pct", 0, 100, 100),
	CC(vegas_alpha, "cc_vegas_alpha_exit", 0, 1000, 2 * OUTBUF_CELLS),
	CC(vegas_beta, "cc_vegas_beta_exit", 0, 1000, 4 * OUTBUF_CELLS),
	CC(vegas_gamma, "cc_vegas_gamma_exit", 0, 1000, 3 * OUTBUF_CELLS),
	CC(vegas_delta, "cc_vegas_delta_exit", 0, INT32_MAX, 6 * OUTBUF_CELLS),
	CC(vegas_sscap, "cc_sscap_exit", 100, INT32_MAX, 500),
	CC(bwe_min, "cc_bwe_min", 2, 20, 5),
	CC(xoff_client, "cc_xoff_client", 1, 10000, 500),
	CC(xoff_exit, "cc_xoff_exit", 1, 10000, 500),
	CC(xon_rate, "cc_xon_rate", 1, 5000, 500),
	CC(xon_change_pct, "cc_xon_change_pct", 1, 99, 25),
	CC(xon_ewma_cnt, "cc_xon_ewma_cnt", 2, 100, 2),
	CC(ss_max, "cc_ss_max", 500, INT32_MAX, 5000),
};

enum { N_CC = sizeof(cc_table) / sizeof(cc_table[0]) };

static_assert(N_CC * sizeof(uint32_t) == sizeof(struct cc_params), "one row for each field");

static const struct param queue_param = { "circ_max_cell_queue_size", 1000, INT32_MAX, QUEUE_DEFAULT, 0 };
static const struct param ito_low_param = { "nf_ito_low", 0, ITO_MAX, ITO_LOW_DEFAULT, 0 };
static const struct param ito_high_param = { "nf_ito_high", 0, ITO_MAX, ITO_HIGH_DEFAULT, 0 };
static const struct param alg_param = { "cc_alg", 0, 3, CC_ALG_VEGAS, 0 };

static void set_field(struct cc_params *cc, const struct param *p, uint32_t v)
{
	memcpy((char *)cc + p->at, &v, sizeof(v));
}

/* The value of "name=value" clipped to the parameter's range; false for another parameter. */
static bool clip(struct span word, const struct param *p, uint32_t *ret)
{
	size_t n = strlen(p->name);
	uint64_t v;

	if (word.len <= n + 1 || memcmp(word.p, p->name, n) != 0 || word.p[n] != '=')
		return false;
	word = (struct span){ word.p + n + 1, word.len - n - 1 };
	/* All ranges start at zero or above, so anything negative is the minimum. */
	if (word.p[0] == '-')
		v = p->min;
	else if (span_u64(word, &v, INT32_MAX) < 0)
		return false;
	*ret = v < p->min ? p->min : v > p->max ? p->max : (uint32_t)v;
	return true;
}

void net_params_parse(struct net_params *ret, const char *text, size_t len)
{
	struct dir_item line = { .args = { text, len } };
	struct net_params out = { .circ_max_cell_queue_size = QUEUE_DEFAULT,
				  .nf_ito_low = ITO_LOW_DEFAULT, .nf_ito_high = ITO_HIGH_DEFAULT };
	uint32_t v, alg = CC_ALG_VEGAS;
	struct cc_params cc;
	struct span word;

	for (size_t i = 0; i < N_CC; i++)
		set_field(&cc, &cc_table[i], cc_table[i].def);
	while (dir_arg(&line, &word)) {
		if (clip(word, &queue_param, &v))
			out.circ_max_cell_queue_size = v;
		if (clip(word, &ito_low_param, &v))
			out.nf_ito_low = (uint16_t)v;
		if (clip(word, &ito_high_param, &v))
			out.nf_ito_high = (uint16_t)v;
		if (clip(word, &alg_param, &v))
			alg = v;
		for (size_t i = 0; i < N_CC; i++)
			if (clip(word, &cc_table[i], &v))
				set_field(&cc, &cc_table[i], v);
	}
	/* The high end has the low one for its minimum (padding-spec 2.6). */
	if (out.nf_ito_high < out.nf_ito_low)
		out.nf_ito_high = out.nf_ito_low;
	out.cc_enabled = alg == CC_ALG_VEGAS;
	memcpy(out.cc, &cc, sizeof(out.cc));
	*ret = out;
}
