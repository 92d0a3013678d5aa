/* Family keys and certificates; see nonos/family.h. The keeper owns a struct families. */
#include "config.h"

#include <nonos/family.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/crypto.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

#include "cert.h"
#include "key_file.h"

enum { FILES_MAX = 1000 };	/* looked at in one directory */

static const char suffix[] = ".secret_family_key";

struct family {
	struct secret *secret;		/* expanded */
	uint8_t id[FAMILY_ID_LEN];
	char *file;
};

struct families {
	struct family v[FAMILIES_MAX];
	size_t n;
};

/* Where a complaint goes. */
struct complaint {
	char *text;
	size_t cap;
};

static int complain(const struct complaint *c, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int complain(const struct complaint *c, int code, const char *fmt, ...)
{
	va_list ap;

	if (c->cap) {
		va_start(ap, fmt);
		vsnprintf(c->text, c->cap, fmt, ap);
		va_end(ap);
	}
	return code;
}

/* -- ids and keys --------------------------------------------------------------- */

int family_id_parse(uint8_t ret[FAMILY_ID_LEN], const char *text)
{
	size_t len = strlen(text);

	return len == FAMILY_ID_CAP - 1 ? base64_decode_exact(ret, FAMILY_ID_LEN, text, len) : ERR_MALFORMED;
}

const char *family_id_format(char out[FAMILY_ID_CAP], const uint8_t id[FAMILY_ID_LEN])
{
	char text[BASE64_CAP(FAMILY_ID_LEN)];

	base64_encode(text, id, FAMILY_ID_LEN, false);
	memcpy(out, text, FAMILY_ID_CAP);
	return out;
}

/* The key of a file's bytes, borrowed from them. */
static int key_parse(const uint8_t **ret_key, uint8_t ret_id[FAMILY_ID_LEN], const uint8_t *file, size_t len)
{
	const uint8_t *body;
	size_t body_len;
	int r = key_tagged_parse(&body, &body_len, KEY_TAG_FAMILY, file, len);

	if (r < 0)
		return r;
	/* A clamped scalar: anything else was not written by a program that makes keys. */
	if (body_len != ED25519_EXPANDED_LEN || body[0] & 7 || (body[31] & 0xc0) != 0x40)
		return ERR_MALFORMED;
	ed25519_public(ret_id, body);
	*ret_key = body;
	return 0;
}

int family_key_parse(uint8_t ret_id[FAMILY_ID_LEN], const uint8_t *file, size_t len)
{
	const uint8_t *key;

	return key_parse(&key, ret_id, file, len);
}

static int family_load(struct family *ret, int dir, const char *name)
{
	uint8_t file[KEY_FILE_CAP];
	const uint8_t *key;
	size_t len;
	int r;

	r = file_read_at(file, sizeof(file), &len, dir, name, true);
	if (r == 0)
		r = key_parse(&key, ret->id, file, len);
	if (r == 0) {
		ret->secret = secret_new(key, ED25519_EXPANDED_LEN);
		ret->file = mem_strdup(name);
	}
	secret_wipe(file, sizeof(file));
	return r;
}

static void family_clear(struct family *f)
{
	secret_free(f->secret);
	free(f->file);
	*f = (struct family){ .secret = NULL };
}

static int complain_file(const struct complaint *c, int code, const char *dir, const char *name)
{
	if (code == ERR_PERMISSION)
		return complain(c, code, "%s/%s must be a regular file that only its owner can read (chmod 600)", dir,
				name);
	return complain(c, code, "the family key %s/%s cannot be used: %s", dir, name,
			code == ERR_SYSTEM ? strerror(errno) : err_str(code));
}

/* -- a relay's families ----------------------------------------------------------- */

static bool has_suffix(const char *name)
{
	size_t len = strlen(name), n = sizeof(suffix) - 1;

	return len > n && strcmp(name + len - n, suffix) == 0;
}

static bool is_listed(const struct families *f, const uint8_t id[FAMILY_ID_LEN])
{
	for (size_t i = 0; i < f->n; i++)
		if (memcmp(f->v[i].id, id, FAMILY_ID_LEN) == 0)
			return true;
	return false;
}

static bool is_wanted(const char *const *ids, const uint8_t id[FAMILY_ID_LEN])
{
	uint8_t wanted[FAMILY_ID_LEN];

	for (; *ids; ids++)
		if (strcmp(*ids, "*") == 0 ||
		    (family_id_parse(wanted, *ids) == 0 && memcmp(wanted, id, FAMILY_ID_LEN) == 0))
			return true;
	return false;
}

/* Look at one key file; a family that is not asked for, or is there already, is passed over. */
static int take_file(struct families *f, int fd, const char *dir, const char *name, const char *const *ids,
		     const struct complaint *c)
{
	struct family one = { .secret = NULL };
	int r = family_load(&one, fd, name);

	if (r < 0)
		return complain_file(c, r, dir, name);
	if (!is_wanted(ids, one.id) || is_listed(f, one.id)) {
		family_clear(&one);
		return 0;
	}
	if (f->n == FAMILIES_MAX) {
		family_clear(&one);
		return complain(c, ERR_LIMIT, "a relay can be in %d families at most; %s holds the keys of more",
				FAMILIES_MAX, dir);
	}
	f->v[f->n++] = one;
	return 0;
}

static int take_files(struct families *f, int fd, const char *dir, const char *const *ids,
		      const struct complaint *c)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!list) {
		if (copy >= 0)
			close(copy);
		return complain(c, ERR_SYSTEM, "%s cannot be read: %s", dir, strerror(errno));
	}
	for (int i = 0; r == 0 && i < FILES_MAX && (e = readdir(list)); i++)
		if (has_suffix(e->d_name))
			r = take_file(f, fd, dir, e->d_name, ids, c);
	closedir(list);
	return r;
}

