/* Token buckets and the limits of one address; see limit.h. */
#include "config.h"

#include <nonos/limit.h>

#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/rand.h>

enum { MILLION = 1000000 };

/* Units a second; so that a rate times a million fits 64 bits with room to spare. */
#define RATE_MAX UINT64_C(1000000000000)

/* -- buckets ------------------------------------------------------------- */

static void set_rate(struct bucket *b, uint64_t rate, uint64_t burst)
{
	b->rate = rate < RATE_MAX ? rate : RATE_MAX;
	b->burst = burst > b->rate ? burst : b->rate;
}

void bucket_init(struct bucket *b, uint64_t rate, uint64_t burst, uint64_t now_us)
{
	*b = (struct bucket){ .last_us = now_us };
	set_rate(b, rate, burst);
	b->level = b->burst;
}

void bucket_set(struct bucket *b, uint64_t rate, uint64_t burst)
{
	bool was_unlimited = b->rate == 0;

	set_rate(b, rate, burst);
	if (was_unlimited || b->level >= b->burst) {
		b->level = b->burst;
		b->fraction = 0;
	}
}

void bucket_refill(struct bucket *b, uint64_t now_us)
{
	uint64_t elapsed = now_us - b->last_us, units, part;

	if (now_us <= b->last_us)
		return;
	b->last_us = now_us;
	part = b->rate * (elapsed % MILLION) + b->fraction;
	if (__builtin_mul_overflow(b->rate, elapsed / MILLION, &units) ||
	    __builtin_add_overflow(units, part / MILLION, &units) || units >= b->burst - b->level) {
		b->level = b->burst;
		b->fraction = 0;
		return;
	}
	b->level += units;
	b->fraction = part % MILLION;
}

uint64_t bucket_level(const struct bucket *b)
{
	return b->rate ? b->level : UINT64_MAX;
}

void bucket_take(struct bucket *b, uint64_t n)
{
	if (b->rate)
		b->level -= n < b->level ? n : b->level;
}

uint64_t bucket_wait_us(const struct bucket *b, uint64_t n)
{
	uint64_t whole, rest, wait;

	if (n > b->burst)
		n = b->burst;
	if (b->rate == 0 || b->level >= n)
		return 0;
	/* The last unit is counted in millionths, as some of it may be there. */
	whole = n - b->level - 1;
	rest = whole % b->rate * MILLION + MILLION - b->fraction;
	if (__builtin_mul_overflow(whole / b->rate, (uint64_t)MILLION, &wait) ||
	    __builtin_add_overflow(wait, (rest + b->rate - 1) / b->rate, &wait))
		return UINT64_MAX;
	return wait;
}

/* -- addresses ----------------------------------------------------------- */

/*
 * Memory stays within a few megabytes whatever comes. Entries that no longer
 * say anything go away within a second, so only this many addresses with links
 * open or circuits just made can keep a new one out.
 */
enum { ENTRIES_MIN_LOG2 = 8, ENTRIES_MIN = 1 << ENTRIES_MIN_LOG2, ENTRIES_MAX = 65536 };

#define NOTHING UINT32_MAX	/* the end of a chain */

struct entry {
	uint64_t key;
	uint8_t family;			/* ADDR_NONE: on the free list */
	uint32_t links;
	uint32_t next;			/* in its chain, or on the free list */
	struct bucket new_links, circuits;
};

struct limiter {
	struct relay_limits limits;
	uint64_t hash_key;		/* odd */
	unsigned hash_shift;		/* 64 - log2(cap) */
	struct entry *entries;
	uint32_t *heads;		/* of chains; as many as there are entries, a power of two */
	uint32_t cap;
	uint32_t free;
};

/* IPv4 whole, also when it comes mapped into IPv6; of IPv6 the /64 that one subscriber has. */
static uint64_t addr_key(const struct addr *a, uint8_t *ret_family)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool is_mapped = a->family == ADDR_V6 && memcmp(a->ip, mapped, sizeof(mapped)) == 0;
	const uint8_t *p = is_mapped ? a->ip + 12 : a->ip;
	size_t len = a->family == ADDR_V6 && !is_mapped ? 8 : 4;
	uint64_t key = 0;

	for (size_t i = 0; i < len; i++)
		key = key << 8 | p[i];
	*ret_family = is_mapped ? ADDR_V4 : a->family;
	return key;
}

/*
 * Multiply-shift by a random odd number, which is universal: a peer that can
 * choose its addresses still cannot choose where they fall.
 */
static uint32_t *chain_of(const struct limiter *l, uint64_t key)
{
	return &l->heads[key * l->hash_key >> l->hash_shift];
}

static void chain_push(struct limiter *l, uint32_t i)
{
	uint32_t *head = chain_of(l, l->entries[i].key);

	l->entries[i].next = *head;
	*head = i;
}

