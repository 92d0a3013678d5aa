/* What others hand the writer for an epoch that waits for auditors: anybody may, so nothing of it is believed. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/clock.h>
#include <nonos/conf.h>
#include <nonos/err.h>
#include <nonos/mem.h>

#include "../../src/daemon/settle_priv.h"

#include "epoch_test.h"

struct lab {
	char dir[32];
	struct genesis *g;
	struct config config;
	struct settle settle;
};

/* A draft that nobody has signed yet, of two whom it needs. */
static int setup(void **state)
{
	struct lab *w = mem_new(sizeof(*w));
	char why[LEDGER_WHY_CAP], path[64], key[64];
	struct ledger_options o = { .path = path, .mode = LEDGER_CREATE, .key_path = key };
	struct evidence *e;

	clock_set_manual(1000, T0 + 10);
	strcpy(w->dir, "/tmp/nonos-attest-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->g = audited_genesis(w->dir);
	o.genesis = w->g;
	snprintf(path, sizeof(path), "%s/db", w->dir);
	snprintf(key, sizeof(key), "%s/writer.key", w->dir);
	if (ledger_open(&w->settle.ledger, &o, why) < 0)
		fail_msg("%s", why);
	populate(w->settle.ledger);
	pass_epoch(w->g, 0);
	w->settle.config = &w->config;
	w->settle.writer = true;
	e = usual_evidence(w->g, 0);
	assert_int_equal(epoch_draft(w->settle.ledger, &w->settle.draft, why, e, (uint64_t)e->to), 0);
	evidence_free(e);
	w->config.genesis = w->dir;		/* there is one */
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct lab *w = *state;
	char command[64];

	json_decref(w->settle.draft);
	ledger_close(w->settle.ledger);
	genesis_free(w->g);
	snprintf(command, sizeof(command), "rm -r %s", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

/* The draft's message, signed by `n` persons, with no evidence beside. */
static json_t *attestation(const struct lab *w, const unsigned *who, size_t n)
{
	static const char *const names[] = { "domain", "primaryType", "message" };
	json_t *o = json_object();

	for (size_t i = 0; i < 3; i++)
		json_object_set_new(o, names[i], json_deep_copy(json_object_get(w->settle.draft, names[i])));
	return signed_object(o, who, n);
}

/* Hand it over; steals it. The error's sentence, or "". */
static const char *hand(struct lab *w, json_t *attestation)
{
	static struct ctl_call call;
	int r;

	call = (struct ctl_call){ .arg = NULL };
	r = settle_attest(&w->settle, &call, attestation);
	json_decref(attestation);
	json_decref(call.result);
	return r < 0 ? call.err.message : "";
}

static size_t signatures(const struct lab *w)
{
	return json_array_size(json_object_get(w->settle.draft, "signatures"));
}

static void test_signers(void **state)
{
	static const unsigned auditor[] = { 1 }, stranger[] = { 7 }, both[] = { 1, 7 }, hidden[] = { 1, 1, 1, 7 };
	struct lab *w = *state;

	assert_non_null(strstr(hand(w, attestation(w, stranger, 1)), "not by an auditor"));
	assert_non_null(strstr(hand(w, attestation(w, both, 2)), "not by an auditor"));
	/* Behind as many good ones as there are auditors. */
	assert_non_null(strstr(hand(w, attestation(w, hidden, 4)), "more signatures"));
	assert_int_equal(signatures(w), 0);
	assert_string_equal(hand(w, attestation(w, auditor, 1)), "");
	assert_string_equal(hand(w, attestation(w, auditor, 1)), "");
	assert_int_equal(signatures(w), 1);
}

/* The difference is told, but a stranger does not choose how much work that is. */
static void test_difference(void **state)
{
	struct lab *w = *state;
	json_t *list = json_array(), *o = attestation(w, NULL, 0);
	uint64_t began;

	json_object_set_new(json_object_get(o, "message"), "total", json_string("1"));
	json_object_set(o, "consensuses", list);
	assert_non_null(strstr(hand(w, json_deep_copy(o)), "was not taken there"));
	for (size_t i = 0; i < 20000; i++)
		json_array_append_new(list, json_object());
	began = clock_precise_us();
	assert_non_null(strstr(hand(w, o), "these differ: total"));
	assert_true(clock_precise_us() - began < 1000000);
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_signers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_difference, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
