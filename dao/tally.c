/*
 * The tally. Delegations count only from before the opening and ballots only
 * from then on, so all delegations are taken first; then ballots, one by one,
 * because the one that brings quorum may move the closing time for the next.
 */
#include "config.h"

#include <nonos/tally.h>

#include <stdlib.h>
#include <string.h>

#include <nonos/doc_read.h>
#include <nonos/err.h>
#include <nonos/mem.h>

/* A voter during the count. */
struct seat {
	struct eth_addr addr;
	struct amount credits;
	uint64_t power;				/* root of the credits */
	const struct tally_entry *ballot;	/* the one that stands; borrowed */
	const struct tally_entry *delegation;
	struct seat *delegate;			/* NULL: none, or one without a seat */
	struct seat *delegators, *next;		/* who delegates to this one; the next of the same delegate */
	uint64_t quorum;			/* what it gives the quorum, as counted */
	bool direct, represented;		/* as counted */
};

struct count {
	const struct tally_input *in;
	struct seat *seats;			/* sorted by address */
	enum tally_reason *reasons;		/* of each entry */
	struct tally_result *r;
	bool watching;				/* whether quorum may still move the closing time */
};

/* -- checks ------------------------------------------------------------------------ */

static int check_rules(char *why, const struct tally_rules *r)
{
	if (r->n_options < 2 || r->n_options > TALLY_OPTIONS_MAX)
		doc_fail(why, "there must be 2 to %d options", TALLY_OPTIONS_MAX);
	else if (r->n_options < 64 && r->quorum_options >> r->n_options)
		doc_fail(why, "an option that is not there would help the quorum");
	else if (r->opens >= r->closes || r->closes > DOC_U53_MAX || r->extension > DOC_U53_MAX - r->closes)
		doc_fail(why, "voting closes before it opens, or later than a time can be");
	else if (r->quorum_bps > TALLY_BP || r->threshold_bps > TALLY_BP)
		doc_fail(why, "quorum or threshold is above the whole, %d", TALLY_BP);
	else
		return 0;
	return ERR_RANGE;
}

static int check_log(char *why, const struct tally_input *in)
{
	for (size_t i = 1; i < in->n_log; i++)
		if (in->log[i].index <= in->log[i - 1].index || in->log[i].time < in->log[i - 1].time)
			return doc_fail(why, "the entry after index %llu has no higher index, or an earlier time",
					(unsigned long long)in->log[i - 1].index);
	return 0;
}

/* -- the register ------------------------------------------------------------------ */

static int seat_cmp(const void *a, const void *b)
{
	return memcmp(((const struct seat *)a)->addr.b, ((const struct seat *)b)->addr.b, ETH_ADDR_LEN);
}

static struct seat *find_seat(const struct count *c, const struct eth_addr *addr)
{
	struct seat key = { .addr = *addr };

	return c->in->n_voters ? bsearch(&key, c->seats, c->in->n_voters, sizeof(key), seat_cmp) : NULL;
}

static int fill_seat(struct count *c, char *why, struct seat *s, const struct tally_voter *v)
{
	const struct tally_rules *rules = &c->in->rules;
	uint32_t reputation = v->reputation_bps < rules->reputation_max_bps ? v->reputation_bps : rules->reputation_max_bps;

	s->addr = v->addr;
	if (amount_cmp(v->stake, rules->supply) > 0) {
		doc_fail(why, "a stake in the register is above the supply of the token");
		return ERR_RANGE;
	}
	if (amount_muldiv(&s->credits, NULL, v->stake, amount_u64(reputation), amount_u64(TALLY_BP)) < 0)
		return ERR_RANGE;
	s->power = amount_isqrt(s->credits);
	return amount_add(&c->r->total_power, c->r->total_power, amount_u64(s->power));
}

static int fill_seats(struct count *c, char *why)
{
	size_t n = c->in->n_voters;
	int err;

	for (size_t i = 0; i < n; i++) {
		err = fill_seat(c, why, &c->seats[i], &c->in->voters[i]);
		if (err < 0)
			return err;
	}
	qsort(c->seats, n, sizeof(*c->seats), seat_cmp);
	for (size_t i = 1; i < n; i++)
		if (seat_cmp(&c->seats[i - 1], &c->seats[i]) == 0) {
			doc_fail(why, "a voter is in the register twice");
			return ERR_EXISTS;
		}
	return 0;
}

/* -- delegations ------------------------------------------------------------------- */

static enum tally_reason take_delegation(struct count *c, const struct tally_entry *e)
{
	struct seat *s = find_seat(c, &e->voter);

	if (!e->valid)
		return TALLY_BAD_SIGNATURE;
	if (e->time >= c->in->rules.opens)
		return TALLY_DELEGATION_LATE;
	if (e->valid_until < c->in->rules.opens)
		return TALLY_DELEGATION_EXPIRED;
	if (!s)
		return TALLY_NOT_REGISTERED;
	if (s->delegation && e->nonce <= s->delegation->nonce)
		return TALLY_STALE;
	s->delegation = e;
	return TALLY_ACCEPTED;
}

