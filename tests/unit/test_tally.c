#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/err.h>
#include <nonos/tally.h>

#include "vectors.h"

static json_t *compute(const json_t *doc)
{
	char why[TALLY_WHY_CAP] = "";
	struct tally_result *r = NULL;
	struct tally_input *in = NULL;
	json_t *out;

	if (tally_input_read(&in, why, doc) < 0 || tally_compute(&r, why, in) < 0)
		fail_msg("%s", why);
	out = tally_result_json(r);
	tally_result_free(r);
	tally_input_free(in);
	return out;
}

/* Every member of every result, the digest too. */
static void vectors(void **state)
{
	json_t *doc = vectors_load("tally.json"), *cases = json_object_get(doc, "cases"), *c;
	size_t i;
	(void)state;

	assert_int_equal(json_array_size(cases), 57);
	json_array_foreach(cases, i, c) {
		json_t *got = compute(c), *want = json_object_get(c, "expect");

		if (!json_equal(got, want))
			fail_msg("%s: got %s", json_string_value(json_object_get(c, "name")), json_dumps(got, JSON_COMPACT));
		json_decref(got);
	}
	json_decref(doc);
}

/* -- order ------------------------------------------------------------------------- */

static uint32_t random_below(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % n;
}

static bool is_in_time(const json_t *rules, const json_t *e)
{
	json_int_t time = json_integer_value(json_object_get(e, "time"));

	return time >= json_integer_value(json_object_get(rules, "opens")) &&
	       time < json_integer_value(json_object_get(rules, "closes"));
}

/* Entries from opening to closing change places; indices and times stay. */
static void shuffle_log(json_t *input, uint32_t *seed)
{
	json_t *rules = json_object_get(input, "rules"), *log = json_object_get(input, "log");

	for (uint32_t i = (uint32_t)json_array_size(log); i-- > 1;) {
		uint32_t k = random_below(seed, i + 1);
		json_t *a = json_array_get(log, i), *b = json_array_get(log, k), *moved;
		static const char *const fixed[] = { "index", "time" };

		if (i == k || !is_in_time(rules, a) || !is_in_time(rules, b))
			continue;
		moved = json_deep_copy(a);
		for (size_t f = 0; f < 2; f++) {
			json_object_set(moved, fixed[f], json_object_get(b, fixed[f]));
			json_object_set(b, fixed[f], json_object_get(a, fixed[f]));
		}
		json_array_set(log, i, b);
		json_array_set_new(log, k, moved);
	}
}

static void shuffle_register(json_t *input, uint32_t *seed)
{
	json_t *rows = json_object_get(input, "register");

	for (uint32_t i = (uint32_t)json_array_size(rows); i-- > 1;) {
		uint32_t k = random_below(seed, i + 1);
		json_t *a = json_incref(json_array_get(rows, i));

		json_array_set(rows, i, json_array_get(rows, k));
		json_array_set_new(rows, k, a);
	}
}

static bool has_reason(const json_t *result, const char *why)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(result, "rejected"), i, row)
		if (strcmp(json_string_value(json_object_get(row, "why")), why) == 0)
			return true;
	return false;
}

static void expect_same(const char *name, const json_t *a, const json_t *b)
{
	static const char *const members[] = { "sums", "quorumPower", "totalPower", "voters", "represented", "outcome" };

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (!json_equal(json_object_get(a, members[i]), json_object_get(b, members[i])))
			fail_msg("%s: %s depends on order", name, members[i]);
}

/*
 * Where the order of ballots may not matter: no extension, no nonce used twice for different ones. The register's order never does, down to the digest.
 */
static void order_does_not_matter(void **state)
{
	json_t *doc = vectors_load("tally.json"), *c;
	uint32_t seed = 7;
	size_t i, n = 0;
	(void)state;

	json_array_foreach(json_object_get(doc, "cases"), i, c) {
		const char *name = json_string_value(json_object_get(c, "name"));
		json_t *input = json_object_get(c, "input"), *want = json_object_get(c, "expect"), *got;

		shuffle_register(input, &seed);
		got = compute(input);
		assert_true(json_equal(got, want));
		json_decref(got);
		if (json_integer_value(json_object_get(json_object_get(input, "rules"), "lateQuorumExtension")) ||
		    has_reason(want, "equivocation"))
			continue;
		for (int round = 0; round < 20; round++) {
			shuffle_log(input, &seed);
			got = compute(input);
			if (!has_reason(got, "equivocation")) {
				expect_same(name, got, want);
				n++;
			}
			json_decref(got);
		}
	}
	assert_true(n > 300);
	json_decref(doc);
}

/* -- refusals ---------------------------------------------------------------------- */

static json_t *load_case(json_t **ret_doc, size_t i)
{
	*ret_doc = vectors_load("tally.json");
	return json_object_get(json_array_get(json_object_get(*ret_doc, "cases"), i), "input");
}

