/* dao tally. */
#include "config.h"

#include "ctl.h"

#include <string.h>

#include <nonos/err.h>
#include <nonos/tally.h>

enum { TALLY_FILE_MAX = 64 << 20, ROOT_UNIT = 1000000000 };

static struct amount amount_of(const json_t *v)
{
	struct amount a = { 0 };

	(void)amount_parse(&a, json_string_value(v), json_string_length(v));
	return a;
}

/* Root tokens have 9 decimals: a root takes half of the 18. */
static void print_root(FILE *out, int width, struct amount a)
{
	char text[AMOUNT_TEXT_CAP];
	struct amount whole = { 0 }, rest = { 0 };

	(void)amount_muldiv(&whole, &rest, a, amount_u64(1), amount_u64(ROOT_UNIT));
	amount_text(text, whole);
	fprintf(out, "%*s.%09llu", width, text, (unsigned long long)rest.lo);
}

static void print_power(FILE *out, struct amount quorum, struct amount total)
{
	struct amount bps = { 0 };

	fputs("quorum power  ", out);
	print_root(out, 0, quorum);
	fputs(" of ", out);
	print_root(out, 0, total);
	if (amount_muldiv(&bps, NULL, quorum, amount_u64(10000), total) == 0)
		fprintf(out, " (%llu.%02llu %%)", (unsigned long long)bps.lo / 100, (unsigned long long)bps.lo % 100);
	fputc('\n', out);
}

static void print_rejected(FILE *out, const json_t *rows)
{
	const json_t *row;
	size_t i;

	if (json_array_size(rows))
		fprintf(out, "\n%-10s  %s\n", "entry", "rejected because");
	json_array_foreach(rows, i, row)
		fprintf(out, "%-10lld  %s\n", (long long)json_integer_value(json_object_get(row, "index")),
			json_string_value(json_object_get(row, "why")));
}

void view_tally(FILE *out, const json_t *answer)
{
	const json_t *v;
	size_t k;

	fprintf(out, "%6s  %22s\n", "option", "votes");
	json_array_foreach(json_object_get(answer, "sums"), k, v) {
		fprintf(out, "%6zu  ", k);
		print_root(out, 12, amount_of(v));
		fputc('\n', out);
	}
	fputc('\n', out);
	print_power(out, amount_of(json_object_get(answer, "quorumPower")), amount_of(json_object_get(answer, "totalPower")));
	fprintf(out, "voters        %lld, and %lld by their delegates\n",
		(long long)json_integer_value(json_object_get(answer, "voters")),
		(long long)(json_integer_value(json_object_get(answer, "represented")) -
			    json_integer_value(json_object_get(answer, "voters"))));
	fputs("closes        ", out);
	view_time(out, json_integer_value(json_object_get(answer, "closes")));
	fprintf(out, "%s\n", json_is_true(json_object_get(answer, "extended")) ? ", extended for a late quorum" : "");
	fprintf(out, "verdict       %s\n", json_string_value(json_object_get(answer, "outcome")));
	fprintf(out, "digest        %s\n", json_string_value(json_object_get(answer, "tallyHash")));
	print_rejected(out, json_object_get(answer, "rejected"));
}

static int compute(json_t **ret, const char *path, const json_t *doc)
{
	char why[TALLY_WHY_CAP] = "";
	struct tally_result *result;
	struct tally_input *input;
	int err = tally_input_read(&input, why, doc);

	if (err == 0) {
		err = tally_compute(&result, why, input);
		tally_input_free(input);
	}
	if (err < 0)
		return complain(EXIT_REFUSED, "%s: %s", path, why);
	*ret = tally_result_json(result);
	tally_result_free(result);
	return EXIT_OK;
}

int local_dao_tally(const struct invocation *in)
{
	const char *path = param_text(in->params, "file");
	json_t *doc, *answer;
	int r = file_read_json(&doc, path, TALLY_FILE_MAX, true);

	if (r != EXIT_OK)
		return r;
	r = compute(&answer, path, doc);
	json_decref(doc);
	return r == EXIT_OK ? print_answer(in, answer) : r;
}