/* To oneself is to nobody: so a delegation is taken back. */
static void link_delegator(struct count *c, struct seat *s)
{
	struct seat *to = s->delegation ? find_seat(c, &s->delegation->delegatee) : NULL;

	if (!to || to == s)
		return;
	s->delegate = to;
	s->next = to->delegators;
	to->delegators = s;
}

static void take_delegations(struct count *c)
{
	for (size_t i = 0; i < c->in->n_log; i++)
		if (c->in->log[i].kind == TALLY_DELEGATION)
			c->reasons[i] = take_delegation(c, &c->in->log[i]);
	for (size_t i = 0; i < c->in->n_voters; i++)
		link_delegator(c, &c->seats[i]);
}

/* -- who is counted with what ------------------------------------------------------ */

static uint32_t weight_sum(const struct tally_entry *e, uint64_t options)
{
	uint32_t sum = 0;

	for (uint32_t k = 0; k < e->n_weights && k < TALLY_OPTIONS_MAX; k++)
		if (options >> k & 1)
			sum += e->weights[k];
	return sum;
}

/* The ballot that counts for a voter, or NULL. One that was withdrawn is neither counted nor handed on. */
static const struct tally_entry *ballot_of(const struct seat *s)
{
	const struct tally_entry *e = s->ballot;

	if (!e && s->delegate)
		e = s->delegate->ballot;
	return e && s->power && weight_sum(e, UINT64_MAX) ? e : NULL;
}

static int root_of_part(uint64_t *ret, struct amount credits, uint32_t weight)
{
	struct amount part;
	int err = amount_muldiv(&part, NULL, credits, amount_u64(weight), amount_u64(TALLY_BP));

	if (err == 0)
		*ret = amount_isqrt(part);
	return err;
}

/* Put what a voter gives the quorum now in the place of what it gave before. */
static int recount(struct count *c, struct seat *s)
{
	const struct tally_entry *e = ballot_of(s);
	struct tally_result *r = c->r;
	uint64_t quorum = 0;
	int err = 0;

	r->represented -= s->represented;
	r->voters -= s->direct;
	s->represented = e;
	s->direct = e && e == s->ballot;
	r->represented += s->represented;
	r->voters += s->direct;
	if (e)
		err = root_of_part(&quorum, s->credits, weight_sum(e, c->in->rules.quorum_options));
	if (err == 0)
		err = amount_sub(&r->quorum_power, r->quorum_power, amount_u64(s->quorum));
	if (err == 0)
		err = amount_add(&r->quorum_power, r->quorum_power, amount_u64(quorum));
	s->quorum = quorum;
	return err;
}

static int has_quorum(bool *ret, const struct count *c)
{
	const struct tally_rules *rules = &c->in->rules;
	struct amount have, want;

	if (amount_mul(&have, c->r->quorum_power, amount_u64(TALLY_BP)) < 0 ||
	    amount_mul(&want, c->r->total_power, amount_u64(rules->quorum_bps)) < 0)
		return ERR_RANGE;
	*ret = amount_cmp(have, want) >= 0 && c->r->voters >= rules->min_voters && !amount_is_zero(c->r->total_power);
	return 0;
}

/* -- ballots ----------------------------------------------------------------------- */

static bool is_same_ballot(const struct tally_entry *a, const struct tally_entry *b)
{
	return a->n_weights == b->n_weights && memcmp(a->weights, b->weights, a->n_weights * sizeof(a->weights[0])) == 0;
}

static bool has_good_weights(const struct tally_rules *rules, const struct tally_entry *e)
{
	uint32_t sum = weight_sum(e, UINT64_MAX);

	return e->n_weights == rules->n_options && (sum == 0 || sum == TALLY_BP);
}

static enum tally_reason judge_ballot(const struct count *c, const struct seat *s, const struct tally_entry *e)
{
	if (!e->valid)
		return TALLY_BAD_SIGNATURE;
	if (e->time < c->in->rules.opens)
		return TALLY_EARLY;
	if (e->time >= c->r->closes)
		return TALLY_LATE;
	if (!s)
		return TALLY_NOT_REGISTERED;
	if (!has_good_weights(&c->in->rules, e))
		return TALLY_BAD_WEIGHTS;
	if (s->ballot && e->nonce < s->ballot->nonce)
		return TALLY_STALE;
	if (s->ballot && e->nonce == s->ballot->nonce)
		return is_same_ballot(e, s->ballot) ? TALLY_DUPLICATE : TALLY_EQUIVOCATION;
	return TALLY_ACCEPTED;
}

/* Quorum for the first time, with little time left: there is more, once. */
static int watch_quorum(struct count *c, struct seat *s, uint64_t now)
{
	const uint64_t extension = c->in->rules.extension;
	bool reached = false;
	int err = recount(c, s);

	for (struct seat *d = s->delegators; d && err == 0; d = d->next)
		err = recount(c, d);
	if (err == 0)
		err = has_quorum(&reached, c);
	if (err < 0 || !reached)
		return err;
	c->watching = false;
	if (c->r->closes - now < extension) {
		c->r->closes = now + extension;
		c->r->extended = true;
	}
	return 0;
}

