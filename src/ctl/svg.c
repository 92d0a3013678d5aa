#include "config.h"

#include "svg.h"

#include <math.h>
#include <stdio.h>

#include <nonos/mem.h>

enum { WIDTH = 900, LEFT = 90, RIGHT = 160, TOP = 90, PANEL = 190, GAP = 60, BOTTOM = 10, TICKS = 5 };

static const char *const colours[SVG_LINES_MAX] = { "#1f6fb2", "#c2410c", "#2e7d32", "#6a1b9a" };

struct scale {
	double step;			/* between two ticks: 1, 2 or 5 times a power of ten */
	int n_ticks;
};

static double top_of(const struct svg_panel *p, size_t n_points)
{
	double top = 0;

	for (size_t k = 0; k < p->n_lines; k++)
		for (size_t i = 0; i < n_points; i++)
			if (p->lines[k].values[i] > top)
				top = p->lines[k].values[i];
	return top;
}

/* The least steps of which TICKS reach the top, and no more of them than that takes. */
static struct scale scale_of(const struct svg_panel *p, size_t n_points)
{
	static const int steps[] = { 1, 2, 5, 10 };
	double top = top_of(p, n_points), power = 1;
	struct scale s = { 1, 1 };

	if (!(top > 0) || !isfinite(top))
		return s;
	while (power * TICKS * 10 < top)
		power *= 10;
	while (power * TICKS >= top)
		power /= 10;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		s.step = steps[i] * power;
		if (s.step * TICKS >= top)
			break;
	}
	while (s.n_ticks < TICKS && s.step * s.n_ticks < top)
		s.n_ticks++;
	return s;
}

static double x_of(size_t i, size_t n_points)
{
	return LEFT + (double)(WIDTH - LEFT - RIGHT) * (double)i / (double)(n_points > 1 ? n_points - 1 : 1);
}

static double y_of(const struct scale *s, double y0, double value)
{
	return y0 + PANEL - PANEL * value / (s->step * s->n_ticks);
}

static void draw_grid(FILE *out, double y0, const struct scale *s, size_t n_points)
{
	size_t each = (n_points - 1 + 9) / 10;

	for (int i = 0; i <= s->n_ticks; i++) {
		double y = y_of(s, y0, s->step * i);

		fprintf(out, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"%s\"/>\n", LEFT, y, WIDTH - RIGHT, y,
			i ? "#ddd" : "#555");
		fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>\n", LEFT - 8, y + 4, s->step * i);
	}
	for (size_t i = 0; i < n_points; i += each ? each : 1)
		fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%zu</text>\n", x_of(i, n_points), y0 + PANEL + 18, i);
	fprintf(out, "<text x=\"%d\" y=\"%.1f\">year</text>\n", WIDTH - RIGHT + 20, y0 + PANEL + 18);
}

/* A stroke to each point from the one before it, where both are there; a dot for those that stand alone. */
static void draw_line(FILE *out, const struct svg_line *line, const char *colour, double y0, const struct scale *s, size_t n_points)
{
	fprintf(out, "<path fill=\"none\" stroke-width=\"2\" stroke=\"%s\" d=\"", colour);
	for (size_t i = 0; i < n_points; i++)
		if (!isnan(line->values[i]))
			fprintf(out, "%c%.1f,%.1f ", i && !isnan(line->values[i - 1]) ? 'L' : 'M', x_of(i, n_points),
				y_of(s, y0, line->values[i]));
	fprintf(out, "\"/>\n");
	for (size_t i = 0; i < n_points; i++)
		if (!isnan(line->values[i]))
			fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2\" fill=\"%s\"/>\n", x_of(i, n_points),
				y_of(s, y0, line->values[i]), colour);
}

static void draw_panel(FILE *out, const struct svg_panel *p, double y0, size_t n_points)
{
	struct scale s = scale_of(p, n_points);

	fprintf(out, "<text x=\"%d\" y=\"%.1f\" font-weight=\"bold\">%s</text>\n", LEFT, y0 - 12, p->title);
	draw_grid(out, y0, &s, n_points);
	for (size_t k = 0; k < p->n_lines; k++) {
		double y = y0 + 14 + 18 * (double)k;

		draw_line(out, &p->lines[k], colours[k], y0, &s, n_points);
		fprintf(out, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"3\"/>\n",
			WIDTH - RIGHT + 12, y - 4, WIDTH - RIGHT + 32, y - 4, colours[k]);
		fprintf(out, "<text x=\"%d\" y=\"%.1f\">%s</text>\n", WIDTH - RIGHT + 38, y, p->lines[k].name);
	}
}

char *svg_draw(size_t *ret_len, const char *title, const char *note, const struct svg_panel *panels, size_t n_panels, size_t n_points)
{
	int height = TOP + (int)n_panels * (PANEL + GAP) - GAP / 2 + BOTTOM;
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);

	if (!out)
		mem_fail();
	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\""
		" font-family=\"sans-serif\" font-size=\"12\">\n", WIDTH, height, WIDTH, height);
	fprintf(out, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", title);
	fprintf(out, "<text x=\"%d\" y=\"24\" font-size=\"16\">%s</text>\n", LEFT, title);
	fprintf(out, "<text x=\"%d\" y=\"44\" fill=\"#555\">%s</text>\n", LEFT, note);
	for (size_t i = 0; i < n_panels; i++)
		draw_panel(out, &panels[i], TOP + (double)i * (PANEL + GAP), n_points);
	fprintf(out, "</svg>\n");
	if (fclose(out) != 0 || !text)
		mem_fail();
	return text;
}
