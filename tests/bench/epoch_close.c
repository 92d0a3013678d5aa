/*
 * An epoch of 10,000 relays under nonos-1, and the tree of what was earned, as a ratio to the cost of
 * hashing the tree's leaves alone, which nothing can go below. Run by hand:
 *
 *	make tests/bench/epoch_close && tests/bench/epoch_close [RELAYS]
 *
 * Each is the best of several rounds of the same run. Exit status 1 above a ratio of 10.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <nonos/mem.h>
#include <nonos/rewards.h>

#include "../../ledger/std_merkle.h"

enum { RELAYS = 10000, ROUNDS = 7, RATIO_MAX = 10 };

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static uint64_t seed = 1;

static uint64_t draw(uint64_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 33) % below;
}

static struct amount tokens(uint64_t n)
{
	struct amount a = { 0 };

	(void)amount_mul(&a, amount_u64(n), amount_u64(UINT64_C(1000000000000000000)));
	return a;
}

/* Four relays an operator, a third of them in families, in 2,000 networks. */
static void draw_relay(struct reward_epoch *e, size_t n)
{
	static const uint32_t days[] = { 0, 30, 90, 180, 365 };
	struct reward_relay *r = &e->relays[n];
	uint64_t operator = draw(e->n_relays / 4 + 1);
	uint8_t hash[KECCAK256_LEN];

	for (size_t i = 0; i < REWARD_ID_LEN; i++)
		r->id[i] = (uint8_t)draw(256);
	keccak256(hash, &operator, sizeof(operator));
	memcpy(r->operator.b, hash, ETH_ADDR_LEN);
	r->payout = r->operator;
	if (operator % 3 == 0)
		snprintf(r->family, sizeof(r->family), "%040llx", (unsigned long long)operator);
	snprintf(r->network, sizeof(r->network), "%u.%u.0.0/16", (unsigned)draw(200), (unsigned)draw(10));
	r->running = 1 + (uint32_t)draw(e->seen);
	r->guard = r->running / 2;
	r->weight_sum = r->running * (100 + draw(200000));
	(void)reward_relay_lock(r, &e->params, tokens(1000 + draw(300000)), days[draw(5)]);
}

static struct reward_epoch *draw_epoch(size_t n)
{
	struct reward_epoch *e = mem_new(sizeof(*e));

	e->params = reward_params_default();
	e->reserve = tokens(240000000);
	e->seen = 24;
	e->n_relays = n;
	e->relays = mem_new_array(n, sizeof(*e->relays));
	for (size_t i = 0; i < n; i++)
		draw_relay(e, i);
	return e;
}

/* What was earned, one leaf a relay: the worst case is that each pays to another account. */
static struct std_entry *earned(const struct reward_epoch *e)
{
	struct std_entry *entries = mem_new_array(e->n_relays, sizeof(*entries));

	for (size_t i = 0; i < e->n_relays; i++) {
		memcpy(entries[i].account.b, e->relays[i].id, ETH_ADDR_LEN);
		entries[i].amount = e->relays[i].due;
	}
	return entries;
}

static double hash_leaves(const struct std_entry *entries, size_t n)
{
	double start = now_ms();
	struct std_hash h, sum = { { 0 } };

	for (size_t i = 0; i < n; i++) {
		std_merkle_leaf(&h, &entries[i]);
		sum.b[0] ^= h.b[0];
	}
	__asm__ volatile("" : : "r"(&sum) : "memory");
	return now_ms() - start;
}

static double close_epoch(struct reward_epoch *e)
{
	char why[REWARD_WHY_CAP] = "";
	struct std_merkle *tree;
	struct std_entry *entries;
	double start = now_ms();

	if (reward_compute(e, why) < 0) {
		fprintf(stderr, "%s\n", why);
		exit(1);
	}
	entries = earned(e);
	if (std_merkle_new(&tree, entries, e->n_relays) < 0)
		exit(1);
	std_merkle_free(tree);
	free(entries);
	return now_ms() - start;
}

int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : RELAYS;
	struct std_entry *entries;
	struct reward_epoch *e;
	double hashing = 1e300, closing = 1e300, t;

	if (n <= 0 || n > REWARD_RELAYS_MAX)
		return 2;
	e = draw_epoch((size_t)n);
	(void)close_epoch(e);
	entries = earned(e);
	for (int i = 0; i < ROUNDS; i++) {
		t = hash_leaves(entries, (size_t)n);
		hashing = t < hashing ? t : hashing;
		t = close_epoch(e);
		closing = t < closing ? t : closing;
	}
	free(entries);
	reward_epoch_free(e);
	printf("%ld relays: leaves hashed in %.2f ms, epoch computed and tree built in %.2f ms: %.2f times that (limit %d)\n", n,
	       hashing, closing, closing / hashing, RATIO_MAX);
	return closing / hashing < RATIO_MAX ? 0 : 1;
}
