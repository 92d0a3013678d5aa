#include "config.h"

#include "ledger_test.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/clock.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/keccak.h>
#include <nonos/typed.h>

void world_dir(char out[64])
{
	/* In memory where that can be: these tests sync a lot, and lose no power. */
	snprintf(out, 64, "%s/nonos-ledger-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(out));
}

void world_remove(const char *dir)
{
	struct dirent *e;
	DIR *d = opendir(dir);
	char path[400];

	assert_non_null(d);
	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	closedir(d);
	rmdir(dir);
}

struct genesis *world_genesis_with(const char *dir, json_t *changes)
{
	char path[128], log[GENESIS_LOG_CAP], why[LEDGER_WHY_CAP];
	struct eth_addr first = person(0);
	struct genesis *g;
	json_t *doc;
	size_t len;
	char *text;

	snprintf(path, sizeof(path), "%s/writer.key", dir);
	assert_int_equal(ledger_key(log, path, "example.org/journal", why), 0);
	doc = genesis_usual("test", T0, &first, &first, log);
	assert_non_null(doc);
	json_object_update(doc, changes);
	json_decref(changes);
	assert_int_equal(jcs_write(&text, &len, doc), 0);
	json_decref(doc);
	if (genesis_read(&g, why, text, len) < 0)
		fail_msg("%s", why);
	free(text);
	return g;
}

struct genesis *world_genesis(const char *dir)
{
	return world_genesis_with(dir, json_object());
}

static struct ledger *open_at(const char *path, const char *dir, const struct genesis *g)
{
	char key[128], why[LEDGER_WHY_CAP] = "";
	struct ledger_options o = { .path = path, .mode = LEDGER_CREATE, .genesis = g, .key_path = key };
	struct ledger *l = NULL;

	snprintf(key, sizeof(key), "%s/writer.key", dir);
	if (ledger_open(&l, &o, why) < 0)
		fail_msg("%s", why);
	return l;
}

struct ledger *world_open(const char *dir, const struct genesis *g)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/ledger.db", dir);
	return open_at(path, dir, g);
}

struct ledger *world_memory(const char *dir, const struct genesis *g)
{
	return open_at(":memory:", dir, g);
}

struct world *world_new(struct genesis *(*make)(const char *dir))
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	clock_set_manual(1000, T0 + 10);
	world_dir(w->dir);
	w->g = make(w->dir);
	return w;
}

void world_free(struct world *w)
{
	ledger_close(w->l);
	genesis_free(w->g);
	world_remove(w->dir);
	free(w);
}

int world_setup(void **state)
{
	struct world *w = world_new(world_genesis);

	w->l = world_memory(w->dir, w->g);
	*state = w;
	return 0;
}

int world_teardown(void **state)
{
	world_free(*state);
	return 0;
}

void expect_verified(struct ledger *l)
{
	struct ledger_report report;
	struct ledger_supply s;

	assert_int_equal(ledger_commit(l), 0);
	if (ledger_verify(l, &report, NULL, NULL) < 0)
		fail_msg("%s %s", report.first, ledger_error(l));
	assert_int_equal(report.differences, 0);
	assert_int_equal(ledger_supply(l, &s), 0);
	assert_int_equal(amount_cmp(s.total, ledger_genesis(l)->supply), 0);
}

void person_secret(uint8_t out[ETH_SECRET_LEN], unsigned n)
{
	char text[32];

	keccak256(out, text, (size_t)snprintf(text, sizeof(text), "person %u", n));
}

struct eth_addr person(unsigned n)
{
	uint8_t secret[ETH_SECRET_LEN];
	struct eth_addr a;

	person_secret(secret, n);
	assert_int_equal(eth_addr_of_secret(&a, secret), 0);
	return a;
}

const char *person_text(unsigned n)
{
	static char texts[4][ETH_ADDR_TEXT_CAP];
	static unsigned next;
	struct eth_addr a = person(n);
	char *text = texts[next++ % 4];

	eth_addr_text(text, &a);
	return text;
}

void relay_key(uint8_t expanded[ED25519_EXPANDED_LEN], uint8_t id[ED25519_PUB_LEN], unsigned n)
{
	uint8_t seed[32];
	char text[32];

	keccak256(seed, text, (size_t)snprintf(text, sizeof(text), "relay %u", n));
	ed25519_expand(expanded, seed);
	ed25519_public(id, expanded);
}

static json_t *hex(const void *data, size_t len)
{
	char text[200] = "0x";

	hex_encode(text + 2, data, len);
	return json_string(text);
}

static json_t *template(struct ledger *l, const char *type, json_t *fields)
{
	char why[LEDGER_WHY_CAP] = "";
	json_t *doc;

	if (ledger_template(l, &doc, why, type, fields, T0 + 300000000) < 0)
		fail_msg("%s", why);
	json_decref(fields);
	return doc;
}

