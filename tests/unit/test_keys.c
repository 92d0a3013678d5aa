#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/crypto.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/keys.h>
#include <nonos/link_auth.h>
#include <nonos/mem.h>
#include <nonos/relay.h>
#include <nonos/secret.h>

#include "../../relay/key_file.h"

enum { NOW = 1795323600, DAY = 86400 };

static char err[512];

/* -- a scratch directory per test -------------------------------------------- */

static char *root;

static void remove_tree(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char *child = mem_printf("%s/%s", path, e->d_name);

		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlink(child) < 0)
			remove_tree(child);
		free(child);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static int scratch_make(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	root = mem_printf("%s/nonos-keys-XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(root) ? 0 : -1;
}

static int scratch_remove(void **state)
{
	(void)state;
	remove_tree(root);
	free(root);
	return 0;
}

/* Path below the scratch directory, in one of four rotating buffers. */
static const char *in_root(const char *fmt, ...)
{
	static char paths[4][512];
	static unsigned turn;
	char *out = paths[turn++ % 4];
	size_t n = (size_t)snprintf(out, sizeof(paths[0]), "%s/", root);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out + n, sizeof(paths[0]) - n, fmt, ap);
	va_end(ap);
	return out;
}

static size_t read_file(const char *path, void *out, size_t cap)
{
	FILE *f = fopen(path, "rb");
	size_t len;

	if (!f)
		fail_msg("cannot open %s", path);
	len = fread(out, 1, cap, f);
	fclose(f);
	return len;
}

