#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../ledger/abi.h"

enum { VALUES = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t count_parameters(const struct abi_sig *s)
{
	size_t n = 0;

	for (uint8_t at = s->types[0].child; at; at = s->types[at].next)
		n++;
	return n;
}

static void try_log(struct abi_value *values, const struct abi_sig *s, const uint8_t *data, size_t len)
{
	uint8_t topics[ABI_TOPICS_MAX][ABI_WORD] = { 0 };

	memcpy(topics[0], s->hash, ABI_WORD);
	for (size_t n = 1; n <= ABI_TOPICS_MAX; n++)
		abi_log(values, VALUES, s, topics, n, data, len);
}

/* A line with a signature, then data: what decodes is encoded again as it was. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *end = len ? memchr(data, '\n', len) : NULL;
	static struct abi_value values[VALUES];
	char text[ABI_SIG_TEXT_MAX + 2];
	struct abi_sig s;
	size_t left;
	uint8_t *out;
	struct wr w;

	if (!end || (size_t)(end - data) >= sizeof(text))
		return 0;
	memcpy(text, data, (size_t)(end - data));
	text[end - data] = '\0';
	if (abi_sig_parse(&s, text) < 0)
		return 0;
	left = len - (size_t)(end - data) - 1;
	try_log(values, &s, end + 1, left);
	if (abi_decode(values, VALUES, &s, end + 1, left) < 0)
		return 0;
	out = malloc(left + 1);
	w = wr_init(out, left);
	if (abi_encode(&w, &s, values, count_parameters(&s)) < 0 || wr_len(&w) != left || memcmp(out, end + 1, left) != 0)
		abort();
	free(out);
	return 0;
}
