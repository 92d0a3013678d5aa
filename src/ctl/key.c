/* key new, import, list, show, sign, passwd, export, remove, unlock; object attach. */
#include "config.h"

#include "keydir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/json_set.h>
#include <nonos/mem.h>
#include <nonos/rand.h>

#include "passphrase.h"
#include "sign.h"

enum { TYPED_FILE_MAX = 1 << 20, UNLOCK_DEFAULT_S = 600 };

/* n = 2^12, p = 6: what wallets call light, 4 MiB. */
static const struct keystore_cost cost_light = { .n = 1u << 12, .r = 8, .p = 6 };

/* -- answers ------------------------------------------------------------------------ */

static json_t *kdf_answer(const struct keystore *k)
{
	const struct keystore_cost *c = &k->cost;

	if (k->kdf == KEYSTORE_PBKDF2)
		return json_pack("{s:s, s:I}", "name", "pbkdf2", "c", (json_int_t)c->rounds);
	return json_pack("{s:s, s:I, s:I, s:I}", "name", "scrypt", "n", (json_int_t)c->n, "r", (json_int_t)c->r, "p",
			 (json_int_t)c->p);
}

static json_t *entry_answer(const struct keystore_entry *e)
{
	json_t *o = json_pack("{s:s, s:s}", "name", e->name, "file", e->file);

	if (e->error < 0) {
		json_object_set_new(o, "error", json_string(e->why));
		return o;
	}
	if (e->k.has_address)
		json_set_address(o, "address", &e->k.address);
	else
		json_object_set_new(o, "address", json_null());
	json_object_set_new(o, "kdf", kdf_answer(&e->k));
	return o;
}

/* -- making keys -------------------------------------------------------------------- */

static int check_name(const char *name)
{
	if (keystore_name_is_good(name))
		return EXIT_OK;
	return complain(EXIT_USAGE, "\"%s\" is no name for a key: 1 to %d letters, digits, \"-\" and \"_\"", name,
			KEYSTORE_NAME_MAX);
}

/* Refuse before anybody is asked for a pass phrase. */
static int check_free(int dir, const char *path, const char *name)
{
	char why[KEYSTORE_WHY_CAP];
	struct keystore_entry e;

	if (keystore_find(&e, why, dir, name) == ERR_NOT_FOUND)
		return EXIT_OK;
	return complain(EXIT_REFUSED, "there is a key \"%s\" in %s already; keys are never overwritten", name, path);
}

static int seal(struct keystore *ret, const struct invocation *in, const uint8_t *secret, const struct secret *pass)
{
	const struct keystore_cost *cost = param_flag(in->params, "light") ? &cost_light : &keystore_cost_usual;
	int r = keystore_seal(ret, secret, secret_data(pass), secret_len(pass), cost);

	if (r == ERR_LIMIT)
		return complain(EXIT_REFUSED, "there is not enough memory to encrypt the key: it takes 256 MiB, with --light 4");
	return r < 0 ? complain(EXIT_REFUSED, "this is no secp256k1 key") : EXIT_OK;
}

static int save(int dir, const char *path, const char *name, const struct keystore *k)
{
	switch (keystore_save_new(dir, name, k)) {
	case 0:
		return EXIT_OK;
	case ERR_EXISTS:
		return complain(EXIT_REFUSED, "there is a key \"%s\" in %s already; keys are never overwritten", name, path);
	default:
		return complain(EXIT_REFUSED, "%s/%s.json cannot be written: %s", path, name, strerror(errno));
	}
}

static json_t *made_answer(const struct keystore *k, const char *path, const char *name, bool dry_run)
{
	json_t *o = json_pack("{s:b, s:s}", "dry_run", dry_run, "name", name);
	char *file = mem_printf("%s/%s.json", path, name);

	if (!dry_run)
		json_set_address(o, "address", &k->address);
	json_object_set_new(o, "file", json_string(file));
	free(file);
	return o;
}

/* Encrypt under `pass` (asked for when NULL) and write. */
static int store(const struct invocation *in, int dir, const char *path, const uint8_t *secret, const struct secret *pass)
{
	const char *name = param_text(in->params, "name");
	struct secret *asked = NULL;
	struct keystore k;
	char *what;
	int r = EXIT_OK;

	if (!in->options.dry_run) {
		what = mem_printf("key \"%s\"", name);
		if (!pass)
			r = passphrase_new(&asked, in, "password_file", what);
		free(what);
		if (r == EXIT_OK)
			r = seal(&k, in, secret, pass ? pass : asked);
		if (r == EXIT_OK)
			r = save(dir, path, name, &k);
		secret_free(asked);
	}
	return r == EXIT_OK ? print_answer(in, made_answer(&k, path, name, in->options.dry_run)) : r;
}

/* Open the directory for a new key called "name". */
static int open_for_new(int *ret_dir, char **ret_path, const struct invocation *in)
{
	const char *name = param_text(in->params, "name");
	int r = check_name(name);

	if (r == EXIT_OK)
		r = keydir_open(ret_dir, ret_path, in, !in->options.dry_run);
	if (r != EXIT_OK)
		return r;
	r = check_free(*ret_dir, *ret_path, name);
	if (r != EXIT_OK) {
		close(*ret_dir);
		free(*ret_path);
	}
	return r;
}

