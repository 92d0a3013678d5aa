/* The policy anyone-1 on the ledger: scores from evidence, and the days for which relays run. */
#include "config.h"

#include "epoch.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/doc_read.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/json_set.h>
#include <nonos/mem.h>

enum { DAY_S = 86400 };

/* -- for how long ---------------------------------------------------------------------- */

/* The last normal epoch that is closed. ERR_NOT_FOUND. */
static int last_normal(struct ledger *l, uint64_t *ret)
{
	sqlite3_stmt *row;
	int r = store_row(l->store, &row, "SELECT epoch FROM measured", "");

	if (r < 0)
		return r;
	*ret = store_u64(row, 0);
	store_end(row);
	return 0;
}

/* The streak that `epoch` is part of, or goes on: since when. An epoch by itself when there is none. */
static int streak_since(struct ledger *l, uint64_t *ret, const uint8_t relay[RELAY_ID_LEN], uint64_t epoch)
{
	uint64_t since, last, before = 0;
	sqlite3_stmt *row;
	bool known;
	int r = last_normal(l, &before);

	known = r == 0;
	if (r == 0 || r == ERR_NOT_FOUND)
		r = store_row(l->store, &row, "SELECT since, last FROM streak WHERE relay = ? AND since <= ? ORDER BY since DESC LIMIT 1",
			      "bu", relay, (size_t)RELAY_ID_LEN, epoch);
	*ret = epoch;
	if (r < 0)
		return r == ERR_NOT_FOUND ? 0 : r;
	since = store_u64(row, 0);
	last = store_u64(row, 1);
	store_end(row);
	if (last >= epoch || (known && last == before))
		*ret = since;
	return 0;
}

int anyone_streaks(struct ledger *l, const struct epoch_terms *t)
{
	int r = 0;

	for (size_t i = 0; i < t->rewards->n_relays && r == 0; i++) {
		const struct reward_relay *relay = &t->rewards->relays[i];
		uint64_t since;

		if (relay->running == 0)
			continue;
		r = streak_since(l, &since, relay->id, t->epoch);
		if (r == 0)
			r = store_run(l->store, "INSERT INTO streak VALUES(?1, ?2, ?3) ON CONFLICT(relay, since) DO UPDATE SET last = ?3",
				      "buu", relay->id, sizeof(relay->id), since, t->epoch);
	}
	return r;
}

static int streak_days(struct ledger *l, uint64_t *ret, const struct epoch_terms *t, const struct reward_relay *relay)
{
	uint64_t since;
	int r = streak_since(l, &since, relay->id, t->measured);

	if (r == 0)
		*ret = (genesis_epoch_start(l->genesis, t->measured + 1) - genesis_epoch_start(l->genesis, since)) / DAY_S;
	return r;
}

/* -- fellows ---------------------------------------------------------------------------- */

static int text_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The texts of one kind of the measured relays, sorted. `offset` is where they are in a relay. */
static const char **sorted_texts(const struct reward_epoch *e, size_t offset)
{
	const char **texts = mem_new_array(e->n_relays + 1, sizeof(*texts));

	for (size_t i = 0; i < e->n_relays; i++)
		texts[i] = e->relays[i].running ? (const char *)&e->relays[i] + offset : "";
	qsort(texts, e->n_relays, sizeof(*texts), text_cmp);
	return texts;
}

/* How many others have that text; none share an empty one. */
static uint64_t others(const char *const *texts, size_t n, const char *text)
{
	size_t low = 0, high = n, first;

	if (!text[0])
		return 0;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(texts[mid], text) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (first = low, high = n; low < high; ) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(texts[mid], text) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low - first - 1;
}

/* -- the round ---------------------------------------------------------------------------- */

static void fingerprint_text(char out[ANYONE_ID_LEN + 1], const struct ledger_relay *relay)
{
	hex_encode_upper(out, relay->fingerprint, sizeof(relay->fingerprint));
}

static json_t *score_json(const struct reward_relay *r, uint64_t days, uint64_t family, uint64_t location)
{
	json_t *o = json_pack("{s:I, s:b, s:I, s:b, s:I, s:I}", "Network", (json_int_t)(r->weight_sum / r->running), "IsHardware", 0,
			      "UptimeStreak", (json_int_t)days, "ExitBonus", (uint64_t)r->exit * 2 > r->running, "FamilySize",
			      (json_int_t)family, "LocationSize", (json_int_t)location);

	json_set_address(o, "Address", &r->payout);
	return o;
}

