#include "config.h"

#include "key_file.h"

#include <stdio.h>
#include <string.h>

#include <nonos/bytes.h>
#include <nonos/crypto.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/secret.h>

static const char pem_label[] = "RSA PRIVATE KEY";

/* The 32 bytes a tagged file starts with. */
static void tag_fill(uint8_t out[KEY_TAG_LEN], const char *tag)
{
	char text[KEY_TAG_LEN + 1];

	memset(out, 0, KEY_TAG_LEN);
	snprintf(text, sizeof(text), "== %s ==", tag);
	memcpy(out, text, strlen(text));
}

int key_tagged_parse(const uint8_t **ret_body, size_t *ret_len, const char *tag,
		     const uint8_t *file, size_t len)
{
	struct rd r = rd_init(file, len);
	const uint8_t *found = rd_take(&r, KEY_TAG_LEN);
	uint8_t expected[KEY_TAG_LEN];

	tag_fill(expected, tag);
	if (!found || memcmp(found, expected, KEY_TAG_LEN) != 0)
		return ERR_MALFORMED;
	*ret_body = r.p;
	*ret_len = rd_left(&r);
	return 0;
}

int key_rsa_parse(struct rsa_key **ret, const uint8_t *file, size_t len)
{
	const char *text = (const char *)file;
	uint8_t der[KEY_FILE_CAP];
	struct rsa_key *k = NULL;
	size_t der_len, used;
	int r;

	r = pem_decode(der, sizeof(der), &der_len, &used, pem_label, text, len);
	if (r < 0)
		goto out;
	r = ERR_MALFORMED;
	/* tor ends these files with a zero byte. */
	for (size_t i = used; i < len; i++)
		if (!memchr(" \t\r\n", text[i], sizeof(" \t\r\n")))
			goto out;
	r = rsa_private_from_der(&k, der, der_len);
	if (r < 0)
		goto out;
	if (rsa_bits(k) != 8 * RSA1024_LEN) {
		rsa_free(k);
		r = ERR_RANGE;
		goto out;
	}
	*ret = k;
out:
	secret_wipe(der, sizeof(der));
	return r;
}

int key_load_secret(struct secret **ret, size_t len, int dir, const char *name, const char *tag,
		    bool is_private)
{
	uint8_t file[KEY_FILE_CAP];
	const uint8_t *body;
	size_t file_len, body_len;
	int r;

	r = file_read_at(file, sizeof(file), &file_len, dir, name, is_private);
	if (r < 0)
		goto out;
	r = key_tagged_parse(&body, &body_len, tag, file, file_len);
	if (r < 0)
		goto out;
	r = ERR_MALFORMED;
	if (body_len != len)
		goto out;
	*ret = secret_new(body, len);
	r = 0;
out:
	secret_wipe(file, sizeof(file));
	return r;
}

int key_load_tagged(uint8_t *out, size_t cap, size_t *ret_len, int dir, const char *name,
		    const char *tag)
{
	uint8_t file[KEY_FILE_CAP];
	const uint8_t *body;
	size_t file_len, body_len;
	int r;

	r = file_read_at(file, sizeof(file), &file_len, dir, name, false);
	if (r < 0)
		return r;
	r = key_tagged_parse(&body, &body_len, tag, file, file_len);
	if (r < 0)
		return r;
	if (body_len > cap)
		return ERR_MALFORMED;
	memcpy(out, body, body_len);
	*ret_len = body_len;
	return 0;
}

int key_save_tagged(int dir, const char *name, const char *tag, const void *body, size_t len)
{
	uint8_t file[KEY_FILE_CAP];
	int r = ERR_TOO_LONG;

	if (len > sizeof(file) - KEY_TAG_LEN)
		return r;
	tag_fill(file, tag);
	memcpy(file + KEY_TAG_LEN, body, len);
	r = file_replace_at(dir, name, file, KEY_TAG_LEN + len);
	secret_wipe(file, sizeof(file));
	return r;
}

int key_load_rsa(struct rsa_key **ret, int dir, const char *name, bool is_private)
{
	uint8_t file[KEY_FILE_CAP];
	size_t len;
	int r;

	r = file_read_at(file, sizeof(file), &len, dir, name, is_private);
	if (r == 0)
		r = key_rsa_parse(ret, file, len);
	secret_wipe(file, sizeof(file));
	return r;
}

int key_save_rsa(int dir, const char *name, const struct rsa_key *k)
{
	uint8_t der[KEY_FILE_CAP / 2];
	char text[PEM_CAP(sizeof(der))];
	size_t len;
	int r;

	r = rsa_private_der(der, sizeof(der), &len, k);
	if (r == 0) {
		len = pem_encode(text, sizeof(text), pem_label, der, len);
		r = file_replace_at(dir, name, text, len);
	}
	secret_wipe(der, sizeof(der));
	secret_wipe(text, sizeof(text));
	return r;
}
