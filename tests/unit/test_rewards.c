/*
 * What rewards.h promises of nonos-1, tried on random epochs. That each term is right is tests/check_nonos1.py's
 * part, which has a second implementation.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/rewards.h>

enum { ROUNDS = 300, RELAYS = 40, SEEN = 24, PARTS = 4 };

/* Every run of the test tries the same epochs. */
static uint64_t seed;

static uint64_t draw(uint64_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 33) % below;
}

static struct amount tokens(uint64_t n)
{
	struct amount a;

	assert_int_equal(amount_mul(&a, amount_u64(n), amount_u64(UINT64_C(1000000000000000000))), 0);
	return a;
}

static void draw_relay(struct reward_epoch *e, struct reward_relay *r, uint64_t groups)
{
	static const uint32_t days[] = { 0, 30, 90, 180, 365 };

	*r = (struct reward_relay){ 0 };
	for (size_t i = 0; i < REWARD_ID_LEN; i++)
		r->id[i] = (uint8_t)draw(256);
	r->operator.b[0] = (uint8_t)draw(groups);
	r->payout = r->operator;
	if (draw(2))
		snprintf(r->family, sizeof(r->family), "%02x", (unsigned)draw(groups));
	snprintf(r->network, sizeof(r->network), "10.%u.0.0/16", (unsigned)draw(groups));
	r->running = 1 + (uint32_t)draw(SEEN);
	r->exit = draw(3) ? 0 : r->running;
	r->guard = r->exit ? 0 : (uint32_t)draw(2) * r->running;
	r->weight_sum = r->running * (1 + draw(100000));
	for (uint64_t locks = draw(4); locks > 0; locks--)
		assert_int_equal(reward_relay_lock(r, &e->params, tokens(draw(300000)), days[draw(5)]), 0);
}

static struct reward_epoch *draw_epoch(void)
{
	struct reward_epoch *e = mem_new(sizeof(*e));
	uint64_t groups = draw(2) ? 200 : 1 + draw(6);

	e->params = reward_params_default();
	e->reserve = tokens(240000000);
	e->seen = SEEN;
	e->n_relays = 1 + draw(RELAYS);
	e->relays = mem_new_array(e->n_relays + PARTS, sizeof(*e->relays));
	for (size_t i = 0; i < e->n_relays; i++)
		draw_relay(e, &e->relays[i], groups);
	return e;
}

static struct reward_epoch *copy_epoch(const struct reward_epoch *from)
{
	struct reward_epoch *e = mem_dup(from, sizeof(*from));

	e->relays = mem_new_array(e->n_relays + PARTS, sizeof(*e->relays));
	memcpy(e->relays, from->relays, e->n_relays * sizeof(*e->relays));
	return e;
}

static void compute(struct reward_epoch *e)
{
	char why[REWARD_WHY_CAP];

	assert_int_equal(reward_compute(e, why), 0);
}

static const struct reward_relay *find(const struct reward_epoch *e, const uint8_t id[REWARD_ID_LEN])
{
	for (size_t i = 0; i < e->n_relays; i++)
		if (memcmp(e->relays[i].id, id, REWARD_ID_LEN) == 0)
			return &e->relays[i];
	fail_msg("the relay is gone");
	return NULL;
}

/* What an account's relays are due together. */
static struct amount due_to(const struct reward_epoch *e, const struct eth_addr *payout)
{
	struct amount sum = { 0 };

	for (size_t i = 0; i < e->n_relays; i++)
		if (eth_addr_eq(&e->relays[i].payout, payout))
			assert_int_equal(amount_add(&sum, sum, e->relays[i].due), 0);
	return sum;
}

/* What the party of a relay is due together. */
static struct amount party_due(const struct reward_epoch *e, const struct reward_relay *r)
{
	struct amount sum = { 0 };

	for (size_t i = 0; i < e->n_relays; i++)
		if (e->relays[i].party == r->party)
			assert_int_equal(amount_add(&sum, sum, e->relays[i].due), 0);
	return sum;
}