int local_key_new(const struct invocation *in)
{
	struct secret *secret;
	struct eth_addr a;
	char *path;
	int dir, r = open_for_new(&dir, &path, in);

	if (r != EXIT_OK)
		return r;
	secret = secret_new(NULL, ETH_SECRET_LEN);
	do
		rand_bytes(secret_data_mut(secret), ETH_SECRET_LEN);
	while (eth_addr_of_secret(&a, secret_data(secret)) < 0);
	r = store(in, dir, path, secret_data(secret), NULL);
	secret_free(secret);
	close(dir);
	free(path);
	return r;
}

/* A keystore of another wallet keeps its pass phrase. */
static int import_keystore(struct secret **ret, struct secret **ret_pass, const struct invocation *in, const char *text,
			   size_t len)
{
	const char *from = param_text(in->params, "file");
	struct keystore_entry e = { .error = 0 };
	int r;

	snprintf(e.name, sizeof(e.name), "%s", from);
	if (keystore_parse(&e.k, e.why, text, len) < 0)
		return complain(EXIT_REFUSED, "%s: %s", from, e.why);
	r = keydir_decrypt(ret, ret_pass, in, &e);
	if (r == EXIT_OK && secret_len(*ret_pass) < PASSPHRASE_MIN)
		fprintf(stderr, "nonosctl: the pass phrase has fewer than %d bytes; \"nonosctl key passwd\" gives it a better one\n",
			PASSPHRASE_MIN);
	return r;
}

static int import_any(struct secret **ret, struct secret **ret_pass, const struct invocation *in)
{
	const char *from = param_text(in->params, "file");
	uint8_t raw[ETH_SECRET_LEN];
	char *text;
	size_t len;
	int r = file_read(&text, &len, from, KEYSTORE_FILE_MAX);

	if (r != EXIT_OK)
		return r;
	if (len > 0 && memchr(text, '{', len))
		r = import_keystore(ret, ret_pass, in, text, len);
	else
		r = file_read_key(raw, from);
	if (r == EXIT_OK && !*ret)
		*ret = secret_new(raw, sizeof(raw));
	secret_wipe(raw, sizeof(raw));
	secret_wipe(text, len);
	free(text);
	return r;
}

int local_key_import(const struct invocation *in)
{
	struct secret *secret = NULL, *pass = NULL;
	char *path;
	int dir, r = open_for_new(&dir, &path, in);

	if (r != EXIT_OK)
		return r;
	r = import_any(&secret, &pass, in);
	if (r == EXIT_OK)
		r = store(in, dir, path, secret_data(secret), pass);
	secret_free(secret);
	secret_free(pass);
	close(dir);
	free(path);
	return r;
}

/* -- looking ------------------------------------------------------------------------ */

int local_key_list(const struct invocation *in)
{
	struct keystore_entry *v;
	json_t *list;
	char *path;
	size_t n;
	int dir, r = keydir_open(&dir, &path, in, false);

	if (r != EXIT_OK)
		return r;
	r = keystore_list(&v, &n, dir);
	close(dir);
	if (r < 0) {
		r = complain(EXIT_REFUSED, "%s: %s", path, r == ERR_LIMIT ? "there are too many files" : strerror(errno));
		free(path);
		return r;
	}
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, entry_answer(&v[i]));
	free(v);
	list = json_pack("{s:s, s:o}", "directory", path, "keys", list);
	free(path);
	return print_answer(in, list);
}

int local_key_show(const struct invocation *in)
{
	struct keystore_entry e;
	struct secret *secret;
	json_t *answer;
	int r = keydir_find(&e, NULL, in, param_text(in->params, "name"));

	if (r != EXIT_OK)
		return r;
	if (param_flag(in->params, "check")) {
		r = keydir_decrypt(&secret, NULL, in, &e);
		if (r != EXIT_OK)
			return r;
		e.k.has_address = eth_addr_of_secret(&e.k.address, secret_data(secret)) == 0;
		secret_free(secret);
	}
	answer = entry_answer(&e);
	if (e.k.id[0])
		json_object_set_new(answer, "id", json_string(e.k.id));
	if (param_flag(in->params, "check"))
		json_object_set_new(answer, "opens", json_true());
	return print_answer(in, answer);
}

/* -- changing ------------------------------------------------------------------------- */

static int save_again(const struct invocation *in, int dir, const struct keystore_entry *e, const struct secret *secret)
{
	char *what = mem_printf("key \"%s\"", e->name);
	struct secret *pass = NULL;
	struct keystore k;
	int r = passphrase_new(&pass, in, "new_password_file", what);

	if (r == EXIT_OK)
		r = seal(&k, in, secret_data(secret), pass);
	if (r == EXIT_OK && keystore_save_again(dir, e, &k) < 0)
		r = complain(EXIT_REFUSED, "%s cannot be written: %s; the old file is as it was", e->file, strerror(errno));
	secret_free(pass);
	free(what);
	return r;
}