static void write_file(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static void copy_file(const char *to, const char *from)
{
	uint8_t data[4096];

	write_file(to, data, read_file(from, data, sizeof(data)));
}

static const char *const all_files[] = {
	"secret_id_key", "secret_onion_key", "secret_onion_key_ntor", "ed25519_master_id_secret_key",
	"ed25519_master_id_public_key", "ed25519_signing_secret_key", "ed25519_signing_cert",
};

/* The data directory that tor 0.4.9.11 made, as `name`. */
static void copy_tor_dir(const char *name)
{
	assert_int_equal(mkdir(in_root("%s", name), 0700), 0);
	assert_int_equal(mkdir(in_root("%s/keys", name), 0700), 0);
	for (size_t i = 0; i < sizeof(all_files) / sizeof(all_files[0]); i++) {
		char *from = mem_printf("%s/tor-0.4.9.11/keys/%s", getenv("TEST_VECTORS"), all_files[i]);

		copy_file(in_root("%s/keys/%s", name, all_files[i]), from);
		free(from);
	}
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static int reopen(struct relay_keys **k, const char *name, int64_t now)
{
	keys_free(*k);
	*k = NULL;
	err[0] = '\0';
	return keys_open(k, in_root("%s", name), now, err, sizeof(err));
}

static int setup(void **state)
{
	(void)state;
	return crypto_init();
}

/* -- opening ------------------------------------------------------------------- */

static void test_fresh(void **state)
{
	static const struct { const char *name; size_t len; const char *start; } formats[] = {
		{ "secret_id_key", 0, "-----BEGIN RSA PRIVATE KEY-----\n" },
		{ "secret_onion_key", 0, "-----BEGIN RSA PRIVATE KEY-----\n" },
		{ "secret_onion_key_ntor", 96, "== c25519v1: onion ==" },
		{ "ed25519_master_id_secret_key", 96, "== ed25519v1-secret: type0 ==" },
		{ "ed25519_master_id_public_key", 64, "== ed25519v1-public: type0 ==" },
		{ "ed25519_signing_secret_key", 96, "== ed25519v1-secret: type4 ==" },
		{ "ed25519_signing_cert", 172, "== ed25519v1-cert: type4 ==" },
	};
	uint8_t rsa_id[20], ed_id[32], ntor[32];
	struct relay_keys *k = NULL;
	struct onion_keys onion;
	struct stat st;

	(void)state;
	assert_int_equal(reopen(&k, "data", NOW), 0);
	memcpy(rsa_id, keys_rsa_id(k), 20);
	memcpy(ed_id, keys_ed_id(k), 32);
	keys_onion(&onion, k);
	assert_int_equal(onion.count, 1);
	memcpy(ntor, onion.secret[0], 32);
	assert_false(keys_master_is_offline(k));
	assert_in_range(keys_signing_expires(k), NOW + 30 * DAY, NOW + 30 * DAY + 3600);
	assert_int_equal(keys_onion_rotates(k), NOW + 28 * DAY);

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		const char *path = in_root("data/keys/%s", formats[i].name);
		uint8_t data[4096], tag[32] = { 0 };
		size_t len = read_file(path, data, sizeof(data));

		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		if (!formats[i].len) {
			assert_memory_equal(data, formats[i].start, strlen(formats[i].start));
			continue;
		}
		memcpy(tag, formats[i].start, strlen(formats[i].start));
		assert_memory_equal(data, tag, sizeof(tag));
		assert_int_equal(len, formats[i].len);
	}
	assert_int_equal(stat(in_root("data/keys"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_false(exists(in_root("data/keys.new")));

	assert_int_equal(reopen(&k, "data", NOW + DAY), 0);
	assert_memory_equal(keys_rsa_id(k), rsa_id, 20);
	assert_memory_equal(keys_ed_id(k), ed_id, 32);
	assert_int_equal(keys_onion_rotates(k), NOW + 28 * DAY);
	keys_onion(&onion, k);
	assert_memory_equal(onion.secret[0], ntor, 32);
	keys_free(k);
}

static void test_of_tor(void **state)
{
	char hex[41], text[128];
	struct relay_keys *k = NULL;

	(void)state;
	copy_tor_dir("data");
	assert_int_equal(reopen(&k, "data", NOW), 0);
	hex_encode_upper(hex, keys_rsa_id(k), 20);
	assert_string_equal(hex, "1CA7D10F14F95D7478CE912D187BDF1FB6541F7A");
	base64_encode(text, keys_ed_id(k), 32, false);
	assert_string_equal(text, "SUGKvl5ue2HHXvCN81fdPGelZ2WYnaLMcMcVO49gZAY");
	assert_int_equal(keys_write_fingerprints(k, "abc"), 0);
	text[read_file(in_root("data/fingerprint"), text, sizeof(text) - 1)] = '\0';
	assert_string_equal(text, "abc 1CA7D10F14F95D7478CE912D187BDF1FB6541F7A\n");
	text[read_file(in_root("data/fingerprint-ed25519"), text, sizeof(text) - 1)] = '\0';
	assert_string_equal(text, "abc SUGKvl5ue2HHXvCN81fdPGelZ2WYnaLMcMcVO49gZAY\n");
	keys_free(k);
}

/* The keys are gone, but not the trace of them: no new identity unless the operator says so. */
static void test_lost_keys(void **state)
{
	struct relay_keys *k = NULL;

	(void)state;
	copy_tor_dir("data");
	assert_int_equal(reopen(&k, "data", NOW), 0);
	assert_int_equal(keys_write_fingerprints(k, "abc"), 0);
	remove_tree(in_root("data/keys"));
	assert_int_equal(reopen(&k, "data", NOW), ERR_STATE);
	assert_non_null(strstr(err, "backup"));
	assert_false(exists(in_root("data/keys")));
	assert_int_equal(unlink(in_root("data/fingerprint")), 0);
	assert_int_equal(reopen(&k, "data", NOW), 0);
	keys_free(k);
}

/* Any set of the seven files taken away: refused, or the same identity. */
static void test_missing_files(void **state)
{
	enum { ID = 1, TAP = 2, NTOR = 4, MASTER = 8, PUBLIC = 16, SIGNING = 32, CERT = 64 };
	uint8_t rsa_id[20], ed_id[32];
	struct relay_keys *k = NULL;

	(void)state;
	copy_tor_dir("tor");
	assert_int_equal(reopen(&k, "tor", NOW), 0);
	memcpy(rsa_id, keys_rsa_id(k), 20);
	memcpy(ed_id, keys_ed_id(k), 32);
	for (unsigned have = 0; have < 128; have++) {
		bool identity = have & ID && have & (MASTER | PUBLIC | CERT);
		bool signing = have & MASTER || (have & SIGNING && have & CERT);
		bool nothing = !(have & (ID | MASTER | PUBLIC | SIGNING | CERT));
		int r;

		/* Making RSA keys is slow: only a few of those that end in one. */
		if (!(have & TAP) && have != 124 && have != 127 - TAP && have != 0)
			continue;
		copy_tor_dir("data");
		for (unsigned i = 0; i < 7; i++)
			if (!(have >> i & 1))
				unlink(in_root("data/keys/%s", all_files[i]));
		r = reopen(&k, "data", NOW);
		if (nothing) {
			/* An onion key alone is not ours to delete. */
			assert_int_equal(r, have ? ERR_SYSTEM : 0);
		} else if (!identity) {
			assert_int_equal(r, ERR_STATE);
			assert_true(strlen(err) > 20);
		} else if (!signing) {
			assert_int_equal(r, ERR_NOT_FOUND);
			assert_non_null(strstr(err, "--keygen"));
		} else {
			assert_int_equal(r, 0);
			assert_memory_equal(keys_rsa_id(k), rsa_id, 20);
			assert_memory_equal(keys_ed_id(k), ed_id, 32);
			assert_int_equal(keys_master_is_offline(k), !(have & MASTER));
			assert_true(exists(in_root("data/keys/ed25519_master_id_public_key")));
			assert_true(exists(in_root("data/keys/secret_onion_key_ntor")));
		}
		if (r < 0)	/* nothing was written */
			for (unsigned i = 0; i < 7; i++)
				assert_int_equal(exists(in_root("data/keys/%s", all_files[i])), have >> i & 1);
		remove_tree(in_root("data"));
	}
	keys_free(k);
}

/* Files cut short, grown or spoilt: an error that names the file, or a key made anew. */
static void test_spoilt_files(void **state)
{
	struct relay_keys *k = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(all_files) / sizeof(all_files[0]); i++) {
		bool renewable = strncmp(all_files[i], "ed25519_signing", 15) == 0;

		for (int how = 0; how < 4; how++) {
			const char *path;
			uint8_t data[8192];
			size_t len;
			int r;

			copy_tor_dir("data");
			path = in_root("data/keys/%s", all_files[i]);
			len = read_file(path, data, sizeof(data));
			if (how == 0)
				len /= 2;
			else if (how == 1)
				data[len++] = 'x';
			else if (how == 2)
				data[40] ^= 1;
			else
				len = sizeof(data);
			write_file(path, data, len);
			r = reopen(&k, "data", NOW);
			if (renewable) {
				assert_int_equal(r, 0);
			} else if (r == 0) {
				/* A flipped bit of a lone Ed25519 secret only shows in its public key. */
				fail_msg("%s spoilt (%d) went unnoticed", all_files[i], how);
			} else if (!strstr(err, "master_id") && !strstr(err, all_files[i])) {
				fail_msg("%s: %s", all_files[i], err);
			}
			remove_tree(in_root("data"));
		}
	}
	keys_free(k);
}

static void test_permissions(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0777 };
	struct relay_keys *k = NULL;

	(void)state;
	copy_tor_dir("data");
	for (size_t i = 0; i < sizeof(all_files) / sizeof(all_files[0]); i++) {
		if (strstr(all_files[i], "public") || strstr(all_files[i], "cert"))
			continue;
		for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
			assert_int_equal(chmod(in_root("data/keys/%s", all_files[i]), modes[m]), 0);
			assert_int_equal(reopen(&k, "data", NOW), ERR_PERMISSION);
			assert_non_null(strstr(err, all_files[i]));
		}
		assert_int_equal(chmod(in_root("data/keys/%s", all_files[i]), 0600), 0);
	}
	assert_int_equal(chmod(in_root("data/keys"), 0755), 0);
	assert_int_equal(reopen(&k, "data", NOW), ERR_PERMISSION);
	assert_int_equal(chmod(in_root("data/keys"), 0700), 0);
	assert_int_equal(reopen(&k, "data", NOW), 0);
	/* A FIFO must not hold up the start. */
	assert_int_equal(unlink(in_root("data/keys/secret_id_key")), 0);
	assert_int_equal(mkfifo(in_root("data/keys/secret_id_key"), 0600), 0);
	assert_int_equal(reopen(&k, "data", NOW), ERR_PERMISSION);
	keys_free(k);
}

/* -- schedule -------------------------------------------------------------------- */

static void test_onion_schedule(void **state)
{
	struct onion_keys first, second;
	struct relay_keys *k = NULL;
	int changed;

	(void)state;
	assert_int_equal(reopen(&k, "data", NOW), 0);
	keys_onion(&first, k);
	assert_false(keys_old_onion_in_use(k, NOW));
	assert_int_equal(keys_maintain(k, NOW + 28 * DAY - 1, &changed), 0);
	assert_int_equal(changed, KEYS_CHANGED_SIGNING & changed);
	assert_int_equal(keys_maintain(k, NOW + 28 * DAY, &changed), 0);
	assert_true(changed & KEYS_CHANGED_ONION);
	keys_onion(&second, k);
	assert_int_equal(second.count, 2);
	assert_memory_equal(second.secret[1], first.secret[0], 32);
	assert_memory_not_equal(second.secret[0], first.secret[0], 32);
	assert_int_equal(keys_onion_rotates(k), NOW + 56 * DAY);
	assert_true(keys_old_onion_in_use(k, NOW + 29 * DAY - 1));
	assert_false(keys_old_onion_in_use(k, NOW + 29 * DAY));

	/* The same after a restart, for seven days. */
	assert_int_equal(reopen(&k, "data", NOW + 34 * DAY), 0);
	keys_onion(&first, k);
	assert_int_equal(first.count, 2);
	assert_memory_equal(first.secret, second.secret, sizeof(first.secret));
	assert_int_equal(keys_onion_rotates(k), NOW + 56 * DAY);
	assert_int_equal(keys_maintain(k, NOW + 35 * DAY, &changed), 0);
	assert_int_equal(changed, KEYS_CHANGED_OLD_ONION);
	keys_onion(&first, k);
	assert_int_equal(first.count, 1);
	assert_false(exists(in_root("data/keys/secret_onion_key_ntor.old")));
	assert_false(exists(in_root("data/keys/secret_onion_key.old")));
	assert_int_equal(keys_maintain(k, NOW + 35 * DAY, &changed), 0);
	assert_int_equal(changed, 0);

	assert_int_equal(keys_rotate_onion(k, NOW + 36 * DAY), 0);
	assert_int_equal(keys_onion_rotates(k), NOW + 64 * DAY);
	/* The clock turns out to have been wrong. */
	assert_int_equal(keys_maintain(k, NOW + 2 * DAY, &changed), 0);
	assert_int_equal(keys_onion_rotates(k), NOW + 30 * DAY);
	keys_free(k);
}

static void test_onion_age(void **state)
{
	struct timespec times[2] = { { .tv_sec = NOW - 20 * DAY }, { .tv_sec = NOW - 20 * DAY } };
	struct relay_keys *k = NULL;
	const char *ntor = "data/keys/secret_onion_key_ntor";

	(void)state;
	copy_tor_dir("data");	/* tor has no onion_rotated: the file's time counts */
	assert_int_equal(utimensat(AT_FDCWD, in_root("%s", ntor), times, 0), 0);
	assert_int_equal(reopen(&k, "data", NOW), 0);
	assert_int_equal(keys_onion_rotates(k), NOW + 8 * DAY);
	/* Times in the future must not put off the rotation. */
	times[1].tv_sec = NOW + 500 * DAY;
	assert_int_equal(utimensat(AT_FDCWD, in_root("%s", ntor), times, 0), 0);
	assert_int_equal(reopen(&k, "data", NOW), 0);
	assert_int_equal(keys_onion_rotates(k), NOW + 28 * DAY);
	/* Ours counts, as long as it speaks of this key. */
	assert_int_equal(keys_rotate_onion(k, NOW + DAY), 0);
	assert_int_equal(reopen(&k, "data", NOW + 2 * DAY), 0);
	assert_int_equal(keys_onion_rotates(k), NOW + 29 * DAY);
	times[1].tv_sec = NOW;
	copy_tor_dir("other");
	copy_file(in_root("%s", ntor), in_root("other/keys/secret_onion_key_ntor"));
	assert_int_equal(utimensat(AT_FDCWD, in_root("%s", ntor), times, 0), 0);
	assert_int_equal(reopen(&k, "data", NOW + 2 * DAY), 0);
	assert_int_equal(keys_onion_rotates(k), NOW + 28 * DAY);
	write_file(in_root("data/keys/onion_rotated"), "garbage", 7);
	assert_int_equal(reopen(&k, "data", NOW + 2 * DAY), 0);
	assert_int_equal(keys_onion_rotates(k), NOW + 28 * DAY);
	keys_free(k);
}

static void test_signing_schedule(void **state)
{
	struct relay_keys *k = NULL;
	int64_t expires;
	int changed;

	(void)state;
	assert_int_equal(reopen(&k, "data", NOW), 0);
	expires = keys_signing_expires(k);
	assert_int_equal(keys_maintain(k, expires - 2 * DAY, &changed), 0);
	assert_int_equal(keys_signing_expires(k), expires);
	assert_int_equal(keys_maintain(k, expires - 2 * DAY + 1, &changed), 0);
	assert_true(changed & KEYS_CHANGED_SIGNING);
	assert_true(keys_signing_expires(k) > expires + 27 * DAY);
	expires = keys_signing_expires(k);
	assert_int_equal(reopen(&k, "data", NOW + 40 * DAY), 0);
	assert_int_equal(keys_signing_expires(k), expires);
	/* Switched off for months: made anew on opening. */
	assert_int_equal(reopen(&k, "data", NOW + 400 * DAY), 0);
	assert_true(keys_signing_expires(k) >= NOW + 430 * DAY);
	keys_free(k);
}

static void test_offline_master(void **state)
{
	struct relay_keys *k = NULL, *home = NULL;
	int64_t expires;
	int changed;

	(void)state;
	assert_int_equal(reopen(&home, "home", NOW), 0);
	assert_int_equal(mkdir(in_root("data"), 0700), 0);
	assert_int_equal(mkdir(in_root("data/keys"), 0700), 0);
	for (size_t i = 0; i < sizeof(all_files) / sizeof(all_files[0]); i++)
		if (!strstr(all_files[i], "master_id_secret"))
			copy_file(in_root("data/keys/%s", all_files[i]), in_root("home/keys/%s", all_files[i]));
	write_file(in_root("data/keys/ed25519_master_id_secret_key_encrypted"), "boxed", 5);
	assert_int_equal(reopen(&k, "data", NOW + DAY), 0);
	assert_true(keys_master_is_offline(k));
	assert_memory_equal(keys_ed_id(k), keys_ed_id(home), 32);
	expires = keys_signing_expires(k);
	assert_int_equal(keys_maintain(k, NOW + 29 * DAY, &changed), 0);
	assert_int_equal(changed & KEYS_CHANGED_SIGNING, 0);
	assert_int_equal(keys_signing_expires(k), expires);

	/* The operator brings a new one while we run, file by file. */
	assert_int_equal(keys_maintain(home, NOW + 29 * DAY, &changed), 0);
	copy_file(in_root("data/keys/ed25519_signing_secret_key"), in_root("home/keys/ed25519_signing_secret_key"));
	assert_int_equal(keys_maintain(k, NOW + 29 * DAY, &changed), 0);
	assert_int_equal(changed & KEYS_CHANGED_SIGNING, 0);
	copy_file(in_root("data/keys/ed25519_signing_cert"), in_root("home/keys/ed25519_signing_cert"));
	assert_int_equal(keys_maintain(k, NOW + 29 * DAY, &changed), 0);
	assert_int_equal(changed, KEYS_CHANGED_SIGNING);
	assert_int_equal(keys_signing_expires(k), keys_signing_expires(home));

	assert_int_equal(reopen(&k, "data", NOW + 65 * DAY), ERR_EXPIRED);
	assert_non_null(strstr(err, "--keygen"));
	keys_free(home);
}

/* -- links ----------------------------------------------------------------------- */

/* The master key made and used elsewhere, a relay that lives on what it gives, and what is refused. */
static void test_master(void **state)
{
	struct relay_keys *k = NULL;
	uint8_t ed_id[32], again[32], rsa_id[20];
	struct secret *master, *copy, *other;
	int home, dir, changed;
	int64_t expires;

	(void)state;
	assert_int_equal(mkdir(in_root("home"), 0700), 0);
	assert_int_equal(mkdir(in_root("data"), 0700), 0);
	assert_int_equal(mkdir(in_root("data/keys"), 0700), 0);
	home = open(in_root("home"), O_RDONLY | O_DIRECTORY);
	dir = open(in_root("data/keys"), O_RDONLY | O_DIRECTORY);
	assert_int_equal(keys_master_load(&copy, again, home), ERR_NOT_FOUND);
	assert_int_equal(keys_master_new(&master, ed_id, home), 0);
	assert_int_equal(keys_master_new(&copy, again, home), ERR_EXISTS);
	assert_int_equal(keys_master_load(&copy, again, home), 0);
	assert_memory_equal(again, ed_id, 32);
	assert_memory_equal(secret_data(copy), secret_data(master), secret_len(master));

	assert_int_equal(keys_signing_renew(&expires, dir, master, 0, NOW), ERR_RANGE);
	assert_int_equal(keys_signing_renew(&expires, dir, master, 366, NOW), ERR_RANGE);
	assert_int_equal(keys_signing_renew(&expires, dir, master, 5, NOW), 0);
	assert_in_range(expires, NOW + 5 * DAY, NOW + 5 * DAY + 3600);
	assert_int_equal(keys_rsa_new(rsa_id, dir), 0);
	assert_int_equal(keys_rsa_new(rsa_id, dir), ERR_EXISTS);
	assert_int_equal(reopen(&k, "data", NOW), 0);
	assert_memory_equal(keys_ed_id(k), ed_id, 32);
	assert_memory_equal(keys_rsa_id(k), rsa_id, 20);
	assert_true(keys_master_is_offline(k));

	/* A shorter one is left lying; a longer one is taken at once, with no day to lose. */
	assert_int_equal(keys_signing_renew(&expires, dir, copy, 4, NOW), 0);
	assert_false(keys_take_signing(k, NOW, &changed));
	assert_int_equal(keys_signing_renew(&expires, dir, copy, 30, NOW + DAY), 0);
	assert_true(keys_take_signing(k, NOW + DAY, &changed));
	assert_int_equal(changed, KEYS_CHANGED_SIGNING);
	assert_int_equal(keys_signing_expires(k), expires);
	assert_false(keys_take_signing(k, NOW + DAY, &changed));
	assert_int_equal(reopen(&k, "data", NOW + 32 * DAY), ERR_EXPIRED);
	assert_non_null(strstr(err, "nonosctl key master renew"));

	/* Another master key gives this relay nothing. */
	assert_int_equal(keys_master_new(&other, again, -1), 0);
	assert_int_equal(keys_signing_renew(&expires, dir, other, 30, NOW), ERR_MISMATCH);
	write_file(in_root("home/ed25519_master_id_public_key"), "spoilt", 6);
	assert_true(keys_master_load(&copy, again, home) < 0);
	assert_int_equal(unlink(in_root("home/ed25519_master_id_secret_key")), 0);
	write_file(in_root("home/ed25519_master_id_secret_key_encrypted"), "boxed", 5);
	assert_int_equal(keys_master_load(&copy, again, home), ERR_UNSUPPORTED);
	secret_free(other);
	secret_free(copy);
	secret_free(master);
	keys_free(k);
	close(home);
	close(dir);
}

static void test_link(void **state)
{
	struct relay_keys *k = NULL;
	struct peer_identity id;
	struct link_keys l;
	uint8_t digest[32], public[32];

	(void)state;
	assert_int_equal(reopen(&k, "data", NOW), 0);
	assert_int_equal(keys_make_link(&l, k, NOW), 0);
	sha256(digest, l.tls_cert, l.tls_cert_len);
	assert_int_equal(certs_check_responder(&id, l.responder_certs, l.responder_certs_len, digest, NOW), 0);
	assert_memory_equal(id.rsa_id, l.rsa_id, 20);
	assert_memory_equal(id.rsa_id, keys_rsa_id(k), 20);
	assert_memory_equal(id.rsa_id_sha256, l.rsa_id_sha256, 32);
	assert_memory_equal(id.ed_id, keys_ed_id(k), 32);
	assert_int_equal(certs_check_initiator(&id, l.initiator_certs, l.initiator_certs_len, NOW), 0);
	assert_memory_equal(id.auth_public, l.auth_public, 32);
	ed25519_public(public, l.auth_secret);
	assert_memory_equal(public, l.auth_public, 32);
	assert_int_equal(certs_check_initiator(&id, l.initiator_certs, l.initiator_certs_len, NOW + 2 * DAY), 0);
	assert_int_equal(certs_check_initiator(&id, l.initiator_certs, l.initiator_certs_len, NOW + 2 * DAY + 3601),
			 ERR_EXPIRED);
	assert_int_equal(keys_make_link(&l, k, NOW + 31 * DAY), ERR_EXPIRED);
	keys_free(k);
}

/* -- import ------------------------------------------------------------------------ */

static void test_import(void **state)
{
	struct relay_keys *k = NULL;
	uint8_t a[4096], b[4096];
	int fd;

	(void)state;
	copy_tor_dir("tor");
	assert_int_equal(keys_import(in_root("data"), in_root("none"), NOW, err, sizeof(err)), ERR_SYSTEM);
	assert_int_equal(mkdir(in_root("empty"), 0700), 0);
	assert_int_equal(keys_import(in_root("data"), in_root("empty"), NOW, err, sizeof(err)), ERR_NOT_FOUND);
	assert_false(exists(in_root("data")));
	/* A running tor holds this lock. */
	fd = open(in_root("tor/lock"), O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(keys_import(in_root("data"), in_root("tor"), NOW, err, sizeof(err)), ERR_BUSY);
	close(fd);

	assert_int_equal(keys_import(in_root("data"), in_root("tor"), NOW, err, sizeof(err)), 0);
	for (size_t i = 0; i < sizeof(all_files) / sizeof(all_files[0]); i++) {
		size_t len = read_file(in_root("tor/keys/%s", all_files[i]), a, sizeof(a));

		len -= a[0] == '-' && a[len - 1] == '\0';	/* tor ends PEM files with a zero */
		assert_int_equal(read_file(in_root("data/keys/%s", all_files[i]), b, sizeof(b)), len);
		assert_memory_equal(a, b, len);
	}
	assert_int_equal(reopen(&k, "data", NOW), 0);
	assert_int_equal(keys_import(in_root("data"), in_root("tor"), NOW, err, sizeof(err)), ERR_EXISTS);
	/* The keys directory itself will do, and an offline identity. */
	assert_int_equal(unlink(in_root("tor/keys/ed25519_master_id_secret_key")), 0);
	write_file(in_root("tor/keys/ed25519_master_id_secret_key_encrypted"), "boxed", 5);
	assert_int_equal(keys_import(in_root("two"), in_root("tor/keys"), NOW, err, sizeof(err)), 0);
	assert_int_equal(read_file(in_root("two/keys/ed25519_master_id_secret_key_encrypted"), a, 10), 5);
	assert_int_equal(reopen(&k, "two", NOW), 0);
	assert_true(keys_master_is_offline(k));
	/* What does not fit is not taken, and nothing is left behind. */
	assert_int_equal(keys_import(in_root("three"), in_root("tor"), NOW + 60 * DAY, err, sizeof(err)), ERR_EXPIRED);
	assert_int_equal(unlink(in_root("tor/keys/secret_id_key")), 0);
	assert_int_equal(keys_import(in_root("three"), in_root("tor"), NOW, err, sizeof(err)), ERR_STATE);
	assert_false(exists(in_root("three")));
	keys_free(k);
}

/* -- sudden death -------------------------------------------------------------------- */

/* Run `work` in a child and kill it after `us` microseconds, or let it end. */
static void kill_in(void (*work)(const char *), const char *data, unsigned us)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		work(data);
		_exit(0);
	}
	usleep(us);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void work_create(const char *data)
{
	struct relay_keys *k;

	keys_open(&k, data, NOW, NULL, 0);
}

static void work_rotate(const char *data)
{
	struct relay_keys *k;
	int changed;

	if (keys_open(&k, data, NOW, NULL, 0) < 0)
		_exit(1);
	for (int i = 1; i < 100; i++)
		keys_maintain(k, NOW + i * 29 * DAY, &changed);
}

static void test_killed(void **state)
{
	uint8_t rsa_id[20], ed_id[32];
	struct relay_keys *k = NULL;

	(void)state;
	for (unsigned i = 0; i < 24; i++) {
		kill_in(work_create, in_root("data%u", i), 1000 + 3000 * i);
		if (reopen(&k, in_root("data%u", i) + strlen(root) + 1, NOW) < 0)
			fail_msg("killed while making an identity: %s", err);
	}
	assert_int_equal(reopen(&k, "data", NOW), 0);
	memcpy(rsa_id, keys_rsa_id(k), 20);
	memcpy(ed_id, keys_ed_id(k), 32);
	for (unsigned i = 0; i < 24; i++) {
		kill_in(work_rotate, in_root("data"), 5000 + 4700 * i);
		if (reopen(&k, "data", NOW) < 0)
			fail_msg("killed while renewing keys: %s", err);
		assert_memory_equal(keys_rsa_id(k), rsa_id, 20);
		assert_memory_equal(keys_ed_id(k), ed_id, 32);
	}
	keys_free(k);
}

int main(void)
{
#define in_scratch(test) cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)
	const struct CMUnitTest tests[] = {
		in_scratch(test_fresh), in_scratch(test_of_tor), in_scratch(test_lost_keys),
		in_scratch(test_missing_files),
		in_scratch(test_spoilt_files), in_scratch(test_permissions), in_scratch(test_onion_schedule),
		in_scratch(test_onion_age), in_scratch(test_signing_schedule), in_scratch(test_offline_master),
		in_scratch(test_master), in_scratch(test_link), in_scratch(test_import), in_scratch(test_killed),
	};

	if (!getenv("TEST_VECTORS")) {
		fprintf(stderr, "TEST_VECTORS is not set\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, NULL);
}
