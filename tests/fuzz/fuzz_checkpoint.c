#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/checkpoint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char vkey[] = "nonos.example/registry+d3587cbb+AS8hCaL4nFuwLFYf1R0m93lMwe1ctXz7Tvgx3X/lchMX";

static void try_text(const char *text, size_t len)
{
	char out[CHECKPOINT_TEXT_CAP];
	struct checkpoint c;
	size_t n;

	if (checkpoint_parse(&c, text, len) < 0)
		return;
	/* All but extension lines is written back as it was. */
	n = checkpoint_text(out, &c);
	if (n > len || memcmp(out, text, n) != 0)
		abort();
}

static void try_proof(const struct note_key *log, const char *text, size_t len)
{
	struct merkle_hash leaf = { 0 };
	struct tlog_proof p;
	size_t n;
	char *again;

	if (tlog_proof_parse(&p, text, len) < 0)
		return;
	again = tlog_proof_text(&n, &p);
	if (n != len || memcmp(again, text, n) != 0)
		abort();
	free(again);
	if (tlog_proof_check(&p, log, &leaf) == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = (const char *)data;
	static struct note_key log;
	struct note_key other;
	struct checkpoint c;
	struct note n;
	uint64_t when;

	if (!log.alg && (crypto_init() < 0 || note_key_parse(&log, vkey, sizeof(vkey) - 1) < 0))
		abort();
	if (note_parse(&n, text, len) == 0) {
		if (n.text_len >= len)
			abort();
		note_verify(&n, &log, &when);
		try_text(n.text, n.text_len);
	}
	checkpoint_open(&c, &log, text, len);
	note_key_parse(&other, text, len);
	try_text(text, len);
	try_proof(&log, text, len);
	return 0;
}
