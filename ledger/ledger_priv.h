/*
 * Inside the ledger: the database, postings, and the table of the fold. A type
 * of object is one row: a function that checks and applies it, in a file of its
 * own. What it wrote before it refused is undone; most refuse before they write.
 */
#ifndef LEDGER_LEDGER_PRIV_H
#define LEDGER_LEDGER_PRIV_H

#include <sqlite3.h>

#include <nonos/ledger.h>
#include <nonos/merkle_log.h>

#include "store.h"

/* -- objects -------------------------------------------------------------------------- */

enum { OBJECT_SIGS_MAX = GENESIS_SIGNERS_MAX };

/* What object_entry(), object_relay_signed() and object_recover() give, worked out beforehand. */
struct object_seen {
	char *entry;			/* NULL: `written` is why */
	size_t entry_len;
	uint64_t time;			/* of the entry */
	int written, relay;
	struct {
		int r;
		struct eth_addr addr;
	} sigs[];
};

/* A parsed object whose message is well-formed: every field below exists and fits its type. */
struct object {
	const char *type;
	json_t *message;			/* in its one normal form */
	uint8_t digest[KECCAK256_LEN];
	uint8_t (*sigs)[ETH_SIG_LEN];
	size_t n_sigs;
	bool has_relay_sig;
	uint8_t relay_sig[64];
	char *evidence;				/* canonical JSON that hashes to the message's evidenceHash, or NULL */
	size_t evidence_len;
	const struct fold_type *fold;
	bool has_signer;			/* the type names the field that must have signed */
	struct eth_addr signer;			/* then who signed; checked before apply() */
	struct object_seen *seen;		/* NULL: it was not looked at yet */
};

/* Fields of the message. Naming one that the type does not have is our own bug. */
uint64_t object_u64(const struct object *o, const char *field);
void object_address(struct eth_addr *ret, const struct object *o, const char *field);
void object_bytes32(uint8_t ret[32], const struct object *o, const char *field);

/* ERR_RANGE when `bytes` is not `len` bytes long. */
int object_bytes(uint8_t *ret, size_t len, const struct object *o, const char *field);

/* ERR_RANGE above 2^128 - 1. */
int object_amount(struct amount *ret, const struct object *o, const char *field);

/* "amount" as money that is to move: refuses zero, and what is out of range. */
int object_payment(struct ledger *l, struct amount *ret, const struct object *o);

/* Who made signature `i` over the digest. */
int object_recover(struct eth_addr *ret, const struct object *o, size_t i);

/* 0 when the relay's signature, which it has, is by its "relayId" over the digest; else ERR_AUTH. */
int object_relay_signed(const struct object *o);

/*
 * 0 when at least `who->threshold` different members of `who` signed, and nobody else; else
 * refuses with REFUSED_BAD_SIGNATURE or REFUSED_THRESHOLD.
 */
int object_check_signers(struct ledger *l, const struct object *o, const struct genesis_signers *who);

/* -- the fold --------------------------------------------------------------------------- */

enum fold_flag {
	FOLD_NONCE = 1,		/* "nonce" of the signer: strictly increasing over all types with this flag */
	FOLD_UNTIL = 2,		/* "validUntil": the entry's time is not after it */
	FOLD_DEADLINE = 4,	/* "deadline", likewise */
	FOLD_EVIDENCE = 8,	/* evidence must be attached; without this flag it must not */
	FOLD_RELAY_SIG = 16,	/* a relay's signature may be attached */
	FOLD_CLEAN = 32,	/* apply() writes nothing before it refuses, so there is nothing to undo */
};

struct fold_type {
	const char *name;
	unsigned flags;
	/*
	 * Check and apply. Network, form, digest, duplicate, signature of the signer field
	 * (there is exactly one then), flags: all done before. `l` knows the entry's time
	 * and height (fold_time(), fold_height()). 0, what ledger_refuse() returns, or
	 * an error of the store, passed through.
	 */
	int (*apply)(struct ledger *l, const struct object *o);
};

extern const struct fold_type fold_transfer, fold_registration, fold_stake_lock, fold_stake_release, fold_usage,
	fold_epoch_root, fold_reward_claim;

/* Say why the object at hand is refused; returns ERR_REFUSED. */
int ledger_refuse(struct ledger *l, enum refusal code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

uint64_t fold_time(const struct ledger *l);	/* of the entry that is being applied */
uint64_t fold_height(const struct ledger *l);	/* with it: 1 for the first */

/* The database of the fold; a replay has its own. */
struct store *ledger_store(struct ledger *l);

/* -- money --------------------------------------------------------------------------------- */

struct leg {
	struct account account;
	bool credit;
	struct amount amount;
};

/*
 * The only function that moves money. The credits must equal the debits, nothing may leave `burn`:
 * ERR_STATE otherwise, a bug of ours. An account that would go below zero: refuses with
 * REFUSED_OVERDRAWN. Legs of zero are left out. Several legs may name one account.
 */
int ledger_post(struct ledger *l, const struct leg *legs, size_t n);

/* Two legs. */
int ledger_move(struct ledger *l, const struct account *from, const struct account *to, struct amount amount);

#endif
