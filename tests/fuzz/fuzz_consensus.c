#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <nonos/crypto.h>

#include "../../relay/dir/consensus.h"
#include "../../relay/dir/dircert.h"
#include "../../relay/dir/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What parses holds together: every router is found again, every offset is inside. */
static void check(const struct consensus *c)
{
	struct consensus_verdict v;
	struct authority signer = { .name = "x" };
	struct dircerts none = { .n = 0 };
	struct net_params params;

	for (size_t i = 0; i < c->n_routers; i++)
		if (consensus_find(c, c->routers[i].rsa_id) != &c->routers[i])
			abort();
	if (c->signed_len > c->len || c->params_at + c->params_len > c->len)
		abort();
	net_params_parse(&params, c->text + c->params_at, c->params_len);
	if (consensus_verify(c, &signer, 1, &none, 0, &v) == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static int ready;
	struct consensus *c;

	if (!ready && crypto_init() < 0)
		abort();
	ready = 1;
	if (consensus_parse(&c, (const char *)data, len) == 0) {
		check(c);
		consensus_unref(c);
	}
	return 0;
}
