#include "config.h"

#include "keydir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/err.h>
#include <nonos/mem.h>

#include "passphrase.h"

static char *keydir_path(const struct invocation *in)
{
	const char *given = param_text(in->params, "keystore"), *env = getenv("NONOS_KEYSTORE");
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (given)
		return mem_strdup(given);
	if (env && env[0])
		return mem_strdup(env);
	if (geteuid() == 0)
		return mem_strdup(NONOS_LOCALSTATEDIR "/lib/nonos/keystore");
	if (config && config[0] == '/')
		return mem_printf("%s/nonos/keys", config);
	return home && home[0] == '/' ? mem_printf("%s/.config/nonos/keys", home) : NULL;
}

int keydir_open(int *ret_dir, char **ret_path, const struct invocation *in, bool make)
{
	char *path = keydir_path(in);
	int r;

	if (!path)
		return complain(EXIT_REFUSED, "there is no HOME to keep keys in; give --keystore DIR or set NONOS_KEYSTORE");
	r = keystore_dir_open(ret_dir, path, make);
	if (r == ERR_NOT_FOUND)
		r = complain(EXIT_REFUSED, "there is no keystore directory %s; \"nonosctl key new NAME\" makes it, --keystore "
			     "and NONOS_KEYSTORE name another", path);
	else if (r == ERR_PERMISSION)
		r = complain(EXIT_REFUSED, "%s: others may write to this directory of keys; chmod 700 it", path);
	else if (r < 0)
		r = complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	if (r == EXIT_OK && ret_path)
		*ret_path = path;
	else
		free(path);
	return r;
}

int keydir_find(struct keystore_entry *ret, int *ret_dir, const struct invocation *in, const char *name)
{
	char why[KEYSTORE_WHY_CAP], *path;
	int dir, r = keydir_open(&dir, &path, in, false);

	if (r != EXIT_OK)
		return r;
	r = keystore_find(ret, why, dir, name);
	if (r == ERR_NOT_FOUND)
		r = complain(EXIT_REFUSED, "there is no key \"%s\" in %s; \"nonosctl key list\" shows those there are", name, path);
	else if (r < 0)
		r = complain(EXIT_REFUSED, "the key \"%s\" in %s cannot be used: %s", name, path, why[0] ? why : err_str(r));
	free(path);
	if (r == EXIT_OK && ret_dir)
		*ret_dir = dir;
	else
		close(dir);
	return r;
}

int keydir_decrypt(struct secret **ret, struct secret **ret_pass, const struct invocation *in,
		   const struct keystore_entry *e)
{
	char *what = mem_printf("key \"%s\"", e->name);
	struct secret *pass = NULL;
	int r = passphrase_old(&pass, in, "password_file", what);

	free(what);
	if (r != EXIT_OK)
		return r;
	r = keystore_open(ret, &e->k, secret_data(pass), secret_len(pass));
	if (r == 0 && ret_pass) {
		*ret_pass = pass;
		return EXIT_OK;
	}
	secret_free(pass);
	switch (r) {
	case 0:
		return EXIT_OK;
	case ERR_AUTH:
		return complain(EXIT_REFUSED, "wrong pass phrase for the key \"%s\", or its file is damaged", e->name);
	case ERR_MISMATCH:
		return complain(EXIT_REFUSED, "the file of the key \"%s\" names another address than its key has; it was "
				"changed by somebody, so do not use it", e->name);
	case ERR_LIMIT:
		return complain(EXIT_REFUSED, "there is not enough memory to open the key \"%s\"", e->name);
	default:
		return complain(EXIT_REFUSED, "what the file of the key \"%s\" holds is no key", e->name);
	}
}

int keydir_unlock(struct secret **ret, const struct invocation *in, const char *name)
{
	struct keystore_entry e;
	int r = keydir_find(&e, NULL, in, name);

	return r == EXIT_OK ? keydir_decrypt(ret, NULL, in, &e) : r;
}

bool keydir_address(struct eth_addr *ret, const struct invocation *in, const char *name)
{
	char *path = keydir_path(in), why[KEYSTORE_WHY_CAP];
	struct keystore_entry e;
	bool found = false;
	int dir;

	if (path && keystore_dir_open(&dir, path, false) == 0) {
		found = keystore_find(&e, why, dir, name) == 0 && e.k.has_address;
		close(dir);
	}
	free(path);
	if (found)
		*ret = e.k.address;
	return found;
}
