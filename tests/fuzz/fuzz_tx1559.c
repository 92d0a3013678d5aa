#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../ledger/tx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A transaction that decodes is written again as it was, and its digest recovers to the same sender. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t sig[ETH_SIG_LEN], digest[KECCAK256_LEN], *out;
	struct eth_addr sender;
	struct tx t;
	struct wr w;

	if (tx_decode(&t, sig, &sender, data, len) < 0)
		return 0;
	out = malloc(len);
	w = wr_init(out, len);
	if (tx_write(&w, &t, sig) < 0 || wr_len(&w) != len || memcmp(out, data, len) != 0)
		abort();
	if (tx_digest(digest, &t) < 0 || eth_sig_verify(&sender, digest, sig, sizeof(sig)) < 0)
		abort();
	free(out);
	return 0;
}
