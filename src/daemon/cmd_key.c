/* Methods over operator keys that are held unlocked: key.hold, key.lock, key.unlocked, key.use. */
#include "config.h"

#include "keeper.h"

#include <string.h>

#include <nonos/clock.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/log.h>
#include <nonos/secret.h>
#include <nonos/typed.h>

#include "key_agent.h"

static void put_address(json_t *o, const struct eth_addr *a)
{
	char text[ETH_ADDR_TEXT_CAP];

	eth_addr_text(text, a);
	json_object_set_new(o, "address", json_string(text));
}

int cmd_key_hold(struct ctl_call *call)
{
	const char *hex = param_text(call->params, "secret");
	int64_t seconds = param_integer(call->params, "for", 0);
	uint8_t secret[ETH_SECRET_LEN];
	struct keeper *k = call->arg;
	struct eth_addr addr;
	int r;

	if (strncmp(hex, "0x", 2) == 0)
		hex += 2;
	r = hex_decode(secret, sizeof(secret), hex, strlen(hex));
	if (r == 0 && call->dry_run)
		r = eth_addr_of_secret(&addr, secret);
	else if (r == 0)
		r = key_agent_hold(k->key_agent, &addr, secret, (unsigned)seconds, clock_now_ms());
	secret_wipe(secret, sizeof(secret));
	if (r == ERR_LIMIT)
		return ctl_fail(call, r, CTL_NOT_NOW, "%d keys are held already; lock one first", KEY_AGENT_MAX);
	if (r < 0)
		return ctl_fail(call, r, CTL_INVALID_PARAMS, "this is no secp256k1 key");
	call->result = json_pack("{s:b, s:I}", "dry_run", call->dry_run, "seconds", (json_int_t)seconds);
	put_address(call->result, &addr);
	if (!call->dry_run)
		log_notice("An operator key is held unlocked. address=%s seconds=%lld",
			   json_string_value(json_object_get(call->result, "address")), (long long)seconds);
	return 0;
}

int cmd_key_lock(struct ctl_call *call)
{
	const char *text = param_text(call->params, "address");
	struct keeper *k = call->arg;
	struct eth_addr addr;
	size_t n = 0;

	if (text && eth_addr_parse(&addr, text, strlen(text)) < 0)
		return ctl_fail(call, ERR_MALFORMED, CTL_INVALID_PARAMS, "this is no address");
	if (!call->dry_run)
		n = key_agent_drop(k->key_agent, text ? &addr : NULL);
	if (n)
		log_notice("Operator keys were locked again. keys=%zu", n);
	call->result = json_pack("{s:b, s:I}", "dry_run", call->dry_run, "locked", (json_int_t)n);
	return 0;
}

int cmd_key_unlocked(struct ctl_call *call)
{
	struct keeper *k = call->arg;
	json_t *list = json_array();
	uint64_t now = clock_now_ms(), until;
	struct eth_addr addr;

	key_agent_expire(k->key_agent, now, NULL);
	for (size_t i = 0; key_agent_get(k->key_agent, i, &addr, &until) == 0; i++) {
		json_t *one = json_object();

		put_address(one, &addr);
		json_object_set_new(one, "seconds", json_integer((json_int_t)((until - now + 999) / 1000)));
		json_array_append_new(list, one);
	}
	call->result = json_pack("{s:o}", "keys", list);
	return 0;
}

/* Hash the message that "object" is the text of; it must be for that account, if it is for one. */
static int hash_object(struct ctl_call *call, struct typed_hashes *ret, const struct eth_addr *addr)
{
	const char *text = param_text(call->params, "object");
	char why[TYPED_WHY_CAP];
	json_t *doc;
	int r = jcs_read(&doc, text, strlen(text));

	if (r < 0)
		return ctl_fail(call, r, CTL_INVALID_PARAMS, "\"object\" is not the text of a message: %s", err_str(r));
	r = typed_hash(ret, why, doc);
	json_decref(doc);
	if (r < 0)
		return ctl_fail(call, r, CTL_INVALID_PARAMS, "%s", why);
	if (ret->has_signer && !eth_addr_eq(&ret->signer, addr))
		return ctl_fail(call, ERR_MISMATCH, CTL_INVALID_PARAMS, "the message must be signed by another account");
	return 0;
}

int cmd_key_use(struct ctl_call *call)
{
	const char *text = param_text(call->params, "address");
	uint8_t sig[ETH_SIG_LEN];
	char hex[2 * ETH_SIG_LEN + 3] = "0x";
	struct keeper *k = call->arg;
	struct typed_hashes h;
	struct eth_addr addr;
	const uint8_t *secret;
	int r;

	if (eth_addr_parse(&addr, text, strlen(text)) < 0)
		return ctl_fail(call, ERR_MALFORMED, CTL_INVALID_PARAMS, "this is no address");
	secret = key_agent_find(k->key_agent, &addr, clock_now_ms());
	if (!secret)
		return ctl_fail(call, ERR_NOT_FOUND, CTL_NOT_NOW, "this key is locked; see \"nonosctl key unlock\"");
	r = hash_object(call, &h, &addr);
	if (r < 0)
		return r;
	if (eth_sig_sign(sig, secret, h.digest) < 0)
		return ctl_fail(call, ERR_CRYPTO, CTL_FAILED, "the message could not be signed");
	hex_encode(hex + 2, sig, sizeof(sig));
	call->result = json_pack("{s:b}", "dry_run", call->dry_run);
	put_address(call->result, &addr);
	if (call->dry_run)
		return 0;
	log_notice("A message was signed with an operator key that is held unlocked. address=%s",
		   json_string_value(json_object_get(call->result, "address")));
	json_object_set_new(call->result, "signature", json_string(hex));
	return 0;
}
