/* key master new, renew and sign: the Ed25519 master key where no relay runs. */
#include "config.h"

#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <nonos/backup.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/json_set.h>
#include <nonos/keys.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

#include "passphrase.h"
#include "sign.h"

enum { SEALED_MAX = 4096 };

/* The master key encrypted: a backup that holds this one file. */
static const char sealed_name[] = "ed25519_master_id_secret_key.nonos", secret_name[] = "ed25519_master_id_secret_key";

/* -- directories ------------------------------------------------------------------------ */

static int open_dir(int *ret, const char *path, bool make)
{
	struct stat st;
	int dir;

	if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	if (fstat(dir, &st) < 0 || st.st_mode & (S_IWGRP | S_IRWXO)) {
		close(dir);
		return complain(EXIT_REFUSED, "%s: keys want a directory that others cannot enter; chmod 700 it", path);
	}
	*ret = dir;
	return EXIT_OK;
}

/* tor keeps the keys of DIR in DIR/keys. */
static int open_master_dir(int *ret, char **ret_path, const char *path)
{
	char *below = mem_printf("%s/keys", path), *used = below;
	struct stat st;
	int r;

	if (stat(below, &st) < 0 || !S_ISDIR(st.st_mode))
		used = mem_strdup(path);
	r = open_dir(ret, used, false);
	if (used != below)
		free(below);
	if (r == EXIT_OK)
		*ret_path = used;
	else
		free(used);
	return r;
}

static int fail(const char *path, int code)
{
	switch (code) {
	case ERR_EXISTS:
		return complain(EXIT_REFUSED, "%s holds a master key or identity already; none is ever overwritten", path);
	case ERR_MISMATCH:
		return complain(EXIT_REFUSED, "%s belongs to another identity than the master key", path);
	case ERR_NOT_FOUND:
		return complain(EXIT_REFUSED, "there is no master key (%s) in %s", secret_name, path);
	case ERR_UNSUPPORTED:
		return complain(EXIT_REFUSED, "the master key in %s was encrypted by tor, and only tor reads that: renew with "
				"tor --keygen, or take the pass phrase away with tor --keygen --newpass", path);
	case ERR_PERMISSION:
		return complain(EXIT_REFUSED, "a key file in %s is not a regular file that only its owner can read (chmod 600)", path);
	case ERR_SYSTEM:
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	default:
		return complain(EXIT_REFUSED, "a key file in %s cannot be used: %s", path, err_str(code));
	}
}

