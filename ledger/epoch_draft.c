/* What auditors sign: drafts of EpochRoot, made apart and put together. */
#include "config.h"

#include "epoch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/doc_read.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/json_set.h>
#include <nonos/typed.h>

static void set_u64(json_t *o, const char *name, uint64_t v)
{
	json_object_set_new(o, name, json_sprintf("%" PRIu64, v));
}

static int message(struct ledger *l, json_t **ret, const struct epoch_terms *t, const uint8_t evidence[KECCAK256_LEN])
{
	uint8_t root[KECCAK256_LEN], previous[KECCAK256_LEN];
	struct earning *rows;
	size_t n;
	int r = epoch_previous(l, previous);

	if (r == 0)
		r = epoch_earnings(l, &rows, &n, t);
	if (r < 0)
		return r;
	epoch_root_of(root, rows, n);
	free(rows);
	*ret = json_object();
	set_u64(*ret, "epoch", t->epoch);
	json_set_hex(*ret, "root", root, sizeof(root));
	json_set_amount(*ret, "total", t->rewards->paid);
	json_set_hex(*ret, "evidenceHash", evidence, KECCAK256_LEN);
	json_set_hex(*ret, "previous", previous, sizeof(previous));
	return 0;
}

static int draft(struct ledger *l, json_t **ret, char *why, const struct evidence *e, const char *text, size_t len)
{
	struct account reserve = account_of(ACCOUNT_RESERVE, NULL);
	struct evidence *normal = NULL;
	struct epoch_terms *t = NULL;
	uint8_t hash[KECCAK256_LEN];
	struct amount balance;
	json_t *m = NULL;
	int r = ledger_balance(l, &balance, &reserve);

	if (r == 0)
		r = epoch_last_normal(l, &normal);
	if (r == 0)
		r = epoch_compute(l, &t, why, e, normal, balance);
	evidence_hash(hash, text, len);
	if (r == 0)
		r = message(l, &m, t, hash);
	if (r == 0)
		*ret = json_pack("{s:o, s:s, s:o, s:[], s:{s:o}}", "domain", genesis_domain(l->genesis), "primaryType", "EpochRoot",
				 "message", m, "signatures", "attachments", "evidence", evidence_json(e));
	epoch_terms_free(t);
	evidence_free(normal);
	return r;
}

static int check_next(struct ledger *l, char *why, const struct evidence *e, uint64_t now)
{
	char until[CLOCK_TEXT_CAP], today[CLOCK_TEXT_CAP];
	uint64_t next;
	int r = epoch_next(l, &next);

	if (r < 0)
		return r;
	if (e->epoch != next) {
		doc_fail(why, "the next epoch to be closed is %" PRIu64 ", and the evidence is of epoch %" PRIu64, next, e->epoch);
		return ERR_STATE;
	}
	r = epoch_check_times(l->genesis, e, why);
	if (r == 0 && now < (uint64_t)e->to) {
		doc_fail(why, "epoch %" PRIu64 " ends at %s, and it is %s now", e->epoch, clock_text(until, (uint64_t)e->to),
			 clock_text(today, now));
		r = ERR_NOT_YET;
	}
	return r;
}

int epoch_draft(struct ledger *l, json_t **ret, char why[REWARD_WHY_CAP], struct evidence *e, uint64_t now)
{
	char *text;
	size_t len;
	int r;

	doc_fail(why, "the ledger cannot be read");
	r = check_next(l, why, e, now);
	if (r == 0)
		r = evidence_write(&text, &len, why, e);
	if (r < 0)
		return r;
	r = draft(l, ret, why, e, text, len);
	free(text);
	return r;
}

/* -- signatures ------------------------------------------------------------------------ */

/* What is signed: the draft without what stands beside. */
static int digest_of(uint8_t ret[KECCAK256_LEN], const json_t *draft_doc)
{
	char why[TYPED_WHY_CAP];
	struct typed_hashes h;
	json_t *doc = json_object();
	int r;

	json_object_set(doc, "domain", json_object_get(draft_doc, "domain"));
	json_object_set(doc, "primaryType", json_object_get(draft_doc, "primaryType"));
	json_object_set(doc, "message", json_object_get(draft_doc, "message"));
	r = typed_hash(&h, why, doc);
	json_decref(doc);
	if (r == 0)
		memcpy(ret, h.digest, KECCAK256_LEN);
	return r;
}

static int signer_of(struct eth_addr *ret, const uint8_t digest[KECCAK256_LEN], const json_t *sig)
{
	const char *text = json_string_value(sig);
	uint8_t bytes[ETH_SIG_LEN];

	if (!text || json_string_length(sig) != 2 * ETH_SIG_LEN + 2 || memcmp(text, "0x", 2) != 0 ||
	    hex_decode(bytes, sizeof(bytes), text + 2, 2 * ETH_SIG_LEN) < 0)
		return ERR_MALFORMED;
	return eth_sig_recover(ret, digest, bytes, sizeof(bytes));
}

/* Whether `who` is among the signatures. */
static bool has_signed(const json_t *sigs, const uint8_t digest[KECCAK256_LEN], const struct eth_addr *who)
{
	struct eth_addr found;
	const json_t *sig;
	size_t i;

	json_array_foreach(sigs, i, sig)
		if (signer_of(&found, digest, sig) == 0 && eth_addr_eq(&found, who))
			return true;
	return false;
}

