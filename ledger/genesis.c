#include "config.h"

#include <nonos/genesis.h>

#include <stdlib.h>
#include <string.h>

#include <nonos/anyone_rewards.h>
#include <nonos/doc_read.h>
#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/mem.h>
#include <nonos/note.h>
#include <nonos/typed.h>

static const char format[] = "nonos-genesis-1";

enum { UNBONDING_MAX_S = 366 * 86400 };

/* A part of the document: an object with no other members than `known`. */
static int part(const json_t **ret, char *why, const json_t *doc, const char *name, const char *const *known)
{
	*ret = json_object_get(doc, name);
	if (!json_is_object(*ret))
		return doc_fail(why, "%s: missing, or not a JSON object", name);
	return doc_only(why, name, *ret, known);
}

/* Printable ASCII. */
static int text(char *ret, size_t cap, char *why, const json_t *doc, const char *name)
{
	int r = doc_text(ret, cap, why, "genesis", doc, name);

	for (const char *p = ret; r == 0 && *p; p++)
		if (*p < ' ' || *p > '~')
			r = doc_fail(why, "%s: not printable ASCII", name);
	if (r == 0 && !ret[0])
		r = doc_fail(why, "%s: empty", name);
	return r;
}

static int address(struct eth_addr *ret, char *why, const char *where, const json_t *v)
{
	if (!json_is_string(v) || eth_addr_parse(ret, json_string_value(v), json_string_length(v)) < 0)
		return doc_fail(why, "%s: not an address, \"0x\" and 40 hexadecimal digits with a good checksum", where);
	return 0;
}

/* -- parts ------------------------------------------------------------------------------ */

static int read_token(struct genesis *g, char *why, const json_t *doc)
{
	static const char token[] = "token";
	struct amount sum;
	const json_t *p;
	int r = part(&p, why, doc, token, DOC_MEMBERS("burnt", "public", "reserve", "supply"));

	if (r == 0)
		r = doc_amount(&g->supply, why, token, p, "supply");
	if (r == 0)
		r = doc_amount(&g->public_part, why, token, p, "public");
	if (r == 0)
		r = doc_amount(&g->reserve, why, token, p, "reserve");
	if (r == 0)
		r = doc_amount(&g->burnt, why, token, p, "burnt");
	if (r < 0)
		return r;
	if (amount_is_zero(g->supply) || amount_add(&sum, g->public_part, g->reserve) < 0 || amount_cmp(sum, g->supply) != 0)
		return doc_fail(why, "token: public and reserve must add up to supply");
	if (amount_cmp(g->burnt, g->public_part) > 0)
		return doc_fail(why, "token.burnt: more than the public part it is taken from");
	return 0;
}

static int addr_cmp(const void *a, const void *b)
{
	return memcmp(((const struct genesis_allocation *)a)->account.b, ((const struct genesis_allocation *)b)->account.b,
		      ETH_ADDR_LEN);
}

static int read_allocation(struct genesis_allocation *ret, char *why, const json_t *row)
{
	static const char where[] = "allocations";
	int r = json_is_object(row) ? doc_only(why, where, row, DOC_MEMBERS("account", "amount")) :
				      doc_fail(why, "allocations: a row is not a JSON object");

	if (r == 0)
		r = doc_address(&ret->account, why, where, row, "account");
	if (r == 0)
		r = doc_amount(&ret->amount, why, where, row, "amount");
	if (r == 0 && amount_is_zero(ret->amount))
		r = doc_fail(why, "allocations: an amount is zero");
	return r;
}