/* a <= b, but for the roundings that rewards.h names. */
static void expect_no_more(const struct reward_epoch *e, struct amount a, struct amount b)
{
	struct amount unit, slack, millionth;

	assert_int_equal(amount_muldiv(&unit, NULL, e->budget, amount_u64(2 * (e->n_relays + PARTS)), e->counted), 0);
	assert_int_equal(amount_add(&slack, unit, amount_u64(2 * PARTS + 2)), 0);
	assert_int_equal(amount_add(&b, b, slack), 0);
	assert_int_equal(amount_muldiv(&millionth, NULL, e->budget, amount_u64(1), amount_u64(1000000)), 0);
	assert_true(amount_cmp(slack, millionth) < 0);		/* so the comparison says something */
	assert_true(amount_cmp(a, b) <= 0);
}

/* -- the promises ---------------------------------------------------------------------- */

static void test_sum_is_budget(void **state)
{
	unsigned paid = 0;

	(void)state;
	for (uint64_t round = 0; round < ROUNDS; round++) {
		struct reward_epoch *e;
		struct amount sum = { 0 };

		seed = round;
		e = draw_epoch();
		compute(e);
		for (size_t i = 0; i < e->n_relays; i++) {
			assert_int_equal(amount_add(&sum, sum, e->relays[i].due), 0);
			assert_true(!e->relays[i].excluded || amount_is_zero(e->relays[i].due));
			assert_true(amount_cmp(e->relays[i].counted, e->relays[i].credit) <= 0);
		}
		assert_int_equal(amount_cmp(sum, e->paid), 0);
		assert_int_equal(amount_cmp(sum, amount_is_zero(e->counted) ? amount_u64(0) : e->budget), 0);
		paid += !amount_is_zero(sum);
		reward_epoch_free(e);
	}
	assert_true(paid > ROUNDS / 2);
}

static void test_order(void **state)
{
	(void)state;
	for (uint64_t round = 0; round < ROUNDS; round++) {
		struct reward_epoch *e, *other;

		seed = round;
		e = draw_epoch();
		other = copy_epoch(e);
		for (size_t i = 1; i < e->n_relays; i++) {
			size_t j = draw(i + 1);
			struct reward_relay r = other->relays[i];

			other->relays[i] = other->relays[j];
			other->relays[j] = r;
		}
		compute(e);
		compute(other);
		for (size_t i = 0; i < e->n_relays; i++)
			assert_memory_equal(&e->relays[i], &other->relays[i], sizeof(e->relays[i]));
		reward_epoch_free(e);
		reward_epoch_free(other);
	}
}

/* Cut a part off `left`, and take it from that. */
static uint64_t cut_u64(uint64_t *left, bool last)
{
	uint64_t part = last ? *left : draw(*left + 1);

	*left -= part;
	return part;
}

static struct amount cut(struct amount *left, bool last)
{
	struct amount part = *left;

	if (!last)
		assert_int_equal(amount_muldiv(&part, NULL, *left, amount_u64(draw(101)), amount_u64(100)), 0);
	assert_int_equal(amount_sub(left, *left, part), 0);
	return part;
}

/* Divide a relay's weight and locks among itself and new ones. Its locks are drawn anew, to be known. */
static void split_relay(struct reward_epoch *whole, struct reward_epoch *parts, size_t at, bool groups_too)
{
	static const uint32_t days[] = { 0, 30, 90, 180, 365 };
	size_t n = 2 + draw(PARTS - 1), where[PARTS + 1] = { at };
	struct reward_relay *w = &whole->relays[at];
	struct amount locks[5];
	uint64_t weight = w->weight_sum;

	w->stake = amount_u64(0);
	memset(w->locked, 0, sizeof(w->locked));
	parts->relays[at] = *w;
	for (size_t i = 0; i < 5; i++) {
		locks[i] = draw(2) ? tokens(draw(400000)) : amount_u64(draw(1000000));
		assert_int_equal(reward_relay_lock(w, &whole->params, locks[i], days[i]), 0);
	}
	for (size_t p = 1; p < n; p++) {
		where[p] = parts->n_relays++;
		parts->relays[where[p]] = parts->relays[at];
		parts->relays[where[p]].id[0] ^= (uint8_t)p;
		if (groups_too) {
			parts->relays[where[p]].operator.b[1] = (uint8_t)p;
			parts->relays[where[p]].family[0] = '\0';
			snprintf(parts->relays[where[p]].network, REWARD_GROUP_CAP, "192.%u.0.0/16", (unsigned)p);
		}
	}
	for (size_t p = 0; p < n; p++) {
		struct reward_relay *r = &parts->relays[where[p]];

		r->weight_sum = cut_u64(&weight, p + 1 == n);
		for (size_t i = 0; i < 5; i++)
			assert_int_equal(reward_relay_lock(r, &parts->params, cut(&locks[i], p + 1 == n), days[i]), 0);
	}
}

