#include "config.h"

#include "settle_key.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/keystore.h>
#include <nonos/mem.h>

enum { PASSWORD_MAX = 4096 };

int settle_read_file(char **ret, size_t *ret_len, const char *path, size_t max, bool is_private)
{
	char *buf = mem_new(max + 1);
	size_t len = 0;
	int r = file_read_at((uint8_t *)buf, max, &len, AT_FDCWD, path, is_private);

	if (r < 0) {
		secret_wipe(buf, max + 1);
		free(buf);
		return r;
	}
	buf[len] = '\0';
	*ret = buf;
	*ret_len = len;
	return 0;
}

static int fail(int r, char *why, size_t why_cap, const char *path)
{
	snprintf(why, why_cap, "%s cannot be used: %s.%s", path, err_str(r),
		 r == ERR_PERMISSION ? " It must be a file that nobody else may read: chmod 600." : "");
	return r;
}

static size_t trim(const char *text, size_t len)
{
	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	return len;
}

static int from_digits(struct secret **ret, const char *text, size_t len)
{
	uint8_t raw[ETH_SECRET_LEN];
	int r;

	if (len > 2 && text[0] == '0' && text[1] == 'x') {
		text += 2;
		len -= 2;
	}
	r = hex_decode(raw, sizeof(raw), text, len);
	if (r == 0)
		*ret = secret_new(raw, sizeof(raw));
	secret_wipe(raw, sizeof(raw));
	return r;
}

static int from_keystore(struct secret **ret, const char *text, size_t len, const char *password_file, char *why,
			 size_t why_cap)
{
	char reason[KEYSTORE_WHY_CAP], *pass = NULL;
	struct keystore k;
	size_t pass_len = 0;
	int r = keystore_parse(&k, reason, text, len);

	if (r < 0) {
		snprintf(why, why_cap, "The key is neither 64 hexadecimal digits nor a keystore: %s.", reason);
		return r;
	}
	if (!password_file) {
		snprintf(why, why_cap, "The key is a keystore: its pass phrase must be in a file, too; see nonosd.conf(5).");
		return ERR_CONFIG;
	}
	r = settle_read_file(&pass, &pass_len, password_file, PASSWORD_MAX, true);
	if (r < 0)
		return fail(r, why, why_cap, password_file);
	pass_len = strcspn(pass, "\r\n");
	r = keystore_open(ret, &k, pass, pass_len);
	if (r < 0)
		snprintf(why, why_cap, "The key does not open with that pass phrase: %s.", err_str(r));
	secret_wipe(pass, PASSWORD_MAX + 1);
	free(pass);
	return r;
}

int settle_key_read(struct secret **ret, struct eth_addr *ret_addr, const char *path, const char *password_file,
		    char *why, size_t why_cap)
{
	struct secret *secret = NULL;
	char *text = NULL;
	size_t len = 0;
	int r = settle_read_file(&text, &len, path, KEYSTORE_FILE_MAX, true);

	if (r < 0)
		return fail(r, why, why_cap, path);
	if (text[strspn(text, " \t\r\n")] == '{')
		r = from_keystore(&secret, text, len, password_file, why, why_cap);
	else if (from_digits(&secret, text, trim(text, len)) < 0)
		r = fail(ERR_MALFORMED, why, why_cap, path);
	secret_wipe(text, KEYSTORE_FILE_MAX + 1);
	free(text);
	if (r == 0 && eth_addr_of_secret(ret_addr, secret_data(secret)) < 0)
		r = fail(ERR_RANGE, why, why_cap, path);
	if (r < 0) {
		secret_free(secret);
		return r;
	}
	*ret = secret;
	return 0;
}
