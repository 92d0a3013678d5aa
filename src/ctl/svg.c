#include "config.h"

#include "svg.h"

#include <stdio.h>

#include <nonos/mem.h>

enum { WIDTH = 900, LEFT = 90, RIGHT = 160, TOP = 60, PANEL = 190, GAP = 60, TICKS = 4 };

static const char *const colours[SVG_LINES_MAX] = { "#1f6fb2", "#c2410c", "#2e7d32", "#6a1b9a" };

static double top_of(const struct svg_panel *p, size_t n_points)
{
	double top = 0;

	for (size_t k = 0; k < p->n_lines; k++)
		for (size_t i = 0; i < n_points; i++)
			if (p->lines[k].values[i] > top)
				top = p->lines[k].values[i];
	return top > 0 ? top : 1;
}

static void draw_grid(FILE *out, double y0, double top, size_t n_points)
{
	size_t each = (n_points - 1 + 9) / 10;

	for (int i = 0; i <= TICKS; i++) {
		double y = y0 + PANEL - PANEL * i / (double)TICKS;

		fprintf(out, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", LEFT, y, WIDTH - RIGHT, y);
		fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n", LEFT - 8, y + 4, top * i / TICKS);
	}
	for (size_t i = 0; i < n_points; i += each ? each : 1)
		fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%zu</text>\n",
			LEFT + (double)(WIDTH - LEFT - RIGHT) * (double)i / (double)(n_points > 1 ? n_points - 1 : 1), y0 + PANEL + 18, i);
}

static void draw_line(FILE *out, const struct svg_line *line, const char *colour, double y0, double top, size_t n_points)
{
	fprintf(out, "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"%s\" points=\"", colour);
	for (size_t i = 0; i < n_points; i++)
		fprintf(out, "%.1f,%.1f ",
			LEFT + (double)(WIDTH - LEFT - RIGHT) * (double)i / (double)(n_points > 1 ? n_points - 1 : 1),
			y0 + PANEL - PANEL * line->values[i] / top);
	fprintf(out, "\"/>\n");
}

static void draw_panel(FILE *out, const struct svg_panel *p, double y0, size_t n_points)
{
	double top = top_of(p, n_points);

	fprintf(out, "<text x=\"%d\" y=\"%.1f\" font-weight=\"bold\">%s</text>\n", LEFT, y0 - 10, p->title);
	draw_grid(out, y0, top, n_points);
	for (size_t k = 0; k < p->n_lines; k++) {
		double y = y0 + 14 + 18 * (double)k;

		draw_line(out, &p->lines[k], colours[k], y0, top, n_points);
		fprintf(out, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"3\"/>\n",
			WIDTH - RIGHT + 12, y - 4, WIDTH - RIGHT + 32, y - 4, colours[k]);
		fprintf(out, "<text x=\"%d\" y=\"%.1f\">%s</text>\n", WIDTH - RIGHT + 38, y, p->lines[k].name);
	}
}

char *svg_draw(size_t *ret_len, const char *title, const struct svg_panel *panels, size_t n_panels, size_t n_points)
{
	int height = TOP + (int)n_panels * (PANEL + GAP);
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);

	if (!out)
		mem_fail();
	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\""
		" font-family=\"sans-serif\" font-size=\"12\">\n", WIDTH, height, WIDTH, height);
	fprintf(out, "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n");
	fprintf(out, "<text x=\"%d\" y=\"24\" font-size=\"16\">%s</text>\n", LEFT, title);
	for (size_t i = 0; i < n_panels; i++)
		draw_panel(out, &panels[i], TOP + (double)i * (PANEL + GAP), n_points);
	fprintf(out, "</svg>\n");
	if (fclose(out) != 0 || !text)
		mem_fail();
	return text;
}
