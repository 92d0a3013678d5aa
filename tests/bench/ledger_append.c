/*
 * What the ledger adds to its raw cost: entries appended with all checks and a
 * durable commit every 100, against a signature check and a row of SQLite for
 * each, committed as often; both in this run, on the same disk, in turns. Then
 * the replay, on all cores and on one, against the signature checks in it, one after
 * the other on one core just before and after; and the memory of all.
 *
 *	ledger_append [ENTRIES [DIRECTORY]]		20000, the current directory
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include <nonos/clock.h>
#include <nonos/crypto.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/ledger.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/typed.h>

enum { T0 = 1800000000, BATCH = 100, TURNS = 5, ACCOUNTS = 1000 };

struct object {
	char *text;
	size_t len;
	uint8_t digest[KECCAK256_LEN], sig[ETH_SIG_LEN];
};

static char dir[512];

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
	fprintf(stderr, "ledger_append: %s: %s\n", what, why);
	exit(1);
}

/* What something took: on the wall, which on a busy machine says little, and of the processor. */
struct took {
	double wall, cpu;
};

static double read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The clock that the ledger sees stands still. */
static struct took start(void)
{
	return (struct took){ read_clock(CLOCK_MONOTONIC), read_clock(CLOCK_PROCESS_CPUTIME_ID) };
}

static void stop(struct took *total, struct took since)
{
	total->wall += read_clock(CLOCK_MONOTONIC) - since.wall;
	total->cpu += read_clock(CLOCK_PROCESS_CPUTIME_ID) - since.cpu;
}

static const char *path_of(const char *name)
{
	static char path[4][600];
	static unsigned next;
	char *out = path[next++ % 4];

	snprintf(out, sizeof(path[0]), "%s/%s", dir, name);
	return out;
}

static long rss_kib(void)
{
	long pages = 0, shared;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%*d %ld %ld", &pages, &shared) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* The most since the last reset_peak(). */
static long peak_kib(void)
{
	char line[128];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && kib == 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %ld", &kib) != 1)
			kib = 0;
	if (f)
		fclose(f);
	return kib;
}

static void reset_peak(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "w");

	if (f) {
		fputs("5", f);
		fclose(f);
	}
}

/* -- what is appended ---------------------------------------------------------------- */

static uint8_t secret[ETH_SECRET_LEN];
static struct eth_addr payer;

static struct genesis *make_genesis(void)
{
	char log[GENESIS_LOG_CAP], why[LEDGER_WHY_CAP], *text;
	struct genesis *g;
	json_t *doc;
	size_t len;

	keccak256(secret, "payer", 5);
	if (eth_addr_of_secret(&payer, secret) < 0 || ledger_key(log, path_of("writer.key"), "bench", why) < 0)
		die("key", why);
	doc = genesis_usual("bench", T0, &payer, &payer, log);
	if (jcs_write(&text, &len, doc) < 0 || genesis_read(&g, why, text, len) < 0)
		die("genesis", why);
	json_decref(doc);
	free(text);
	return g;
}

/* Transfer i of one payer to one of many accounts. */
static void make_object(struct object *o, const struct genesis *g, size_t i)
{
	char from[ETH_ADDR_TEXT_CAP], to[ETH_ADDR_TEXT_CAP], why[TYPED_WHY_CAP], hex[2 * ETH_SIG_LEN + 3] = "0x";
	struct eth_addr payee = { { 1, (uint8_t)(i % ACCOUNTS >> 8), (uint8_t)(i % ACCOUNTS) } };
	struct typed_hashes h;
	json_t *doc;

	eth_addr_text(from, &payer);
	eth_addr_text(to, &payee);
	doc = json_pack("{s:o,s:s,s:{s:s,s:s,s:s,s:o,s:s}}", "domain", genesis_domain(g), "primaryType", "Transfer", "message", "from",
			from, "to", to, "amount", "1000000000000000", "nonce", json_sprintf("%zu", i), "validUntil", "2000000000");
	if (typed_hash(&h, why, doc) < 0 || eth_sig_sign(o->sig, secret, h.digest) < 0)
		die("object", why);
	memcpy(o->digest, h.digest, sizeof(o->digest));
	hex_encode(hex + 2, o->sig, ETH_SIG_LEN);
	json_object_del(doc, "domain");
	json_object_set_new(doc, "signatures", json_pack("[s]", hex));
	jcs_write(&o->text, &o->len, doc);
	json_decref(doc);
}

/* -- the two ways ------------------------------------------------------------------------ */