static int take_ballots(struct count *c)
{
	int err = 0;

	for (size_t i = 0; i < c->in->n_log && err == 0; i++) {
		const struct tally_entry *e = &c->in->log[i];
		struct seat *s;

		if (e->kind != TALLY_VOTE)
			continue;
		s = find_seat(c, &e->voter);
		c->reasons[i] = judge_ballot(c, s, e);
		if (c->reasons[i] != TALLY_ACCEPTED)
			continue;
		s->ballot = e;
		if (c->watching)
			err = watch_quorum(c, s, e->time);
	}
	return err;
}

/* -- the result -------------------------------------------------------------------- */

static int add_votes(struct count *c, struct seat *s)
{
	const struct tally_entry *e = ballot_of(s);
	int err = recount(c, s);

	for (uint32_t k = 0; e && k < c->r->n_options && err == 0; k++) {
		uint64_t votes;

		err = root_of_part(&votes, s->credits, e->weights[k]);
		if (err == 0)
			err = amount_add(&c->r->sums[k], c->r->sums[k], amount_u64(votes));
	}
	return err;
}

/* A tie keeps things as they are. */
static int decide_binary(struct tally_result *r, uint32_t threshold_bps)
{
	struct amount both, have, want;

	if (amount_add(&both, r->sums[0], r->sums[1]) < 0 || amount_mul(&have, r->sums[0], amount_u64(TALLY_BP)) < 0 ||
	    amount_mul(&want, both, amount_u64(threshold_bps)) < 0)
		return ERR_RANGE;
	r->outcome = amount_cmp(r->sums[0], r->sums[1]) > 0 && amount_cmp(have, want) >= 0 ? TALLY_PASSED : TALLY_DEFEATED;
	return 0;
}

static void decide_plural(struct tally_result *r)
{
	r->outcome = TALLY_OPTION;
	for (uint32_t k = 1; k < r->n_options; k++) {
		int cmp = amount_cmp(r->sums[k], r->sums[r->winner]);

		if (cmp > 0) {
			r->winner = k;
			r->outcome = TALLY_OPTION;
		} else if (cmp == 0) {
			r->outcome = TALLY_TIED;
		}
	}
}

static int decide(struct count *c)
{
	bool reached;
	int err = has_quorum(&reached, c);

	if (err < 0)
		return err;
	c->r->outcome = TALLY_NO_QUORUM;
	if (!reached)
		return 0;
	if (c->in->rules.kind == TALLY_BINARY)
		return decide_binary(c->r, c->in->rules.threshold_bps);
	decide_plural(c->r);
	return 0;
}

static void list_rejected(struct count *c)
{
	struct tally_result *r = c->r;

	r->rejected = mem_new_array(c->in->n_log + 1, sizeof(*r->rejected));
	for (size_t i = 0; i < c->in->n_log; i++)
		if (c->reasons[i] != TALLY_ACCEPTED)
			r->rejected[r->n_rejected++] = (struct tally_rejected){ c->in->log[i].index, c->reasons[i] };
}

static int count_all(struct count *c, char *why)
{
	int err = fill_seats(c, why);

	if (err < 0)
		return err;
	take_delegations(c);
	err = take_ballots(c);
	for (size_t i = 0; i < c->in->n_voters && err == 0; i++)
		err = add_votes(c, &c->seats[i]);
	if (err == 0)
		err = decide(c);
	list_rejected(c);
	return err;
}

int tally_compute(struct tally_result **ret, char why[TALLY_WHY_CAP], const struct tally_input *in)
{
	struct count c = { .in = in, .watching = in->rules.extension > 0 };
	int err = check_rules(why, &in->rules);

	if (err == 0)
		err = check_log(why, in);
	if (err < 0)
		return err;
	c.seats = mem_new_array(in->n_voters + 1, sizeof(*c.seats));
	c.reasons = mem_new_array(in->n_log + 1, sizeof(*c.reasons));
	c.r = mem_new(sizeof(*c.r));
	c.r->n_options = in->rules.n_options;
	c.r->closes = in->rules.closes;
	doc_fail(why, "an amount leaves its range");	/* unless a better sentence follows */
	err = count_all(&c, why);
	if (err == 0) {
		why[0] = '\0';
		*ret = c.r;
	} else {
		tally_result_free(c.r);
	}
	free(c.seats);
	free(c.reasons);
	return err;
}

void tally_result_free(struct tally_result *r)
{
	if (!r)
		return;
	free(r->rejected);
	free(r);
}

const char *tally_reason_text(enum tally_reason why)
{
	static const char *const texts[] = {
#define X(name, text) [name] = text,
		TALLY_REASONS(X)
#undef X
	};

	return texts[why];
}
