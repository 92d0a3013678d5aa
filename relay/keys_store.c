/*
 * The key files: opening, first creation and import. A new keys directory is
 * filled beside the place it belongs and then renamed there, so that half an
 * identity on disk is never the work of a process that died.
 */
#include "config.h"

#include <nonos/keys.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

#include "dir/dirtext.h"
#include "key_file.h"
#include "keys_priv.h"

static const char encrypted_master[] = "ed25519_master_id_secret_key_encrypted";

/* -- parts, made and written --------------------------------------------------- */

static int make_identity(struct opening *o)
{
	struct relay_keys *k = o->k;
	uint8_t der[RSA_PUB_DER_CAP];
	size_t len;
	int r;

	r = rsa_generate(&k->rsa, 8 * RSA1024_LEN);
	if (r == 0)
		r = rsa_public_der(der, sizeof(der), &len, k->rsa);
	if (r < 0)
		return opening_complain(o, r, "cannot make an RSA identity: %s", err_str(r));
	sha1(k->rsa_id, der, len);
	sha256(k->rsa_id_sha256, der, len);
	k->master = secret_new(NULL, ED25519_EXPANDED_LEN);
	ed25519_keygen(secret_data_mut(k->master), k->ed_id);
	o->missing = KEYS_PART_ALL & ~(unsigned)KEYS_PART_NTOR_OLD;
	return 0;
}

static int make_missing(struct opening *o)
{
	int r = 0;

	if (o->missing & KEYS_PART_SIGNING)
		r = keys_make_signing(&o->k->signing, o->k->master, o->k->ed_id, o->now + KEYS_SIGNING_LIFETIME_S);
	if (r == 0)
		r = keys_make_onion(o->k, o->missing, o->now);
	return r < 0 ? opening_complain(o, r, "cannot make keys: %s", err_str(r)) : 0;
}

static int save_ntor(int dir, const char *name, const struct secret *secret)
{
	uint8_t pair[2 * X25519_LEN];
	int r;

	memcpy(pair, secret_data(secret), X25519_LEN);
	x25519_public(pair + X25519_LEN, secret_data(secret));
	r = key_save_tagged(dir, name, KEY_TAG_NTOR, pair, sizeof(pair));
	secret_wipe(pair, sizeof(pair));
	return r;
}

static int save_onion_since(int dir, const struct relay_keys *k)
{
	char when[DIR_TIME_LEN + 1], key[BASE64_CAP(X25519_LEN)], line[sizeof(when) + sizeof(key) + 1];
	int n;

	dir_time_format(when, k->onion_since);
	base64_encode(key, k->ntor_public, X25519_LEN, false);
	n = snprintf(line, sizeof(line), "%s %s\n", when, key);
	return file_replace_at(dir, "onion_rotated", line, (size_t)n);
}

static int save_master(int dir, const struct relay_keys *k, unsigned parts)
{
	int r = 0;

	if (parts & KEYS_PART_MASTER && k->master)
		r = key_save_tagged(dir, "ed25519_master_id_secret_key", KEY_TAG_ED_MASTER,
				    secret_data(k->master), secret_len(k->master));
	if (r == 0 && parts & KEYS_PART_MASTER_PUBLIC)
		r = key_save_tagged(dir, "ed25519_master_id_public_key", KEY_TAG_ED_MASTER_PUB,
				    k->ed_id, sizeof(k->ed_id));
	return r;
}

int signing_save(int dir, const struct signing_key *s)
{
	int r = key_save_tagged(dir, "ed25519_signing_secret_key", KEY_TAG_ED_SIGNING,
				secret_data(s->secret), secret_len(s->secret));

	return r < 0 ? r : key_save_tagged(dir, "ed25519_signing_cert", KEY_TAG_ED_SIGNING_CERT,
					   s->cert, s->cert_len);
}

/* Old before new: see keys_rotate_onion(). */
static int save_onion(int dir, const struct relay_keys *k, unsigned parts)
{
	int r = 0;

	if (parts & KEYS_PART_NTOR_OLD && k->ntor_old)
		r = save_ntor(dir, "secret_onion_key_ntor.old", k->ntor_old);
	if (r == 0 && parts & KEYS_PART_TAP)
		r = key_save_rsa(dir, "secret_onion_key", k->tap);
	if (r == 0 && parts & KEYS_PART_NTOR)
		r = save_ntor(dir, "secret_onion_key_ntor", k->ntor);
	if (r == 0 && parts & KEYS_PART_NTOR)
		r = save_onion_since(dir, k);
	return r;
}

int keys_save(const struct relay_keys *k, int dir, unsigned parts)
{
	int r = 0;

	if (parts & KEYS_PART_RSA)
		r = key_save_rsa(dir, "secret_id_key", k->rsa);
	if (r == 0)
		r = save_master(dir, k, parts);
	if (r == 0 && parts & KEYS_PART_SIGNING)
		r = signing_save(dir, &k->signing);
	if (r == 0)
		r = save_onion(dir, k, parts);
	return r;
}

