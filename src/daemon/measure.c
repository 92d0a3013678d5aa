#include "config.h"

#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>

#include "measure_priv.h"

/* Ids are told apart by age a day late, so that a consensus does not write every row of them. */
enum { SEEN_STEP_S = 86400 };

static const char *const migrations[] = {
	"CREATE TABLE consensus (valid_after INTEGER PRIMARY KEY, fresh_until INTEGER NOT NULL,"
	" digest BLOB NOT NULL, relays INTEGER NOT NULL, weight INTEGER NOT NULL) STRICT;"
	"CREATE TABLE relay (id INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL UNIQUE,"
	" seen INTEGER NOT NULL) STRICT;"
	"CREATE TABLE microdesc (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE,"
	" seen INTEGER NOT NULL, known INTEGER NOT NULL, ed25519 BLOB, members BLOB, keys BLOB) STRICT;"
	"CREATE INDEX microdesc_unknown ON microdesc (id) WHERE known = 0;"
	"CREATE TABLE sample (valid_after INTEGER NOT NULL REFERENCES consensus, relay INTEGER NOT NULL,"
	" weight INTEGER NOT NULL, flags INTEGER NOT NULL, network INTEGER NOT NULL, microdesc INTEGER,"
	" PRIMARY KEY (valid_after, relay)) STRICT, WITHOUT ROWID;",
	"CREATE TABLE document (valid_after INTEGER PRIMARY KEY, text BLOB NOT NULL) STRICT;",
};

enum { MIGRATIONS = sizeof(migrations) / sizeof(migrations[0]), APPLICATION_ID = 0x6e6f6d73 };

static const char *const statements[MEASURE_STATEMENTS] = {
	[ADD_CONSENSUS] = "INSERT INTO consensus VALUES (?1, ?2, ?3, ?4, ?5)",
	[GET_CONSENSUS] = "SELECT digest FROM consensus WHERE valid_after = ?1",
	[ADD_RELAY] = "INSERT INTO relay (fingerprint, seen) VALUES (?1, ?2)",
	[GET_RELAY] = "SELECT id, seen FROM relay WHERE fingerprint = ?1",
	[SEE_RELAY] = "UPDATE relay SET seen = ?2 WHERE id = ?1",
	[ADD_MICRODESC] = "INSERT INTO microdesc (digest, seen, known) VALUES (?1, ?2, 0)",
	[GET_MICRODESC] = "SELECT id, seen FROM microdesc WHERE digest = ?1",
	[SEE_MICRODESC] = "UPDATE microdesc SET seen = ?2 WHERE id = ?1",
	[ADD_SAMPLE] = "INSERT INTO sample VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[PRUNE_SAMPLE] = "DELETE FROM sample WHERE valid_after < ?1",
	[PRUNE_CONSENSUS] = "DELETE FROM consensus WHERE valid_after < ?1",
	[PRUNE_RELAY] = "DELETE FROM relay WHERE seen < ?1",
	[PRUNE_MICRODESC] = "DELETE FROM microdesc WHERE seen < ?1",
	[UNKNOWN_MICRODESCS] = "SELECT id, digest FROM microdesc WHERE known = 0 ORDER BY id",
	[KNOW_MICRODESC] = "UPDATE microdesc SET known = 1, ed25519 = ?2, members = ?3, keys = ?4 WHERE id = ?1",
	[COUNT_UNKNOWN] = "SELECT count(*) FROM sample s JOIN microdesc d ON d.id = s.microdesc"
		" WHERE s.valid_after = (SELECT max(valid_after) FROM consensus) AND d.known = 0",
	[READ_CONSENSUSES] = "SELECT valid_after, fresh_until, digest, relays, weight FROM consensus"
		" WHERE valid_after >= ?1 AND valid_after < ?2 ORDER BY valid_after",
	/* Rows come by consensus and in no order of fingerprints; measure_read.c sorts. */
	[READ_SAMPLES] = "SELECT relay, weight, flags, network, microdesc FROM sample"
		" WHERE valid_after >= ?1 AND valid_after < ?2 ORDER BY valid_after",
	[READ_RELAY] = "SELECT fingerprint FROM relay WHERE id = ?1",
	[READ_MICRODESC] = "SELECT digest, known, ed25519, members, keys FROM microdesc WHERE id = ?1",
	[READ_BEFORE] = "SELECT valid_after, weight FROM consensus WHERE valid_after >= ?1 AND valid_after < ?2"
		" ORDER BY valid_after DESC LIMIT 1",
	[READ_VANISHED] = "SELECT ifnull(sum(a.weight), 0) FROM sample a WHERE a.valid_after = ?1 AND a.flags & ?3"
		" AND NOT EXISTS (SELECT 1 FROM sample b WHERE b.valid_after = ?2 AND b.relay = a.relay AND b.flags & ?3)",
	[NEWEST] = "SELECT valid_after, fresh_until, digest, relays, weight FROM consensus"
		" ORDER BY valid_after DESC LIMIT 1",
	[DROP_SAMPLE] = "DELETE FROM sample WHERE valid_after = ?1",
	[DROP_CONSENSUS] = "DELETE FROM consensus WHERE valid_after = ?1",
	[DROP_DOCUMENT] = "DELETE FROM document WHERE valid_after = ?1",
	[ADD_DOCUMENT] = "INSERT INTO document SELECT ?1, ?2 WHERE (SELECT count(*) FROM document) < ?3",
	[GET_DOCUMENT] = "SELECT text FROM document WHERE valid_after = ?1",
	[LIST_DOCUMENTS] = "SELECT valid_after, digest FROM document JOIN consensus USING (valid_after) ORDER BY valid_after",
	[PRUNE_DOCUMENT] = "DELETE FROM document WHERE valid_after < ?1",
	[STATUS] = "SELECT count(*), (SELECT count(*) FROM relay), ifnull(min(valid_after), 0),"
		" ifnull(max(valid_after), 0) FROM consensus",
};

