/* The bundle of a claim: made from the ledger, checked without one. */
#include "config.h"

#include "claim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/checkpoint.h>
#include <nonos/doc_read.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/json_set.h>
#include <nonos/note.h>
#include <nonos/typed.h>

static const char format[] = "nonos-claim-1";

enum { LOG_TEXT_MAX = 2 * NOTE_LEN_MAX };

/* -- making -------------------------------------------------------------------------- */

static int add_proof(struct ledger *l, json_t *bundle, const struct eth_addr *account)
{
	struct std_hash path[STD_MERKLE_PROOF_MAX];
	struct std_merkle *tree;
	json_t *proof = json_array();
	struct earning *rows;
	size_t n, at = 0, len;
	int r = epoch_earnings(l, &rows, &n, NULL);

	json_object_set_new(bundle, "proof", proof);
	if (r < 0)
		return r;
	tree = epoch_tree(rows, n);
	while (at < n && !eth_addr_eq(&rows[at].account, account))
		at++;
	if (at < n) {
		json_set_address(bundle, "account", account);
		json_set_amount(bundle, "amount", rows[at].total);
		len = std_merkle_proof(path, tree, at);
		for (size_t i = 0; i < len; i++) {
			char text[2 * KECCAK256_LEN + 3] = "0x";

			hex_encode(text + 2, path[i].b, KECCAK256_LEN);
			json_array_append_new(proof, json_string(text));
		}
	}
	std_merkle_free(tree);
	free(rows);
	return at < n ? 0 : ERR_NOT_FOUND;
}

static int add_entry(struct ledger *l, json_t *bundle, uint64_t index)
{
	char *text, *proof = NULL;
	size_t len, proof_len;
	json_t *doc;
	int r = ledger_entry(l, &text, &len, NULL, NULL, index);

	if (r < 0)
		return r;
	r = jcs_read_canonical(&doc, text, len);
	free(text);
	if (r == 0)
		json_object_set_new(bundle, "entry", doc);
	if (r == 0)
		r = ledger_proof(l, &proof, &proof_len, index);
	if (r == 0)
		json_object_set_new(bundle, "log", json_stringn(proof, proof_len));
	free(proof);
	return r;
}

int claim_bundle(struct ledger *l, json_t **ret, const struct eth_addr *account)
{
	json_t *bundle = json_pack("{s:s}", "format", format);
	struct epoch_row e;
	uint64_t next;
	int r = epoch_next(l, &next);

	if (r == 0 && next == 0)
		r = ERR_NOT_FOUND;
	if (r == 0)
		r = epoch_row(l, &e, next - 1);
	if (r == 0 && e.height > ledger_committed(l))
		r = ERR_AGAIN;
	if (r == 0)
		r = add_proof(l, bundle, account);
	if (r == 0)
		r = add_entry(l, bundle, e.height - 1);
	if (r < 0) {
		json_decref(bundle);
		return r;
	}
	json_object_set(bundle, "genesis", l->genesis->doc);
	*ret = bundle;
	return 0;
}

/* -- checking ------------------------------------------------------------------------ */

/* A bundle taken apart; all but the hashes borrowed. */
struct parts {
	struct genesis *genesis;
	struct std_entry leaf;
	struct std_hash proof[STD_MERKLE_PROOF_MAX];
	size_t n_proof;
	const json_t *entry, *message;
	uint64_t epoch;
	struct std_hash root;
	uint8_t evidence[KECCAK256_LEN];
};

static int read_proof(struct parts *p, char *why, const json_t *proof)
{
	if (!json_is_array(proof) || json_array_size(proof) > STD_MERKLE_PROOF_MAX)
		return doc_fail(why, "proof is missing, or not a list of at most %d hashes", STD_MERKLE_PROOF_MAX);
	for (; p->n_proof < json_array_size(proof); p->n_proof++) {
		const char *text = json_string_value(json_array_get(proof, p->n_proof));

		if (!text || strlen(text) != 2 + 2 * KECCAK256_LEN || memcmp(text, "0x", 2) != 0 ||
		    hex_decode(p->proof[p->n_proof].b, KECCAK256_LEN, text + 2, 2 * KECCAK256_LEN) < 0)
			return doc_fail(why, "a hash of the proof is not 0x and 64 digits");
	}
	return 0;
}

