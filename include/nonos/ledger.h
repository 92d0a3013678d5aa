/*
 * The ledger: a journal of signed objects, and the state that follows from it.
 * Every change of money, stake or registration is one object (EIP-712, types
 * in nonos-eip712.json) appended to the journal, an RFC 6962 log whose head is
 * published as a signed checkpoint. Balances and all other tables are a
 * deterministic fold of the journal from the genesis on: whoever replays it
 * arrives at the same state, to the unit.
 *
 * One SQLite database holds both. Submissions are checked and applied inside
 * an open transaction; ledger_commit() makes all of them durable at once, and
 * only then may they be acknowledged. The entries also stand in a
 * plain file beside the database, PATH.copy (the format of ledger_export()),
 * from which a database that lost its end is completed when it is opened.
 *
 * One process writes (it holds a lock on PATH.lock); any number read. The
 * writer's Ed25519 key is in a file of its own. A ledger opened without it
 * takes entries from a journal that somebody else writes.
 *
 * Nonces: each signer has one series over all types of objects. A nonce must be
 * above the signer's last one and at most 2^20 further on; those left out can never be used, so a
 * later object takes back an earlier one that was signed and not submitted.
 *
 * Time: the writer gives each entry the seconds since 1970 when it took it, never
 * less than the entry before. Height: how many entries there are.
 */
#ifndef NONOS_LEDGER_H
#define NONOS_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include <nonos/amount.h>
#include <nonos/eth_sig.h>
#include <nonos/genesis.h>
#include <nonos/keccak.h>

struct ledger;

enum {
	LEDGER_WHY_CAP = 512,
	LEDGER_ROOT_LEN = 32,
	LEDGER_ENTRY_MAX = 65535,	/* bytes of an entry: what a tile of entries can hold (C2SP tlog-tiles) */
	LEDGER_EVIDENCE_MAX = 32 << 20,
	LEDGER_OBJECT_MAX = LEDGER_EVIDENCE_MAX + (1 << 20),
	RELAY_ID_LEN = 32,
	STAKE_ID_LEN = 32,
};

/* -- refusals ---------------------------------------------------------------------- */

/* Why an object is not taken. Names are stable: programs compare them. */
#define REFUSAL_TABLE(X) \
	X(REFUSED_MALFORMED,       "malformed",         "not a well-formed object") \
	X(REFUSED_TOO_LONG,        "too-long",          "longer than an entry may be") \
	X(REFUSED_UNKNOWN_TYPE,    "unknown-type",      "no such type, or not one that the journal takes") \
	X(REFUSED_WRONG_NETWORK,   "wrong-network",     "made for another network") \
	X(REFUSED_BAD_SIGNATURE,   "bad-signature",     "a signature is missing, malformed or by somebody else") \
	X(REFUSED_EXPIRED,         "expired",           "its validUntil or deadline has passed") \
	X(REFUSED_NONCE_USED,      "nonce-used",        "the signer has used this nonce or a later one") \
	X(REFUSED_NONCE_AHEAD,     "nonce-ahead",       "the nonce is too far above the signer's last one") \
	X(REFUSED_DUPLICATE,       "duplicate",         "this object is in the journal already") \
	X(REFUSED_OVERDRAWN,       "overdrawn",         "the account does not hold that much") \
	X(REFUSED_ZERO_AMOUNT,     "zero-amount",       "the amount is zero") \
	X(REFUSED_AMOUNT_RANGE,    "amount-range",      "the amount is more than there can ever be") \
	X(REFUSED_RELAY_UNKNOWN,   "relay-unknown",     "no such relay is registered") \
	X(REFUSED_RELAY_SIGNATURE, "relay-signature",   "the relay's own signature is missing or wrong") \
	X(REFUSED_STAKE_UNKNOWN,   "stake-unknown",     "the account has no such stake") \
	X(REFUSED_STAKE_LOCKED,    "stake-locked",      "the stake is still locked") \
	X(REFUSED_LOCK_RANGE,      "lock-range",        "the lock is longer than allowed") \
	X(REFUSED_EPOCH_RANGE,     "epoch-range",       "the epoch is not one that this object can name now") \
	X(REFUSED_EPOCH_CLOSED,    "epoch-closed",      "the epoch has a root already") \
	X(REFUSED_ROOT_MISMATCH,   "root-mismatch",     "the root or total is not what the evidence gives") \
	X(REFUSED_EVIDENCE,        "evidence",          "the evidence is missing, or not what the object names") \
	X(REFUSED_THRESHOLD,       "threshold",         "not enough of those who must sign have signed") \
	X(REFUSED_CLAIM_AMOUNT,    "claim-amount",      "no more is due than was claimed before") \
	X(REFUSED_TIME,            "time",              "the time of the entry runs backwards") \
	X(REFUSED_CLOCK,           "clock",             "the writer's clock is ahead of what is known of the time")

