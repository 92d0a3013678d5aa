#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/anyone_rewards.h>
#include <nonos/err.h>

#include "vectors.h"

static json_t *compute(const json_t *doc)
{
	char why[ANYONE_WHY_CAP] = "";
	struct anyone_round *r;
	json_t *out;

	if (anyone_round_read(&r, why, doc) < 0)
		fail_msg("%s", why);
	assert_int_equal(anyone_compute(r), 0);
	out = anyone_round_json(r);
	anyone_round_free(r);
	return out;
}

static void real_round(void **state)
{
	json_t *doc = vectors_load("anyone-rewards.json"), *expect = json_object_get(doc, "expect");
	json_t *want = json_object_get(expect, "relays"), *got = compute(doc), *relays = json_object_get(got, "relays"), *relay;
	const char *id;
	size_t n = 0;
	(void)state;

	json_object_foreach(relays, id, relay) {
		if (!json_equal(relay, json_object_get(want, id)))
			fail_msg("%s: got %s, want %s", id, json_dumps(relay, JSON_COMPACT), json_dumps(json_object_get(want, id), JSON_COMPACT));
		n++;
	}
	assert_int_equal(n, 420);
	assert_true(json_equal(got, expect));
	json_decref(got);
	json_decref(doc);
}

static const char *due(const json_t *result, const char *id, const char *part)
{
	return json_string_value(json_object_get(json_object_get(json_object_get(result, "relays"), id), part));
}

#define A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define B "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define OPERATOR "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"
#define SCORE(network, streak, hardware, exit) "{\"Address\":\"" OPERATOR "\",\"Network\":" network ",\"IsHardware\":" hardware \
	",\"UptimeStreak\":" streak ",\"ExitBonus\":" exit ",\"FamilySize\":0,\"LocationSize\":0}"

static json_t *round_of(const char *config, const char *scores)
{
	char *text = malloc(8192);
	json_t *doc;

	snprintf(text, 8192, "{\"elapsedMs\":2999,\"config\":%s,\"scores\":%s}", config, scores);
	doc = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!doc)
		fail_msg("%s", text);
	free(text);
	return doc;
}

/* Worked by hand: 2 s of 1000 units; 600, 200, 150 and 50 a second for the pools. */
static void by_hand(void **state)
{
	json_t *doc = round_of("{\"TokensPerSecond\":1000,\"Multipliers\":{},\"Modifiers\":{\"Network\":{\"Share\":0.6},"
			       "\"Hardware\":{\"Enabled\":true,\"Share\":0.2,\"UptimeInfluence\":0.25},"
			       "\"Uptime\":{\"Enabled\":true,\"Share\":0.15,\"Tiers\":{\"0\":0,\"3\":1,\"14\":3}},"
			       "\"ExitBonus\":{\"Enabled\":true,\"Share\":0.05}},"
			       "\"Delegates\":{\"" OPERATOR "\":{\"Address\":\"0x0000000000000000000000000000000000000001\",\"Share\":0.1}}}",
			       "{\"" A "\":" SCORE("100", "13", "true", "false") ",\"" B "\":" SCORE("200", "14", "false", "true") "}");
	json_t *got = compute(doc);
	(void)state;

	assert_int_equal(json_integer_value(json_object_get(got, "seconds")), 2);
	assert_string_equal(due(got, A, "Network"), "400");
	assert_string_equal(due(got, B, "Network"), "800");
	assert_string_equal(due(got, A, "Uptime"), "75");		/* 300 / 4 */
	assert_string_equal(due(got, B, "Uptime"), "225");
	assert_string_equal(due(got, A, "Hardware"), "400");		/* the only one: both parts of the pool */
	assert_string_equal(due(got, B, "Hardware"), "0");
	assert_string_equal(due(got, A, "ExitBonus"), "0");
	assert_string_equal(due(got, B, "ExitBonus"), "100");
	assert_string_equal(due(got, A, "Total"), "875");
	assert_string_equal(due(got, A, "DelegateTotal"), "87");
	assert_string_equal(due(got, A, "OperatorTotal"), "788");
	assert_string_equal(json_string_value(json_object_get(got, "total")), "2000");
	json_decref(got);
	json_decref(doc);
}

/* A whole of zero pays nobody, and nothing divides by it. */
static void nobody_rated(void **state)
{
	json_t *doc = round_of("{\"TokensPerSecond\":\"1000\",\"Multipliers\":{},\"Delegates\":[],\"Modifiers\":{\"Network\":{\"Share\":0.6},"
			       "\"Hardware\":{\"Enabled\":true,\"Share\":0.2,\"UptimeInfluence\":0.5},"
			       "\"Uptime\":{\"Enabled\":true,\"Share\":0.2,\"Tiers\":{}}}}",
			       "{\"" A "\":" SCORE("0", "99", "true", "true") "}");
	json_t *got = compute(doc), *none = round_of("{\"TokensPerSecond\":0,\"Multipliers\":{},\"Modifiers\":{\"Network\":{\"Share\":1}}}", "{}");
	json_t *empty = compute(none);
	(void)state;

	assert_string_equal(json_string_value(json_object_get(got, "total")), "0");
	assert_string_equal(json_string_value(json_object_get(empty, "total")), "0");
	json_decref(got);
	json_decref(empty);
	json_decref(none);
	json_decref(doc);
}