/* What root writes belongs to whom the directory belongs to, so that the daemon can read it. */
static int give(int dir, const char *path)
{
	static const char *const names[] = {
		"ed25519_master_id_public_key", "ed25519_signing_secret_key", "ed25519_signing_cert", "secret_id_key",
	};
	struct stat st;

	if (geteuid() != 0)
		return EXIT_OK;
	if (fstat(dir, &st) < 0)
		return fail(path, ERR_SYSTEM);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (fchownat(dir, names[i], st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			return fail(path, ERR_SYSTEM);
	return EXIT_OK;
}

/* -- the key encrypted ---------------------------------------------------------------------- */

static int seal_master(const struct invocation *in, int dir, const char *path, const struct secret *master)
{
	struct backup *b = backup_new();
	struct secret *pass = NULL;
	uint8_t *sealed = NULL;
	size_t len;
	int r = passphrase_new(&pass, in, "password_file", "the master key");

	if (r == EXIT_OK && (backup_add(b, secret_name, 0600, secret_data(master), secret_len(master)) < 0 ||
			     backup_seal(&sealed, &len, b, secret_data(pass), secret_len(pass), &backup_cost_usual) < 0))
		r = complain(EXIT_REFUSED, "there is not enough memory to encrypt the key; it takes 256 MiB");
	if (r == EXIT_OK) {
		int code = file_create_at(dir, sealed_name, sealed, len);

		if (code < 0)
			r = fail(path, code);
	}
	free(sealed);
	secret_free(pass);
	backup_free(b);
	return r;
}

static int open_sealed(struct secret **ret, const struct invocation *in, const uint8_t *sealed, size_t len, const char *path)
{
	struct secret *pass = NULL;
	char why[BACKUP_WHY_CAP];
	struct backup_file f;
	struct backup *b;
	int r = passphrase_old(&pass, in, "password_file", "the master key");

	if (r != EXIT_OK)
		return r;
	if (backup_open(&b, why, sealed, len, secret_data(pass), secret_len(pass)) < 0) {
		r = complain(EXIT_REFUSED, "%s/%s: %s", path, sealed_name, why);
	} else {
		if (backup_find(&f, b, secret_name) == 0 && f.len == ED25519_EXPANDED_LEN)
			*ret = secret_new(f.data, f.len);
		else
			r = complain(EXIT_REFUSED, "%s/%s holds no master key", path, sealed_name);
		backup_free(b);
	}
	secret_free(pass);
	return r;
}

static int load_master(struct secret **ret, const struct invocation *in, int dir, const char *path)
{
	uint8_t sealed[SEALED_MAX], ed_id[ED25519_PUB_LEN];
	size_t len;
	int r = file_read_at(sealed, sizeof(sealed), &len, dir, sealed_name, false);

	if (r == 0)
		return open_sealed(ret, in, sealed, len, path);
	r = r == ERR_NOT_FOUND ? keys_master_load(ret, ed_id, dir) : r;
	return r < 0 ? fail(path, r) : EXIT_OK;
}

/* -- commands ------------------------------------------------------------------------------- */

static void set_identity(json_t *o, const uint8_t ed_id[ED25519_PUB_LEN])
{
	char text[BASE64_CAP(ED25519_PUB_LEN)];

	base64_encode(text, ed_id, ED25519_PUB_LEN, false);
	json_object_set_new(o, "ed25519", json_string(text));
}

static int make_master(const struct invocation *in, int dir, const char *path, uint8_t ed_id[ED25519_PUB_LEN])
{
	bool encrypt = param_flag(in->params, "encrypt");
	struct secret *master = NULL;
	int r;

	if (faccessat(dir, sealed_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	    (encrypt && faccessat(dir, secret_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0))
		return fail(path, ERR_EXISTS);
	r = keys_master_new(&master, ed_id, encrypt ? -1 : dir);
	if (r < 0)
		return fail(path, r);
	if (encrypt) {
		r = seal_master(in, dir, path, master);
		if (r == EXIT_OK && keys_master_save_public(dir, ed_id) < 0)
			r = fail(path, ERR_EXISTS);
	}
	secret_free(master);
	return r;
}

int local_key_master_new(const struct invocation *in)
{
	const char *path = param_text(in->params, "directory");
	uint8_t ed_id[ED25519_PUB_LEN];
	json_t *answer;
	int dir, r;

	answer = json_pack("{s:b, s:s}", "dry_run", in->options.dry_run, "directory", path);
	if (in->options.dry_run)
		return print_answer(in, answer);
	r = open_dir(&dir, path, true);
	if (r == EXIT_OK) {
		r = make_master(in, dir, path, ed_id);
		close(dir);
	}
	if (r != EXIT_OK) {
		json_decref(answer);
		return r;
	}
	set_identity(answer, ed_id);
	return print_answer(in, answer);
}

/* Make what the relay needs in `dir`; more into the answer. */
static int renew_into(const struct invocation *in, int dir, const char *path, const struct secret *master, json_t *answer)
{
	unsigned days = (unsigned)param_integer(in->params, "days", KEYS_SIGNING_LIFETIME_S / 86400);
	uint8_t ed_id[ED25519_PUB_LEN], rsa_id[SHA1_LEN];
	char fingerprint[2 * SHA1_LEN + 1];
	int64_t expires;
	int r = 0;

	if (param_flag(in->params, "new_relay"))
		r = keys_rsa_new(rsa_id, dir);
	if (r == 0)
		r = keys_signing_renew(&expires, dir, master, days, (int64_t)time(NULL));
	if (r < 0)
		return fail(path, r);
	ed25519_public(ed_id, secret_data(master));
	set_identity(answer, ed_id);
	if (param_flag(in->params, "new_relay")) {
		hex_encode_upper(fingerprint, rsa_id, sizeof(rsa_id));
		json_object_set_new(answer, "fingerprint", json_string(fingerprint));
	}
	json_object_set_new(answer, "expires", json_integer((json_int_t)expires));
	json_object_set_new(answer, "next", json_string("copy the files into keys/ of the relay's data directory, as its user, and "
							"run nonosctl reload there"));
	return give(dir, path);
}

static int renew(const struct invocation *in, const struct secret *master)
{
	const char *path = param_text(in->params, "out");
	json_t *answer = json_pack("{s:b, s:s}", "dry_run", in->options.dry_run, "out", path);
	int dir, r = EXIT_OK;

	if (!in->options.dry_run) {
		r = open_dir(&dir, path, true);
		if (r == EXIT_OK) {
			r = renew_into(in, dir, path, master, answer);
			close(dir);
		}
	}
	if (r == EXIT_OK)
		return print_answer(in, answer);
	json_decref(answer);
	return r;
}

int local_key_master_renew(const struct invocation *in)
{
	struct secret *master = NULL;
	char *path;
	int dir, r = open_master_dir(&dir, &path, param_text(in->params, "directory"));

	if (r != EXIT_OK)
		return r;
	r = load_master(&master, in, dir, path);
	close(dir);
	free(path);
	if (r == EXIT_OK)
		r = renew(in, master);
	secret_free(master);
	return r;
}

/* Sign nothing but the registration of the very relay that the key is of: what it says was shown by --out. */
static int sign_registration(json_t **ret, const json_t *object, const char *path, const struct secret *master)
{
	static const char type[] = "RelayRegistration";
	const json_t *message = json_object_get(object, "message");
	const char *primary = json_string_value(json_object_get(object, "primaryType"));
	uint8_t ed_id[ED25519_PUB_LEN], sig[ED25519_SIG_LEN];
	struct typed_hashes h;
	json_t *own;
	bool same;
	int r;

	if (!primary || strcmp(primary, type) != 0)
		return complain(EXIT_REFUSED, "%s is no %s; a master key signs nothing else", path, type);
	r = sign_hashes(&h, object, path);
	if (r != EXIT_OK)
		return r;
	ed25519_public(ed_id, secret_data(master));
	own = json_object();
	json_set_hex(own, "relayId", ed_id, sizeof(ed_id));
	same = json_equal(json_object_get(own, "relayId"), json_object_get(message, "relayId"));
	json_decref(own);
	if (!same)
		return complain(EXIT_REFUSED, "%s is the registration of another relay than the master key's", path);
	ed25519_sign(sig, secret_data(master), ed_id, h.digest, sizeof(h.digest));
	*ret = json_object();
	json_object_set(*ret, "operator", json_object_get(message, "operator"));
	json_object_set(*ret, "payout", json_object_get(message, "payout"));
	json_set_hex(*ret, "digest", h.digest, sizeof(h.digest));
	json_set_hex(*ret, "relay_signature", sig, sizeof(sig));
	json_object_set_new(*ret, "next", json_sprintf("on the relay: nonosctl relay register --object %s --relay-signature HEX, "
						       "and --key NAME of the operator", path));
	return EXIT_OK;
}

int local_key_master_sign(const struct invocation *in)
{
	const char *file = param_text(in->params, "object");
	struct secret *master = NULL;
	json_t *object = NULL, *answer = NULL;
	char *path;
	int dir, r = file_read_json(&object, file, SEALED_MAX * 16, true);

	if (r == EXIT_OK)
		r = open_master_dir(&dir, &path, param_text(in->params, "directory"));
	if (r == EXIT_OK) {
		r = load_master(&master, in, dir, path);
		close(dir);
		free(path);
	}
	if (r == EXIT_OK)
		r = sign_registration(&answer, object, file, master);
	secret_free(master);
	json_decref(object);
	return r == EXIT_OK ? print_answer(in, answer) : r;
}