/* Who holds the public part that is not burnt: each account once. */
static int read_allocations(struct genesis *g, char *why, const json_t *doc)
{
	const json_t *rows = json_object_get(doc, "allocations");
	struct amount sum = amount_u64(0), public_part;

	if (!json_is_array(rows) || json_array_size(rows) > GENESIS_ALLOCATIONS_MAX)
		return doc_fail(why, "allocations: not an array of at most %d rows", GENESIS_ALLOCATIONS_MAX);
	g->allocations = mem_new_array(json_array_size(rows) + 1, sizeof(*g->allocations));
	for (; g->n_allocations < json_array_size(rows); g->n_allocations++) {
		struct genesis_allocation *a = &g->allocations[g->n_allocations];
		int r = read_allocation(a, why, json_array_get(rows, g->n_allocations));

		if (r == 0 && amount_add(&sum, sum, a->amount) < 0)
			r = doc_fail(why, "allocations: more than there can ever be");
		if (r < 0)
			return r;
	}
	qsort(g->allocations, g->n_allocations, sizeof(*g->allocations), addr_cmp);
	for (size_t i = 1; i < g->n_allocations; i++)
		if (addr_cmp(&g->allocations[i - 1], &g->allocations[i]) == 0)
			return doc_fail(why, "allocations: an account is there twice");
	amount_sub(&public_part, g->public_part, g->burnt);
	return amount_cmp(sum, public_part) == 0 ? 0 :
	       doc_fail(why, "allocations: they must add up to the public part less what is burnt");
}

static int read_signers(struct genesis_signers *ret, char *why, const json_t *doc, const char *name)
{
	const json_t *p, *rows;
	int r = part(&p, why, doc, name, DOC_MEMBERS("addresses", "threshold"));

	if (r < 0)
		return r;
	rows = json_object_get(p, "addresses");
	if (!json_is_array(rows) || json_array_size(rows) == 0 || json_array_size(rows) > GENESIS_SIGNERS_MAX)
		return doc_fail(why, "%s.addresses: not an array of 1 to %d addresses", name, GENESIS_SIGNERS_MAX);
	for (; ret->n < json_array_size(rows); ret->n++) {
		r = address(&ret->addrs[ret->n], why, name, json_array_get(rows, ret->n));
		if (r < 0)
			return r;
		for (size_t i = 0; i < ret->n; i++)
			if (eth_addr_eq(&ret->addrs[i], &ret->addrs[ret->n]))
				return doc_fail(why, "%s.addresses: an address is there twice", name);
	}
	r = doc_u32(&ret->threshold, why, name, p, "threshold", (uint32_t)ret->n);
	return r == 0 && ret->threshold == 0 ? doc_fail(why, "%s.threshold: at least one must sign", name) : r;
}

static int read_burn(struct genesis *g, char *why, const json_t *doc)
{
	static const char burn[] = "burn";
	struct burn_params *b = &g->burn;
	const struct { uint32_t *v; const char *name; uint32_t max; } fields[] = {
		{ &b->start_ppm, "startPpm", BURN_PPM }, { &b->min_ppm, "minPpm", BURN_PPM }, { &b->max_ppm, "maxPpm", BURN_PPM },
		{ &b->issuance_bp, "issuanceBp", REWARD_BP }, { &b->staked_bp, "stakedBp", REWARD_BP },
		{ &b->runway_days, "runwayDays", 36500 }, { &b->issuance_weight, "issuanceWeight", BURN_WEIGHT_MAX },
		{ &b->staked_weight, "stakedWeight", BURN_WEIGHT_MAX }, { &b->runway_weight, "runwayWeight", BURN_WEIGHT_MAX },
	};
	const json_t *p;
	int r = part(&p, why, doc, burn, DOC_MEMBERS("issuanceBp", "issuanceWeight", "maxPpm", "minPpm", "runwayDays", "runwayWeight",
						     "stakedBp", "stakedWeight", "startPpm"));

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]) && r == 0; i++)
		r = doc_u32(fields[i].v, why, burn, p, fields[i].name, fields[i].max);
	if (r == 0 && burn_params_check(b) < 0)
		r = doc_fail(why, "burn: %d <= minPpm <= startPpm <= maxPpm <= %d must hold, and one weight be above 0", BURN_MIN_PPM, BURN_PPM);
	return r;
}

static int read_revenue(struct genesis *g, char *why, const json_t *doc)
{
	const json_t *p;
	int r = part(&p, why, doc, "revenue", DOC_MEMBERS("publisherBp", "vaultBp"));

	if (r == 0)
		r = doc_u32(&g->revenue.publisher_bp, why, "revenue", p, "publisherBp", REWARD_BP);
	if (r == 0)
		r = doc_u32(&g->revenue.vault_bp, why, "revenue", p, "vaultBp", REWARD_BP);
	return r;
}

