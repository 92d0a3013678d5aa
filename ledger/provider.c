/* The embedded journal as a provider. */
#include "config.h"

#include <nonos/provider.h>

#include <stdlib.h>

#include <nonos/err.h>
#include <nonos/mem.h>

struct embedded {
	struct provider provider;
	struct ledger *ledger;		/* borrowed */
};

static struct ledger *of(struct provider *p)
{
	return ((struct embedded *)p)->ledger;
}

static int domain(struct provider *p, json_t **ret)
{
	*ret = genesis_domain(ledger_genesis(of(p)));
	return 0;
}

/* An entry of this moment would get this time. */
static int now(struct provider *p, uint64_t *ret)
{
	*ret = ledger_now(of(p));
	return 0;
}

static int register_at(struct provider *p, struct ledger_register **ret, const struct ledger_snapshot *at)
{
	return ledger_register_at(of(p), ret, at);
}

static int submit(struct provider *p, struct ledger_receipt *ret, struct ledger_refusal *ret_refusal, const json_t *object)
{
	return ledger_submit(of(p), ret, ret_refusal, object);
}

static int finality(struct provider *p, enum finality *ret, const struct ledger_receipt *receipt)
{
	struct ledger_receipt found;
	int r = ledger_find(of(p), &found, receipt->digest);

	if (r == ERR_NOT_FOUND) {
		*ret = FINALITY_UNKNOWN;
		return 0;
	}
	if (r < 0)
		return r;
	*ret = found.index < ledger_committed(of(p)) ? FINALITY_FINAL : FINALITY_PENDING;
	return 0;
}

static const struct provider_calls embedded_calls = {
	.domain = domain, .now = now, .register_at = register_at, .submit = submit, .finality = finality,
};

struct provider *provider_embedded(struct ledger *l)
{
	struct embedded *e = mem_new(sizeof(*e));

	e->provider.calls = &embedded_calls;
	e->ledger = l;
	return &e->provider;
}

void provider_free(struct provider *p)
{
	free(p);
}
