#include "config.h"

#include "schema.h"

#include <stdio.h>

#include <nonos/err.h>

enum { APPLICATION_ID = 0x4e4f4e4f };		/* "NONO" */

/* 1: the journal, accounts, registrations, stakes, the burn controller */
static const char first[] =
	"CREATE TABLE genesis(id INTEGER PRIMARY KEY CHECK(id = 0), doc BLOB NOT NULL) STRICT;"
	"CREATE TABLE head(id INTEGER PRIMARY KEY CHECK(id = 0), size INTEGER NOT NULL, root BLOB NOT NULL,"
	" time INTEGER NOT NULL, note TEXT) STRICT;"
	"CREATE TABLE evidence(hash BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT;"
	"CREATE TABLE entry(idx INTEGER PRIMARY KEY, time INTEGER NOT NULL, type TEXT NOT NULL,"
	" prefix INTEGER NOT NULL, digest BLOB NOT NULL, leaf BLOB NOT NULL, evidence BLOB REFERENCES evidence(hash),"
	" body BLOB NOT NULL) STRICT;"
	"CREATE INDEX entry_prefix ON entry(prefix);"
	"CREATE TABLE node(level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL,"
	" PRIMARY KEY(level, idx)) STRICT, WITHOUT ROWID;"
	/* last_*: the last posting of the account. A posting names the one before it, so that history needs no index. */
	"CREATE TABLE account(name BLOB PRIMARY KEY CHECK(length(name) = 21),"
	" balance BLOB NOT NULL CHECK(length(balance) = 16), last_height INTEGER NOT NULL, last_seq INTEGER NOT NULL)"
	" STRICT, WITHOUT ROWID;"
	"CREATE TABLE total(kind INTEGER PRIMARY KEY, balance BLOB NOT NULL CHECK(length(balance) = 16)) STRICT;"
	"CREATE TABLE posting(height INTEGER NOT NULL, seq INTEGER NOT NULL, account BLOB NOT NULL CHECK(length(account) = 21),"
	" prev_height INTEGER, prev_seq INTEGER, credit INTEGER NOT NULL CHECK(credit IN (0, 1)),"
	" amount BLOB NOT NULL CHECK(length(amount) = 16), balance BLOB NOT NULL CHECK(length(balance) = 16),"
	" why TEXT NOT NULL, PRIMARY KEY(height, seq)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE nonce(signer BLOB PRIMARY KEY CHECK(length(signer) = 20), next INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE registration(relay BLOB NOT NULL CHECK(length(relay) = 32), height INTEGER NOT NULL,"
	" fingerprint BLOB NOT NULL CHECK(length(fingerprint) = 20), operator BLOB NOT NULL CHECK(length(operator) = 20),"
	" payout BLOB NOT NULL CHECK(length(payout) = 20), PRIMARY KEY(relay, height)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE stake(id BLOB PRIMARY KEY CHECK(length(id) = 32), height INTEGER NOT NULL UNIQUE,"
	" account BLOB NOT NULL CHECK(length(account) = 20), relay BLOB NOT NULL CHECK(length(relay) = 32),"
	" amount BLOB NOT NULL CHECK(length(amount) = 16), lock_days INTEGER NOT NULL, locked_at INTEGER NOT NULL,"
	" lock_ends INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE INDEX stake_account ON stake(account, height);"
	"CREATE TABLE stake_left(id BLOB NOT NULL REFERENCES stake(id), height INTEGER NOT NULL,"
	" amount BLOB NOT NULL CHECK(length(amount) = 16), PRIMARY KEY(id, height)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE unbonding(due INTEGER NOT NULL, height INTEGER NOT NULL, id BLOB NOT NULL REFERENCES stake(id),"
	" amount BLOB NOT NULL CHECK(length(amount) = 16), PRIMARY KEY(due, height)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX unbonding_stake ON unbonding(id);"
	"CREATE TABLE burn(id INTEGER PRIMARY KEY CHECK(id = 0), rate_ppm INTEGER NOT NULL, epoch INTEGER NOT NULL,"
	" stepped_at INTEGER NOT NULL, issued BLOB NOT NULL CHECK(length(issued) = 16),"
	" burnt BLOB NOT NULL CHECK(length(burnt) = 16), spent BLOB NOT NULL CHECK(length(spent) = 16)) STRICT;";

