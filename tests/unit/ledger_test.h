/* A small network for tests of the ledger: a genesis, keys by number, and signed objects. */
#ifndef TESTS_LEDGER_TEST_H
#define TESTS_LEDGER_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <nonos/crypto.h>
#include <nonos/ledger.h>

enum { T0 = 1800000000 };		/* when the network starts */

/* The whole part of the public money is held by person 0, who is auditor and council too. */
struct genesis *world_genesis(const char *dir);

/* The same with other members, of `changes` (stolen). */
struct genesis *world_genesis_with(const char *dir, json_t *changes);

/* A new directory, and its removal with all files in it. The key of the writer is DIR/writer.key. */
void world_dir(char out[64]);
void world_remove(const char *dir);

/* Open DIR/ledger.db as its writer, making it if need be. */
struct ledger *world_open(const char *dir, const struct genesis *g);

/* In memory, signing with DIR/writer.key. */
struct ledger *world_memory(const char *dir, const struct genesis *g);

/* What a test starts from: a network in a directory of its own, at T0 + 10. */
struct world {
	char dir[64];
	struct genesis *g;
	struct ledger *l;		/* for the test to open; or NULL */
};

struct world *world_new(struct genesis *(*make)(const char *dir));
void world_free(struct world *w);

/* The same as functions of a group of tests: with world_genesis() and a ledger in memory. */
int world_setup(void **state);
int world_teardown(void **state);

/* Commit: the whole state then follows from the journal, and nothing was made or lost. */
void expect_verified(struct ledger *l);

/* Person `n`: a key and an account. Relay `n`: an Ed25519 identity. */
void person_secret(uint8_t out[ETH_SECRET_LEN], unsigned n);
struct eth_addr person(unsigned n);
const char *person_text(unsigned n);
void relay_key(uint8_t expanded[ED25519_EXPANDED_LEN], uint8_t id[ED25519_PUB_LEN], unsigned n);

/* Sign {"domain","primaryType","message"} (stolen) by `n` persons from `who` on. */
json_t *signed_object(json_t *doc, const unsigned *who, size_t n);

/* An object of `type` with the fields of `fields` (stolen), signed by person `n` for the ledger's network. */
json_t *signed_by(struct ledger *l, unsigned n, const char *type, json_t *fields);

/* The usual ones; nonce and validUntil (far away) filled in. */
json_t *transfer(struct ledger *l, unsigned from, unsigned to, const char *amount);
json_t *registration(struct ledger *l, unsigned operator, unsigned payout, unsigned relay);
json_t *stake_lock(struct ledger *l, unsigned account, unsigned relay, const char *amount, unsigned days);
json_t *stake_release(struct ledger *l, unsigned account, const uint8_t stake_id[STAKE_ID_LEN], const char *amount);
json_t *usage(struct ledger *l, unsigned user, unsigned publisher, const char *amount, uint64_t epoch);

/* Submit, and free the object; returns the refusal. Fails the test on other errors. */
enum refusal submit(struct ledger *l, json_t *object, struct ledger_receipt *ret);

struct amount tokens(const char *text);
struct amount balance_of(struct ledger *l, enum account_kind kind, unsigned n);

#endif
