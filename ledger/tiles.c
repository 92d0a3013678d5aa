#include "config.h"

#include <nonos/tiles.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/mem.h>

enum { GROUP = 1000 };

/* -- paths ----------------------------------------------------------------------------- */

static bool skip(const char **p, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*p, word, len) != 0)
		return false;
	*p += len;
	return true;
}

/* A number without leading zeros, at most `max`. */
static int read_number(uint64_t *ret, const char **p, uint64_t max)
{
	uint64_t v = 0;
	const char *start = *p;

	for (; **p >= '0' && **p <= '9' && *p - start < 4; ++*p)
		v = v * 10 + (uint64_t)(**p - '0');
	if (*p == start || (*start == '0' && *p - start > 1) || v > max)
		return ERR_MALFORMED;
	*ret = v;
	return 0;
}

/* Three digits. */
static int read_group(uint64_t *ret, const char **p)
{
	uint64_t v = 0;

	for (int i = 0; i < 3; i++, ++*p) {
		if (**p < '0' || **p > '9')
			return ERR_MALFORMED;
		v = v * 10 + (uint64_t)(**p - '0');
	}
	*ret = v;
	return 0;
}

/* "x001/x234/067" is 1234067: groups of three, all but the last begin with x, and the first is not x000. */
static int read_index(uint64_t *ret, const char **p)
{
	uint64_t v = 0, group;
	bool more = true;

	for (int n = 0; more; n++) {
		more = skip(p, "x");
		if (read_group(&group, p) < 0 || (n == 0 && more && group == 0) || v > (UINT64_MAX >> 8) / GROUP - 1)
			return ERR_MALFORMED;
		v = v * GROUP + group;
		if (more && !skip(p, "/"))
			return ERR_MALFORMED;
	}
	*ret = v;
	return 0;
}

int tile_parse(struct tile *ret, const char *path)
{
	struct tile t = { .width = TILE_WIDTH };
	uint64_t level = 0, width;

	if (!skip(&path, "/tile/"))
		return ERR_MALFORMED;
	t.entries = skip(&path, "entries/");
	if (!t.entries && (read_number(&level, &path, TILE_LEVEL_MAX) < 0 || !skip(&path, "/")))
		return ERR_MALFORMED;
	t.level = (unsigned)level;
	if (read_index(&t.index, &path) < 0)
		return ERR_MALFORMED;
	if (skip(&path, ".p/")) {
		if (read_number(&width, &path, TILE_WIDTH - 1) < 0 || width == 0)
			return ERR_MALFORMED;
		t.width = (unsigned)width;
	}
	if (*path)
		return ERR_MALFORMED;
	*ret = t;
	return 0;
}

static void write_index(char *out, size_t cap, uint64_t index)
{
	uint64_t groups[8];
	size_t n = 0, len = 0;

	do {
		groups[n++] = index % GROUP;
		index /= GROUP;
	} while (index);
	while (n-- > 0)
		len += (size_t)snprintf(out + len, cap - len, n ? "x%03llu/" : "%03llu", (unsigned long long)groups[n]);
}

char *tile_path(char out[TILE_PATH_CAP], const struct tile *t)
{
	char index[48];

	write_index(index, sizeof(index), t->index);
	if (t->entries)
		snprintf(out, TILE_PATH_CAP, "/tile/entries/%s", index);
	else
		snprintf(out, TILE_PATH_CAP, "/tile/%u/%s", t->level, index);
	if (t->width < TILE_WIDTH)
		snprintf(out + strlen(out), TILE_PATH_CAP - strlen(out), ".p/%u", t->width);
	return out;
}

/* -- contents ------------------------------------------------------------------------------ */

bool tile_exists(const struct tile *t, uint64_t size)
{
	unsigned shift = t->entries ? 0 : 8 * t->level;
	uint64_t last;

	if (shift >= 64 || __builtin_mul_overflow(t->index, (uint64_t)TILE_WIDTH, &last) ||
	    __builtin_add_overflow(last, (uint64_t)t->width, &last))
		return false;
	return last <= size >> shift;
}

static int read_hashes(char **ret, size_t *ret_len, struct ledger *l, const struct tile *t)
{
	char *out = mem_new(t->width * (size_t)LEDGER_ROOT_LEN);
	int r = 0;

	for (unsigned i = 0; i < t->width && r == 0; i++)
		r = ledger_node(l, (uint8_t *)out + i * (size_t)LEDGER_ROOT_LEN, 8 * t->level, t->index * TILE_WIDTH + i);
	if (r < 0) {
		free(out);
		return r;
	}
	*ret = out;
	*ret_len = t->width * (size_t)LEDGER_ROOT_LEN;
	return 0;
}

static int read_entry(char **bundle, size_t *len, struct ledger *l, uint64_t index)
{
	char *entry;
	size_t entry_len;
	int r = ledger_entry(l, &entry, &entry_len, NULL, NULL, index);

	if (r < 0)
		return r;
	*bundle = mem_resize(*bundle, *len + entry_len + 2, 1);
	(*bundle)[*len] = (char)(entry_len >> 8);
	(*bundle)[*len + 1] = (char)entry_len;
	memcpy(*bundle + *len + 2, entry, entry_len);
	*len += entry_len + 2;
	free(entry);
	return 0;
}

int tile_read(char **ret, size_t *ret_len, struct ledger *l, const struct tile *t)
{
	char *bundle = NULL;
	size_t len = 0;
	int r = 0;

	if (!tile_exists(t, ledger_committed(l)))
		return ERR_NOT_FOUND;
	if (!t->entries)
		return read_hashes(ret, ret_len, l, t);
	for (unsigned i = 0; i < t->width && r == 0; i++)
		r = read_entry(&bundle, &len, l, t->index * TILE_WIDTH + i);
	if (r < 0) {
		free(bundle);
		return r;
	}
	*ret = bundle;
	*ret_len = len;
	return 0;
}

int tile_next_entry(struct rd *bundle, const char **ret, size_t *ret_len)
{
	const uint8_t *entry;
	size_t len;

	if (rd_left(bundle) == 0)
		return ERR_NOT_FOUND;
	len = rd_u16(bundle);
	entry = rd_take(bundle, len);
	if (!entry || len == 0)
		return ERR_MALFORMED;
	*ret = (const char *)entry;
	*ret_len = len;
	return 0;
}
