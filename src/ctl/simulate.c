/* ledger policy simulate. */
#include "config.h"

#include "ctl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/json_set.h>
#include <nonos/mem.h>
#include <nonos/simulate.h>

#include "svg.h"

/* In millions of tokens; only for looking at. */
static double millions(struct amount a)
{
	return ((double)a.hi * 18446744073709551616.0 + (double)a.lo) / 1e24;
}

static json_t *year_json(const struct simulate_year *y)
{
	json_t *o = json_pack("{s:I, s:I}", "year", (json_int_t)y->year, "burn_ppm", (json_int_t)y->burn_ppm);

	json_set_amount(o, "emission", y->emission);
	json_set_amount(o, "burnt", y->burnt);
	json_set_amount(o, "revenue", y->revenue);
	json_set_amount(o, "spent", y->spent);
	json_set_amount(o, "supply", y->supply);
	json_set_amount(o, "circulating", y->circulating);
	json_set_amount(o, "reserve", y->reserve);
	json_set_amount(o, "treasury", y->treasury);
	json_object_set_new(o, "runway_days", y->runway_days == UINT64_MAX ? json_null() : json_integer((json_int_t)y->runway_days));
	return o;
}

static json_t *answer_of(const struct genesis *g, const struct simulate_world *w, const struct simulate_year *years, const char *svg)
{
	json_t *o = json_pack("{s:s, s:I}", "network", g->name, "staked_percent", (json_int_t)(w->staked_bp / 100));
	json_t *rows = json_array();

	json_set_amount(o, "revenue", w->revenue);
	json_set_amount(o, "spend", w->spend);
	for (unsigned i = 0; i <= w->years; i++)
		json_array_append_new(rows, year_json(&years[i]));
	json_object_set_new(o, "years", rows);
	if (svg)
		json_object_set_new(o, "svg", json_string(svg));
	return o;
}

/* -- the drawing ------------------------------------------------------------------------- */

static struct svg_line *line(struct svg_panel *p, const char *name)
{
	p->lines[p->n_lines].name = name;
	return &p->lines[p->n_lines++];
}

static char *draw(size_t *ret_len, const struct simulate_world *w, const struct simulate_year *years)
{
	struct svg_panel *p = mem_new_array(4, sizeof(*p));
	struct svg_line *emission, *burnt, *supply, *circulating, *reserve, *treasury, *rate, *runway;
	char *text, *note;

	p[0].title = "Emission and burn, million tokens a year";
	emission = line(&p[0], "emission");
	burnt = line(&p[0], "burnt");
	p[1].title = "Supply, million tokens at the end of the year";
	supply = line(&p[1], "supply");
	circulating = line(&p[1], "circulating");
	reserve = line(&p[1], "reserve");
	treasury = line(&p[1], "treasury");
	p[2].title = "Burn rate, percent of the treasury's part of revenue";
	rate = line(&p[2], "burn rate");
	p[3].title = amount_is_zero(w->spend) ? "Runway of the treasury: for ever, because it spends nothing" :
						"Runway of the treasury, years that it lasts without revenue";
	runway = line(&p[3], "runway");
	for (unsigned i = 0; i <= w->years; i++) {
		/* Year 0 is the start: nothing has flowed yet. */
		emission->values[i] = i ? millions(years[i].emission) : NAN;
		burnt->values[i] = i ? millions(years[i].burnt) : NAN;
		supply->values[i] = millions(years[i].supply);
		circulating->values[i] = millions(years[i].circulating);
		reserve->values[i] = millions(years[i].reserve);
		treasury->values[i] = millions(years[i].treasury);
		rate->values[i] = years[i].burn_ppm / 1e4;
		runway->values[i] = years[i].runway_days == UINT64_MAX ? NAN : (double)years[i].runway_days / 365;
	}
	note = mem_printf("Assumed: %u %% of what circulates is staked; modules earn %.6g million tokens a year, the treasury spends "
			  "%.6g million", w->staked_bp / 100, millions(w->revenue), millions(w->spend));
	text = svg_draw(ret_len, "The token over years", note, p, 4, w->years + 1);
	free(note);
	free(p);
	return text;
}

static int write_svg(const char *path, const struct simulate_world *w, const struct simulate_year *years)
{
	size_t len;
	char *text;
	int r;

	if (!path)
		return EXIT_OK;
	text = draw(&len, w, years);
	r = file_create(path, text, len, 0644);
	free(text);
	return r;
}