static int read_genesis(struct parts *p, char *why, const json_t *doc)
{
	char *text;
	size_t len;
	int r;

	if (!json_is_object(doc) || jcs_write(&text, &len, doc) < 0)
		return doc_fail(why, "genesis is missing, or not a document of whole numbers");
	r = genesis_read(&p->genesis, why, text, len);
	free(text);
	return r < 0 ? ERR_MALFORMED : 0;
}

static int read_entry(struct parts *p, char *why, const json_t *entry)
{
	const char *type = json_string_value(json_object_get(entry, "primaryType")), *digits;
	struct amount epoch;

	p->entry = entry;
	p->message = json_object_get(entry, "message");
	if (doc_only(why, "entry", entry, DOC_MEMBERS("message", "primaryType", "signatures", "time")) < 0)
		return ERR_MALFORMED;
	if (!type || strcmp(type, "EpochRoot") != 0)
		return doc_fail(why, "the entry is no EpochRoot");
	if (doc_hex(p->root.b, sizeof(p->root.b), why, "entry.message", p->message, "root") < 0 ||
	    doc_hex(p->evidence, sizeof(p->evidence), why, "entry.message", p->message, "evidenceHash") < 0)
		return ERR_MALFORMED;
	digits = json_string_value(json_object_get(p->message, "epoch"));
	if (!digits || amount_parse(&epoch, digits, strlen(digits)) < 0 || epoch.hi)
		return doc_fail(why, "entry.message.epoch is not a number as text");
	p->epoch = epoch.lo;
	return 0;
}

static int read_parts(struct parts *p, char *why, const json_t *bundle)
{
	const char *name = json_string_value(json_object_get(bundle, "format"));
	int r = name && strcmp(name, format) == 0 ? 0 : doc_fail(why, "not the bundle of a claim: its format is not \"%s\"", format);

	if (r == 0)
		r = doc_only(why, "the bundle", bundle, DOC_MEMBERS("format", "account", "amount", "proof", "entry", "log", "genesis"));
	if (r == 0)
		r = doc_address(&p->leaf.account, why, "the bundle", bundle, "account");
	if (r == 0)
		r = doc_amount(&p->leaf.amount, why, "the bundle", bundle, "amount");
	if (r == 0)
		r = read_proof(p, why, json_object_get(bundle, "proof"));
	if (r == 0)
		r = read_genesis(p, why, json_object_get(bundle, "genesis"));
	return r < 0 ? r : read_entry(p, why, json_object_get(bundle, "entry"));
}

static int fail_auth(char *why, const char *text)
{
	doc_fail(why, "%s", text);
	return ERR_AUTH;
}

static int digest_of(uint8_t ret[KECCAK256_LEN], char *why, const struct parts *p)
{
	json_t *doc = json_pack("{s:o, s:s, s:O}", "domain", genesis_domain(p->genesis), "primaryType", "EpochRoot", "message",
				p->message);
	struct typed_hashes h;
	int r = doc ? typed_hash(&h, why, doc) : doc_fail(why, "entry.message is missing");

	json_decref(doc);
	if (r == 0)
		memcpy(ret, h.digest, KECCAK256_LEN);
	return r < 0 ? ERR_MALFORMED : 0;
}

