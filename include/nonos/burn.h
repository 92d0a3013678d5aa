/*
 * The burn controller: which part of the treasury's share of protocol revenue
 * is burnt. It moves as the base fee of EIP-1559 does: at most an eighth
 * (12.5 %) of its value at a step, up or down. Integers only, so every node
 * that folds the same journal arrives at the same rate.
 *
 * Three signals, each from -1,000,000 to 1,000,000 (parts per million), say
 * how far a figure is from its target. With q the floor of figure * 1,000,000 /
 * target, clipped at 2,000,000, the signal is q - 1,000,000:
 *   issuance	(issued - burnt, not below 0) against
 *		floor(circulating * issuance_bp * elapsed_s / (10,000 * 31,536,000))
 *   staking	staked against floor(circulating * staked_bp / 10,000)
 *   runway	floor(treasury * elapsed_s / spent) seconds against runway_days
 * A target of 0 makes q 2,000,000, or 0 when the figure is 0 too; a treasury
 * that spent nothing has q 2,000,000, for it lasts for ever. New tokens above
 * the target call for burning; few stakes, or a treasury that does not last,
 * call for keeping the money. Their mean is weighted, and cut
 * towards 0. The step is floor(rate * |mean| / 8,000,000), at least 1 unless the mean
 * is 0. The rate then stays between min_ppm and max_ppm.
 */
#ifndef NONOS_BURN_H
#define NONOS_BURN_H

#include <stdint.h>

#include <nonos/amount.h>

enum {
	BURN_PPM = 1000000,
	BURN_MIN_PPM = 8,		/* below this a step of one would pass an eighth */
	BURN_YEAR_S = 31536000,
	BURN_WEIGHT_MAX = 10000,
};

/*
 * Of genesis. BURN_MIN_PPM <= min_ppm <= start_ppm <= max_ppm <= BURN_PPM; the weights are
 * not all 0, and none is above BURN_WEIGHT_MAX.
 */
struct burn_params {
	uint32_t start_ppm, min_ppm, max_ppm;
	uint32_t issuance_bp;		/* net new tokens a year wanted, of what circulates */
	uint32_t staked_bp;		/* wanted share of what circulates that is staked */
	uint32_t runway_days;		/* how long the treasury should last */
	uint32_t issuance_weight, staked_weight, runway_weight;
};

/* What happened since the last step. */
struct burn_inputs {
	uint32_t elapsed_s;
	struct amount issued, burnt;	/* paid from the reserve; burnt */
	struct amount spent;		/* paid from the treasury, burns left out */
	struct amount circulating, staked, treasury;	/* as they stand; stakes circulate, too */
};

/* The three signals and their mean, for those who want to see why. */
struct burn_signals {
	int32_t issuance, staking, runway, mean;
};

/* 10 % at the start, 1 % to 50 %; targets 2 % a year, 40 % staked, 365 days, weights 2, 1, 1. */
struct burn_params burn_params_default(void);

/* 0, or ERR_RANGE when the parameters contradict each other. */
int burn_params_check(const struct burn_params *p);

/* Return the next rate. *ret_signals may be NULL. `p` has passed the check. */
uint32_t burn_next(const struct burn_params *p, uint32_t rate_ppm, const struct burn_inputs *in,
		   struct burn_signals *ret_signals);

/* floor(amount * rate / 1,000,000): what is burnt of the treasury's share. */
struct amount burn_part(struct amount amount, uint32_t rate_ppm);

#endif