/* The order of the file does not matter: the result has the order of ids. */
static void order_does_not_matter(void **state)
{
	json_t *doc = vectors_load("anyone-rewards.json"), *scores = json_object_get(doc, "scores"), *back = json_object(), *score;
	json_t *a = compute(doc), *b;
	const char *ids[500], *id;
	char *text_a, *text_b;
	size_t n = 0;
	(void)state;

	json_object_foreach(scores, id, score)
		ids[n++] = id;
	while (n--)
		json_object_set(back, ids[n], json_object_get(scores, ids[n]));
	json_object_set_new(doc, "scores", back);
	b = compute(doc);
	text_a = json_dumps(a, 0);
	text_b = json_dumps(b, 0);
	assert_string_equal(text_a, text_b);
	free(text_a);
	free(text_b);
	json_decref(a);
	json_decref(b);
	json_decref(doc);
}

#define NET "\"Network\":{\"Share\":0.5}"
#define CONFIG(modifiers) "{\"TokensPerSecond\":1,\"Multipliers\":{},\"Modifiers\":{" modifiers "}}"

static void refused(void **state)
{
	static const struct { const char *config, *scores, *why; } cases[] = {
		{ "{}", "{}", "TokensPerSecond" },
		{ "{\"TokensPerSecond\":\"1.5\"}", "{}", "TokensPerSecond" },
		{ "{\"TokensPerSecond\":-1}", "{}", "TokensPerSecond" },
		{ CONFIG(NET ",\"Other\":1"), "{}", "unknown member \"Other\"" },
		{ CONFIG("\"Network\":{\"Share\":1.1}"), "{}", "Share" },
		{ CONFIG("\"Network\":{\"Share\":\"1\"}"), "{}", "Share" },
		{ CONFIG(NET ",\"ExitBonus\":{\"Enabled\":true,\"Share\":0.6}"), "{}", "more than 1" },
		{ CONFIG(NET ",\"ExitBonus\":{\"Share\":0.6}"), "{}", "Enabled" },
		{ CONFIG(NET ",\"Uptime\":{\"Enabled\":true,\"Share\":0.1,\"Tiers\":{\"x\":1}}"), "{}", "Tiers" },
		{ CONFIG(NET ",\"Uptime\":{\"Enabled\":true,\"Share\":0.1,\"Tiers\":{\"3\":-0.5}}"), "{}", "Tiers" },
		{ CONFIG(NET ",\"Uptime\":{\"Enabled\":true,\"Share\":0.1,\"Tiers\":{\"3\":1.0000000000001e15}}"), "{}", "Tiers" },
		{ CONFIG(NET), "[]", "scores" },
		{ CONFIG(NET), "{\"abc\":{}}", "fingerprint" },
		{ CONFIG(NET), "{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":{}}", "fingerprint" },
		{ CONFIG(NET), "{\"" A "\":{}}", "address" },
		{ CONFIG(NET), "{\"" A "\":" SCORE("-1", "0", "true", "true") "}", "Network" },
		{ CONFIG(NET), "{\"" A "\":" SCORE("1.5", "0", "true", "true") "}", "Network" },
		{ CONFIG(NET), "{\"" A "\":" SCORE("9007199254740992", "0", "true", "true") "}", "Network" },
		{ CONFIG(NET), "{\"" A "\":" SCORE("1", "0", "1", "true") "}", "IsHardware" },
	};
	char why[ANYONE_WHY_CAP];
	struct anyone_round *r;
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *doc = round_of(cases[i].config, cases[i].scores);

		assert_true(anyone_round_read(&r, why, doc) < 0);
		if (!strstr(why, cases[i].why))
			fail_msg("case %zu: \"%s\" does not say \"%s\"", i, why, cases[i].why);
		json_decref(doc);
	}
}

static void out_of_range(void **state)
{
	static const char *const configs[] = {
		"{\"TokensPerSecond\":\"340282366920938463463374607431768211455\",\"Multipliers\":{},\"Modifiers\":{\"Network\":{\"Share\":1}}}",
		"{\"TokensPerSecond\":1,\"Multipliers\":{\"Family\":{\"Enabled\":true,\"Offset\":1,\"Power\":100}},\"Modifiers\":{" NET "}}",
	};
	char why[ANYONE_WHY_CAP];
	struct anyone_round *r;
	(void)state;

	for (size_t i = 0; i < 2; i++) {
		json_t *doc = round_of(configs[i], "{\"" A "\":{\"Address\":\"" OPERATOR "\",\"Network\":5,\"IsHardware\":false,"
				       "\"UptimeStreak\":1,\"ExitBonus\":true,\"FamilySize\":100000,\"LocationSize\":0}}");

		assert_int_equal(anyone_round_read(&r, why, doc), 0);
		assert_int_equal(anyone_compute(r), ERR_RANGE);
		anyone_round_free(r);
		json_decref(doc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_round), cmocka_unit_test(by_hand), cmocka_unit_test(nobody_rated),
		cmocka_unit_test(order_does_not_matter), cmocka_unit_test(refused), cmocka_unit_test(out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