/* Is there a key for each that was asked for? */
static int check_all_there(const struct families *f, const char *dir, const char *const *ids,
			   const struct complaint *c)
{
	for (; *ids; ids++) {
		uint8_t id[FAMILY_ID_LEN];

		if (strcmp(*ids, "*") == 0) {
			if (f->n == 0)
				return complain(c, ERR_NOT_FOUND, "there is no file *%s in %s: make one with "
						"\"nonosctl family new\", or copy the family's there", suffix, dir);
			continue;
		}
		if (family_id_parse(id, *ids) < 0)
			return complain(c, ERR_MALFORMED, "\"%s\" is no family id: 43 characters of base64, or *", *ids);
		if (!is_listed(f, id))
			return complain(c, ERR_NOT_FOUND, "no file *%s in %s holds the key of family %s: copy it there "
					"from another relay of the family", suffix, dir, *ids);
	}
	return 0;
}

int families_open(struct families **ret, const char *dir, const char *const *ids, char *ret_err, size_t err_cap)
{
	const struct complaint c = { ret_err, err_cap };
	struct families *f = mem_new(sizeof(*f));
	int fd = -1, r = 0;

	if (!ids || !ids[0])
		goto out;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		r = complain(&c, ERR_SYSTEM, "the directory of family keys %s cannot be opened: %s", dir, strerror(errno));
		goto out;
	}
	r = take_files(f, fd, dir, ids, &c);
	if (r == 0)
		r = check_all_there(f, dir, ids, &c);
	close(fd);
out:
	if (r < 0)
		families_free(f);
	else
		*ret = f;
	return r;
}

void families_free(struct families *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->n; i++)
		family_clear(&f->v[i]);
	free(f);
}

size_t families_count(const struct families *f)
{
	return f ? f->n : 0;
}

const uint8_t *families_id(const struct families *f, size_t i)
{
	return f->v[i].id;
}

const char *families_file(const struct families *f, size_t i)
{
	return f->v[i].file;
}

/* -- certificates ----------------------------------------------------------------- */

int families_certify(uint8_t *out, size_t cap, size_t *ret_len, const struct families *f, size_t i,
		     const uint8_t ed_id[32], int64_t expires)
{
	const struct cert_request q = {
		.type = CERT_FAMILY, .key = ed_id, .expires = expires,
		.signer_secret = secret_data(f->v[i].secret), .signer_public = f->v[i].id,
	};

	return cert_make(out, cap, ret_len, &q);
}

int family_cert_check(uint8_t ret_id[FAMILY_ID_LEN], const uint8_t *cert, size_t len, const uint8_t ed_id[32],
		      int64_t now)
{
	struct cert c;
	int r = cert_parse(&c, cert, len);

	if (r < 0)
		return r;
	/* The family is who signed, so the certificate must say who that was. */
	if (!c.signed_with)
		return ERR_MALFORMED;
	r = cert_check(&c, CERT_FAMILY, c.signed_with, now);
	if (r < 0)
		return r;
	if (memcmp(c.key, ed_id, ED25519_PUB_LEN) != 0)
		return ERR_MISMATCH;
	memcpy(ret_id, c.signed_with, FAMILY_ID_LEN);
	return 0;
}

/* -- making and looking ------------------------------------------------------------ */

