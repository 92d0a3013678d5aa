/*
 * What keeps order and money: the embedded journal, or a chain. Five calls; all
 * else of the program is one code path.
 */
#ifndef NONOS_PROVIDER_H
#define NONOS_PROVIDER_H

#include <nonos/ledger.h>

enum finality {
	FINALITY_UNKNOWN,		/* nothing is known of it (any more): submit again */
	FINALITY_PENDING,		/* taken, may still be lost: in an open batch */
	FINALITY_FINAL,
};

struct provider;

struct provider_calls {
	/* The EIP-712 domain that objects are signed for; the caller's. */
	int (*domain)(struct provider *p, json_t **ret);

	/* The time that deadlines are measured by, wall seconds. */
	int (*now)(struct provider *p, uint64_t *ret);

	/* Relays and stakes at a snapshot; free with ledger_register_free(). */
	int (*register_at)(struct provider *p, struct ledger_register **ret, const struct ledger_snapshot *at);

	/* As ledger_submit(): taken. Whether it lasts is what finality() says. */
	int (*submit)(struct provider *p, struct ledger_receipt *ret, struct ledger_refusal *ret_refusal,
		      const json_t *object);

	int (*finality)(struct provider *p, enum finality *ret, const struct ledger_receipt *receipt);
};

/* Embeds as the first member of what stands behind it. */
struct provider {
	const struct provider_calls *calls;
};

static inline int provider_domain(struct provider *p, json_t **ret)
{
	return p->calls->domain(p, ret);
}

static inline int provider_now(struct provider *p, uint64_t *ret)
{
	return p->calls->now(p, ret);
}

static inline int provider_register_at(struct provider *p, struct ledger_register **ret, const struct ledger_snapshot *at)
{
	return p->calls->register_at(p, ret, at);
}

static inline int provider_submit(struct provider *p, struct ledger_receipt *ret, struct ledger_refusal *ret_refusal,
				  const json_t *object)
{
	return p->calls->submit(p, ret, ret_refusal, object);
}

static inline int provider_finality(struct provider *p, enum finality *ret, const struct ledger_receipt *receipt)
{
	return p->calls->finality(p, ret, receipt);
}

/* The embedded journal, where what is taken lasts from the next ledger_commit() on. `l` is borrowed. */
struct provider *provider_embedded(struct ledger *l);
void provider_free(struct provider *p);

#endif
