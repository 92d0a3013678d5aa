#include "config.h"

#include <nonos/genesis.h>

#include <stdio.h>

/* Tokens as a string of base units. */
static json_t *tokens(const char *millions)
{
	return json_sprintf("%s000000000000000000000000", millions);
}

static json_t *one_signer(const struct eth_addr *a)
{
	char text[ETH_ADDR_TEXT_CAP];

	eth_addr_text(text, a);
	return json_pack("{s:i,s:[s]}", "threshold", 1, "addresses", text);
}

static json_t *usual_burn(void)
{
	struct burn_params b = burn_params_default();

	return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "startPpm", (int)b.start_ppm, "minPpm", (int)b.min_ppm, "maxPpm",
			 (int)b.max_ppm, "issuanceBp", (int)b.issuance_bp, "stakedBp", (int)b.staked_bp, "runwayDays",
			 (int)b.runway_days, "issuanceWeight", (int)b.issuance_weight, "stakedWeight", (int)b.staked_weight,
			 "runwayWeight", (int)b.runway_weight);
}

json_t *genesis_usual(const char *name, uint64_t time, const struct eth_addr *holder, const struct eth_addr *auditor,
		      const char *log)
{
	struct reward_params rewards = reward_params_default();
	char account[ETH_ADDR_TEXT_CAP];

	eth_addr_text(account, holder);
	return json_pack("{s:s,s:s,s:I,s:{s:o,s:o,s:o,s:o},s:[{s:s,s:o}],s:s,s:n,s:o,s:o,s:o,s:i,s:{s:i,s:i},s:o,s:{},s:s}",
			 "format", "nonos-genesis-1", "name", name, "time", (json_int_t)time,
			 "token", "supply", tokens("800"), "public", tokens("560"), "reserve", tokens("240"), "burnt", tokens("160"),
			 "allocations", "account", account, "amount", tokens("400"),
			 "policy", "nonos-1", "anyone", "rewards", reward_params_json(&rewards),
			 "auditors", one_signer(auditor), "council", one_signer(auditor),
			 "unbondingSeconds", 7 * 86400, "revenue", "publisherBp", 6000, "vaultBp", 1000,
			 "burn", usual_burn(), "dao", "log", log);
}