/* Relays of the largest weight in a consensus, with as few and as many fellows as there can be. */
static json_t *largest_scores(void)
{
	json_t *scores = json_object();
	char id[ANYONE_ID_LEN + 1];

	for (int i = 0; i < 4; i++) {
		snprintf(id, sizeof(id), "%0*d", ANYONE_ID_LEN, i);
		json_object_set_new(scores, id, json_pack("{s:s, s:I, s:b, s:i, s:b, s:i, s:i}", "Address",
							  "0x0000000000000000000000000000000000000001", "Network", (json_int_t)UINT32_MAX,
							  "IsHardware", 0, "UptimeStreak", 0, "ExitBonus", 1, "FamilySize",
							  i & 1 ? REWARD_RELAYS_MAX : 0, "LocationSize", i & 2 ? REWARD_RELAYS_MAX : 0));
	}
	return scores;
}

/* A rating beyond its range would leave an epoch without an end, and all that come after. */
static int check_ratings(struct anyone_round *round, char *why)
{
	if (round->config.n_delegates)
		return doc_fail(why, "anyone: a ledger pays to the accounts that relays are registered with, so it has no delegates");
	if (anyone_compute(round) < 0)
		return doc_fail(why, "anyone: with these Multipliers the rating of a relay in a family of %d, or as many at its location, "
				"can leave its range, and then nobody could be paid", REWARD_RELAYS_MAX);
	return 0;
}

/*
 * The configuration of anyone-1 has fractions, which canonical JSON does not: it is the text
 * of a JSON document. The reader of rounds knows what must be in it: give it a round.
 */
static int read_anyone(struct genesis *g, char *why, const json_t *config)
{
	char because[ANYONE_WHY_CAP];
	struct anyone_round *round;
	json_t *doc;
	int r;

	if (json_is_string(config))
		g->anyone = json_loadb(json_string_value(config), json_string_length(config), JSON_REJECT_DUPLICATES, NULL);
	if (!g->anyone)
		return doc_fail(why, "anyone: not the text of a JSON document, the configuration of the policy anyone-1");
	doc = json_pack("{s:O,s:i,s:o}", "config", g->anyone, "elapsedMs", 1000, "scores", largest_scores());
	r = anyone_round_read(&round, because, doc);
	json_decref(doc);
	if (r < 0)
		return doc_fail(why, "anyone: %.200s", because);
	r = check_ratings(round, why);
	anyone_round_free(round);
	return r;
}

static int read_policy(struct genesis *g, char *why, const json_t *doc)
{
	const json_t *anyone = json_object_get(doc, "anyone"), *rewards = json_object_get(doc, "rewards");
	const char *name = json_string_value(json_object_get(doc, "policy"));
	char because[REWARD_WHY_CAP];

	if (!rewards || reward_params_read(&g->rewards, because, rewards) < 0)
		return doc_fail(why, "rewards: %.200s", rewards ? because : "missing");
	if (name && strcmp(name, "nonos-1") == 0) {
		g->policy = POLICY_NONOS_1;
		return json_is_null(anyone) ? 0 : doc_fail(why, "anyone: must be null for the policy nonos-1");
	}
	if (!name || strcmp(name, "anyone-1") != 0)
		return doc_fail(why, "policy: neither \"nonos-1\" nor \"anyone-1\"");
	g->policy = POLICY_ANYONE_1;
	return read_anyone(g, why, anyone);
}

/* Parameters that a later part reads: whole numbers and texts under names, two levels at most. */
static int check_dao(struct genesis *g, char *why, const json_t *doc)
{
	const json_t *dao = json_object_get(doc, "dao");
	const char *name;
	json_t *v;

	if (!json_is_object(dao) || json_object_size(dao) > 64)
		return doc_fail(why, "dao: not a JSON object of at most 64 members");
	json_object_foreach((json_t *)dao, name, v) {
		if (json_is_integer(v) ? json_integer_value(v) < 0 : !json_is_string(v) || json_string_length(v) > 256)
			return doc_fail(why, "dao.%.40s: neither a whole number from 0 nor a text of at most 256 bytes", name);
	}
	g->dao = dao;
	return 0;
}

static int read_log(struct genesis *g, char *why, const json_t *doc)
{
	struct note_key key;
	int r = text(g->log, sizeof(g->log), why, doc, "log");

	if (r == 0 && (note_key_parse(&key, g->log, strlen(g->log)) < 0 || key.alg != NOTE_ED25519))
		r = doc_fail(why, "log: not the verification key of a log, \"origin+id+key\"");
	return r;
}

