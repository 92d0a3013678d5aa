/* The evidence of an epoch: its rows, what they must fulfil, and its document. */
#include "config.h"

#include <nonos/rewards.h>

#include <stdlib.h>
#include <string.h>

#include <nonos/doc_read.h>
#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/json_set.h>
#include <nonos/mem.h>

enum { VANISHED_PART = 3 };

struct evidence *evidence_new(uint64_t epoch, int64_t from, int64_t to)
{
	struct evidence *e = mem_new(sizeof(*e));

	e->epoch = epoch;
	e->from = from;
	e->to = to;
	return e;
}

void evidence_free(struct evidence *e)
{
	if (!e)
		return;
	free(e->consensuses);
	free(e->relays);
	free(e);
}

/* Room doubles at each power of two. */
static void *grown(void *rows, size_t n, size_t size)
{
	return n & (n - 1) ? rows : mem_resize(rows, n ? 2 * n : 1, size);
}

void evidence_add_consensus(struct evidence *e, const struct evidence_consensus *c)
{
	e->consensuses = grown(e->consensuses, e->n_consensuses, sizeof(*c));
	e->consensuses[e->n_consensuses++] = *c;
}

void evidence_add_relay(struct evidence *e, const struct evidence_relay *r)
{
	if (r->running == 0)
		return;
	e->relays = grown(e->relays, e->n_relays, sizeof(*r));
	e->relays[e->n_relays++] = *r;
}

/* -- checking ------------------------------------------------------------------------ */

static int consensus_cmp(const void *a, const void *b)
{
	const struct evidence_consensus *x = a, *y = b;

	return x->valid_after < y->valid_after ? -1 : x->valid_after > y->valid_after;
}

static int relay_cmp(const void *a, const void *b)
{
	return memcmp(((const struct evidence_relay *)a)->relay_id, ((const struct evidence_relay *)b)->relay_id,
		      REWARD_ID_LEN);
}

static int check_consensus(const struct evidence *e, char *why, size_t i)
{
	const struct evidence_consensus *c = &e->consensuses[i];

	if (c->valid_after < e->from || c->valid_after >= e->to)
		return doc_fail(why, "a consensus is not of this epoch");
	if (c->weight > EVIDENCE_WEIGHT_MAX || c->before > EVIDENCE_WEIGHT_MAX || c->vanished > c->before)
		return doc_fail(why, "the weights of a consensus are too large, or more vanished than there was");
	if (i && c->valid_after <= c[-1].valid_after)
		return doc_fail(why, "consensuses are not in the order of their times, or one is there twice");
	if (i && c->before != c[-1].weight)
		return doc_fail(why, "a consensus counts from another one than that before it");
	return 0;
}

static bool is_group(const char *text, const char *alphabet, bool may_be_empty)
{
	size_t len = strnlen(text, REWARD_GROUP_CAP);

	return len < REWARD_GROUP_CAP && (len || may_be_empty) && strspn(text, alphabet) == len;
}

static int check_relay(const struct evidence *e, char *why, size_t i)
{
	const struct evidence_relay *r = &e->relays[i];

	if (r->running == 0 || r->running > e->n_consensuses || (uint64_t)r->exit + r->guard > r->running)
		return doc_fail(why, "a relay runs in no consensus or more than there are, or has flags in more than it runs in");
	if (r->weight_sum > EVIDENCE_WEIGHT_MAX)
		return doc_fail(why, "the weight of a relay is too large");
	if (!is_group(r->family, "0123456789abcdef", true) || !is_group(r->network, "0123456789abcdef.:/", false))
		return doc_fail(why, "the family or network group of a relay is not a name of one");
	if (i && relay_cmp(r - 1, r) >= 0)
		return doc_fail(why, "relays are not in the order of their ids, or one is there twice");
	return 0;
}

static int check(const struct evidence *e, char *why)
{
	if (e->epoch > DOC_U53_MAX || e->from < 0 || e->from >= e->to || (uint64_t)e->to > DOC_U53_MAX)
		return doc_fail(why, "the epoch has no such number, or ends before it starts");
	if (e->n_consensuses > EVIDENCE_CONSENSUSES_MAX || e->n_relays > REWARD_RELAYS_MAX)
		return doc_fail(why, "more than %d consensuses or %d relays", EVIDENCE_CONSENSUSES_MAX, REWARD_RELAYS_MAX);
	for (size_t i = 0; i < e->n_consensuses; i++)
		if (check_consensus(e, why, i) < 0)
			return ERR_MALFORMED;
	for (size_t i = 0; i < e->n_relays; i++)
		if (check_relay(e, why, i) < 0)
			return ERR_MALFORMED;
	return 0;
}

