/* A network with three auditors, two of whom must sign, and relays that earn: for tests of epochs and claims. */
#ifndef TESTS_EPOCH_TEST_H
#define TESTS_EPOCH_TEST_H

#include <nonos/epochs.h>

#include "ledger_test.h"

enum { EPOCH_S = 3600, EPOCH_RELAYS = 5 };

/* Auditors are persons 0, 1 and 2; person 0 holds all public money. */
struct genesis *audited_genesis(const char *dir);

/* The same under the policy anyone-1. */
struct genesis *anyone_genesis(const char *dir, const char *config);

/* For groups of tests: audited_genesis(), a ledger in memory, and populate(). */
int epochs_setup(void **state);

/*
 * Register relays 1 to EPOCH_RELAYS, with 10,000 tokens a relay. Relay n is run by person
 * 10 + n and pays to it, but for the last, which pays to person 11 too.
 */
void populate(struct ledger *l);

/* Two consensuses; all relays run in both, relay n with weight 1000 * n, each in a network of its own. */
struct evidence *usual_evidence(const struct genesis *g, uint64_t epoch);

/* The epoch's time has passed by this much. */
void pass_epoch(const struct genesis *g, uint64_t epoch);

/* A draft from `e` (freed), signed by two. */
json_t *signed_draft(struct ledger *l, struct evidence *e);

/* Close the next epoch with usual_evidence() and commit. */
void close_epoch(struct ledger *l);

/* The claim of person `n`, signed by it. */
json_t *signed_claim(struct ledger *l, unsigned n);

#endif
