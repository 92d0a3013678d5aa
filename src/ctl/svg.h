/*
 * Lines over years as an SVG drawing: a panel below the other, each with its own scale.
 * Texts are put in as they are: they must hold no <, & or byte of a stranger.
 */
#ifndef CTL_SVG_H
#define CTL_SVG_H

#include <stddef.h>

enum { SVG_POINTS_MAX = 128, SVG_LINES_MAX = 4, SVG_PANELS_MAX = 6 };

struct svg_line {
	const char *name;
	double values[SVG_POINTS_MAX];		/* at equal distances from left to right, none below 0; NAN: a gap */
};

struct svg_panel {
	const char *title;			/* with the unit */
	struct svg_line lines[SVG_LINES_MAX];
	size_t n_lines;
};

/*
 * Return the malloc()ed text. All lines have `n_points`, of which the first stands for
 * year 0. `note` stands below the title.
 */
char *svg_draw(size_t *ret_len, const char *title, const char *note, const struct svg_panel *panels, size_t n_panels, size_t n_points);

#endif
