/* Reading the measurement; see measure.h. */
#include "config.h"

#include "measure.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/mem.h>

#include "measure_priv.h"

/* A relay while its samples are added up, found by its row. */
struct sum {
	int64_t row, microdesc;		/* 0: none */
	struct measured_relay relay;
};

/* Open addressing; grows so that at most half of it is used. */
struct sums {
	struct sum *v;
	size_t cap, n;
};

static struct sum *sums_slot(const struct sums *t, int64_t row)
{
	size_t i = (size_t)((uint64_t)row * 0x9e3779b97f4a7c15u) & (t->cap - 1);

	while (t->v[i].row && t->v[i].row != row)
		i = (i + 1) & (t->cap - 1);
	return &t->v[i];
}

static void sums_grow(struct sums *t)
{
	struct sums old = *t;

	t->cap = old.cap ? 2 * old.cap : 1024;
	t->v = mem_new_array(t->cap, sizeof(*t->v));
	for (size_t i = 0; i < old.cap; i++)
		if (old.v[i].row)
			*sums_slot(t, old.v[i].row) = old.v[i];
	free(old.v);
}

static struct sum *sums_get(struct sums *t, int64_t row)
{
	struct sum *s;

	if (2 * t->n >= t->cap)
		sums_grow(t);
	s = sums_slot(t, row);
	if (!s->row) {
		s->row = row;
		t->n++;
	}
	return s;
}

/* Samples come in the order of time, so the last one that says Running stays for what is not a sum. */
static void add_sample(struct sum *s, uint64_t weight, uint32_t flags, unsigned network, int64_t microdesc)
{
	struct measured_relay *r = &s->relay;

	if (!(flags & FLAG_RUNNING))
		return;
	r->network[0] = (uint8_t)(network >> 8);
	r->network[1] = (uint8_t)network;
	s->microdesc = microdesc;
	r->n_running++;
	r->weight += weight;
	if ((flags & FLAG_EXIT) && !(flags & FLAG_BAD_EXIT))
		r->n_exit++;
	else if (flags & FLAG_GUARD)
		r->n_guard++;
}

static int read_samples(struct measure *m, struct sums *t, int64_t from, int64_t to)
{
	sqlite3_stmt *s = measure_bind(m, READ_SAMPLES, 2, (const int64_t[]){ from, to });
	int step;

	while ((step = sqlite3_step(s)) == SQLITE_ROW) {
		int64_t row = sqlite3_column_int64(s, 0), weight = sqlite3_column_int64(s, 1);

		if (row <= 0 || weight < 0 || weight > UINT32_MAX)
			continue;	/* never written by us */
		add_sample(sums_get(t, row), (uint64_t)weight, (uint32_t)sqlite3_column_int64(s, 2),
			   (unsigned)sqlite3_column_int(s, 3), sqlite3_column_int64(s, 4));
	}
	return measure_end(s, step);
}

static void read_consensus_row(struct measured_consensus *c, sqlite3_stmt *s)
{
	c->valid_after = sqlite3_column_int64(s, 0);
	c->fresh_until = sqlite3_column_int64(s, 1);
	if (sqlite3_column_bytes(s, 2) == 32)
		memcpy(c->digest, sqlite3_column_blob(s, 2), 32);
	c->n_relays = (uint32_t)sqlite3_column_int64(s, 3);
	c->weight = (uint64_t)sqlite3_column_int64(s, 4);
}

static int read_consensuses(struct measure *m, struct measured *ret)
{
	sqlite3_stmt *s = measure_bind(m, READ_CONSENSUSES, 2, (const int64_t[]){ ret->from, ret->to });
	size_t cap = 0;
	int step;

	while ((step = sqlite3_step(s)) == SQLITE_ROW) {
		if (ret->n_consensuses == MEASURE_CONSENSUSES_MAX) {
			measure_end(s, step);
			return ERR_LIMIT;
		}
		if (ret->n_consensuses == cap) {
			cap = cap ? 2 * cap : 64;
			ret->consensuses = mem_resize(ret->consensuses, cap, sizeof(*ret->consensuses));
		}
		memset(&ret->consensuses[ret->n_consensuses], 0, sizeof(*ret->consensuses));
		read_consensus_row(&ret->consensuses[ret->n_consensuses++], s);
	}
	return measure_end(s, step);
}

/* One row of one or two integers; zeros without a row. */
static int read_numbers(sqlite3_stmt *s, int64_t *ret, int n)
{
	int step = sqlite3_step(s);

	for (int i = 0; i < n; i++)
		ret[i] = step == SQLITE_ROW ? sqlite3_column_int64(s, i) : 0;
	return measure_end(s, step);
}

static int read_vanished(struct measure *m, struct measured *ret)
{
	int64_t last[2], gone;
	int r;

	if (ret->n_consensuses == 0)
		return 0;
	r = read_numbers(measure_bind(m, READ_BEFORE, 2, (const int64_t[]){ 2 * ret->from - ret->to, ret->from }),
			 last, 2);
	for (size_t i = 0; r == 0 && i < ret->n_consensuses; i++) {
		struct measured_consensus *c = &ret->consensuses[i];

		r = read_numbers(measure_bind(m, READ_VANISHED, 3,
						 (const int64_t[]){ last[0], c->valid_after, FLAG_RUNNING }), &gone, 1);
		c->before = (uint64_t)last[1];
		c->vanished = r == 0 ? (uint64_t)gone : 0;
		last[0] = c->valid_after;
		last[1] = (int64_t)c->weight;
	}
	return r;
}