/* Each signature by another auditor, and enough of them: what the fold asks for. */
static int check_signatures(size_t *ret_n, char *why, const struct parts *p)
{
	const json_t *sigs = json_object_get(p->entry, "signatures");
	const struct genesis_signers *auditors = &p->genesis->auditors;
	bool seen[GENESIS_SIGNERS_MAX] = { false };
	uint8_t digest[KECCAK256_LEN];
	size_t n = json_array_size(sigs);

	if (digest_of(digest, why, p) < 0)
		return ERR_MALFORMED;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(sigs, i));
		uint8_t sig[ETH_SIG_LEN];
		struct eth_addr found;
		size_t k = 0;

		if (!text || strncmp(text, "0x", 2) != 0 || hex_decode(sig, sizeof(sig), text + 2, strlen(text + 2)) < 0 ||
		    eth_sig_recover(&found, digest, sig, sizeof(sig)) < 0)
			return fail_auth(why, "a signature of the EpochRoot is in no accepted form");
		while (k < auditors->n && !eth_addr_eq(&auditors->addrs[k], &found))
			k++;
		if (k == auditors->n || seen[k])
			return fail_auth(why, "the EpochRoot is signed by somebody who is no auditor of this network, or by one twice");
		seen[k] = true;
	}
	*ret_n = n;
	return n >= auditors->threshold ? 0 : fail_auth(why, "not enough auditors have signed the EpochRoot");
}

/* The entry is in the log, under a checkpoint that the network's log has signed. */
static int check_log(struct claim_verdict *v, char *why, const struct parts *p, const json_t *log)
{
	struct merkle_hash leaf;
	struct tlog_proof proof;
	struct checkpoint c;
	struct note_key key;
	char *text;
	size_t len;

	if (!json_is_string(log) || json_string_length(log) > LOG_TEXT_MAX ||
	    tlog_proof_parse(&proof, json_string_value(log), json_string_length(log)) < 0)
		return doc_fail(why, "log is missing, or no tlog-proof");
	if (note_key_parse(&key, p->genesis->log, strlen(p->genesis->log)) < 0 || jcs_write(&text, &len, p->entry) < 0)
		return doc_fail(why, "the entry, or the key of the log, is not well-formed");
	merkle_leaf(&leaf, text, len);
	free(text);
	if (checkpoint_open(&c, &key, proof.note, proof.note_len) < 0)
		return fail_auth(why, "the checkpoint is not signed by the log of this network");
	if (tlog_proof_check(&proof, &key, &leaf) < 0)
		return fail_auth(why, "the proof does not lead from the entry to the checkpoint");
	v->index = proof.index;
	v->size = c.size;
	return 0;
}

static int check_parts(struct claim_verdict *v, char *why, const struct parts *p, const json_t *bundle,
		       const struct genesis *trusted)
{
	int r;

	if (trusted && memcmp(trusted->hash, p->genesis->hash, KECCAK256_LEN) != 0) {
		doc_fail(why, "the bundle is of another network than the genesis that is trusted");
		return ERR_MISMATCH;
	}
	if (std_merkle_check(&p->root, &p->leaf, p->proof, p->n_proof) < 0)
		return fail_auth(why, "the proof does not lead from account and amount to the root");
	r = check_signatures(&v->signers, why, p);
	return r < 0 ? r : check_log(v, why, p, json_object_get(bundle, "log"));
}

int claim_check(struct claim_verdict *ret, char why[GENESIS_WHY_CAP], const json_t *bundle, const struct genesis *trusted)
{
	struct claim_verdict v = { .index = 0 };
	struct parts p = { .n_proof = 0 };
	int r = read_parts(&p, why, bundle);

	if (r == 0)
		r = check_parts(&v, why, &p, bundle, trusted);
	if (r == 0) {
		memcpy(v.network, p.genesis->hash, sizeof(v.network));
		snprintf(v.name, sizeof(v.name), "%s", p.genesis->name);
		v.account = p.leaf.account;
		v.amount = p.leaf.amount;
		v.epoch = p.epoch;
		memcpy(v.root, p.root.b, sizeof(v.root));
		memcpy(v.evidence, p.evidence, sizeof(v.evidence));
		v.threshold = p.genesis->auditors.threshold;
		*ret = v;
	}
	genesis_free(p.genesis);
	return r;
}