static bool name_is_good(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t len = strspn(name, allowed);

	return len >= 1 && len <= FAMILY_NAME_MAX && name[len] == '\0' && name[0] != '.';
}

static int create_files(int fd, const char *secret_name, const char *id_name, uint8_t ret_id[FAMILY_ID_LEN])
{
	struct secret *key = secret_new(NULL, ED25519_EXPANDED_LEN);
	char text[FAMILY_ID_CAP + 1];
	int r;

	ed25519_keygen(secret_data_mut(key), ret_id);
	r = key_save_tagged(fd, secret_name, KEY_TAG_FAMILY, secret_data(key), ED25519_EXPANDED_LEN);
	if (r == 0) {
		family_id_format(text, ret_id);
		strcat(text, "\n");
		r = file_create_at(fd, id_name, text, strlen(text));
	}
	secret_free(key);
	return r;
}

struct new_family {
	char secret_name[128], id_name[128];
	int dir;
};

/* Open the directory and see that nothing is in the way. */
static int prepare(struct new_family *n, const char *dir, const char *name, const struct complaint *c)
{
	if (!name_is_good(name))
		return complain(c, ERR_RANGE, "a family's name has 1 to %d letters, digits, \"-\", \"_\" and \".\", "
				"and does not begin with a dot", FAMILY_NAME_MAX);
	snprintf(n->secret_name, sizeof(n->secret_name), "%s%s", name, suffix);
	snprintf(n->id_name, sizeof(n->id_name), "%s.public_family_id", name);
	n->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (n->dir < 0)
		return complain(c, ERR_SYSTEM, "%s cannot be opened: %s", dir, strerror(errno));
	if (faccessat(n->dir, n->secret_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	    faccessat(n->dir, n->id_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		close(n->dir);
		return complain(c, ERR_EXISTS, "%s/%s or its %s is there already; a family key is never overwritten", dir,
				n->secret_name, n->id_name);
	}
	return 0;
}

int family_may_create(const char *dir, const char *name, char *ret_err, size_t err_cap)
{
	const struct complaint c = { ret_err, err_cap };
	struct new_family n;
	int r = prepare(&n, dir, name, &c);

	if (r == 0)
		close(n.dir);
	return r;
}

int family_create(uint8_t ret_id[FAMILY_ID_LEN], const char *dir, const char *name, char *ret_err,
		  size_t err_cap)
{
	const struct complaint c = { ret_err, err_cap };
	struct new_family n;
	int r = prepare(&n, dir, name, &c);

	if (r < 0)
		return r;
	r = create_files(n.dir, n.secret_name, n.id_name, ret_id);
	if (r < 0)
		complain(&c, r, "the family key cannot be written to %s: %s", dir, strerror(errno));
	close(n.dir);
	return r;
}

static int import_file(int to, int from, const char *name)
{
	uint8_t file[KEY_FILE_CAP], id[FAMILY_ID_LEN];
	size_t len;
	int r;

	/* As with the identity: an old relay's files may have any mode, the copy has 0600. */
	r = file_read_at(file, sizeof(file), &len, from, name, false);
	if (r == 0)
		r = family_key_parse(id, file, len);
	if (r == 0)
		r = file_create_at(to, name, file, len);
	secret_wipe(file, sizeof(file));
	return r;
}

size_t families_import(const char *to_dir, const char *from_dir, size_t *ret_bad)
{
	int to = open(to_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int from = open(from_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = from < 0 ? NULL : opendir(from_dir);
	struct dirent *e;
	size_t n = 0;

	*ret_bad = 0;
	for (int i = 0; to >= 0 && list && i < FILES_MAX && (e = readdir(list)); i++) {
		if (!has_suffix(e->d_name))
			continue;
		if (import_file(to, from, e->d_name) == 0)
			n++;
		else
			++*ret_bad;
	}
	if (list)
		closedir(list);
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return n;
}

int family_read_id(uint8_t ret_id[FAMILY_ID_LEN], const char *path, char *ret_err, size_t err_cap)
{
	const struct complaint c = { ret_err, err_cap };
	struct family f = { .secret = NULL };
	int r = family_load(&f, AT_FDCWD, path);

	if (r == ERR_PERMISSION)
		return complain(&c, r, "%s must be a regular file that only its owner can read (chmod 600)", path);
	if (r < 0)
		return complain(&c, r, "%s is no family key that can be used: %s", path,
				r == ERR_SYSTEM ? strerror(errno) : err_str(r));
	memcpy(ret_id, f.id, FAMILY_ID_LEN);
	family_clear(&f);
	return 0;
}