int local_key_passwd(const struct invocation *in)
{
	struct secret *secret = NULL;
	struct keystore_entry e;
	int dir, r;

	if (getenv("NONOS_PASSWORD_FILE") && !param_text(in->params, "new_password_file"))
		return complain(EXIT_USAGE, "with NONOS_PASSWORD_FILE set, say --new-password-file as well");
	r = keydir_find(&e, &dir, in, param_text(in->params, "name"));
	if (r != EXIT_OK)
		return r;
	r = keydir_decrypt(&secret, NULL, in, &e);
	if (r == EXIT_OK && !in->options.dry_run)
		r = save_again(in, dir, &e, secret);
	secret_free(secret);
	close(dir);
	return r == EXIT_OK ? print_answer(in, json_pack("{s:b, s:s}", "dry_run", in->options.dry_run, "name", e.name)) : r;
}

int local_key_export(const struct invocation *in)
{
	const char *out = param_text(in->params, "file");
	struct keystore_entry e;
	char *text, *line;
	int r = keydir_find(&e, NULL, in, param_text(in->params, "name"));

	if (r != EXIT_OK)
		return r;
	text = keystore_text(&e.k);
	line = mem_printf("%s\n", text);
	if (!in->options.dry_run)
		r = file_create(out, line, strlen(line), 0600);
	free(line);
	free(text);
	return r == EXIT_OK ? print_answer(in, json_pack("{s:b, s:s, s:s}", "dry_run", in->options.dry_run, "name", e.name,
							 "file", out)) : r;
}

int local_key_remove(const struct invocation *in)
{
	const char *name = param_text(in->params, "name");
	struct keystore_entry e;
	json_t *answer;
	int dir, r = keydir_find(&e, &dir, in, name);

	if (r != EXIT_OK)
		return r;
	if (!param_flag(in->params, "yes") && !in->options.dry_run)
		r = complain(EXIT_USAGE, "what the key \"%s\" holds is lost for good without a copy of its file; say --yes to "
			     "remove it", name);
	else if (!in->options.dry_run && file_remove_at(dir, e.file) < 0)
		r = complain(EXIT_REFUSED, "%s cannot be removed: %s", e.file, strerror(errno));
	close(dir);
	if (r != EXIT_OK)
		return r;
	answer = entry_answer(&e);
	json_object_set_new(answer, "dry_run", json_boolean(in->options.dry_run));
	return print_answer(in, answer);
}

/* -- signing --------------------------------------------------------------------------- */

int local_key_sign(const struct invocation *in)
{
	uint8_t sig[ETH_SIG_LEN];
	struct eth_addr signer;
	struct typed_hashes h;
	json_t *doc;
	int r = file_read_json(&doc, param_text(in->params, "file"), TYPED_FILE_MAX, true);

	if (r != EXIT_OK)
		return r;
	r = sign_hashes(&h, doc, param_text(in->params, "file"));
	if (r == EXIT_OK)
		r = sign_document(sig, &signer, in, doc, &h);
	json_decref(doc);
	if (r != EXIT_OK)
		return r;
	return sign_print(in, &h, &signer, sig);
}

/* The daemon gets the key and not the pass phrase, which may open more, so it need not read the keystore. */
static json_t *hold_params(const struct secret *secret, int64_t seconds)
{
	char hex[2 * ETH_SECRET_LEN + 1];
	json_t *params;

	hex_encode(hex, secret_data(secret), ETH_SECRET_LEN);
	params = json_pack("{s:s, s:I}", "secret", hex, "for", (json_int_t)seconds);
	secret_wipe(hex, sizeof(hex));
	return params;
}

int local_key_unlock(const struct invocation *in)
{
	const char *name = param_text(in->params, "name");
	struct secret *secret;
	json_t *params, *result;
	int r = keydir_unlock(&secret, in, name);

	if (r != EXIT_OK)
		return r;
	params = hold_params(secret, param_integer(in->params, "for", UNLOCK_DEFAULT_S));
	secret_free(secret);
	if (in->options.dry_run)
		json_object_set_new(params, "dry_run", json_true());
	r = daemon_call(&result, &in->options, "key.hold", params);
	json_decref(params);
	return r == EXIT_OK ? print_answer(in, result) : r;
}

int local_object_attach(const struct invocation *in)
{
	const char *out = param_text(in->params, "out");
	json_t *object, *complete;
	int r = file_read_json(&object, param_text(in->params, "file"), TYPED_FILE_MAX, true);

	if (r != EXIT_OK)
		return r;
	r = sign_attach(&complete, object, param_text(in->params, "signature"));
	json_decref(object);
	if (r != EXIT_OK)
		return r;
	if (!out) {
		json_dumpf(complete, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
	} else if (!in->options.dry_run) {
		r = file_create_json(out, complete);
	}
	json_decref(complete);
	return !out || r != EXIT_OK ? r : print_answer(in, json_pack("{s:b, s:s}", "dry_run", in->options.dry_run, "file", out));
}
