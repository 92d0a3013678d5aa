#include "config.h"

#include "weights.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/bytes.h>
#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/mem.h>

#include "consensus.h"
#include "dirtext.h"

static const char first_line[] = "nonos weights 1\n";
static const char file_name[] = "weights";

/* Rank among all by weight: how many have more, and one. */
static void fill(struct weight_sample *s, const struct consensus *c, const struct consensus_router *ours)
{
	*s = (struct weight_sample){
		.valid_after = c->valid_after, .listed = ours != NULL, .n_relays = (uint32_t)c->n_routers,
		.rank = ours != NULL,
	};
	if (ours) {
		s->flags = ours->flags;
		s->weight = ours->weight;
		s->unmeasured = ours->unmeasured;
	}
	for (size_t i = 0; i < c->n_routers; i++) {
		s->total += c->routers[i].weight;
		s->rank += ours && c->routers[i].weight > ours->weight;
	}
}

static void push(struct weights *w, const struct weight_sample *s)
{
	if (w->n == WEIGHTS_MAX) {
		memmove(w->v, w->v + 1, (WEIGHTS_MAX - 1) * sizeof(w->v[0]));
		w->n--;
	}
	w->v[w->n++] = *s;
}

bool weights_add(struct weights *w, const struct consensus *c, const uint8_t own_id[20])
{
	struct weight_sample s;

	if (w->n && w->v[w->n - 1].valid_after >= c->valid_after)
		return false;
	fill(&s, c, consensus_find(c, own_id));
	push(w, &s);
	return true;
}

size_t weights_format(char out[WEIGHTS_TEXT_MAX], const struct weights *w)
{
	struct wr text = wr_init(out, WEIGHTS_TEXT_MAX);

	wr_printf(&text, "%s", first_line);
	for (size_t i = 0; i < w->n; i++) {
		const struct weight_sample *s = &w->v[i];

		wr_printf(&text, "at %" PRId64 " %d %d %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu32 "\n",
			  s->valid_after, s->listed, s->unmeasured, s->flags, s->weight, s->total, s->rank, s->n_relays);
	}
	return wr_len(&text);
}

static int sample_parse(struct weight_sample *s, struct dir_item *it)
{
	uint64_t v[8];
	static const uint64_t most[8] = {
		(uint64_t)1 << 40, 1, 1, UINT32_MAX, (uint64_t)1 << 60, (uint64_t)1 << 60, UINT32_MAX, UINT32_MAX,
	};

	for (size_t i = 0; i < 8; i++)
		if (dir_arg_u64(it, &v[i], most[i]) < 0)
			return ERR_MALFORMED;
	if (it->args.len)
		return ERR_MALFORMED;
	*s = (struct weight_sample){
		.valid_after = (int64_t)v[0], .listed = v[1], .unmeasured = v[2], .flags = (uint32_t)v[3],
		.weight = v[4], .total = v[5], .rank = (uint32_t)v[6], .n_relays = (uint32_t)v[7],
	};
	return 0;
}

int weights_parse(struct weights *ret, const char *text, size_t len)
{
	size_t head = sizeof(first_line) - 1;
	struct weights *w;
	struct dirtext t;
	struct dir_item it;
	int r = 0;

	if (len < head || memcmp(text, first_line, head) != 0)
		return ERR_MALFORMED;
	w = mem_new(sizeof(*w));
	t = dirtext_init(text + head, len - head);
	while (r == 0 && (r = dirtext_next(&t, &it)) == 0) {
		struct weight_sample s;

		r = dir_item_is(&it, "at") && w->n < WEIGHTS_MAX ? sample_parse(&s, &it) : ERR_MALFORMED;
		if (r == 0 && w->n && s.valid_after <= w->v[w->n - 1].valid_after)
			r = ERR_MALFORMED;
		if (r == 0)
			push(w, &s);
	}
	r = r == ERR_NOT_FOUND ? 0 : ERR_MALFORMED;
	if (r == 0)
		*ret = *w;
	free(w);
	return r;
}

int weights_load(struct weights *ret, const char *dir)
{
	char *text = mem_new(WEIGHTS_TEXT_MAX);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t len;
	int r = ERR_SYSTEM;

	if (fd >= 0)
		r = file_read_at((uint8_t *)text, WEIGHTS_TEXT_MAX, &len, fd, file_name, false);
	if (r == 0)
		r = weights_parse(ret, text, len);
	if (fd >= 0)
		close(fd);
	free(text);
	return r;
}

int weights_save(const struct weights *w, const char *dir)
{
	char *text = mem_new(WEIGHTS_TEXT_MAX);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? ERR_SYSTEM : file_replace_at(fd, file_name, text, weights_format(text, w));

	if (fd >= 0)
		close(fd);
	free(text);
	return r;
}