int evidence_check(struct evidence *e, char why[REWARD_WHY_CAP])
{
	if (e->n_consensuses)
		qsort(e->consensuses, e->n_consensuses, sizeof(*e->consensuses), consensus_cmp);
	if (e->n_relays)
		qsort(e->relays, e->n_relays, sizeof(*e->relays), relay_cmp);
	return check(e, why);
}

enum evidence_state evidence_state(const struct evidence *e)
{
	if (e->n_consensuses == 0)
		return EVIDENCE_NO_CONSENSUS;
	for (size_t i = 0; i < e->n_consensuses; i++)
		if (e->consensuses[i].vanished * VANISHED_PART > e->consensuses[i].before)
			return EVIDENCE_VANISHED;
	return EVIDENCE_NORMAL;
}

const char *evidence_state_name(enum evidence_state s)
{
	switch (s) {
	case EVIDENCE_NORMAL:
		return "normal";
	case EVIDENCE_NO_CONSENSUS:
		return "no-consensus";
	case EVIDENCE_VANISHED:
		return "vanished";
	}
	return "";
}

/* -- writing ------------------------------------------------------------------------- */

static json_t *consensus_json(const struct evidence_consensus *c)
{
	json_t *o = json_pack("{s:I, s:I, s:I, s:I}", "before", (json_int_t)c->before, "validAfter",
			      (json_int_t)c->valid_after, "vanished", (json_int_t)c->vanished, "weight", (json_int_t)c->weight);

	json_set_hex(o, "sha256", c->sha256, sizeof(c->sha256));
	return o;
}

static json_t *relay_json(const struct evidence_relay *r)
{
	json_t *o = json_pack("{s:I, s:s, s:I, s:s, s:I, s:I}", "exit", (json_int_t)r->exit, "family", r->family, "guard",
			      (json_int_t)r->guard, "network", r->network, "running", (json_int_t)r->running, "weight",
			      (json_int_t)r->weight_sum);

	json_set_hex(o, "fingerprint", r->fingerprint, sizeof(r->fingerprint));
	json_set_hex(o, "relayId", r->relay_id, sizeof(r->relay_id));
	return o;
}

json_t *evidence_json(const struct evidence *e)
{
	json_t *o = json_pack("{s:I, s:I, s:I}", "epoch", (json_int_t)e->epoch, "from", (json_int_t)e->from, "to",
			      (json_int_t)e->to);
	json_t *consensuses = json_array(), *relays = json_array();

	for (size_t i = 0; i < e->n_consensuses; i++)
		json_array_append_new(consensuses, consensus_json(&e->consensuses[i]));
	for (size_t i = 0; i < e->n_relays; i++)
		json_array_append_new(relays, relay_json(&e->relays[i]));
	json_object_set_new(o, "consensuses", consensuses);
	json_object_set_new(o, "relays", relays);
	return o;
}

int evidence_write(char **ret, size_t *ret_len, char why[REWARD_WHY_CAP], struct evidence *e)
{
	json_t *doc;
	int r = evidence_check(e, why);

	if (r < 0)
		return r;
	doc = evidence_json(e);
	r = jcs_write(ret, ret_len, doc);
	json_decref(doc);
	return r < 0 ? doc_fail(why, "the evidence cannot be written as canonical JSON") : 0;
}

void evidence_hash(uint8_t ret[KECCAK256_LEN], const char *text, size_t len)
{
	keccak256(ret, text, len);
}

/* -- reading ------------------------------------------------------------------------- */

