/*
 * RelayRegistration: a relay and an operator name each other. The operator signs
 * the message with its account, the relay the digest of the same message with
 * its Ed25519 identity. Who holds the relay's identity decides whose it is: a later
 * registration replaces the earlier one, also by another operator.
 */
#include "config.h"

#include "ledger_priv.h"

#include <nonos/err.h>

enum { FINGERPRINT_LEN = 20 };

static int apply(struct ledger *l, const struct object *o)
{
	uint8_t relay[RELAY_ID_LEN], fingerprint[FINGERPRINT_LEN];
	struct eth_addr payout;

	object_bytes32(relay, o, "relayId");
	object_address(&payout, o, "payout");
	if (object_bytes(fingerprint, sizeof(fingerprint), o, "fingerprint") < 0)
		return ledger_refuse(l, REFUSED_MALFORMED, "message.fingerprint: not %d bytes", FINGERPRINT_LEN);
	if (!o->has_relay_sig)
		return ledger_refuse(l, REFUSED_RELAY_SIGNATURE, "attachments.relaySignature, the relay's own signature, is missing");
	if (object_relay_signed(o) < 0)
		return ledger_refuse(l, REFUSED_RELAY_SIGNATURE, "the relay's signature is not by relayId, or over another digest");
	return store_run(ledger_store(l), "INSERT INTO registration VALUES(?, ?, ?, ?, ?)", "bubbb", relay, sizeof(relay),
			 fold_height(l), fingerprint, sizeof(fingerprint), o->signer.b, sizeof(o->signer.b), payout.b,
			 sizeof(payout.b));
}

const struct fold_type fold_registration = {
	.name = "RelayRegistration", .flags = FOLD_NONCE | FOLD_UNTIL | FOLD_CLEAN | FOLD_RELAY_SIG, .apply = apply,
};
