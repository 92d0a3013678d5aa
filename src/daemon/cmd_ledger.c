/* Methods over the ledger: ledger.*, and relay.binding, which a registration begins with. */
#include "config.h"

#include "keeper.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/genesis.h>
#include <nonos/json_set.h>
#include <nonos/ledger.h>
#include <nonos/typed.h>

enum { HISTORY_LINES = 50, VALID_S = 3600 };

/* -- looking ---------------------------------------------------------------------------- */

int cmd_ledger_head(struct ctl_call *call)
{
	struct keeper *k = call->arg;
	struct ledger *l = settle_ledger(k->settle, call);
	const struct genesis *g;
	struct ledger_head h;
	json_t *domain;
	char *note = NULL;
	int r;

	if (!l)
		return ERR_STATE;
	r = provider_domain(settle_provider(k->settle), &domain);
	if (r < 0)
		return settle_fail(call, l, r);
	g = ledger_genesis(l);
	ledger_head(l, &h);
	call->result = json_pack("{s:s, s:s, s:I, s:I, s:o}", "network", g->name,
				 "role", settle_is_writer(k->settle) ? "writer" : "follower",
				 "height", (json_int_t)h.size, "time", (json_int_t)h.time, "domain", domain);
	json_set_hex(call->result, "root", h.root, sizeof(h.root));
	json_set_hex(call->result, "genesis", g->hash, sizeof(g->hash));
	if (k->keys)
		json_set_hex(call->result, "relay_id", keys_ed_id(k->keys), 32);
	if (ledger_checkpoint(l, &note) == 0)
		json_object_set_new(call->result, "checkpoint", json_string(note));
	free(note);
	return 0;
}

/* What proves that the writer of the journal cannot be trusted. */
int cmd_ledger_fork(struct ctl_call *call)
{
	call->result = settle_fork(settle_of(call));
	return 0;
}

int cmd_ledger_clock(struct ctl_call *call)
{
	return settle_clock(settle_of(call), call, param_flag(call->params, "right"));
}

static int put_balance(json_t *o, const char *name, struct ledger *l, enum account_kind kind, const struct eth_addr *addr)
{
	struct account a = account_of(kind, addr);
	struct amount v;
	int r = ledger_balance(l, &v, &a);

	if (r == 0)
		json_set_amount(o, name, v);
	return r;
}

int cmd_ledger_balance(struct ctl_call *call)
{
	struct ledger *l = settle_ledger(settle_of(call), call);
	char text[ACCOUNT_TEXT_CAP];
	struct account a;
	json_t *o;
	int r;

	if (!l)
		return ERR_STATE;
	r = settle_account(settle_of(call), call, &a, "account");
	if (r < 0)
		return r;
	account_text(text, &a);
	o = json_pack("{s:s}", "account", text);
	r = put_balance(o, "balance", l, a.kind, &a.addr);
	if (r == 0 && a.kind == ACCOUNT_ADDRESS)
		r = put_balance(o, "stake", l, ACCOUNT_STAKE, &a.addr);
	if (r == 0 && a.kind == ACCOUNT_ADDRESS)
		r = put_balance(o, "rewards", l, ACCOUNT_REWARDS, &a.addr);
	if (r < 0) {
		json_decref(o);
		return settle_fail(call, l, r);
	}
	call->result = o;
	return 0;
}

static int add_line(void *ctx, const struct ledger_line *line)
{
	json_t *o = json_pack("{s:I, s:I, s:s, s:s}", "height", (json_int_t)line->height, "time", (json_int_t)line->time,
			      "why", line->why, "side", line->credit ? "in" : "out");

	json_set_amount(o, "amount", line->amount);
	json_set_amount(o, "balance", line->balance);
	json_array_append_new(ctx, o);
	return 0;
}

