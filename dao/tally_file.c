/*
 * A tally's input and result as JSON: rules, register and journal in, the
 * document that approvals sign the digest of out.
 */
#include "config.h"

#include <nonos/tally.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/doc_read.h>
#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/json_set.h>
#include <nonos/mem.h>

enum { WHERE_CAP = 40, KIND_CAP = 16, WEIGHTS_IN_FILE_MAX = 65535 };

static int read_u64_text(uint64_t *ret, char *why, const char *where, const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);
	struct amount n;

	if (!json_is_string(v) || amount_parse(&n, json_string_value(v), json_string_length(v)) < 0 || n.hi)
		return doc_fail(why, "%s.%s is missing, or not a text of a whole number below 2^64", where, name);
	*ret = n.lo;
	return 0;
}

static int read_stake(struct amount *ret, char *why, const char *where, const json_t *object)
{
	if (!json_is_string(json_object_get(object, "stake")))
		return doc_fail(why, "%s.stake is missing, or not a text of base units", where);
	return doc_amount(ret, why, where, object, "stake");
}

/* -- rules ------------------------------------------------------------------------- */

static int read_kind(enum tally_kind *ret, char *why, const json_t *rules)
{
	char kind[KIND_CAP];

	if (doc_text(kind, sizeof(kind), why, "rules", rules, "kind") < 0)
		return ERR_MALFORMED;
	if (strcmp(kind, "binary") != 0 && strcmp(kind, "plural") != 0)
		return doc_fail(why, "rules.kind is not \"binary\" or \"plural\"");
	*ret = strcmp(kind, "binary") == 0 ? TALLY_BINARY : TALLY_PLURAL;
	return 0;
}

/* An option named twice would help the quorum twice. */
static int read_quorum_options(struct tally_rules *r, char *why, const json_t *options)
{
	const json_t *v;
	size_t i;

	if (!json_is_array(options))
		return doc_fail(why, "rules.quorumOptions is missing, or not a list");
	json_array_foreach(options, i, v) {
		json_int_t k = json_integer_value(v);

		if (!json_is_integer(v) || k < 0 || k >= (json_int_t)r->n_options || r->quorum_options >> k & 1)
			return doc_fail(why, "rules.quorumOptions has what is no option, or one twice");
		r->quorum_options |= UINT64_C(1) << k;
	}
	return 0;
}

static int read_rules(struct tally_rules *r, char *why, const json_t *rules)
{
	if (doc_only(why, "rules", rules, DOC_MEMBERS("kind", "optionCount", "opens", "closes", "quorumBps", "minVoters",
						      "thresholdBps", "quorumOptions", "reputationMaxBps",
						      "lateQuorumExtension")) < 0 ||
	    read_kind(&r->kind, why, rules) < 0 ||
	    doc_u32(&r->n_options, why, "rules", rules, "optionCount", TALLY_OPTIONS_MAX) < 0 ||
	    doc_u53(&r->opens, why, "rules", rules, "opens", DOC_U53_MAX) < 0 ||
	    doc_u53(&r->closes, why, "rules", rules, "closes", DOC_U53_MAX) < 0 ||
	    doc_u32(&r->quorum_bps, why, "rules", rules, "quorumBps", TALLY_BP) < 0 ||
	    doc_u32(&r->min_voters, why, "rules", rules, "minVoters", UINT32_MAX) < 0 ||
	    doc_u32(&r->threshold_bps, why, "rules", rules, "thresholdBps", TALLY_BP) < 0 ||
	    doc_u32(&r->reputation_max_bps, why, "rules", rules, "reputationMaxBps", UINT16_MAX) < 0 ||
	    doc_u53(&r->extension, why, "rules", rules, "lateQuorumExtension", DOC_U53_MAX) < 0)
		return ERR_MALFORMED;
	/* 800 million tokens, the whole supply. */
	(void)amount_mul(&r->supply, amount_u64(UINT64_C(1000000000000000000)), amount_u64(800000000));
	return read_quorum_options(r, why, json_object_get(rules, "quorumOptions"));
}

/* -- the register ------------------------------------------------------------------ */