static sqlite3 *raw_open(sqlite3_stmt **ret)
{
	sqlite3 *db;

	if (sqlite3_open(path_of("raw.db"), &db) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			 "CREATE TABLE entry(idx INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "INSERT INTO entry(body) VALUES(?)", -1, ret, NULL) != SQLITE_OK)
		die("sqlite", sqlite3_errmsg(db));
	return db;
}

static void raw_append(struct took *total, sqlite3 *db, sqlite3_stmt *insert, const struct object *o, size_t n)
{
	struct took since = start();

	for (size_t i = 0; i < n; i++) {
		if (i % BATCH == 0)
			sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
		if (eth_sig_verify(&payer, o[i].digest, o[i].sig, ETH_SIG_LEN) < 0)
			die("raw", "a signature is bad");
		sqlite3_bind_blob(insert, 1, o[i].text, (int)o[i].len, SQLITE_STATIC);
		if (sqlite3_step(insert) != SQLITE_DONE)
			die("raw", sqlite3_errmsg(db));
		sqlite3_reset(insert);
		if (((i + 1) % BATCH == 0 || i + 1 == n) && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
			die("raw", sqlite3_errmsg(db));
	}
	stop(total, since);
}

static void submit_all(struct took *total, struct ledger *l, const struct object *o, size_t n)
{
	struct took since = start();

	for (size_t i = 0; i < n; i++) {
		struct ledger_receipt receipt;
		struct ledger_refusal refusal;

		if (ledger_submit_text(l, &receipt, &refusal, o[i].text, o[i].len) < 0)
			die("submit", refusal.code ? refusal.why : ledger_error(l));
		if (((i + 1) % BATCH == 0 || i + 1 == n) && ledger_commit(l) < 0)
			die("commit", ledger_error(l));
	}
	stop(total, since);
}

static void check_all(struct took *total, const struct object *o, size_t n)
{
	struct took since = start();

	for (size_t i = 0; i < n; i++)
		if (eth_sig_verify(&payer, o[i].digest, o[i].sig, ETH_SIG_LEN) < 0)
			die("raw", "a signature is bad");
	stop(total, since);
}

/* -- main ---------------------------------------------------------------------------------- */

static struct ledger *open_ledger(const struct genesis *g, enum ledger_mode mode)
{
	struct ledger_options o = { .path = path_of("ledger.db"), .mode = mode, .genesis = g,
				    .key_path = mode == LEDGER_READ ? NULL : path_of("writer.key") };
	char why[LEDGER_WHY_CAP];
	struct ledger *l;

	if (ledger_open(&l, &o, why) < 0)
		die("open", why);
	return l;
}

/* `some` of the `n` objects, to check between. */
static void replay(const struct genesis *g, size_t n, const struct object *some, size_t n_some, int cores)
{
	struct took took = { 0 }, checks = { 0 }, since;
	double part = (double)n / (2 * (double)n_some);
	struct ledger_report report;
	long before = rss_kib();
	struct ledger *l;

	check_all(&checks, some, n_some);
	reset_peak();
	since = start();
	l = open_ledger(g, LEDGER_READ);
	if (ledger_verify(l, &report, NULL, NULL) < 0)
		die("verify", report.first);
	ledger_close(l);
	stop(&took, since);
	check_all(&checks, some, n_some);
	printf("replay on %d core%s %6.0f entries/s, %.2f times its signature checks alone on one core; they are %.0f %% of its "
	       "processor time; RSS %ld KiB before, %ld at most\n", cores, cores == 1 ? " " : "s", (double)n / took.wall,
	       took.wall / (checks.wall * part), 100 * checks.cpu * part / took.cpu, before, peak_kib());
}

static void replay_both(const struct genesis *g, size_t n, const struct object *some, size_t n_some)
{
	cpu_set_t all, one;
	int cores, i = 0;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		die("cores", "they cannot be counted");
	cores = CPU_COUNT(&all);
	replay(g, n, some, n_some, cores);
	while (!CPU_ISSET(i, &all))
		i++;
	CPU_ZERO(&one);
	CPU_SET(i, &one);
	if (cores > 1 && sched_setaffinity(0, sizeof(one), &one) == 0)
		replay(g, n, some, n_some, 1);
}

static void remove_files(void)
{
	static const char *const names[] = { "raw.db", "raw.db-wal", "raw.db-shm", "ledger.db", "ledger.db-wal", "ledger.db-shm",
					     "ledger.db.copy", "ledger.db.lock", "writer.key" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	rmdir(dir);
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000, slice = n / TURNS;
	struct took raw_total = { 0 }, total = { 0 };
	struct object *objects;
	struct genesis *g;
	struct ledger *l;
	sqlite3_stmt *insert;
	sqlite3 *raw;

	snprintf(dir, sizeof(dir), "%.400s/bench-XXXXXX", argc > 2 ? argv[2] : ".");
	if (slice == 0 || !mkdtemp(dir) || crypto_init() < 0)
		die("start", "ENTRIES too small, or DIRECTORY cannot be written");
	log_set_level(LOG_LEVEL_ERROR);
	clock_set_manual(1, T0 + 60);
	g = make_genesis();
	l = open_ledger(g, LEDGER_CREATE);
	raw = raw_open(&insert);
	objects = mem_new_array(slice, sizeof(*objects));
	printf("%d turns of %zu entries, a durable commit every %d\n", TURNS, slice, BATCH);
	for (int turn = 0; turn < TURNS; turn++) {
		struct took a = { 0 }, b = { 0 };

		for (size_t i = 0; i < slice; i++)
			make_object(&objects[i], g, (size_t)turn * slice + i);
		raw_append(&a, raw, insert, objects, slice);
		submit_all(&b, l, objects, slice);
		printf("turn %d   raw %6.0f entries/s, %5.1f us of processor   ledger %6.0f, %5.1f us   RSS %ld KiB\n", turn + 1,
		       (double)slice / a.wall, a.cpu / (double)slice * 1e6, (double)slice / b.wall, b.cpu / (double)slice * 1e6, rss_kib());
		raw_total.wall += a.wall;
		raw_total.cpu += a.cpu;
		total.wall += b.wall;
		total.cpu += b.cpu;
		for (size_t i = 0; i < slice; i++)
			free(objects[i].text);
	}
	printf("append   %8.0f entries/s, %.0f %% of raw (signature check and insert); %.0f %% by processor time\n",
	       (double)(slice * TURNS) / total.wall, 100 * raw_total.wall / total.wall, 100 * raw_total.cpu / total.cpu);
	ledger_close(l);
	sqlite3_finalize(insert);
	sqlite3_close(raw);
	replay_both(g, slice * TURNS, objects, slice);
	free(objects);
	genesis_free(g);
	remove_files();
	return 0;
}
