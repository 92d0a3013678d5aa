#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../ledger/rlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void write_again(struct wr *w, const struct rlp_item *item)
{
	struct rd r = rlp_items(item);
	size_t opened = rlp_wr_open(w);
	struct rlp_item inner;

	if (!item->is_list) {
		rlp_wr_bytes(w, item->data, item->len);
		return;
	}
	while (rd_left(&r) > 0) {
		if (rlp_next(&inner, &r) < 0)
			abort();
		write_again(w, &inner);
	}
	rlp_wr_close(w, opened);
}

/* An item has one encoding: what decodes is written again as it was. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *out = malloc(len + 1), word[32];
	struct wr w = wr_init(out, len);
	struct rlp_item item;
	uint64_t v;

	if (rlp_decode(&item, data, len) == 0) {
		write_again(&w, &item);
		if (wr_done(&w) < 0 || wr_len(&w) != len || memcmp(out, data, len) != 0)
			abort();
		w = wr_init(out, len);
		if (rlp_u64(&v, &item) == 0)
			rlp_wr_u64(&w, v);
		else if (rlp_uint(word, sizeof(word), &item) == 0)
			rlp_wr_uint(&w, word, sizeof(word));
		if (w.failed || (wr_len(&w) && (wr_len(&w) != len || memcmp(out, data, len) != 0)))
			abort();
	}
	free(out);
	return 0;
}