static int read_head(struct genesis *g, char *why, const json_t *doc)
{
	char said[GENESIS_NAME_CAP];
	int r = doc_only(why, "genesis", doc, DOC_MEMBERS("allocations", "anyone", "auditors", "burn", "council", "dao", "format",
							  "log", "name", "policy", "revenue", "rewards", "time", "token",
							  "unbondingSeconds"));

	if (r == 0)
		r = text(said, sizeof(said), why, doc, "format");
	if (r == 0 && strcmp(said, format) != 0)
		r = doc_fail(why, "format: not \"%s\"", format);
	if (r == 0)
		r = text(g->name, sizeof(g->name), why, doc, "name");
	if (r == 0)
		r = doc_u53(&g->time, why, "genesis", doc, "time", UINT32_MAX);
	if (r == 0)
		r = doc_u32(&g->unbonding_s, why, "genesis", doc, "unbondingSeconds", UNBONDING_MAX_S);
	return r < 0 ? r : read_log(g, why, doc);
}

static int read_all(struct genesis *g, char *why, const json_t *doc)
{
	int r = json_is_object(doc) ? read_head(g, why, doc) : doc_fail(why, "not a JSON object");

	if (r == 0)
		r = read_token(g, why, doc);
	if (r == 0)
		r = read_allocations(g, why, doc);
	if (r == 0)
		r = read_policy(g, why, doc);
	if (r == 0)
		r = read_signers(&g->auditors, why, doc, "auditors");
	if (r == 0)
		r = read_signers(&g->council, why, doc, "council");
	if (r == 0)
		r = read_revenue(g, why, doc);
	if (r == 0)
		r = read_burn(g, why, doc);
	return r < 0 ? r : check_dao(g, why, doc);
}

/* -- the document ------------------------------------------------------------------------- */

static int name_network(struct genesis *g, char why[GENESIS_WHY_CAP])
{
	char because[TYPED_WHY_CAP];
	json_t *domain;
	int r;

	keccak256(g->hash, g->text, g->text_len);
	memcpy(g->contract.b, g->hash + KECCAK256_LEN - ETH_ADDR_LEN, ETH_ADDR_LEN);
	domain = genesis_domain(g);
	r = typed_domain_separator(g->domain_separator, because, domain);
	json_decref(domain);
	return r < 0 ? doc_fail(why, "%.200s", because) : 0;
}

int genesis_read(struct genesis **ret, char why[GENESIS_WHY_CAP], const char *text, size_t len)
{
	struct genesis *g;
	json_t *doc;
	int r;

	if (len > GENESIS_LEN_MAX)
		return doc_fail(why, "longer than %d bytes", GENESIS_LEN_MAX);
	r = jcs_read(&doc, text, len);
	if (r < 0) {
		doc_fail(why, "not JSON of the accepted kind: whole numbers, each name once");
		return r;
	}
	g = mem_new(sizeof(*g));
	g->doc = doc;
	r = read_all(g, why, doc);
	if (r == 0 && jcs_write(&g->text, &g->text_len, doc) < 0)
		r = doc_fail(why, "it has no canonical form");
	if (r == 0)
		r = name_network(g, why);
	if (r < 0)
		genesis_free(g);
	else
		*ret = g;
	return r;
}

void genesis_free(struct genesis *g)
{
	if (!g)
		return;
	json_decref(g->doc);
	json_decref(g->anyone);
	free(g->text);
	free(g->allocations);
	free(g);
}

json_t *genesis_domain(const struct genesis *g)
{
	char contract[ETH_ADDR_TEXT_CAP];

	eth_addr_text(contract, &g->contract);
	return json_pack("{s:s,s:s,s:s,s:s}", "name", "NONOS", "version", "1", "chainId", "0", "verifyingContract", contract);
}

uint64_t genesis_epoch(const struct genesis *g, uint64_t time)
{
	return time <= g->time ? 0 : (time - g->time) / g->rewards.epoch_s;
}

uint64_t genesis_epoch_start(const struct genesis *g, uint64_t epoch)
{
	return g->time + epoch * g->rewards.epoch_s;
}