static struct amount credit_to(const struct reward_epoch *e, const struct eth_addr *payout)
{
	struct amount sum = { 0 };

	for (size_t i = 0; i < e->n_relays; i++)
		if (eth_addr_eq(&e->relays[i].payout, payout))
			assert_int_equal(amount_add(&sum, sum, e->relays[i].credit), 0);
	return sum;
}

static void test_split_relay(void **state)
{
	unsigned tried = 0;

	(void)state;
	for (uint64_t round = 0; round < 4 * ROUNDS; round++) {
		struct reward_epoch *whole, *parts;
		struct eth_addr payout;
		uint8_t id[REWARD_ID_LEN];
		size_t at;

		seed = round;
		whole = draw_epoch();
		parts = copy_epoch(whole);
		at = draw(whole->n_relays);
		payout = whole->relays[at].payout;
		memcpy(id, whole->relays[at].id, sizeof(id));
		split_relay(whole, parts, at, false);
		compute(whole);
		compute(parts);
		assert_true(amount_cmp(credit_to(parts, &payout), credit_to(whole, &payout)) <= 0);
		if (!amount_is_zero(whole->counted) && !amount_is_zero(parts->counted)) {
			expect_no_more(whole, party_due(parts, find(parts, id)), party_due(whole, find(whole, id)));
			tried++;
		}
		reward_epoch_free(whole);
		reward_epoch_free(parts);
	}
	assert_true(tried > ROUNDS);
}

/* Below the limit there is no tie to hide, and nothing to be gained by hiding it. */
static void test_split_small_operator(void **state)
{
	unsigned tried = 0;

	(void)state;
	for (uint64_t round = 0; round < 4 * ROUNDS; round++) {
		struct reward_epoch *whole, *parts;
		struct eth_addr payout = { { 0xee } };
		size_t at;

		seed = round;
		whole = draw_epoch();
		at = draw(whole->n_relays);
		/* Alone in all its groups, so that it is one operator and small. */
		whole->relays[at].operator = whole->relays[at].payout = payout;
		whole->relays[at].family[0] = '\0';
		snprintf(whole->relays[at].network, REWARD_GROUP_CAP, "172.16.0.0/16");
		parts = copy_epoch(whole);
		split_relay(whole, parts, at, true);
		compute(whole);
		compute(parts);
		if (!amount_is_zero(parts->counted) && amount_cmp(credit_to(whole, &payout), whole->limit) <= 0 &&
		    !amount_is_zero(credit_to(whole, &payout))) {
			expect_no_more(whole, due_to(parts, &payout), due_to(whole, &payout));
			tried++;
		}
		reward_epoch_free(whole);
		reward_epoch_free(parts);
	}
	assert_true(tried > 50);
}

/* All relays of one account, in one family or one network, under as many accounts as there are relays. */
static void test_split_operator(void **state)
{
	unsigned tried = 0, diluted = 0;

	(void)state;
	for (uint64_t round = 0; round < 2 * ROUNDS; round++) {
		struct reward_epoch *one, *many;
		struct eth_addr payout = { { 0xee } };

		seed = round;
		one = draw_epoch();
		for (size_t i = 0; i < one->n_relays; i += 1 + draw(4)) {
			one->relays[i].operator = one->relays[i].payout = payout;
			snprintf(one->relays[i].family, REWARD_GROUP_CAP, "%s", round % 2 ? "abc" : "");
			if (round % 2 == 0)
				snprintf(one->relays[i].network, REWARD_GROUP_CAP, "172.16.0.0/16");
		}
		many = copy_epoch(one);
		for (size_t i = 0; i < many->n_relays; i++)
			if (eth_addr_eq(&many->relays[i].payout, &payout))
				many->relays[i].operator.b[1] = (uint8_t)(i + 1);
		compute(one);
		compute(many);
		if (!amount_is_zero(one->counted)) {
			expect_no_more(one, due_to(many, &payout), due_to(one, &payout));
			diluted += amount_cmp(credit_to(one, &payout), one->limit) > 0;
			tried++;
		}
		reward_epoch_free(one);
		reward_epoch_free(many);
	}
	assert_true(tried > ROUNDS && diluted > ROUNDS / 2);
}