/* -- directories ----------------------------------------------------------------- */

static int dir_open(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Is there any file of an identity? */
static bool has_identity(int dir)
{
	static const char *const files[] = {
		"secret_id_key", "ed25519_master_id_secret_key", "ed25519_master_id_public_key",
		"ed25519_signing_secret_key", "ed25519_signing_cert", encrypted_master,
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (faccessat(dir, files[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	return false;
}

/* Empty a directory that we made: files only. */
static void clear_unfinished(const char *path)
{
	static const char *const files[] = {
		"secret_id_key", "secret_onion_key", "secret_onion_key_ntor", "secret_onion_key_ntor.old",
		"ed25519_master_id_secret_key", "ed25519_master_id_public_key", "ed25519_signing_secret_key",
		"ed25519_signing_cert", "onion_rotated", encrypted_master,
	};
	char temp[128];
	int dir = dir_open(path);

	if (dir < 0)
		return;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(temp, sizeof(temp), "%s.tmp", files[i]);
		unlinkat(dir, temp, 0);
		unlinkat(dir, files[i], 0);
	}
	close(dir);
	rmdir(path);
}

/* Tor keeps a master key under a passphrase in this file; it moves along unopened. */
static int copy_encrypted_master(int to, int from)
{
	uint8_t file[KEY_FILE_CAP];
	size_t len;
	int r;

	r = file_read_at(file, sizeof(file), &len, from, encrypted_master, false);
	if (r == 0)
		r = file_replace_at(to, encrypted_master, file, len);
	return r == ERR_NOT_FOUND ? 0 : r;
}

static int sync_dir(const char *path)
{
	int dir = dir_open(path), r;

	if (dir < 0)
		return ERR_SYSTEM;
	r = fsync(dir) < 0 ? ERR_SYSTEM : 0;
	close(dir);
	return r;
}

/* Write all of `o->k` to a new directory and move it to `keys`, which is empty or not there. */
static int install(struct opening *o, const char *data_dir, const char *keys)
{
	char *fresh = mem_printf("%s.new", keys);
	int dir = -1, r = ERR_SYSTEM;

	clear_unfinished(fresh);
	if (mkdir(fresh, 0700) < 0)
		goto out;
	dir = dir_open(fresh);
	if (dir < 0)
		goto out;
	r = keys_save(o->k, dir, KEYS_PART_ALL);
	if (r == 0 && o->dir >= 0)
		r = copy_encrypted_master(dir, o->dir);
	if (r < 0)
		goto out;
	r = ERR_SYSTEM;
	if (fsync(dir) < 0 || rename(fresh, keys) < 0)
		goto out;
	r = sync_dir(data_dir);
	if (r < 0)
		goto out;
	o->k->dir = dir;
	dir = -1;
out:
	if (r < 0)
		opening_complain(o, r, "cannot write a new identity to %s: %s", keys,
			 r == ERR_SYSTEM ? strerror(errno) : err_str(r));
	if (dir >= 0)
		close(dir);
	free(fresh);
	return r;
}

static struct relay_keys *keys_new(const char *data_dir)
{
	struct relay_keys *k = mem_new(sizeof(*k));

	k->dir = -1;
	k->data_dir = mem_strdup(data_dir);
	return k;
}

/* Open keys/. 0 with *ret_dir -1 when it is not there. */
static int open_keys_dir(int *ret_dir, struct opening *o)
{
	struct stat st;
	int dir = dir_open(o->path);

	if (dir < 0 && errno == ENOENT) {
		*ret_dir = -1;
		return 0;
	}
	if (dir < 0)
		return opening_complain(o, ERR_SYSTEM, "cannot open %s: %s", o->path, strerror(errno));
	if (fstat(dir, &st) < 0 || st.st_mode & (S_IWGRP | S_IRWXO)) {
		close(dir);
		return opening_complain(o, ERR_PERMISSION, "%s must belong to the daemon alone (chmod 700)", o->path);
	}
	*ret_dir = dir;
	return 0;
}

/* -- public ------------------------------------------------------------------------ */

/*
 * A fingerprint is written once there are keys. Where it stands alone, the keys
 * were lost or are on a disk that is not mounted: to begin anew is for the
 * operator to say, because authorities take a new pair of keys for a new relay.
 */
static bool has_lost_keys(const char *data_dir)
{
	char *path = mem_printf("%s/fingerprint", data_dir);
	bool found = access(path, F_OK) == 0;

	free(path);
	return found;
}

static int open_new(struct opening *o, const char *data_dir)
{
	int r;

	if (has_lost_keys(data_dir))
		return opening_complain(o, ERR_STATE, "%s/fingerprint names an identity, but its keys are not in %s: "
				"restore them from a backup, or remove the file fingerprint to start as a new relay",
				data_dir, o->path);
	if (mkdir(data_dir, 0700) < 0 && errno != EEXIST)
		return opening_complain(o, ERR_SYSTEM, "cannot make %s: %s", data_dir, strerror(errno));
	o->dir = -1;
	r = make_identity(o);
	if (r == 0)
		r = make_missing(o);
	return r < 0 ? r : install(o, data_dir, o->path);
}

static int open_existing(struct opening *o)
{
	int r;

	r = opening_load(o);
	if (r == 0)
		r = make_missing(o);
	if (r < 0)
		return r;
	r = keys_save(o->k, o->dir, o->missing);
	return r < 0 ? opening_complain(o, r, "cannot write to %s: %s", o->path, strerror(errno)) : 0;
}

int keys_open(struct relay_keys **ret, const char *data_dir, int64_t now, char *ret_err, size_t err_cap)
{
	char *path = mem_printf("%s/keys", data_dir);
	struct opening o = {
		.k = keys_new(data_dir), .path = path, .is_private = true, .now = now,
		.err = ret_err, .err_cap = err_cap,
	};
	int r;

	r = open_keys_dir(&o.dir, &o);
	if (r < 0)
		goto out;
	if (o.dir >= 0 && has_identity(o.dir)) {
		o.k->dir = o.dir;
		r = open_existing(&o);
	} else {
		if (o.dir >= 0)
			close(o.dir);
		r = open_new(&o, data_dir);
	}
out:
	if (r == 0)
		*ret = o.k;
	else
		keys_free(o.k);
	free(path);
	return r;
}

/* A running tor holds a lock on this file of its data directory. */
static bool is_in_use(const char *from_dir)
{
	char *path = mem_printf("%s/lock", from_dir);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool used = false;

	free(path);
	if (fd < 0)
		return false;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		used = errno == EWOULDBLOCK;
	if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		used = true;
	close(fd);
	return used;
}

static int import_from(struct opening *o, const char *data_dir, const char *keys)
{
	int dir, r;

	dir = dir_open(keys);
	if (dir >= 0) {
		bool taken = has_identity(dir);

		close(dir);
		if (taken)
			return opening_complain(o, ERR_EXISTS, "%s already holds an identity; it is never overwritten", keys);
	}
	if (!has_identity(o->dir))
		return opening_complain(o, ERR_NOT_FOUND, "there are no relay keys in %s", o->path);
	r = opening_load(o);
	if (r == 0)
		r = make_missing(o);
	if (r < 0)
		return r;
	if (mkdir(data_dir, 0700) < 0 && errno != EEXIST)
		return opening_complain(o, ERR_SYSTEM, "cannot make %s: %s", data_dir, strerror(errno));
	return install(o, data_dir, keys);
}

int keys_import(const char *data_dir, const char *from_dir, int64_t now, char *ret_err, size_t err_cap)
{
	char *keys = mem_printf("%s/keys", data_dir), *path = mem_printf("%s/keys", from_dir);
	struct opening o = { .k = keys_new(data_dir), .now = now, .err = ret_err, .err_cap = err_cap };
	int r;

	o.path = path;
	o.dir = dir_open(path);
	if (o.dir < 0) {
		o.path = from_dir;
		o.dir = dir_open(from_dir);
	}
	if (o.dir < 0)
		r = opening_complain(&o, ERR_SYSTEM, "cannot open %s: %s", from_dir, strerror(errno));
	else if (is_in_use(from_dir))
		r = opening_complain(&o, ERR_BUSY, "the relay in %s is running: stop it first, one identity must not run twice",
			     from_dir);
	else
		r = import_from(&o, data_dir, keys);
	if (o.dir >= 0)
		close(o.dir);
	keys_free(o.k);
	free(keys);
	free(path);
	return r;
}

int keys_write_fingerprints(const struct relay_keys *k, const char *nickname)
{
	char rsa[2 * SHA1_LEN + 1], ed[BASE64_CAP(ED25519_PUB_LEN)], line[128];
	int dir = dir_open(k->data_dir), n, r;

	if (dir < 0)
		return ERR_SYSTEM;
	hex_encode_upper(rsa, k->rsa_id, sizeof(k->rsa_id));
	n = snprintf(line, sizeof(line), "%s %s\n", nickname, rsa);
	r = n < (int)sizeof(line) ? file_replace_at(dir, "fingerprint", line, (size_t)n) : ERR_TOO_LONG;
	base64_encode(ed, k->ed_id, sizeof(k->ed_id), false);
	n = snprintf(line, sizeof(line), "%s %s\n", nickname, ed);
	if (r == 0)
		r = file_replace_at(dir, "fingerprint-ed25519", line, (size_t)n);
	close(dir);
	return r;
}