static int add_scores(struct ledger *l, json_t *scores, const struct epoch_terms *t, const char *const *families,
		      const char *const *networks)
{
	const struct reward_epoch *e = t->rewards;
	char id[ANYONE_ID_LEN + 1];
	uint64_t days;
	int r = 0;

	for (size_t i = 0; i < e->n_relays && r == 0; i++) {
		const struct reward_relay *relay = &e->relays[i];

		if (relay->running == 0)
			continue;
		fingerprint_text(id, &t->reg->relays[i]);
		if (json_object_get(scores, id))
			return ERR_EXISTS;
		r = streak_days(l, &days, t, relay);
		if (r == 0)
			json_object_set_new(scores, id, score_json(relay, days, others(families, e->n_relays, relay->family),
								   others(networks, e->n_relays, relay->network)));
	}
	return r;
}

/* What a second pays may not come to more than there is. */
static json_t *config_json(const struct genesis *g, struct amount reserve)
{
	json_t *config = json_deep_copy(g->anyone);
	const char *text = json_string_value(json_object_get(config, "TokensPerSecond"));
	struct amount wanted = { UINT64_MAX, UINT64_MAX }, most = { 0 };

	if (text)
		amount_parse(&wanted, text, strlen(text));
	else
		wanted = amount_u64((uint64_t)json_integer_value(json_object_get(config, "TokensPerSecond")));
	(void)amount_muldiv(&most, NULL, reserve, amount_u64(1), amount_u64(g->rewards.epoch_s));
	if (amount_cmp(wanted, most) > 0)
		json_set_amount(config, "TokensPerSecond", most);
	return config;
}

static int make_round(struct ledger *l, struct epoch_terms *t, char *why)
{
	const struct reward_epoch *e = t->rewards;
	const char **families = sorted_texts(e, offsetof(struct reward_relay, family)),
		   **networks = sorted_texts(e, offsetof(struct reward_relay, network));
	json_t *scores = json_object();
	int r = add_scores(l, scores, t, families, networks);

	free(families);
	free(networks);
	t->round_doc = json_pack("{s:s, s:o, s:I, s:o}", "policy", "anyone-1", "config", config_json(l->genesis, e->reserve), "elapsedMs",
				 (json_int_t)e->params.epoch_s * 1000, "scores", scores);
	if (r == ERR_EXISTS)
		doc_fail(why, "two registered relays have one fingerprint");
	return r < 0 ? r : anyone_round_read(&t->round, why, t->round_doc);
}

const struct anyone_relay *anyone_find(const struct epoch_terms *t, const uint8_t relay_id[RELAY_ID_LEN])
{
	const struct ledger_relay *relay = ledger_register_find(t->reg, relay_id);
	char id[ANYONE_ID_LEN + 1];
	size_t low = 0, high = t->round->n_relays;

	if (!relay)
		return NULL;
	fingerprint_text(id, relay);
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int r = strcmp(t->round->relays[mid].id, id);

		if (r == 0)
			return &t->round->relays[mid];
		if (r < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

int anyone_epoch(struct ledger *l, struct epoch_terms *t, char why[REWARD_WHY_CAP], const struct evidence *m)
{
	struct reward_epoch *e = t->rewards;
	int r = m->n_relays > ANYONE_RELAYS_MAX ? ERR_RANGE : make_round(l, t, why);

	if (r == 0) {
		r = anyone_compute(t->round);
		if (r < 0)
			doc_fail(why, "a rating or an amount leaves its range");
	}
	if (r < 0)
		return r;
	e->paid = t->round->total;
	(void)amount_mul(&e->budget, t->round->config.tokens_per_second, amount_u64(t->round->seconds));
	for (size_t i = 0; i < e->n_relays; i++) {
		const struct anyone_relay *a = e->relays[i].running ? anyone_find(t, e->relays[i].id) : NULL;

		e->relays[i].excluded = a ? REWARD_COUNTED : REWARD_NOT_RUNNING;
		e->relays[i].due = a ? a->total : amount_u64(0);
	}
	return 0;
}