enum refusal {
	REFUSED_NOT,
#define X(name, text, sentence) name,
	REFUSAL_TABLE(X)
#undef X
};

/* "nonce-used". Never NULL; REFUSED_NOT is "accepted". */
const char *refusal_name(enum refusal r);

/* -- accounts ------------------------------------------------------------------------ */

enum account_kind {
	ACCOUNT_ADDRESS,
	ACCOUNT_RESERVE,		/* what rewards are paid from */
	ACCOUNT_VAULT,			/* contributors' */
	ACCOUNT_TREASURY,
	ACCOUNT_BURN,			/* nothing leaves it */
	ACCOUNT_STAKE,			/* of an address: locked or unbonding */
	ACCOUNT_REWARDS,		/* of an address: earned and attested, not claimed */
};

struct account {
	enum account_kind kind;
	struct eth_addr addr;		/* zeros where the kind has none */
};

enum { ACCOUNT_TEXT_CAP = ETH_ADDR_TEXT_CAP + 8 };

/* "0x…", "reserve", "vault", "treasury", "burn", "stake:0x…", "rewards:0x…". */
void account_text(char out[ACCOUNT_TEXT_CAP], const struct account *a);
int account_parse(struct account *ret, const char *text, size_t len);

static inline struct account account_of(enum account_kind kind, const struct eth_addr *addr)
{
	return (struct account){ .kind = kind, .addr = addr ? *addr : (struct eth_addr){ { 0 } } };
}

/* -- opening ------------------------------------------------------------------------- */

enum ledger_mode {
	LEDGER_READ,			/* a snapshot as of now; nothing is written, no key needed */
	LEDGER_WRITE,			/* the journal's one writer, or a follower without its key */
	LEDGER_CREATE,			/* as LEDGER_WRITE, and make the database if there is none; needs a genesis */
};

struct ledger_options {
	const char *path;		/* the database; ":memory:" for tests, which then has no copy */
	enum ledger_mode mode;
	const struct genesis *genesis;	/* copied. NULL: that of the database; given, it must be the same */
	const char *key_path;		/* the writer's key; NULL for a follower */
};

/*
 * Make the key file of a writer if there is none (0600, never overwritten), and give
 * the text of its verification key under `origin`, which genesis holds. ERR_MALFORMED for
 * a bad origin, ERR_PERMISSION for a file that others may read.
 */
int ledger_key(char ret_log[GENESIS_LOG_CAP], const char *key_path, const char *origin, char why[LEDGER_WHY_CAP]);

/*
 * ERR_NOT_FOUND: no database; ERR_BUSY: another process writes it; ERR_MISMATCH: another
 * genesis, or a key that is not the one genesis names; ERR_UNSUPPORTED: made by a newer
 * version; ERR_PERMISSION; ERR_IO: the disk, or a damaged file. `why` gets the sentence.
 */
int ledger_open(struct ledger **ret, const struct ledger_options *o, char why[LEDGER_WHY_CAP]);

/* What was not committed is dropped. */
void ledger_close(struct ledger *l);

/* The sentence about the last ERR_IO of this ledger. Borrowed, never NULL. */
const char *ledger_error(const struct ledger *l);

/* Borrowed. */
const struct genesis *ledger_genesis(const struct ledger *l);

