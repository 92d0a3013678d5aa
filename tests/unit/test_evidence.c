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
#include <nonos/rewards.h>

static void add_consensus(struct evidence *e, int64_t time, uint64_t before, uint64_t weight, uint64_t vanished)
{
	struct evidence_consensus c = { .valid_after = time, .weight = weight, .before = before, .vanished = vanished };

	memset(c.sha256, (int)(time & 0xff), sizeof(c.sha256));
	evidence_add_consensus(e, &c);
}

static void add_relay(struct evidence *e, uint8_t id, uint32_t running)
{
	struct evidence_relay r = { .running = running, .guard = running / 2, .weight_sum = 100 * (uint64_t)running };

	r.relay_id[0] = id;
	r.fingerprint[0] = id;
	snprintf(r.network, sizeof(r.network), "10.%u.0.0/16", id);
	evidence_add_relay(e, &r);
}

static struct evidence *sample(void)
{
	struct evidence *e = evidence_new(7, 3600, 7200);

	add_consensus(e, 5400, 1000, 900, 300);
	add_consensus(e, 3600, 0, 1000, 0);
	add_relay(e, 9, 2);
	add_relay(e, 4, 1);
	add_relay(e, 5, 0);
	return e;
}

static void test_document(void **state)
{
	static const char want[] =
		"{\"consensuses\":[{\"before\":0,\"sha256\":\"0x1010101010101010101010101010101010101010101010101010101010101010\","
		"\"validAfter\":3600,\"vanished\":0,\"weight\":1000},"
		"{\"before\":1000,\"sha256\":\"0x1818181818181818181818181818181818181818181818181818181818181818\","
		"\"validAfter\":5400,\"vanished\":300,\"weight\":900}],\"epoch\":7,\"from\":3600,\"relays\":["
		"{\"exit\":0,\"family\":\"\",\"fingerprint\":\"0x0400000000000000000000000000000000000000\",\"guard\":0,"
		"\"network\":\"10.4.0.0/16\",\"relayId\":\"0x0400000000000000000000000000000000000000000000000000000000000000\","
		"\"running\":1,\"weight\":100},"
		"{\"exit\":0,\"family\":\"\",\"fingerprint\":\"0x0900000000000000000000000000000000000000\",\"guard\":1,"
		"\"network\":\"10.9.0.0/16\",\"relayId\":\"0x0900000000000000000000000000000000000000000000000000000000000000\","
		"\"running\":2,\"weight\":200}],\"to\":7200}";
	struct evidence *e = sample(), *again;
	char why[REWARD_WHY_CAP], *text;
	size_t len;

	(void)state;
	assert_int_equal(evidence_write(&text, &len, why, e), 0);
	assert_string_equal(text, want);
	assert_int_equal(evidence_read(&again, why, text, len), 0);
	assert_int_equal(again->n_relays, 2);
	assert_memory_equal(again->relays, e->relays, 2 * sizeof(*e->relays));
	assert_memory_equal(again->consensuses, e->consensuses, 2 * sizeof(*e->consensuses));
	free(text);
	evidence_free(e);
	evidence_free(again);
}

/* Auditors add rows as they come to know them; the bytes are the same. */
static void test_order(void **state)
{
	struct evidence *a = sample(), *b = evidence_new(7, 3600, 7200);
	char why[REWARD_WHY_CAP], *one, *two;
	size_t len;

	(void)state;
	add_relay(b, 4, 1);
	add_consensus(b, 3600, 0, 1000, 0);
	add_relay(b, 9, 2);
	add_consensus(b, 5400, 1000, 900, 300);
	assert_int_equal(evidence_write(&one, &len, why, a), 0);
	assert_int_equal(evidence_write(&two, &len, why, b), 0);
	assert_string_equal(one, two);
	free(one);
	free(two);
	evidence_free(a);
	evidence_free(b);
}

static void test_state(void **state)
{
	struct evidence *e = evidence_new(0, 0, 3600);

	(void)state;
	assert_int_equal(evidence_state(e), EVIDENCE_NO_CONSENSUS);
	add_consensus(e, 0, 900, 900, 300);			/* a third exactly */
	assert_int_equal(evidence_state(e), EVIDENCE_NORMAL);
	add_consensus(e, 600, 900, 599, 301);
	assert_int_equal(evidence_state(e), EVIDENCE_VANISHED);
	assert_string_equal(evidence_state_name(EVIDENCE_VANISHED), "vanished");
	evidence_free(e);
}

static void refuse(struct evidence *e, const char *needle)
{
	char why[REWARD_WHY_CAP] = "";

	assert_int_equal(evidence_check(e, why), ERR_MALFORMED);
	if (!strstr(why, needle))
		fail_msg("\"%s\" does not say \"%s\"", why, needle);
	evidence_free(e);
}

static void test_contradictions(void **state)
{
	struct evidence *e = sample();

	(void)state;
	add_consensus(e, 7200, 900, 900, 0);
	refuse(e, "not of this epoch");
	e = sample();
	add_consensus(e, 5400, 1000, 900, 0);
	refuse(e, "twice");
	e = sample();
	add_consensus(e, 6000, 901, 900, 0);
	refuse(e, "before it");
	e = sample();
	add_consensus(e, 6000, 900, 900, 901);
	refuse(e, "vanished");
	e = sample();
	add_relay(e, 9, 1);
	refuse(e, "twice");
	e = sample();
	add_relay(e, 10, 3);
	refuse(e, "more than there are");
	e = sample();
	e->relays[0].network[0] = '\0';
	refuse(e, "network");
	e = sample();
	e->relays[0].family[0] = 'g';
	refuse(e, "family");
	e = evidence_new(1, 10, 10);
	refuse(e, "ends before");
}

static void test_strict(void **state)
{
	static const char *const bad[] = {
		"", "{}", "[]",
		"{\"consensuses\":[],\"epoch\":1,\"from\":0,\"relays\":[]}",
		"{\"consensuses\":[], \"epoch\":1,\"from\":0,\"relays\":[],\"to\":1}",
		"{\"consensuses\":[],\"epoch\":1,\"from\":0,\"more\":0,\"relays\":[],\"to\":1}",
		"{\"consensuses\":[{}],\"epoch\":1,\"from\":0,\"relays\":[],\"to\":1}",
		"{\"consensuses\":[],\"epoch\":1,\"from\":0,\"relays\":[{}],\"to\":1}",
		"{\"consensuses\":[],\"epoch\":-1,\"from\":0,\"relays\":[],\"to\":1}",
		"{\"consensuses\":[],\"epoch\":\"1\",\"from\":0,\"relays\":[],\"to\":1}",
	};
	static const char good[] = "{\"consensuses\":[],\"epoch\":1,\"from\":0,\"relays\":[],\"to\":1}";
	char why[REWARD_WHY_CAP];
	struct evidence *e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(evidence_read(&e, why, bad[i], strlen(bad[i])), ERR_MALFORMED);
	assert_int_equal(evidence_read(&e, why, good, strlen(good)), 0);
	evidence_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_document),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