static const struct table_column columns[] = {
	{ "year", "year", TABLE_NUMBER }, { "emission", "emission", TABLE_MILLIONS }, { "burnt", "burnt", TABLE_MILLIONS },
	{ "supply", "supply", TABLE_MILLIONS }, { "circulating", "circul.", TABLE_MILLIONS },
	{ "reserve", "reserve", TABLE_MILLIONS }, { "treasury", "treasury", TABLE_MILLIONS },
	{ "burn_ppm", "burn ppm", TABLE_NUMBER }, { "runway_days", "runway d", TABLE_NUMBER },
};
const struct table table_simulate = { "years", columns, sizeof(columns) / sizeof(columns[0]) };

static void view_member(FILE *out, const json_t *answer, const char *name)
{
	const char *text = json_string_value(json_object_get(answer, name));
	char tokens[AMOUNT_TEXT_CAP];
	struct amount a;

	if (text && amount_parse(&a, text, strlen(text)) == 0) {
		amount_token_text(tokens, a);
		fputs(tokens, out);
	}
}

void view_simulate(FILE *out, const json_t *answer)
{
	const char *svg = json_string_value(json_object_get(answer, "svg")), *rules = json_string_value(json_object_get(answer, "network"));

	table_print(out, &table_simulate, answer, FORMAT_TABLE);
	fputs("\nIn millions of tokens: emission and burnt of the year, the others at its end (circul.: circulating).\n"
	      "burn ppm: so many millionths of what modules pay to the treasury are burnt.\n"
	      "runway d: days that the treasury lasts if nothing comes in; -: for ever.\n"
	      "\nAssumed:\n  - the rules of the genesis \"", out);
	view_escaped(out, rules ? rules : "");
	fprintf(out, "\"; %lld %% of what circulates is staked\n  - a year, modules earn ",
		(long long)json_integer_value(json_object_get(answer, "staked_percent")));
	view_member(out, answer, "revenue");
	fputs(" tokens, and the treasury spends ", out);
	view_member(out, answer, "spend");
	fputc('\n', out);
	if (svg) {
		fputs("\nDrawn into ", out);
		view_escaped(out, svg);
		fputc('\n', out);
	}
}

/* -- the command --------------------------------------------------------------------------- */

static int tokens_param(struct amount *ret, const struct invocation *in, const char *name, const char *otherwise)
{
	const char *text = param_text(in->params, name);

	if (!text)
		text = otherwise;
	return amount_token_parse(ret, text, strlen(text)) < 0 ? complain(EXIT_USAGE, "\"%s\" is not an amount of tokens", text) :
								 EXIT_OK;
}

static int read_rules(struct genesis **ret, const char *path)
{
	char why[GENESIS_WHY_CAP] = "";
	bool canonical;

	if (path)
		return file_read_genesis(ret, &canonical, path);
	return simulate_usual(ret, why) < 0 ? complain(EXIT_REFUSED, "the usual genesis: %s", why) : EXIT_OK;
}

static int run(const struct invocation *in, const struct genesis *g, const struct simulate_world *w)
{
	struct simulate_year *years = mem_new_array(w->years + 1, sizeof(*years));
	int r;

	if (simulate(years, g, w) < 0)
		r = complain(EXIT_REFUSED, "revenue and spending must not be above the supply");
	else
		r = write_svg(param_text(in->params, "svg"), w, years);
	if (r == EXIT_OK)
		r = print_answer(in, answer_of(g, w, years, param_text(in->params, "svg")));
	free(years);
	return r;
}

int local_ledger_policy_simulate(const struct invocation *in)
{
	struct simulate_world w = {
		.years = (unsigned)param_integer(in->params, "years", 20),
		.staked_bp = 100 * (unsigned)param_integer(in->params, "staked", 40),
	};
	struct genesis *g;
	int r = tokens_param(&w.revenue, in, "revenue", "10000000");

	if (r == EXIT_OK)
		r = tokens_param(&w.spend, in, "spend", "2000000");
	if (r == EXIT_OK)
		r = read_rules(&g, param_text(in->params, "genesis"));
	if (r != EXIT_OK)
		return r;
	r = run(in, g, &w);
	genesis_free(g);
	return r;
}