/* -- submitting ------------------------------------------------------------------------ */

struct ledger_receipt {
	uint64_t index;			/* in the journal */
	uint64_t time;
	uint8_t digest[KECCAK256_LEN];	/* what was signed; the stake id of a StakeLock */
	uint8_t leaf[LEDGER_ROOT_LEN];
};

struct ledger_refusal {
	enum refusal code;
	char why[LEDGER_WHY_CAP];	/* a sentence about this object */
};

/*
 * Check an object and apply it:
 *
 *	{"primaryType", "message", "signatures": ["0x…"], "attachments": {…}, "domain": {…}}
 *
 * "attachments" (may be missing): "relaySignature", the relay's Ed25519 signature over the
 * digest, of a RelayRegistration; "evidence", a JSON object whose canonical text hashes
 * (Keccak-256) to the message's evidenceHash. "domain" may be missing; there, it must be
 * this network's.
 *
 * 0: it is in the open batch, and lost unless ledger_commit() succeeds. ERR_REFUSED:
 * *ret_refusal says why, and nothing changed; of a duplicate, *ret is filled in with the
 * receipt of the first one (`committed` or in the batch alike). Any other error: the whole
 * batch is gone, ledger_error() says why; the next ledger_commit() reports it again.
 */
int ledger_submit(struct ledger *l, struct ledger_receipt *ret, struct ledger_refusal *ret_refusal, const json_t *object);

/* Read the JSON text of an object, of any form, for ledger_submit(); the caller's. ERR_REFUSED with *ret_refusal. */
int ledger_object_read(json_t **ret, struct ledger_refusal *ret_refusal, const char *text, size_t len);

/* Both. */
int ledger_submit_text(struct ledger *l, struct ledger_receipt *ret, struct ledger_refusal *ret_refusal,
		       const char *text, size_t len);

/*
 * The time of an entry is never taken back, and what depends on it (epochs that have ended, locks) is
 * settled by it. As a writer: refuse objects (REFUSED_CLOCK) while the clock is more than `ahead_s` ahead of both
 * the last entry and the monotonic clock, set by the first call of this. When that first call is more
 * than `stop_s` after the last entry, it sets it by that entry. A ledger is not watched unless this is called.
 */
void ledger_watch_clock(struct ledger *l, uint32_t ahead_s, uint32_t stop_s);

/* By how many seconds the clock is ahead, when it is too many; 0: it is believed. *ret_due is what it should show. */
uint64_t ledger_clock_ahead(const struct ledger *l, uint64_t *ret_due);

/* Somebody knows that the clock is right now. */
void ledger_trust_clock(struct ledger *l);

/*
 * Make the batch durable and sign its checkpoint. On failure all of the batch is
 * dropped, the ledger stands where it stood, and can be used on: space may come back.
 */
int ledger_commit(struct ledger *l);

/* Drop the open batch. */
void ledger_rollback(struct ledger *l);

/*
 * A follower's append: an entry of the journal as its writer made it (the leaf's bytes,
 * and evidence where there is some). The whole is checked and applied as in
 * ledger_submit(); the time is the entry's own.
 */
int ledger_append(struct ledger *l, struct ledger_refusal *ret_refusal, const char *entry, size_t entry_len,
		  const char *evidence, size_t evidence_len);

/* Without evidence that is NULL. */
struct ledger_text {
	const char *entry;
	size_t entry_len;
	const char *evidence;
	size_t evidence_len;
};

/* One after the other, until one fails. *ret_n were taken. Many are checked on several cores. */
int ledger_append_all(struct ledger *l, size_t *ret_n, struct ledger_refusal *ret_refusal, const struct ledger_text *texts,
		      size_t n);

/*
 * A follower's commit: as ledger_commit(), with the writer's checkpoint, which must be
 * signed by genesis' key for exactly this size and root. ERR_AUTH or ERR_MISMATCH leave the batch
 * open: two histories, or not all entries yet.
 */
int ledger_commit_note(struct ledger *l, const char *note, size_t len);

/* -- asking ------------------------------------------------------------------------------ */