static int read_voter(struct tally_voter *v, char *why, const char *where, const json_t *row)
{
	if (doc_only(why, where, row, DOC_MEMBERS("voter", "stake", "reputationBps")) < 0 ||
	    doc_address(&v->addr, why, where, row, "voter") < 0 || read_stake(&v->stake, why, where, row) < 0)
		return ERR_MALFORMED;
	return doc_u32(&v->reputation_bps, why, where, row, "reputationBps", UINT32_MAX);
}

static int read_register(struct tally_input *in, char *why, const json_t *rows)
{
	char where[WHERE_CAP];
	const json_t *row;
	size_t i;

	if (!json_is_array(rows) || json_array_size(rows) > TALLY_VOTERS_MAX)
		return doc_fail(why, "register is missing, or no list of at most %d voters", TALLY_VOTERS_MAX);
	in->voters = mem_new_array(json_array_size(rows) + 1, sizeof(*in->voters));
	json_array_foreach(rows, i, row) {
		snprintf(where, sizeof(where), "register[%zu]", i);
		if (read_voter(&in->voters[in->n_voters++], why, where, row) < 0)
			return ERR_MALFORMED;
	}
	return 0;
}

/* -- the journal ------------------------------------------------------------------- */

/* As many as the ballot has: whether that is right, the tally says. */
static int read_weights(struct tally_entry *e, char *why, const char *where, const json_t *weights)
{
	const json_t *v;
	size_t i;

	if (!json_is_array(weights) || json_array_size(weights) > WEIGHTS_IN_FILE_MAX)
		return doc_fail(why, "%s.weights is missing, or no list of at most %d", where, WEIGHTS_IN_FILE_MAX);
	json_array_foreach(weights, i, v) {
		json_int_t w = json_integer_value(v);

		if (!json_is_integer(v) || w < 0 || w > UINT16_MAX)
			return doc_fail(why, "%s.weights has what is not a whole number up to %d", where, UINT16_MAX);
		if (i < TALLY_OPTIONS_MAX)
			e->weights[i] = (uint16_t)w;
	}
	e->n_weights = (uint32_t)json_array_size(weights);
	return 0;
}

static int read_vote(struct tally_entry *e, char *why, const char *where, const json_t *row)
{
	e->kind = TALLY_VOTE;
	if (doc_only(why, where, row, DOC_MEMBERS("index", "time", "kind", "voter", "nonce", "weights", "valid")) < 0 ||
	    doc_address(&e->voter, why, where, row, "voter") < 0)
		return ERR_MALFORMED;
	return read_weights(e, why, where, json_object_get(row, "weights"));
}

static int read_delegation(struct tally_entry *e, char *why, const char *where, const json_t *row)
{
	e->kind = TALLY_DELEGATION;
	if (doc_only(why, where, row, DOC_MEMBERS("index", "time", "kind", "delegator", "delegatee", "nonce", "validUntil",
						  "valid")) < 0 ||
	    doc_address(&e->voter, why, where, row, "delegator") < 0 ||
	    doc_address(&e->delegatee, why, where, row, "delegatee") < 0)
		return ERR_MALFORMED;
	return read_u64_text(&e->valid_until, why, where, row, "validUntil");
}

static int read_entry(struct tally_entry *e, char *why, const char *where, const json_t *row)
{
	const json_t *valid = json_object_get(row, "valid");
	char kind[KIND_CAP];
	int r = doc_text(kind, sizeof(kind), why, where, row, "kind");

	if (r < 0)
		return r;
	if (strcmp(kind, "vote") == 0)
		r = read_vote(e, why, where, row);
	else if (strcmp(kind, "delegation") == 0)
		r = read_delegation(e, why, where, row);
	else
		r = doc_fail(why, "%s.kind is not \"vote\" or \"delegation\"", where);
	if (r < 0 || doc_u53(&e->index, why, where, row, "index", DOC_U53_MAX) < 0 ||
	    doc_u53(&e->time, why, where, row, "time", DOC_U53_MAX) < 0 ||
	    read_u64_text(&e->nonce, why, where, row, "nonce") < 0)
		return ERR_MALFORMED;
	if (!json_is_boolean(valid))
		return doc_fail(why, "%s.valid is missing, or not true or false", where);
	e->valid = json_is_true(valid);
	return 0;
}