/* Double the table, or make the first one; all chains are made anew. */
static void grow(struct limiter *l)
{
	uint32_t old = l->cap;

	l->cap = old ? old * 2 : ENTRIES_MIN;
	l->hash_shift--;
	l->entries = mem_resize(l->entries, l->cap, sizeof(*l->entries));
	l->heads = mem_resize(l->heads, l->cap, sizeof(*l->heads));
	memset(l->heads, 0xff, l->cap * sizeof(*l->heads));
	for (uint32_t i = 0; i < old; i++)
		chain_push(l, i);
	l->free = NOTHING;
	for (uint32_t i = l->cap; i-- > old;) {
		l->entries[i] = (struct entry){ .family = ADDR_NONE, .next = l->free };
		l->free = i;
	}
}

struct limiter *limiter_new(const struct relay_limits *limits)
{
	struct limiter *l = mem_new(sizeof(*l));

	l->limits = *limits;
	rand_bytes(&l->hash_key, sizeof(l->hash_key));
	l->hash_key |= 1;
	l->hash_shift = 64 - ENTRIES_MIN_LOG2 + 1;
	grow(l);
	return l;
}

void limiter_free(struct limiter *l)
{
	if (!l)
		return;
	free(l->entries);
	free(l->heads);
	free(l);
}

void limiter_set_limits(struct limiter *l, const struct relay_limits *limits)
{
	l->limits = *limits;
}

static struct entry *entry_find(const struct limiter *l, const struct addr *a)
{
	uint8_t family;
	uint64_t key = addr_key(a, &family);
	uint32_t i = *chain_of(l, key);

	while (i != NOTHING && (l->entries[i].key != key || l->entries[i].family != family))
		i = l->entries[i].next;
	return i == NOTHING ? NULL : &l->entries[i];
}

/* Find or make; NULL when there is no room. */
static struct entry *entry_get(struct limiter *l, const struct addr *a)
{
	struct entry *e = entry_find(l, a);
	uint32_t i;

	if (e)
		return e;
	if (l->free == NOTHING && l->cap < ENTRIES_MAX)
		grow(l);
	if (l->free == NOTHING)
		return NULL;
	i = l->free;
	e = &l->entries[i];
	l->free = e->next;
	*e = (struct entry){ .links = 0 };
	e->key = addr_key(a, &e->family);
	bucket_init(&e->new_links, l->limits.link_rate, l->limits.link_burst, 0);
	bucket_init(&e->circuits, l->limits.create_rate, l->limits.create_burst, 0);
	chain_push(l, i);
	return e;
}

static void entry_drop(struct limiter *l, struct entry *e)
{
	uint32_t i = (uint32_t)(e - l->entries), *p = chain_of(l, e->key);

	while (*p != i)
		p = &l->entries[*p].next;
	*p = e->next;
	e->family = ADDR_NONE;
	e->next = l->free;
	l->free = i;
}

/* An entry that says no more than an address never seen. */
static bool entry_is_blank(const struct entry *e)
{
	return e->links == 0 && e->circuits.level == e->circuits.burst && e->new_links.level == e->new_links.burst;
}

int limiter_link_open(struct limiter *l, const struct addr *a)
{
	uint32_t most = l->limits.links_per_addr;
	struct entry *e = entry_get(l, a);

	if (!e)
		return most ? ERR_LIMIT : 0;
	if (most && e->links >= most)
		return ERR_LIMIT;
	e->links++;
	return 0;
}

void limiter_link_closed(struct limiter *l, const struct addr *a)
{
	struct entry *e = entry_find(l, a);

	/* Not found when it was let in uncounted, because links had no limit then. */
	if (!e || e->links == 0)
		return;
	e->links--;
	if (entry_is_blank(e))
		entry_drop(l, e);
}

static bool take_one(struct bucket *b, uint32_t rate, uint32_t burst, uint64_t now_us)
{
	bucket_refill(b, now_us);
	bucket_set(b, rate, burst);
	if (bucket_level(b) == 0)
		return false;
	bucket_take(b, 1);
	return true;
}

bool limiter_link(struct limiter *l, const struct addr *a, uint64_t now_us)
{
	struct entry *e;

	if (l->limits.link_rate == 0)
		return true;
	e = entry_get(l, a);
	return e && take_one(&e->new_links, l->limits.link_rate, l->limits.link_burst, now_us);
}

bool limiter_circuit(struct limiter *l, const struct addr *a, uint64_t now_us)
{
	struct entry *e;

	if (l->limits.create_rate == 0)
		return true;
	e = entry_get(l, a);
	return e && take_one(&e->circuits, l->limits.create_rate, l->limits.create_burst, now_us);
}

void limiter_expire(struct limiter *l, uint64_t now_us)
{
	for (uint32_t i = 0; i < l->cap; i++) {
		struct entry *e = &l->entries[i];

		if (e->family == ADDR_NONE || e->links)
			continue;
		bucket_refill(&e->new_links, now_us);
		bucket_refill(&e->circuits, now_us);
		if (entry_is_blank(e))
			entry_drop(l, e);
	}
}