int epoch_sign(json_t *draft_doc, const uint8_t secret[ETH_SECRET_LEN])
{
	json_t *sigs = json_object_get(draft_doc, "signatures");
	uint8_t digest[KECCAK256_LEN], sig[ETH_SIG_LEN];
	char text[2 * ETH_SIG_LEN + 3] = "0x";
	struct eth_addr me;
	int r = digest_of(digest, draft_doc);

	if (r == 0 && !json_is_array(sigs))
		r = ERR_MALFORMED;
	if (r == 0)
		r = eth_addr_of_secret(&me, secret);
	if (r == 0 && has_signed(sigs, digest, &me))
		r = ERR_EXISTS;
	if (r == 0)
		r = eth_sig_sign(sig, secret, digest);
	if (r < 0)
		return r;
	hex_encode(text + 2, sig, sizeof(sig));
	json_array_append_new(sigs, json_string(text));
	return 0;
}

/* Where two evidences part: a name of a list and the first row, or a member. */
static void say_difference(char *why, const json_t *ours, const json_t *theirs)
{
	static const char *const lists[] = { "consensuses", "relays" };

	for (size_t k = 0; k < 2; k++) {
		const json_t *a = json_object_get(ours, lists[k]), *b = json_object_get(theirs, lists[k]);

		for (size_t i = 0; i < json_array_size(a) || i < json_array_size(b); i++) {
			if (json_equal(json_array_get(a, i), json_array_get(b, i)))
				continue;
			doc_fail(why, "the evidence differs: %s has %zu rows here and %zu there, and row %zu is the first that is not the same",
				 lists[k], json_array_size(a), json_array_size(b), i);
			return;
		}
	}
	doc_fail(why, "the evidence is the same, and the message is not: the journals differ");
}

static const json_t *evidence_of(const json_t *draft_doc)
{
	return json_object_get(json_object_get(draft_doc, "attachments"), "evidence");
}

static bool is_auditor(const struct ledger *l, const struct eth_addr *who)
{
	const struct genesis_signers *auditors = &ledger_genesis(l)->auditors;

	for (size_t i = 0; i < auditors->n; i++)
		if (eth_addr_eq(&auditors->addrs[i], who))
			return true;
	return false;
}

/* The fold refuses an entry for one signature that is no auditor's, so none must get into a draft. */
static int check_signatures(const struct ledger *l, char *why, const json_t *sigs, const uint8_t digest[KECCAK256_LEN])
{
	struct eth_addr who;
	const json_t *sig;
	size_t i;

	if (json_array_size(sigs) > ledger_genesis(l)->auditors.n)
		return doc_fail(why, "it has more signatures than there are auditors");
	json_array_foreach(sigs, i, sig) {
		if (signer_of(&who, digest, sig) < 0 || !is_auditor(l, &who)) {
			doc_fail(why, "signature %zu is not by an auditor that genesis names", i);
			return ERR_AUTH;
		}
	}
	return 0;
}

int epoch_merge(const struct ledger *l, json_t *into, char why[REWARD_WHY_CAP], const json_t *other)
{
	json_t *sigs = json_object_get(into, "signatures"), *sig;
	uint8_t digest[KECCAK256_LEN];
	struct eth_addr who;
	size_t i;
	int r;

	if (!json_equal(json_object_get(into, "domain"), json_object_get(other, "domain"))) {
		doc_fail(why, "the drafts are of two networks");
		return ERR_MISMATCH;
	}
	if (!json_equal(json_object_get(into, "message"), json_object_get(other, "message"))) {
		say_difference(why, evidence_of(into), evidence_of(other));
		return ERR_MISMATCH;
	}
	if (!json_is_array(sigs) || digest_of(digest, into) < 0)
		return doc_fail(why, "the draft is no EpochRoot");
	r = check_signatures(l, why, json_object_get(other, "signatures"), digest);
	if (r < 0)
		return r;
	json_array_foreach(json_object_get(other, "signatures"), i, sig)
		if (signer_of(&who, digest, sig) == 0 && !has_signed(sigs, digest, &who))
			json_array_append(sigs, sig);
	return 0;
}

/* Recovering a signer is what costs: once for each signature, however many auditors there are. */
size_t epoch_signers(const struct ledger *l, const json_t *draft_doc)
{
	const struct genesis_signers *auditors = &ledger_genesis(l)->auditors;
	bool seen[GENESIS_SIGNERS_MAX] = { false };
	uint8_t digest[KECCAK256_LEN];
	struct eth_addr who;
	const json_t *sig;
	size_t n = 0, i;

	if (digest_of(digest, draft_doc) < 0)
		return 0;
	json_array_foreach(json_object_get(draft_doc, "signatures"), i, sig) {
		if (signer_of(&who, digest, sig) < 0)
			continue;
		for (size_t k = 0; k < auditors->n; k++) {
			if (seen[k] || !eth_addr_eq(&auditors->addrs[k], &who))
				continue;
			seen[k] = true;
			n++;
		}
	}
	return n;
}