static const uint8_t *keep_blob(struct measured *r, const void *data, size_t len)
{
	if (!len)
		return NULL;
	r->blobs = mem_resize(r->blobs, r->n_blobs + 1, sizeof(*r->blobs));
	r->blobs[r->n_blobs] = mem_dup(data, len);
	return r->blobs[r->n_blobs++];
}

static void read_family(struct measured *all, struct measured_relay *r, sqlite3_stmt *s)
{
	size_t members = (size_t)sqlite3_column_bytes(s, 3), keys = (size_t)sqlite3_column_bytes(s, 4);

	r->known = sqlite3_column_int(s, 1) != 0;
	if (sqlite3_column_bytes(s, 2) == sizeof(r->ed_id)) {
		memcpy(r->ed_id, sqlite3_column_blob(s, 2), sizeof(r->ed_id));
		r->has_ed_id = true;
	}
	r->n_members = members / 20;
	r->members = keep_blob(all, sqlite3_column_blob(s, 3), r->n_members * 20);
	r->n_keys = keys / 32;
	r->keys = keep_blob(all, sqlite3_column_blob(s, 4), r->n_keys * 32);
}

static int read_ids(struct measure *m, struct measured *all, const struct sum *sum, struct measured_relay *r)
{
	sqlite3_stmt *s = measure_bind(m, READ_RELAY, 1, &sum->row);
	int step = sqlite3_step(s), e;

	*r = sum->relay;
	if (step == SQLITE_ROW && sqlite3_column_bytes(s, 0) == sizeof(r->rsa_id))
		memcpy(r->rsa_id, sqlite3_column_blob(s, 0), sizeof(r->rsa_id));
	else if (step == SQLITE_ROW || step == SQLITE_DONE)
		step = SQLITE_CORRUPT;
	e = measure_end(s, step);
	if (e < 0 || !sum->microdesc)
		return e;
	s = measure_bind(m, READ_MICRODESC, 1, &sum->microdesc);
	step = sqlite3_step(s);
	if (step == SQLITE_ROW && sqlite3_column_bytes(s, 0) == sizeof(r->microdesc)) {
		memcpy(r->microdesc, sqlite3_column_blob(s, 0), sizeof(r->microdesc));
		r->has_microdesc = true;
		read_family(all, r, s);
	}
	return measure_end(s, step);
}

static int compare_relay(const void *a, const void *b)
{
	return memcmp(((const struct measured_relay *)a)->rsa_id, ((const struct measured_relay *)b)->rsa_id, 20);
}

static int read_relays(struct measure *m, struct measured *ret)
{
	struct sums t = { 0 };
	int r = read_samples(m, &t, ret->from, ret->to);

	ret->relays = mem_new_array(t.n, sizeof(*ret->relays));
	for (size_t i = 0; r == 0 && i < t.cap; i++)
		if (t.v[i].row)
			r = read_ids(m, ret, &t.v[i], &ret->relays[ret->n_relays++]);
	if (r == 0 && ret->n_relays)
		qsort(ret->relays, ret->n_relays, sizeof(*ret->relays), compare_relay);
	free(t.v);
	return r;
}

int measure_read(struct measure *m, struct measured **ret, int64_t from, int64_t to)
{
	struct measured *all = mem_new(sizeof(*all));
	int r;

	all->from = from;
	all->to = to;
	r = read_consensuses(m, all);
	if (r == 0)
		r = read_vanished(m, all);
	if (r == 0)
		r = read_relays(m, all);
	if (r < 0) {
		measured_free(all);
		return r;
	}
	*ret = all;
	return 0;
}

void measured_free(struct measured *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_blobs; i++)
		free(r->blobs[i]);
	free(r->blobs);
	free(r->consensuses);
	free(r->relays);
	free(r);
}

const struct measured_relay *measured_find(const struct measured *r, const uint8_t rsa_id[20])
{
	struct measured_relay key;

	memcpy(key.rsa_id, rsa_id, sizeof(key.rsa_id));
	if (r->n_relays == 0)
		return NULL;
	return bsearch(&key, r->relays, r->n_relays, sizeof(key), compare_relay);
}

int measure_newest(struct measure *m, struct measured_consensus *ret)
{
	sqlite3_stmt *s = m->statements[NEWEST];
	struct measured_consensus c = { 0 };
	int step = sqlite3_step(s), r;

	if (step == SQLITE_ROW)
		read_consensus_row(&c, s);
	r = measure_end(s, step);
	if (r == 0 && step != SQLITE_ROW)
		r = ERR_NOT_FOUND;
	if (r == 0)
		*ret = c;
	return r;
}

int measure_status(struct measure *m, struct measure_status *ret)
{
	sqlite3_stmt *s = m->statements[STATUS];
	struct measure_status st = { 0 };
	int step = sqlite3_step(s), r;

	if (step == SQLITE_ROW) {
		st.consensuses = (uint64_t)sqlite3_column_int64(s, 0);
		st.relays = (uint64_t)sqlite3_column_int64(s, 1);
		st.oldest = sqlite3_column_int64(s, 2);
		st.newest = sqlite3_column_int64(s, 3);
	}
	r = measure_end(s, step);
	if (r == 0)
		*ret = st;
	return r;
}