/* 2: epochs, what they paid, claims */
static const char epochs[] =
	"CREATE TABLE epoch(epoch INTEGER PRIMARY KEY, height INTEGER NOT NULL UNIQUE, state INTEGER NOT NULL,"
	" measured INTEGER NOT NULL, reserve BLOB NOT NULL CHECK(length(reserve) = 16),"
	" total BLOB NOT NULL CHECK(length(total) = 16), root BLOB NOT NULL CHECK(length(root) = 32),"
	" evidence BLOB NOT NULL CHECK(length(evidence) = 32)) STRICT;"
	"CREATE TABLE measured(id INTEGER PRIMARY KEY CHECK(id = 0), epoch INTEGER NOT NULL, evidence BLOB NOT NULL) STRICT;"
	"CREATE TABLE due(relay BLOB NOT NULL CHECK(length(relay) = 32), epoch INTEGER NOT NULL,"
	" payout BLOB NOT NULL CHECK(length(payout) = 20), amount BLOB NOT NULL CHECK(length(amount) = 16),"
	" PRIMARY KEY(relay, epoch)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX due_payout ON due(payout, epoch);"
	"CREATE TABLE earning(account BLOB PRIMARY KEY CHECK(length(account) = 20), epoch INTEGER NOT NULL,"
	" total BLOB NOT NULL CHECK(length(total) = 16), claimed BLOB NOT NULL CHECK(length(claimed) = 16)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE claim(account BLOB NOT NULL, height INTEGER NOT NULL, epoch INTEGER NOT NULL,"
	" total BLOB NOT NULL CHECK(length(total) = 16), amount BLOB NOT NULL CHECK(length(amount) = 16),"
	" PRIMARY KEY(account, height)) STRICT, WITHOUT ROWID;";

/* 3: for how long relays run, under the policy anyone-1 */
static const char streaks[] =
	"CREATE TABLE streak(relay BLOB NOT NULL CHECK(length(relay) = 32), since INTEGER NOT NULL, last INTEGER NOT NULL,"
	" PRIMARY KEY(relay, since)) STRICT, WITHOUT ROWID;";

/*
 * 4: digests, found by their first four bytes, in a table of their own that takes many at a time (digest_index.c). An
 * index of the entries' table wrote a page for nearly every entry.
 */
static const char digests[] =
	"CREATE TABLE digest(prefix INTEGER NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY(prefix, idx)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE indexed(id INTEGER PRIMARY KEY CHECK(id = 0), size INTEGER NOT NULL) STRICT;"
	"INSERT INTO indexed SELECT 0, count(*) / 32768 * 32768 FROM entry;"
	"INSERT INTO digest SELECT prefix, idx FROM entry WHERE idx < (SELECT size FROM indexed) ORDER BY prefix, idx;"
	"DROP INDEX entry_prefix;"
	"ALTER TABLE entry DROP COLUMN prefix;";

static const char *const migrations[] = { first, epochs, streaks, digests };

const char *const schema_folded[] = {
	"account", "total", "posting", "nonce", "registration", "stake", "stake_left", "unbonding", "burn",
	"epoch", "measured", "due", "earning", "claim", "streak", "digest", "indexed", NULL,
};

enum { NEWEST = sizeof(migrations) / sizeof(migrations[0]) };

static int pragma(struct store *s, int64_t *ret, const char *sql)
{
	sqlite3_stmt *row;
	int r = store_prepare(s, &row, sql);

	if (r < 0)
		return r;
	if (store_next(s, row) != 1)
		r = ERR_IO;
	else
		*ret = sqlite3_column_int64(row, 0);
	store_drop(row);
	return r;
}

/* Which version it is of; 0 for an empty file. */
static int version(struct store *s, int64_t *ret, char why[STORE_WHY_CAP])
{
	int64_t id = 0, v = 0, tables = 0;
	int r = pragma(s, &id, "PRAGMA application_id");

	if (r == 0)
		r = pragma(s, &v, "PRAGMA user_version");
	if (r == 0)
		r = pragma(s, &tables, "SELECT count(*) FROM sqlite_schema");
	if (r < 0) {
		snprintf(why, STORE_WHY_CAP, "%s", store_error(s));
		return r;
	}
	if (id != APPLICATION_ID && (id || v || tables)) {
		snprintf(why, STORE_WHY_CAP, "this is a database, but not one of nonos' ledger");
		return ERR_MISMATCH;
	}
	if (v > NEWEST) {
		snprintf(why, STORE_WHY_CAP, "made by a newer version of nonos (its tables are of version %lld, this program knows %d); "
			 "use that version", (long long)v, NEWEST);
		return ERR_UNSUPPORTED;
	}
	*ret = v;
	return 0;
}

static int migrate(struct store *s, int64_t from)
{
	char text[64];
	int r = store_begin(s);

	for (int64_t v = from; v < NEWEST && r == 0; v++)
		r = store_exec(s, migrations[v]);
	snprintf(text, sizeof(text), "PRAGMA user_version = %d", NEWEST);
	if (r == 0)
		r = store_exec(s, text);
	snprintf(text, sizeof(text), "PRAGMA application_id = %d", APPLICATION_ID);
	if (r == 0)
		r = store_exec(s, text);
	if (r == 0)
		return store_commit(s);
	store_rollback(s);
	return r;
}

int schema_migrate(struct store *s, char why[STORE_WHY_CAP])
{
	int64_t v;
	int r = version(s, &v, why);

	if (r == 0 && v < NEWEST) {
		r = migrate(s, v);
		if (r < 0)
			snprintf(why, STORE_WHY_CAP, "%s", store_error(s));
	}
	return r;
}

int schema_check(struct store *s, char why[STORE_WHY_CAP])
{
	int64_t v;
	int r = version(s, &v, why);

	if (r == 0 && v < NEWEST) {
		snprintf(why, STORE_WHY_CAP, "%s; the daemon brings it up to date when it starts",
			 v ? "made by an older version of nonos" : "there is no ledger in it yet");
		return ERR_STATE;
	}
	return r;
}