/* -- opening ------------------------------------------------------------------------ */

static int pragma_number(sqlite3 *db, const char *text, int64_t *ret)
{
	sqlite3_stmt *s = NULL;
	int r = ERR_IO;

	if (sqlite3_prepare_v2(db, text, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
		*ret = sqlite3_column_int64(s, 0);
		r = 0;
	}
	sqlite3_finalize(s);
	return r;
}

static int run(struct measure *m, const char *text)
{
	return sqlite3_exec(m->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : ERR_IO;
}

static int migrate_to(struct measure *m, int64_t version)
{
	char mark[96];
	int r = run(m, "BEGIN IMMEDIATE");

	if (r == 0)
		r = run(m, migrations[version]);
	snprintf(mark, sizeof(mark), "PRAGMA user_version = %d; PRAGMA application_id = %d", (int)version + 1,
		 APPLICATION_ID);
	if (r == 0)
		r = run(m, mark);
	if (r == 0)
		r = run(m, "COMMIT");
	if (r < 0)
		run(m, "ROLLBACK");
	return r;
}

/* A file that is not ours, or of a version that we do not know, is left alone. */
static int migrate(struct measure *m)
{
	int64_t version = 0, application = 0;
	int r = pragma_number(m->db, "PRAGMA user_version", &version);

	if (r == 0)
		r = pragma_number(m->db, "PRAGMA application_id", &application);
	if (r == 0 && (version > MIGRATIONS || version < 0 || (version > 0 && application != APPLICATION_ID)))
		r = ERR_STATE;
	for (; r == 0 && version < MIGRATIONS; version++)
		r = migrate_to(m, version);
	return r;
}

static int prepare_all(struct measure *m)
{
	for (int i = 0; i < MEASURE_STATEMENTS; i++)
		if (sqlite3_prepare_v3(m->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &m->statements[i], NULL) !=
		    SQLITE_OK)
			return ERR_IO;
	return 0;
}

static int open_file(struct measure *m, const char *path)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
	int r;

	if (sqlite3_open_v2(path, &m->db, flags, NULL) != SQLITE_OK)
		return ERR_IO;
	sqlite3_extended_result_codes(m->db, 1);
	sqlite3_busy_timeout(m->db, 2000);
	/* Nobody else has the file: no shared memory is needed, and none is left behind. */
	r = run(m, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		   "PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF");
	if (r == 0)
		r = migrate(m);
	if (r == 0)
		r = prepare_all(m);
	return r;
}

int measure_open(struct measure **ret, const char *data_dir, char *err, size_t err_cap)
{
	struct measure *m = mem_new(sizeof(*m));
	char *path = mem_printf("%s/measure.db", data_dir);
	int r = open_file(m, path);

	if (r == ERR_STATE)
		snprintf(err, err_cap, "%s is not a measurement of ours, or one of a newer version. Move it away: "
			 "measuring then begins anew.", path);
	else if (r < 0)
		snprintf(err, err_cap, "%s cannot be used: %s. When the disk is sound and not full, move it away: "
			 "measuring then begins anew.", path, m->db ? sqlite3_errmsg(m->db) : "out of memory");
	free(path);
	if (r < 0) {
		measure_close(m);
		return r;
	}
	*ret = m;
	return 0;
}

void measure_close(struct measure *m)
{
	if (!m)
		return;
	for (int i = 0; i < MEASURE_STATEMENTS; i++)
		sqlite3_finalize(m->statements[i]);
	sqlite3_close(m->db);
	free(m);
}

/* -- rows --------------------------------------------------------------------------- */

sqlite3_stmt *measure_bind(struct measure *m, enum measure_statement which, unsigned n, const int64_t *values)
{
	sqlite3_stmt *s = m->statements[which];

	for (unsigned i = 0; i < n; i++)
		sqlite3_bind_int64(s, (int)i + 1, values[i]);
	return s;
}

int measure_done(struct measure *m, sqlite3_stmt *s)
{
	int r = sqlite3_step(s);

	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	if (r == SQLITE_DONE)
		return 0;
	log_limited(LOG_LEVEL_ERROR, "The measurement cannot be written. error=\"%s\"", sqlite3_errmsg(m->db));
	return ERR_IO;
}

int measure_end(sqlite3_stmt *s, int step)
{
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return step == SQLITE_DONE || step == SQLITE_ROW ? 0 : ERR_IO;
}

static int do_numbers(struct measure *m, enum measure_statement which, unsigned n, const int64_t *values)
{
	return measure_done(m, measure_bind(m, which, n, values));
}

/* The row of an id in one of the two tables of ids, made when it is not there. */
static int find_id(struct measure *m, enum measure_statement get, const uint8_t *id, int len, int64_t now,
		   int64_t *ret)
{
	enum measure_statement add = get == GET_RELAY ? ADD_RELAY : ADD_MICRODESC;
	enum measure_statement see = get == GET_RELAY ? SEE_RELAY : SEE_MICRODESC;
	sqlite3_stmt *s = m->statements[get];
	int64_t row = 0, seen = 0;
	int step, r;

	sqlite3_bind_blob(s, 1, id, len, SQLITE_STATIC);
	step = sqlite3_step(s);
	if (step == SQLITE_ROW) {
		row = sqlite3_column_int64(s, 0);
		seen = sqlite3_column_int64(s, 1);
	}
	r = measure_end(s, step);
	if (r == 0 && step == SQLITE_ROW) {
		*ret = row;
		return seen + SEEN_STEP_S > now ? 0 : do_numbers(m, see, 2, (const int64_t[]){ row, now });
	}
	if (r < 0)
		return r;
	s = m->statements[add];
	sqlite3_bind_blob(s, 1, id, len, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, now);
	r = measure_done(m, s);
	if (r == 0)
		*ret = sqlite3_last_insert_rowid(m->db);
	return r;
}

/* -- taking a consensus --------------------------------------------------------------- */

/*
 * A weight that fewer than three authorities measured rests on what the relay says of its own bandwidth.
 * It counts for no more than authorities that measure would give it: the default of
 * "maxunmeasuredbw" (dir-spec, 3.8; param-spec).
 */
enum { UNMEASURED_WEIGHT_MAX = 20 };

static uint32_t believed_weight(const struct consensus_router *rt)
{
	return rt->unmeasured && rt->weight > UNMEASURED_WEIGHT_MAX ? UNMEASURED_WEIGHT_MAX : rt->weight;
}

static int add_sample(struct measure *m, int64_t when, const struct consensus_router *rt)
{
	int64_t relay, microdesc = 0;
	sqlite3_stmt *s;
	int r = find_id(m, GET_RELAY, rt->rsa_id, sizeof(rt->rsa_id), when, &relay);

	if (r == 0 && rt->has_digest)
		r = find_id(m, GET_MICRODESC, rt->digest, sizeof(rt->digest), when, &microdesc);
	if (r < 0)
		return r;
	s = measure_bind(m, ADD_SAMPLE, 5, (const int64_t[]){ when, relay, believed_weight(rt), rt->flags,
							      rt->ip[0] << 8 | rt->ip[1] });
	if (rt->has_digest)
		sqlite3_bind_int64(s, 6, microdesc);
	return measure_done(m, s);
}

static int add_consensus(struct measure *m, const struct consensus_facts *c)
{
	sqlite3_stmt *s = m->statements[ADD_CONSENSUS];
	uint64_t weight = 0;
	int r;

	/* 32-bit weights of a bounded number of relays: no sum of them overflows. */
	for (size_t i = 0; i < c->n_routers; i++)
		if (c->routers[i].flags & FLAG_RUNNING)
			weight += believed_weight(&c->routers[i]);
	sqlite3_bind_int64(s, 1, c->valid_after);
	sqlite3_bind_int64(s, 2, c->fresh_until);
	sqlite3_bind_blob(s, 3, c->digest, 32, SQLITE_STATIC);
	sqlite3_bind_int64(s, 4, (int64_t)c->n_routers);
	sqlite3_bind_int64(s, 5, (int64_t)weight);
	r = measure_done(m, s);
	for (size_t i = 0; r == 0 && i < c->n_routers; i++)
		r = add_sample(m, c->valid_after, &c->routers[i]);
	return r;
}

static int prune(struct measure *m, int64_t before)
{
	static const enum measure_statement rows[] = { PRUNE_SAMPLE, PRUNE_CONSENSUS, PRUNE_DOCUMENT };
	static const enum measure_statement ids[] = { PRUNE_RELAY, PRUNE_MICRODESC };
	int64_t seen = before - 2 * SEEN_STEP_S;
	int r = 0;

	for (size_t i = 0; r == 0 && i < 3; i++)
		r = do_numbers(m, rows[i], 1, &before);
	for (size_t i = 0; r == 0 && i < 2; i++)
		r = do_numbers(m, ids[i], 1, &seen);
	return r;
}

/* 0 when there is none of that time; ERR_AGAIN when there is one that has to give way. */
static int check_new(struct measure *m, int64_t valid_after, const uint8_t digest[32])
{
	sqlite3_stmt *s = measure_bind(m, GET_CONSENSUS, 1, &valid_after);
	int step = sqlite3_step(s), r, order;

	if (step == SQLITE_DONE) {
		r = 0;
	} else if (step != SQLITE_ROW) {
		r = ERR_IO;
	} else {
		order = sqlite3_column_bytes(s, 0) == 32 ? memcmp(digest, sqlite3_column_blob(s, 0), 32) : -1;
		r = order == 0 ? ERR_EXISTS : order < 0 ? ERR_AGAIN : ERR_MISMATCH;
	}
	sqlite3_reset(s);
	return r;
}

static int drop_consensus(struct measure *m, int64_t valid_after)
{
	static const enum measure_statement rows[] = { DROP_SAMPLE, DROP_DOCUMENT, DROP_CONSENSUS };
	int r = 0;

	log_error("Two consensuses of one time are signed by a majority each; the one with the lower digest counts. valid_after=%lld",
		  (long long)valid_after);
	for (size_t i = 0; r == 0 && i < 3; i++)
		r = do_numbers(m, rows[i], 1, &valid_after);
	return r;
}

bool measure_wants(struct measure *m, int64_t valid_after, const uint8_t digest[32])
{
	int r = check_new(m, valid_after, digest);

	return r == 0 || r == ERR_AGAIN;
}

int measure_consensus(struct measure *m, const struct consensus_facts *c, int64_t keep_s)
{
	bool instead;
	int r;

	if (c->flavour != FLAVOUR_MICRODESC)
		return ERR_UNSUPPORTED;
	r = check_new(m, c->valid_after, c->digest);
	instead = r == ERR_AGAIN;
	if (r < 0 && !instead)
		return r;
	if (run(m, "BEGIN IMMEDIATE") < 0)
		return ERR_IO;
	r = instead ? drop_consensus(m, c->valid_after) : 0;
	if (r == 0)
		r = add_consensus(m, c);
	if (r == 0)
		r = prune(m, c->valid_after - keep_s);
	if (r == 0)
		r = run(m, "COMMIT");
	if (r < 0)
		run(m, "ROLLBACK");
	return r;
}

/* -- microdescriptors ------------------------------------------------------------------ */

static int know_microdesc(struct measure *m, int64_t id, const struct microdesc_facts *f)
{
	sqlite3_stmt *s = measure_bind(m, KNOW_MICRODESC, 1, &id);

	if (f->has_ed_id)
		sqlite3_bind_blob(s, 2, f->ed_id, sizeof(f->ed_id), SQLITE_STATIC);
	sqlite3_bind_blob(s, 3, f->members, (int)(f->n_members * sizeof(f->members[0])), SQLITE_STATIC);
	sqlite3_bind_blob(s, 4, f->keys, (int)(f->n_keys * sizeof(f->keys[0])), SQLITE_STATIC);
	return measure_done(m, s);
}

struct unknown {
	int64_t id;
	uint8_t digest[32];
};

static int list_unknown(struct measure *m, struct unknown **ret, size_t *ret_n)
{
	sqlite3_stmt *s = m->statements[UNKNOWN_MICRODESCS];
	struct unknown *v = NULL;
	size_t n = 0, cap = 0;
	int step;

	while ((step = sqlite3_step(s)) == SQLITE_ROW) {
		if (sqlite3_column_bytes(s, 1) != 32)
			continue;
		if (n == cap) {
			cap = cap ? cap * 2 : 256;
			v = mem_resize(v, cap, sizeof(*v));
		}
		v[n].id = sqlite3_column_int64(s, 0);
		memcpy(v[n++].digest, sqlite3_column_blob(s, 1), 32);
	}
	*ret = v;
	*ret_n = n;
	return measure_end(s, step);
}

static int count_unknown(struct measure *m, size_t *ret)
{
	sqlite3_stmt *s = m->statements[COUNT_UNKNOWN];
	int step = sqlite3_step(s);
	size_t n = step == SQLITE_ROW ? (size_t)sqlite3_column_int64(s, 0) : 0;
	int r = measure_end(s, step);

	if (r == 0)
		*ret = n;
	return r;
}

int measure_microdescs(struct measure *m, int (*find)(void *arg, struct microdesc_facts *ret, const uint8_t digest[32]),
		       void *arg, size_t *ret_missing)
{
	struct microdesc_facts *facts = mem_new(sizeof(*facts));
	struct unknown *list = NULL;
	bool begun = false;
	size_t n = 0;
	int r = list_unknown(m, &list, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		int found = find(arg, facts, list[i].digest);

		/* One that cannot be read says nothing, to every node alike. */
		if (found == ERR_MALFORMED)
			memset(facts, 0, sizeof(*facts));
		else if (found < 0)
			continue;
		if (!begun)
			r = run(m, "BEGIN IMMEDIATE");
		begun = true;
		if (r == 0)
			r = know_microdesc(m, list[i].id, facts);
	}
	if (begun && r == 0)
		r = run(m, "COMMIT");
	if (begun && r < 0)
		run(m, "ROLLBACK");
	if (r == 0)
		r = count_unknown(m, ret_missing);
	free(list);
	free(facts);
	return r;
}
