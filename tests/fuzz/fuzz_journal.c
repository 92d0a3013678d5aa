/* What strangers hand to a ledger: an object, an entry of a journal, an exported journal. */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/ledger.h>
#include <nonos/log.h>
#include <nonos/note.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { T0 = 1800000000 };

/* Always the same network, so that seeds are signed for it: the public part is of the key 1. */
static struct ledger *make_ledger(void)
{
	static const uint8_t one[ETH_SECRET_LEN] = { [ETH_SECRET_LEN - 1] = 1 }, log_key[ED25519_PUB_LEN] = { 1 };
	struct ledger_options o = { .path = ":memory:", .mode = LEDGER_CREATE };
	char log[NOTE_VKEY_CAP], why[LEDGER_WHY_CAP], *text;
	struct eth_addr holder;
	struct genesis *g;
	struct note_key k;
	struct ledger *l;
	json_t *doc;
	size_t len;

	crypto_init();
	log_set_level(LOG_LEVEL_ERROR);
	clock_set_manual(1, T0 + 60);
	if (eth_addr_of_secret(&holder, one) < 0 || note_key_make(&k, "fuzz", NOTE_ED25519, log_key) < 0)
		abort();
	note_key_text(log, &k);
	doc = genesis_usual("fuzz", T0, &holder, &holder, log);
	if (jcs_write(&text, &len, doc) < 0 || genesis_read(&g, why, text, len) < 0)
		abort();
	o.genesis = g;
	if (ledger_open(&l, &o, why) < 0)
		abort();
	genesis_free(g);
	json_decref(doc);
	free(text);
	return l;
}

/* What is refused says why and leaves nothing; what is taken conserves the supply and is taken once. */
static void check(struct ledger *l, int r, const struct ledger_refusal *refusal, const struct ledger_head *before)
{
	struct ledger_supply s;
	struct ledger_head after;

	ledger_head(l, &after);
	if (r == ERR_REFUSED) {
		if (refusal->code == REFUSED_NOT || !refusal->why[0] || memcmp(before, &after, sizeof(after)) != 0)
			abort();
	} else if (r < 0 || after.size != before->size + 1) {
		abort();
	}
	if (ledger_supply(l, &s) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct ledger *l;
	struct ledger_refusal refusal;
	struct ledger_receipt receipt;
	struct ledger_head before;
	char why[LEDGER_WHY_CAP];
	uint64_t n;
	FILE *f;
	int r;

	if (!l)
		l = make_ledger();
	ledger_head(l, &before);
	r = ledger_submit_text(l, &receipt, &refusal, (const char *)data, len);
	check(l, r, &refusal, &before);
	if (r == 0 && (ledger_submit_text(l, &receipt, &refusal, (const char *)data, len) != ERR_REFUSED ||
		       refusal.code != REFUSED_DUPLICATE))
		abort();
	ledger_rollback(l);
	check(l, ledger_append(l, &refusal, (const char *)data, len, NULL, 0), &refusal, &before);
	ledger_rollback(l);
	f = len ? fmemopen((void *)data, len, "r") : NULL;
	if (f) {
		/* Nobody has the key that its checkpoint would need. */
		why[0] = '\0';
		if (ledger_import(l, &n, f, why) < 0 ? !why[0] : n > 0)
			abort();
		fclose(f);
	}
	return 0;
}