static void test_split_lock(void **state)
{
	struct reward_params p = reward_params_default();

	(void)state;
	for (seed = 1; draw(200) != 0; ) {
		struct reward_relay one = { 0 }, many = { 0 };
		struct amount lock = tokens(draw(2000000));
		uint32_t days = (uint32_t)draw(400);

		assert_int_equal(reward_relay_lock(&one, &p, lock, days), 0);
		while (!amount_is_zero(lock))
			assert_int_equal(reward_relay_lock(&many, &p, cut(&lock, draw(4) == 0), days), 0);
		assert_memory_equal(&one, &many, sizeof(one));
	}
}

/* Better one way, the rest as it was. */
static void improve(const struct reward_epoch *e, struct reward_relay *r)
{
	uint64_t mean = r->weight_sum / r->running;

	switch (draw(4)) {
	case 0:
		r->weight_sum += r->running * draw(1000000);
		break;
	case 1:
		if (r->running < SEEN) {
			uint32_t more = r->running + 1 + (uint32_t)draw(SEEN - r->running);

			r->exit = r->exit ? more : 0;
			r->guard = r->guard ? more : 0;
			r->weight_sum = mean * more;
			r->running = more;
		}
		break;
	case 2:
		assert_int_equal(reward_relay_lock(r, &e->params, tokens(draw(1000000)), (uint32_t)draw(400)), 0);
		break;
	default:
		r->guard = 0;
		r->exit = r->running;
		break;
	}
}

static void test_monotone(void **state)
{
	unsigned more = 0;

	(void)state;
	for (uint64_t round = 0; round < 4 * ROUNDS; round++) {
		struct reward_epoch *before, *after;
		uint8_t id[REWARD_ID_LEN];
		size_t at;

		seed = round;
		before = draw_epoch();
		after = copy_epoch(before);
		at = draw(before->n_relays);
		memcpy(id, before->relays[at].id, sizeof(id));
		improve(after, &after->relays[at]);
		compute(before);
		compute(after);
		assert_true(amount_cmp(find(before, id)->credit, find(after, id)->credit) <= 0);
		if (!amount_is_zero(before->counted)) {
			expect_no_more(before, find(before, id)->due, find(after, id)->due);
			expect_no_more(before, party_due(before, find(before, id)), party_due(after, find(after, id)));
			more += amount_cmp(find(before, id)->due, find(after, id)->due) < 0;
		}
		reward_epoch_free(before);
		reward_epoch_free(after);
	}
	assert_true(more > ROUNDS / 2);
}

/* Twenty operators or more: none is due more than a twentieth, however large. */
static void test_dilution(void **state)
{
	struct reward_epoch e = { .params = reward_params_default(), .reserve = tokens(240000000), .seen = 1 };
	struct amount twentieth;

	(void)state;
	e.n_relays = 100;
	e.relays = mem_new_array(e.n_relays, sizeof(*e.relays));
	for (size_t i = 0; i < e.n_relays; i++) {
		struct reward_relay *r = &e.relays[i];

		r->id[0] = r->operator.b[0] = r->payout.b[0] = (uint8_t)i;
		r->running = 1;
		r->weight_sum = i ? 10000 : 20 * 10000;		/* one has 20 of 119 parts */
		assert_int_equal(reward_relay_lock(r, &e.params, tokens(30000), 0), 0);
	}
	compute(&e);
	assert_int_equal(amount_cmp(e.relays[0].counted, e.limit), 0);
	assert_int_equal(amount_cmp(e.relays[0].party_credit, e.relays[0].credit), 0);
	assert_int_equal(amount_cmp(e.relays[1].counted, e.relays[1].credit), 0);
	assert_int_equal(amount_muldiv(&twentieth, NULL, e.budget, amount_u64(1), amount_u64(17)), 0);
	assert_true(amount_cmp(e.relays[0].due, twentieth) < 0);
	assert_true(amount_cmp(e.relays[0].due, e.relays[1].due) > 0);
	free(e.relays);
}