static int read_consensus(struct evidence_consensus *c, char *why, const json_t *row)
{
	static const char where[] = "a row of consensuses";
	uint64_t valid_after = 0;

	if (doc_only(why, where, row, DOC_MEMBERS("before", "sha256", "validAfter", "vanished", "weight")) < 0 ||
	    doc_u53(&c->before, why, where, row, "before", EVIDENCE_WEIGHT_MAX) < 0 ||
	    doc_hex(c->sha256, sizeof(c->sha256), why, where, row, "sha256") < 0 ||
	    doc_u53(&valid_after, why, where, row, "validAfter", DOC_U53_MAX) < 0 ||
	    doc_u53(&c->vanished, why, where, row, "vanished", EVIDENCE_WEIGHT_MAX) < 0)
		return ERR_MALFORMED;
	c->valid_after = (int64_t)valid_after;
	return doc_u53(&c->weight, why, where, row, "weight", EVIDENCE_WEIGHT_MAX);
}

static int read_relay(struct evidence_relay *r, char *why, const json_t *row)
{
	static const char where[] = "a row of relays";

	if (doc_only(why, where, row, DOC_MEMBERS("exit", "family", "fingerprint", "guard", "network", "relayId", "running",
						  "weight")) < 0 ||
	    doc_u32(&r->exit, why, where, row, "exit", EVIDENCE_CONSENSUSES_MAX) < 0 ||
	    doc_text(r->family, sizeof(r->family), why, where, row, "family") < 0 ||
	    doc_hex(r->fingerprint, sizeof(r->fingerprint), why, where, row, "fingerprint") < 0 ||
	    doc_u32(&r->guard, why, where, row, "guard", EVIDENCE_CONSENSUSES_MAX) < 0 ||
	    doc_text(r->network, sizeof(r->network), why, where, row, "network") < 0 ||
	    doc_hex(r->relay_id, sizeof(r->relay_id), why, where, row, "relayId") < 0 ||
	    doc_u32(&r->running, why, where, row, "running", EVIDENCE_CONSENSUSES_MAX) < 0)
		return ERR_MALFORMED;
	return doc_u53(&r->weight_sum, why, where, row, "weight", EVIDENCE_WEIGHT_MAX);
}

static int read_rows(struct evidence *e, char *why, const json_t *consensuses, const json_t *relays)
{
	if (!json_is_array(consensuses) || json_array_size(consensuses) > EVIDENCE_CONSENSUSES_MAX ||
	    !json_is_array(relays) || json_array_size(relays) > REWARD_RELAYS_MAX)
		return doc_fail(why, "consensuses or relays is missing, or not a list, or too long");
	for (size_t i = 0; i < json_array_size(consensuses); i++) {
		struct evidence_consensus c = { 0 };

		if (read_consensus(&c, why, json_array_get(consensuses, i)) < 0)
			return ERR_MALFORMED;
		evidence_add_consensus(e, &c);
	}
	for (size_t i = 0; i < json_array_size(relays); i++) {
		struct evidence_relay r = { 0 };

		if (read_relay(&r, why, json_array_get(relays, i)) < 0)
			return ERR_MALFORMED;
		if (r.running == 0)
			return doc_fail(why, "a relay that runs in no consensus has no row");
		evidence_add_relay(e, &r);
	}
	return 0;
}

static int read_doc(struct evidence **ret, char *why, const json_t *doc)
{
	static const char where[] = "the evidence";
	uint64_t epoch = 0, from = 0, to = 0;
	struct evidence *e;

	if (doc_only(why, where, doc, DOC_MEMBERS("consensuses", "epoch", "from", "relays", "to")) < 0 ||
	    doc_u53(&epoch, why, where, doc, "epoch", DOC_U53_MAX) < 0 ||
	    doc_u53(&from, why, where, doc, "from", DOC_U53_MAX) < 0 ||
	    doc_u53(&to, why, where, doc, "to", DOC_U53_MAX) < 0)
		return ERR_MALFORMED;
	e = evidence_new(epoch, (int64_t)from, (int64_t)to);
	if (read_rows(e, why, json_object_get(doc, "consensuses"), json_object_get(doc, "relays")) < 0 ||
	    check(e, why) < 0) {
		evidence_free(e);
		return ERR_MALFORMED;
	}
	*ret = e;
	return 0;
}

int evidence_read(struct evidence **ret, char why[REWARD_WHY_CAP], const char *text, size_t len)
{
	json_t *doc;
	int r;

	if (jcs_read_canonical(&doc, text, len) < 0)
		return doc_fail(why, "the evidence is not canonical JSON");
	r = read_doc(ret, why, doc);
	json_decref(doc);
	return r;
}