int cmd_ledger_history(struct ctl_call *call)
{
	struct ledger *l = settle_ledger(settle_of(call), call);
	uint64_t before = (uint64_t)param_integer(call->params, "before", -1);
	size_t limit = (size_t)param_integer(call->params, "limit", HISTORY_LINES);
	char text[ACCOUNT_TEXT_CAP];
	struct account a;
	json_t *lines;
	int r;

	if (!l)
		return ERR_STATE;
	r = settle_account(settle_of(call), call, &a, "account");
	if (r < 0)
		return r;
	lines = json_array();
	r = ledger_history(l, &a, before, limit, add_line, lines);
	if (r < 0) {
		json_decref(lines);
		return r == ERR_RANGE ? ctl_fail(call, r, CTL_INVALID_PARAMS, "the account has no posting at this height, and thousands "
						 "above it: go on from a height that the history has shown") : settle_fail(call, l, r);
	}
	account_text(text, &a);
	call->result = json_pack("{s:s, s:o}", "account", text, "postings", lines);
	return 0;
}

int cmd_ledger_supply(struct ctl_call *call)
{
	struct ledger *l = settle_ledger(settle_of(call), call);
	struct ledger_supply s;
	json_t *o;
	int r;

	if (!l)
		return ERR_STATE;
	r = ledger_supply(l, &s);
	if (r < 0)
		return settle_fail(call, l, r);
	call->result = o = json_object();
	json_set_amount(o, "total", s.total);
	json_set_amount(o, "circulating", s.circulating);
	json_set_amount(o, "addresses", s.addresses);
	json_set_amount(o, "staked", s.staked);
	json_set_amount(o, "rewards", s.rewards);
	json_set_amount(o, "reserve", s.reserve);
	json_set_amount(o, "treasury", s.treasury);
	json_set_amount(o, "vault", s.vault);
	json_set_amount(o, "burnt", s.burnt);
	json_object_set_new(o, "burn_ppm", json_integer(s.burn_ppm));
	return 0;
}

/* Which entry is meant. */
static int find_index(struct ctl_call *call, struct ledger *l, uint64_t *ret)
{
	const char *digest = param_text(call->params, "digest");
	int64_t index = param_integer(call->params, "index", -1);
	struct ledger_receipt receipt;
	uint8_t raw[KECCAK256_LEN];
	int r;

	if ((digest != NULL) == (index >= 0))
		return ctl_fail(call, ERR_RANGE, CTL_INVALID_PARAMS, "say which entry, by \"digest\" or by \"index\"");
	if (!digest) {
		*ret = (uint64_t)index;
		return 0;
	}
	digest += strncmp(digest, "0x", 2) == 0 ? 2 : 0;
	if (hex_decode(raw, sizeof(raw), digest, strlen(digest)) < 0)
		return ctl_fail(call, ERR_MALFORMED, CTL_INVALID_PARAMS, "\"digest\" is not 32 bytes of hexadecimal digits");
	r = ledger_find(l, &receipt, raw);
	if (r < 0)
		return ctl_fail(call, r, CTL_FAILED, "no entry of the journal has this digest");
	*ret = receipt.index;
	return 0;
}

int cmd_ledger_proof(struct ctl_call *call)
{
	struct ledger *l = settle_ledger(settle_of(call), call);
	char *entry = NULL, *proof = NULL;
	size_t entry_len, proof_len;
	uint64_t index = 0;
	int r;

	if (!l)
		return ERR_STATE;
	r = find_index(call, l, &index);
	if (r < 0)
		return r;
	r = ledger_entry(l, &entry, &entry_len, NULL, NULL, index);
	if (r == 0)
		r = ledger_proof(l, &proof, &proof_len, index);
	if (r == 0)
		call->result = json_pack("{s:I, s:s, s:s}", "index", (json_int_t)index, "entry", entry, "proof", proof);
	else
		r = ctl_fail(call, r, CTL_FAILED, "there is no proof of entry %llu: %s", (unsigned long long)index,
			     err_str(r));
	free(entry);
	free(proof);
	return r;
}

