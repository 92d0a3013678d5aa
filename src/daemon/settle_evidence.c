#include "config.h"

#include "settle_evidence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/mem.h>

enum settle_match settle_match(const struct measured *m, const struct settle_relay *relay)
{
	const struct measured_relay *r = measured_find(m, relay->fingerprint);

	if (!r || r->n_running == 0)
		return SETTLE_NOT_RUNNING;
	if (r->has_microdesc && !r->known)
		return SETTLE_MICRODESC_MISSING;
	if (!r->has_ed_id || memcmp(r->ed_id, relay->relay_id, sizeof(r->ed_id)) != 0)
		return SETTLE_OTHER_IDENTITY;
	return SETTLE_COUNTED;
}

/* -- families --------------------------------------------------------------------------- */

/* One relay that counts, and the tree it is in: `up` leads to the lowest fingerprint of its family. */
struct kin {
	const struct measured_relay *relay;
	const struct settle_relay *who;
	size_t up, size;
};

static size_t kin_root(struct kin *v, size_t i)
{
	while (v[i].up != i) {
		v[i].up = v[v[i].up].up;
		i = v[i].up;
	}
	return i;
}

/* `v` ascends by fingerprint, so the lower index leads. */
static void kin_join(struct kin *v, size_t a, size_t b)
{
	size_t low, high;

	a = kin_root(v, a);
	b = kin_root(v, b);
	if (a == b)
		return;
	low = a < b ? a : b;
	high = a < b ? b : a;
	v[high].up = low;
	v[low].size += v[high].size;
}

static int compare_kin(const void *a, const void *b)
{
	const struct kin *x = a, *y = b;

	return memcmp(x->relay->rsa_id, y->relay->rsa_id, sizeof(x->relay->rsa_id));
}

static int compare_id(const void *a, const void *b)
{
	return memcmp(a, b, REWARD_FINGERPRINT_LEN);
}

static int compare_by_id(const void *key, const void *elem)
{
	return memcmp(key, ((const struct kin *)elem)->relay->rsa_id, REWARD_FINGERPRINT_LEN);
}

static bool names(const struct measured_relay *r, const uint8_t *rsa_id)
{
	return r->n_members && bsearch(rsa_id, r->members, r->n_members, REWARD_FINGERPRINT_LEN, compare_id);
}

/* Who names another has to be named by it, too: nobody gets into a family that does not want him. */
static void join_members(struct kin *v, size_t n, size_t i)
{
	const struct measured_relay *r = v[i].relay;

	for (size_t m = 0; m < r->n_members; m++) {
		const uint8_t *id = r->members + m * REWARD_FINGERPRINT_LEN;
		const struct kin *other = bsearch(id, v, n, sizeof(*v), compare_by_id);

		if (other && other->relay != r && names(other->relay, r->rsa_id))
			kin_join(v, i, (size_t)(other - v));
	}
}

/* A family key that one relay shows, proven to the authorities by a certificate. */
struct key_of {
	const uint8_t *key;
	size_t kin;
};

static int compare_key(const void *a, const void *b)
{
	return memcmp(((const struct key_of *)a)->key, ((const struct key_of *)b)->key, 32);
}

static void join_keys(struct kin *v, size_t n)
{
	struct key_of *keys;
	size_t n_keys = 0;

	for (size_t i = 0; i < n; i++)
		n_keys += v[i].relay->n_keys;
	if (n_keys == 0)
		return;
	keys = mem_new_array(n_keys, sizeof(*keys));
	n_keys = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < v[i].relay->n_keys; k++)
			keys[n_keys++] = (struct key_of){ v[i].relay->keys + 32 * k, i };
	qsort(keys, n_keys, sizeof(*keys), compare_key);
	for (size_t k = 1; k < n_keys; k++)
		if (compare_key(&keys[k - 1], &keys[k]) == 0)
			kin_join(v, keys[k - 1].kin, keys[k].kin);
	free(keys);
}

static void find_families(struct kin *v, size_t n)
{
	if (n)
		qsort(v, n, sizeof(*v), compare_kin);
	for (size_t i = 0; i < n; i++) {
		v[i].up = i;
		v[i].size = 1;
	}
	for (size_t i = 0; i < n; i++)
		join_members(v, n, i);
	join_keys(v, n);
}

/* -- rows --------------------------------------------------------------------------------- */

static void add_relay(struct evidence *e, struct kin *v, size_t i)
{
	const struct measured_relay *r = v[i].relay;
	size_t root = kin_root(v, i);
	struct evidence_relay row = {
		.running = r->n_running, .exit = r->n_exit, .guard = r->n_guard, .weight_sum = r->weight,
	};

	memcpy(row.relay_id, v[i].who->relay_id, sizeof(row.relay_id));
	memcpy(row.fingerprint, v[i].who->fingerprint, sizeof(row.fingerprint));
	if (v[root].size > 1)
		hex_encode(row.family, v[root].relay->rsa_id, sizeof(v[root].relay->rsa_id));
	snprintf(row.network, sizeof(row.network), "%u.%u.0.0/16", r->network[0], r->network[1]);
	evidence_add_relay(e, &row);
}

static void add_consensuses(struct evidence *e, const struct measured *m)
{
	for (size_t i = 0; i < m->n_consensuses; i++) {
		const struct measured_consensus *c = &m->consensuses[i];
		struct evidence_consensus row = {
			.valid_after = c->valid_after, .weight = c->weight, .before = c->before, .vanished = c->vanished,
		};

		memcpy(row.sha256, c->digest, sizeof(row.sha256));
		evidence_add_consensus(e, &row);
	}
}

int settle_evidence(struct evidence **ret, const struct settle_relay **ret_missing, uint64_t epoch,
		    const struct measured *m, const struct settle_relay *relays, size_t n)
{
	struct kin *v;
	struct evidence *e;
	size_t n_kin = 0;

	if (m->n_consensuses > EVIDENCE_CONSENSUSES_MAX)
		return ERR_LIMIT;
	v = mem_new_array(n, sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		enum settle_match match = settle_match(m, &relays[i]);

		if (match == SETTLE_MICRODESC_MISSING && ret_missing) {
			*ret_missing = &relays[i];
			free(v);
			return ERR_AGAIN;
		}
		if (match == SETTLE_COUNTED)
			v[n_kin++] = (struct kin){ .relay = measured_find(m, relays[i].fingerprint), .who = &relays[i] };
	}
	find_families(v, n_kin);
	e = evidence_new(epoch, m->from, m->to);
	add_consensuses(e, m);
	for (size_t i = 0; i < n_kin; i++)
		add_relay(e, v, i);
	free(v);
	*ret = e;
	return 0;
}