struct ledger_head {
	uint64_t size;			/* entries, with those of the open batch */
	uint8_t root[LEDGER_ROOT_LEN];
	uint64_t time;			/* of the last entry; genesis time when there is none */
};

void ledger_head(const struct ledger *l, struct ledger_head *ret);

/*
 * The time that an entry of this moment would get: this machine's, or that of the last entry when
 * the clock is behind it. What says until when it is valid is judged by this.
 */
uint64_t ledger_now(const struct ledger *l);

/* Entries that are durable: without those of the open batch. */
uint64_t ledger_committed(const struct ledger *l);

/* The signed checkpoint of the last commit, malloc()ed. ERR_NOT_FOUND before the first. */
int ledger_checkpoint(struct ledger *l, char **ret_note);

/* What an account holds; zero for one that nobody has heard of. */
int ledger_balance(struct ledger *l, struct amount *ret, const struct account *a);

struct ledger_supply {
	struct amount total;		/* always genesis' supply */
	struct amount burnt, reserve, treasury, vault, staked, rewards;
	struct amount addresses;	/* in the hands of accounts */
	struct amount circulating;	/* addresses + staked + rewards */
	uint32_t burn_ppm;		/* the burn controller's rate now */
};

/* ERR_IO when the sum is not the supply: damaged. */
int ledger_supply(struct ledger *l, struct ledger_supply *ret);

/* One side of a posting. */
struct ledger_line {
	uint64_t height;		/* 1 for the first entry, 0 for genesis */
	uint64_t time;
	char why[GENESIS_NAME_CAP];	/* the type of object that caused it, or "genesis", "unbonding" */
	bool credit;			/* else debit */
	struct amount amount, balance;	/* balance: after it */
};

/*
 * The last postings of an account below `before` (UINT64_MAX: all), newest first. Stops when
 * `each` returns nonzero, which is returned. ERR_RANGE when the account has no posting at `before` and thousands above it.
 */
int ledger_history(struct ledger *l, const struct account *a, uint64_t before, size_t limit,
		   int (*each)(void *ctx, const struct ledger_line *line), void *ctx);

/* The lowest nonce that `signer` may use now. */
int ledger_next_nonce(struct ledger *l, uint64_t *ret, const struct eth_addr *signer);

/*
 * An object to be signed: `type` with the network's domain, `fields` as its message, and
 * "nonce" and "validUntil" filled in where the type has them and `fields` does not. The result
 * is for typed_hash(): {"domain","primaryType","message"}. ERR_MALFORMED with the reason.
 */
int ledger_template(struct ledger *l, json_t **ret, char why[LEDGER_WHY_CAP], const char *type, const json_t *fields,
		    uint64_t valid_until);

/* The bytes of an entry, malloc()ed, NUL-terminated; and, unless ret_evidence is NULL, its evidence if it has some (else NULL). */
int ledger_entry(struct ledger *l, char **ret, size_t *ret_len, char **ret_evidence, size_t *ret_evidence_len,
		 uint64_t index);

/* Which entry holds the object of this digest. */
int ledger_find(struct ledger *l, struct ledger_receipt *ret, const uint8_t digest[KECCAK256_LEN]);

/* How many entries are older than `time` (time < `time`): the height at an instant. */
int ledger_height_at(struct ledger *l, uint64_t *ret, uint64_t time);

/* A tlog-proof of entry `index` in the last checkpoint, malloc()ed. */
int ledger_proof(struct ledger *l, char **ret, size_t *ret_len, uint64_t index);

/*
 * For those who mirror the journal, of what is committed: the hash of the 2^level entries from
 * index * 2^level on, and the root that the tree had at `size`. ERR_NOT_FOUND beyond the end.
 */
int ledger_node(struct ledger *l, uint8_t ret[LEDGER_ROOT_LEN], unsigned level, uint64_t index);
int ledger_root_at(struct ledger *l, uint8_t ret[LEDGER_ROOT_LEN], uint64_t size);

/* -- registrations and stakes ---------------------------------------------------------- */