/* -- making and taking objects -------------------------------------------------------------- */

/* {"object", "digest"}; takes over `object`. */
static int answer_object(struct ctl_call *call, json_t *object)
{
	char why[TYPED_WHY_CAP];
	struct typed_hashes h;

	if (typed_hash(&h, why, object) < 0) {
		json_decref(object);
		return ctl_fail(call, ERR_MALFORMED, CTL_INVALID_PARAMS, "%s", why);
	}
	call->result = json_pack("{s:o}", "object", object);
	json_set_hex(call->result, "digest", h.digest, sizeof(h.digest));
	return 0;
}

static int make_template(struct ctl_call *call, json_t **ret, struct ledger *l, const char *type, const json_t *fields)
{
	char why[LEDGER_WHY_CAP];
	uint64_t now;
	int r = provider_now(settle_provider(settle_of(call)), &now);

	if (r < 0)
		return settle_fail(call, l, r);
	r = ledger_template(l, ret, why, type, fields, now + (uint64_t)param_integer(call->params, "valid", VALID_S));
	return r < 0 ? ctl_fail(call, r, CTL_INVALID_PARAMS, "%s", why) : 0;
}

int cmd_ledger_template(struct ctl_call *call)
{
	struct ledger *l = settle_ledger(settle_of(call), call);
	const char *text = param_text(call->params, "fields");
	json_t *fields, *object = NULL;
	json_error_t e;
	int r;

	if (!l)
		return ERR_STATE;
	fields = json_loads(text, JSON_REJECT_DUPLICATES, &e);
	if (!json_is_object(fields)) {
		json_decref(fields);
		return ctl_fail(call, ERR_MALFORMED, CTL_INVALID_PARAMS, "\"fields\" is not a JSON object");
	}
	r = make_template(call, &object, l, param_text(call->params, "type"), fields);
	json_decref(fields);
	return r < 0 ? r : answer_object(call, object);
}

int cmd_ledger_append(struct ctl_call *call)
{
	return settle_submit(settle_of(call), call, param_text(call->params, "object"));
}

/* -- registration ---------------------------------------------------------------------------- */

static json_t *registration_fields(struct ctl_call *call, const struct relay_keys *keys)
{
	const char *operator = param_text(call->params, "operator"), *payout = param_text(call->params, "payout");
	json_t *o = json_pack("{s:s, s:s}", "operator", operator, "payout", payout ? payout : operator);

	json_set_hex(o, "relayId", keys_ed_id(keys), 32);
	json_set_hex(o, "fingerprint", keys_rsa_id(keys), 20);
	return o;
}

/* The relay's half of the binding, if its master key is here. */
static int sign_binding(struct ctl_call *call, const struct relay_keys *keys)
{
	json_t *object = json_object_get(call->result, "object"), *attachments;
	uint8_t sig[64];
	struct typed_hashes h;
	char why[TYPED_WHY_CAP];
	int r = typed_hash(&h, why, object);

	if (r == 0)
		r = keys_sign_digest(sig, keys, h.digest);
	json_object_set_new(call->result, "relay_signed", json_boolean(r == 0));
	if (r < 0)
		return 0;
	attachments = json_object();
	json_set_hex(attachments, "relaySignature", sig, sizeof(sig));
	json_object_set_new(object, "attachments", attachments);
	return 0;
}

int cmd_relay_binding(struct ctl_call *call)
{
	struct keeper *k = call->arg;
	struct ledger *l = settle_ledger(k->settle, call);
	json_t *fields, *object = NULL;
	int r;

	if (!l)
		return ERR_STATE;
	fields = registration_fields(call, k->keys);
	r = make_template(call, &object, l, "RelayRegistration", fields);
	json_decref(fields);
	if (r == 0)
		r = answer_object(call, object);
	/* A dry run shows what would be signed. */
	return r < 0 || call->dry_run ? r : sign_binding(call, k->keys);
}
