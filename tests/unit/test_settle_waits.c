/* What the keeper's settle does when the disk, or the clock, is not as it should be. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/conf.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

#include "../../src/daemon/settle_priv.h"

#include "epoch_test.h"

struct lab {
	char dir[64], data_dir[80];
	struct event_base *base;
	struct config config;
};

static int setup(void **state)
{
	struct lab *w = mem_new(sizeof(*w));

	log_set_level(LOG_LEVEL_ERROR + 1);
	clock_set_manual(1000, T0 + 10);
	world_dir(w->dir);
	snprintf(w->data_dir, sizeof(w->data_dir), "%s/data", w->dir);
	w->config.data_dir = w->data_dir;
	w->config.measure = true;
	w->config.measure_keep = 14 * 86400;
	w->base = event_base_new();
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct lab *w = *state;
	char command[80];

	event_base_free(w->base);
	snprintf(command, sizeof(command), "rm -r %s", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

/* -- a disk that is full for some time --------------------------------------------------- */

static void offer(struct settle *s, unsigned hour)
{
	struct consensus_router rt = { .flags = FLAG_RUNNING, .weight = 7, .rsa_id = { 1 } };
	uint8_t digest[32] = { (uint8_t)hour };
	struct consensus_facts c = {
		.flavour = FLAVOUR_MICRODESC, .valid_after = T0 + hour * 3600, .fresh_until = T0 + hour * 3600 + 3600,
		.valid_until = T0 + hour * 3600 + 3 * 3600, .digest = digest, .routers = &rt, .n_routers = 1,
	};

	settle_consensus(s, &c);
	memset(digest, 0xee, sizeof(digest));		/* it is borrowed */
}

static json_int_t measured(struct settle *s)
{
	json_t *o = settle_status(s);
	json_int_t n = json_integer_value(json_object_get(json_object_get(o, "measurement"), "consensuses"));

	json_decref(o);
	return n;
}

/* As the daemon does it, about once a second. */
static void tick(struct lab *w)
{
	static const struct timeval soon = { .tv_sec = 1, .tv_usec = 200000 };

	event_base_loopexit(w->base, &soon);
	event_base_dispatch(w->base);
}

/* What came while the measurement could not be written is measured when it can be. */
static void test_disk(void **state)
{
	struct lab *w = *state;
	struct settle *s = settle_new(w->base, &w->config);
	struct measured_consensus newest;

	for (unsigned hour = 0; hour < 20; hour++)
		offer(s, hour);
	assert_int_equal(measured(s), 0);
	assert_int_equal(mkdir(w->data_dir, 0700), 0);
	clock_advance_ms(61 * 1000);
	tick(w);
	/* There is a bound: the newest ones. */
	assert_int_equal(measured(s), 12);
	assert_int_equal(measure_newest(s->measure, &newest), 0);
	assert_int_equal(newest.valid_after, T0 + 19 * 3600);
	assert_int_equal(newest.digest[0], 19);
	offer(s, 20);
	assert_int_equal(measured(s), 13);
	settle_free(s);
}

/* Who would have to measure and may not says so: else epochs would just never be closed. */
static void test_not_measuring(void **state)
{
	struct lab *w = *state;
	struct genesis *g = audited_genesis(w->dir);
	struct settle *s;
	json_t *o;

	w->config.measure = false;
	s = settle_new(w->base, &w->config);
	tick(w);
	o = settle_status(s);
	assert_true(json_is_null(json_object_get(o, "problem")));
	json_decref(o);
	s->ledger = world_memory(w->dir, g);
	s->provider = provider_embedded(s->ledger);
	s->writer = true;
	tick(w);
	o = settle_status(s);
	assert_non_null(strstr(json_string_value(json_object_get(o, "problem")), "measure = no"));
	assert_non_null(strstr(json_string_value(json_object_get(o, "do")), "measure = yes"));
	json_decref(o);
	w->config.measure = true;
	assert_int_equal(mkdir(w->data_dir, 0700), 0);
	tick(w);
	o = settle_status(s);
	assert_true(json_is_null(json_object_get(o, "problem")));
	json_decref(o);
	settle_free(s);
	genesis_free(g);
}

