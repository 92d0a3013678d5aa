#include "config.h"

#include "key_agent.h"

#include <stdlib.h>

#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

struct held {
	struct eth_addr addr;
	struct secret *secret;
	uint64_t until_ms;
};

struct key_agent {
	struct held v[KEY_AGENT_MAX];
	size_t n;
};

struct key_agent *key_agent_new(void)
{
	return mem_new(sizeof(struct key_agent));
}

void key_agent_free(struct key_agent *a)
{
	if (!a)
		return;
	key_agent_drop(a, NULL);
	free(a);
}

static struct held *find(const struct key_agent *a, const struct eth_addr *addr)
{
	for (size_t i = 0; i < a->n; i++)
		if (eth_addr_eq(&a->v[i].addr, addr))
			return (struct held *)&a->v[i];
	return NULL;
}

int key_agent_hold(struct key_agent *a, struct eth_addr *ret_addr, const uint8_t secret[ETH_SECRET_LEN], unsigned seconds,
		   uint64_t now_ms)
{
	struct eth_addr addr;
	struct held *h;
	int r = eth_addr_of_secret(&addr, secret);

	if (r < 0 || seconds == 0 || seconds > KEY_AGENT_SECONDS_MAX)
		return ERR_RANGE;
	h = find(a, &addr);
	if (!h) {
		if (a->n == KEY_AGENT_MAX)
			return ERR_LIMIT;
		h = &a->v[a->n++];
		*h = (struct held){ .addr = addr, .secret = secret_new(secret, ETH_SECRET_LEN) };
	}
	h->until_ms = now_ms + 1000 * (uint64_t)seconds;
	*ret_addr = addr;
	return 0;
}

static void forget(struct key_agent *a, size_t i)
{
	secret_free(a->v[i].secret);
	a->v[i] = a->v[--a->n];
	a->v[a->n] = (struct held){ .secret = NULL };
}

size_t key_agent_drop(struct key_agent *a, const struct eth_addr *addr)
{
	size_t before = a->n;

	for (size_t i = a->n; i-- > 0; )
		if (!addr || eth_addr_eq(&a->v[i].addr, addr))
			forget(a, i);
	return before - a->n;
}

size_t key_agent_expire(struct key_agent *a, uint64_t now_ms, void (*gone)(const struct eth_addr *addr))
{
	size_t before = a->n;

	for (size_t i = a->n; i-- > 0; ) {
		struct eth_addr addr = a->v[i].addr;

		if (now_ms < a->v[i].until_ms)
			continue;
		forget(a, i);
		if (gone)
			gone(&addr);
	}
	return before - a->n;
}

const uint8_t *key_agent_find(const struct key_agent *a, const struct eth_addr *addr, uint64_t now_ms)
{
	const struct held *h = find(a, addr);

	return h && now_ms < h->until_ms ? secret_data(h->secret) : NULL;
}

int key_agent_get(const struct key_agent *a, size_t i, struct eth_addr *ret_addr, uint64_t *ret_until_ms)
{
	if (i >= a->n)
		return ERR_NOT_FOUND;
	*ret_addr = a->v[i].addr;
	*ret_until_ms = a->v[i].until_ms;
	return 0;
}