/*
 * A point of the journal, and the instant at which locks are looked at. Anybody who has the
 * journal gets the same answer for it at any later time. The register of an epoch is that of
 * {ledger_height_at(start), start}.
 */
struct ledger_snapshot {
	uint64_t height, time;
};

/* A stake, or what is left of it. A lock that has ended counts as one of 0 days. */
struct stake_part {
	struct eth_addr account;
	struct amount amount;
	uint32_t lock_days;			/* 0 when it has ended at the snapshot's time */
};

struct ledger_relay {
	uint8_t relay_id[RELAY_ID_LEN];		/* its Ed25519 identity */
	uint8_t fingerprint[20];		/* of its RSA identity */
	struct eth_addr operator, payout;
	uint64_t height;			/* of the registration */
	struct amount stake;			/* on it, not released, by anybody */
	int tier;				/* index into genesis' tiers, -1: none */
	const struct stake_part *parts;		/* what `stake` is made of; belongs to the register */
	size_t n_parts;
};

/* The registered relays at a snapshot, by relay id. */
struct ledger_register {
	struct ledger_snapshot at;
	struct ledger_relay *relays;
	size_t n;
};

/* ERR_RANGE for a height that is not reached yet. Free with ledger_register_free(). */
int ledger_register_at(struct ledger *l, struct ledger_register **ret, const struct ledger_snapshot *at);
void ledger_register_free(struct ledger_register *r);

/* The relay in it, or NULL. Borrowed. */
const struct ledger_relay *ledger_register_find(const struct ledger_register *r, const uint8_t relay_id[RELAY_ID_LEN]);

struct ledger_stake {
	uint8_t stake_id[STAKE_ID_LEN];
	uint8_t relay_id[RELAY_ID_LEN];
	struct eth_addr account;
	struct amount amount;			/* what was locked */
	struct amount active;			/* not released */
	struct amount unbonding;		/* released, not paid back yet */
	uint32_t lock_days;
	uint64_t locked_at, lock_ends;		/* wall seconds */
	uint64_t unbonds_at;			/* when the last of `unbonding` is due; 0: nothing is */
};

/* The stakes of an account that still hold something, oldest first. `each` as in ledger_history(). */
int ledger_stakes(struct ledger *l, const struct eth_addr *account,
		  int (*each)(void *ctx, const struct ledger_stake *stake), void *ctx);

int ledger_stake(struct ledger *l, struct ledger_stake *ret, const uint8_t stake_id[STAKE_ID_LEN]);

/* -- checking, copying -------------------------------------------------------------------- */

struct ledger_report {
	uint64_t entries;			/* replayed */
	uint64_t differences;
	char first[LEDGER_WHY_CAP];		/* the first difference, in words */
	bool copy_only;				/* the database is good, and its copy is not */
};

/*
 * Replay the journal from genesis into an empty database and compare every table, the
 * tree, the head, its signed checkpoint, the copy and the supply. 0: all agree. ERR_MISMATCH:
 * they do not, *ret says where. Works on a ledger opened in any mode, on committed entries.
 * `progress` (may be NULL) is called now and then; nonzero from it stops with ERR_CLOSED.
 */
int ledger_verify(struct ledger *l, struct ledger_report *ret, int (*progress)(void *ctx, uint64_t done, uint64_t total),
		  void *ctx);

/*
 * Write the journal as lines of JSON: {"genesis": {…}}, then {"entry": {…}} (with "evidence"
 * beside it where there is some), and at the end {"checkpoint": "note"}.
 */
int ledger_export(struct ledger *l, FILE *out);

/* The network of such a stream, from its first line; `in` is then at its start again. */
int ledger_stream_genesis(struct genesis **ret, FILE *in, char why[LEDGER_WHY_CAP]);

/*
 * Append what `in` has beyond this ledger's height; what both have must be the same. Every
 * checkpoint in it is checked, and the last line must be one. All is committed at
 * checkpoints. On failure `why` says which line.
 */
int ledger_import(struct ledger *l, uint64_t *ret_entries, FILE *in, char why[LEDGER_WHY_CAP]);

#endif