static void refuse(const json_t *input, const char *needle)
{
	char why[TALLY_WHY_CAP] = "";
	struct tally_result *r = NULL;
	struct tally_input *in;
	int err = tally_input_read(&in, why, input);

	if (err == 0) {
		err = tally_compute(&r, why, in);
		tally_input_free(in);
	}
	if (err == 0 || r || !strstr(why, needle))
		fail_msg("wanted \"%s\", got %d \"%s\"", needle, err, why);
}

/* A document of the first case with one member of one of its parts replaced. */
static void refuse_with(const char *part, const char *name, const char *json, const char *needle)
{
	json_t *doc, *input = load_case(&doc, 0), *o = json_object_get(input, part);
	json_t *v = json_loads(json, JSON_DECODE_ANY, NULL);

	assert_non_null(v);
	if (json_is_array(o))
		o = json_array_get(o, 0);
	json_object_set_new(o, name, v);
	refuse(input, needle);
	json_decref(doc);
}

static void bad_documents(void **state)
{
	(void)state;
	refuse_with("rules", "more", "1", "unknown member");
	refuse_with("rules", "kind", "\"other\"", "rules.kind");
	refuse_with("rules", "optionCount", "65", "rules.optionCount");
	refuse_with("rules", "optionCount", "1", "quorumOptions");
	refuse_with("rules", "quorumOptions", "[0, 0]", "twice");
	refuse_with("rules", "quorumOptions", "[3]", "no option");
	refuse_with("rules", "quorumOptions", "[-1]", "no option");
	refuse_with("rules", "closes", "1000", "closes before it opens");
	refuse_with("rules", "lateQuorumExtension", "9007199254740991", "later than a time can be");
	refuse_with("rules", "quorumBps", "10001", "rules.quorumBps");
	refuse_with("rules", "opens", "1000.0", "rules.opens");
	refuse_with("register", "stake", "1", "register[0].stake");
	refuse_with("register", "stake", "\"800000000000000000000000001\"", "above the supply");
	refuse_with("register", "voter", "\"0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc\"", "twice");
	refuse_with("register", "voter", "\"0x15d34aAf54267DB7D7c367839AAf71A00a2C6A65\"", "checksum");
	refuse_with("log", "kind", "\"vote\\u0030\"", "log[0].kind");
	refuse_with("log", "nonce", "\"18446744073709551616\"", "log[0].nonce");
	refuse_with("log", "nonce", "1", "log[0].nonce");
	refuse_with("log", "weights", "[65536]", "log[0].weights");
	refuse_with("log", "valid", "1", "log[0].valid");
	refuse_with("log", "delegatee", "\"0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc\"", "unknown member");
}

/* The journal does not run back. */
static void bad_order(void **state)
{
	json_t *doc, *input = load_case(&doc, 3), *log = json_object_get(input, "log");
	(void)state;

	json_object_set_new(json_array_get(log, 1), "time", json_integer(999));
	refuse(input, "earlier time");
	json_object_set_new(json_array_get(log, 1), "time", json_integer(1000));
	json_object_set_new(json_array_get(log, 1), "index", json_integer(0));
	refuse(input, "no higher index");
	json_decref(doc);
}

/* -- what the vectors leave out ---------------------------------------------------- */

/* One that ended before the opening is as if it were not there: the one before it stands. */
static void delegation_expired(void **state)
{
	json_t *doc, *input = load_case(&doc, 21), *log = json_object_get(input, "log"), *got, *first;
	(void)state;

	json_object_set_new(json_array_get(log, 1), "validUntil", json_string("999"));
	got = compute(input);
	assert_int_equal(json_integer_value(json_object_get(got, "represented")), 2);
	first = json_array_get(json_object_get(got, "rejected"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "why")), "delegation expired");
	json_decref(got);
	json_object_set_new(json_array_get(log, 1), "validUntil", json_string("1000"));
	got = compute(input);
	assert_int_equal(json_integer_value(json_object_get(got, "represented")), 1);
	json_decref(got);
	json_decref(doc);
}

/* More weights than any proposal has options are a bad ballot, not a bad journal. */
static void many_weights(void **state)
{
	json_t *doc, *input = load_case(&doc, 0), *weights = json_array(), *got;
	(void)state;

	for (int i = 0; i < 1000; i++)
		json_array_append_new(weights, json_integer(10));
	json_object_set_new(json_array_get(json_object_get(input, "log"), 0), "weights", weights);
	got = compute(input);
	assert_true(has_reason(got, "bad weights"));
	json_decref(got);
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(bad_documents),
		cmocka_unit_test(bad_order),
		cmocka_unit_test(delegation_expired),
		cmocka_unit_test(many_weights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