static void test_exclusions(void **state)
{
	struct reward_epoch e = { .params = reward_params_default(), .reserve = tokens(1000), .seen = 2 };
	struct reward_relay relays[5] = { 0 };

	(void)state;
	e.relays = relays;
	e.n_relays = 5;
	for (uint8_t i = 0; i < 5; i++) {
		relays[i].id[0] = i;
		relays[i].running = i == 0 ? 0 : 2;
		relays[i].weight_sum = i == 0 || i == 3 ? 0 : 100;
		if (i != 1)
			assert_int_equal(reward_relay_lock(&relays[i], &e.params, tokens(i == 2 ? 999 : 1000), 0), 0);
	}
	compute(&e);
	assert_int_equal(relays[0].excluded, REWARD_NOT_RUNNING);
	assert_int_equal(relays[1].excluded, REWARD_NO_STAKE);
	assert_int_equal(relays[2].excluded, REWARD_NO_TIER);
	assert_int_equal(relays[3].excluded, REWARD_NO_WEIGHT);
	assert_int_equal(relays[4].excluded, REWARD_COUNTED);
	assert_int_equal(amount_cmp(relays[4].due, e.budget), 0);
}

/* Every bound at once: no sum leaves its range; and what is refused. */
static void test_extremes(void **state)
{
	struct reward_epoch e = { .params = reward_params_default(), .seen = EVIDENCE_CONSENSUSES_MAX };
	char why[REWARD_WHY_CAP];

	(void)state;
	e.reserve = (struct amount){ UINT64_MAX, UINT64_MAX };
	e.params.lambda_weight = 1 << 30;
	e.params.lambda_stake = amount_u64(1);
	e.params.guard_bp = e.params.exit_bp = REWARD_FACTOR_MAX;
	e.params.tiers[0].factor_bp = REWARD_FACTOR_MAX;
	e.params.n_tiers = 1;
	e.n_relays = 3000;
	e.relays = mem_new_array(e.n_relays, sizeof(*e.relays));
	for (size_t i = 0; i < e.n_relays; i++) {
		struct reward_relay *r = &e.relays[i];

		r->id[0] = (uint8_t)i;
		r->id[1] = (uint8_t)(i >> 8);
		r->running = r->exit = EVIDENCE_CONSENSUSES_MAX;
		r->weight_sum = EVIDENCE_WEIGHT_MAX;
		assert_int_equal(reward_relay_lock(r, &e.params, tokens(800000000), 0), 0);
	}
	compute(&e);
	e.relays[1] = e.relays[0];
	assert_int_equal(reward_compute(&e, why), ERR_EXISTS);
	e.relays[1].id[31] = 1;
	e.relays[1].guard = 1;
	assert_int_equal(reward_compute(&e, why), ERR_MALFORMED);
	e.relays[1].guard = 0;
	e.params.tiers[0].stake = amount_u64(0);
	assert_int_equal(reward_compute(&e, why), ERR_RANGE);
	free(e.relays);
}

static void test_params_json(void **state)
{
	struct reward_params p = reward_params_default(), q;
	char why[REWARD_WHY_CAP];
	json_t *doc = reward_params_json(&p), *again;

	(void)state;
	memset(&q, 0, sizeof(q));
	assert_int_equal(reward_params_read(&q, why, doc), 0);
	assert_int_equal(q.epoch_s, 3600);
	assert_int_equal(q.n_tiers, 5);
	assert_int_equal(amount_cmp(q.tiers[4].stake, tokens(1000000)), 0);
	again = reward_params_json(&q);
	assert_true(json_equal(doc, again));
	json_decref(again);
	json_object_set_new(doc, "more", json_true());
	assert_int_equal(reward_params_read(&q, why, doc), ERR_MALFORMED);
	json_object_del(doc, "more");
	json_object_set_new(doc, "exitBp", json_integer(9999));
	assert_int_equal(reward_params_read(&q, why, doc), ERR_RANGE);
	json_object_del(doc, "exitBp");
	assert_int_equal(reward_params_read(&q, why, doc), ERR_MALFORMED);
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum_is_budget),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_split_relay),
		cmocka_unit_test(test_split_small_operator),
		cmocka_unit_test(test_split_operator),
		cmocka_unit_test(test_split_lock),
		cmocka_unit_test(test_monotone),
		cmocka_unit_test(test_dilution),
		cmocka_unit_test(test_exclusions),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_params_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