/* -- a clock that was ahead for some time -------------------------------------------------- */

static void nothing(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* The journal's time does not go back with the clock: until when a claim is good, counts from there. */
static void test_clock(void **state)
{
	struct lab *w = *state;
	struct genesis *g = audited_genesis(w->dir);
	struct settle s = { .base = w->base, .config = &w->config, .writer = true };
	uint8_t key[ETH_SECRET_LEN];
	struct amount earned;

	s.waiting_end = &s.waiting;
	s.ledger = world_memory(w->dir, g);
	s.commit = evtimer_new(w->base, nothing, NULL);
	populate(s.ledger);
	close_epoch(s.ledger);
	earned = balance_of(s.ledger, ACCOUNT_REWARDS, 12);
	person_secret(key, 12);
	s.claim_key = secret_new(key, sizeof(key));
	s.provider = provider_embedded(s.ledger);
	s.claimant = person(12);
	w->config.claim_above = amount_u64(1);

	clock_set_manual(1000, T0 + 10 * 3600);
	assert_int_equal(submit(s.ledger, transfer(s.ledger, 0, 20, "1"), NULL), REFUSED_NOT);
	assert_int_equal(ledger_commit(s.ledger), 0);
	clock_set_manual(1000, T0 + 2 * 3600);
	settle_claim_tick(&s);
	assert_string_equal(s.claim_problem.text, "");
	assert_int_equal(amount_cmp(balance_of(s.ledger, ACCOUNT_ADDRESS, 12), earned), 0);

	event_free(s.commit);
	secret_free(s.claim_key);
	provider_free(s.provider);
	ledger_close(s.ledger);
	genesis_free(g);
}

/* -- a daemon that was away ----------------------------------------------------------------- */

/* A consensus of the first epoch, whose one relay is registered; its microdescriptor is not here. */
static void measure_one(struct settle *s)
{
	struct consensus_router rt = { .flags = FLAG_RUNNING, .weight = 7, .has_digest = true, .digest = { 3 } };
	uint8_t expanded[ED25519_EXPANDED_LEN], id[RELAY_ID_LEN], digest[32] = { 1 };
	struct consensus_facts c = {
		.flavour = FLAVOUR_MICRODESC, .valid_after = T0 + 100, .fresh_until = T0 + 3700, .valid_until = T0 + 11000,
		.digest = digest, .routers = &rt, .n_routers = 1,
	};

	relay_key(expanded, id, 1);
	memcpy(rt.rsa_id, id, sizeof(rt.rsa_id));
	settle_consensus(s, &c);
	assert_int_equal(measured(s), 1);
}

/* It is late, but nobody could ask for what is lacking before: that is given some minutes, and no more. */
static void test_lacking(void **state)
{
	struct lab *w = *state;
	struct genesis *g = audited_genesis(w->dir);
	struct settle *s = settle_new(w->base, &w->config);
	char why[LEDGER_WHY_CAP];
	uint8_t key[ETH_SECRET_LEN];
	json_t *attestation;
	uint64_t epoch;

	assert_int_equal(mkdir(w->data_dir, 0700), 0);
	clock_advance_ms(61 * 1000);
	s->ledger = world_memory(w->dir, g);
	s->provider = provider_embedded(s->ledger);
	populate(s->ledger);
	measure_one(s);
	person_secret(key, 0);
	s->auditor_key = secret_new(key, sizeof(key));
	clock_advance_ms(5 * 3600 * 1000);
	assert_int_equal(settle_epoch_attestation(s, &attestation, &epoch, why), ERR_AGAIN);
	assert_non_null(strstr(why, "microdescriptor"));
	clock_advance_ms(599 * 1000);
	assert_int_equal(settle_epoch_attestation(s, &attestation, &epoch, why), ERR_AGAIN);
	clock_advance_ms(1000);
	assert_int_equal(settle_epoch_attestation(s, &attestation, &epoch, why), 0);
	assert_int_equal(epoch, 0);
	json_decref(attestation);
	settle_free(s);
	genesis_free(g);
}

static int find_microdesc(void *arg, struct microdesc_facts *ret, const uint8_t digest[32])
{
	uint8_t expanded[ED25519_EXPANDED_LEN];

	(void)arg;
	assert_int_equal(digest[0], 3);
	memset(ret, 0, sizeof(*ret));
	ret->has_ed_id = true;
	relay_key(expanded, ret->ed_id, 1);
	return 0;
}

static size_t drafted_relays(const struct settle *s)
{
	assert_non_null(s->draft);
	return json_array_size(json_object_get(json_object_get(json_object_get(s->draft, "attachments"), "evidence"), "relays"));
}

/* What comes after it was given up still gets into a draft that waits: others may have had it all the time. */
static void test_comes_late(void **state)
{
	struct lab *w = *state;
	struct genesis *g = audited_genesis(w->dir);
	struct settle *s = settle_new(w->base, &w->config);
	size_t missing;

	assert_int_equal(mkdir(w->data_dir, 0700), 0);
	clock_advance_ms(61 * 1000);
	s->ledger = world_memory(w->dir, g);
	s->provider = provider_embedded(s->ledger);
	s->writer = true;
	populate(s->ledger);
	measure_one(s);
	clock_advance_ms(5 * 3600 * 1000);
	settle_epoch_tick(s);
	assert_null(s->draft);
	clock_advance_ms(601 * 1000);
	settle_epoch_tick(s);
	assert_int_equal(drafted_relays(s), 0);
	assert_int_equal(measure_microdescs(s->measure, find_microdesc, NULL, &missing), 0);
	assert_int_equal(missing, 0);
	settle_epoch_tick(s);
	assert_int_equal(drafted_relays(s), 0);
	clock_advance_ms(60 * 1000);
	settle_epoch_tick(s);
	assert_int_equal(drafted_relays(s), 1);
	settle_free(s);
	genesis_free(g);
}

/* -- for other auditors ------------------------------------------------------------------------ */

static size_t kept(struct settle *s, int64_t valid_after)
{
	uint8_t digest[32] = { 1 };
	struct consensus_facts c = {
		.flavour = FLAVOUR_MICRODESC, .valid_after = valid_after, .fresh_until = valid_after + 3600,
		.valid_until = valid_after + 3 * 3600, .digest = digest, .text = "text", .text_len = 4,
	};
	struct measured_consensus *v;
	size_t n;

	settle_consensus(s, &c);
	assert_int_equal(measure_documents(s->measure, &v, &n), 0);
	free(v);
	return n;
}

/* Documents are kept from the epoch before the one that is to be closed on; also before there is a first one. */
static void test_kept(void **state)
{
	struct lab *w = *state;
	struct genesis *g = audited_genesis(w->dir);
	struct settle *s = settle_new(w->base, &w->config);

	assert_int_equal(mkdir(w->data_dir, 0700), 0);
	clock_advance_ms(61 * 1000);
	s->ledger = world_memory(w->dir, g);
	populate(s->ledger);
	assert_int_equal(kept(s, T0), 0);	/* neither auditor nor writer */
	s->writer = true;
	assert_int_equal(kept(s, T0 - 2 * EPOCH_S), 0);
	assert_int_equal(kept(s, T0 - EPOCH_S), 1);
	assert_int_equal(kept(s, T0), 2);
	assert_int_equal(kept(s, T0 + EPOCH_S), 3);
	close_epoch(s->ledger);
	assert_int_equal(kept(s, T0 + 2 * EPOCH_S), 3);
	settle_free(s);
	genesis_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_measuring, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lacking, setup, teardown),
		cmocka_unit_test_setup_teardown(test_comes_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