static struct typed_hashes hashes_of(const json_t *doc)
{
	char why[TYPED_WHY_CAP] = "";
	struct typed_hashes h;

	if (typed_hash(&h, why, doc) < 0)
		fail_msg("%s", why);
	return h;
}

json_t *signed_object(json_t *doc, const unsigned *who, size_t n)
{
	struct typed_hashes h = hashes_of(doc);
	json_t *sigs = json_array();

	for (size_t i = 0; i < n; i++) {
		uint8_t secret[ETH_SECRET_LEN], sig[ETH_SIG_LEN];

		person_secret(secret, who[i]);
		assert_int_equal(eth_sig_sign(sig, secret, h.digest), 0);
		json_array_append_new(sigs, hex(sig, sizeof(sig)));
	}
	json_object_set_new(doc, "signatures", sigs);
	return doc;
}

json_t *signed_by(struct ledger *l, unsigned n, const char *type, json_t *fields)
{
	return signed_object(template(l, type, fields), &n, 1);
}

json_t *transfer(struct ledger *l, unsigned from, unsigned to, const char *amount)
{
	return signed_by(l, from, "Transfer", json_pack("{s:s,s:s,s:s}", "from", person_text(from), "to", person_text(to), "amount",
						       amount));
}

json_t *registration(struct ledger *l, unsigned operator, unsigned payout, unsigned relay)
{
	uint8_t expanded[ED25519_EXPANDED_LEN], id[ED25519_PUB_LEN], sig[ED25519_SIG_LEN];
	struct typed_hashes h;
	json_t *doc;

	relay_key(expanded, id, relay);
	doc = template(l, "RelayRegistration", json_pack("{s:o,s:o,s:s,s:s}", "relayId", hex(id, sizeof(id)), "fingerprint",
			hex(id, 20), "operator", person_text(operator), "payout", person_text(payout)));
	h = hashes_of(doc);
	signed_object(doc, &operator, 1);
	ed25519_sign(sig, expanded, id, h.digest, sizeof(h.digest));
	json_object_set_new(doc, "attachments", json_pack("{s:o}", "relaySignature", hex(sig, sizeof(sig))));
	return doc;
}

json_t *stake_lock(struct ledger *l, unsigned account, unsigned relay, const char *amount, unsigned days)
{
	uint8_t expanded[ED25519_EXPANDED_LEN], id[ED25519_PUB_LEN];

	relay_key(expanded, id, relay);
	return signed_by(l, account, "StakeLock", json_pack("{s:s,s:o,s:s,s:i}", "account", person_text(account), "relayId",
			hex(id, sizeof(id)), "amount", amount, "lockDays", (int)days));
}

json_t *stake_release(struct ledger *l, unsigned account, const uint8_t stake_id[STAKE_ID_LEN], const char *amount)
{
	return signed_by(l, account, "StakeRelease", json_pack("{s:s,s:o,s:s}", "account", person_text(account), "stakeId",
			hex(stake_id, STAKE_ID_LEN), "amount", amount));
}

json_t *usage(struct ledger *l, unsigned user, unsigned publisher, const char *amount, uint64_t epoch)
{
	uint8_t release[32] = { 1 };

	return signed_by(l, user, "UsageReceipt", json_pack("{s:o,s:s,s:s,s:s,s:s,s:I}", "release", hex(release, sizeof(release)),
			"user", person_text(user), "publisher", person_text(publisher), "amount", amount, "units", "1", "epoch",
			(json_int_t)epoch));
}

enum refusal submit(struct ledger *l, json_t *object, struct ledger_receipt *ret)
{
	struct ledger_receipt receipt;
	struct ledger_refusal refusal;
	int r = ledger_submit(l, ret ? ret : &receipt, &refusal, object);

	json_decref(object);
	if (r < 0 && r != ERR_REFUSED)
		fail_msg("%s: %s", err_str(r), ledger_error(l));
	if (r == ERR_REFUSED) {
		assert_true(refusal.code != REFUSED_NOT);
		assert_true(refusal.why[0]);
	}
	return r == 0 ? REFUSED_NOT : refusal.code;
}

struct amount tokens(const char *text)
{
	struct amount a;

	assert_int_equal(amount_token_parse(&a, text, strlen(text)), 0);
	return a;
}

struct amount balance_of(struct ledger *l, enum account_kind kind, unsigned n)
{
	struct eth_addr a = person(n);
	struct account account = account_of(kind, &a);
	struct amount v;

	assert_int_equal(ledger_balance(l, &v, &account), 0);
	return v;
}