static int read_log(struct tally_input *in, char *why, const json_t *rows)
{
	char where[WHERE_CAP];
	const json_t *row;
	size_t i;

	if (!json_is_array(rows) || json_array_size(rows) > TALLY_LOG_MAX)
		return doc_fail(why, "log is missing, or no list of at most %d entries", TALLY_LOG_MAX);
	in->log = mem_new_array(json_array_size(rows) + 1, sizeof(*in->log));
	json_array_foreach(rows, i, row) {
		snprintf(where, sizeof(where), "log[%zu]", i);
		if (read_entry(&in->log[in->n_log++], why, where, row) < 0)
			return ERR_MALFORMED;
	}
	return 0;
}

int tally_input_read(struct tally_input **ret, char why[TALLY_WHY_CAP], const json_t *doc)
{
	const json_t *input = json_object_get(doc, "input");
	struct tally_input *in = mem_new(sizeof(*in));

	if (input && doc_only(why, "the file", doc, DOC_MEMBERS("about", "name", "input", "expect")) < 0)
		goto fail;
	if (!input)
		input = doc;
	if (doc_only(why, "the tally", input, DOC_MEMBERS("rules", "register", "log")) < 0 ||
	    read_rules(&in->rules, why, json_object_get(input, "rules")) < 0 ||
	    read_register(in, why, json_object_get(input, "register")) < 0 ||
	    read_log(in, why, json_object_get(input, "log")) < 0)
		goto fail;
	*ret = in;
	return 0;
fail:
	tally_input_free(in);
	return ERR_MALFORMED;
}

void tally_input_free(struct tally_input *in)
{
	if (!in)
		return;
	free(in->voters);
	free(in->log);
	free(in);
}

/* -- the result -------------------------------------------------------------------- */

static json_t *outcome_json(const struct tally_result *r)
{
	switch (r->outcome) {
	case TALLY_NO_QUORUM:
		return json_string("no quorum");
	case TALLY_PASSED:
		return json_string("passed");
	case TALLY_DEFEATED:
		return json_string("defeated");
	case TALLY_TIED:
		return json_string("tied");
	case TALLY_OPTION:
		return json_sprintf("option %u", r->winner);
	}
	return json_null();
}

static json_t *sums_json(const struct tally_result *r)
{
	json_t *sums = json_array();
	char text[AMOUNT_TEXT_CAP];

	for (uint32_t k = 0; k < r->n_options; k++) {
		amount_text(text, r->sums[k]);
		json_array_append_new(sums, json_string(text));
	}
	return sums;
}

static json_t *rejected_json(const struct tally_result *r)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < r->n_rejected; i++)
		json_array_append_new(rows, json_pack("{s:I, s:s}", "index", (json_int_t)r->rejected[i].index, "why",
						      tally_reason_text(r->rejected[i].why)));
	return rows;
}

static void set_hash(json_t *o)
{
	uint8_t hash[KECCAK256_LEN];
	size_t len;
	char *text;

	if (jcs_write(&text, &len, o) < 0)
		abort();	/* whole numbers below 2^53 and ASCII, two levels deep */
	keccak256(hash, text, len);
	free(text);
	json_set_hex(o, "tallyHash", hash, sizeof(hash));
}

json_t *tally_result_json(const struct tally_result *r)
{
	json_t *o = json_object();

	json_object_set_new(o, "sums", sums_json(r));
	json_set_amount(o, "quorumPower", r->quorum_power);
	json_set_amount(o, "totalPower", r->total_power);
	json_object_set_new(o, "voters", json_integer(r->voters));
	json_object_set_new(o, "represented", json_integer(r->represented));
	json_object_set_new(o, "closes", json_integer((json_int_t)r->closes));
	json_object_set_new(o, "extended", json_boolean(r->extended));
	json_object_set_new(o, "outcome", outcome_json(r));
	json_object_set_new(o, "rejected", rejected_json(r));
	set_hash(o);
	return o;
}
